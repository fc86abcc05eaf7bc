"""What the tests of nets over complexes share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from chemdl.learn.ragged import Padded


@pytest.fixture
def padded() -> Callable[[int, int, int], Padded]:
    """A maker of random rows of unequal length: (rows, length, width)."""
    return _padded


def _padded(rows: int, length: int, width: int) -> Padded:
    rng = torch.Generator().manual_seed(0)
    mask = torch.arange(length) < torch.randint(1, length, (rows, 1), generator=rng)
    return Padded(torch.randn(rows, length, width, generator=rng) * mask[..., None], mask)
