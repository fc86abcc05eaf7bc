"""Errors by similarity: neighbours are sought outside the fold, and bins hold everyone once."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator

import chemdl
from chemdl.data import Dataset
from chemdl.evidence.cards import Predictions
from chemdl.molecules import residuals

SMILES = ["CCO", "CCO", "CCCO", "c1ccccc1", "Cc1ccccc1", "CCN", "CC(=O)O", "CCCCO"]
FOLDS = (np.array([0, 3, 5]), np.array([1, 2, 4, 6]))


@pytest.fixture
def data() -> Dataset:
    y = np.arange(8.0)[:, None]
    return Dataset("tiny", np.array(SMILES, object), y, ("t",), "regression", "K", {})


@pytest.fixture
def predictions(data) -> Predictions:
    arrays: dict[str, np.ndarray] = {"test/1/0": np.array([7]), "net/all/1/0": np.zeros((1, 1))}
    for fold, rows in enumerate(FOLDS):
        arrays[f"test/0/{fold}"] = rows
        arrays[f"net/all/0/{fold}"] = data.targets[rows] + (-1.0) ** rows[:, None] * rows[:, None]
    return Predictions(data.targets, arrays)


def test_the_nearest_neighbour_lies_outside_the_fold(data, predictions, monkeypatch) -> None:
    monkeypatch.setattr(residuals, "_BLOCK", 2)
    found = residuals.nearest_similarity(data.inputs, predictions)
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    bits = [generator.GetFingerprint(Chem.MolFromSmiles(text)) for text in SMILES]
    for rows in FOLDS:
        train = [bits[i] for i in range(8) if i not in rows]
        expected = [max(DataStructs.BulkTanimotoSimilarity(bits[i], train)) for i in rows]
        np.testing.assert_allclose(found[rows], expected, rtol=1e-6)
    assert found[0] == 1.0
    assert np.isnan(found[7])


def test_every_tested_molecule_counts_once(data, predictions) -> None:
    table = residuals.by_similarity(data, predictions, ["net", "net"], bins=3)
    assert set(table["model"]) == {"net"}
    assert table["molecules"].sum() == 7
    assert (np.diff(table["similarity"]) > 0).all()
    # The errors are the row numbers.
    assert (table["error"] * table["molecules"]).sum() == pytest.approx(sum(range(7)))
    assert (table["low"] <= table["error"]).all() and (table["error"] <= table["high"]).all()


def test_the_interval_is_that_of_the_mean() -> None:
    values = np.random.default_rng(0).exponential(size=400)
    low, high = residuals._bootstrap(values, seed=0)
    error = values.std(ddof=1) / 20
    assert (low, high) == pytest.approx(
        (values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.2 * error
    )
    assert residuals._bootstrap(values, seed=0) == (low, high)


def test_equal_similarities_share_a_bin() -> None:
    values = np.array([0.1, 0.2, 0.3, 1.0, 1.0, 1.0, 1.0, 1.0])
    places = residuals._bins(values, 4)
    assert len(set(places[3:])) == 1
    assert places[0] != places[3]
    assert len(set(residuals._bins(np.full(5, 0.5), 3))) == 1


def test_other_rows_than_those_predicted_are_refused(data, predictions) -> None:
    with pytest.raises(ValueError, match="take the rows that the study ran on"):
        residuals.by_similarity(data.subset([0, 1, 2]), predictions, ["net"])
    with pytest.raises(ValueError, match="tiny"):
        residuals.by_similarity(data.subset(np.arange(8)[::-1]), predictions, ["net"])


def test_a_real_set_stored_as_float32_is_the_same() -> None:
    data = chemdl.load("freesolv").sample(30)
    rows = np.arange(0, 30, 2)
    arrays = {"test/0/0": rows, "m/all/0/0": data.targets[rows]}
    table = residuals.by_similarity(
        data, Predictions(data.targets.astype(np.float32), arrays), ["m"], bins=2
    )
    np.testing.assert_allclose(table["error"], 0, atol=1e-6)
