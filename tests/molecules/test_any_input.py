"""Models whose input is chosen by tuning: each family has the same choice, and all of it works."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import skew
from sklearn.base import clone

import chemdl
from chemdl.learn.models import find_model
from chemdl.molecules.any_input import CLASSICAL, INPUTS, NET, any_input_models
from chemdl.molecules.descriptors import DescriptorScaler
from chemdl.registry import UnknownNameError

# Kernels and neighbours read bits and counts as similarities.
SAME = {"tanimoto": "bits", "tanimoto_counts": "counts"}
FAST = {
    "epochs": 30,
    "hidden": (64,),
    "dropout": (0.0, 0.0),
    "device": "cpu",
    "learning_rate": 3e-3,
}
FULL = chemdl.read_settings({"profile": "full", "device": "cpu"})


@pytest.fixture(scope="module")
def solubility():
    return chemdl.load("esol").sample(150, seed=0)


def test_every_family_has_the_same_choice_of_inputs(solubility):
    choices = {
        name: [SAME.get(value, value) for value in model.search_space["representation"]]
        for name, model in any_input_models(solubility, FULL).items()
    }
    assert set(choices) == {NET, *CLASSICAL}
    assert {tuple(inputs) for inputs in choices.values()} == {INPUTS}
    families = {find_model(name, "smiles").family for name in choices}
    assert len(families) == len(choices)


@pytest.mark.parametrize("name", [NET, *CLASSICAL])
def test_each_choice_is_read_and_beats_the_mean(solubility, name):
    train, test = solubility.subset(np.arange(110)), solubility.subset(np.arange(110, 150))
    model = any_input_models(solubility, FULL, trees=20)[name]
    if name == NET:
        model.set_params(**FAST)
    predictions = []
    for choice in model.search_space["representation"]:
        fitted = clone(model).set_params(representation=choice).fit(train.inputs, train.targets)
        predictions.append(fitted.predict(test.inputs).ravel())
    errors = [np.sqrt(np.mean((p - test.targets[:, 0]) ** 2)) for p in predictions]
    assert max(errors) < test.targets.std()
    assert len({tuple(p.round(4)) for p in predictions}) == len(predictions)


def test_a_missing_descriptor_is_filled_alike_whoever_stands_beside_it(solubility):
    """RDKit gives no partial charges of many metals."""
    net = any_input_models(solubility, FULL)[NET].set_params(representation="descriptors", **FAST)
    inputs = np.append(solubility.inputs[:60], "C[Hg]C")
    net.fit(inputs, np.append(solubility.targets[:60, 0], 0.0))
    alone = net.predict(inputs[-1:])
    assert np.isfinite(alone).all()
    np.testing.assert_allclose(net.predict(inputs)[-1:], alone, rtol=1e-4)


def test_without_trials_there_is_nothing_to_choose(solubility):
    quick = {"profile": "quick", "device": "cpu"}
    assert any_input_models(solubility, chemdl.read_settings(quick)) == {}
    assert any_input_models(solubility, chemdl.read_settings({**quick, "trials": 3}))


def test_a_misspelt_input_is_refused(solubility):
    for model in any_input_models(solubility, FULL, trees=5).values():
        with pytest.raises(UnknownNameError, match=r"'descriptor'.*Did you mean 'descriptors'"):
            clone(model).set_params(representation="descriptor").fit(
                solubility.inputs, solubility.targets
            )


def test_scaled_descriptors_are_centred_bounded_and_less_skewed():
    rng = np.random.default_rng(0)
    rows = np.column_stack(
        [
            rng.normal(5, 2, 400),
            rng.lognormal(0, 1.5, 400),
            np.full(400, 3.0),
            rng.normal(0, 1, 400),
        ]
    )
    rows[rng.random(400) < 0.1, 3] = np.nan
    scaler = DescriptorScaler().fit(rows)
    scaled = scaler.transform(rows)
    assert list(scaler.skewed_) == [False, True, False, False]
    assert np.abs(skew(scaled[:, 1])) < np.abs(skew(rows[:, 1])) / 2
    np.testing.assert_allclose(scaled[:, :2].mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(scaled[:, [0, 1, 3]].std(axis=0), 1, rtol=1e-6)
    assert not scaled[:, 2].any()
    assert np.abs(scaler.transform(np.full((1, 4), 1e30))).max() == 10


def test_scaling_learns_from_the_fitted_rows_alone():
    rng = np.random.default_rng(1)
    rows, others = rng.normal(size=(50, 3)), rng.normal(5, 1, (50, 3))
    scaler = DescriptorScaler().fit(rows)
    alone = scaler.transform(rows)
    scaler.transform(others)
    np.testing.assert_array_equal(scaler.transform(rows), alone)
