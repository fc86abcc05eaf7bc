"""Splits by scaffold and by cluster: whole groups, even folds, and the peers' own splits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from rdkit import Chem

import chemdl
from chemdl.data import Dataset
from chemdl.evidence.splits import PROTOCOLS, Protocol
from chemdl.molecules.fingerprints import ECFP
from chemdl.molecules.similarity import tanimoto
from chemdl.molecules.smiles import scaffold_keys
from chemdl.molecules.splits import butina, cluster, scaffold_balanced, scaffold_moleculenet

ALKANES = ["C" * i for i in range(1, 11)]


def molecules(smiles: list[str]) -> Dataset:
    y = np.zeros((len(smiles), 1))
    return Dataset("few", np.array(smiles, object), y, ("t",), "classification", "", {})


@pytest.fixture(scope="module")
def clintox() -> Dataset:
    """The first 600 of ClinTox's molecules."""
    return chemdl.load("clintox").subset(np.arange(600))


def groups_of(name: str, dataset: Dataset) -> np.ndarray:
    if name == "cluster":
        return butina(dataset.inputs)
    return np.unique(scaffold_keys(dataset.inputs), return_inverse=True)[1]


@pytest.mark.parametrize("name", ["scaffold_balanced", "cluster", "scaffold_moleculenet"])
def test_no_group_stands_on_two_sides(name: str, clintox: Dataset) -> None:
    groups = groups_of(name, clintox)
    for split in PROTOCOLS[name](clintox).splits:
        sides = [set(groups[rows]) for rows in (split.train, split.valid, split.test)]
        assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])


@pytest.mark.parametrize("name", ["scaffold_balanced", "cluster"])
def test_bins_are_balanced_as_far_as_the_largest_group_allows(name: str, clintox: Dataset) -> None:
    largest = np.bincount(groups_of(name, clintox)).max()
    sizes = np.array([len(s.test) for s in PROTOCOLS[name](clintox, repeats=3, folds=3).splits])
    assert largest < 200, "the set was chosen so that no group fills a fold"
    assert np.ptp(sizes) <= 1


def test_moleculenet_split_by_hand() -> None:
    # Five with a benzene scaffold, three with a pyridine, two without a ring.
    smiles = ["c1ccccc1" + "C" * i for i in range(1, 6)] + ["c1ccncc1" + "C" * i for i in (1, 2, 3)]
    split = scaffold_moleculenet(
        molecules([*smiles, "CC", "CCC"]), fractions=(0.5, 0.3, 0.2)
    ).splits[0]
    assert [r.tolist() for r in (split.train, split.valid, split.test)] == [
        [0, 1, 2, 3, 4],
        [5, 6, 7],
        [8, 9],
    ]


@pytest.mark.parametrize(
    ("name", "fractions"),
    [("clintox", (0.8, 0.1, 0.1)), ("bace", (0.8, 0.1, 0.1)), ("esol", (0.7, 0.1, 0.2))],
)
def test_moleculenet_split_is_deepchems(
    name: str, fractions: tuple[float, float, float], deepchem
) -> None:
    dataset = chemdl.load(name)
    data = deepchem.data.NumpyDataset(X=np.zeros(len(dataset.inputs)), ids=dataset.inputs)
    train, valid, test = fractions
    expected = deepchem.splits.ScaffoldSplitter().split(
        data, frac_train=train, frac_valid=valid, frac_test=test
    )
    split = scaffold_moleculenet(dataset, fractions=fractions).splits[0]
    for ours, theirs in zip((split.train, split.valid, split.test), expected, strict=True):
        np.testing.assert_array_equal(ours, np.sort(theirs))


@pytest.mark.parametrize("cutoff", [0.3, 0.6])
def test_clusters_are_rdkits(cutoff: float, clintox: Dataset) -> None:
    from rdkit import DataStructs
    from rdkit.Chem import rdFingerprintGenerator
    from rdkit.ML.Cluster import Butina

    smiles = clintox.inputs[:250]
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    vectors = [generator.GetFingerprint(Chem.MolFromSmiles(s)) for s in smiles]
    apart: list[float] = []
    for i in range(1, len(vectors)):
        apart += [1 - s for s in DataStructs.BulkTanimotoSimilarity(vectors[i], vectors[:i])]
    expected = Butina.ClusterData(apart, len(vectors), cutoff, isDistData=True)
    codes = butina(smiles, cutoff)
    ours = {frozenset(np.flatnonzero(codes == c).tolist()) for c in np.unique(codes)}
    assert ours == {frozenset(members) for members in expected}


def test_cluster_mates_are_neighbours_of_one_centre(clintox: Dataset) -> None:
    rows = ECFP().transform(clintox.inputs)
    codes = butina(clintox.inputs, 0.5)
    for code in np.unique(codes)[:50]:
        mine = rows[codes == code]
        assert (tanimoto(mine, mine).min(axis=1) >= 0.5 - 1e-6).any()


@pytest.mark.parametrize("cutoff", [0.0, 1.0, -1.0])
def test_cutoff_is_a_distance(cutoff: float, clintox: Dataset) -> None:
    with pytest.raises(ValueError, match="Tanimoto distance"):
        cluster(clintox, cutoff=cutoff)


@pytest.mark.parametrize("rule", [scaffold_balanced, scaffold_moleculenet])
def test_one_scaffold_cannot_be_divided(rule: Any) -> None:
    with pytest.raises(ValueError, match=r"have one scaffold .*use the protocol cluster or random"):
        rule(molecules(ALKANES * 2))


def test_too_few_groups_for_the_folds() -> None:
    with pytest.raises(ValueError, match="2 scaffolds cannot fill 5 folds; ask for fewer folds"):
        scaffold_balanced(molecules([*ALKANES, "c1ccccc1"]))
    with pytest.raises(ValueError, match=r"2 scaffolds of up to .* leave valid empty"):
        scaffold_moleculenet(molecules([*ALKANES, "c1ccccc1"]))


def test_no_group_is_left_for_valid() -> None:
    benzenes = ["c1ccccc1" + "C" * i for i in range(1, 11)]
    with pytest.raises(ValueError, match="no valid side"):
        scaffold_balanced(molecules([*ALKANES, *benzenes]), folds=2)


def test_protocol_is_made_of_splits(clintox: Dataset) -> None:
    protocol = scaffold_moleculenet(clintox)
    assert isinstance(protocol, Protocol)
    assert (protocol.seed, len(protocol)) == (None, 1)
    assert protocol.parameters == {"fractions": [0.8, 0.1, 0.1]}
