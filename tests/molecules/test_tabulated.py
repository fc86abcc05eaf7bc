"""Rows of descriptors as text: read back exactly, and refused where they are no such rows."""

from __future__ import annotations

import numpy as np
import pytest

from chemdl.molecules.data import tabulated_rows
from chemdl.molecules.tabulated import read_tabulated


def test_what_was_written_is_read_back() -> None:
    rng = np.random.default_rng(0)
    values = rng.poisson(0.3, (40, 17)).astype(np.float32)
    values[3] = 0
    values[5, 2] = 0.125
    np.testing.assert_array_equal(read_tabulated(tabulated_rows(values)), values)


def test_columns_follow_their_names_and_not_their_order() -> None:
    np.testing.assert_array_equal(read_tabulated(["3 2:5 0:1"]), [[1, 0, 5]])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "empty"),
        (["CCO"], "row 0: 'CCO' is no row of descriptors"),
        (["2 0:1", "3 0:1"], r"different widths: \[2, 3\]"),
        (["2 0:1", "2 0:x"], "row 1"),
        (["2 0:1", "2 5:1"], "row 1"),
    ],
)
def test_other_text_is_refused(rows: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_tabulated(rows)
