"""Random numbers that replicas pass into a network: hashes of a counter, without state."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

# 2**32 over the golden ratio: spreads steps and layers over the range (Knuth 1973, 6.4).
GOLDEN = 0x9E3779B9


class Noise:
    """Uniform random numbers that depend on (replica seed, step, layer, position) alone.

    ``key`` is a 0-dimensional int32 tensor, batched under ``vmap``. The numbers are a hash of the
    counter and the key (the finaliser of MurmurHash3, applied twice), so there is no state to keep.
    """

    def __init__(self, key: Tensor) -> None:
        self.key = key

    def uniform(self, layer: int, shape: Sequence[int]) -> Tensor:
        """Return float32 numbers in [0, 1) of this shape for this layer."""
        salt = mix(self.key + signed(layer * GOLDEN))
        bits = mix(_counter_hash(math.prod(shape), self.key.device) ^ salt)
        return ((bits >> 8) & 0xFFFFFF).reshape(tuple(shape)).float() * 2.0**-24


@functools.lru_cache(maxsize=64)
def _counter_hash(count: int, device: torch.device) -> Tensor:
    """Hash 0 … count - 1 once; this half of the work does not depend on the key."""
    return mix(torch.arange(count, dtype=torch.int32, device=device))


def signed(value: int) -> int:
    """Fold a whole number into the range of int32."""
    return (value + 2**31) % 2**32 - 2**31


def mix(h: Tensor) -> Tensor:
    """Scramble int32 bits: the finaliser of MurmurHash3, with arithmetic that wraps around."""
    h = (h ^ ((h >> 16) & 0xFFFF)) * signed(0x85EBCA6B)
    h = (h ^ ((h >> 13) & 0x7FFFF)) * signed(0xC2B2AE35)
    return h ^ ((h >> 16) & 0xFFFF)
