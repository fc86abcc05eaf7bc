"""Splits of materials: equal compositions, published folds, families of elements."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pymatgen.core", reason="pip install pymatgen-core")

import chemdl
from chemdl.data import Dataset
from chemdl.evidence import splits
from chemdl.materials import splits as material_splits


@pytest.fixture(scope="module")
def gaps() -> Dataset:
    return chemdl.load("expt_gap")


def made(inputs: list[str], values: np.ndarray) -> Dataset:
    card = {"input": "formula", "licence": {}, "cleaning": {}}
    return Dataset("made", np.array(inputs, object), values[:, None], ("y",), "regression", "eV",
                   card)  # fmt: skip


def test_no_composition_stands_in_two_subsets() -> None:
    formulas = [f"Na{i}Cl{j}" for i in (1, 2, 3) for j in (1, 2, 3)] * 4
    data = material_splits.with_compositions(made(formulas, np.arange(36.0)))
    keys = data.columns["composition"]
    assert len(set(keys)) == 7  # NaCl, Na2Cl2 and Na3Cl3 are one
    protocol = splits.grouped(data, column="composition", repeats=2, folds=3)
    for split in protocol.splits:
        train, valid, test = (set(keys[rows]) for rows in (split.train, split.valid, split.test))
        assert not (train & valid or train & test or valid & test)
    assert protocol.duplicates == {"composition": 0}
    assert splits.random(data, repeats=1, folds=3).duplicates["composition"] > 0


def test_published_folds_test_every_row_once(gaps: Dataset) -> None:
    protocol = material_splits.published_folds(gaps)
    assert (protocol.name, len(protocol)) == ("published_folds", 5)
    tested = np.concatenate([split.test for split in protocol.splits])
    assert sorted(tested.tolist()) == list(range(len(gaps)))
    for split in protocol.splits:
        assert set(gaps.columns["fold"][split.test].tolist()) == {split.fold}
    # TeSe and Te0.5Se0.5, for one: Matbench told rows apart by their text.
    assert protocol.duplicates == {"composition": 4}


def test_clusters_are_families_of_elements(gaps: Dataset) -> None:
    clustered = material_splits.with_clusters(gaps)
    names, counts = np.unique(clustered.columns["cluster"], return_counts=True)
    assert len(names) == 6 and counts.min() > 100
    oxides = gaps.inputs[clustered.columns["cluster"] == "O"]
    assert np.mean(["O" in text for text in oxides]) == 1.0
    again = material_splits.with_clusters(gaps).columns["cluster"]
    np.testing.assert_array_equal(again, clustered.columns["cluster"])
