"""Molecules as atoms in space: a geometry as one line of text, and as arrays.

A geometry is one line of text, ``"C 0 0 0; O 0 0 1.13"``: element symbol and coordinates in Å of
each atom, with semicolons between the atoms. As text, a set of geometries is hashed, split and
stored like any other set of inputs.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chemdl.registry import UnknownNameError

if TYPE_CHECKING:
    from chemdl.learn.ragged import Layout, Ragged

# Written out, since RDKit's table would load RDKit wherever a data set is read.
_PERIODIC_TABLE = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se "
    "Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb "
    "Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn"
)
NUMBERS = {symbol: number for number, symbol in enumerate(_PERIODIC_TABLE.split(), start=1)}
SYMBOLS = {number: symbol for symbol, number in NUMBERS.items()}
# Å. Two atoms that are nearer are one atom written twice: the shortest bond is seven times as long.
NEAREST = 0.1
BOHR = 0.529177210903  # Å, CODATA 2018
HARTREE = 627.5094740631  # kcal/mol, CODATA 2018
# A parsed geometry takes 1 kB: the cache takes 130 MB at most.
_CACHED = 2**17


class Geometry(NamedTuple):
    """The atoms of one molecule.

    Attributes
    ----------
    numbers
        Atomic numbers, (atoms,).
    xyz
        Positions in Å, (atoms, 3).
    """

    numbers: NDArray[np.uint8]
    xyz: NDArray[np.float64]


@functools.lru_cache(maxsize=_CACHED)
def geometry(text: str) -> Geometry:
    """Read one geometry; its arrays are read-only.

    Raises
    ------
    ValueError
        For text of another form, an unknown element, a coordinate that is not a finite number, or
        two atoms at one position; the message names the molecule.
    """
    text = str(text)  # numpy's own kind of text shows its type in messages
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


def geometries(inputs: Iterable[Any], layout: Layout = "packed") -> dict[str, Ragged]:
    """Return ``numbers`` and ``xyz`` (Å) of n molecules, at least one, as ragged rows.

    Raises as :func:`geometry`.
    """
    # PyTorch is behind it, which reading a data set does not need.
    from chemdl.learn.ragged import Ragged

    molecules = [geometry(text) for text in inputs]
    if not molecules:
        raise ValueError("the set of geometries is empty; check the filter that chose them")
    return {
        "numbers": Ragged.of([molecule.numbers for molecule in molecules], layout),
        "xyz": Ragged.of([molecule.xyz.astype(np.float32) for molecule in molecules], layout),
    }


def geometry_text(atoms: ArrayLike, xyz: ArrayLike) -> str:
    """Write atoms as text, each coordinate with as few digits as give it back exactly.

    Parameters
    ----------
    atoms
        Atomic numbers or symbols, (atoms,).
    xyz
        Positions in Å, (atoms, 3).

    Examples
    --------
    >>> geometry_text([6, 8], [[0, 0, 0], [0, 0, 1.13]])
    'C 0 0 0; O 0 0 1.13'
    """
    symbols = [a if isinstance(a, str) else SYMBOLS[a] for a in np.asarray(atoms).tolist()]
    places = np.asarray(xyz, np.float64).tolist()
    pairs = zip(symbols, places, strict=True)
    return "; ".join(f"{symbol} {' '.join(map(_short, place))}" for symbol, place in pairs)


def elements(inputs: Iterable[Any]) -> tuple[int, ...]:
    """Return the atomic numbers that occur in these molecules, ascending."""
    return tuple(sorted({int(z) for text in inputs for z in geometry(text).numbers}))


def composition(
    inputs: Sequence[Any] | NDArray[np.object_], seen: Sequence[int]
) -> NDArray[np.float64]:
    """Count the atoms of each element that was seen in training: (n, elements).

    Raises
    ------
    ValueError
        For an element that is not in ``seen``, since nothing was learned about it; the message
        names the molecule.
    """
    column = {number: place for place, number in enumerate(seen)}
    counts = np.zeros((len(inputs), len(seen)))
    for row, text in enumerate(inputs):
        for number in geometry(text).numbers.tolist():
            if number not in column:
                raise ValueError(
                    f"molecule {str(text)[:60]!r} has {SYMBOLS[number]}, which was not seen in "
                    f"training ({', '.join(SYMBOLS[z] for z in seen)}): its energy cannot be "
                    "predicted"
                )
            counts[row, column[number]] += 1
    return counts


def neighbour_distances(xyz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distances between atoms (a, a) in Å, zero on the diagonal."""
    difference = xyz[:, None] - xyz
    return np.sqrt((difference**2).sum(-1))


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
    return repr(value + 0.0).removesuffix(".0")
