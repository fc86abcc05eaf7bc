"""A gated recurrence over padded sequences in both directions, batched."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# The sigmoid of it is one, whatever a state adds to it.
_CLOSED = 1e4


class GatedRecurrence(nn.Module):
    """A gated recurrence (Cho et al. 2014, arXiv:1406.1078) in both directions at once.

    With x_t the input at step t, and h = 0 before the first::

        r   = σ(W_r x_t + U_r h + b_r)                 what of the past enters the new state
        z   = σ(W_z x_t + U_z h + b_z)                 how much of the past stays
        n   = tanh(W_n x_t + b_n + r (U_n h + b_h))    the new state
        h_t = (1 - z) n + z h,

    where r is applied after the product, as in ``torch.nn.GRU`` (before it in Cho et al.), so that
    a step is one product for all gates and both directions. Padding does not change the state, so
    that the backward direction begins at the end of each sequence.

    Parameters
    ----------
    n_inputs
        Number of inputs at each step.
    width
        Size of the state in each direction.
    """

    def __init__(self, n_inputs: int, width: int) -> None:
        super().__init__()
        bound = width**-0.5

        def start(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))

        # A leading axis of 2 for the directions; gates r, z and n side by side.
        self.W, self.b = start(2, n_inputs, 3 * width), start(2, 1, 3 * width)
        self.U, self.b_h = start(2, width, 3 * width), start(2, 1, width)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """Return the states after each step: (2, L, B, width).

        Parameters
        ----------
        x
            Inputs in both directions, (2, L, B, n_inputs); see :func:`both_ways`.
        real
            Boolean, (2, L, B); true where a step is not padding.
        """
        width = self.U.shape[1]
        inputs = torch.baddbmm(self.b, x.flatten(1, 2), self.W).unflatten(1, x.shape[1:3])
        # z = 1 carries h through padding unchanged.
        inputs[..., width : 2 * width].masked_fill_(~real[..., None], _CLOSED)
        x_gates, x_new = (part.unbind(1) for part in inputs.split([2 * width, width], dim=3))
        h = inputs.new_zeros(2, x.shape[2], width)
        states = []
        for x_rz, x_n in zip(x_gates, x_new, strict=True):
            past_rz, past = torch.bmm(h, self.U).split([2 * width, width], dim=2)
            r, z = torch.sigmoid(x_rz + past_rz).chunk(2, dim=2)
            new = torch.tanh(x_n + r * (past + self.b_h))
            h = torch.lerp(new, h, z)  # (1 - z) n + z h
            states.append(h)
        return torch.stack(states, dim=1)


def both_ways(steps: Tensor) -> Tensor:
    """Return steps (L, B, …) as they are and in reverse order: (2, L, B, …)."""
    return torch.stack([steps, steps.flip(0)])
