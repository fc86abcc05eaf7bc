"""Attention over the elements of a composition.

As CrabNet (Wang et al. 2021, doi:10.1038/s41524-021-00545-1) and Roost (Goodall and Lee 2020,
doi:10.1038/s41467-020-19964-7): a composition is a set of elements e with shares x_e. Each starts
as its properties, a learned vector, and its share::

    h_e = T_e W_T + E_e + W_x φ(x_e),

φ being waves of x and log x. Then, in every block and head, each element attends to all others, the
more the more abundant they are::

    a_ef = softmax_f (q_e · k_f / √d + γ log x_f),   h_e ← h_e + W_o Σ_f a_ef v_f,

followed by two layers for each element. The composition is the mean of its h_e, weighted by
softmax_e (u · h_e + log x_e). The order of the elements does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from chemdl.learn.estimator import Feature, NeuralEstimator
from chemdl.learn.layers import Dropout
from chemdl.learn.models import net
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch, column
from chemdl.materials.compositions import element_sets
from chemdl.materials.nets.element_table import ElementTable

_WAVES = 8


class AttentionBlock(nn.Module):
    """One block over h (B, L, width) with the logarithms of the shares (B, L)."""

    def __init__(self, width: int, heads: int, dropout: float, layer: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.norm_own = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.join = nn.Linear(width, width)
        self.abundance = nn.Parameter(torch.ones(heads))
        self.first, self.second = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.dropouts = nn.ModuleList(Dropout(dropout, 2 * layer + i) for i in range(2))

    def forward(self, h: Tensor, log_shares: Tensor, noise: Noise | None) -> Tensor:
        rows, places, width = h.shape
        parts = self.query_key_value(self.norm(h)).reshape(rows, places, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # each (B, heads, L, width / heads)
        scores = query @ key.transpose(-1, -2) / math.sqrt(width // self.heads)
        bias = self.abundance[:, None, None] * log_shares[:, None, None, :]
        mixed = torch.softmax(scores + bias, dim=-1) @ value
        joined = self.join(mixed.transpose(1, 2).reshape(rows, places, width))
        h = h + self.dropouts[0](joined, noise)
        transformed = self.second(torch.relu(self.first(self.norm_own(h))))
        return h + self.dropouts[1](transformed, noise)


class ElementAttention(nn.Module):
    """Sets of at most L elements, numbers and shares (B, L) → (B, tasks); see the module.

    ``width`` is the size of h, ``dropout`` the rate in each block and before the output.
    """

    def __init__(self, n_tasks: int, width: int, blocks: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.table = ElementTable(width)
        self.share = nn.Linear(4 * _WAVES, width)
        self.blocks = nn.ModuleList(
            AttentionBlock(width, heads, dropout, layer) for layer in range(blocks)
        )
        self.norm = nn.LayerNorm(width)
        self.pooling = nn.Linear(width, 1)
        self.hidden, self.output = nn.Linear(width, width), nn.Linear(width, n_tasks)
        self.dropout = Dropout(dropout, 2 * blocks)

    def forward(self, batch: Batch, noise: Noise | None, weight: Tensor) -> Tensor:
        """Return the tasks' logits or values: (B, tasks)."""
        numbers, shares = (column(batch, name, Tensor) for name in ("numbers", "shares"))
        # Empty places get a logarithm so low that nothing attends to them.
        log_shares = torch.where(shares > 0, shares.clamp(min=1e-6).log(), -1e4)
        h = self.table(numbers) + self.share(waves(shares))
        for block in self.blocks:
            h = block(h, log_shares, noise)
        h = self.norm(h)
        attended = torch.softmax(self.pooling(h)[..., 0] + log_shares, dim=-1)
        pooled = (attended[..., None] * h).sum(-2)
        return self.output(self.dropout(torch.relu(self.hidden(pooled)), noise))


def waves(shares: Tensor) -> Tensor:
    """Return sines and cosines of shares (…) and of their logarithms: (…, 32).

    Waves of falling length tell 0.50 from 0.51, those of the logarithm 0.001 from 0.002.
    """
    scales = math.pi * 2.0 ** torch.arange(_WAVES, dtype=shares.dtype, device=shares.device) / 2
    logarithm = shares.clamp(min=1e-5).log10() / 5
    angles = torch.cat([shares[..., None] * scales, logarithm[..., None] * scales], dim=-1)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


@net(
    "attention",
    family="graph net",
    reads="set of elements",
    method="attention over the elements, as CrabNet and Roost",
    paper="Wang et al. 2021, doi:10.1038/s41524-021-00545-1",
    inputs=("formula", "crystal"),
)
class AttentionNet(NeuralEstimator):
    """Attention over the elements of formulas or crystals; see :class:`ElementAttention`."""

    network = ElementAttention
    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [3e-4, 1e-3, 2e-3],
        "width": [64, 128],
        "blocks": [2, 3],
        "dropout": [0.0, 0.1, 0.2],
    }
    # Real targets by their absolute error, which CrabNet learns by and Matbench scores.
    _loss: ClassVar[Any] = "mae"

    width: int = 128
    blocks: int = 3
    heads: int = 4
    dropout: float = 0.1
    epochs: int = 100
    batch_size: int = 64
    warmup: float = 3.0
    decay: float = 0.03
    weight_decay: float = 1e-6
    clip: float | None = 1.0
    patience: int = 30

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return atomic numbers and shares, as many places as the longest formula needs."""
        numbers, shares = element_sets(inputs)
        return {"numbers": numbers, "shares": shares}
