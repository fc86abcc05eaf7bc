"""Molecules directed towards each atom, against a plain search from it."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

from chemdl.molecules.directed import directed_graphs, directed_parts
from chemdl.molecules.graphs import molecular_graphs

from .conftest import AWKWARD


@pytest.mark.parametrize("smiles", AWKWARD)
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


def test_an_unreadable_smiles_is_named() -> None:
    with pytest.raises(ValueError, match=r"row 1: .*'C1CC'"):
        directed_graphs(["CC", "C1CC"])
