"""Descriptors of compositions: Magpie's statistics by hand, whatever the order of the elements."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pymatgen.core", reason="pip install pymatgen-core")

from pymatgen.core import Element

from chemdl.materials.compositions import (
    composition,
    composition_descriptors,
    composition_keys,
    descriptor_names,
    element_fractions,
    element_sets,
    elements,
)
from chemdl.materials.formulas import FormulaError


def test_statistics_are_magpies() -> None:
    (row,) = composition_descriptors(["Fe2O3"])
    column = dict(zip(descriptor_names(), row.tolist(), strict=True))
    iron, oxygen = Element("Fe").X, Element("O").X
    mean = 0.4 * iron + 0.6 * oxygen
    assert column["mean X"] == pytest.approx(mean)
    assert column["deviation X"] == pytest.approx(0.4 * (mean - iron) + 0.6 * (oxygen - mean))
    assert column["minimum X"] == pytest.approx(iron)
    assert column["maximum X"] == pytest.approx(oxygen)
    assert column["range X"] == pytest.approx(oxygen - iron)
    assert column["mode X"] == pytest.approx(oxygen)
    assert column["norm 0 of the shares"] == 2
    assert column["norm 2 of the shares"] == pytest.approx((0.16 + 0.36) ** 0.5)
    # Fe 4s2 3d6, O 2s2 2p4.
    assert column["mean d electrons"] == pytest.approx(0.4 * 6)
    assert column["mean p places"] == pytest.approx(0.6 * 2)
    assert column["share of s electrons"] == pytest.approx(2 / (0.4 * 8 + 0.6 * 6))


def test_equal_shares_have_the_mean_as_their_mode() -> None:
    (row,) = composition_descriptors(["NaCl"])
    column = dict(zip(descriptor_names(), row.tolist(), strict=True))
    assert column["mode X"] == pytest.approx((Element("Na").X + Element("Cl").X) / 2)


def test_every_element_has_a_value_in_every_column() -> None:
    table = elements()
    assert table.values.shape == (103, len(table.names))
    assert np.isfinite(table.values).all()
    assert (table.values.std(axis=0) > 0).all()


def test_order_and_multiples_do_not_matter() -> None:
    same = ["BaTiO3", "O3TiBa", "Ba2Ti2O6", "Ba0.2Ti0.2O0.6"]
    rows = np.hstack([composition_descriptors(same), element_fractions(same)])
    np.testing.assert_allclose(rows, rows[:1].repeat(4, axis=0), rtol=1e-5)
    assert len(set(composition_keys(same))) == 1


def test_a_crystal_is_its_composition() -> None:
    crystal = "3 0 0 0 3 0 0 0 3; Cs 0 0 0; Cl 0.5 0.5 0.5"
    assert composition(crystal) == composition("CsCl")
    np.testing.assert_array_equal(
        composition_descriptors([crystal]), composition_descriptors(["CsCl"])
    )


def test_sets_are_padded_with_nothing() -> None:
    numbers, shares = element_sets(["Si", "GaAs", "BaTiO3"])
    assert numbers.tolist() == [[14, 0, 0], [31, 33, 0], [8, 22, 56]]
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)


def test_an_error_names_the_row() -> None:
    with pytest.raises(FormulaError, match="row 1: 'Qq2' names 'Qq'"):
        element_fractions(["Si", "Qq2"])
