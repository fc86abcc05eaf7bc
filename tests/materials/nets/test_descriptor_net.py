"""The net over descriptors: columns are scaled by the train rows, whatever else comes."""

from __future__ import annotations

import torch

from chemdl.materials.nets.descriptor_net import DescriptorLayers


def test_columns_are_scaled_and_values_far_out_are_bounded() -> None:
    network = DescriptorLayers(2, 1, hidden=(4,), dropout=0.0).eval()
    network.fit_scaling({"descriptors": torch.tensor([[1.0, 7.0], [3.0, 7.0]])})
    assert network.scale.centre.tolist() == [2.0, 7.0]
    # The second column is constant in train: it is centred alone.
    assert network.scale.spread.tolist() == [1.0, 1.0]
    far, farther = (
        network({"descriptors": torch.tensor([[x, 7.0]])}, None, torch.ones(1))
        for x in (50.0, 5000.0)
    )
    torch.testing.assert_close(far, farther)
