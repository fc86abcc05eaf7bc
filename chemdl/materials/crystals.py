"""Crystals as graphs: the sites of the unit cell, and the neighbours of each, images included.

A crystal is one line of text, ``a b c; Si x y z; …``: the nine numbers of the lattice vectors in Å,
then the element of each site and its fractional coordinates.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chemdl.learn.ragged import Ragged
from chemdl.materials.formulas import FormulaError, symbols

RADIUS = 8.0
NEIGHBOURS = 12
# Distances that differ by less belong to one shell: coordinates are kept to 1e-4.
SHELL = 0.02
_CACHED = 2**16


class Crystal(NamedTuple):
    """One unit cell.

    Attributes
    ----------
    lattice
        Lattice vectors as rows, (3, 3), in Å.
    numbers
        Atomic number of each site, (sites,).
    coordinates
        Fractional coordinates of the sites, (sites, 3), from 0 to 1.
    """

    lattice: NDArray[np.float64]
    numbers: NDArray[np.uint8]
    coordinates: NDArray[np.float64]


class CrystalGraph(NamedTuple):
    """The graph of one unit cell.

    Attributes
    ----------
    sites
        Atomic number of each site, (sites,).
    edges
        Distance in Å and the numbers of two sites, (edges, 3); the second site, or an image of it,
        is a neighbour of the first.
    """

    sites: NDArray[np.uint8]
    edges: NDArray[np.float32]


def parse_crystal(text: str) -> Crystal:
    """Read a crystal's line.

    Raises
    ------
    FormulaError
        For text that is not a crystal, an unknown element, or lattice vectors that span no volume.
    """
    first, *sites = text.split(";")
    try:
        lattice = np.array(first.split(), dtype=np.float64).reshape(3, 3)
        parts = [site.split() for site in sites]
        numbers = np.array([symbols()[symbol] for symbol, *_ in parts], dtype=np.uint8)
        coordinates = np.array([place for _, *place in parts], dtype=np.float64).reshape(-1, 3)
    except (KeyError, ValueError) as error:
        raise FormulaError(
            f"{text[:60]!r} is no crystal ({error}): write nine numbers of the lattice, then ';', "
            "an element and three coordinates for each site"
        ) from error
    if not len(numbers) or len(coordinates) != len(numbers):
        raise FormulaError(f"{text[:60]!r} needs an element and three coordinates for each site")
    if abs(np.linalg.det(lattice)) < 1e-3:
        raise FormulaError(f"{text[:60]!r}: the lattice vectors span no volume")
    return Crystal(lattice, numbers, coordinates % 1.0)


def crystal_graphs(inputs: Sequence[str]) -> dict[str, Ragged]:
    """Return the graphs of n crystals as ragged rows ``sites`` and ``edges``.

    Raises as :func:`parse_crystal`.
    """
    return Ragged.columns([crystal_graph(text) for text in inputs])


@functools.lru_cache(maxsize=_CACHED)
def crystal_graph(text: str) -> CrystalGraph:
    """Read a crystal and join each site to its twelve nearest neighbours within 8 Å.

    All others as far away as the twelfth are joined too: which of them is the twelfth would depend
    on the order of the atoms, and on the choice of the cell.
    """
    crystal = parse_crystal(text)
    centre, other, distance = neighbours(crystal, RADIUS)
    if not len(distance):
        return CrystalGraph(crystal.numbers, np.empty((0, 3), dtype=np.float32))
    order = np.lexsort((distance, centre))
    centre, other, distance = centre[order], other[order], distance[order]
    start = np.searchsorted(centre, np.arange(len(crystal.numbers)))
    rank = np.arange(len(centre)) - start[centre]
    count = np.bincount(centre, minlength=len(crystal.numbers))
    # A site with fewer neighbours keeps them all.
    last = np.minimum(start + NEIGHBOURS, start + np.maximum(count, 1)) - 1
    shell = distance[np.minimum(last, len(distance) - 1)] + SHELL
    kept = (rank < NEIGHBOURS) | (distance <= shell[centre])
    edges = np.stack([distance, centre, other], axis=1)[kept].astype(np.float32)
    return CrystalGraph(crystal.numbers, edges)


def neighbours(
    crystal: Crystal, radius: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return centre, neighbour and distance in Å of all pairs within a radius, images included.

    A site is a neighbour of its own images, not of itself. The search is pymatgen's.
    """
    from pymatgen.optimization.neighbors import find_points_in_spheres

    positions = np.ascontiguousarray(crystal.coordinates @ crystal.lattice)
    centre, other, _, distance = find_points_in_spheres(
        all_coords=positions,
        center_coords=positions,
        r=float(radius),
        pbc=np.ones(3, dtype=np.int64),
        lattice=np.ascontiguousarray(crystal.lattice),
        tol=1e-8,
    )
    apart = (centre != other) | (distance > 1e-3)
    return centre[apart], other[apart], distance[apart]
