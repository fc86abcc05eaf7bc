"""Descriptors that come with a data set: rows of numbers written as text, and read back.

A data set whose structures are secret (Merck's challenge) or whose descriptors cannot be computed
here (docked complexes) has rows of numbers for inputs. They are kept as text,
``"<width> <column>:<value> …"`` with zeros left out, so that such a set is hashed, split and
handed on like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chemdl.data.feature_cache import cached_rows


def read_tabulated(X: Any) -> NDArray[np.float32]:
    """Return the rows of descriptors that texts ``X`` (n,) hold: float32 (n, width). Cached.

    Raises
    ------
    ValueError
        For an empty set, rows of different widths, or text of another form; the message names the
        row.

    Examples
    --------
    >>> read_tabulated(["4 0:2 3:1.5"]).tolist()
    [[2.0, 0.0, 0.0, 1.5]]
    """
    rows = np.asarray(X, dtype=object).tolist()
    if not rows:
        raise ValueError("the set of rows is empty; check the filter that chose them")
    widths = {_width(row, text) for row, text in enumerate(rows)}
    if len(widths) > 1:
        raise ValueError(f"rows have different widths: {sorted(widths)}")
    return cached_rows("tabulated", {"width": widths.pop()}, rows, _parsed)


def _width(row: int, text: Any) -> int:
    width = str(text).split(" ", 1)[0]
    if not width.isdigit():
        raise ValueError(
            f"row {row}: {str(text)[:40]!r} is no row of descriptors, "
            "'<width> <column>:<value> …'; a model that reads SMILES takes another form"
        )
    return int(width)


def _parsed(rows: Sequence[str]) -> NDArray[np.float32]:
    values = np.zeros((len(rows), _width(0, rows[0])), np.float32)
    for row, text in enumerate(rows):
        try:
            pairs = [cell.split(":") for cell in text.split()[1:]]
            values[row, [int(column) for column, _ in pairs]] = [float(v) for _, v in pairs]
        except (ValueError, IndexError) as error:
            raise ValueError(
                f"row {row}: {text[:40]!r}… is no row of descriptors: {error}"
            ) from None
    return values
