"""The net of 3D convolutions: its rotations, its grid, and what it makes of a complex."""

from __future__ import annotations

import numpy as np
import torch

from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Padded
from chemdl.screening.complex_features import poses_in_pockets
from chemdl.screening.nets.voxels import VoxelConvolution, atoms_in_ball, rotations


def noise(key: int = 5) -> Noise:
    return Noise(torch.tensor(key, dtype=torch.int32))


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
    densities = net.densities(atoms, torch.eye(3)[None])[0]
    expected = torch.zeros(8, 6, 6, 6)
    expected[2, 3, 2, 4] = 1.0
    expected[5, 2, 3, 3] = expected[5, 3, 3, 3] = 0.5
    torch.testing.assert_close(densities, expected)
    # A quarter turn about z takes x to y.
    quarter = torch.tensor([[[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]])
    torch.testing.assert_close(net.densities(atoms, quarter)[0, 2, 3, 3, 4], torch.tensor(1.0))


def test_a_ball_holds_the_same_atoms_however_it_is_turned(workbench) -> None:
    inputs, _ = workbench.complexes(2)
    ((pose, protein), _) = poses_in_pockets(inputs)
    atoms = atoms_in_ball(pose.atoms, protein, radius=8.0)
    assert atoms.dtype == np.float32 and set(atoms[:, 3]) <= set(range(8))
    assert (np.linalg.norm(atoms[:, :3], axis=1) < 8.0).all()
    assert 3 < len(atoms) < 3 + len(protein)
    np.testing.assert_allclose(atoms[:3, :3].mean(0), 0.0, atol=1e-5)


def test_training_turns_each_row_and_predictions_repeat(padded) -> None:
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


def test_rows_of_weight_zero_change_no_other(padded) -> None:
    torch.manual_seed(0)
    net, x, weight = VoxelConvolution(2, 4, 8, 1.0, 0.2).train(), padded(8, 9, 4), torch.ones(8)
    x.values[..., 3] = 1.0
    weight[5:] = 0.0
    kept = net({"atoms": x}, noise(), weight)[:5]
    x.values[5:, :, :3] += 2.0
    torch.testing.assert_close(net({"atoms": x}, noise(), weight)[:5], kept)
