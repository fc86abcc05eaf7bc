"""Three nets over compositions: shares alone, descriptors of the elements, attention over them.

*Shares* (ElemNet, Jha et al. 2018, doi:10.1038/s41598-018-35934-y): seventeen layers over the share
of each element, h_l = relu(W_l h_(l-1) + b_l), halving in width, with dropout where the width
changes. The net has to find out by itself that two elements are alike.

*Descriptors*: a few layers over what a random forest reads as well, Magpie's statistics and the
shares (Ward et al. 2016, doi:10.1038/npjcompumats.2016.28).

*Attention* (as CrabNet, Wang et al. 2021, doi:10.1038/s41524-021-00545-1, and Roost, Goodall and
Lee 2020, doi:10.1038/s41467-020-19964-7): a composition is a set of elements e with shares x_e.
Each starts as what is known of it, a vector of its own, and its share,

    h_e = T_e W_T + E_e + W_x φ(x_e),

φ being waves of x and log x. Then, in every block and head, each element attends to all others, the
more the more abundant they are,

    a_ef = softmax_f (q_e · k_f / √d + γ log x_f),   h_e ← h_e + W_o Σ_f a_ef v_f,

followed by two layers of its own. The composition is the mean of its h_e, weighted by
softmax_e (u · h_e + log x_e). No order of the elements enters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from chemdl.learn.estimator import Feature, NeuralClassifier, NeuralEstimator, NeuralRegressor
from chemdl.learn.layers import BatchNorm, Dropout
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch
from chemdl.materials.compositions import (
    composition_descriptors,
    element_fractions,
    element_sets,
    elements,
)
from chemdl.materials.formulas import LAST_ELEMENT

# How often each width of ElemNet occurs, and the dropout behind the last of it.
_ELEMNET = ((1, 4, 0.2), (2, 3, 0.1), (4, 3, 0.3), (8, 3, 0.2), (16, 2, 0.0), (32, 1, 0.0))
_WAVES = 8


class ElementShares(nn.Module):
    """Shares (B, 103) → (B, tasks) through sixteen hidden layers, ``width`` wide at first."""

    def __init__(self, n_tasks: int, width: int, dropout: float) -> None:
        super().__init__()
        sizes, rates = [LAST_ELEMENT], []
        for divisor, count, rate in _ELEMNET:
            sizes += [max(1, width // divisor)] * count
            rates += [0.0] * (count - 1) + [rate * dropout]
        layers = [nn.Linear(a, b) for a, b in pairwise(sizes)]
        # PyTorch's own start shrinks the signal layer by layer; sixteen leave nothing of it.
        for layer in layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        self.hidden = nn.ModuleList(layers)
        self.dropouts = nn.ModuleList(Dropout(rate, layer) for layer, rate in enumerate(rates))
        self.output = nn.Linear(sizes[-1], n_tasks)

    def forward(self, batch: Batch, noise: Noise | None, weight: Tensor) -> Tensor:
        """Return the tasks' logits or values: (B, tasks)."""
        h = batch["shares"]
        assert isinstance(h, Tensor)
        for layer, dropout in zip(self.hidden, self.dropouts, strict=True):
            h = dropout(torch.relu(layer(h)), noise)
        return self.output(h)


class DescriptorLayers(nn.Module):
    """Descriptors (B, F) → (B, tasks) through layers with batch normalisation."""

    centre: Tensor
    spread: Tensor

    def __init__(self, n_features: int, n_tasks: int, hidden: Sequence[int], rate: float) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(n_features))
        self.register_buffer("spread", torch.ones(n_features))
        sizes = [n_features, *hidden]
        self.hidden = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in pairwise(sizes))
        self.norms = nn.ModuleList(BatchNorm(size) for size in hidden)
        self.dropouts = nn.ModuleList(Dropout(rate, layer) for layer in range(len(hidden)))
        self.output = nn.Linear(sizes[-1], n_tasks)

    def fit_scaling(self, batch: Batch) -> None:
        """Take centre and spread of each column from the train rows; constant ones stay."""
        x = batch["descriptors"]
        assert isinstance(x, Tensor)
        self.centre.copy_(x.mean(dim=0))
        spread = x.std(dim=0, correction=0)
        self.spread.copy_(torch.where(spread > 1e-6, spread, 1.0))

    def forward(self, batch: Batch, noise: Noise | None, weight: Tensor) -> Tensor:
        """Return the tasks' logits or values: (B, tasks)."""
        x = batch["descriptors"]
        assert isinstance(x, Tensor)
        # A column that hardly varies in train may lie far out in a test row.
        h = ((x - self.centre) / self.spread).clamp(-10.0, 10.0)
        for layer, norm, dropout in zip(self.hidden, self.norms, self.dropouts, strict=True):
            h = dropout(torch.relu(norm(layer(h), weight)), noise)
        return self.output(h)


