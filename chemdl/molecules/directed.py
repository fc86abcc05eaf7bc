"""Molecules directed towards each of their atoms, which the recursive net UG-RNN reads.

Lusci, Pollastri and Baldi 2013, doi:10.1021/ci400187y. Atoms and bonds are numbered as in the
graphs of :mod:`chemdl.molecules.graphs`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from chemdl.learn.ragged import Ragged
from chemdl.molecules.graphs import molecular_graph
from chemdl.molecules.smiles import describe_each, parse

# The directions of a drug take about 10 kB; half a gigabyte of them is held at most.
_KEPT = 2**15


class DirectedParts(NamedTuple):
    """One molecule of a atoms, directed towards each of them in turn, equal parts held once.

    For a given root every bond points to the atom that is nearer to the root; the children of an
    atom are its neighbours one bond farther away. The part below an atom is the same for many
    roots, for example for all roots beyond a bond that is not in a ring. One graph for each root
    would therefore store most parts many times: the square of 28 atoms on average, instead of a
    hundred parts. The height of a part is the number of atoms on its longest path down; an atom
    without children has height 1.

    Attributes
    ----------
    parts
        Height and atom of each part, (q, 2), sorted by height.
    links
        For each link, (m, 5): height and place of the part that owns it, the bond, and height and
        place of the part below. A place is the number of a part among the molecule's parts of the
        same height. A bond between two atoms at equal distance from the root leads to neither of
        them: both own it, and the height below is 0, since nothing is below.
    roots
        For each atom, (a, 2): height and place of the part that is the whole molecule directed to
        it.
    """

    parts: NDArray[np.int32]
    links: NDArray[np.int32]
    roots: NDArray[np.int32]


def directed_graphs(smiles: Sequence[str]) -> dict[str, Ragged]:
    """Return roots, and parts_h and links_h for each height h = 1, 2 …, of n molecules.

    Ragged rows as in :class:`DirectedParts`, without the columns that say the height: parts_h
    holds the atom; links_h the place of the owner, the bond, and height and place of what is
    below. The greatest height of the set is one more than its longest shortest path; molecules of
    less have empty rows there.

    Raises
    ------
    ValueError
        For SMILES that RDKit cannot read; the message names the row and the SMILES.
    """
    molecules = describe_each(smiles, directed_parts)
    parts, links = (Ragged.of([m[i] for m in molecules]) for i in (0, 1))
    features = {"roots": Ragged.of([m.roots for m in molecules])}
    greatest = int(parts.values[:, 0].max())
    for height, (nodes, below) in enumerate(
        zip(_by_height(parts, greatest), _by_height(links, greatest), strict=True), start=1
    ):
        features[f"parts_{height}"] = nodes
        features[f"links_{height}"] = below
    return features


@functools.lru_cache(maxsize=_KEPT)
def directed_parts(smiles: str) -> DirectedParts:
    """Read one SMILES and direct it towards each of its atoms."""
    graph = molecular_graph(smiles)
    neighbours: list[list[tuple[int, int]]] = [[] for _ in graph.atoms]
    for bond, (i, j) in enumerate(graph.ends.tolist()):
        neighbours[i].append((j, bond))
        neighbours[j].append((i, bond))
    directions = _Directions(neighbours, _bridges(smiles))
    roots = [directions.towards(root) for root in range(len(neighbours))]
    return directions.packed(roots)


class _Directions:
    """Parts met so far: each has a number, its atom, its height, and what hangs below it."""

    def __init__(self, neighbours: list[list[tuple[int, int]]], bridges: set[int]) -> None:
        self.neighbours, self.bridges = neighbours, bridges
        self.numbers: dict[tuple[int, tuple[tuple[int, int], ...]], int] = {}
        self.heights: list[int] = []
        # What lies beyond a bridge, seen from its near atom, is the same for every root.
        self.beyond: dict[tuple[int, int], int] = {}

    def towards(self, root: int) -> int:
        """Direct the molecule to a root and return the number of the whole."""
        distance = {root: 0}
        part: dict[int, int] = {}
        order = [root]
        for atom in order:
            for other, bond in self.neighbours[atom]:
                if other in distance:
                    continue
                distance[other] = distance[atom] + 1
                number = self.beyond.get((bond, other))
                if number is None:
                    order.append(other)
                else:
                    part[other] = number
        for atom in reversed(order):
            part[atom] = self._number(atom, distance, part)
        return part[root]

    def _number(self, atom: int, distance: dict[int, int], part: dict[int, int]) -> int:
        """Return the number of the part at an atom, whose children have theirs."""
        below = []
        bridge = None
        for other, bond in self.neighbours[atom]:
            step = distance[other] - distance[atom]
            if step == 1:
                below.append((bond, part[other]))
            elif step == 0:
                below.append((bond, -1))
            elif bond in self.bridges:
                bridge = bond
        key = (atom, tuple(below))
        number = self.numbers.get(key)
        if number is None:
            number = self.numbers[key] = len(self.heights)
            self.heights.append(1 + max((self.heights[p] for _, p in below if p >= 0), default=0))
        if bridge is not None:
            self.beyond[bridge, atom] = number
        return number

    def packed(self, roots: list[int]) -> DirectedParts:
        """Sort the parts by height and count them within each."""
        height = np.array(self.heights)
        order = np.argsort(height, kind="stable")
        first = np.searchsorted(height[order], height)
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        # By part number, with "nothing below" in the last place, which is what -1 finds.
        where = np.append(np.stack([height, place - first], axis=1), [[0, 0]], axis=0)
        keys = list(self.numbers)
        links = np.array(
            [(p, bond, child) for p in order.tolist() for bond, child in keys[p][1]], dtype=np.int64
        ).reshape(-1, 3)
        atoms = np.array([atom for atom, _ in keys])
        return DirectedParts(
            np.stack([height, atoms], axis=1)[order].astype(np.int32),
            np.column_stack([where[links[:, 0]], links[:, 1], where[links[:, 2]]]).astype(np.int32),
            where[roots].astype(np.int32),
        )


def _bridges(smiles: str) -> set[int]:
    """Return the bonds that lie in no ring, those through dative bonds included."""
    (molecule,) = parse([smiles])
    Chem.GetSSSR(molecule, includeDativeBonds=True, includeHydrogenBonds=True)
    in_rings = chain.from_iterable(molecule.GetRingInfo().BondRings())
    return set(range(molecule.GetNumBonds())) - set(in_rings)


def _by_height(rows: Ragged, greatest: int) -> list[Ragged]:
    """Split rows whose values begin with a height into ragged arrays for 1 … the greatest."""
    molecule = np.repeat(np.arange(len(rows)), np.diff(rows.offsets))
    height = rows.values[:, 0]
    order = np.argsort(height, kind="stable")
    ends = np.searchsorted(height[order], np.arange(1, greatest + 2))
    split = []
    for begin, end in pairwise(ends.tolist()):
        places = order[begin:end]
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(np.bincount(molecule[places], minlength=len(rows)), out=offsets[1:])
        split.append(Ragged(rows.values[places, 1:], offsets))
    return split
