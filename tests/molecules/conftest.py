"""Molecules that several tests learn from, and the peers that they are compared with."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

# What a search over a molecule may trip over: one atom, salts, rings that share atoms, cages,
# dative bonds, a long chain.
AWKWARD = [
    "C",
    "[Na+].[Cl-]",
    "CCO",
    "C1CC1",
    "C1CCC1",
    "C1CCCC1CCO",
    "CC(=O)Oc1ccccc1C(=O)O",
    "c1ccc2c(c1)ccc1c2cccc1CC1CC1",
    "C1CC2CCC1C2",
    "C12C3C4C1C5C2C3C45",
    "C1CC1.C1CCCC1",
    "C1CC[NH2]->[Cu]<-[NH2]1",
    "C" * 60,
]


@pytest.fixture(scope="session")
def chains_and_rings() -> tuple[np.ndarray, np.ndarray]:
    """48 small molecules, and a target that depends on their atoms."""
    ends = ["", "O", "N", "Cl", "c1ccccc1", "C(=O)O"]
    smiles = [("C" * n + end) for n in range(1, 9) for end in ends]
    y = np.array([n + 2.0 * ("O" in end) for n in range(1, 9) for end in ends])
    return np.array(smiles, dtype=object), y


@pytest.fixture(scope="session")
def chemprop() -> Any:
    """The package chemprop; skips where it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a peer's own deprecations are not ours
        pytest.importorskip("chemprop", reason="chemprop is not installed: pip install chemprop")
        import chemprop.data
        import chemprop.models
        import chemprop.nn
    return chemprop


@pytest.fixture(scope="session")
def deepchem() -> Any:
    """The package deepchem without its notices; skips where it is not installed."""
    import logging

    logging.getLogger("deepchem").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a peer's own deprecations are not ours
        return pytest.importorskip("deepchem", reason="deepchem is not installed")
