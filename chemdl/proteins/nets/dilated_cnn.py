"""Residual blocks of dilated convolutions along a protein chain."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from chemdl.learn.models import net
from chemdl.learn.noise import Noise
from chemdl.proteins.nets.chain_net import (
    RESIDUES,
    ChainLabeller,
    ChainNetwork,
    ResidueDropout,
    ResidueNorm,
)


class DilatedResidual(ChainNetwork):
    """Residual blocks whose kernels reach ever further (He et al. 2016, Yu and Koltun 2016).

    ::

         h^0 = W^0 ∗ x + b^0,    h^i = h^(i-1) + W^i ∗_d dropout(relu(norm(h^(i-1)))) + b^i,

     with ``∗_d`` a convolution that takes every d-th residue, d from ``dilations``.
    """

    def __init__(
        self,
        n_scores: int,
        width: int,
        dilations: Sequence[int],
        kernel: int,
        dropout: float,
        profile: bool,
    ) -> None:
        super().__init__(n_scores, width, profile)
        self.first = nn.Conv1d(self.n_inputs, width, kernel, padding=kernel // 2)
        self.layers = nn.ModuleList(
            nn.Conv1d(width, width, kernel, padding=kernel // 2 * d, dilation=d) for d in dilations
        )
        count = len(self.layers) + 1
        self.norms = nn.ModuleList(ResidueNorm(width) for _ in range(count))
        self.dropouts = nn.ModuleList(ResidueDropout(dropout, layer=i) for i in range(count))

    def encode(self, x: Tensor, mask: Tensor, noise: Noise | None) -> Tensor:
        """Return the last block's sum, normalised and rectified: (B, width, L)."""
        h = self.first(x) * mask
        for layer, norm, dropout in zip(self.layers, self.norms, self.dropouts, strict=False):
            h = h + layer(dropout(torch.relu(norm(h)), noise) * mask) * mask
        return self.dropouts[-1](torch.relu(self.norms[-1](h)), noise)


@net(
    "dilated_cnn",
    **RESIDUES,
    method="residual blocks of dilated convolutions",
    paper="blocks of He et al. 2016, arXiv:1512.03385; dilation of Yu and Koltun 2016, "
    "arXiv:1511.07122",
)
class DilatedCNN(ChainLabeller):
    """Residual blocks with dilation; see :class:`DilatedResidual`."""

    network = DilatedResidual

    width: int = 96
    dilations: Sequence[int] = (1, 2, 4, 8, 1, 2)
    kernel: int = 5
    dropout: float = 0.2
    learning_rate: float = 2e-3
    decay: float = 0.02
    warmup: float = 1.0
