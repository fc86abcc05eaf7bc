"""Losses over a stack of replicas; padding and targets not measured have weight zero."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Loss:
    """A loss over a stack of replicas.

    ``total(output, target, weight)`` takes the network's outputs (replicas, batch, outputs), the
    targets and their weights (replicas, batch, tasks), zero for padding and for what was not
    measured, and returns the mean loss of each replica, (replicas,). If rows have several sites,
    each array has an axis of sites before its last axis. With ``scaled``, targets are centred and
    scaled by each replica's own train rows, and predictions are scaled back; there must then be as
    many outputs as tasks. With ``any_unit`` outputs are in the targets' unit, whatever it is.
    """

    total: Callable[[Tensor, Tensor, Tensor], Tensor]
    scaled: bool = False
    any_unit: bool = False


def masked_mean(each: Tensor, weight: Tensor) -> Tensor:
    """Return each replica's mean of ``each`` (replicas, …) under weights of that shape."""
    axes = tuple(range(1, each.dim()))
    return (each * weight).sum(axes) / weight.sum(axes).clamp(min=1.0)


def _cross_entropy(output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    each = nn.functional.binary_cross_entropy_with_logits(output, target, reduction="none")
    return masked_mean(each, weight)


def _squared_error(output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    return masked_mean((output - target).square(), weight)


def _absolute_error(output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    return masked_mean((output - target).abs(), weight)


LOSSES = {
    "bce": Loss(_cross_entropy),
    "mse": Loss(_squared_error, scaled=True),
    "mae": Loss(_absolute_error, scaled=True),
}
