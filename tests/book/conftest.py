"""A small chapter that writes a made-up card, so that the book is tested without training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
import pytest

from chemdl.evidence import cards, metrics

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
def make_chapter(tmp_path: Path) -> MakeChapter:
    """Write ``chapters/01-tiny.ipynb``; without cells, one that writes a made-up card."""

    def make(*cells: str, name: str = "01-tiny.ipynb", **more: str) -> Path:
        return _write_notebook(tmp_path / "chapters" / name, *(cells or (STUDY,)), **more)

    return make


TINY_STUDY = "tiny_random"
ENVIRONMENT = {
    "python": "3.11", "torch": "2.13", "rdkit": "2026", "numpy": "2.4", "sklearn": "1.9",
    "device": "cpu", "threads": 1,
}  # fmt: skip


def _write_card(
    folder: Path,
    seed: int,
    signal: dict[str, float],
    content: str = "a" * 64,
    **fields: object,
) -> Path:
    """Write a card whose scores follow from made-up predictions of two folds and two tasks."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 2, (120, 2)).astype(np.float32)
    targets[0, 0] = np.nan
    arrays: dict[str, np.ndarray] = {}
    scores = []
    for fold, rows in enumerate(np.split(np.arange(120), 2)):
        arrays[f"test/0/{fold}"] = rows
        for model, strength in signal.items():
            noise = rng.normal(size=(60, 2)) if strength else np.zeros((60, 2))
            raw = np.nan_to_num(targets[rows]) * strength + noise
            p = 1 / (1 + np.exp(-raw))
            arrays[f"{model}/all/0/{fold}"] = p
            values = metrics.score_tasks("roc_auc", targets[rows], p)
            by_task = {"a": float(values[0]), "b": float(values[1])}
            scores.append(
                {
                    "model": model,
                    "condition": "all",
                    "repeat": 0,
                    "fold": fold,
                    "n_train": 60,
                    "n_test": 60,
                    "seed": seed,
                    "value": float(values.mean()),
                    "values": {"roc_auc": by_task},
                    "fit_seconds": 0.1,
                    "predict_seconds": 0.1,
                    "stack_size": 1,
                }
            )
    kinds = {"deep_net": "deep", "forest": "other", "mean": "trivial"}
    card = {
        "schema_version": 1, "study": TINY_STUDY, "chapter": "tiny", "profile": "smoke",
        "created": "2026-01-01T00:00:00+00:00", "command": "python -m chemdl run tiny",
        "dataset": {"name": "tiny", "content_sha256": content, "n": 120, "cleaning": {}},
        "protocol": {
            "name": "random", "repeats": 1, "folds": 2, "seed": seed, "index_sha256": "b" * 64,
            "duplicates": {},
        },
        "metrics": [{"name": "roc_auc", "unit": "", "higher_is_better": True}],
        "models": [
            {
                "name": name, "kind": kinds[name], "hyperparameters": {}, "parameters": None,
                "tuning_trials": 0, "environment": ENVIRONMENT,
            }
            for name in signal
        ],
        "scores": scores, "comparisons": [], "verdicts": [], "shortfall": [], "undefined": [],
    }  # fmt: skip
    card |= fields
    cards.write(card, cards.Predictions(targets, arrays), folder)
    return folder


@pytest.fixture(scope="session")
def write_card() -> Callable[..., Path]:
    """Write a made-up card of the study tiny_random, and its predictions, into a folder."""
    return _write_card
