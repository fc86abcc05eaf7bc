"""A gated recurrence along a protein chain, in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from chemdl.learn.noise import Noise
from chemdl.proteins.nets.labelling import ChainLabeller, ChainNet, ResidueDropout

# σ of this is one, whatever a state adds to it.
_ALWAYS = 1e4


class GatedLayer(nn.Module):
    """A gated recurrence (Cho et al. 2014) over padded rows in both directions, batched.

        r = σ(W_r x_t + U_r h + b_r),    z = σ(W_z x_t + U_z h + b_z),
        n = tanh(W_n x_t + b_n + r (U_n h + b_h)),    h_t = (1 - z) n + z h.

    A step is one product for both directions and all gates. Padding leaves the state as it is, so
    that the way back begins at each chain's own end. Shapes: (B, L, inputs) → (B, L, 2 width).
    """

    def __init__(self, n_inputs: int, width: int) -> None:
        super().__init__()
        bound = width**-0.5

        def start(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))

        # A leading axis of 2 for the directions; gates r, z and n side by side.
        self.W, self.b = start(2, n_inputs, 3 * width), start(2, 1, 3 * width)
        self.U, self.b_h = start(2, width, 3 * width), start(2, 1, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the states of rows x (B, L, inputs) with mask (B, L)."""
        width = self.U.shape[1]
        steps = x.transpose(0, 1)
        both = torch.stack([steps, steps.flip(0)])
        real = torch.stack([mask.T, mask.T.flip(0)])
        inputs = torch.baddbmm(self.b, both.flatten(1, 2), self.W).unflatten(1, both.shape[1:3])
        r_x, z_x, n_x = inputs.split(width, dim=3)
        z_x = torch.where(real[..., None], z_x, _ALWAYS)
        gates = torch.cat([r_x, z_x], dim=3).unbind(1)
        h = x.new_zeros(2, x.shape[0], width)
        states = []
        for x_rz, x_new in zip(gates, n_x.unbind(1), strict=True):
            past_rz, past = torch.bmm(h, self.U).split([2 * width, width], dim=2)
            r, z = torch.sigmoid(x_rz + past_rz).chunk(2, dim=2)
            new = torch.tanh(x_new + r * (past + self.b_h))
            h = torch.lerp(new, h, z)  # (1 - z) new + z h
            states.append(h)
        forth, back = torch.stack(states, dim=1)
        return torch.cat([forth, back.flip(0)], dim=2).transpose(0, 1)


class BidirectionalRecurrence(ChainNet):
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
        self.layers = nn.ModuleList(GatedLayer(size, width) for size in sizes)
        self.dropouts = nn.ModuleList(ResidueDropout(dropout, layer=i) for i in range(layers + 1))

    def encode(self, x: Tensor, mask: Tensor, noise: Noise | None) -> Tensor:
        """Return the states of both directions: (B, 2 width, L)."""
        h = torch.relu(self.first(x)).mT
        for layer, dropout in zip(self.layers, self.dropouts, strict=False):
            h = layer(dropout(h.mT, noise).mT, mask[:, 0] > 0)
        return self.dropouts[-1](h.mT, noise)


class RecurrentLabeller(ChainLabeller):
    """A bidirectional gated recurrence; see :class:`BidirectionalRecurrence`."""

    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [1e-3, 2e-3, 4e-3],
        "dropout": [0.1, 0.2, 0.3, 0.5],
    }

    def __init__(
        self,
        classes: Sequence[int] = (3, 8),
        width: int = 64,
        layers: int = 2,
        kernel: int = 7,
        dropout: float = 0.3,
        profile: bool = False,
        epochs: int = 12,
        batch_size: int = 32,
        learning_rate: float = 3e-3,
        decay: float = 0.02,
        weight_decay: float = 0.0,
        clip: float | None = 1.0,
        warmup: float = 1.0,
        patience: int = 20,
        bucketed: bool = True,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.classes, self.width, self.layers, self.kernel = classes, width, layers, kernel
        self.dropout, self.profile = dropout, profile
        self.epochs, self.batch_size, self.learning_rate = epochs, batch_size, learning_rate
        self.decay, self.weight_decay, self.clip = decay, weight_decay, clip
        self.warmup, self.patience, self.bucketed = warmup, patience, bucketed
        self.seed, self.device = seed, device

    def build(self, features: dict[str, Any], n_tasks: int) -> nn.Module:
        """Make the network; the alphabet is fixed, so features do not matter."""
        return BidirectionalRecurrence(
            self.n_scores, self.width, self.layers, self.kernel, self.dropout, self.profile
        )
