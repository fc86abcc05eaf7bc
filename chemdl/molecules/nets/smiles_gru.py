"""A bidirectional recurrence over SMILES; see :mod:`chemdl.molecules.nets.smiles_net`."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from chemdl.learn.models import net
from chemdl.learn.recurrence import GatedRecurrence, both_ways
from chemdl.molecules.nets.smiles_net import SmilesEstimator, SmilesNet
from chemdl.molecules.tokens import PADDING
from chemdl.registry import UnknownNameError

Pooling = Literal["max", "mean", "final"]


class SmilesRecurrence(SmilesNet):
    """A gated recurrence over the string from both ends.

    See :class:`chemdl.learn.recurrence.GatedRecurrence` for its equations. The string's vector,
    (2 width,), is the ``pooling`` of the states: their maximum, mean, or the final state, of each
    direction.
    """

    def __init__(
        self, n_tasks: int, embedding: int, width: int, pooling: Pooling, dropout: float
    ) -> None:
        super().__init__(n_tasks, embedding, 2 * width, dropout)
        if pooling not in _POOLINGS:
            raise UnknownNameError("pooling", pooling, _POOLINGS)
        self.pooling = pooling
        self.recurrence = GatedRecurrence(embedding, width)

    def encode(self, tokens: Tensor) -> Tensor:
        """Return the pooled states of both directions: (B, 2 width)."""
        both = both_ways(tokens.T)
        real = both != PADDING
        states = self.recurrence(self.embedded(both), real)
        pooled = _POOLINGS[self.pooling](states, real[..., None])
        return torch.cat(pooled.unbind(0), dim=1)


def _max(states: Tensor, real: Tensor) -> Tensor:
    return torch.where(real, states, -1.0).amax(1)  # no state is less


def _mean(states: Tensor, real: Tensor) -> Tensor:
    return (states * real).sum(1) / real.sum(1).clamp(min=1)


def _final(states: Tensor, real: Tensor) -> Tensor:
    return states[:, -1]


_POOLINGS = {"max": _max, "mean": _mean, "final": _final}


@net(
    "smiles_gru",
    family="sequence net",
    reads="SMILES",
    method="gated recurrence in both directions",
    paper="as Goh et al. 2017, arXiv:1712.02034",
)
class SmilesGRU(SmilesEstimator):
    """A gated recurrence over SMILES; see :class:`SmilesRecurrence`."""

    network = SmilesRecurrence
    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [1e-3, 2e-3, 4e-3],
        "width": [64, 96, 128],
        "embedding": [16, 32, 64],
        "pooling": ["max", "mean", "final"],
        "dropout": [0.0, 0.1, 0.25],
        "variants": [1, 5, 10],
    }

    width: int = 64
    pooling: Pooling = "max"
