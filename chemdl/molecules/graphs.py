"""Molecules as graphs: what each atom and each bond is, and which atoms a bond joins.

The features are those of directed-edge message passing (Yang et al. 2019,
doi:10.1021/acs.jcim.9b00237) in the layout of chemprop 2 (Heid et al. 2024,
doi:10.1021/acs.jcim.3c01250), so that weights can be carried from one to the other. Hydrogens
are counted at their neighbours. Each list below is followed by one place for all that it lacks.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import BondType, HybridizationType

from chemdl.learn.ragged import Ragged
from chemdl.molecules.smiles import describe_each, parse

# The first four rows of the periodic table, and iodine.
ELEMENTS = (*range(1, 37), 53)
CHARGES = (-1, -2, 1, 2, 0)
HYBRIDIZATIONS = (
    HybridizationType.S,
    HybridizationType.SP,
    HybridizationType.SP2,
    HybridizationType.SP2D,
    HybridizationType.SP3,
    HybridizationType.SP3D,
    HybridizationType.SP3D2,
)
BOND_TYPES = (BondType.SINGLE, BondType.DOUBLE, BondType.TRIPLE, BondType.AROMATIC)
STEREOS = 6

# A graph of a drug takes about 4 kB; half a gigabyte of them is held at most.
_KEPT = 2**17


class MolecularGraph(NamedTuple):
    """One molecule of a atoms and b bonds.

    Attributes
    ----------
    atoms
        Bits of each atom, (a, 71): element, degree with hydrogens, charge, chirality, number of
        hydrogens, hybridisation, aromatic.
    mass
        Mass of each atom, (a, 1), in units of 100 Da; isotopes differ only in it.
    bonds
        Bits of each bond, (b, 13): type, conjugated, in a ring, stereo.
    ends
        The two atoms that each bond joins, (b, 2), numbered within the molecule.
    """

    atoms: NDArray[np.uint8]
    mass: NDArray[np.float32]
    bonds: NDArray[np.uint8]
    ends: NDArray[np.int16]


def molecular_graphs(smiles: Sequence[str]) -> dict[str, Ragged]:
    """Return atoms, mass, bonds and ends of n molecules as ragged rows.

    Raises
    ------
    ValueError
        For SMILES that RDKit cannot read; the message names the row and the SMILES.
    """
    return Ragged.columns(describe_each(smiles, molecular_graph))


@functools.lru_cache(maxsize=_KEPT)
def molecular_graph(smiles: str) -> MolecularGraph:
    """Read one SMILES and describe its atoms and bonds."""
    (molecule,) = parse([smiles])
    return MolecularGraph(*_atoms(molecule), *_bonds(molecule))


def _atoms(molecule: Chem.Mol) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    atoms = list(molecule.GetAtoms())
    places = [
        (
            _ELEMENT_PLACES.get(atom.GetAtomicNum(), len(ELEMENTS)),
            min(atom.GetTotalDegree(), 6),
            _CHARGE_PLACES.get(atom.GetFormalCharge(), len(CHARGES)),
            min(int(atom.GetChiralTag()), 4),
            min(atom.GetTotalNumHs(), 5),
            _HYBRIDIZATION_PLACES.get(atom.GetHybridization(), len(HYBRIDIZATIONS)),
        )
        for atom in atoms
    ]
    bits = np.zeros((len(atoms), ATOM_BITS), dtype=np.uint8)
    np.put_along_axis(bits, np.array(places) + _ATOM_OFFSETS, 1, axis=1)
    bits[:, -1] = [atom.GetIsAromatic() for atom in atoms]
    mass = np.array([[0.01 * atom.GetMass()] for atom in atoms], dtype=np.float32)
    return bits, mass


def _bonds(molecule: Chem.Mol) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    bonds = list(molecule.GetBonds())
    bits = np.zeros((len(bonds), BOND_BITS), dtype=np.uint8)
    ends = np.zeros((len(bonds), 2), dtype=np.int16)
    for row, bond in enumerate(bonds):
        ends[row] = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        # A bond of another type, such as a dative one, has none of the four bits.
        kind = _BOND_PLACES.get(bond.GetBondType())
        if kind is not None:
            bits[row, kind] = 1
        bits[row, 4] = bond.GetIsConjugated()
        bits[row, 5] = bond.IsInRing()
        bits[row, 6 + min(int(bond.GetStereo()), STEREOS)] = 1
    return bits, ends


_ELEMENT_PLACES = {number: place for place, number in enumerate(ELEMENTS)}
_CHARGE_PLACES = {charge: place for place, charge in enumerate(CHARGES)}
_HYBRIDIZATION_PLACES = {kind: place for place, kind in enumerate(HYBRIDIZATIONS)}
_BOND_PLACES = {kind: place for place, kind in enumerate(BOND_TYPES)}
# Elements, degrees 0 to 5, charges, chiral tags 0 to 3, hydrogens 0 to 4, hybridisations: each
# list is followed by one place for what it does not hold.
_ATOM_SIZES = (len(ELEMENTS) + 1, 7, len(CHARGES) + 1, 5, 6, len(HYBRIDIZATIONS) + 1)
_ATOM_OFFSETS = np.cumsum((0, *_ATOM_SIZES[:-1]))
ATOM_BITS = sum(_ATOM_SIZES) + 1
BOND_BITS = len(BOND_TYPES) + 2 + STEREOS + 1
