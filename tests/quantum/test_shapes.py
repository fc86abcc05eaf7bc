"""Torsions are set and read; rings, strain and formula come from positions alone."""

from __future__ import annotations

import pytest

from chemdl.quantum.figures import ETHANOL, TORSION
from chemdl.quantum.shapes import describe_molecule, rotated, torsion


def test_a_torsion_is_set_and_read() -> None:
    carbon, oxygen, hydrogen = TORSION[1:]
    start = torsion(ETHANOL, TORSION)
    assert abs(start) == pytest.approx(180, abs=0.01)
    for angle in (-170.0, -60.0, 0.0, 55.0, 179.0):
        turned = rotated(ETHANOL, (carbon, oxygen), [hydrogen], angle - start)
        assert torsion(turned, TORSION) == pytest.approx(angle)


def test_strain_rings_and_formula() -> None:
    # Cyclopropane's skeleton, and a chain.
    ring = describe_molecule("C 0 0 0; C 1.51 0 0; C 0.755 1.3077 0")
    assert ring["smallest angle"] == pytest.approx(60, abs=0.1)
    assert (ring["rings"], ring["heavy atoms"], ring["formula"]) == (1, 3, "C3")
    ethanol = describe_molecule(ETHANOL)
    assert (ethanol["formula"], ethanol["rings"], ethanol["elements"]) == ("C2H6O", 0, "CO")
