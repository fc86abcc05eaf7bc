"""Six physical properties of a molecule."""

from __future__ import annotations

import numpy as np
import pytest

from chemdl.screening.properties import PROPERTIES, physical_properties


def test_properties_of_molecules_that_can_be_counted_by_hand() -> None:
    found = physical_properties(["NCCO", "[NH3+]CC(=O)[O-]", "C[N+](C)(C)C"])
    by_name = dict(zip(PROPERTIES, found.T, strict=True))
    assert found.shape == (3, len(PROPERTIES)) and found.dtype == np.float32
    # C2H7NO, C2H5NO2 and C4H12N.
    np.testing.assert_allclose(by_name["mass"], [61.084, 75.067, 74.147], atol=2e-3)
    assert by_name["donors"].tolist() == [2, 1, 0]
    assert by_name["rotatable bonds"].tolist() == [1, 1, 0]
    assert by_name["charge"].tolist() == [0, 0, 1]
    assert by_name["acceptors"][0] == 2
    oil, sugar = physical_properties(["CCCCCCCC", "OCC(O)CO"])[:, PROPERTIES.index("logP")]
    assert oil > 2 > 0 > sugar


def test_an_unreadable_smiles_is_named() -> None:
    with pytest.raises(ValueError, match=r"row 1: .*'C1CC'"):
        physical_properties(["C", "C1CC"])
