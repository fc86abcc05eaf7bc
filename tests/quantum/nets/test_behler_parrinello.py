"""A net for each element: every atom passes through its own element's layers."""

from __future__ import annotations

import torch

from chemdl.quantum.nets.behler_parrinello import PerElement


def test_each_atom_passes_its_own_elements_layer() -> None:
    torch.manual_seed(0)
    layer = PerElement(n_elements=2, n_in=3, n_out=4)
    x = torch.randn(1, 2, 3)
    # The first atom is of the second element, the second atom of none: padding.
    kind = torch.tensor([[[0.0, 1.0], [0.0, 0.0]]])
    out = layer(x, kind)
    torch.testing.assert_close(out[0, 0], layer.weight[4:] @ x[0, 0] + layer.bias[4:])
    assert not out[0, 1].any()
