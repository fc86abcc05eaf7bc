"""Symmetry functions against the formulas, worked out atom by atom."""

from __future__ import annotations

import math

import numpy as np
import pytest

from chemdl.quantum.geometries import geometry, geometry_text
from chemdl.quantum.symmetry import SymmetryFunctions

WATER = "O 0 0 0; H 0.96 0 0; H 0 0.96 0"
SMALL = SymmetryFunctions((1, 8), radial_shells=2, angular_shells=1, angular_sections=2)


def test_radial_functions_by_hand() -> None:
    # Oxygen sees two hydrogens at 0.96 Å: shells at 0.7 and 2.85 Å, η = 2 / 2.15².
    functions = SMALL([WATER]).values[0]
    f = 0.5 * (math.cos(math.pi * 0.96 / 5.0) + 1)
    eta = 2 / 2.15**2
    expected = [2 * math.exp(-eta * (0.96 - shell) ** 2) * f for shell in (0.7, 2.85)]
    np.testing.assert_allclose(functions[:4], [*expected, 0, 0], rtol=1e-6)


def test_angular_functions_by_hand() -> None:
    # The pair of hydrogens, a right angle at the oxygen, which ANI's 0.95 leaves as it is.
    functions = SMALL([WATER]).values[0]
    f = 0.5 * (math.cos(math.pi * 0.96 / 3.5) + 1)
    shell = math.exp(-2 / 2.8**2 * (0.96 - 0.7) ** 2)
    expected = [
        2**-7 * (1 + math.cos(math.pi / 2 - section)) ** 8 * shell * f * f
        for section in (math.pi / 4, 3 * math.pi / 4)
    ]
    # Pairs of elements: H-H, H-O, O-O, two sections each.
    np.testing.assert_allclose(functions[4:], [*expected, 0, 0, 0, 0], rtol=1e-6)
    # A hydrogen sees hydrogen and oxygen.
    assert (SMALL([WATER]).values[1, 6:8] > 0).all()
    assert SMALL.width == 10


def test_rotation_and_order_change_nothing() -> None:
    rng = np.random.default_rng(1)
    numbers, xyz = geometry("C 0 0 0; H 1.1 0 0.2; N 0.1 1.4 0; H 0.3 1.5 1.0; O -0.9 -0.9 0.3")
    functions = SymmetryFunctions((1, 6, 7, 8))
    order = rng.permutation(len(numbers))
    turned = (xyz @ np.linalg.qr(rng.normal(size=(3, 3)))[0] - 2)[order]
    first, second = (
        functions([geometry_text(*pair)]).values
        for pair in ((numbers, xyz), (numbers[order], turned))
    )
    np.testing.assert_allclose(first[order], second, rtol=1e-5, atol=1e-6)


def test_a_linear_molecule_and_one_atom_are_finite() -> None:
    functions = SymmetryFunctions((1, 6, 7))
    assert np.isfinite(functions(["H 0 0 -1.06; C 0 0 0; N 0 0 1.15"]).values).all()
    assert not functions(["H 0 0 0"]).values.any()


def test_an_element_without_functions_is_named() -> None:
    with pytest.raises(ValueError, match="'He 0 0 0' has He, which is not among the elements H"):
        SymmetryFunctions((1,))(["He 0 0 0"])
