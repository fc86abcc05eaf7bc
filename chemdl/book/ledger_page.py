"""What was found: the part of the start page that says it, and the ledger of all claims."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from chemdl.book.markdown import escape, table, verdict_mark
from chemdl.evidence.claims import CHAPTERS, Claim
from chemdl.evidence.ledger import (
    Finding,
    Row,
    answers,
    number,
    reported_lines,
    reproduced_text,
    tally,
    winners,
)
from chemdl.evidence.verdicts import MEANING, TALLY_FIDELITY, WORDS

_CONFIRMATION = {
    "confirmed": "number read in its source",
    "partly": "number read in part",
    "unconfirmed": "number not read in its source",
}


def found_text(rows: Sequence[Row]) -> str:
    """Return the part of the start page that says what came out, from cards alone."""
    tested = [row for row in rows if row.finding and row.verdict != "not run"]
    testable = sum(row.claim.test is not None for row in rows)
    lines = [
        f"The review and the papers behind it make **{len(rows)} claims** that this book has on "
        f"record. A test is written for {testable} of them, and {len(tested)} were tested so far.",
        "",
        *_final_lines(rows),
    ]
    judged = [row for row in tested if row.finding and row.finding.fidelity in TALLY_FIDELITY]
    if judged:
        lines += ["Tested with the source's own learners and inputs:", ""]
        lines += [_claims_table(judged, linked=True)]
    if len(tested) > len(judged):
        lines += [
            f"{len(tested) - len(judged)} more were tested with another learner, input or measure "
            "than the source's; they have numbers and no verdict, and stand in the "
            "[ledger](pages/claims.md).",
            "",
        ]
    if not tested:
        lines += ["No card is recorded yet: run a chapter, and its verdicts appear here.", ""]
    return "\n".join(lines)


def _final_lines(rows: Sequence[Row]) -> list[str]:
    """Say, in two sentences, who won and whether the sources were right."""
    counted = tally(rows)
    if not counted:
        return [
            "No verdict is final yet: none rests on a whole study whose models were tuned as the "
            "rule asks.",
            "",
        ]
    verdicts = ", ".join(f"{n} {verdict}" for verdict, n in counted.items())
    won = ", ".join(f"{n} {who}" for who, n in winners(rows).items())
    right = ", ".join(f"{n} {word}" for word, n in answers(rows).items())
    return [
        f"Final verdicts, each measured contrast counted once: {verdicts}.",
        f"*Who won:* {won}. *Was the source right:* {right}.",
        "",
    ]


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
        title, page = titles.get(chapter, (chapter.replace("-", " ").capitalize(), ""))
        # So that any page can point to a chapter, `[...](#property-prediction)`, written or not.
        lines += [f"({chapter})=", f"## {escape(title)}", ""]
        if page:
            lines += [f"These are judged in [this chapter](../{page}).", ""]
        else:
            lines += ["This chapter is not written yet; its tests are on record.", ""]
        judged = [row for row in own if not _is_analogue(row)]
        analogues = [row for row in own if _is_analogue(row)]
        if judged:
            lines += [_claims_table(judged, linked=False)]
        if analogues:
            lines += [
                "Tested by an analogue: another learner, input or measure than the source's. The "
                "numbers stand here, and no verdict.",
                "",
                _claims_table(analogues, linked=False),
            ]
    return "\n".join(lines)


def _tally_table(rows: Sequence[Row]) -> str:
    final = tally(rows)
    others = Counter(row.verdict for row in rows if not row.counts)
    body = [
        (verdict_mark(verdict), str(final.get(verdict, "")), str(others[verdict] or ""), meaning)
        for verdict, meaning in MEANING.items()
        if final.get(verdict) or others[verdict]
    ]
    header = ("verdict", "final, by contrast", "provisional or without one, by claim", "meaning")
    return table(header, body)


def _claims_table(rows: Sequence[Row], linked: bool) -> str:
    header = ("Claim", "Reported", "Here", "Who won", "Was the source right?", "Verdict")
    body = [
        (
            _claim_cell(row, linked),
            _reported_cell(row),
            _reproduced_cell(row),
            (row.finding.won if row.finding else "") or "—",
            row.source_was_right or "—",
            _verdict_cell(row),
        )
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
    parts = [verdict_mark(row.verdict)]
    finding = row.finding
    if finding and row.verdict in WORDS:
        if finding.provisional:
            parts.append("[provisional]{.provisional}")
        if finding.holds_elsewhere is not None:
            where = "another sample of this size too" if finding.holds_elsewhere else "this sample"
            parts.append(f"[holds for {where}]{{.aside}}")
    if finding and finding.changed:
        parts.append("[the claim or the rule changed after this ran]{.aside}")
    if row.adjusted_p is not None:
        p = "< 0.001" if row.adjusted_p < 0.001 else f"= {row.adjusted_p:.3f}"
        parts.append(f"[adjusted p {escape(p)}]{{.aside}}")
    return "<br>".join(parts)


def _is_analogue(row: Row) -> bool:
    return row.claim.test is not None and row.claim.test.fidelity not in TALLY_FIDELITY
