"""The README's verdicts: a table and a figure, made from recorded cards alone."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chemdl.book import fingerprint
from chemdl.evidence.ledger import Row, ledger_rows, reported_lines, reproduced_text, tally
from chemdl.evidence.result import find_results
from chemdl.files import data_dir, project_root, write_atomically

BEGIN, END = "<!-- verdicts:begin -->", "<!-- verdicts:end -->"
_FIGURE = Path("results") / "figures" / "verdicts.png"
_MOST_LINES = 24


class ReadmeError(RuntimeError):
    """A README without the two marks between which the verdicts stand."""


def write_readme(root: Path | None = None) -> list[Path]:
    """Renew the figure and the README's region; return the files that changed."""
    readme = _readme(root)
    changed = _write(readme.parent / "data" / _FIGURE, figure_png(_recorded_rows()))
    text = readme.read_text(encoding="utf-8")
    renewed = with_region(text, region(readme.parent))
    return changed + _write(readme, renewed.encode())


def is_current(root: Path | None = None) -> bool:
    """Say whether the README shows the recorded cards as they are, the figure included."""
    readme = _readme(root)
    text = readme.read_text(encoding="utf-8")
    return with_region(text, region(readme.parent)) == text


def readme_table(rows: Sequence[Row]) -> str:
    """Return the table of verdicts in plain Markdown, for any reader of the README."""
    lines = ["| claim | reported | reproduced [95 %] | profile | verdict |", "| --- " * 5 + "|"]
    for row in rows:
        assert row.recorded is not None
        cells = (
            f"{row.claim.id}: {row.claim.statement}",
            "; ".join(reported_lines(row.claim)) or "—",
            reproduced_text(row.recorded, row.claim.kind),
            row.recorded.profile,
            row.recorded.verdict + (" \\*" if row.recorded.provisional else ""),
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
        return "No study is recorded yet: `make record` copies a run's cards into `data/results`."
    provisional = any(row.recorded and row.recorded.provisional for row in rows)
    parts = [_summary(rows), readme_table(rows)]
    if provisional:
        parts.append("\\* provisional: a shorter run than `full`, or other data than the source's.")
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
    counts: Mapping[str, int] = tally(rows)
    final = sum(counts.values())
    text = f"{len(rows)} claims have a verdict"
    if final == len(rows):
        text += ", all by full studies"
    elif final:
        text += f", {final} of them by full studies"
    listed = ", ".join(f"{n} {verdict}" for verdict, n in counts.items())
    return text + (f" ({listed})." if listed else ", all of them provisional.")


def _cards_digest() -> str:
    results = find_results()
    return fingerprint.digest([result.path.read_bytes() for result in results.values()])[:16]


def _readme(root: Path | None) -> Path:
    root = root or project_root() or data_dir().parent
    return root / "README.md"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _write(path: Path, content: bytes | None) -> list[Path]:
    if content is None or (path.is_file() and path.read_bytes() == content):
        return []
    with write_atomically(path) as temporary:
        temporary.write_bytes(content)
    return [path]
