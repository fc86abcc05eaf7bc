"""Layers for stacks of replicas: random numbers are passed in, and padding is ignored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from chemdl.learn.noise import Noise
from chemdl.registry import UnknownNameError

Precision = Literal["float32", "bfloat16", "native"]
_PRECISIONS = ("float32", "bfloat16", "native")


class Dropout(nn.Module):
    """Dropout (Srivastava et al. 2014) with its random numbers passed in.

    Each unit is kept with probability 1 - rate and then scaled by 1 / (1 - rate). ``layer`` gives
    each layer its own random numbers. Outside training, when no noise is passed, it does nothing.
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


def deviation_or_one(least: float = 0.0) -> Callable[[Tensor], Tensor]:
    """Return the rule for :class:`ColumnScale` that does not scale constant columns.

    Columns are divided by their standard deviation, or by 1 if it is at most ``least``.
    """

    def rule(rows: Tensor) -> Tensor:
        spread = rows.std(dim=0, correction=0)
        return torch.where(spread > least, spread, 1.0)

    return rule


class ColumnScale(nn.Module):
    """Columns centred and scaled by the train rows: x (…, columns) → the same shape.

    ``rule`` takes the train rows (n, columns) and returns what each column is divided by.
    """

    def __init__(self, columns: int, rule: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.rule = rule
        self.centre = nn.Buffer(torch.zeros(columns))
        self.spread = nn.Buffer(torch.ones(columns))

    def fit(self, rows: Tensor) -> None:
        """Take centre and divisor of each column from rows (n, columns)."""
        self.centre.copy_(rows.mean(dim=0))
        self.spread.copy_(self.rule(rows))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.centre) / self.spread


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy 2015) over rows of weight one.

    x (batch, features), weight (batch,): rows of weight zero are padding and enter neither mean
    nor variance.
    """

    def __init__(self, features: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.gain = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.mean = nn.Buffer(torch.zeros(features))
        self.variance = nn.Buffer(torch.ones(features))

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


class Product(nn.Linear):
    """A linear layer whose factors may be rounded to bfloat16; sums and the result are float32.

    Eight bits of a factor are enough for training, and processors that multiply such numbers
    natively take less than half the time. ``native`` rounds only on these (AVX-512 BF16 or AMX;
    CUDA from compute capability 8.0).

    Raises
    ------
    ValueError
        For an unknown name of a precision.
    """

    def __init__(
        self, n_in: int, n_out: int, bias: bool = True, precision: Precision = "float32"
    ) -> None:
        super().__init__(n_in, n_out, bias=bias)
        if precision not in _PRECISIONS:
            raise UnknownNameError("precision", precision, _PRECISIONS)
        self.precision = precision

    def forward(self, x: Tensor) -> Tensor:
        rounds = self.precision == "bfloat16" or (
            self.precision == "native" and multiplies_bfloat16(x.device)
        )
        if not rounds:
            return super().forward(x)
        product = nn.functional.linear(x.bfloat16(), self.weight.bfloat16()).float()
        return product if self.bias is None else product + self.bias


def multiplies_bfloat16(device: torch.device) -> bool:
    """Say whether the device has instructions for products of bfloat16."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    # Not public, and absent from older releases: then the answer is no.
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in names)


class RunningNorm(BatchNorm):
    """Batch normalisation of x (rows, features) with bias-corrected running statistics.

    The statistics of :class:`BatchNorm` begin at mean 0 and variance 1, which has an effect for
    some fifty steps. For a small set these are several epochs with meaningless validation losses.
    Here the running averages are divided by the total weight of the batches seen so far, as Adam
    does with its moments.
    """

    def __init__(self, features: int, momentum: float = 0.1) -> None:
        super().__init__(features, momentum)
        self.variance.zero_()
        self.seen = nn.Buffer(torch.zeros(()))

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        if self.training:
            with torch.no_grad():
                self.seen.mul_(1.0 - self.momentum).add_(self.momentum)
            return super().forward(x, weight)
        seen = self.seen.clamp(min=self.eps)
        spread = torch.rsqrt(self.variance / seen + self.eps)
        return (x - self.mean / seen) * spread * self.gain + self.bias
