"""The net over ligand atoms and their surroundings."""

from __future__ import annotations

import torch

from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Padded
from chemdl.screening.nets.atom_surroundings import PooledAtoms


def test_the_order_of_the_atoms_does_not_matter_and_padding_is_no_atom(padded) -> None:
    torch.manual_seed(0)
    net, x, weight = PooledAtoms(5, 2, 7, 0.0).eval(), padded(6, 9, 5), torch.ones(6)
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


def test_rows_of_weight_zero_change_no_other(padded) -> None:
    torch.manual_seed(0)
    net, x = PooledAtoms(5, 2, 7, 0.2).train(), padded(8, 9, 5)
    noise, weight = Noise(torch.tensor(5, dtype=torch.int32)), torch.ones(8)
    weight[5:] = 0.0
    kept = net({"atoms": x}, noise, weight)[:5]
    x.values[5:] += 2.0
    torch.testing.assert_close(net({"atoms": x}, noise, weight)[:5], kept)
