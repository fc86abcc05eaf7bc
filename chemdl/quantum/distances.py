"""Distances between the molecules of a set: computed once, and shared by all replicas.

Two molecules are as far apart as their representations are (:mod:`chemdl.quantum.coulomb`).
"""

from __future__ import annotations

import functools
import threading

import numpy as np
from numpy.typing import NDArray

from chemdl.quantum.coulomb import (
    REPRESENTATIONS,
    Representation,
    bag_sizes,
    most_atoms,
    represent,
)
from chemdl.registry import UnknownNameError

Inputs = NDArray[np.object_]
Distances = NDArray[np.float32]
# The distances of so many molecules are kept in memory at most: those of 20,000 take 1.6 GB.
MOST_KEPT = 20_000
_BLOCK = 1024


class DistanceTable:
    """Distances between molecules in one representation: computed once, then looked up.

    Parameters
    ----------
    representation
        Name of the representation: ``eigenvalues``, ``sorted`` or ``bonds``.
    norm
        1 for the sum of absolute differences, 2 for the Euclidean distance.
    """

    def __init__(self, representation: Representation, norm: float) -> None:
        self.representation, self.norm = representation, norm
        self._places: dict[str, int] = {}
        self._matrix = np.empty((0, 0), np.float32)
        self._lock = threading.Lock()

    def prepare(self, inputs: Inputs) -> None:
        """Compute the distances between all of these molecules, if there is room for them."""
        with self._lock:
            if len(inputs) > MOST_KEPT or all(text in self._places for text in inputs):
                return
            self._matrix = self._computed(inputs, inputs)
            self._places = {text: place for place, text in enumerate(inputs)}

    def between(self, a: Inputs, b: Inputs) -> Distances:
        """Return the distances of n molecules from m: (n, m).

        They are looked up where all of the molecules were prepared, else computed.
        """
        places = self._places
        if all(text in places for text in a) and all(text in places for text in b):
            rows, columns = ([places[text] for text in texts] for texts in (a, b))
            return self._matrix[np.ix_(rows, columns)]
        return self._computed(a, b)

    def _computed(self, a: Inputs, b: Inputs) -> Distances:
        import torch

        same = a is b
        both = a if same else np.concatenate([a, b])
        # Absent atoms are zeros in both, so that the room for them changes no distance.
        encode = functools.partial(
            represent,
            representation=self.representation,
            size=most_atoms(both),
            bags=bag_sizes(both),
        )
        left = torch.from_numpy(encode(a))
        right = left if same else torch.from_numpy(encode(b))
        out = torch.empty(len(left), len(right))
        mode = "donot_use_mm_for_euclid_dist"
        for start in range(0, len(left), _BLOCK):
            rows = slice(start, start + _BLOCK)
            # Of a symmetric matrix the upper half alone is computed.
            first = start if same else 0
            block = torch.cdist(left[rows], right[first:], p=self.norm, compute_mode=mode)
            out[rows, first:] = block
            if same:
                out[first:, rows] = block.T
        return out.numpy()


@functools.lru_cache(maxsize=6)
def shared_table(representation: Representation, norm: float) -> DistanceTable:
    """Return the one table of this kind; the six that were used last are kept.

    Raises
    ------
    UnknownNameError
        For an unknown name of a representation.
    """
    if representation not in REPRESENTATIONS:
        raise UnknownNameError("representation", representation, REPRESENTATIONS)
    return DistanceTable(representation, norm)
