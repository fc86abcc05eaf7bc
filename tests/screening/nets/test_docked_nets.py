"""Nets over docked complexes: what they see, their invariances, and what holds for every net."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import chemdl
from chemdl.evidence.metrics import METRICS
from chemdl.learn import catalogue
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Padded
from chemdl.screening.errors import MissingPoseError
from chemdl.screening.nets.contacts import ContactClassifier, ContactConvolution
from chemdl.screening.nets.ligands import LigandClassifier, ligand_features
from chemdl.screening.nets.voxels import VoxelClassifier, VoxelConvolution, placed, rotations

SMALL = {"epochs": 2, "batch_size": 4, "device": "cpu"}
NETS: dict[str, Any] = {
    "contact_net": ContactClassifier(width=8, **SMALL),
    "cnn3d": VoxelClassifier(width=4, size=12, resolution=1.5, **SMALL),
    "ligand_net": LigandClassifier(width=8, **SMALL),
    "properties_net": LigandClassifier("properties", width=8, **SMALL),
}
OVERFIT: dict[str, dict[str, Any]] = {
    "contact_net": {"epochs": 60, "learning_rate": 1e-2},
    "cnn3d": {"epochs": 40, "learning_rate": 1e-2},
    "ligand_net": {"epochs": 60, "learning_rate": 1e-2},
    "properties_net": {"epochs": 60, "learning_rate": 1e-2},
}


def noise(key: int = 5) -> Noise:
    return Noise(torch.tensor(key, dtype=torch.int32))


def padded(rows: int, length: int, width: int, seed: int = 0) -> Padded:
    rng = torch.Generator().manual_seed(seed)
    mask = torch.arange(length) < torch.randint(1, length, (rows, 1), generator=rng)
    return Padded(torch.randn(rows, length, width, generator=rng) * mask[..., None], mask)


# --- the networks ---------------------------------------------------------------------------------


def test_the_order_of_the_atoms_does_not_matter_and_padding_is_no_atom() -> None:
    torch.manual_seed(0)
    net, x, weight = ContactConvolution(5, 2, 7, 0.0).eval(), padded(6, 9, 5), torch.ones(6)
    values = net({"atoms": x}, None, weight)
    order = torch.randperm(9)
    turned = Padded(x.values[:, order], x.mask[:, order])
    torch.testing.assert_close(net({"atoms": turned}, None, weight), values)
    # Whatever stands in the padding, neither the largest values nor the norm look at it.
    values = net.train()({"atoms": x}, None, weight)
    filled = torch.where(x.mask[..., None], x.values, torch.tensor(50.0))
    torch.testing.assert_close(net({"atoms": Padded(filled, x.mask)}, None, weight), values)
    net.eval()
    values = net({"atoms": x}, None, weight)
    torch.testing.assert_close(net({"atoms": Padded(filled, x.mask)}, None, weight), values)
    changed = x.values.clone()
    changed[:, 0] += 3.0
    assert not torch.allclose(net({"atoms": Padded(changed, x.mask)}, None, weight), values)


@pytest.mark.parametrize("kind", ["contacts", "voxels"])
def test_rows_of_weight_zero_change_no_other(kind: str) -> None:
    torch.manual_seed(0)
    if kind == "contacts":
        net, x = ContactConvolution(5, 2, 7, 0.2), padded(8, 9, 5)
    else:
        net, x = VoxelConvolution(2, 4, 8, 1.0, 0.2), padded(8, 9, 4)
        x.values[..., 3] = 1.0
    weight = torch.tensor([1.0, 1, 1, 1, 1, 0, 0, 0])
    kept = net.train()({"atoms": x}, noise(), weight)[:5]
    x.values[5:, :, :3] += 2.0
    torch.testing.assert_close(net({"atoms": x}, noise(), weight)[:5], kept)


def test_rotations_turn_and_are_uniform() -> None:
    turns = rotations(torch.rand(4000, 3, generator=torch.Generator().manual_seed(0)))
    identity = torch.eye(3).expand(4000, 3, 3)
    torch.testing.assert_close(turns @ turns.transpose(1, 2), identity, atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(turns), torch.ones(4000))
    # Where they take a fixed direction is uniform over the sphere: mean 0, covariance 1/3.
    for direction in torch.eye(3):
        ends = turns @ direction
        assert ends.mean(0).abs().max() < 0.05
        assert (torch.cov(ends.T) - torch.eye(3) / 3).abs().max() < 0.03
    # Their trace is 1 + 2 cos of the angle, which is zero in the mean over the rotation group.
    assert turns.diagonal(dim1=1, dim2=2).sum(1).mean().abs() < 0.06


def test_atoms_lie_in_the_cells_where_they_are() -> None:
    net = VoxelConvolution(1, 4, size=6, resolution=2.0, dropout=0.0)
    # Cells have their middles at -5, -3, … 5 Å; the third atom lies outside, the last is padding.
    rows = [[1.0, -1.0, 3.0, 2.0], [0.0, 1.0, 1.0, 5.0], [7.5, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0]]
    atoms = Padded(torch.tensor([rows]), torch.tensor([[True, True, True, False]]))
    found = net.densities(atoms, torch.eye(3)[None])[0]
    expected = torch.zeros(8, 6, 6, 6)
    expected[2, 3, 2, 4] = 1.0
    expected[5, 2, 3, 3] = expected[5, 3, 3, 3] = 0.5
    torch.testing.assert_close(found, expected)
    # A quarter turn about z takes x to y.
    quarter = torch.tensor([[[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]])
    torch.testing.assert_close(net.densities(atoms, quarter)[0, 2, 3, 3, 4], torch.tensor(1.0))


def test_a_ball_holds_the_same_atoms_however_it_is_turned(workbench) -> None:
    inputs, _ = workbench.complexes(2)
    ((pose, protein), _) = chemdl.screening.contacts.complexes(inputs)
    found = placed(pose.atoms, protein, radius=8.0)
    assert found.dtype == np.float32 and set(found[:, 3]) <= set(range(8))
    assert (np.linalg.norm(found[:, :3], axis=1) < 8.0).all()
    assert 3 < len(found) < 3 + len(protein)
    np.testing.assert_allclose(found[:3, :3].mean(0), 0.0, atol=1e-5)


def test_training_turns_each_row_and_predictions_repeat() -> None:
    torch.manual_seed(0)
    net, x, weight = VoxelConvolution(1, 4, 8, 1.0, 0.0), padded(3, 9, 4), torch.ones(3)
    x.values[..., 3] = 1.0
    net.train()
    first, again = (net({"atoms": x}, noise(1), weight) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.allclose(net({"atoms": x}, noise(2), weight), first, atol=1e-4)
    net.eval()
    value = net({"atoms": x}, None, weight)
    assert torch.equal(net({"atoms": x}, None, weight), value)
    # The mean over views: one row alone gets what it gets among others.
    one = Padded(x.values[:1], x.mask[:1])
    torch.testing.assert_close(net({"atoms": one}, None, weight[:1]), value[:1])


# --- the estimators -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETS)
def test_sixteen_complexes_are_learned_by_heart(workbench, name: str) -> None:
    inputs, labels = workbench.complexes(16)
    model = NETS[name].__class__(
        **{**NETS[name].get_params(), **OVERFIT[name], "dropout": 0.0, "patience": 1000}
    )
    stacks = model.fit_replicas(inputs, labels, [(np.arange(16), np.arange(16))], [0])
    (trained,) = next(iter(stacks))
    proba = trained.estimator.predict_proba(inputs)
    assert proba.shape == (16, 2)
    assert METRICS["roc_auc"].function(labels, proba[:, 1]) > 0.99
    assert ((proba[:, 1] > 0.5) == labels).mean() > 0.9


@pytest.mark.parametrize("name", NETS)
def test_a_stack_equals_its_replicas_alone(workbench, name: str) -> None:
    """Their last batches hold 2, 3 and 1 rows of 4, so that they are padded unequally."""
    inputs, labels = workbench.complexes(16)
    rows = [
        (np.arange(0, 10), np.arange(10, 14)),
        (np.arange(5, 16), np.arange(0, 5)),
        (np.arange(7, 16), np.arange(0, 3)),
    ]
    fits = {}
    for stack in (True, False):
        stacks = NETS[name].fit_replicas(inputs, labels, rows, [1, 2, 3], stack=stack)
        trained = sorted((t for s in stacks for t in s), key=lambda t: t.position)
        assert {t.stack_size for t in trained} == {3 if stack else 1}
        fits[stack] = [t.estimator.predict_proba(inputs)[:, 1] for t in trained]
    np.testing.assert_allclose(fits[True], fits[False], atol=1e-4)
    assert not np.allclose(fits[True][0], fits[True][1], atol=1e-3)


@pytest.mark.parametrize("name", ["contact_net", "cnn3d"])
def test_a_complex_that_was_not_docked_is_named(workbench, name: str) -> None:
    inputs, labels = workbench.complexes(12)
    fitted = chemdl.evidence.replicas.seeded(NETS[name], 0).fit(inputs, labels)
    with pytest.raises(MissingPoseError, match=r"'c1ccccc1' in right.*chemdl dock right"):
        fitted.predict([*inputs, "right c1ccccc1"])


def test_the_control_sees_the_ligand_only(workbench) -> None:
    inputs, _ = workbench.complexes(12)
    swapped = [text.replace("left", "x").replace("right", "left").replace("x", "right")
               for text in inputs]  # fmt: skip
    for representation, width in (("ecfp", 2048), ("properties", 6)):
        found = ligand_features(inputs, representation)
        assert found.shape == (12, width)
        np.testing.assert_array_equal(found, ligand_features(swapped, representation))
    with pytest.raises(ValueError, match="Did you mean 'properties'"):
        ligand_features(inputs, "property")


@pytest.mark.parametrize("name", NETS)
def test_every_drawn_configuration_can_be_built(workbench, name: str) -> None:
    inputs, _ = workbench.complexes(4)
    model = catalogue.net(name, "classification")
    assert type(model) is type(NETS[name])
    assert model.search_space.keys() <= model.get_params().keys()
    rng = np.random.default_rng(0)
    for _ in range(3):
        drawn = {k: v[rng.integers(len(v))] for k, v in model.search_space.items()}
        net = model.set_params(**drawn).build(model.featurize(inputs), 3)
        assert net.output.out_features == 3
