"""Strings of tokens, and a source of random numbers, for the tests of single networks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from chemdl.learn.noise import Noise
from chemdl.molecules.tokens import VOCABULARY


@pytest.fixture
def strings() -> Callable[..., Tensor]:
    """Make tokens of strings of the given lengths, side by side: (B, L), 0 for padding."""

    def make(*lengths: int) -> Tensor:
        generator = torch.Generator().manual_seed(1)
        rows = torch.zeros(len(lengths), max(lengths), dtype=torch.long)
        for row, length in zip(rows, lengths, strict=True):
            row[:length] = torch.randint(1, len(VOCABULARY), (length,), generator=generator)
        return rows

    return make


@pytest.fixture
def noise() -> Callable[..., Noise]:
    """Make the source of random numbers of one step of training."""
    return lambda key=5: Noise(torch.tensor(key, dtype=torch.int32))
