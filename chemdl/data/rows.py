"""Row numbers as others give them, checked before anything is indexed by them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chemdl.data.errors import DatasetError


def row_numbers(
    rows: Any, count: int | None, what: str, *, distinct: bool = False
) -> NDArray[np.int64]:
    """Return rows as numbers, in the order given.

    Parameters
    ----------
    rows
        Row numbers, or a boolean mask over all rows.
    count
        Number of rows that there are; ``None`` where it is not known: a mask is refused then.
    what
        What the rows are, for the message.
    distinct
        Whether no row may be repeated.

    Raises
    ------
    DatasetError
        For a mask of another length, numbers that are not whole, a row that does not exist
        (negative ones do not), and a repeated row where rows have to be distinct.
    """
    index = np.asarray(rows)
    if index.ndim != 1:
        raise DatasetError(f"{what}: rows have shape {index.shape}; give one axis")
    if index.dtype == bool and count is not None:
        if len(index) != count:
            raise DatasetError(f"{what}: a mask of {len(index)} rows for {count}; give one for all")
        return np.flatnonzero(index)
    if index.size and not np.issubdtype(index.dtype, np.integer):
        given = "a mask" if index.dtype == bool else f"{index[0]!r}, of type {index.dtype}"
        raise DatasetError(f"{what}: rows are whole numbers, not {given}; use np.flatnonzero(mask)")
    numbers = index.astype(np.int64)
    _check_inside(numbers, count, what)
    if distinct and len(np.unique(numbers)) < len(numbers):
        first, times = np.unique(numbers, return_counts=True)
        raise DatasetError(f"{what}: row {first[times > 1][0]} is given twice; give each row once")
    return numbers


def _check_inside(numbers: NDArray[np.int64], count: int | None, what: str) -> None:
    outside = numbers[(numbers < 0) | (numbers >= (np.inf if count is None else count))]
    if len(outside):
        last = "" if count is None else f" to {count - 1}"
        raise DatasetError(f"{what}: row {outside[0]} does not exist; rows are 0{last}")
