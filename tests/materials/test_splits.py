"""Splits of materials, their rivals and their figures."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pymatgen.core", reason="pip install pymatgen-core")

import chemdl
from chemdl.data import Dataset
from chemdl.evidence import splits
from chemdl.materials import baselines as material_baselines
from chemdl.materials import splits as material_groups


@pytest.fixture(scope="module")
def gaps() -> Dataset:
    return chemdl.load("expt_gap")


def made(inputs: list[str], values: np.ndarray) -> Dataset:
    card = {"input": "formula", "licence": {}, "cleaning": {}}
    return Dataset("made", np.array(inputs, object), values[:, None], ("y",), "regression", "eV",
                   card)  # fmt: skip


def test_no_composition_stands_on_two_sides() -> None:
    formulas = [f"Na{i}Cl{j}" for i in (1, 2, 3) for j in (1, 2, 3)] * 4
    data = material_groups.with_compositions(made(formulas, np.arange(36.0)))
    keys = data.columns["composition"]
    assert len(set(keys)) == 7  # NaCl, Na2Cl2 and Na3Cl3 are one
    protocol = splits.grouped(data, column="composition", repeats=2, folds=3)
    for split in protocol.splits:
        sides = [set(keys[rows]) for rows in (split.train, split.valid, split.test)]
        assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    assert protocol.duplicates == {"composition": 0}
    assert splits.random(data, repeats=1, folds=3).duplicates["composition"] > 0


def test_published_folds_test_every_row_once(gaps: Dataset) -> None:
    protocol = material_groups.published_folds(gaps)
    assert (protocol.name, len(protocol)) == ("published_folds", 5)
    tested = np.concatenate([split.test for split in protocol.splits])
    assert sorted(tested.tolist()) == list(range(len(gaps)))
    for split in protocol.splits:
        assert set(gaps.columns["fold"][split.test].tolist()) == {split.fold}
    # TeSe and Te0.5Se0.5, for one: Matbench told rows apart by their text.
    assert protocol.duplicates == {"composition": 4}


def test_clusters_are_families_of_elements(gaps: Dataset) -> None:
    clustered = material_groups.with_clusters(gaps)
    names, counts = np.unique(clustered.columns["cluster"], return_counts=True)
    assert len(names) == 6 and counts.min() > 100
    oxides = gaps.inputs[clustered.columns["cluster"] == "O"]
    assert np.mean(["O" in text for text in oxides]) == 1.0
    again = material_groups.with_clusters(gaps).columns["cluster"]
    np.testing.assert_array_equal(again, clustered.columns["cluster"])


def test_a_part_of_a_published_split_keeps_its_sides() -> None:
    data = made([f"Na{i}Cl" for i in range(1, 31)], np.arange(30.0))
    sides = np.repeat(["train", "valid", "test"], [20, 5, 5])
    data = Dataset(data.name, data.inputs, data.targets, data.tasks, data.kind, data.unit,
                   data.card, {"set": sides})  # fmt: skip
    part = material_groups.part_of_published(data, train=8, valid=2, test=4)
    assert np.unique(part.columns["set"], return_counts=True)[1].tolist() == [4, 8, 2]


@pytest.mark.parametrize("name", material_baselines.REGRESSORS)
def test_rivals_beat_the_mean(name: str, gaps: Dataset) -> None:
    train, test = np.arange(0, 1200, 2), np.arange(1, 1200, 2)
    y = gaps.targets[:, 0]
    model = material_baselines.regressor(name, trees=20).fit(gaps.inputs[train], y[train])
    error = np.abs(model.predict(gaps.inputs[test]) - y[test]).mean()
    mean = np.abs(y[train].mean() - y[test]).mean()
    assert error == pytest.approx(mean) if name == "trivial" else error < 0.75 * mean
    assert model.kind == ("trivial" if name == "trivial" else "other")


@pytest.mark.parametrize("name", material_baselines.CLASSIFIERS)
def test_classifying_rivals_beat_chance(name: str) -> None:
    metals = chemdl.load("expt_is_metal")
    train, test = np.arange(0, 1200, 2), np.arange(1, 1200, 2)
    y = metals.targets[:, 0]
    model = material_baselines.classifier(name, trees=20).fit(metals.inputs[train], y[train])
    accuracy = (model.predict(metals.inputs[test]) == y[test]).mean()
    assert name == "trivial" or accuracy > 0.7


def test_a_misspelt_rival_lists_near_misses() -> None:
    with pytest.raises(ValueError, match="Did you mean 'random_forest'"):
        material_baselines.regressor("random_forst")


def test_boosting_sets_no_rows_aside_however_many_there_are(gaps: Dataset) -> None:
    inputs, targets = np.tile(gaps.inputs, 3), np.tile(gaps.targets[:, 0], 3)
    model = material_baselines.regressor("gradient_boosting", rounds=3).fit(inputs, targets)
    (fitted,) = model.estimators_
    assert len(inputs) > 10_000  # from there on scikit-learn would stop early by itself
    assert fitted.n_iter_ == 3
    assert len(fitted.validation_score_) == 0
