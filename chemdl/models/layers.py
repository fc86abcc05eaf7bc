"""Layers whose randomness is passed in and that ignore padding, so that replicas stack."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from chemdl.noise import Noise


class Dropout(nn.Module):
    """Dropout (Srivastava et al. 2014) with its random numbers passed in.

    Each unit is kept with probability 1 - rate and then scaled by 1 / (1 - rate). ``layer`` sets
    the stream apart from other layers'. Outside training, and without noise, it does nothing.
    """

    def __init__(self, rate: float, layer: int) -> None:
        super().__init__()
        if not 0.0 <= rate < 1.0:
            raise ValueError(f"a dropout rate lies in [0, 1), not {rate}")
        self.rate = rate
        self.layer = layer

    def forward(self, x: Tensor, noise: Noise | None) -> Tensor:
        if noise is None or self.rate == 0.0:
            return x
        kept = noise.uniform(self.layer, x.shape) >= self.rate
        return x * kept / (1.0 - self.rate)


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy 2015) over rows of weight one.

    x (batch, features), weight (batch,): rows of weight zero are padding and enter neither mean
    nor variance.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, features: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.gain = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("variance", torch.ones(features))

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        if self.training:
            rows = weight.sum().clamp(min=1.0)
            mean = (x * weight[:, None]).sum(0) / rows
            variance = ((x - mean).square() * weight[:, None]).sum(0) / rows
            with torch.no_grad():
                unbiased = variance * rows / (rows - 1.0).clamp(min=1.0)
                # lerp_ has no batching rule under vmap; these have.
                self.mean.mul_(1.0 - self.momentum).add_(self.momentum * mean)
                self.variance.mul_(1.0 - self.momentum).add_(self.momentum * unbiased)
        else:
            mean, variance = self.mean, self.variance
        return (x - mean) * torch.rsqrt(variance + self.eps) * self.gain + self.bias
