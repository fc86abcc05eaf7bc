"""The deep tensor net against its equations."""

from __future__ import annotations

import torch

from chemdl.quantum.nets.dtnn import DeepTensorNetwork
from chemdl.quantum.nets.energies import PaddedAtoms


def test_one_pass_over_two_atoms_by_hand() -> None:
    torch.manual_seed(0)
    net = DeepTensorNetwork(1, width=3, factors=4, gaussians=5, passes=1).double()
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
