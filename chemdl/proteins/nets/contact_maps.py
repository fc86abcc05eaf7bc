"""Which residues of a chain touch: nets over all pairs of residues, and what needs no net.

A site is a pair (i, j) of residues at least 24 apart, in the order of
:func:`chemdl.proteins.structures.long_range_pairs`; what is predicted is the probability that the
two are in contact. No net here sees coevolution, which is what made the later ones strong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import Tensor, nn

from chemdl.learn.estimator import Feature, NeuralEstimator
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch, Padded, Ragged
from chemdl.proteins.nets.convolutions import ResidueNorm
from chemdl.proteins.nets.labelling import ResidueDropout
from chemdl.proteins.residues import KINDS, chain_residues, sequence_of
from chemdl.proteins.structures import long_range_pairs

# Numbers of residues between two, in classes, as the nets read them.
_EDGES = (24, 28, 32, 40, 50, 65, 80, 100, 130)
# Digits kept of a probability: a chain's likeliest pairs are told apart by three.
_DIGITS = 3


def chain_pairs(chains: Sequence[str]) -> Ragged:
    """Return the pairs of each chain as padded rows of int16 (pairs, 2)."""
    rows = []
    for chain in chains:
        first, second = long_range_pairs(len(sequence_of(chain)))
        rows.append(np.column_stack([first, second]).astype(np.int16))
    return Ragged.of(rows, layout="padded")


class ContactMapNet(nn.Module):
    """Windows along the chain, then layers over the map of its pairs.

    With h_i a hidden layer over the window around residue i and d(i, j) the class of separation,

        m^0_ij = relu(U h_i + V h_j + e_d(i, j)),
        m^k = m^(k-1) + W^k ∗_r relu(norm(m^(k-1))),    p_ij = σ(w · m^depth_ij),

    ``∗_r`` a 3 × 3 convolution that takes every r-th pair, r = 1, 2, 4, 1, 2, 4: so a pair sees
    its neighbours on the map, as contacts come in stripes along helices and ladders of strands.
    Without such layers, ``depth`` 0, it is one hidden layer over two windows. Di Lena et al.
    (2012) and Wang et al. (2017) went deep over maps. Shapes: residues (B, L, 1 or 21) and pairs
    (B, P, 2) → (B, P, 1).
    """

    sites = "pairs"

    def __init__(self, window: int, width: int, depth: int, dropout: float, profile: bool) -> None:
        super().__init__()
        self.profile = profile
        self.along = nn.Conv1d(KINDS + 20 * profile, width, window, padding=window // 2)
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.separation = nn.Parameter(torch.zeros(len(_EDGES) + 1, width))
        reaches = [2 ** (k % 3) for k in range(depth)]
        self.layers = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=reach, dilation=reach) for reach in reaches
        )
        self.norms = nn.ModuleList(ResidueNorm(width) for _ in reaches)
        self.dropout = ResidueDropout(dropout, layer=0)
        self.output = nn.Linear(width, 1)

    def forward(self, batch: Batch, noise: Noise | None, weight: Tensor) -> Tensor:
        """Return the logit of each pair: (B, P, 1)."""
        residues, pairs = batch["residues"], batch["pairs"]
        assert isinstance(residues, Padded) and isinstance(pairs, Padded)
        mask = residues.mask.float()
        h = torch.relu(self.along(self._inputs(residues).mT * mask[:, None])).mT
        h = self.dropout(h.mT, noise).mT * mask[..., None]
        place = torch.arange(h.shape[1], device=h.device)
        apart = (place[None] - place[:, None]).abs()
        kind = torch.bucketize(apart, torch.tensor(_EDGES, device=h.device), right=True)
        together = self.first(h)[:, :, None] + self.second(h)[:, None]
        m = torch.relu(together + self.separation[kind]).permute(0, 3, 1, 2)
        both = (mask[:, :, None] * mask[:, None])[:, None]
        m = m * both
        for layer, norm in zip(self.layers, self.norms, strict=True):
            inner = norm(m.flatten(2)).unflatten(2, m.shape[2:])
            m = m + layer(torch.relu(inner) * both) * both
        scores = self.output(m.permute(0, 2, 3, 1)).flatten(1, 2)
        at = pairs.values[..., 0].long() * h.shape[1] + pairs.values[..., 1].long()
        return scores.gather(1, at[..., None])

    def _inputs(self, residues: Padded) -> Tensor:
        kinds = torch.arange(KINDS, device=residues.values.device)
        x = (residues.values[:, :, :1] == kinds).float()
        if self.profile:
            x = torch.cat([x, residues.values[:, :, 1:].float() / 255.0], dim=2)
        return x


class ContactMapLabeller(NeuralEstimator):
    """Contacts of pairs of residues; see :class:`ContactMapNet`."""

    _loss: ClassVar[Any] = "bce"
    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [1e-3, 2e-3, 4e-3],
        "dropout": [0.1, 0.2, 0.4],
    }

    def __init__(
        self,
        window: int = 9,
        width: int = 24,
        depth: int = 6,
        dropout: float = 0.2,
        profile: bool = True,
        epochs: int = 12,
        batch_size: int = 4,
        learning_rate: float = 2e-3,
        decay: float = 0.05,
        weight_decay: float = 0.0,
        clip: float | None = 1.0,
        patience: int = 20,
        bucketed: bool = True,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.window, self.width, self.depth = window, width, depth
        self.dropout, self.profile = dropout, profile
        self.epochs, self.batch_size, self.learning_rate = epochs, batch_size, learning_rate
        self.decay, self.weight_decay, self.clip = decay, weight_decay, clip
        self.patience, self.bucketed, self.seed, self.device = patience, bucketed, seed, device

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return the pairs of each chain and its residues, padded rows both."""
        residues = chain_residues(inputs, profile=self.profile)
        return {"pairs": chain_pairs(inputs), "residues": residues}

    def build(self, features: dict[str, Feature], n_tasks: int) -> nn.Module:
        """Make the network."""
        return ContactMapNet(self.window, self.width, self.depth, self.dropout, self.profile)

    def predict(self, X: Sequence[Any]) -> np.ndarray:
        """Return the probability that each pair is in contact: (pairs, 1)."""
        return np.round(0.5 * (1.0 + np.tanh(0.5 * self.outputs(X))), _DIGITS)


