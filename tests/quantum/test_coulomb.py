"""Coulomb matrices and bags of bonds against values worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from chemdl.quantum.coulomb import (
    bag_of_bonds,
    bag_sizes,
    coulomb_matrices,
    coulomb_matrix,
    eigenvalues,
    represent,
    sorted_triangles,
)
from chemdl.quantum.geometries import BOHR, geometry, geometry_text

CO = f"C 0 0 0; O 0 0 {2 * BOHR}"
HCN = "H 0 0 -1.06; C 0 0 0; N 0 0 1.15"


def test_carbon_monoxide_by_hand() -> None:
    # Two bohr apart: 6 · 8 / 2; the diagonal is 0.5 · 6^2.4 and 0.5 · 8^2.4.
    expected = [[36.8581052, 24.0], [24.0, 73.5166947]]
    np.testing.assert_allclose(coulomb_matrix(geometry(CO)), expected, rtol=1e-7)
    # Oxygen's row has the larger norm.
    np.testing.assert_allclose(
        coulomb_matrices([CO], 3)[0],
        [[73.5166947, 24, 0], [24, 36.8581052, 0], [0, 0, 0]],
        rtol=1e-6,
    )
    middle, apart = (36.8581052 + 73.5166947) / 2, np.hypot((73.5166947 - 36.8581052) / 2, 24)
    np.testing.assert_allclose(eigenvalues([CO], 3)[0], [middle + apart, middle - apart, 0], 1e-6)


def test_one_atom() -> None:
    np.testing.assert_allclose(eigenvalues(["H 1 2 3"], 2), [[0.5, 0]])


def test_bags_sort_each_pair_of_elements() -> None:
    sizes = bag_sizes([HCN, CO])
    assert sizes == {(1, 0): 1, (1, 6): 1, (1, 7): 1, (6, 0): 1, (6, 7): 1, (6, 8): 1,
                     (7, 0): 1, (8, 0): 1}  # fmt: skip
    row = bag_of_bonds([CO], sizes)[0]
    np.testing.assert_allclose(row, [0, 0, 0, 36.8581052, 0, 24.0, 0, 73.5166947], rtol=1e-6)
    water = "O 0 0 0; H 0 0 1; H 0 2 0"
    bonds = bag_of_bonds([water], bag_sizes([water]))[0]
    # H atoms twice, H-H, H-O falling, O.
    h_h = BOHR / np.sqrt(5)
    np.testing.assert_allclose(bonds, [0.5, 0.5, h_h, 8 * BOHR, 4 * BOHR, 73.5166947], rtol=1e-6)


def test_no_representation_notices_rotation_or_order() -> None:
    rng = np.random.default_rng(3)
    numbers, xyz = geometry("C 0 0 0; H 1.1 0 0.2; N 0.1 1.4 0; H 0.3 1.5 1.0; O -0.9 -0.9 0.3")
    order = rng.permutation(len(numbers))
    turned = (xyz @ np.linalg.qr(rng.normal(size=(3, 3)))[0] + 7)[order]
    both = [geometry_text(numbers, xyz), geometry_text(numbers[order], turned)]
    for kind in ("eigenvalues", "sorted", "bonds"):
        first, second = represent(both, kind, size=6, bags=bag_sizes(both))
        np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-5)


def test_too_large_a_molecule_is_named() -> None:
    with pytest.raises(ValueError, match=r"N 0 0 1\.15' has 3 atoms"):
        sorted_triangles([HCN], 2)
    with pytest.raises(ValueError, match="has 1 values of H"):
        bag_of_bonds([HCN], bag_sizes([CO]))
    with pytest.raises(ValueError, match="unknown representation"):
        represent([CO], "soap", size=2, bags={})  # type: ignore[arg-type]
