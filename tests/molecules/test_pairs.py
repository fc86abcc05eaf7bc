"""Pairs of atoms against RDKit's paths and rings."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from chemdl.molecules.graphs import BOND_BITS
from chemdl.molecules.pairs import atom_pairs, molecule_pairs

from .conftest import AWKWARD


def test_pairs_of_ethanol() -> None:
    pairs, ends = molecule_pairs("CCO", 2)
    assert ends.tolist() == [[0, 1], [0, 2], [1, 2]]
    assert pairs.shape == (3, BOND_BITS + 3)
    single = [1, 0, 0, 0]
    assert pairs[:, :4].tolist() == [single, [0, 0, 0, 0], single]
    # At most one bond, at most two, in the same ring.
    assert pairs[:, BOND_BITS:].tolist() == [[1, 1, 0], [0, 1, 0], [1, 1, 0]]
    assert not pairs[1, :BOND_BITS].any()


@pytest.mark.parametrize("smiles", AWKWARD)
@pytest.mark.parametrize("reach", [1, 3])
def test_pairs_are_those_within_reach(smiles: str, reach: int) -> None:
    molecule = Chem.MolFromSmiles(smiles)
    pairs, ends = molecule_pairs(smiles, reach)
    distance = Chem.GetDistanceMatrix(molecule)
    atoms = range(molecule.GetNumAtoms())
    expected = [[i, j] for i in atoms for j in atoms if i < j and distance[i, j] <= reach]
    assert ends.reshape(-1, 2).tolist() == expected
    rings = molecule.GetRingInfo()
    for bits, (i, j) in zip(pairs, expected, strict=True):
        bond = molecule.GetBondBetweenAtoms(i, j)
        assert bits[:BOND_BITS].any() == (bond is not None)
        assert bits[BOND_BITS:-1].sum() == reach + 1 - distance[i, j]
        assert bits[-1] == rings.AreAtomsInSameRing(i, j)


def test_no_pair_joins_two_fragments() -> None:
    ends = molecule_pairs("CCC.CCC", 9).pair_ends
    assert len(ends) == 6
    assert ((ends < 3).all(axis=1) | (ends >= 3).all(axis=1)).all()


def test_bits_and_numbers_are_compact() -> None:
    features = atom_pairs(AWKWARD)
    assert features["pairs"].values.dtype == np.uint8
    assert features["pair_ends"].values.dtype == np.int16
    assert all(len(rows) == len(AWKWARD) for rows in features.values())


def test_pairs_grow_with_atoms_not_with_their_square() -> None:
    short, long = (len(molecule_pairs("C" * n, 2).pairs) for n in (50, 200))
    assert (short, long) == (97, 397)


def test_an_unreadable_smiles_is_named() -> None:
    with pytest.raises(ValueError, match=r"row 1: .*'C1CC'"):
        atom_pairs(["CC", "C1CC"])


def test_a_reach_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        atom_pairs(["CC"], 0)
