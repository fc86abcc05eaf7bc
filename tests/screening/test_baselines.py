"""Classical models of a screen: nearest active by hand, and six properties."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator
from sklearn.base import clone, is_classifier

from chemdl.evidence import metrics
from chemdl.learn.models import BASELINES
from chemdl.screening import baselines as screening

SMILES = np.array(
    ["CCO", "CCCO", "CCCCO", "c1ccccc1", "Cc1ccccc1", "CCN", "CCCN", "O=C(O)c1ccccc1"], object
)
LABELS = np.array(
    [[1, 0], [0, 0], [1, 0], [0, 1], [0, np.nan], [np.nan, 0], [0, 0], [0, np.nan]], float
)


def by_rdkit(a: str, b: str) -> float:
    encode = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048).GetFingerprint
    return DataStructs.TanimotoSimilarity(*(encode(Chem.MolFromSmiles(s)) for s in (a, b)))


def test_nearest_active_is_rdkits_highest_similarity() -> None:
    model = screening.classifier("similarity").fit(SMILES, LABELS)
    asked = ["CCCCCO", "Cc1ccccc1C", "CCCN"]
    expected = [
        [max(by_rdkit(s, a) for a in actives) for actives in (["CCO", "CCCCO"], ["c1ccccc1"])]
        for s in asked
    ]
    np.testing.assert_allclose(model.predict_proba(asked), expected, atol=1e-6)


def test_inactives_and_unmeasured_molecules_do_not_matter_to_the_nearest_active() -> None:
    whole = screening.classifier("similarity").fit(SMILES, LABELS)
    actives = [0, 2, 3]
    part = screening.classifier("similarity").fit(SMILES[actives], LABELS[actives])
    np.testing.assert_array_equal(whole.predict_proba(SMILES), part.predict_proba(SMILES))


def test_large_sets_are_compared_block_by_block(monkeypatch) -> None:
    model = screening.classifier("similarity").fit(SMILES, LABELS)
    whole = model.predict_proba(SMILES)
    monkeypatch.setattr(screening, "_BLOCK", 3)
    np.testing.assert_array_equal(model.predict_proba(SMILES), whole)


def test_without_a_known_active_nothing_is_near() -> None:
    labels = np.column_stack([np.zeros(8), LABELS[:, 0]])
    found = screening.classifier("similarity").fit(SMILES, labels).predict_proba(SMILES)
    assert (found[:, 0] == 0).all() and (found[:, 1] > 0).any()
    none = screening.classifier("similarity").fit(SMILES, np.zeros(8))
    np.testing.assert_array_equal(none.predict_proba(SMILES), np.tile([1.0, 0.0], (8, 1)))


@pytest.mark.parametrize("name", ["similarity", "properties_only", "logistic", "trivial"])
def test_every_model_keeps_the_contract(name: str) -> None:
    smiles = np.array(["C" * n + end for n in range(1, 21) for end in ("", "O", "N")], object)
    y = np.array([["O" in s, "N" in s] for s in smiles], float)
    y[::7, 0] = np.nan
    model = clone(screening.classifier(name, trees=20)).fit(smiles, y)
    assert is_classifier(model)
    p = model.predict_proba(smiles)
    assert p.shape == (60, 2) and ((p >= 0) & (p <= 1)).all()
    assert model.predict(smiles).shape == (60, 2)
    assert vars(type(model))["revision"] == 1
    registered = BASELINES[f"smiles/{name}"].estimator("classification", trees=20)
    np.testing.assert_array_equal(registered.fit(smiles, y).predict_proba(smiles), p)
    one = registered.fit(smiles, y[:, 1]).predict_proba(smiles)
    assert one.shape == (60, 2)
    np.testing.assert_allclose(one.sum(axis=1), 1.0)
    auc = metrics.score_tasks("roc_auc", y, p)
    assert (auc == 0.5).all() if name == "trivial" else (auc > 0.8).all()


def test_six_properties_see_no_structure() -> None:
    # Ortho and meta cresol have the same six properties, and other fingerprints.
    y = np.array([1.0, 0, 0, 0, 1, 0, 0, 1])
    model = screening.classifier("properties_only", trees=20).fit(SMILES, y)
    pair = model.predict_proba(["Cc1ccccc1O", "Cc1cccc(O)c1"])
    np.testing.assert_array_equal(pair[0], pair[1])
    forest = screening.classifier("random_forest", trees=20).fit(SMILES, y)
    ortho, meta = forest.predict_proba(["Cc1ccccc1O", "Cc1cccc(O)c1"])
    assert not np.array_equal(ortho, meta)


def test_an_unknown_name_lists_near_misses() -> None:
    with pytest.raises(ValueError, match="logistic"):
        screening.classifier("logistik")
