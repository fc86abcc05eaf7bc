"""What holds for every net over materials: it learns, alone or in a stack, one row or many."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pymatgen.core", reason="pip install pymatgen-core")

from sklearn.base import clone

from chemdl.learn.models import NETS as REGISTERED
from chemdl.learn.ragged import Ragged

NETS = ("elemnet", "descriptor_net", "attention", "crystal_net")


def test_every_net_that_reads_materials_is_tested_here() -> None:
    assert {name for name, info in REGISTERED.items() if "crystal" in info.inputs} == set(NETS)
    formulas = {name for name, info in REGISTERED.items() if "formula" in info.inputs}
    assert formulas == {*NETS} - {"crystal_net"}


@pytest.mark.parametrize("name", NETS)
def test_a_few_materials_can_be_learned_by_heart(name: str, small_net, crystals) -> None:
    inputs, y = crystals[0][:8], crystals[1][:8]
    rows = [(np.arange(8), np.arange(8))]
    net = small_net(name, epochs=150, patience=150)
    (stack,) = net.fit_replicas(inputs, y, rows, [3])
    predicted = stack[0].estimator.predict(inputs)
    assert np.abs(predicted - y).mean() < 0.3 * np.abs(y - y.mean()).mean()


@pytest.mark.parametrize("name", NETS)
def test_predictions_do_not_depend_on_the_other_rows(name: str, fitted, crystals) -> None:
    whole = fitted[name].predict(crystals[0])
    alone = fitted[name].predict(crystals[0][7:8])
    np.testing.assert_allclose(alone, whole[7:8], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["elemnet", "descriptor_net", "attention"])
def test_the_order_of_the_elements_does_not_matter(name: str, fitted) -> None:
    predicted = fitted[name].predict(["BaTiO3", "O3BaTi", "TiBaO3", "Ba4Ti4O12"])
    np.testing.assert_allclose(predicted, predicted[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETS)
def test_a_stack_gives_what_its_members_give_alone(name: str, small_net, crystals) -> None:
    inputs, y = crystals
    net = small_net(name, epochs=2, dropout=0.1)
    rows = [(np.arange(0, 32), np.arange(32, 48)), (np.arange(16, 48), np.arange(16))]
    predicted = []
    for stack in (True, False):
        members = [t for s in net.fit_replicas(inputs, y, rows, [1, 2], stack=stack) for t in s]
        predicted.append([t.estimator.predict(inputs) for t in members])
    np.testing.assert_allclose(predicted[0], predicted[1], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", NETS)
def test_classes_get_probabilities(name: str, small_net, crystals) -> None:
    inputs, y = crystals
    net = clone(small_net(name, "classification"))
    proba = net.fit(inputs, (y > np.median(y)).astype(float)).predict_proba(inputs)
    assert proba.shape == (48, 2)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("name", NETS)
def test_classes_are_learned_by_entropy_and_values_by_absolute_error(name: str, small_net) -> None:
    assert small_net(name, "classification")._loss == "bce"
    assert small_net(name, "regression")._loss == "mae"


@pytest.mark.parametrize("name", NETS)
def test_features_are_rows_of_their_materials(name: str, small_net, crystals) -> None:
    features = small_net(name).featurize(crystals[0])
    assert {len(value) for value in features.values()} == {48}
    ragged = [isinstance(value, Ragged) for value in features.values()]
    assert all(ragged) == (name == "crystal_net")
