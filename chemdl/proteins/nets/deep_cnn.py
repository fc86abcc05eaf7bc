"""Deep convolutions along a protein chain, plain or under a linear-chain field (DeepCNF)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from chemdl.learn.models import net
from chemdl.learn.noise import Noise
from chemdl.proteins.nets.chain_net import RESIDUES, ChainNetwork, ResidueDropout, ResidueNorm
from chemdl.proteins.nets.crf_layer import FieldLabeller


class DeepConvolution(ChainNetwork):
    """Convolutions one on another along the chain (as in DeepCNF, Wang et al. 2016).

    ::

         h^0 = W^0 ∗ x + b^0,    h^i = W^i ∗ dropout(relu(norm(h^(i-1)))) + b^i,

     each with a kernel of ``kernel`` residues, so that the last layer sees depth × (kernel - 1) + 1
     of them. Shapes: (B, L, inputs) → (B, L, k).
    """

    def __init__(
        self, n_scores: int, width: int, depth: int, kernel: int, dropout: float, profile: bool
    ) -> None:
        super().__init__(n_scores, width, profile)
        sizes = [self.n_inputs, *[width] * depth]
        self.layers = nn.ModuleList(
            nn.Conv1d(n_in, n_out, kernel, padding=kernel // 2) for n_in, n_out in pairwise(sizes)
        )
        self.norms = nn.ModuleList(ResidueNorm(width) for _ in range(depth))
        self.dropouts = nn.ModuleList(ResidueDropout(dropout, layer=i) for i in range(depth))

    def encode(self, x: Tensor, mask: Tensor, noise: Noise | None) -> Tensor:
        """Return the last layer, normalised and rectified: (B, width, L)."""
        for layer, norm, dropout in zip(self.layers, self.norms, self.dropouts, strict=True):
            x = dropout(torch.relu(norm(layer(x))), noise) * mask
        return x


@net(
    "deep_cnn",
    **RESIDUES,
    method="five convolutions along the chain",
    paper="as DeepCNF without its field: Wang et al. 2016, doi:10.1038/srep18962",
)
@net(
    "deepcnf",
    **RESIDUES,
    method="five convolutions along the chain under a linear-chain field",
    paper="Wang et al. 2016, doi:10.1038/srep18962",
    field=True,
)
class DeepCNN(FieldLabeller):
    """Deep convolutions along the chain; see :class:`DeepConvolution`.

    The defaults were chosen on train and valid chains of ProteinNet.

    Parameters
    ----------
    width, depth, kernel, dropout
        Channels, layers, residues in a kernel, and dropout rate of :class:`DeepConvolution`.
    field
        Whether a linear-chain field is put on top
        (:class:`chemdl.proteins.nets.crf_layer.FieldNetwork`).
    """

    network = DeepConvolution

    width: int = 96
    depth: int = 5
    kernel: int = 9
    dropout: float = 0.3
    field: bool = False
    learning_rate: float = 2e-3
    decay: float = 0.02
    warmup: float = 1.0
