"""What tests of screening share: a docking by hand, and random rows for nets."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pytest
import torch

from chemdl.learn.ragged import Padded
from chemdl.screening import docking
from chemdl.screening.receptors import DockingError


class VinaByHand:
    """In place of Vina: a pose at the origin, and failure for butylamine and butanol."""

    def __init__(self, workbench, stop_after: int = 1000) -> None:
        self.workbench, self.stop_after, self.calls = workbench, stop_after, []

    def __call__(self, receptor):
        return self.find

    def find(self, smiles: str) -> str:
        if len(self.calls) == self.stop_after:
            raise KeyboardInterrupt
        self.calls.append(smiles)
        if smiles.startswith("CCCC") and not smiles.startswith("CCCCC"):
            raise DockingError("by design")
        text = self.workbench.pdbqt(np.zeros((2, 3)), ["C", "HD"])
        return f"REMARK VINA RESULT:   {-4.0 - len(smiles):8.3f}      0.000      0.000\n{text}"


@pytest.fixture
def vina_by_hand(workbench, monkeypatch: pytest.MonkeyPatch) -> Callable[..., VinaByHand]:
    """A maker of engines for the receptors of the workbench; they take SMILES as they are."""
    monkeypatch.setattr(docking, "pdbqt", lambda smiles: smiles)
    return functools.partial(VinaByHand, workbench)


@pytest.fixture
def rows() -> list[tuple[str, int]]:
    """Eight amines as actives and sixteen alcohols as decoys."""
    amines = [("C" * n + "N", 1) for n in range(1, 9)]
    return [*amines, *[("C" * n + "O", 0) for n in range(1, 17)]]


@pytest.fixture
def padded() -> Callable[[int, int, int], Padded]:
    """A maker of random rows of unequal length: (rows, length, width)."""

    def make(rows: int, length: int, width: int) -> Padded:
        rng = torch.Generator().manual_seed(0)
        mask = torch.arange(length) < torch.randint(1, length, (rows, 1), generator=rng)
        return Padded(torch.randn(rows, length, width, generator=rng) * mask[..., None], mask)

    return make
