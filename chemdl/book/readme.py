"""The README's verdicts: a table and a figure, made from recorded cards alone."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chemdl.book import fingerprint
from chemdl.evidence.ledger import (
    Row,
    answers,
    ledger_rows,
    reported_lines,
    reproduced_text,
    tally,
    winners,
)
from chemdl.evidence.result import find_results
from chemdl.evidence.verdicts import TALLY_FIDELITY, WORDS
from chemdl.files import data_dir, project_root, write_atomically

BEGIN, END = "<!-- verdicts:begin -->", "<!-- verdicts:end -->"
_FIGURE = Path("results") / "figures" / "verdicts.png"
_MOST_LINES = 24


class ReadmeError(RuntimeError):
    """A README without the two marks between which the verdicts stand."""


def write_readme(root: Path | None = None) -> list[Path]:
    """Renew the figure and the README's region; return the files that changed."""
    readme = (root or project_root() or data_dir().parent) / "README.md"
    changed = _write(readme.parent / "data" / _FIGURE, figure_png(_recorded_rows()))
    text = readme.read_text(encoding="utf-8")
    renewed = with_region(text, region(readme.parent))
    return changed + _write(readme, renewed.encode())


def readme_table(rows: Sequence[Row]) -> str:
    """Return the table of verdicts in plain Markdown, for any reader of the README."""
    header = ("claim", "reported", "here [95 %]", "who won", "was the source right?", "verdict")
    lines = ["| " + " | ".join(header) + " |", "| --- " * len(header) + "|"]
    for row in rows:
        assert row.recorded is not None
        cells = (
            f"{row.claim.id}: {row.claim.statement}",
            "; ".join(reported_lines(row.claim)) or "—",
            reproduced_text(row.recorded, row.claim.kind),
            row.recorded.won or "—",
            row.source_was_right or "—",
            row.recorded.verdict + ("" if row.counts or row.verdict not in WORDS else " \\*"),
        )
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(lines)


def region(root: Path) -> str:
    """Return what must stand between the README's marks.

    It contains the hashes of the recorded cards and of the figure, so that a figure which does not
    match its data is detected.
    """
    rows = _recorded_rows()
    if not rows:
        return "No study is recorded yet: `make record` computes replicas and writes their cards."
    judged = [r for r in rows if r.recorded and r.recorded.fidelity in TALLY_FIDELITY]
    parts = [_summary(rows), readme_table(judged)]
    if any(not row.counts and row.verdict in WORDS for row in judged):
        parts.append(
            "\\* provisional: the study is not whole, or its models are not tuned as the rule "
            "asks; the ledger says what is missing."
        )
    parts.append(
        f"{len(rows) - len(judged)} more claims were tested by an analogue (another learner, "
        "input or measure than the source's); their numbers stand in the book's ledger, without a "
        "verdict."
    )
    figure = root / "data" / _FIGURE
    if figure.is_file():
        sha256 = hashlib.sha256(figure.read_bytes()).hexdigest()[:16]
        parts.append(
            f"![Reported differences beside the reproduced ones, with 95 % intervals]"
            f"(data/{_FIGURE.as_posix()})"
        )
        parts.append(f"<!-- cards {_cards_digest()}, figure {sha256} -->")
    return "\n\n".join(parts)


def with_region(text: str, content: str) -> str:
    """Return the README's text with ``content`` between its marks.

    Raises
    ------
    ReadmeError
        If a mark is missing.
    """
    pattern = re.compile(f"({re.escape(BEGIN)}\n).*?({re.escape(END)})", re.DOTALL)
    if not pattern.search(text):
        raise ReadmeError(f"README.md has no region {BEGIN} … {END}")
    return pattern.sub(lambda found: f"{found[1]}\n{content}\n\n{found[2]}", text)


def figure_png(rows: Sequence[Row]) -> bytes | None:
    """Draw reported beside reproduced differences, or ``None`` where there are none.

    One figure has one axis: the metric that most of the differences are measured in.
    """
    drawn = [_line(row) for row in rows if _is_difference(row)]
    metrics = [line["metric"] for line in drawn]
    if not metrics:
        return None
    metric = max(sorted(set(metrics)), key=metrics.count)
    from chemdl.show import figures

    lines = [line for line in drawn if line["metric"] == metric][:_MOST_LINES]
    return figures.png(figures.claims_and_intervals(lines, metric))


def _is_difference(row: Row) -> bool:
    found = row.recorded
    is_compared = row.claim.kind not in ("count", "level")
    return bool(found and found.value is not None and row.claim.test and is_compared)


def _line(row: Row) -> dict[str, Any]:
    assert row.recorded is not None and row.claim.test is not None
    return {
        "label": row.claim.id,
        "difference": row.recorded.value,
        "low": row.recorded.low,
        "high": row.recorded.high,
        "reported": row.claim.reported.difference,
        "metric": row.claim.test.metric,
    }


def _recorded_rows() -> list[Row]:
    return [row for row in ledger_rows() if row.recorded and row.recorded.verdict != "not run"]


def _summary(rows: Sequence[Row]) -> str:
    counts = tally(rows)
    text = f"{len(rows)} claims were tested; each measured contrast counts once."
    if not counts:
        return f"{text} No verdict is final yet."
    verdicts = ", ".join(f"{n} {verdict}" for verdict, n in counts.items())
    won = ", ".join(f"{n} {who}" for who, n in winners(rows).items())
    right = ", ".join(f"{n} {word}" for word, n in answers(rows).items())
    return f"{text} Final: {verdicts}. Who won: {won}. Was the source right: {right}."


def _cards_digest() -> str:
    results = find_results()
    return fingerprint.digest([result.path.read_bytes() for result in results.values()])[:16]


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _write(path: Path, content: bytes | None) -> list[Path]:
    if content is None or (path.is_file() and path.read_bytes() == content):
        return []
    with write_atomically(path) as temporary:
        temporary.write_bytes(content)
    return [path]
