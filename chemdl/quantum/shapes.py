"""The shape of a molecule: torsion angles, rigid rotations, rings and strain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from chemdl.quantum.geometries import (
    SYMBOLS,
    geometry,
    geometry_text,
    neighbour_distances,
)

# Bond lengths are at most so many times the sum of covalent radii (Cordero et al. 2008).
_BONDED = 1.2


def rotated(text: str, axis: tuple[int, int], moving: Sequence[int], degrees: float) -> str:
    """Return a geometry in which some atoms are turned about the line between two others.

    ``axis`` and ``moving`` count the atoms from 0; a positive angle turns clockwise as one looks
    from the first atom of the axis to the second.
    """
    numbers, xyz = geometry(text)
    origin, end = xyz[axis[0]], xyz[axis[1]]
    along = (end - origin) / np.linalg.norm(end - origin)
    turn = Rotation.from_rotvec(degrees * along, degrees=True)
    out = xyz.copy()
    out[list(moving)] = origin + turn.apply(xyz[list(moving)] - origin)
    return geometry_text(numbers, out)


def torsion(text: str, atoms: tuple[int, int, int, int]) -> float:
    """Return the torsion angle of four atoms in degrees, from -180 to 180."""
    a, b, c, d = geometry(text).xyz[list(atoms)]
    first, middle, last = b - a, c - b, d - c
    left, right = np.cross(first, middle), np.cross(middle, last)
    sine = np.linalg.norm(middle) * (first @ right)
    return float(np.degrees(np.arctan2(sine, left @ right)))


def describe_molecule(text: str) -> dict[str, Any]:
    """Describe a molecule: formula, number of heavy atoms, rings, smallest angle, elements.

    Two atoms are bonded where they are nearer than 1.2 times the sum of their covalent radii. The
    smallest angle between two bonds of heavy atoms, in degrees, shows strain: 60 in
    cyclopropane, 90 in cyclobutane.
    """
    numbers, xyz = geometry(text)
    distance = neighbour_distances(xyz)
    from rdkit import Chem

    radius = Chem.GetPeriodicTable().GetRcovalent
    radii = np.array([radius(int(z)) for z in numbers])
    bonded = (distance < _BONDED * (radii[:, None] + radii)) & (distance > 0)
    heavy = numbers > 1
    skeleton = bonded & heavy & heavy[:, None]
    counts = Counter(SYMBOLS[int(z)] for z in numbers)
    formula = "".join(
        f"{symbol}{counts[symbol] if counts[symbol] > 1 else ''}"
        for symbol in sorted(counts, key=lambda s: (s != "C", s != "H", s))
    )
    return {
        "formula": formula,
        "heavy atoms": int(heavy.sum()),
        "rings": int(skeleton.sum()) // 2 - int(heavy.sum()) + _fragments(skeleton, heavy),
        "smallest angle": _smallest_angle(xyz, skeleton),
        "elements": "".join(sorted({SYMBOLS[int(z)] for z in numbers[heavy]})),
    }


def _fragments(skeleton: NDArray[np.bool_], heavy: NDArray[np.bool_]) -> int:
    from scipy.sparse.csgraph import connected_components

    bonds = skeleton[np.ix_(heavy, heavy)]
    return int(connected_components(bonds, directed=False)[0]) if len(bonds) else 0


def _smallest_angle(xyz: NDArray[np.float64], skeleton: NDArray[np.bool_]) -> float:
    """Return the smallest angle between two bonds at one atom, 180 where there is none."""
    smallest = 180.0
    for atom, neighbours in enumerate(skeleton):
        arms = xyz[neighbours] - xyz[atom]
        if len(arms) < 2:
            continue
        arms = arms / np.linalg.norm(arms, axis=1, keepdims=True)
        cosines = (arms @ arms.T)[np.triu_indices(len(arms), k=1)]
        smallest = min(smallest, float(np.degrees(np.arccos(np.clip(cosines.max(), -1, 1)))))
    return smallest
