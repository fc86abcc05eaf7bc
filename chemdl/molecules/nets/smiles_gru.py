"""A bidirectional recurrence over SMILES; see :mod:`chemdl.molecules.nets.smiles_net`."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from chemdl.learn.estimator import Feature
from chemdl.learn.models import net
from chemdl.molecules.nets.smiles_net import SmilesEstimator, SmilesNet
from chemdl.molecules.tokens import PADDING
from chemdl.registry import UnknownNameError

Pooling = Literal["max", "mean", "final"]
# σ of this is one, whatever a state adds to it.
_ALWAYS = 1e4


class SmilesRecurrence(SmilesNet):
    """A gated recurrence over the string from both ends (Cho et al. 2014, arXiv:1406.1078).

    With x_t the vector of token t, and h = 0 before the first,

        r   = σ(W_r x_t + U_r h + b_r)                 what of the past enters the new state
        z   = σ(W_z x_t + U_z h + b_z)                 how much of the past stays
        n   = tanh(W_n x_t + b_n + r (U_n h + b_h))    the new state
        h_t = (1 - z) n + z h,

    r applied behind the product as in ``torch.nn.GRU`` (Cho et al.: before it), so that a step is
    one product for all gates and both directions. Padding leaves the state as it is: the way back
    begins at each string's own end. The string's vector, (2 width,), is the ``pooling`` of the
    states: their maximum, mean, or the final state, of each direction.
    """

    def __init__(
        self, n_tasks: int, embedding: int, width: int, pooling: Pooling, dropout: float
    ) -> None:
        super().__init__(n_tasks, embedding, 2 * width, dropout)
        if pooling not in _POOLINGS:
            raise UnknownNameError("pooling", pooling, _POOLINGS)
        self.pooling = pooling
        bound = width**-0.5

        def start(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))

        # A leading axis of 2 for the directions; gates r, z and n side by side.
        self.W, self.b = start(2, embedding, 3 * width), start(2, 1, 3 * width)
        self.U, self.b_h = start(2, width, 3 * width), start(2, 1, width)

    def encode(self, tokens: Tensor) -> Tensor:
        """Return the pooled states of both directions: (B, 2 width)."""
        forth = tokens.T
        both = torch.stack([forth, forth.flip(0)])
        real = (both != PADDING)[..., None]
        pooled = _POOLINGS[self.pooling](self.states(both), real)
        return torch.cat(pooled.unbind(0), dim=1)

    def states(self, tokens: Tensor) -> Tensor:
        """Return the states after each token (2, L, B) of both directions: (2, L, B, width)."""
        inputs = torch.baddbmm(self.b, self.embedded(tokens).flatten(1, 2), self.W)
        inputs = inputs.unflatten(1, tokens.shape[1:])
        width = self.U.shape[1]
        # z = 1 carries h through padding unchanged.
        inputs[..., width : 2 * width].masked_fill_((tokens == PADDING)[..., None], _ALWAYS)
        x_gates, x_new = (part.unbind(1) for part in inputs.split([2 * width, width], dim=3))
        h = inputs.new_zeros(2, tokens.shape[2], width)
        states = []
        for x_rz, x in zip(x_gates, x_new, strict=True):
            past_rz, past = torch.bmm(h, self.U).split([2 * width, width], dim=2)
            r, z = torch.sigmoid(x_rz + past_rz).chunk(2, dim=2)
            n = torch.tanh(x + r * (past + self.b_h))
            h = torch.lerp(n, h, z)  # (1 - z) n + z h
            states.append(h)
        return torch.stack(states, dim=1)


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
    """A gated recurrence over SMILES; see :class:`SmilesRecurrence`.

    Parameters
    ----------
    width, pooling : of the network.
    """

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

    def build(self, features: dict[str, Feature], n_tasks: int) -> nn.Module:
        """Make the network; the vocabulary is fixed, so features do not matter."""
        return SmilesRecurrence(n_tasks, self.embedding, self.width, self.pooling, self.dropout)
