"""Numbers and dates as people write them, and what of a column is neither."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from chemdl.your_data.tables import Table, TableError

MISSING = frozenset({"", "NA", "NaN", "nan", "N/A", "n/a", "#N/A", "NULL", "null", "None", "-"})
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_CENSORED = re.compile(r"(<=|>=|<|>|≤|≥|~)\s*(.+)")
_COMMA = re.compile(r"[+-]?\d+,\d+")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+")
_GERMAN_DATE = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")


@dataclass(frozen=True)
class Numbers:
    """A column read as numbers.

    Attributes
    ----------
    values
        float64 (n,), NaN where there is no number.
    censored
        Rows that give a bound (``>10``), with the bound as written.
    wrong
        Rows whose text is neither a number, nor a bound, nor a word for "not measured".
    decimal
        The decimal sign.
    """

    values: np.ndarray
    censored: dict[int, str]
    wrong: list[int]
    decimal: str = "."

    @property
    def known(self) -> np.ndarray:
        """Whether each row has a number, (n,)."""
        return np.isfinite(self.values)


def read_numbers(texts: Sequence[str], decimal: str | None = None) -> Numbers:
    """Read a column of text as numbers.

    A decimal comma is taken as such where no cell has a decimal point and some number could not
    be a thousand (``1,5``); the caller says so. Python's own liberties (``1_500``, ``inf``) are
    no numbers here.
    """
    sign = decimal or _decimal(texts)
    values, censored, wrong = np.full(len(texts), np.nan), {}, []
    for row, text in enumerate(texts):
        if text in MISSING:
            continue
        bound = _CENSORED.fullmatch(text)
        number = _number(bound[2] if bound else text, sign)
        if not np.isfinite(number):
            wrong.append(row)
        elif bound:
            censored[row] = text
        else:
            values[row] = number
    return Numbers(values, censored, wrong, sign)


def _decimal(texts: Sequence[str]) -> str:
    with_comma = [text for text in texts if _COMMA.fullmatch(text)]
    has_point = any("." in text and _NUMBER.fullmatch(text) for text in texts)
    sure = any(not _THOUSANDS.fullmatch(text) for text in with_comma)
    return "," if with_comma and sure and not has_point else "."


def _number(text: str, decimal: str) -> float:
    plain = text.strip().replace("−", "-")
    if decimal == ",":
        plain = plain.replace(",", ".") if "." not in plain else ""
    return float(plain) if _NUMBER.fullmatch(plain) else float("nan")


def no_number(table: Table, place: int, column: str, text: str) -> TableError:
    """Return the error that names a cell that is no number."""
    comma = "; for a decimal comma say so: decimal ','" if _COMMA.fullmatch(text) else ""
    return TableError(
        f"{table.where(place, column)}: {text!r} is no number; write a number, or leave the cell "
        f"empty where nothing was measured{comma}"
    )


def read_days(table: Table, column: str, texts: Sequence[str], places: Sequence[int]) -> np.ndarray:
    """Return a column of dates as days, float64 (n,): YYYY-MM-DD, DD.MM.YYYY, a year or a number.

    Raises
    ------
    TableError
        For a cell without a date, or with one that may be read in two ways (03/04/2020).
    """
    days = np.array([_day(text) for text in texts], dtype=np.float64)
    if len(bad := np.flatnonzero(np.isnan(days))):
        row = int(bad[0])
        raise TableError(
            f"{table.where(places[row], column)}: {texts[row]!r} is no date; write YYYY-MM-DD or a "
            "year in each row"
        )
    return days


def _day(text: str) -> float:
    if _NUMBER.fullmatch(text):
        return float(text)
    german = _GERMAN_DATE.fullmatch(text)
    try:
        if german:
            return float(date(int(german[3]), int(german[2]), int(german[1])).toordinal())
        return float(date.fromisoformat(text[:10]).toordinal())
    except ValueError:
        return float("nan")
