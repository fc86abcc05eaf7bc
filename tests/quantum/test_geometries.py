"""Geometries as text: what is read, what is refused, and which molecule an error names."""

from __future__ import annotations

import numpy as np
import pytest

import chemdl
from chemdl.quantum.geometries import composition, elements, geometries, geometry, geometry_text

WATER = "O 0 0 0.1173; H 0 0.7572 -0.4692; H 0 -0.7572 -0.4692"


def test_text_and_atoms_are_the_same() -> None:
    numbers, xyz = geometry(WATER)
    assert numbers.tolist() == [8, 1, 1]
    assert xyz[1].tolist() == [0, 0.7572, -0.4692]
    assert geometry_text(numbers, xyz) == WATER
    assert not xyz.flags.writeable


def test_a_single_atom_is_a_molecule() -> None:
    assert geometry("He 0 0 0").numbers.tolist() == [2]


def test_molecules_are_ragged_rows() -> None:
    rows = geometries([WATER, "He 1 2 3"])
    assert rows["numbers"].offsets.tolist() == [0, 3, 4]
    assert rows["xyz"].values[3].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("C 0 0 0; Xx 1 0 0", "unknown element 'Xx'"),
        ("C 0 0 0; H 0 0 0.01", "atoms 1 and 2 are at one position"),
        ("C 0 0", "is no geometry"),
        ("", "is no geometry"),
        ("C 0 0 zero", "could not convert"),
        ("C 0 0 nan", "not finite"),
    ],
)
def test_an_error_names_the_molecule(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        geometry(text)
    assert text[:20] in str(caught.value)


def test_no_molecules_are_an_error() -> None:
    with pytest.raises(ValueError, match="empty"):
        geometries([])


def test_composition_counts_and_refuses_what_is_new() -> None:
    assert elements([WATER, "C 0 0 0"]) == (1, 6, 8)
    assert composition([WATER], (1, 6, 8)).tolist() == [[2, 0, 1]]
    with pytest.raises(ValueError, match="has He, which was not seen in training"):
        composition([WATER, "He 0 0 0"], (1, 8))


def test_every_molecule_of_qm7_reads_back() -> None:
    for text in chemdl.load("qm7").inputs[::50]:
        assert geometry_text(*geometry(text)) == text


def test_rotation_leaves_distances() -> None:
    from chemdl.quantum.geometries import neighbour_distances

    xyz = geometry(WATER).xyz
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    np.testing.assert_allclose(neighbour_distances(xyz @ turn), neighbour_distances(xyz))
