"""The net on Coulomb matrices: the order of their rows, and tasks of unequal size."""

from __future__ import annotations

import numpy as np
import torch

from chemdl.quantum.coulomb import coulomb_matrices, most_atoms, sorted_triangles
from chemdl.quantum.nets.coulomb_net import CoulombNet, CoulombNetwork


def test_without_noise_rows_are_sorted_by_their_norm(data) -> None:
    inputs = data[0][:6]
    size = most_atoms(inputs)
    network = CoulombNetwork(size, 1, hidden=(4,), levels=2, noise=0.0, orders=1)
    matrices = torch.as_tensor(coulomb_matrices(inputs, size))
    order = torch.randperm(size, generator=torch.Generator().manual_seed(0))
    shuffled = matrices[:, order][:, :, order]
    triangles = network.entries(shuffled, torch.zeros(size))
    np.testing.assert_allclose(triangles, sorted_triangles(inputs, size), rtol=1e-6)


def test_a_task_weighs_the_same_in_any_unit() -> None:
    output, target = torch.tensor([[[1.0, 2.0], [3.0, 1.0]]]), torch.tensor([[[0.0, 0], [4, 8]]])
    weight, unit = torch.ones(1, 2, 2), torch.tensor([1.0, 1000.0])
    loss = CoulombNet._loss.total
    torch.testing.assert_close(
        loss(output * unit, target * unit, weight), loss(output, target, weight)
    )
