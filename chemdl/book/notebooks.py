"""Turn an executed chapter into a page, without the outputs that only concern its run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PROGRESS = re.compile(r".*\d%\|.*|.*\d\s?(?:it/s|s/it).*")
_WIDGET = "application/vnd.jupyter.widget-view+json"


def write_clean_copy(executed: Path, target: Path, run: Mapping[str, Any]) -> None:
    """Write the page of an executed chapter; ``run`` is the record of its run.

    These are left out: the injected parameters, the set-up cell's output, progress bars, messages
    on standard error, and papermill's notes, which contain paths. The run time in seconds is
    written under the title.
    """
    import nbformat

    notebook = nbformat.read(executed, as_version=4)
    notebook.cells = [
        clean_cell(cell) for cell in notebook.cells if not _has_tag(cell, "injected-parameters")
    ]
    for note in ("papermill", "widgets"):
        notebook.metadata.pop(note, None)
    facts = nbformat.v4.new_markdown_cell(run_facts(run), id="run-facts")
    notebook.cells.insert(1, facts)
    notebook.nbformat_minor = max(notebook.nbformat_minor, 5)
    nbformat.write(notebook, target)


def clean_cell(cell: Any) -> Any:
    """Return the cell as the book shows it."""
    for note in ("papermill", "execution"):
        cell.metadata.pop(note, None)
    if cell.cell_type != "code":
        return cell
    if _has_tag(cell, "setup"):
        cell.outputs = []
        cell.metadata["tags"] = sorted({*cell.metadata["tags"], "hide-input"})
    cell.outputs = [kept for output in cell.outputs if (kept := clean_output(output)) is not None]
    return cell


def clean_output(output: Any) -> Any | None:
    """Return the output as the book shows it, or ``None`` for one that is not shown."""
    if output.output_type != "stream":
        return None if _WIDGET in output.get("data", {}) else output
    if output.name == "stderr":
        return None
    # A terminal shows what stands after a line's last carriage return.
    lines = [line.rsplit("\r", 1)[-1] for line in output.text.replace("\r\n", "\n").split("\n")]
    output.text = "\n".join(line for line in lines if not _PROGRESS.fullmatch(line.strip()))
    return output if output.text.strip() else None


def run_facts(run: Mapping[str, Any]) -> str:
    """Return the line under a chapter's title: how it was run, and how long that took."""
    machine = run["machine"]
    device = "a GPU" if machine["device"] == "cuda" else f"{machine['threads']} CPU threads"
    resumed = ", with replicas stored before" if run["resumed"] else ""
    seconds = f"{run['seconds']:.0f} seconds"
    text = f"Run in profile `{run['parameters']['profile']}`: {seconds} on {device}{resumed}."
    more = "What these words mean: [how to read a verdict](../pages/verdicts.md)."
    return f":::{{div}} facts\n{text} {more}\n:::"


def _has_tag(cell: Any, tag: str) -> bool:
    return tag in cell.metadata.get("tags", [])
