"""A gated recurrence along a protein chain, in both directions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from chemdl.learn.models import net
from chemdl.learn.noise import Noise
from chemdl.learn.recurrence import GatedRecurrence, both_ways
from chemdl.proteins.nets.chain_net import RESIDUES, ChainLabeller, ChainNetwork, ResidueDropout


class BidirectionalRecurrence(ChainNetwork):
    """Gated recurrences in both directions over a short convolution (Li and Yu 2016: DCRNN).

    Baldi et al. (1999) brought recurrence in both directions to this task. Shapes:
    (B, L, inputs) → (B, L, k); padding neither changes a state nor is read.
    """

    def __init__(
        self, n_scores: int, width: int, layers: int, kernel: int, dropout: float, profile: bool
    ) -> None:
        super().__init__(n_scores, 2 * width, profile)
        self.first = nn.Conv1d(self.n_inputs, width, kernel, padding=kernel // 2)
        sizes = [width, *[2 * width] * (layers - 1)]
        self.layers = nn.ModuleList(GatedRecurrence(size, width) for size in sizes)
        self.dropouts = nn.ModuleList(ResidueDropout(dropout, layer=i) for i in range(layers + 1))

    def encode(self, x: Tensor, mask: Tensor, noise: Noise | None) -> Tensor:
        """Return the states of both directions: (B, 2 width, L)."""
        h, real = torch.relu(self.first(x)), both_ways(mask[:, 0].T > 0)
        for layer, dropout in zip(self.layers, self.dropouts, strict=False):
            steps = dropout(h, noise).permute(2, 0, 1)
            forth, back = layer(both_ways(steps), real)
            h = torch.cat([forth, back.flip(0)], dim=2).permute(1, 2, 0)
        return self.dropouts[-1](h, noise)


@net(
    "gru",
    **RESIDUES,
    method="gated recurrence in both directions",
    paper="as Li and Yu 2016, arXiv:1604.07176",
)
class ChainGRU(ChainLabeller):
    """A bidirectional gated recurrence; see :class:`BidirectionalRecurrence`."""

    network = BidirectionalRecurrence

    width: int = 64
    layers: int = 2
    kernel: int = 7
    dropout: float = 0.3
    batch_size: int = 32
    learning_rate: float = 3e-3
    decay: float = 0.02
    warmup: float = 1.0
