"""Classical models of materials: they learn, and do with their rows what is said of them."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pymatgen.core", reason="pip install pymatgen-core")

import chemdl
from chemdl.data import Dataset
from chemdl.learn.models import BASELINES, make_baseline
from chemdl.materials.baselines import CLASSIFIERS, REGRESSORS, classifier, regressor

TRAIN, TEST = np.arange(0, 1200, 2), np.arange(1, 1200, 2)


@pytest.fixture(scope="module")
def gaps() -> Dataset:
    return chemdl.load("expt_gap")


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors_beat_the_mean(name: str, gaps: Dataset) -> None:
    y = gaps.targets[:, 0]
    model = regressor(name, trees=20, rounds=100).fit(gaps.inputs[TRAIN], y[TRAIN])
    error = np.abs(model.predict(gaps.inputs[TEST]) - y[TEST]).mean()
    mean = np.abs(y[TRAIN].mean() - y[TEST]).mean()
    assert error == pytest.approx(mean) if name == "trivial" else error < 0.75 * mean
    assert model.kind == ("trivial" if name == "trivial" else "classical")


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_beat_chance(name: str) -> None:
    metals = chemdl.load("expt_is_metal")
    y = metals.targets[:, 0]
    model = classifier(name, trees=20).fit(metals.inputs[TRAIN], y[TRAIN])
    accuracy = (model.predict(metals.inputs[TEST]) == y[TEST]).mean()
    assert name == "trivial" or accuracy > 0.7


def test_the_registry_makes_the_same_models(gaps: Dataset) -> None:
    for name in REGRESSORS:
        registered, made = make_baseline(name, gaps, seed=3), regressor(name, seed=3)
        assert registered.revision == 1
        assert repr(registered.get_params()) == repr(made.get_params())
    assert BASELINES["crystal/extra_trees"].family == "forest"
    assert BASELINES["formula/svm_rbf"].learns == ("classification",)


def test_a_misspelt_name_lists_near_misses() -> None:
    with pytest.raises(ValueError, match="Did you mean 'random_forest'"):
        regressor("random_forst")


def test_boosting_sets_no_rows_aside_however_many_there_are(gaps: Dataset) -> None:
    inputs, targets = np.tile(gaps.inputs, 3), np.tile(gaps.targets[:, 0], 3)
    model = regressor("gradient_boosting", rounds=3).fit(inputs, targets)
    (fitted,) = model.estimators_
    assert len(inputs) > 10_000  # from there on scikit-learn would stop early by itself
    assert fitted.n_iter_ == 3
    assert len(fitted.validation_score_) == 0
