"""Compositions as numbers: shares of the elements, and statistics of their properties.

The statistics are those of Magpie (Ward et al. 2016, doi:10.1038/npjcompumats.2016.28): mean, mean
absolute deviation, least, greatest, range and the value of the most abundant element, for each
property of the elements, weighted by their shares; beside them norms of the shares and the shares
of valence electrons by orbital. They are computed for all formulas at once from one table.

The table comes from pymatgen, which finds the neighbours in a crystal as well. Of other libraries,
ase has neither electronegativity nor melting point; mendeleev has the richest table, but depends on
eleven packages and has no crystals; matminer has Magpie's own numbers, but depends on all of
pymatgen and on a database client.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chemdl.data.feature_cache import cached_rows
from chemdl.materials.formulas import (
    LAST_ELEMENT,
    FormulaError,
    composition_key,
    fractions,
    symbols,
)

STATISTICS = ("mean", "deviation", "minimum", "maximum", "range", "mode")
NORMS = (0, 2, 3, 5, 10)
_ORBITALS = {"s": 2, "p": 6, "d": 10, "f": 14}
# By pymatgen's names; those it computes are attributes only.
_PROPERTIES = (
    "mendeleev_no", "atomic_mass", "melting_point", "boiling_point", "group", "row",
    "atomic_radius", "van_der_waals_radius", "average_ionic_radius", "X", "ionization_energy",
    "electron_affinity", "molar_volume", "thermal_conductivity", "max_oxidation_state",
    "min_oxidation_state",
)  # fmt: skip
_COMPUTED = {
    "group", "row", "average_ionic_radius", "ionization_energy", "max_oxidation_state",
    "min_oxidation_state",
}  # fmt: skip


class Elements:
    """Properties of each element, from pymatgen.

    Attributes
    ----------
    names
        Name of each property: those of pymatgen, in its units, then the numbers of valence
        electrons (beyond the noble gas) and of unfilled places, for each orbital and in total.
    values
        Properties of the elements, (103, properties), row 0 for hydrogen. Where an element lacks a
        property, the mean over the others is used.
    valence
        Numbers of valence electrons in s, p, d and f, (103, 4).
    """

    def __init__(self) -> None:
        from pymatgen.core import Element

        elements = [Element.from_Z(z) for z in range(1, LAST_ELEMENT + 1)]
        properties = np.array([[_value(e, name) for name in _PROPERTIES] for e in elements])
        electrons = np.array([_electrons(e.electronic_structure) for e in elements], dtype=float)
        unfilled = np.where(electrons > 0, np.array([*_ORBITALS.values()]) - electrons, 0.0)
        columns = [properties]
        for counts in (electrons, unfilled):
            columns += [counts, counts.sum(1, keepdims=True)]
        values = np.hstack(columns)
        self.values = np.where(np.isnan(values), np.nanmean(values, axis=0), values)
        self.valence = electrons
        self.names = (
            *(name.replace("_", " ") for name in _PROPERTIES),
            *(f"{orbital} electrons" for orbital in [*_ORBITALS, "valence"]),
            *(f"{orbital} places" for orbital in [*_ORBITALS, "valence"]),
        )


@functools.cache
def elements() -> Elements:
    """Return the table of the elements; read once."""
    return Elements()


def descriptor_names() -> list[str]:
    """Return what each column of :func:`composition_descriptors` is."""
    names = [f"{statistic} {name}" for name in elements().names for statistic in STATISTICS]
    orbitals = [f"share of {orbital} electrons" for orbital in _ORBITALS]
    return [*names, *(f"norm {p} of the shares" for p in NORMS), *orbitals]


def composition_descriptors(inputs: Sequence[str]) -> NDArray[np.float32]:
    """Return Magpie's statistics of n formulas or crystals: (n, descriptors).

    Raises
    ------
    FormulaError
        For text that is not a formula; the message names its row.
    """
    import pymatgen.core

    parameters = {"pymatgen": pymatgen.core.__version__, "form": 1}
    return cached_rows("composition_descriptors", parameters, inputs, _descriptors)


def descriptors_and_fractions(inputs: Sequence[str]) -> NDArray[np.float32]:
    """Return what the models of descriptors read: both, side by side, (n, descriptors + 103)."""
    return np.hstack([composition_descriptors(inputs), element_fractions(inputs)])


def element_fractions(inputs: Sequence[str]) -> NDArray[np.float32]:
    """Return the share of each element: (n, 103); raises as :func:`composition_descriptors`."""
    numbers, shares = element_sets(inputs)
    by_element = np.zeros((len(inputs), LAST_ELEMENT + 1), dtype=np.float32)
    np.put_along_axis(by_element, numbers, shares, axis=1)
    return by_element[:, 1:]


def element_sets(inputs: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return atomic numbers and shares of n formulas or crystals: (n, most elements) each.

    Places that a formula leaves empty have number and share zero. Raises as
    :func:`composition_descriptors`.
    """
    compositions = [_fractions(text, row) for row, text in enumerate(inputs)]
    width = max(map(len, compositions))
    numbers = np.zeros((len(compositions), width), dtype=np.int64)
    shares = np.zeros((len(compositions), width), dtype=np.float32)
    for row, parts in enumerate(compositions):
        numbers[row, : len(parts)] = list(parts)
        shares[row, : len(parts)] = list(parts.values())
    return numbers, shares


