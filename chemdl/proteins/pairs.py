"""Pairs of residues far apart along a chain, as models of contacts read them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chemdl.learn.ragged import Ragged
from chemdl.proteins.residues import sequence_of
from chemdl.proteins.structures import long_range_pairs

# Models know how far apart two residues are by classes that begin at these separations.
SEPARATIONS = (24, 28, 32, 40, 50, 65, 80, 100, 130)
# Digits kept of a predicted probability: three are enough to rank a chain's likeliest pairs.
DIGITS = 3


def chain_pairs(chains: Sequence[str]) -> Ragged:
    """Return the pairs of each chain as padded rows of int16 (pairs, 2)."""
    rows = []
    for chain in chains:
        first, second = long_range_pairs(len(sequence_of(chain)))
        rows.append(np.column_stack([first, second]).astype(np.int16))
    return Ragged.of(rows, layout="padded")


def separation_classes(chains: Sequence[str]) -> np.ndarray:
    """Return the class of separation of every pair, 1 to ``len(SEPARATIONS)``: (pairs,)."""
    pairs = chain_pairs(chains).values.astype(np.int64)
    return np.digitize(pairs[:, 1] - pairs[:, 0], SEPARATIONS)
