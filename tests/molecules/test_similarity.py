"""Similarities equal RDKit's; one Gram matrix serves all tasks and folds."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator

import chemdl
from chemdl.molecules.fingerprints import ECFP
from chemdl.molecules.similarity import TanimotoGram, tanimoto


@pytest.fixture(scope="module")
def smiles() -> np.ndarray:
    """Molecules of several sizes, all different."""
    return np.unique(np.array(chemdl.load("freesolv").inputs[:120]).astype(str)).astype(object)


@pytest.mark.parametrize("counts", [False, True])
def test_similarities_are_rdkits(smiles: np.ndarray, counts: bool) -> None:
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    make = generator.GetCountFingerprint if counts else generator.GetFingerprint
    vectors = [make(Chem.MolFromSmiles(s)) for s in smiles]
    expected = np.array([DataStructs.BulkTanimotoSimilarity(v, vectors) for v in vectors])
    rows = ECFP(counts=counts).transform(smiles)
    found = tanimoto(rows, rows, counts=counts)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(tanimoto(rows[:7], rows[5:], counts=counts), found[:7, 5:])


def test_counts_by_hand() -> None:
    # Σ min = 1 + 0 + 2, Σ max = 3 + 1 + 2.
    assert tanimoto([[1, 0, 2]], [[3, 1, 2]], counts=True)[0, 0] == pytest.approx(0.5)


def test_empty_rows_have_no_similarity() -> None:
    np.testing.assert_array_equal(tanimoto([[0, 0], [1, 0]], [[0, 0], [1, 0]]), [[0, 0], [0, 1]])


@pytest.mark.parametrize("counts", [False, True])
def test_kernel_is_positive_definite(smiles: np.ndarray, counts: bool) -> None:
    rows = ECFP(counts=counts).transform(smiles)
    assert np.linalg.eigvalsh(tanimoto(rows, rows, counts=counts).astype(float)).min() > -1e-5


def test_counts_must_be_announced() -> None:
    with pytest.raises(ValueError, match="counts=True"):
        tanimoto([[2, 0]], [[1, 0]])


def test_widths_must_agree() -> None:
    with pytest.raises(ValueError, match="2 columns, those of b 3"):
        tanimoto([[1, 0]], [[1, 0, 1]])


@pytest.mark.parametrize("counts", [False, True])
def test_slices_of_the_gram(smiles: np.ndarray, counts: bool) -> None:
    gram = TanimotoGram(counts=counts).prepare(smiles)
    rows = ECFP(counts=counts).transform(smiles)
    np.testing.assert_array_equal(
        gram.rows(smiles[10:3:-1], smiles[::5]), tanimoto(rows, rows, counts)[10:3:-1, ::5]
    )


def test_gram_is_computed_once(smiles: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    gram = TanimotoGram().prepare(smiles)
    expected = gram.rows(smiles[:5], smiles)
    monkeypatch.setattr("chemdl.molecules.similarity.tanimoto", None)
    gram.prepare(smiles[5:20])
    np.testing.assert_array_equal(gram.rows(smiles[:5], smiles), expected)


def test_molecule_that_the_gram_has_not_seen(smiles: np.ndarray) -> None:
    gram = TanimotoGram().prepare(smiles[:50])
    whole = TanimotoGram().prepare(smiles)
    np.testing.assert_allclose(
        gram.rows(smiles[40:60], smiles[:50]), whole.rows(smiles[40:60], smiles[:50])
    )


def test_too_large_a_gram_is_refused(smiles: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"limit is 10 molecules\. Use a linear machine"):
        TanimotoGram(most=10).prepare(smiles)


def test_too_large_a_block_is_refused_as_well(smiles: np.ndarray) -> None:
    gram = TanimotoGram(most=len(smiles) - 1)
    assert gram.rows(smiles[:2], smiles).shape == (2, len(smiles))
    with pytest.raises(ValueError, match="the limit is"):
        gram.rows(smiles, smiles)


def test_counts_that_came_with_the_data() -> None:
    rows = ["3 0:2 1:1", "3 0:1 2:4", "3 1:1"]
    found = TanimotoGram(tabulated=True).prepare(rows).rows(rows[:1], rows)
    # Shared min over max: itself; min 1 of 2 + 1 + 4; min 1 of 2 + 1.
    np.testing.assert_allclose(found, [[1, 1 / 7, 1 / 3]], rtol=1e-6)