def composition_keys(inputs: Sequence[str]) -> NDArray[np.str_]:
    """Return a text for each of n formulas or crystals, equal where their compositions are."""
    return np.array([composition_key(_fractions(text, row)) for row, text in enumerate(inputs)])


@functools.lru_cache(maxsize=2**19)
def composition(text: str) -> dict[int, float]:
    """Return the share of each element, by atomic number, of a formula or of a crystal's line."""
    if ";" not in text:
        return fractions(text)
    sites = [site.split()[0] for site in text.split(";")[1:]]
    shares = {symbols()[symbol]: sites.count(symbol) / len(sites) for symbol in set(sites)}
    return dict(sorted(shares.items()))


def _fractions(text: str, row: int) -> dict[int, float]:
    try:
        return composition(text)
    except FormulaError as error:
        raise FormulaError(f"row {row}: {error}") from None


def _descriptors(inputs: Sequence[str]) -> NDArray[np.float32]:
    numbers, shares = element_sets(inputs)
    weight = shares.astype(np.float64)
    present = numbers > 0
    table = elements()
    values = table.values[np.where(present, numbers, 1) - 1]  # (n, most elements, properties)
    mean = np.einsum("ne,nep->np", weight, values)
    deviation = np.einsum("ne,nep->np", weight, np.abs(values - mean[:, None]))
    least = np.where(present[..., None], values, np.inf).min(1)
    greatest = np.where(present[..., None], values, -np.inf).max(1)
    # Of equally abundant elements the mean, as no order of them may count.
    most = np.isclose(weight, weight.max(1, keepdims=True)) & present
    mode = np.einsum("ne,nep->np", most / most.sum(1, keepdims=True), values)
    statistics = np.stack([mean, deviation, least, greatest, greatest - least, mode], axis=2)
    norms = [present.sum(1), *((weight**p).sum(1) ** (1 / p) for p in NORMS[1:])]
    electrons = np.einsum("ne,neo->no", weight, table.valence[np.where(present, numbers, 1) - 1])
    orbitals = electrons / np.maximum(electrons.sum(1, keepdims=True), 1e-9)
    flat = statistics.reshape(len(inputs), -1)
    return np.hstack([flat, np.stack(norms, axis=1), orbitals]).astype(np.float32)


def _value(element: Any, name: str) -> float:
    # Reading an attribute warns where the element lacks the property; reading its record does not.
    recorded = element.data.get(name.capitalize().replace("_", " "))
    value = getattr(element, name) if name in _COMPUTED else recorded
    return np.nan if value is None else float(value)


def _electrons(structure: str) -> list[int]:
    """Count the electrons beyond the noble gas of ``[Ar].3d6.4s2`` in s, p, d and f."""
    counts = dict.fromkeys(_ORBITALS, 0)
    for shell in structure.split("."):
        if not shell.startswith("["):
            counts[shell[1]] += int(shell[2:])
    return list(counts.values())
