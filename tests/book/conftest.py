"""A small chapter that writes a made-up card, so that the book is tested without training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

PARAMETERS = 'profile = "quick"\nseed = 0\ndevice = "auto"\noutput = ""'
STUDY = """
import json, os, time
from pathlib import Path

cards = Path(output) / "cards"
cards.mkdir(parents=True, exist_ok=True)
with open(os.environ["CHEMDL_PROGRESS"], "a") as side_file:
    for done in (1, 2):
        event = {"time": time.time(), "study": "tiny", "done": done, "total": 2, "model": "m",
                 "seconds_left": 0.5}
        side_file.write(json.dumps(event) + "\\n")
(cards / "tiny.json").write_text(json.dumps(
    {"study": "tiny", "chapter": "tiny", "profile": profile, "seed": seed}))
"""

MakeChapter = Callable[..., Path]


@pytest.fixture
def make_chapter(tmp_path: Path) -> MakeChapter:
    """Write ``<folder>/01-tiny.ipynb`` with these code cells after the parameters cell."""

    def make(
        *cells: str,
        folder: Path | None = None,
        name: str = "01-tiny.ipynb",
        parameters: str = PARAMETERS,
    ) -> Path:
        folder = folder or tmp_path / "chapters"
        folder.mkdir(parents=True, exist_ok=True)
        notebook = nbformat.v4.new_notebook()
        notebook.metadata.kernelspec = {
            "name": "python3",
            "display_name": "Python 3",
            "language": "python",
        }
        first = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
        title = nbformat.v4.new_markdown_cell("# A tiny chapter\n\nWhat is found, and how.")
        code = [nbformat.v4.new_code_cell(cell) for cell in (cells or (STUDY,))]
        notebook.cells = [title, first, *code]
        for number, cell in enumerate(notebook.cells):
            cell["id"] = f"cell-{number}"
        path = folder / name
        nbformat.write(notebook, path)
        return path

    return make
