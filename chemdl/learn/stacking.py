"""Which replicas train side by side, and how many fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch

# Below this many parameters a stack beats one-after-another on a CPU; above it the batched
# products only lose cache locality (benchmarks/stacking.py measures both sides).
CPU_STACK_PARAMETERS = 40_000
CPU_STACK_BYTES = 2 * 2**30


class Measured(Protocol):
    """What is asked of a stack of one, to know how large a stack may be."""

    @property
    def n_parameters(self) -> int: ...

    def activation_bytes(self) -> int: ...


def stacks(
    train_sizes: Sequence[int], batch_size: int, probe: Measured, device: str, stack: bool | None
) -> list[list[int]]:
    """Group replicas that take equally many steps an epoch, within the memory budget.

    With equal numbers of steps every replica is active in every step. The optimiser's moments then
    never change on an empty batch, and a replica's result in a stack equals its result alone.
    """
    if stack is None:
        stack = device != "cpu" or probe.n_parameters <= CPU_STACK_PARAMETERS
    if not stack or len(train_sizes) == 1:
        return [[i] for i in range(len(train_sizes))]
    limit = _stack_limit(probe.n_parameters, probe.activation_bytes(), device)
    groups: dict[int, list[int]] = {}
    for i, size in enumerate(train_sizes):
        groups.setdefault(math.ceil(size / batch_size), []).append(i)
    return [g[s : s + limit] for g in groups.values() for s in range(0, len(g), limit)]


def _stack_limit(n_parameters: int, activation_bytes: int, device: str) -> int:
    """Return how many replicas fit.

    Each replica needs memory for weights, gradients, two moments and its best state, and twice what
    a step keeps for its backward pass, since batches differ in size and gradients need space too.
    """
    free = CPU_STACK_BYTES if device == "cpu" else torch.cuda.mem_get_info()[0] // 2
    return max(1, int(free // (5 * 4 * n_parameters + 2 * activation_bytes + 1)))
