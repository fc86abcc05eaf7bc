"""Coulomb matrices and bags of bonds: a molecule as the repulsion of its nuclei.

::

    C_ii = 0.5 Z_i^2.4,   C_ij = Z_i Z_j / |R_i - R_j|

with distances in bohr (Rupp et al. 2012, doi:10.1103/PhysRevLett.108.058301). Rotating a molecule
does not change its matrix; reordering the atoms does. Three ways around that: eigenvalues, rows
sorted by their norm, or many random orders (Montavon et al. 2012). Bags of bonds sort the entries
of each pair of elements instead (Hansen et al. 2015, doi:10.1021/acs.jpclett.5b00831).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chemdl.quantum.geometries import BOHR, SYMBOLS, Geometry, geometry, neighbour_distances
from chemdl.registry import UnknownNameError

Floats = NDArray[np.float32]
Inputs = Sequence[Any] | NDArray[np.object_]
Representation = Literal["eigenvalues", "sorted", "bonds"]
REPRESENTATIONS = ("eigenvalues", "sorted", "bonds")


def coulomb_matrix(molecule: Geometry) -> NDArray[np.float64]:
    """Return the Coulomb matrix (a, a) of one molecule, atoms in their own order, in hartree."""
    charges = molecule.numbers.astype(np.float64)
    distances = neighbour_distances(molecule.xyz) / BOHR
    np.fill_diagonal(distances, 1.0)
    matrix: NDArray[np.float64] = np.outer(charges, charges) / distances
    np.fill_diagonal(matrix, 0.5 * charges**2.4)
    return matrix


def sorted_matrix(molecule: Geometry) -> NDArray[np.float64]:
    """Return the Coulomb matrix with its rows, and columns, by falling norm."""
    matrix = coulomb_matrix(molecule)
    order = np.argsort(-np.linalg.norm(matrix, axis=1), kind="stable")
    return matrix[np.ix_(order, order)]


def coulomb_matrices(inputs: Inputs, size: int) -> Floats:
    """Return the sorted Coulomb matrices of n molecules, filled up with zeros: (n, size, size).

    Raises
    ------
    ValueError
        For a molecule with more than ``size`` atoms; the message names it.
    """
    out = np.zeros((len(inputs), size, size), np.float32)
    for row, text in enumerate(inputs):
        matrix = sorted_matrix(_read_within(text, size))
        out[row, : len(matrix), : len(matrix)] = matrix
    return out


def eigenvalues(inputs: Inputs, size: int) -> Floats:
    """Return the matrices' eigenvalues by falling magnitude, filled up with zeros: (n, size)."""
    out = np.zeros((len(inputs), size), np.float32)
    for row, text in enumerate(inputs):
        values = np.linalg.eigvalsh(coulomb_matrix(_read_within(text, size)))
        out[row, : len(values)] = values[np.argsort(-np.abs(values), kind="stable")]
    return out


def sorted_triangles(inputs: Inputs, size: int) -> Floats:
    """Return the lower triangles of the sorted matrices: (n, size (size + 1) / 2)."""
    return coulomb_matrices(inputs, size)[:, *np.tril_indices(size)]


Bags = dict[tuple[int, int], int]


def bag_sizes(inputs: Inputs) -> Bags:
    """Return the length of the longest bag of each pair of elements (Z, Z'), Z ≤ Z'.

    The bags (Z, 0) hold the diagonal entries of one element.
    """
    longest: Counter[tuple[int, int]] = Counter()
    for text in inputs:
        counts = Counter(geometry(text).numbers.tolist())
        for z, n in counts.items():
            longest[z, 0] = max(longest[z, 0], n)
            for other, m in counts.items():
                if z <= other:
                    pairs = n * (n - 1) // 2 if z == other else n * m
                    longest[z, other] = max(longest[z, other], pairs)
    return {pair: n for pair, n in sorted(longest.items()) if n}


def bag_of_bonds(inputs: Inputs, sizes: Bags) -> Floats:
    """Return the bags of n molecules, each in falling order, filled up with zeros: (n, width).

    Raises
    ------
    ValueError
        For a molecule with a bag that is missing in ``sizes`` or longer than stated there; the
        message names it.
    """
    start = dict(zip(sizes, np.cumsum([0, *sizes.values()]).tolist(), strict=False))
    out = np.zeros((len(inputs), sum(sizes.values())), np.float32)
    for row, text in enumerate(inputs):
        for pair, values in _bags(geometry(text)).items():
            if len(values) > sizes.get(pair, 0):
                names = "-".join(SYMBOLS[z] for z in pair if z)
                raise ValueError(
                    f"molecule {str(text)[:60]!r} has {len(values)} values of {names}; the bags "
                    f"hold {sizes.get(pair, 0)}: no such molecule was seen in training"
                )
            out[row, start[pair] : start[pair] + len(values)] = values
    return out


def represent(inputs: Inputs, representation: Representation, *, size: int, bags: Bags) -> Floats:
    """Return one of the representations: (n, width); a ``ValueError`` for an unknown one."""
    if representation == "bonds":
        return bag_of_bonds(inputs, bags)
    if representation == "eigenvalues":
        return eigenvalues(inputs, size)
    if representation == "sorted":
        return sorted_triangles(inputs, size)
    raise UnknownNameError("representation", representation, REPRESENTATIONS)


def most_atoms(inputs: Inputs) -> int:
    """Return the number of atoms of the largest molecule."""
    return max(len(geometry(text).numbers) for text in inputs)


def _bags(molecule: Geometry) -> dict[tuple[int, int], NDArray[np.float64]]:
    """Return each bag of one molecule, in falling order."""
    matrix, numbers = coulomb_matrix(molecule), molecule.numbers.astype(np.int64)
    first, second = np.tril_indices(len(numbers), k=-1)
    low = np.minimum(numbers[first], numbers[second])
    high = np.maximum(numbers[first], numbers[second])
    entries = np.concatenate([matrix[first, second], matrix.diagonal()])
    keys = np.concatenate([low * 1000 + high, numbers * 1000])
    order = np.lexsort((-entries, keys))
    pairs, starts = np.unique(keys[order], return_index=True)
    bags = np.split(entries[order], starts[1:])
    return {(int(k) // 1000, int(k) % 1000): bag for k, bag in zip(pairs, bags, strict=True)}


def _read_within(text: Any, size: int) -> Geometry:
    """Read a molecule of at most ``size`` atoms."""
    molecule = geometry(text)
    if len(molecule.numbers) > size:
        raise ValueError(
            f"molecule {str(text)[:60]!r} has {len(molecule.numbers)} atoms, the matrices have "
            f"room for {size}: no molecule as large was seen in training"
        )
    return molecule
