"""A small chapter that writes a made-up card, so that the book is tested without training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest

from chemdl.evidence import metrics
from chemdl.evidence.replicas import replica_seed
from chemdl.evidence.result import Predictions, write_result

PARAMETERS = 'profile = "quick"\nseed = 0\ndevice = "auto"\noutput = ""'
STUDY = """
import json
from pathlib import Path
from chemdl.progress import Progress

cards = Path(output) / "cards"
cards.mkdir(parents=True, exist_ok=True)
with Progress("tiny", 2, 0) as progress:
    for _ in range(2):
        progress.advance("m")
card = json.loads({card!r})
card["profile"], card["protocol"]["seed"] = profile, seed
(cards / "tiny.json").write_text(json.dumps(card))
"""

MakeChapter = Callable[..., Path]


def _write_notebook(
    path: Path,
    *cells: str,
    parameters: str = PARAMETERS,
    text: str = "# A tiny chapter\n\nWhat is found, and how.",
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    notebook = nbformat.v4.new_notebook()
    notebook.metadata.kernelspec = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    first = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    code = [nbformat.v4.new_code_cell(cell) for cell in cells]
    notebook.cells = [nbformat.v4.new_markdown_cell(text), first, *code]
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    nbformat.write(notebook, path)
    return path


@pytest.fixture(scope="session")
def write_notebook() -> Callable[..., Path]:
    """Write a notebook with a text, the parameters cell and then these code cells."""
    return _write_notebook


@pytest.fixture
def make_chapter(tmp_path: Path, card_content: Callable[..., dict[str, Any]]) -> MakeChapter:
    """Write ``chapters/01-tiny.ipynb``; without cells, one that writes a made-up card."""
    predictions = {"file": "tiny.npz", "sha256": "0" * 64}
    rows = [{"model": "m", "fold": 0, "values": {"roc_auc": {"t": 0.5}}}]
    card = card_content(rows, study="tiny", predictions=predictions)
    study = STUDY.format(card=json.dumps(card))

    def make(*cells: str, name: str = "01-tiny.ipynb", **more: str) -> Path:
        return _write_notebook(tmp_path / "chapters" / name, *(cells or (study,)), **more)

    return make


TINY_STUDY = "tiny_random"
KINDS = {"deep_net": "deep", "forest": "classical", "mean": "trivial"}


@pytest.fixture(scope="session")
def write_card(card_content: Callable[..., dict[str, Any]]) -> Callable[..., Path]:
    """Write a made-up card of the study tiny_random, and its predictions, into a folder."""

    def write(
        folder: Path, seed: int, signal: dict[str, float], content: str = "a" * 64, **fields: Any
    ) -> Path:
        rows, predictions = _scored(seed, signal)
        dataset = {"content_sha256": content, "n": 120}
        fields = {"study": TINY_STUDY, "profile": "smoke", "dataset": dataset, **fields}
        write_result(card_content(rows, KINDS, **fields), predictions, folder)
        return folder

    return write


def _scored(seed: int, signal: dict[str, float]) -> tuple[list[dict[str, Any]], Predictions]:
    """Return rows of scores that follow from made-up predictions of two folds and two tasks."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 2, (120, 2)).astype(np.float32)
    targets[0, 0] = np.nan
    arrays: dict[str, np.ndarray] = {}
    rows = []
    for fold, test in enumerate(np.split(np.arange(120), 2)):
        arrays[f"test/0/{fold}"] = test
        for model, strength in signal.items():
            noise = rng.normal(size=(60, 2)) if strength else np.zeros((60, 2))
            p = 1 / (1 + np.exp(-np.nan_to_num(targets[test]) * strength - noise))
            arrays[f"{model}/all/0/{fold}"] = p
            a, b = metrics.score_tasks("roc_auc", targets[test], p)
            values = {"roc_auc": {"a": float(a), "b": float(b)}}
            own = replica_seed(0, TINY_STUDY, model, 0, fold)
            row = {"model": model, "fold": fold, "n_train": 60, "n_test": 60, "seed": own}
            rows.append({**row, "values": values})
    return rows, Predictions(targets, arrays)
