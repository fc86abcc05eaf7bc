"""The crystal net: cell, origin and order of the sites do not matter."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pymatgen.core", reason="pip install pymatgen-core")

from pymatgen.core import Lattice, Structure

from chemdl.materials.crystals import parse_crystal


def test_it_sees_no_cell_and_no_origin(fitted, crystals) -> None:
    for text in crystals[0][:6]:
        given = parse_crystal(text)
        moved = Structure(Lattice(given.lattice), given.numbers.tolist(), given.coordinates)
        moved.translate_sites(list(range(len(moved))), [0.25, 0.5, 0.125])
        doubled = moved.copy()
        doubled.make_supercell([1, 2, 1])
        shuffled = Structure.from_sites([moved[i] for i in np.arange(len(moved))[::-1]])
        texts = [text, *map(written, (moved, doubled, shuffled))]
        predicted = fitted["crystal_net"].predict(texts)
        np.testing.assert_allclose(predicted, predicted[0], rtol=1e-3, atol=1e-3)


def written(given: Structure) -> str:
    """Write a crystal with all digits."""
    sites = [f"{s.specie.symbol} {' '.join(map(repr, s.frac_coords.tolist()))}" for s in given]
    return "; ".join([" ".join(map(repr, given.lattice.matrix.ravel().tolist())), *sites])
