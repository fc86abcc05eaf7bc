"""Descriptors are RDKit's, and missing values are met as was asked."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import Descriptors
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from chemdl.data import feature_cache as cache
from chemdl.molecules.descriptors import Descriptors2D

ORGANIC = ["CCO", "c1ccccc1O", "CC(=O)Nc1ccc(O)cc1", "C[C@H](N)C(=O)O"]
# RDKit has no partial charges for this metal.
METAL = "[Pt]"


def test_columns_are_rdkits() -> None:
    model = Descriptors2D(missing="keep")
    rows = model.transform(ORGANIC)
    names = model.feature_names
    assert rows.dtype == np.float32
    assert rows.shape == (4, len(names))
    assert "Ipc" not in names
    assert model.get_feature_names_out().tolist() == list(names)
    for row, smiles in zip(rows, ORGANIC, strict=True):
        expected = Descriptors.CalcMolDescriptors(Chem.MolFromSmiles(smiles))
        np.testing.assert_allclose(row, [expected[n] for n in names], rtol=1e-6)


def test_weight_of_ethanol() -> None:
    model = Descriptors2D(missing="keep")
    weight = model.transform(["CCO"])[0, model.feature_names.index("MolWt")]
    assert weight == pytest.approx(46.069, abs=1e-3)


def test_missing_values_are_kept_or_named() -> None:
    kept = Descriptors2D(missing="keep").transform([*ORGANIC, METAL])
    assert np.isnan(kept[4]).any()
    assert not np.isnan(kept[:4]).any()
    with pytest.raises(ValueError, match=r"row 4 \(\[Pt\]\), column \d+ \(\w+\).*median"):
        Descriptors2D(missing="error").transform([*ORGANIC, METAL])


def test_missing_values_become_the_medians_of_the_fitted_rows() -> None:
    model = Descriptors2D().fit(ORGANIC)
    rows = model.transform([METAL, "CCO"])
    raw = Descriptors2D(missing="keep").transform([*ORGANIC, METAL])
    gap = np.isnan(raw[4])
    np.testing.assert_allclose(rows[0, gap], np.median(raw[:4, gap], axis=0))
    np.testing.assert_array_equal(rows[0, ~gap], raw[4, ~gap])


def test_column_without_any_value_becomes_zero() -> None:
    rows = Descriptors2D().fit_transform([METAL, "[Pd]"])
    assert np.isfinite(rows).all()


def test_medians_need_a_fit() -> None:
    with pytest.raises(NotFittedError):
        clone(Descriptors2D()).transform(ORGANIC)
    Descriptors2D(missing="keep").transform(ORGANIC)


def test_unknown_treatment_lists_near_misses() -> None:
    with pytest.raises(ValueError, match="Did you mean 'median'"):
        Descriptors2D(missing="mean_").fit(ORGANIC)


def test_large_molecule_stays_finite() -> None:
    rows = Descriptors2D(missing="error").transform(["C" * 300])
    assert np.isfinite(rows).all()


def test_second_call_is_a_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    cache.forget()
    first = Descriptors2D(missing="keep").transform(ORGANIC)
    monkeypatch.setattr("chemdl.molecules.descriptors._describe", None)
    np.testing.assert_array_equal(
        Descriptors2D(missing="keep").transform(ORGANIC[::-1]), first[::-1]
    )
