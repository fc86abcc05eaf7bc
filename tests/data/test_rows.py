"""Whatever names rows is read as it was meant, or refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemdl.data import DatasetError
from chemdl.data.rows import row_numbers

COUNT = 12
inside = st.lists(st.integers(0, COUNT - 1), max_size=20)


@given(st.lists(st.booleans(), min_size=COUNT, max_size=COUNT))
def test_a_mask_means_the_rows_that_are_true(mask: list[bool]) -> None:
    rows = row_numbers(np.array(mask), COUNT, "test")
    np.testing.assert_array_equal(rows, np.flatnonzero(mask))


@given(inside, st.sampled_from([np.int8, np.uint8, np.int32, np.int64]))
def test_numbers_stay_what_they_are(rows: list[int], dtype: type) -> None:
    assert row_numbers(np.array(rows, dtype), COUNT, "test").tolist() == rows


@given(inside, st.integers().filter(lambda i: not 0 <= i < COUNT), st.data())
def test_one_row_that_does_not_exist_is_named(
    rows: list[int], row: int, data: st.DataObject
) -> None:
    rows.insert(data.draw(st.integers(0, len(rows))), row)
    with pytest.raises(DatasetError, match=f"test: row.* {row}|test: rows are whole numbers"):
        row_numbers(rows, COUNT, "test")


@given(st.one_of(
    st.lists(st.floats(0, COUNT - 1), min_size=1),
    st.lists(st.booleans(), min_size=1).filter(lambda mask: len(mask) != COUNT),
    st.lists(st.text(), min_size=1),
    st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=1), min_size=1),
    st.integers(0, COUNT - 1),
))  # fmt: skip
def test_what_is_no_list_of_rows_is_refused(rows: object) -> None:
    with pytest.raises(DatasetError, match=r"^test: "):
        row_numbers(rows, COUNT, "test")


@given(st.lists(st.integers(0, COUNT - 1), min_size=1, unique=True), st.data())
def test_a_repeated_row_is_refused_where_rows_are_distinct(
    rows: list[int], data: st.DataObject
) -> None:
    assert row_numbers(rows, COUNT, "test", distinct=True).tolist() == rows
    again = data.draw(st.sampled_from(rows))
    with pytest.raises(DatasetError, match=f"row {again} is given twice"):
        row_numbers([*rows, again], COUNT, "test", distinct=True)
    assert row_numbers([*rows, again], COUNT, "test").tolist() == [*rows, again]


def test_a_mask_needs_to_know_all_rows() -> None:
    with pytest.raises(DatasetError, match=r"not a mask; use np\.flatnonzero\(mask\)"):
        row_numbers(np.array([True, False]), None, "train")
