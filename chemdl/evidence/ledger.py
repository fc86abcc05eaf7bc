"""The ledger: each claim with what the results say about it, computed once for all pages."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from chemdl.evidence.card import VerdictRow
from chemdl.evidence.claims import Claim, load_claims
from chemdl.evidence.judging import record_sha256
from chemdl.evidence.result import Result, find_results, read_result
from chemdl.evidence.statistics import benjamini_hochberg
from chemdl.evidence.verdicts import MEANING, WORDS, rule_sha256, was_source_right


@dataclass(frozen=True)
class Finding:
    """What one result says about one claim.

    Attributes
    ----------
    value, low, high
        The reproduced difference or level with its interval *on this data set*.
    low_elsewhere, high_elsewhere, holds_elsewhere
        The interval *of the methods*, for another sample of this size, and whether it says the
        same; ``None`` where the design does not tell it.
    won
        Who is better beyond doubt: ``deep``, ``classical`` or ``neither``; ``between nets`` where
        both models are of a kind; empty where that is open, or where no two models are compared.
    p
        The comparison's own p value, before any correction.
    shortfall
        What of its profile the run left out for all models.
    changed
        Whether the claim's record or the rule changed after the study ran; ``None`` where the card
        does not say.
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
    low_elsewhere: float | None = None
    high_elsewhere: float | None = None
    holds_elsewhere: bool | None = None
    won: str = ""
    p: float | None = None
    shortfall: str = ""
    changed: bool | None = None


@dataclass(frozen=True)
class Row:
    """A claim, the finding of its largest recorded result, and that of one run."""

    claim: Claim
    recorded: Finding | None
    own: Finding | None
    adjusted_p: float | None = None

    @property
    def finding(self) -> Finding | None:
        """The recorded finding if there is one, else the finding of the run."""
        return self.recorded or self.own

    @property
    def verdict(self) -> str:
        """The verdict in the ledger."""
        if self.finding:
            return self.finding.verdict
        return "not run" if self.claim.test else "not testable"

    @property
    def source_was_right(self) -> str:
        """Whether the verdict bears out what the source says (yes, in part, no), or empty."""
        return was_source_right(self.verdict, self.claim.favours)

    @property
    def counts(self) -> bool:
        """Whether the row has a verdict that enters the tally."""
        return self.verdict in WORDS and self.finding is not None and not self.finding.provisional


def ledger_rows(folder: Path | None = None, claims: Mapping[str, Claim] | None = None) -> list[Row]:
    """Return one row for each claim, in the order of the claims.

    Parameters
    ----------
    folder
        Folder with the cards of a run, which are shown beside the recorded ones.
    claims
        Claims by their id; all recorded claims by default.

    Returns
    -------
    list of Row
        ``adjusted_p`` is adjusted by Benjamini and Hochberg over all rows with a p value.
    """
    claims = load_claims() if claims is None else claims
    recorded = findings(find_results().values(), claims)
    files = sorted(Path(folder).glob("[!.]*.json")) if folder else []
    own = findings(map(read_result, files), claims)
    rows = [Row(claim, recorded.get(name), own.get(name)) for name, claim in claims.items()]
    return _adjusted(rows)


def findings(results: Iterable[Result], claims: Mapping[str, Claim]) -> dict[str, Finding]:
    """Return what results say about these claims, by claim."""
    return {
        verdict.claim: _finding(result, verdict, claims[verdict.claim])
        for result in results
        for verdict in result.verdicts
        if verdict.claim in claims
    }


def tally(rows: Iterable[Row]) -> dict[str, int]:
    """Count the verdicts that are not provisional, each measured contrast once.

    Claims that rest on one contrast and get one verdict are one count.
    """
    return _counted((row.claim.contrast, row.verdict) for row in rows if row.counts)


def winners(rows: Iterable[Row]) -> dict[str, int]:
    """Count who won, deep or classical or neither, over the contrasts in the tally."""
    counted = {
        (row.claim.contrast, row.finding.won or "open")
        for row in rows
        if row.counts and row.finding
    }
    return dict(sorted(Counter(who for _, who in counted).items()))


