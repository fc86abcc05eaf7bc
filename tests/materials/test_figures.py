"""What the chapter on materials shows: errors by element and family, and what a screen finds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from chemdl.data import Dataset
from chemdl.evidence.cards import Predictions
from chemdl.materials import figures as material_plots


def made(inputs: list[str], values: np.ndarray) -> Dataset:
    card = {"input": "formula", "licence": {}, "cleaning": {}}
    return Dataset("made", np.array(inputs, object), values[:, None], ("y",), "regression", "eV",
                   card)  # fmt: skip


def test_errors_are_averaged_over_the_rows_that_hold_an_element() -> None:
    data = made(["NaCl", "NaBr", "KBr"], np.zeros(3))
    arrays = {"test/0/0": np.arange(3), "net/all/0/0": np.array([[1.0], [3.0], [8.0]])}
    table = material_plots.element_errors(Predictions(data.targets, arrays), data, "net", fewest=1)
    found = dict(zip(table["element"], table["error"], strict=True))
    assert found == {"Na": 2.0, "Cl": 1.0, "K": 8.0, "Br": 5.5}
    figure = material_plots.periodic_table(table, "error (eV)")
    assert sum(text.get_text() == "Na" for text in figure.axes[0].texts) == 1


def test_a_perfect_screen_finds_the_best_at_once() -> None:
    values = np.arange(200.0)[:, None]
    arrays = {
        "test/0/0": np.arange(200),
        "right/all/0/0": values,
        "wrong/all/0/0": -values,
    }
    predictions = Predictions(values, arrays)
    right = material_plots.found_best(predictions, "right")
    assert right["found"].iloc[1] == 1.0 and isinstance(right, pd.DataFrame)
    wrong = material_plots.found_best(predictions, "wrong")
    assert wrong["found"].iloc[197] == 0.0 and wrong["found"].iloc[-1] == 1.0


def test_families_left_out_stand_beside_the_same_rows_on_random_folds() -> None:
    families = np.array(["O", "S", "O", "S"])
    values = np.zeros((4, 1))
    arrays = {"test/0/0": np.arange(4), "net/all/0/0": np.array([[1.0], [2.0], [3.0], [4.0]])}
    card = {
        "models": [{"name": "net", "kind": "deep"}],
        "protocol": {"groups": ["O", "S"]},
        "metrics": [{"name": "mae", "unit": "eV", "higher_is_better": False}],
        "dataset": {"name": "expt_gap", "n": 4},
        "scores": [
            {"model": "net", "condition": "all", "fold": fold, "values": {"mae": {"gap": error}}}
            for fold, error in enumerate([5.0, 6.0])
        ],
    }
    figure = material_plots.clusters(card, Predictions(values, arrays), families, ["net", "absent"])
    dealt, left_out = (line.get_xdata() for line in figure.axes[0].get_lines())
    assert list(dealt) == pytest.approx([2.0, 3.0])
    assert list(left_out) == [5.0, 6.0]
