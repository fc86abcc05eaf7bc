"""Nets over compositions and crystals: what may not matter does not, and they can learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("pymatgen.core", reason="pip install pymatgen-core")

from pymatgen.core import Lattice, Structure
from sklearn.base import clone

import chemdl
from chemdl.evidence.replicas import seeded
from chemdl.learn import catalogue
from chemdl.learn.ragged import Ragged
from chemdl.materials.crystals import parse_crystal

SMALL: dict[str, dict[str, Any]] = {
    "elemnet": {"width": 64, "dropout": 0.0, "learning_rate": 3e-3},
    "descriptor_net": {"width": 32, "dropout": 0.0, "learning_rate": 1e-2},
    "attention": {"width": 16, "blocks": 1, "heads": 2, "dropout": 0.0, "learning_rate": 1e-2},
    "crystal_net": {"width": 16, "depth": 2, "learning_rate": 1e-2},
}
QUICK = {"epochs": 3, "batch_size": 8, "device": "cpu"}


@pytest.fixture(scope="module")
def crystals() -> tuple[np.ndarray, np.ndarray]:
    data = chemdl.load("flla")
    return data.inputs[:48], data.targets[:48, 0]


def fitted(name: str, crystals: Any, **changes: Any) -> Any:
    net = catalogue.net(name, "regression", **{**SMALL[name], **QUICK, **changes})
    return seeded(net, 5).fit(*crystals)


@pytest.mark.parametrize("name", SMALL)
def test_a_few_materials_can_be_learned_by_heart(name: str, crystals) -> None:
    inputs, y = crystals[0][:8], crystals[1][:8]
    rows = [(np.arange(8), np.arange(8))]
    net = catalogue.net(
        name, "regression", **{**SMALL[name], **QUICK, "epochs": 150, "patience": 150}
    )
    (stack,) = net.fit_replicas(inputs, y, rows, [3])
    found = stack[0].estimator.predict(inputs)
    assert np.abs(found - y).mean() < 0.3 * np.abs(y - y.mean()).mean()


@pytest.mark.parametrize("name", SMALL)
def test_predictions_do_not_depend_on_company(name: str, crystals) -> None:
    net = fitted(name, crystals)
    whole = net.predict(crystals[0])
    np.testing.assert_allclose(net.predict(crystals[0][7:8]), whole[7:8], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["elemnet", "descriptor_net", "attention"])
def test_the_order_of_the_elements_does_not_matter(name: str, crystals) -> None:
    net = fitted(name, crystals)
    found = net.predict(["BaTiO3", "O3BaTi", "TiBaO3", "Ba4Ti4O12"])
    np.testing.assert_allclose(found, found[0], rtol=1e-4, atol=1e-5)


def test_attention_is_indifferent_to_the_places_of_a_set() -> None:
    net = catalogue.net("attention", "regression", **SMALL["attention"])
    features = net.featurize(["BaTiO3", "La1.85Sr0.15CuO4"])
    network = net.build(features, 1).eval()
    order = np.array([2, 0, 3, 1])
    batch = {name: torch.tensor(value) for name, value in features.items()}
    turned = {name: torch.tensor(value[:, order]) for name, value in features.items()}
    with torch.no_grad():
        a, b = (network(x, None, torch.ones(2)) for x in (batch, turned))
    torch.testing.assert_close(a, b)


def test_the_crystal_net_sees_no_cell_and_no_origin(crystals) -> None:
    net = fitted("crystal_net", crystals)
    for text in crystals[0][:6]:
        given = parse_crystal(text)
        moved = Structure(Lattice(given.lattice), given.numbers.tolist(), given.coordinates)
        moved.translate_sites(list(range(len(moved))), [0.25, 0.5, 0.125])
        doubled = moved.copy()
        doubled.make_supercell([1, 2, 1])
        shuffled = Structure.from_sites([moved[i] for i in np.arange(len(moved))[::-1]])
        found = net.predict([text, *map(written, (moved, doubled, shuffled))])
        np.testing.assert_allclose(found, found[0], rtol=1e-3, atol=1e-3)


def written(given: Structure) -> str:
    """Write a crystal with all digits."""
    sites = [f"{s.specie.symbol} {' '.join(map(repr, s.frac_coords.tolist()))}" for s in given]
    return "; ".join([" ".join(map(repr, given.lattice.matrix.ravel().tolist())), *sites])


@pytest.mark.parametrize("name", SMALL)
def test_a_stack_gives_what_its_members_give_alone(name: str, crystals) -> None:
    inputs, y = crystals
    net = catalogue.net(name, "regression", **{**SMALL[name], **QUICK, "epochs": 2})
    if "dropout" in net.get_params():
        net.set_params(dropout=0.1)
    rows = [(np.arange(0, 32), np.arange(32, 48)), (np.arange(16, 48), np.arange(16))]
    found = []
    for stack in (True, False):
        members = [t for s in net.fit_replicas(inputs, y, rows, [1, 2], stack=stack) for t in s]
        found.append([t.estimator.predict(inputs) for t in members])
    np.testing.assert_allclose(found[0], found[1], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", SMALL)
def test_classes_get_probabilities(name: str, crystals) -> None:
    inputs, y = crystals
    net = catalogue.net(name, "classification", **{**SMALL[name], **QUICK})
    proba = clone(net).fit(inputs, (y > np.median(y)).astype(float)).predict_proba(inputs)
    assert proba.shape == (48, 2)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-5)


def test_features_are_rows_of_their_materials(crystals) -> None:
    for name in SMALL:
        features = catalogue.net(name, "regression").featurize(crystals[0])
        assert {len(value) for value in features.values()} == {48}
        ragged = [isinstance(value, Ragged) for value in features.values()]
        assert all(ragged) == (name == "crystal_net")


def test_elemnet_has_seventeen_layers_and_the_papers_size() -> None:
    net = catalogue.net("elemnet", "regression")
    network = net.build(net.featurize(["Si"]), 1)
    layers = [m for m in network.modules() if isinstance(m, torch.nn.Linear)]
    assert len(layers) == 17
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(4.6e6, rel=0.1)
