"""What was found: the part of the start page that says it, and the ledger of all claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chemdl.book.markdown import escape, table, verdict_mark
from chemdl.evidence.claims import CHAPTERS, Claim
from chemdl.evidence.ledger import (
    Finding,
    Row,
    number,
    reported_lines,
    reproduced_text,
    tally,
)
from chemdl.evidence.verdicts import MEANING

_CONFIRMATION = {
    "confirmed": "number read in its source",
    "partly": "number read in part",
    "unconfirmed": "number not read in its source",
}


def found_text(rows: Sequence[Row]) -> str:
    """Return the part of the start page that says what came out, from cards alone."""
    tested = [row for row in rows if row.finding and row.verdict != "not run"]
    final = [row for row in tested if row.finding and not row.finding.provisional]
    testable = sum(row.claim.test is not None for row in rows)
    lines = [
        f"The review and the papers behind it make **{len(rows)} claims** that this book has on "
        f"record. A test is written for {testable} of them. Tested so far: **{len(tested)}**, and "
        f"{len(final)} of these by a full study that enters the tally.",
        "",
    ]
    if final:
        counts = "; ".join(f"{n} {verdict}" for verdict, n in tally(final).items())
        agreeing = sum(row.source_was_right == "yes" for row in final)
        lines += [
            f"Full studies that bear the claim out: {agreeing} of {len(final)} ({counts}).",
            "",
        ]
    if tested:
        lines += [_claims_table(tested, linked=True)]
    else:
        lines += ["No card is recorded yet: run a chapter, and its verdicts appear here.", ""]
    return "\n".join(lines)


def claims_text(rows: Sequence[Row], titles: Mapping[str, tuple[str, str]]) -> str:
    """Return the ledger: every claim, what was reported beside what was reproduced."""
    adjusted = [row for row in rows if row.adjusted_p is not None]
    kept = sum(row.adjusted_p < 0.05 for row in adjusted if row.adjusted_p is not None)
    profiles = sorted({row.own.profile for row in rows if row.own})
    lines = [
        "# The claims ledger",
        "",
        f"All {len(rows)} claims, by the chapter that judges them: the statement in our words, "
        "what its source reports, what we found, and the [verdict](verdicts.md). Positive "
        "differences favour what the source says. Each row shows the study's best recorded profile"
        + (f", and this site's own `{profiles[0]}` run beside it." if profiles else "."),
        "",
    ]
    if len(adjusted) > 1:
        lines += [
            f"With {len(adjusted)} comparisons some fall out by chance. After the "
            f"Benjamini–Hochberg adjustment over all of them, {kept} differ from zero at a false "
            "discovery rate of 5 %; the adjusted *p* stands under each verdict.",
            "",
        ]
    lines += [_tally_table(rows), ""]
    for chapter in CHAPTERS:
        own = [row for row in rows if row.claim.chapter == chapter]
        if not own:
            continue
        title, page = titles.get(chapter, (_unwritten_title(chapter), ""))
        # So that any page can point to a chapter, `[...](#property-prediction)`, written or not.
        lines += [f"({chapter})=", f"## {escape(title)}", ""]
        if page:
            lines += [f"These are judged in [this chapter](../{page}).", ""]
        else:
            lines += ["This chapter is not written yet; its tests are on record.", ""]
        lines += [_claims_table(own, linked=False)]
    return "\n".join(lines)


def _unwritten_title(chapter: str) -> str:
    words = chapter.replace("-", " ")
    return words.upper() if words == "qsar" else words.capitalize()


def _tally_table(rows: Sequence[Row]) -> str:
    final = tally(row for row in rows if row.finding and not row.finding.provisional)
    open_rows = [row for row in rows if row.finding is None or row.finding.provisional]
    provisional = {verdict: sum(row.verdict == verdict for row in open_rows) for verdict in MEANING}
    body = [
        (verdict_mark(verdict, False), str(final.get(verdict, "")), str(provisional[verdict] or ""))
        for verdict in MEANING
        if final.get(verdict) or provisional[verdict]
    ]
    return table(("verdict", "full studies", "provisional or without a study"), body)


def _claims_table(rows: Sequence[Row], linked: bool) -> str:
    header = ("Claim", "Reported", "Reproduced", "Verdict")
    body = [
        (_claim_cell(row, linked), _reported_cell(row), _reproduced_cell(row), _verdict_cell(row))
        for row in rows
    ]
    return table(header, body, kind="ledger")


def _claim_cell(row: Row, linked: bool) -> str:
    claim = row.claim
    place = claim.id.lower()
    if linked:
        name = f"[{claim.id}](#{place})"
        return f"{name} {escape(claim.statement)} {{cite:p}}`{claim.source}`"
    status = claim.confirmation.status
    lines = [
        f"[{claim.id}]{{#{place} .claim-id}} {escape(claim.statement)}",
        f"{{cite:t}}`{claim.source}` · [{_CONFIRMATION[status]}]{{.reading .{status}}}",
    ]
    asides = [row.finding.reason if row.finding else claim.reason or ""]
    if missing := claim.unconfirmed:
        asides.append(f"Not confirmed: {', '.join(_field(claim, name) for name in missing)}.")
    lines += [f"[{escape(aside[0].upper() + aside[1:])}]{{.aside}}" for aside in asides if aside]
    return "<br>".join(lines)


def _field(claim: Claim, name: str) -> str:
    """Say which value a record's field holds: ``reported.a`` is that of its first model."""
    side = getattr(claim.names, name.removeprefix("reported."), "")
    return f"the value of {side}" if side else name


def _reported_cell(row: Row) -> str:
    lines = [escape(line) for line in reported_lines(row.claim)]
    for also in row.claim.also:
        text = f"{number(also.value)} {also.name}"
        lines.append(f"[{escape(text)}]{{.aside}}")
    return "<br>".join(lines) or "—"


def _reproduced_cell(row: Row) -> str:
    if row.finding is None:
        return "—"
    parts = [_finding_lines(row.finding, row.claim, "")]
    if row.recorded and row.own and row.own.profile != row.recorded.profile:
        parts.append(_finding_lines(row.own, row.claim, "this site's "))
    return "<br>".join(parts)


def _finding_lines(finding: Finding, claim: Claim, whose: str) -> str:
    value = reproduced_text(finding, claim.kind)
    estimate, _, span = value.partition(" ")
    fidelity = f", {finding.fidelity}" if finding.fidelity and not whose else ""
    verdict = f": {finding.verdict}" if whose else ""
    shortfall = f", {finding.shortfall}" if finding.shortfall and not whose else ""
    origin = f"{whose}{finding.profile}{fidelity}{verdict}{shortfall}"
    numbers = "<br>".join(f"[{escape(part)}]{{.number}}" for part in (estimate, span) if part)
    return f"{numbers}<br>[{origin}]{{.aside}}"


def _verdict_cell(row: Row) -> str:
    parts = [verdict_mark(row.verdict, row.source_was_right == "yes")]
    if row.finding and row.finding.provisional:
        parts.append("[provisional]{.provisional}")
    if row.adjusted_p is not None:
        p = "< 0.001" if row.adjusted_p < 0.001 else f"= {row.adjusted_p:.3f}"
        parts.append(f"[adjusted p {escape(p)}]{{.aside}}")
    return "<br>".join(parts)
