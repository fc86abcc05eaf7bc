"""Pairs of atoms and directed molecules, against RDKit's paths and a plain search."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from chemdl.molecules.graphs import BOND_BITS, molecular_graphs
from chemdl.molecules.pairs import atom_pairs, directed_graphs, directed_parts, molecule_pairs

SMILES = [
    "C",
    "[Na+].[Cl-]",
    "CCO",
    "C1CC1",
    "C1CCC1",
    "C1CCCC1CCO",
    "CC(=O)Oc1ccccc1C(=O)O",
    "c1ccc2c(c1)ccc1c2cccc1CC1CC1",
    "C1CC2CCC1C2",
    "C12C3C4C1C5C2C3C45",
    "C1CC1.C1CCCC1",
    "C1CC[NH2]->[Cu]<-[NH2]1",
    "C" * 60,
]


def test_pairs_of_ethanol() -> None:
    pairs, ends = molecule_pairs("CCO", 2)
    assert ends.tolist() == [[0, 1], [0, 2], [1, 2]]
    assert pairs.shape == (3, BOND_BITS + 3)
    single = [1, 0, 0, 0]
    assert pairs[:, :4].tolist() == [single, [0, 0, 0, 0], single]
    # At most one bond, at most two, in the same ring.
    assert pairs[:, BOND_BITS:].tolist() == [[1, 1, 0], [0, 1, 0], [1, 1, 0]]
    assert not pairs[1, :BOND_BITS].any()


@pytest.mark.parametrize("smiles", SMILES)
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
    features = atom_pairs(SMILES)
    assert features["pairs"].values.dtype == np.uint8
    assert features["pair_ends"].values.dtype == np.int16
    assert all(len(rows) == len(SMILES) for rows in features.values())


def test_pairs_grow_with_atoms_not_with_their_square() -> None:
    short, long = (len(molecule_pairs("C" * n, 2).pairs) for n in (50, 200))
    assert (short, long) == (97, 397)


@pytest.mark.parametrize("function", [atom_pairs, directed_graphs])
def test_an_unreadable_smiles_is_named(function) -> None:
    with pytest.raises(ValueError, match=r"row 1: .*'C1CC'"):
        function(["CC", "C1CC"])


def test_a_reach_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        atom_pairs(["CC"], 0)


@pytest.mark.parametrize("smiles", SMILES)
def test_directions_are_those_of_a_search_from_each_root(smiles: str) -> None:
    """Unfold what is shared: below each root hangs what plain distances say."""
    directed = directed_parts(smiles)
    molecule = Chem.MolFromSmiles(smiles)
    distance = Chem.GetDistanceMatrix(molecule)
    links: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
    for height, place, *below in directed.links.tolist():
        links.setdefault((height, place), []).append(tuple(below))
    parts: dict[tuple[int, int], int] = {}
    for height, atom in directed.parts.tolist():
        parts[height, sum(h == height for h, _ in parts)] = atom

    for root, whole in enumerate(map(tuple, directed.roots.tolist())):
        assert parts[whole] == root
        waiting, seen = [whole], set()
        while waiting:
            part = waiting.pop()
            atom = parts[part]
            seen.add(atom)
            found = []
            for bond, height, place in links.get(part, []):
                other = molecule.GetBondWithIdx(bond).GetOtherAtomIdx(atom)
                found.append((other, 1 if height else 0))
                if height:
                    assert parts[height, place] == other
                    assert height < part[0]
                    waiting.append((height, place))
            around = [n.GetIdx() for n in molecule.GetAtomWithIdx(atom).GetNeighbors()]
            step = {n: distance[root, n] - distance[root, atom] for n in around}
            assert sorted(found) == sorted((n, int(s)) for n, s in step.items() if s >= 0)
        assert seen == set(np.flatnonzero(distance[root] < 1e6))


def test_a_chain_shares_all_but_its_two_directions() -> None:
    """Of 60 × 60 states, one for each root and each direction of each bond are different."""
    assert len(directed_parts("C" * 60).parts) == 60 + 2 * 59
    assert len(directed_parts("c1ccccc1").parts) == 36


def test_a_set_without_bonds_has_parts_all_the_same() -> None:
    features = directed_graphs(["C", "[Na+].[Cl-]"])
    assert sorted(features) == ["links_1", "parts_1", "roots"]
    assert np.diff(features["parts_1"].offsets).tolist() == [1, 2]
    assert len(features["links_1"].values) == 0


def test_heights_split_the_parts() -> None:
    features = directed_graphs(["C", "CCCC", "C1CC1"])
    parts = [features[f"parts_{h}"] for h in range(1, 5)]
    assert "parts_5" not in features
    # A ring of three: below each root two leaves, which see each other sideways.
    assert np.diff(parts[0].offsets).tolist() == [1, 2, 6]
    assert np.diff(parts[1].offsets).tolist() == [0, 2, 3]
    assert np.diff(features["links_1"].offsets).tolist() == [0, 0, 6]
    assert (features["links_1"].values[:, 2] == 0).all()
    graphs = molecular_graphs(["C", "CCCC", "C1CC1"])
    np.testing.assert_array_equal(features["roots"].offsets, graphs["atoms"].offsets)
