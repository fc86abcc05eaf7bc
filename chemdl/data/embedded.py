"""The embedded form of a set: one packed table, numbers in the shortest exact text.

The first column holds the inputs, then come the tasks and any further columns. Where a row has
several sites, a task's cell holds the values of them all, and its column's name ends in ``[]``
(numbers with blanks between) or ``[0-9]`` (whole numbers below ten, a character each).
"""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from chemdl.data.errors import DatasetError
from chemdl.data.readers import RawTable, read_table

_NUMBERS, _DIGITS, _MISSING = "[]", "[0-9]", "."


def read_embedded(path: Path, tasks: Sequence[str]) -> RawTable:
    """Read a table in the embedded form.

    Raises
    ------
    DatasetError
        For a table that :func:`chemdl.data.readers.read_table` refuses, or a row whose tasks have
        different numbers of sites.
    """
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        header = next(csv.reader(stream), [])
    forms = {t: form for t in tasks for form in (_NUMBERS, _DIGITS) if t + form in header}
    known = {*tasks, *(task + form for task, form in forms.items())}
    columns = {name: name for name in header[1:] if name not in known}
    columns |= {task: task + form for task, form in forms.items()}
    targets = [] if forms else list(tasks)
    options = {"smiles": header[0], "targets": targets, "columns": columns}
    table = read_table({path.name: path}, options)
    return _with_sites(table, tasks, forms) if forms else table


def _with_sites(table: RawTable, tasks: Sequence[str], forms: dict[str, str]) -> RawTable:
    """Turn the tasks' cells into the values of their sites."""
    rows = []
    for row in range(len(table.inputs)):
        own = [_site_values(str(table.columns[task][row]), forms[task]) for task in tasks]
        if len({len(values) for values in own}) != 1:
            raise DatasetError(
                f"{table.where(row)}: the tasks have {[len(values) for values in own]} sites"
            )
        rows.append(np.column_stack(own))
    further = {name: values for name, values in table.columns.items() if name not in tasks}
    lengths = np.array([len(values) for values in rows], dtype=np.int64)
    return RawTable(
        table.inputs, np.concatenate(rows), tuple(tasks), further, table.places, lengths
    )


def _site_values(cell: str, form: str) -> np.ndarray:
    parts = cell if form == _DIGITS else cell.split(" ")
    return np.array([math.nan if part == _MISSING else float(part) for part in parts])


def embedded_text(table: RawTable, column: str = "smiles") -> str:
    """Return a raw table in the embedded form, its inputs under the name ``column``."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    further = list(table.columns.values())
    names, cells = list(table.tasks), _row_cells(table)
    if table.lengths is not None:
        forms = [_DIGITS if _are_digits(values) else _NUMBERS for values in table.targets.T]
        names = [task + form for task, form in zip(table.tasks, forms, strict=True)]
        cells = _site_cells(table, forms)
    writer.writerow([column, *names, *table.columns])
    for row, text in enumerate(table.inputs):
        writer.writerow([text, *cells(row), *(str(values[row]) for values in further)])
    return stream.getvalue()


def _row_cells(table: RawTable) -> Callable[[int], list[str]]:
    return lambda row: [_shortest(value) for value in table.targets[row]]


def _site_cells(table: RawTable, forms: Sequence[str]) -> Callable[[int], list[str]]:
    between = ["" if form == _DIGITS else " " for form in forms]

    def cells(row: int) -> list[str]:
        sites = table.targets[table.sites(np.array([row]))]
        texts = ([_shortest(value) or _MISSING for value in column] for column in sites.T)
        return [blank.join(text) for blank, text in zip(between, texts, strict=True)]

    return cells


def _are_digits(values: np.ndarray) -> bool:
    known = values[np.isfinite(values)]
    return bool(np.isin(known, np.arange(10)).all())


def _shortest(value: float) -> str:
    if math.isnan(value):
        return ""
    return str(int(value)) if value == int(value) else repr(float(value))
