"""Molecules as atoms in space: the text form of a geometry, and arrays of many.

A geometry is one line of text, ``"C 0 0 0; O 0 0 1.13"``: element symbol and coordinates in Å of
each atom, atoms apart by semicolons. So a set of geometries is hashed, split and stored like any
other set of inputs.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chemdl.learn.ragged import Layout, Ragged
from chemdl.registry import UnknownNameError

_PERIODIC_TABLE = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se "
    "Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb "
    "Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn"
)
NUMBERS = {symbol: number for number, symbol in enumerate(_PERIODIC_TABLE.split(), start=1)}
SYMBOLS = {number: symbol for symbol, number in NUMBERS.items()}
# Nearer than this two atoms are one place written twice: no bond is a tenth as long.
NEAREST = 0.1
BOHR = 0.529177210903  # Å, CODATA 2018
HARTREE = 627.5094740631  # kcal/mol
# A geometry takes 1 kB; 130 MB of them are held at most.
_KEPT = 2**17


class Geometry(NamedTuple):
    """The a atoms of one molecule.

    numbers : (a,) atomic numbers.
    xyz : (a, 3) positions in Å.
    """

    numbers: NDArray[np.uint8]
    xyz: NDArray[np.float64]


def geometry(text: str) -> Geometry:
    """Read one geometry; its arrays are read-only.

    Raises
    ------
    ValueError
        naming the molecule: for text of another form, an unknown element, a coordinate that is no
        finite number, or two atoms at one position.
    """
    return _geometry(str(text))


def geometries(inputs: Iterable[Any], layout: Layout = "packed") -> dict[str, Ragged]:
    """Return atomic numbers and positions (Å) of n molecules as ragged rows.

    Raises
    ------
    ValueError
        as :func:`geometry` does, for no molecules at all as well.
    """
    molecules = [geometry(text) for text in inputs]
    if not molecules:
        raise ValueError("the set of geometries is empty; check the filter that chose them")
    return {
        "numbers": Ragged.of([molecule.numbers for molecule in molecules], layout),
        "xyz": Ragged.of([molecule.xyz.astype(np.float32) for molecule in molecules], layout),
    }


def geometry_text(numbers: Sequence[int] | ArrayLike, xyz: ArrayLike) -> str:
    """Write atoms as text, each coordinate as short as it reads back exactly.

    Examples
    --------
    >>> geometry_text([6, 8], [[0, 0, 0], [0, 0, 1.13]])
    'C 0 0 0; O 0 0 1.13'
    """
    atoms = zip(np.asarray(numbers).tolist(), np.asarray(xyz, np.float64).tolist(), strict=True)
    return "; ".join(f"{SYMBOLS[z]} {' '.join(map(_short, place))}" for z, place in atoms)


def elements(inputs: Iterable[Any]) -> tuple[int, ...]:
    """Return the atomic numbers that occur in these molecules, ascending."""
    return tuple(sorted({int(z) for text in inputs for z in geometry(text).numbers}))


def composition(inputs: Iterable[Any], known: Sequence[int]) -> NDArray[np.float64]:
    """Count the atoms of each known element: (n, elements).

    Raises
    ------
    ValueError
        naming the molecule, for an element that is not among ``known``: what was not seen in
        training cannot be predicted.
    """
    place = {number: column for column, number in enumerate(known)}
    counts = []
    for text in inputs:
        row = np.zeros(len(known))
        for number in geometry(text).numbers.tolist():
            if number not in place:
                seen = ", ".join(SYMBOLS[z] for z in known)
                raise ValueError(
                    f"molecule {str(text)[:60]!r} has {SYMBOLS[number]}, which was not seen in "
                    f"training ({seen}): its energy cannot be predicted"
                )
            row[place[number]] += 1
        counts.append(row)
    return np.array(counts).reshape(-1, len(known))


def neighbour_distances(xyz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distances between atoms (a, a) in Å, zero on the diagonal."""
    difference = xyz[:, None] - xyz
    return np.sqrt((difference**2).sum(-1))


@functools.lru_cache(maxsize=_KEPT)
def _geometry(text: str) -> Geometry:
    atoms = [atom.split() for atom in text.split(";")]
    if any(len(atom) != 4 for atom in atoms):
        raise ValueError(
            f"{text[:60]!r} is no geometry: write 'C x y z; H x y z; …', in Å, atoms apart by ';'"
        )
    for symbol, *_ in atoms:
        if symbol not in NUMBERS:
            raise ValueError(
                f"molecule {text[:60]!r}: {UnknownNameError('element', symbol, NUMBERS)}"
            )
    try:
        xyz = np.array([[float(x) for x in place] for _, *place in atoms])
    except ValueError as error:
        raise ValueError(f"molecule {text[:60]!r}: {error}") from None
    if not np.isfinite(xyz).all():
        raise ValueError(f"molecule {text[:60]!r} has a coordinate that is not finite")
    _check_apart(text, xyz)
    numbers = np.array([NUMBERS[symbol] for symbol, *_ in atoms], dtype=np.uint8)
    for array in (numbers, xyz):
        array.flags.writeable = False
    return Geometry(numbers, xyz)


def _check_apart(text: str, xyz: NDArray[np.float64]) -> None:
    near = np.argwhere(np.triu(neighbour_distances(xyz) < NEAREST, k=1))
    if len(near):
        i, j = (int(atom) for atom in near[0])
        raise ValueError(
            f"molecule {text[:60]!r}: atoms {i + 1} and {j + 1} are at one position, "
            f"({', '.join(f'{x:g}' for x in xyz[i])}) Å"
        )


def _short(value: float) -> str:
    # Adding zero turns -0 into 0.
    text = repr(value + 0.0)
    return text.removesuffix(".0")