class ElementTable(nn.Module):
    """Atomic numbers (…) → (…, width): what is known of the element, and a vector of its own."""

    known: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        values = elements().values
        scaled = (values - values.mean(0)) / values.std(0)
        # Number 0, the empty place, knows nothing.
        padded = np.vstack([np.zeros((1, scaled.shape[1])), scaled]).astype(np.float32)
        self.register_buffer("known", torch.tensor(padded))
        self.read = nn.Linear(padded.shape[1], width)
        self.own = nn.Parameter(0.1 * torch.randn(len(padded), width))

    def forward(self, numbers: Tensor) -> Tensor:
        # A product with zeros and ones: the gradient of indexing is far slower on a CPU.
        places = torch.arange(len(self.known), device=numbers.device)
        chosen = (numbers[..., None] == places).to(self.own.dtype)
        return chosen @ (self.read(self.known) + self.own)


class AttentionBlock(nn.Module):
    """One block over h (B, L, width) with the logarithms of the shares (B, L)."""

    def __init__(self, width: int, heads: int, rate: float, layer: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.norm_own = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.join = nn.Linear(width, width)
        self.abundance = nn.Parameter(torch.ones(heads))
        self.first, self.second = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.dropouts = nn.ModuleList(Dropout(rate, 2 * layer + i) for i in range(2))

    def forward(self, h: Tensor, log_shares: Tensor, noise: Noise | None) -> Tensor:
        rows, places, width = h.shape
        parts = self.query_key_value(self.norm(h)).reshape(rows, places, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # each (B, heads, L, width / heads)
        scores = query @ key.transpose(-1, -2) / math.sqrt(width // self.heads)
        bias = self.abundance[:, None, None] * log_shares[:, None, None, :]
        mixed = torch.softmax(scores + bias, dim=-1) @ value
        joined = self.join(mixed.transpose(1, 2).reshape(rows, places, width))
        h = h + self.dropouts[0](joined, noise)
        own = self.second(torch.relu(self.first(self.norm_own(h))))
        return h + self.dropouts[1](own, noise)


class ElementAttention(nn.Module):
    """Sets of L elements at most, numbers and shares (B, L) → (B, tasks); see the module."""

    def __init__(self, n_tasks: int, width: int, blocks: int, heads: int, rate: float) -> None:
        super().__init__()
        self.table = ElementTable(width)
        self.share = nn.Linear(4 * _WAVES, width)
        self.blocks = nn.ModuleList(
            AttentionBlock(width, heads, rate, layer) for layer in range(blocks)
        )
        self.norm = nn.LayerNorm(width)
        self.pooling = nn.Linear(width, 1)
        self.hidden, self.output = nn.Linear(width, width), nn.Linear(width, n_tasks)
        self.dropout = Dropout(rate, 2 * blocks)

    def forward(self, batch: Batch, noise: Noise | None, weight: Tensor) -> Tensor:
        """Return the tasks' logits or values: (B, tasks)."""
        numbers, shares = batch["numbers"], batch["shares"]
        assert isinstance(numbers, Tensor) and isinstance(shares, Tensor)
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


class CompositionRegressor(NeuralRegressor):
    """Real targets by their absolute error, as Matbench scores them and CrabNet learns them."""

    _loss: ClassVar[Any] = "mae"


class _ElementShares(NeuralEstimator):
    """Shared by the classifier and the regressor: parameters, features and the network."""

    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [1e-4, 3e-4, 1e-3],
        "width": [256, 512, 1024],
        "dropout": [0.0, 0.5, 1.0],
    }

    def __init__(
        self,
        width: int = 1024,
        dropout: float = 1.0,
        epochs: int = 200,
        batch_size: int = 32,
        learning_rate: float = 1e-4,
        warmup: float = 0.0,
        decay: float = 1.0,
        weight_decay: float = 0.0,
        clip: float | None = 1.0,
        patience: int = 40,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.width, self.dropout = width, dropout
        self.epochs, self.batch_size, self.learning_rate = epochs, batch_size, learning_rate
        self.warmup, self.decay, self.weight_decay = warmup, decay, weight_decay
        self.clip, self.patience, self.seed, self.device = clip, patience, seed, device

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return the share of each element (n, 103)."""
        return {"shares": element_fractions(inputs)}

    def build(self, features: dict[str, Feature], n_tasks: int) -> nn.Module:
        """Make the network."""
        return ElementShares(n_tasks, self.width, self.dropout)


class ElementSharesClassifier(NeuralClassifier, _ElementShares):
    """ElemNet over formulas or crystals, binary tasks; see :class:`ElementSharesRegressor`."""


class ElementSharesRegressor(CompositionRegressor, _ElementShares):
    """ElemNet over formulas or crystals, real targets; see :class:`ElementShares`.

    The defaults are the paper's: 1,024 units at first, batches of 32, Adam at 1e-4 without decay.
    ``dropout`` scales the paper's rates.
    """


class _Descriptor(NeuralEstimator):
    """Shared by the classifier and the regressor: parameters, features and the network."""

    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [3e-4, 1e-3, 3e-3],
        "width": [128, 256, 512],
        "dropout": [0.0, 0.1, 0.3],
        "weight_decay": [0.0, 1e-5, 1e-4],
    }

    def __init__(
        self,
        width: int = 256,
        dropout: float = 0.1,
        epochs: int = 100,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        warmup: float = 2.0,
        decay: float = 0.03,
        weight_decay: float = 1e-5,
        clip: float | None = None,
        patience: int = 30,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.width, self.dropout = width, dropout
        self.epochs, self.batch_size, self.learning_rate = epochs, batch_size, learning_rate
        self.warmup, self.decay, self.weight_decay = warmup, decay, weight_decay
        self.clip, self.patience, self.seed, self.device = clip, patience, seed, device

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return Magpie's statistics and the shares of the elements: (n, descriptors + 103)."""
        joined = np.hstack([composition_descriptors(inputs), element_fractions(inputs)])
        return {"descriptors": joined}

    def build(self, features: dict[str, Feature], n_tasks: int) -> nn.Module:
        """Make the network for descriptors of this width."""
        hidden = (self.width, self.width, self.width // 2)
        return DescriptorLayers(features["descriptors"].shape[-1], n_tasks, hidden, self.dropout)


class DescriptorClassifier(NeuralClassifier, _Descriptor):
    """A net over element descriptors of formulas or crystals, binary tasks."""


class DescriptorRegressor(CompositionRegressor, _Descriptor):
    """A net over element descriptors of formulas or crystals; see :class:`DescriptorLayers`."""


class _Attention(NeuralEstimator):
    """Shared by the classifier and the regressor: parameters, features and the network."""

    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [3e-4, 1e-3, 2e-3],
        "width": [64, 128],
        "blocks": [2, 3],
        "dropout": [0.0, 0.1, 0.2],
    }

    def __init__(
        self,
        width: int = 128,
        blocks: int = 3,
        heads: int = 4,
        dropout: float = 0.1,
        epochs: int = 100,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        warmup: float = 3.0,
        decay: float = 0.03,
        weight_decay: float = 1e-6,
        clip: float | None = 1.0,
        patience: int = 30,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.width, self.blocks, self.heads, self.dropout = width, blocks, heads, dropout
        self.epochs, self.batch_size, self.learning_rate = epochs, batch_size, learning_rate
        self.warmup, self.decay, self.weight_decay = warmup, decay, weight_decay
        self.clip, self.patience, self.seed, self.device = clip, patience, seed, device

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return atomic numbers and shares, as many places as the longest formula needs."""
        numbers, shares = element_sets(inputs)
        return {"numbers": numbers, "shares": shares}

    def build(self, features: dict[str, Feature], n_tasks: int) -> nn.Module:
        """Make the network; it takes sets of any size."""
        return ElementAttention(n_tasks, self.width, self.blocks, self.heads, self.dropout)


class AttentionClassifier(NeuralClassifier, _Attention):
    """Attention over the elements of formulas or crystals, binary tasks."""


class AttentionRegressor(CompositionRegressor, _Attention):
    """Attention over the elements of formulas or crystals; see :class:`ElementAttention`."""