class SeparationOnly(BaseEstimator):
    """The share of contacts among pairs so far apart, in chains of any sequence."""

    kind: ClassVar[str] = "trivial"
    stackable: ClassVar[bool] = False

    def fit(self, X: Sequence[str], y: Ragged) -> Self:
        """Count contacts by class of separation."""
        kinds, found = _separation_classes(X), y.values[:, 0]
        total = np.bincount(kinds, minlength=len(_EDGES) + 1)
        hits = np.bincount(kinds, weights=found, minlength=len(_EDGES) + 1)
        self.shares_ = hits / np.maximum(total, 1)
        return self

    def predict(self, X: Sequence[str]) -> np.ndarray:
        """Return the share of each pair's class: (pairs, 1)."""
        return self.shares_[_separation_classes(X)][:, None]


def _separation_classes(X: Sequence[str]) -> np.ndarray:
    pairs = chain_pairs(X).values.astype(np.int64)
    return np.digitize(pairs[:, 1] - pairs[:, 0], _EDGES)


class PairBoosting(BaseEstimator):
    """Gradient boosting over both residues with their profiles, separation and chain length."""

    kind: ClassVar[str] = "other"
    stackable: ClassVar[bool] = False

    def __init__(self, rounds: int = 100, seed: int = 0) -> None:
        self.rounds, self.seed = rounds, seed

    def fit(self, X: Sequence[str], y: Ragged) -> Self:
        """Fit one classifier on all pairs."""
        trees = HistGradientBoostingClassifier(
            max_iter=self.rounds, early_stopping=False, random_state=self.seed
        )
        self.trees_ = trees.fit(self._features(X), y.values[:, 0])
        return self

    def predict(self, X: Sequence[str]) -> np.ndarray:
        """Return the probability of a contact: (pairs, 1)."""
        return np.round(self.trees_.predict_proba(self._features(X))[:, 1:], _DIGITS)

    def _features(self, X: Sequence[str]) -> np.ndarray:
        residues, pairs = chain_residues(X, profile=True), chain_pairs(X)
        parts = []
        for row in range(len(residues)):
            own, at = residues[slice(row, row + 1)].values, pairs[slice(row, row + 1)].values
            apart = (at[:, 1] - at[:, 0])[:, None]
            length = np.full_like(apart, len(own))
            parts.append(np.hstack([own[at[:, 0]], own[at[:, 1]], apart, length]))
        return np.concatenate(parts).astype(np.float32)
