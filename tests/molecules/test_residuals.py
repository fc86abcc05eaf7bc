"""Errors by similarity: neighbours are sought outside the fold, and bins hold everyone once."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator

from chemdl.data import Dataset
from chemdl.evidence.result import Predictions, Result
from chemdl.molecules import residuals

SMILES = ["CCO", "CCO", "CCCO", "c1ccccc1", "Cc1ccccc1", "CCN", "CC(=O)O", "CCCCO"]
FOLDS = (np.array([0, 3, 5]), np.array([1, 2, 4, 6]))


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    # Not exact in float32, which predictions are stored in.
    y = np.arange(8.0)[:, None] + 0.1
    return Dataset("tiny", np.array(SMILES, object), y, ("t",), "regression", "K", {})


@pytest.fixture(scope="module")
def result(small_result, dataset: Dataset) -> Result:
    """Row 7 is tested in the second repeat alone; each prediction is off by the row's number."""
    arrays: dict[str, np.ndarray] = {"test/1/0": np.array([7]), "net/all/1/0": np.zeros((1, 1))}
    for fold, rows in enumerate(FOLDS):
        arrays[f"test/0/{fold}"] = rows
        off = (-1.0) ** rows * rows
        arrays[f"net/all/0/{fold}"] = dataset.targets[rows] + off[:, None]
    return small_result(
        [{"model": "net", "fold": fold, "values": {"rmse": {"t": 1.0}}} for fold in range(2)],
        {"net": "deep"},
        {"rmse": "K"},
        predictions=Predictions(dataset.targets.astype(np.float32), arrays),
        dataset={"name": "tiny", "n": 8, "content_sha256": dataset.card["content_sha256"]},
    )


def test_the_nearest_neighbour_lies_outside_the_fold(result, dataset, monkeypatch) -> None:
    monkeypatch.setattr(residuals, "_BLOCK", 2)
    nearest = residuals.nearest_similarity(result, dataset)
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    bits = [generator.GetFingerprint(Chem.MolFromSmiles(text)) for text in SMILES]
    for rows in FOLDS:
        train = [bits[i] for i in range(8) if i not in rows]
        expected = [max(DataStructs.BulkTanimotoSimilarity(bits[i], train)) for i in rows]
        np.testing.assert_allclose(nearest[rows], expected, rtol=1e-6)
    assert nearest[0] == 1.0
    assert np.isnan(nearest[7])


def test_every_tested_molecule_counts_once(result, dataset) -> None:
    table = residuals.similarity_table(result, ["net", "net"], dataset, bins=3)
    assert set(table["model"]) == {"net"}
    assert table["molecules"].sum() == 7
    assert (np.diff(table["similarity"]) > 0).all()
    # The errors are the row numbers.
    assert (table["error"] * table["molecules"]).sum() == pytest.approx(sum(range(7)))
    assert (table["low"] <= table["error"]).all() and (table["error"] <= table["high"]).all()


def test_the_figure_draws_the_table_for_models_that_are_there(result, dataset) -> None:
    axis = residuals.error_by_similarity(result, ["net", "forest"], dataset, bins=3).axes[0]
    table = residuals.similarity_table(result, ["net"], dataset, bins=3)
    (line,) = axis.containers
    np.testing.assert_allclose(line.lines[0].get_ydata(orig=False), table["error"])
    assert axis.get_ylabel() == "mean absolute error (K)"
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["net"]


def test_the_interval_is_that_of_the_mean() -> None:
    values = np.random.default_rng(0).exponential(size=400)
    low, high = residuals._bootstrap(values)
    error = values.std(ddof=1) / 20
    assert (low, high) == pytest.approx(
        (values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.2 * error
    )
    assert residuals._bootstrap(values) == (low, high)


def test_equal_similarities_share_a_bin() -> None:
    values = np.array([0.1, 0.2, 0.3, 1.0, 1.0, 1.0, 1.0, 1.0])
    places = residuals._bins(values, 4)
    assert len(set(places[3:])) == 1
    assert places[0] != places[3]
    assert len(set(residuals._bins(np.full(5, 0.5), 3))) == 1


def test_rows_that_the_study_did_not_run_on_are_refused(result, dataset) -> None:
    with pytest.raises(ValueError, match="the 3 rows of tiny are others: give the rows that it"):
        residuals.similarity_table(result, ["net"], dataset.subset([0, 1, 2]))
    with pytest.raises(ValueError, match="ran on 8 rows of tiny"):
        residuals.nearest_similarity(result, dataset.subset(np.arange(8)[::-1]))
