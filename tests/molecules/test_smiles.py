"""What identifies a molecule: InChIKey and scaffold."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from rdkit import Chem

from chemdl.molecules.descriptors import descriptors
from chemdl.molecules.fingerprints import fingerprints
from chemdl.molecules.smiles import inchikeys, parse, scaffold, scaffold_keys


def test_inchikey_of_ethanol() -> None:
    assert inchikeys(["CCO", "OCC"]).tolist() == ["LFQSCWFLJHTTHZ-UHFFFAOYSA-N"] * 2


def test_first_block_forgets_stereo() -> None:
    left, right = inchikeys(["C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"])
    assert left != right
    assert left[:14] == right[:14]


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("CCO", ""),
        ("CCc1ccccc1", "c1ccccc1"),
        ("O=C(Nc1ccccc1)C1CC1", "O=C(Nc1ccccc1)C1CC1"),
        ("C[C@H]1CCCN1CCc1ccccc1", "c1ccc(CCN2CCCC2)cc1"),
    ],
)
def test_scaffolds(smiles: str, expected: str) -> None:
    assert scaffold(Chem.MolFromSmiles(smiles)) == expected


def test_equal_scaffolds_have_equal_keys() -> None:
    keys = scaffold_keys(["CCO", "CCC", "Cc1ccccc1", "CCc1ccccc1", "c1ccncc1"])
    assert keys[0] == keys[1]
    assert keys[2] == keys[3]
    assert len(set(keys)) == 3


def test_parse_names_the_row() -> None:
    with pytest.raises(ValueError, match=r"row 1: .*'C1CC'.*drop the row"):
        parse(["CC", "C1CC"])


@pytest.mark.parametrize(
    "compute",
    [descriptors, fingerprints, partial(fingerprints, counts=True)],
    ids=["descriptors", "bits", "counts"],
)
def test_worker_processes_give_the_same_rows(compute: Callable[..., np.ndarray]) -> None:
    texts = ["C" * length for length in range(1, 30)]
    np.testing.assert_array_equal(compute(texts, n_jobs=2), compute(texts, n_jobs=1))
    with pytest.raises(ValueError, match="row 29: "):
        compute([*texts, "C1CC"], n_jobs=2)
