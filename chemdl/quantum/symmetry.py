"""Atom-centred symmetry functions: what surrounds an atom, as numbers that no rotation changes.

Radial ones (Behler and Parrinello 2007, doi:10.1103/PhysRevLett.98.146401) count neighbours of one
element by distance, angular ones pairs of neighbours by the angle between them, in the form that
ANI gave them (Smith et al. 2017, doi:10.1039/C6SC05720A)::

    G_i^r = Σ_j exp(-η (R_ij - R_s)²) f(R_ij)
    G_i^a = 2^(1-ζ) Σ_{j<k} (1 + cos(θ_ijk - θ_s))^ζ exp(-η (R̄ - R_s)²) f(R_ij) f(R_ik)

with R̄ the mean of R_ij and R_ik, and f(R) = (cos(π R / R_c) + 1) / 2 within the cutoff R_c. There
is one G^r for each R_s and element of j, one G^a for each R_s, θ_s and pair of elements of j and k.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chemdl.learn.ragged import Ragged
from chemdl.quantum.geometries import SYMBOLS, Geometry, geometry

Array = NDArray[Any]


@dataclass(frozen=True)
class SymmetryFunctions:
    """The functions of every atom of a molecule of these ``elements`` (atomic numbers).

    Attributes
    ----------
    radial_shells, radial_cutoff
        Number of distances R_s (from 0.7 Å on) and cutoff R_c in Å of the radial functions G^r.
    angular_shells, angular_sections, angular_cutoff
        Number of distances R_s, number of angles θ_s between 0 and π, and cutoff R_c in Å of the
        angular functions G^a.
    zeta
        Exponent ζ. The width η is 1 / (2 δ²), with δ half the distance between neighbouring R_s.
    """

    elements: tuple[int, ...]
    radial_shells: int = 16
    radial_cutoff: float = 5.0
    angular_shells: int = 4
    angular_sections: int = 4
    angular_cutoff: float = 3.5
    zeta: float = 8.0

    @property
    def width(self) -> int:
        """How many functions an atom has, radial and angular ones."""
        count = len(self.elements)
        angular = self.angular_shells * self.angular_sections * count * (count + 1) // 2
        return self.radial_shells * count + angular

    def __call__(self, inputs: Sequence[Any]) -> Ragged:
        """Return the functions of every atom of n molecules: padded rows of (atoms, width).

        Raises
        ------
        ValueError
            For an element that is not in ``elements``; the message names the molecule.
        """
        rows = []
        for text in inputs:
            try:
                rows.append(self.of(geometry(text)))
            except KeyError as error:
                raise ValueError(
                    f"molecule {str(text)[:60]!r} has {SYMBOLS[int(error.args[0])]}, which is not "
                    f"among the elements {', '.join(SYMBOLS[z] for z in self.elements)}"
                ) from None
        return Ragged.of(rows, layout="padded")

    def of(self, molecule: Geometry) -> NDArray[np.float32]:
        """Return the functions of each atom of one molecule: (atoms, width).

        A ``KeyError`` with the number of an element that is not among :attr:`elements`.
        """
        place = {number: i for i, number in enumerate(self.elements)}
        kinds = np.array([place[number] for number in molecule.numbers.tolist()])
        between = molecule.xyz - molecule.xyz[:, None]  # (i, j, 3): from i to j
        distance = np.sqrt((between**2).sum(-1))
        radial = self._radial(distance, kinds)
        angular = self._angular(between, distance, kinds)
        return np.concatenate([radial, angular], axis=1).astype(np.float32)

    def _radial(self, distance: Array, kinds: Array) -> Array:
        """Return G^r: (atoms, elements · shells), shells of one element together."""
        shells, eta = _shells(self.radial_shells, self.radial_cutoff)
        near = _cutoff(distance, self.radial_cutoff) * (1.0 - np.eye(len(distance)))
        values = np.exp(-eta * (distance[..., None] - shells) ** 2) * near[..., None]
        of_element = np.eye(len(self.elements))[kinds]  # (j, elements)
        summed = np.einsum("ijs,je->ies", values, of_element)
        return summed.reshape(len(distance), -1)

    def _angular(self, between: Array, distance: Array, kinds: Array) -> Array:
        """Return G^a: (atoms, pairs of elements · shells · sections)."""
        n, count = len(distance), len(self.elements)
        pairs = count * (count + 1) // 2
        near = _cutoff(distance, self.angular_cutoff) * (1.0 - np.eye(n))
        i, j, k = np.nonzero((near[:, :, None] > 0) & (near[:, None, :] > 0))
        i, j, k = (index[j < k] for index in (i, j, k))
        values = self._triples(between, distance, near, (i, j, k))
        low, high = np.minimum(kinds[j], kinds[k]), np.maximum(kinds[j], kinds[k])
        pair = low * count - low * (low - 1) // 2 + (high - low)
        out = np.zeros((n * pairs, values.shape[1]))
        np.add.at(out, i * pairs + pair, values)
        return out.reshape(n, -1)

    def _triples(
        self, between: Array, distance: Array, near: Array, atoms: tuple[Array, Array, Array]
    ) -> Array:
        """Return the part of each triple of atoms: (triples, shells · sections)."""
        i, j, k = atoms
        cosine = (between[i, j] * between[i, k]).sum(-1) / (distance[i, j] * distance[i, k])
        # As in ANI: the derivative of the angle is not finite where it is 0 or π.
        angle = np.arccos(0.95 * np.clip(cosine, -1.0, 1.0))
        sections = (np.arange(self.angular_sections) + 0.5) * math.pi / self.angular_sections
        turned = (1.0 + np.cos(angle[:, None] - sections)) ** self.zeta * 2.0 ** (1.0 - self.zeta)
        shells, eta = _shells(self.angular_shells, self.angular_cutoff)
        mean = 0.5 * (distance[i, j] + distance[i, k])
        shell = np.exp(-eta * (mean[:, None] - shells) ** 2)
        both = (near[i, j] * near[i, k])[:, None, None]
        values = both * shell[:, :, None] * turned[:, None, :]
        return values.reshape(len(i), len(shells) * len(sections))


def _shells(count: int, cutoff: float) -> tuple[Array, float]:
    """Return R_s, evenly from 0.7 Å to short of the cutoff, and η."""
    step = (cutoff - 0.7) / count
    return 0.7 + step * np.arange(count), 2.0 / step**2


def _cutoff(distance: Array, radius: float) -> Array:
    smooth = 0.5 * (np.cos(math.pi / radius * distance) + 1.0)
    return np.where(distance < radius, smooth, 0.0)
