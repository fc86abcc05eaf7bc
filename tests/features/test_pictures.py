"""A drawing shows the molecule, whichever way its SMILES is spelled."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from chemdl.features.pictures import CHANNELS, pictures

PARACETAMOL = "CC(=O)Nc1ccc(O)cc1"
ODD = ["C", "[H][H]", "[Na+].[Cl-]", "[U]", "[13CH4]", "C[N+](C)(C)C", "CCO.c1ccccc1", "C" * 250]


def test_every_molecule_gets_a_picture() -> None:
    drawn = pictures(ODD)
    assert drawn.shape == (len(ODD), len(CHANNELS), 48, 48) and drawn.dtype == np.uint8
    assert (drawn[:, 1].reshape(len(ODD), -1).max(axis=1) > 0).all()


def test_the_spelling_does_not_matter() -> None:
    molecule = Chem.MolFromSmiles(PARACETAMOL)
    order = np.random.default_rng(3).permutation(molecule.GetNumAtoms()).tolist()
    other = Chem.MolToSmiles(Chem.RenumberAtoms(molecule, order), canonical=False)
    assert other != PARACETAMOL
    np.testing.assert_array_equal(*pictures([PARACETAMOL, other]))


def test_atoms_stand_on_the_pixels_of_their_channel() -> None:
    (picture,) = pictures([PARACETAMOL])
    values, counts = np.unique(picture[1], return_counts=True)
    found = dict(zip(values.tolist(), counts.tolist(), strict=True))
    assert (found[4 * 6], found[4 * 7], found[4 * 8]) == (8, 1, 2)
    # Two oxygens and the nitrogen are negative, and nothing is both.
    assert not (picture[2].astype(bool) & picture[3].astype(bool)).any()
    assert picture[3][picture[1] == 32].min() > 20
    # Single, aromatic and double bonds.
    assert {64, 96, 128} <= set(np.unique(picture[0]).tolist())


def test_large_molecules_are_scaled_down_to_fit() -> None:
    chain, ring = pictures(["C" * 60, "C1CCCCC1"])
    for picture in (chain, ring):
        used = np.flatnonzero(picture[0].any(axis=0))
        assert used[0] >= 0 and used[-1] <= 47
    width = np.ptp(np.flatnonzero(chain[0].any(axis=0)))
    height = np.ptp(np.flatnonzero(chain[0].any(axis=1)))
    assert max(width, height) == 47
    assert np.ptp(np.flatnonzero(ring[0].any(axis=0))) < 10


def test_what_cannot_be_read_is_named() -> None:
    with pytest.raises(ValueError, match=r"row 1: .*'C1CC'"):
        pictures(["C", "C1CC"])
