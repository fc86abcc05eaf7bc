"""Pairs of atoms within reach of each other, which Weave reads.

Kearnes et al. 2016, doi:10.1007/s10822-016-9938-8. Atoms and bonds are numbered as in the graphs of
:mod:`chemdl.molecules.graphs`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from chemdl.learn.ragged import Ragged
from chemdl.molecules.graphs import BOND_BITS, molecular_graph
from chemdl.molecules.smiles import describe_each, parse

# The pairs of a drug take about 10 kB; half a gigabyte of them is held at most.
_KEPT = 2**15


class AtomPairs(NamedTuple):
    """The p pairs of one molecule whose atoms are 1 … d bonds apart, each pair once.

    Attributes
    ----------
    pairs
        Bits of each pair, (p, 13 + d + 1): those of the bond as in
        :class:`~chemdl.molecules.graphs.MolecularGraph` (zero if there is none), whether the
        distance is at most 1 … d bonds, and whether both atoms are in the same ring.
    pair_ends
        The two atoms of each pair, (p, 2), numbered within the molecule, the lower number first.
    """

    pairs: NDArray[np.uint8]
    pair_ends: NDArray[np.int16]


def atom_pairs(smiles: Sequence[str], max_distance: int = 2) -> dict[str, Ragged]:
    """Return pairs and pair_ends of n molecules as ragged rows.

    Atoms of different fragments do not form a pair, nor does an atom with itself.

    Raises
    ------
    ValueError
        For SMILES that RDKit cannot read (the message names the row and the SMILES), or a distance
        below 1.
    """
    if max_distance < 1:
        raise ValueError(f"max_distance counts bonds and is at least 1, not {max_distance}")
    return Ragged.columns(describe_each(smiles, lambda text: molecule_pairs(text, max_distance)))


@functools.lru_cache(maxsize=_KEPT)
def molecule_pairs(smiles: str, max_distance: int) -> AtomPairs:
    """Read one SMILES and describe its pairs of atoms."""
    (molecule,) = parse([smiles])
    graph = molecular_graph(smiles)
    distance = Chem.GetDistanceMatrix(molecule)
    first, second = np.nonzero(np.triu((distance > 0) & (distance <= max_distance)))
    bits = np.zeros((len(first), BOND_BITS + max_distance + 1), dtype=np.uint8)
    place = np.full(distance.shape, -1)
    low, high = np.sort(graph.ends, axis=1).T
    place[low, high] = np.arange(len(graph.ends))
    bond = place[first, second]
    bits[bond >= 0, :BOND_BITS] = graph.bonds[bond[bond >= 0]]
    bits[:, BOND_BITS:-1] = distance[first, second][:, None] <= np.arange(1, max_distance + 1)
    rings = molecule.GetRingInfo().AtomRings()
    member = np.zeros((len(distance), len(rings)), dtype=bool)
    for column, ring in enumerate(rings):
        member[list(ring), column] = True
    bits[:, -1] = (member[first] & member[second]).any(axis=1)
    return AtomPairs(bits, np.stack([first, second], axis=1).astype(np.int16))
