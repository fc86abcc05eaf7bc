"""Nets over geometries: what must not change, forces, extensive energies, and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import chemdl
from chemdl.learn import catalogue
from chemdl.learn.ragged import DeviceFeatures, first_replica
from chemdl.quantum.geometries import geometries, geometry, geometry_text
from chemdl.quantum.nets.dtnn import DeepTensorNet
from chemdl.quantum.nets.energies import ABSOLUTE_ERROR, AtomicSum, PaddedAtoms, energy_and_forces

NETS = ("coulomb_net", "continuous_filter", "dtnn", "behler_parrinello")
SMALL: dict[str, dict[str, Any]] = {
    "coulomb_net": {"hidden": (32, 16), "levels": 4},
    "continuous_filter": {"width": 32, "channels": 8, "layers": 2},
    "dtnn": {"width": 16, "factors": 24, "passes": 2},
    "behler_parrinello": {"hidden": (24, 12)},
}


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    qm7 = chemdl.load("qm7", tasks=["pbe0"])
    rows = np.arange(60, 7101, 90)
    return qm7.inputs[rows], qm7.targets[rows, 0]


@pytest.fixture(scope="module")
def fitted(data) -> dict[str, Any]:
    nets = {}
    for name in NETS:
        net = catalogue.net(name, "regression", epochs=3, batch_size=8, device="cpu", **SMALL[name])
        nets[name] = net.fit(*data)
    return nets


def transformed(text: str, seed: int) -> dict[str, str]:
    rng = np.random.default_rng(seed)
    numbers, xyz = geometry(text)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    order = rng.permutation(len(numbers))
    return {
        "rotated": geometry_text(numbers, xyz @ turn),
        "moved": geometry_text(numbers, xyz + rng.normal(size=3) * 3),
        "permuted": geometry_text(numbers[order], xyz[order]),
    }


@pytest.mark.parametrize("name", NETS)
def test_rotation_translation_and_order_change_nothing(name, fitted, data) -> None:
    for seed, text in enumerate(data[0][::25]):
        before, *after = fitted[name].predict([text, *transformed(str(text), seed).values()])
        np.testing.assert_allclose(after, before, rtol=1e-5)


@pytest.mark.parametrize("name", NETS)
def test_it_overfits_eight_molecules(name, data) -> None:
    net = catalogue.net(
        name, "regression", epochs=250, batch_size=8, learning_rate=5e-3, device="cpu",
        **{**SMALL[name], **({"noise": 0.0} if name == "coulomb_net" else {})},
    )  # fmt: skip
    inputs, energies = data[0][:8], data[1][:8] + 30 * np.cos(np.arange(8))
    net.fit(inputs, energies, valid=np.array([], dtype=int))
    assert np.abs(net.predict(inputs) - energies).mean() < 2.0
    from chemdl.quantum.baselines import DressedAtoms

    dressed = DressedAtoms().fit(inputs, energies).predict(inputs)
    assert np.abs(dressed - energies).mean() > 5.0


@pytest.mark.parametrize("name", NETS)
def test_a_second_fit_forgets_the_size_of_the_first_ones_molecules(name, data) -> None:
    by_size = np.argsort([text.count(";") for text in data[0]])
    small, large = by_size[:20], by_size[-20:]
    made = {"epochs": 1, "device": "cpu", **SMALL[name]}
    again = catalogue.net(name, "regression", **made)
    again.fit(data[0][small], data[1][small]).fit(data[0][large], data[1][large])
    fresh = catalogue.net(name, "regression", **made).fit(data[0][large], data[1][large])
    np.testing.assert_array_equal(again.predict(data[0][large]), fresh.predict(data[0][large]))


@pytest.mark.parametrize("name", ["continuous_filter", "behler_parrinello"])
def test_two_molecules_far_apart_have_the_sum_of_their_energies(name, fitted, data) -> None:
    first, second = geometry(data[0][10]), geometry(data[0][40])
    joined = geometry_text(
        np.concatenate([first.numbers, second.numbers]),
        np.concatenate([first.xyz, second.xyz + 30]),
    )
    parts = fitted[name].predict([data[0][10], data[0][40]]).sum()
    np.testing.assert_allclose(fitted[name].predict([joined]), parts, rtol=1e-5)


def test_forces_are_finite_differences(fitted, data) -> None:
    net = fitted["continuous_filter"]
    text = str(data[0][30])
    energy, (forces,) = net.energies_and_forces([text])
    np.testing.assert_allclose(energy, net.predict([text]), rtol=1e-6)
    # In double precision: energies of -1,500 kcal/mol leave single ones no digits for this.
    network = net._network().double()
    state = {
        k: v.double() if v.is_floating_point() else v for k, v in net.members_[0].state.items()
    }
    network.load_state_dict(state)
    numbers, xyz = geometry(text)

    def at(places: np.ndarray) -> float:
        atoms = PaddedAtoms(
            torch.tensor(numbers.astype(int))[None], torch.ones(1, len(numbers)).double(),
            torch.tensor(places)[None],
        )  # fmt: skip
        with torch.no_grad():
            return float(network.total(network.atomic_energies(atoms, {}), atoms))

    for atom, axis in [(0, 0), (1, 2), (len(numbers) - 1, 1)]:
        step = np.zeros_like(xyz)
        step[atom, axis] = 1e-4
        slope = (at(xyz + step) - at(xyz - step)) / 2e-4
        np.testing.assert_allclose(forces[atom, axis], -slope, rtol=2e-3, atol=2e-3)


def test_forces_can_be_learned() -> None:
    # A spring between two atoms, 20 (d - 1.2)² / 2, and its forces.
    distances = np.linspace(1.0, 1.4, 40)
    inputs = [f"C 0 0 0; O 0 0 {d:.4f}" for d in distances]
    pull = 20 * (distances - 1.2)
    targets = np.zeros((40, 7))
    targets[:, 0], targets[:, 3], targets[:, 6] = 10 * (distances - 1.2) ** 2, pull, -pull
    net = catalogue.net(
        "continuous_filter", "regression", forces=1.0, epochs=60, batch_size=4, device="cpu",
        learning_rate=5e-3, **SMALL["continuous_filter"],
    )  # fmt: skip
    net.fit(inputs, targets)
    found = net.predict(inputs)
    assert found.shape == (40, 7)
    assert np.abs(found[:, 3] - pull).mean() < 0.5
    np.testing.assert_allclose(found[:, 1:4], -found[:, 4:7], atol=1e-3)


@pytest.mark.parametrize("name", NETS)
def test_an_element_that_was_not_seen_is_an_error(name, fitted) -> None:
    with pytest.raises(ValueError, match="has F, which"):
        fitted[name].predict(["C 0 0 0; F 0 0 1.35"])


@pytest.mark.parametrize("name", NETS)
def test_single_atoms_and_linear_molecules_have_finite_energies(name, fitted) -> None:
    found = fitted[name].predict(["H 0 0 0", "C 0 0 0", "H 0 0 -1.06; C 0 0 0; N 0 0 1.15"])
    assert np.isfinite(found).all()
    _, forces = fitted["continuous_filter"].energies_and_forces(["H 0 0 0"])
    np.testing.assert_array_equal(forces[0], np.zeros((1, 3)))


def test_dtnn_by_hand() -> None:
    """Two atoms, one pass, against the equations written out."""
    torch.manual_seed(0)
    net = DeepTensorNet(1, width=3, factors=4, gaussians=5, passes=1).double()
    atoms = PaddedAtoms(
        torch.tensor([[6, 8]]),
        torch.ones(1, 2).double(),
        torch.tensor([[[0.0, 0, 0], [0, 0, 1.2]]]).double(),
    )
    c = net.embedding.weight
    g = torch.exp(-0.5 * ((1.2 - torch.linspace(0.6, 9.0, 5).double()) / 2.1) ** 2)
    w_df, b_2 = net.W_df.weight, net.W_df.bias
    w_cf, b_1 = net.W_cf.weight, net.W_cf.bias
    v = torch.tanh(net.W_fc.weight @ ((w_cf @ c[8] + b_1) * (w_df @ g + b_2)))
    torch.testing.assert_close(net.passed(atoms)[0, 0], c[6] + v)


def test_padding_changes_no_energy(fitted, data) -> None:
    net = fitted["continuous_filter"]
    small, large = min(data[0], key=len), max(data[0], key=len)
    alone = net.predict([small])[0]
    np.testing.assert_allclose(net.predict([small, large])[0], alone, rtol=1e-6)


def test_composition_is_fitted_to_the_train_rows() -> None:
    inputs = ["H 0 0 0; H 0 0 0.74", "O 0 0 0; H 0 0 0.97", "O 0 0 0; O 0 0 1.2", "O 0 0 0"]
    batch = first_replica(
        DeviceFeatures(geometries(inputs, "padded"), "cpu").take(np.arange(4)[None])
    )
    total = AtomicSum(1)
    total.fit(batch["numbers"].values, torch.tensor([[-2.0], [-11.0], [-20.0], [-10.0]]))
    np.testing.assert_allclose(total.atomic[[1, 8], 0], [-1, -10], atol=1e-5)
    assert total.seen.nonzero().ravel().tolist() == [1, 8]
    found = total(torch.zeros(4, 8, 1), PaddedAtoms.read(batch))
    np.testing.assert_allclose(found[:, 0], [-2, -11, -20, -10], atol=1e-5)


def test_losses_mask_and_weigh() -> None:
    output, target = torch.tensor([[[1.0, 2.0, 4.0]]]), torch.zeros(1, 1, 3)
    weight = torch.tensor([[[1.0, 1.0, 0.0]]])
    assert ABSOLUTE_ERROR.total(output, target, weight).tolist() == [1.5]
    assert energy_and_forces(10.0).total(output, target, weight).tolist() == [21.0]
