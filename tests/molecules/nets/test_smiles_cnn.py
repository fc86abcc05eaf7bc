"""Convolutions over SMILES against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from chemdl.molecules.nets.smiles_cnn import SmilesCNN, SmilesConvolution


def test_the_convolution_is_torchs(strings) -> None:
    net = SmilesConvolution(n_tasks=2, embedding=5, filters=6, widths=(1, 3, 7), dropout=0.0)
    tokens = strings(11, 2, 30)
    x = net.embedded(tokens).transpose(1, 2)
    expected = []
    for layer, width in zip(net.filters, net.widths, strict=True):
        weight = layer.weight.unflatten(1, (width, 5)).transpose(1, 2)
        answers = nn.functional.conv1d(x, weight, layer.bias, padding=width // 2)
        answers = torch.where((tokens != 0)[:, None], answers, -torch.inf)
        expected.append(torch.relu(answers.amax(2)))
    torch.testing.assert_close(net.encode(tokens), torch.cat(expected, dim=1))


def test_an_even_width_is_refused() -> None:
    with pytest.raises(ValueError, match=r"odd width, so that it has a middle, not \(3, 4\)"):
        SmilesCNN.Regressor(widths=(3, 4)).fit(["C", "CC", "CCC"], [0.0, 1.0, 2.0])
