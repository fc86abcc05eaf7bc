"""Join the claims with what the cards say of them: the rows of every table of verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chemdl.book.run import card_files
from chemdl.evidence import cards
from chemdl.evidence import statistics as stats
from chemdl.evidence.claims import Claim, load_claims
from chemdl.evidence.verdicts import is_in_agreement


@dataclass(frozen=True)
class Finding:
    """What one card says of one claim.

    ``value``, ``low`` and ``high`` are the reproduced difference or level with its interval;
    ``p`` is the comparison's own p value, before any correction; ``shortfall`` says what of its
    profile the run left out for all models.
    """

    study: str
    profile: str
    verdict: str
    reason: str
    fidelity: str
    provisional: bool
    value: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    shortfall: str = ""


@dataclass(frozen=True)
class Row:
    """A claim, the finding of its best recorded card, and that of this build's own run."""

    claim: Claim
    recorded: Finding | None
    own: Finding | None
    adjusted_p: float | None = None

    @property
    def finding(self) -> Finding | None:
        """The finding that counts: the recorded one, else this build's."""
        return self.recorded or self.own

    @property
    def verdict(self) -> str:
        """The verdict that stands in the ledger."""
        if self.finding:
            return self.finding.verdict
        return "not run" if self.claim.test else "not testable"

    @property
    def agrees(self) -> bool:
        """Whether the verdict bears out what the source says."""
        return is_in_agreement(self.verdict, self.claim.favours)


def rows(output: Path | None = None, claims: Mapping[str, Claim] | None = None) -> list[Row]:
    """Return one row for each claim.

    ``output`` is the folder of a run, whose cards stand beside the recorded ones. The
    Benjamini-Hochberg adjustment runs over all findings that have a p value.
    """
    claims = load_claims() if claims is None else claims
    recorded = _findings(cards.all_recorded().values(), claims)
    own = _findings(card_files(output), claims) if output else {}
    joined = [Row(claim, recorded.get(name), own.get(name)) for name, claim in claims.items()]
    return _adjusted(joined)


def tally(chosen: Iterable[Row]) -> dict[str, int]:
    """Count verdicts, in the order of the rule; only those that are not provisional."""
    from chemdl.evidence.verdicts import MEANING

    counts = dict.fromkeys(MEANING, 0)
    for row in chosen:
        if row.finding is None or not row.finding.provisional:
            counts[row.verdict] += 1
    return {verdict: n for verdict, n in counts.items() if n}


def _adjusted(joined: list[Row]) -> list[Row]:
    raw = {r.claim.id: r.finding.p for r in joined if r.finding and r.finding.p is not None}
    if not raw:
        return joined
    values = stats.benjamini_hochberg(list(raw.values()))
    adjusted = {name: float(p) for name, p in zip(raw, values, strict=True)}
    return [Row(r.claim, r.recorded, r.own, adjusted.get(r.claim.id)) for r in joined]


def _findings(paths: Iterable[Path], claims: Mapping[str, Claim]) -> dict[str, Finding]:
    found = {}
    for path in paths:
        card = cards.read(path)
        for verdict in card["verdicts"]:
            if verdict["claim"] in claims:
                found[verdict["claim"]] = _finding(card, verdict, claims[verdict["claim"]])
    return found


def _finding(card: Mapping[str, Any], verdict: Mapping[str, Any], claim: Claim) -> Finding:
    estimate = verdict.get("estimate") or {}
    return Finding(
        study=card["study"],
        profile=card["profile"],
        verdict=verdict["verdict"],
        reason=verdict["reason"],
        fidelity=verdict["fidelity"],
        provisional=verdict["provisional"],
        value=estimate.get("value"),
        low=estimate.get("low"),
        high=estimate.get("high"),
        p=_p_value(card, claim),
        shortfall=", ".join(line for line in card["shortfall"] if ":" not in line),
    )


def _p_value(card: Mapping[str, Any], claim: Claim) -> float | None:
    """Return the p value of the comparison that a claim's test names, in either direction."""
    test = claim.test
    if test is None or test.b is None:
        return None
    for comparison in card["comparisons"]:
        same = comparison["metric"] == test.metric and comparison["condition"] == test.condition
        if same and {comparison["a"], comparison["b"]} == {test.a, test.b}:
            p = comparison.get("p")
            return p if p is not None and math.isfinite(p) else None
    return None


def number(value: float, signed: bool = False) -> str:
    """Write a score so that its third significant decimal shows, with a true minus sign.

    >>> number(-0.0213, signed=True), number(0.8461), number(12.345), number(11.0)
    ('−0.021', '0.846', '12.3', '11')
    """
    digits = 3 if abs(value) < 10 else 1
    if float(value).is_integer() and abs(value) >= 1:
        digits = 0
    text = f"{value:{'+' if signed else ''}.{digits}f}"
    return text.replace("-", "−")


def reported_lines(claim: Claim) -> list[str]:
    """Return what the source reports, one line a number: ``0.846 multitask net``."""
    sides = (("a", claim.reported.a), ("b", claim.reported.b))
    lines = [
        f"{number(value)} {claim.names.get(side) or ''}".strip()
        for side, value in sides
        if value is not None
    ]
    if claim.reported.difference is not None and len(lines) < 2:
        lines.append(f"difference {number(claim.reported.difference, signed=True)}")
    return lines


def reproduced_text(finding: Finding, kind: str) -> str:
    """Return what a card found: the estimate with its interval, in one line."""
    if finding.value is None or finding.low is None or finding.high is None:
        return "—"
    signed = kind not in ("level", "count")
    low, high = number(finding.low, signed), number(finding.high, signed)
    return f"{number(finding.value, signed)} [{low}, {high}]"
