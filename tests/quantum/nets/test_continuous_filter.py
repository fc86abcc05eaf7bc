"""The continuous-filter net: forces as slopes of its energy, and learned with it."""

from __future__ import annotations

import numpy as np
import torch

from chemdl.quantum.geometries import geometry
from chemdl.quantum.nets.energies import PaddedAtoms


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


def test_a_single_atom_feels_no_force(fitted) -> None:
    _, forces = fitted["continuous_filter"].energies_and_forces(["H 0 0 0"])
    np.testing.assert_array_equal(forces[0], np.zeros((1, 3)))


def test_forces_can_be_learned(small_net) -> None:
    # A spring between two atoms, 20 (d - 1.2)² / 2, and its forces.
    distances = np.linspace(1.0, 1.4, 24)
    inputs = [f"C 0 0 0; O 0 0 {d:.4f}" for d in distances]
    pull = 20 * (distances - 1.2)
    targets = np.zeros((24, 7))
    targets[:, 0], targets[:, 3], targets[:, 6] = 10 * (distances - 1.2) ** 2, pull, -pull
    net = small_net("continuous_filter", forces=1.0, epochs=30, batch_size=4, learning_rate=5e-3)
    predicted = net.fit(inputs, targets).predict(inputs)
    assert predicted.shape == (24, 7)
    assert np.abs(predicted[:, 3] - pull).mean() < 0.5
    np.testing.assert_allclose(predicted[:, 1:4], -predicted[:, 4:7], atol=1e-3)
