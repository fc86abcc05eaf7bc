"""Graphs of crystals: neighbours as pymatgen finds them, whatever cell and origin are chosen."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pymatgen.core", reason="pip install pymatgen-core")

from pymatgen.core import Lattice, Structure

import chemdl
from chemdl.materials.crystals import crystal_graph, crystal_graphs, neighbours, parse_crystal
from chemdl.materials.formulas import FormulaError

SALT = "0 2.82 2.82 2.82 0 2.82 2.82 2.82 0; Na 0 0 0; Cl 0.5 0.5 0.5"


def structure(text: str) -> Structure:
    crystal = parse_crystal(text)
    return Structure(Lattice(crystal.lattice), crystal.numbers.tolist(), crystal.coordinates)


def written(given: Structure) -> str:
    """Write a crystal with all digits: what the test asks is not what rounding does."""
    sites = [f"{s.specie.symbol} {' '.join(map(repr, s.frac_coords.tolist()))}" for s in given]
    return "; ".join([" ".join(map(repr, given.lattice.matrix.ravel().tolist())), *sites])


def degrees(text: str) -> list[tuple[int, tuple[float, ...]]]:
    """Return for each site its element and the sorted distances of its neighbours."""
    graph = crystal_graph(text)
    return sorted(
        (int(z), tuple(np.sort(graph.edges[graph.edges[:, 1] == i, 0]).round(2).tolist()))
        for i, z in enumerate(graph.sites)
    )


@pytest.mark.parametrize("row", [0, 1, 100, 1000, 3000])
def test_neighbours_are_pymatgens(row: int) -> None:
    text = chemdl.load("flla").inputs[row]
    centre, other, distance = neighbours(parse_crystal(text), 6.0)
    theirs = structure(text).get_neighbor_list(6.0, exclude_self=True)
    ours = sorted(zip(centre.tolist(), other.tolist(), distance.round(6).tolist(), strict=True))
    expected = sorted(
        zip(theirs[0].tolist(), theirs[1].tolist(), theirs[3].round(6).tolist(), strict=True)
    )
    assert ours == expected


def test_rock_salt_has_shells_of_six_and_twelve() -> None:
    graph = crystal_graph(SALT)
    assert graph.sites.tolist() == [11, 17]
    distances = graph.edges[graph.edges[:, 1] == 0, 0]
    # Twelve are wanted: six of the first shell, and the second of twelve as a whole.
    assert len(distances) == 18
    assert (distances < 2.9).sum() == 6
    np.testing.assert_allclose(np.sort(distances)[6:], 2.82 * 2**0.5, rtol=1e-3)


@pytest.mark.parametrize("row", [0, 50, 2000])
def test_a_supercell_has_the_same_surroundings(row: int) -> None:
    given = structure(chemdl.load("flla").inputs[row])
    once = degrees(written(given))
    given.make_supercell([2, 1, 1])
    assert degrees(written(given)) == sorted(2 * once)


def test_a_move_of_the_origin_changes_nothing() -> None:
    given = structure(SALT)
    before = degrees(SALT)
    given.translate_sites([0, 1], [0.3, 0.71, 0.11])
    assert degrees(written(given)) == before


def test_rows_are_ragged() -> None:
    graphs = crystal_graphs([SALT, "3 0 0 0 3 0 0 0 3; Po 0 0 0"])
    assert np.diff(graphs["sites"].offsets).tolist() == [2, 1]
    # Six neighbours at one lattice constant, the next twelve at its diagonal.
    assert np.diff(graphs["edges"].offsets).tolist() == [36, 18]


def test_a_lonely_atom_has_no_neighbours() -> None:
    graph = crystal_graph("30 0 0 0 30 0 0 0 30; He 0 0 0")
    assert graph.edges.shape == (0, 3)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("NaCl", "is no crystal"),
        ("1 0 0 0 1 0 0 0; Na 0 0 0", "is no crystal"),
        ("3 0 0 0 3 0 0 0 3; Xx 0 0 0", "Xx"),
        ("3 0 0 0 3 0 0 0 3; Na 0 0", "is no crystal"),
        ("3 0 0 3 0 0 0 0 3; Na 0 0 0", "span no volume"),
        ("3 0 0 0 3 0 0 0 3", "each site"),
    ],
)
def test_what_is_no_crystal_says_why(text: str, why: str) -> None:
    with pytest.raises(FormulaError, match=why):
        parse_crystal(text)