def answers(rows: Iterable[Row]) -> dict[str, int]:
    """Count whether the sources were right, over the contrasts in the tally."""
    counted = {(row.claim.contrast, row.source_was_right or "open") for row in rows if row.counts}
    counts = Counter(answer for _, answer in counted)
    return {word: counts[word] for word in ("yes", "in part", "no", "open") if counts[word]}


def _counted(pairs: Iterable[tuple[str, str]]) -> dict[str, int]:
    counts = Counter(verdict for _, verdict in set(pairs))
    return {verdict: counts[verdict] for verdict in MEANING if counts[verdict]}


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
        f"{number(value)} {getattr(claim.names, side)}".strip()
        for side, value in sides
        if value is not None
    ]
    if claim.reported.difference is not None and len(lines) < 2:
        lines.append(f"difference {number(claim.reported.difference, signed=True)}")
    return lines


def reproduced_text(finding: Finding, kind: str) -> str:
    """Return what a result found: the estimate with its interval, in one line."""
    if finding.value is None or finding.low is None or finding.high is None:
        return "—"
    signed = kind not in ("level", "count")
    low, high = number(finding.low, signed), number(finding.high, signed)
    return f"{number(finding.value, signed)} [{low}, {high}]"


def _adjusted(rows: list[Row]) -> list[Row]:
    raw = {r.claim.id: r.finding.p for r in rows if r.finding and r.finding.p is not None}
    if not raw:
        return rows
    values = benjamini_hochberg(list(raw.values()))
    adjusted = {name: float(p) for name, p in zip(raw, values, strict=True)}
    return [replace(row, adjusted_p=adjusted.get(row.claim.id)) for row in rows]


def _finding(result: Result, verdict: VerdictRow, claim: Claim) -> Finding:
    estimate, methods = verdict.estimate, verdict.methods
    return Finding(
        study=result.study,
        profile=result.profile,
        verdict=verdict.verdict,
        reason=verdict.reason,
        fidelity=verdict.fidelity,
        provisional=verdict.provisional,
        value=estimate.value if estimate else None,
        low=estimate.low if estimate else None,
        high=estimate.high if estimate else None,
        low_elsewhere=methods.low if methods else None,
        high_elsewhere=methods.high if methods else None,
        holds_elsewhere=verdict.holds_elsewhere,
        won=_winner(result, verdict, claim),
        p=_p_value(result, claim),
        shortfall=", ".join(line for line in result.shortfall if ":" not in line),
        changed=_changed(result, claim),
    )


def _winner(result: Result, verdict: VerdictRow, claim: Claim) -> str:
    test, estimate = claim.test, verdict.estimate
    if test is None or test.b is None or estimate is None:
        return ""
    if not {test.a, test.b} <= set(result.models):
        return ""  # the claim names other models than when it was judged
    kinds = [result.kind(name) for name in (test.a, test.b)]
    if kinds[0] == kinds[1]:
        return "between nets" if kinds[0] == "deep" else "between classical models"
    zero = 0.5 if claim.kind == "count" else 0.0
    if estimate.low > zero:
        return _side(kinds[0])
    if estimate.high < zero:
        return _side(kinds[1])
    return "neither" if verdict.verdict == "equivalent" else ""


def _side(kind: str) -> str:
    return "deep" if kind == "deep" else "classical"


def _changed(result: Result, claim: Claim) -> bool | None:
    ran = result.card.ran_under
    if ran is None:
        return None
    same = ran.claims.get(claim.id) == record_sha256(claim)
    return not (same and ran.rule_sha256 == rule_sha256())


def _p_value(result: Result, claim: Claim) -> float | None:
    """Return the p value of the comparison that a claim's test names, in either direction."""
    test = claim.test
    if test is None or test.b is None:
        return None
    for row in result.comparisons:
        same = row.metric == test.metric and row.condition == test.condition
        if same and {row.a, row.b} == {test.a, test.b}:
            return row.p if row.p is not None and math.isfinite(row.p) else None
    return None
