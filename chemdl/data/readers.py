"""From the files of a set to one raw table: inputs, targets and columns, before any cleaning."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from chemdl.data.errors import DatasetError
from chemdl.registry import Registry

# Of a line; more than any row of a table has.
MOST_SIGNS = 1 << 24
MISSING = frozenset({"", "NA", "NaN", "nan"})


# A reader takes the set's files by name and the entry's options, and gives one raw table.
Reader = Callable[[Mapping[str, Path], Mapping[str, Any]], "RawTable"]
READERS: Registry[Reader] = Registry("reader", "data")


@dataclass
class RawTable:
    """All rows of a set as its files hold them.

    ``inputs`` has n entries, ``targets`` is float64 (n, tasks) with NaN for what was not measured,
    ``columns`` are aligned by row, and ``places`` names each row's file and line. Where a row has
    several sites (the residues of a chain), ``lengths`` (n,) says how many, and ``targets`` is
    (sites, tasks), the rows back to back.
    """

    inputs: list[str]
    targets: np.ndarray
    tasks: tuple[str, ...]
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    places: list[tuple[str, int]] = field(default_factory=list)
    lengths: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.lengths is not None and self.lengths.sum() != len(self.targets):
            raise DatasetError(
                f"rows of {self.lengths.sum()} sites in all need as many rows of targets, not "
                f"{len(self.targets)}"
            )

    def where(self, row: int) -> str:
        """Name the file and line of a row."""
        file, line = self.places[row]
        return f"{file} line {line}"

    def with_tasks(self, tasks: Sequence[str]) -> RawTable:
        """Return the table of these tasks, with the rows that are measured for any of them."""
        targets = self.targets[:, [self.tasks.index(task) for task in tasks]]
        table = dataclasses.replace(self, targets=targets, tasks=tuple(tasks))
        return table.subset(np.flatnonzero(table.measured()))

    def measured(self) -> np.ndarray:
        """Say of each row whether any of its targets was measured."""
        known = np.isfinite(self.targets).any(axis=1)
        if self.lengths is None:
            return known
        row = np.repeat(np.arange(len(self.inputs)), self.lengths)
        return np.bincount(row, weights=known, minlength=len(self.inputs)) > 0

    def sites(self, rows: np.ndarray) -> np.ndarray:
        """Return the indices of the targets of these rows, row by row."""
        if self.lengths is None:
            return rows
        ends = np.cumsum(self.lengths)
        return np.concatenate([np.arange(ends[r] - self.lengths[r], ends[r]) for r in rows])

    def with_inactives(self, most: int) -> RawTable:
        """Return all rows that are active in some task, and a fixed draw of so many others."""
        is_active = (self.targets == 1).any(axis=1)
        others = np.flatnonzero(~is_active)
        drawn = np.random.default_rng(0).permutation(others)[:most]
        return self.subset(np.sort(np.concatenate([np.flatnonzero(is_active), drawn])))

    def subset(self, rows: np.ndarray) -> RawTable:
        """Return the table of these rows."""
        return RawTable(
            [self.inputs[row] for row in rows],
            self.targets[self.sites(rows)],
            self.tasks,
            {name: values[rows] for name, values in self.columns.items()},
            [self.places[row] for row in rows],
            None if self.lengths is None else self.lengths[rows],
        )


@READERS.register("table")
def read_table(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Read delimited tables with a header, one below the other.

    ``options``: ``smiles`` (name of the input's column), ``targets`` (mapping task: column, or a
    list where both are the same), ``columns`` (mapping name: column), ``set`` (mapping file: set,
    where each file is one side of a published split), ``delimiter``.

    Raises
    ------
    DatasetError
        For a missing column, a row with too few or too many cells, or a target that is not a
        number; the message names the file, the line, the column and the value.
    """
    targets = options["targets"]
    wanted = dict(targets) if isinstance(targets, Mapping) else {t: t for t in targets}
    if len(wanted) < len(targets):
        raise DatasetError(f"targets {', '.join(targets)}: a column is named twice; name each once")
    extra = dict(options.get("columns", {}))
    sets = options.get("set", {})
    inputs: list[str] = []
    cells: list[list[str]] = []
    kept: dict[str, list[str]] = {name: [] for name in extra}
    places: list[tuple[str, int]] = []
    for file in sets or files:
        if file not in files:
            raise DatasetError(f"the set's files are {', '.join(files)}; {file!r} is not there")
        lines = delimited_rows(file, files[file], options.get("delimiter", ","))
        header, rows = lines[0][1], lines[1:]
        smiles, *numbers = column_positions(file, header, [options["smiles"], *wanted.values()])
        others = column_positions(file, header, list(extra.values()))
        inputs += [row[smiles].strip() for _, row in rows]
        cells += [[row[i].strip() for i in numbers] for _, row in rows]
        places += [(file, line) for line, _ in rows]
        for name, position in zip(extra, others, strict=True):
            kept[name] += [row[position].strip() for _, row in rows]
    columns = {name: np.array(values, dtype=str) for name, values in kept.items()}
    if sets:
        columns["set"] = np.array([sets[file] for file, _ in places], dtype=str)
    table = RawTable(
        inputs, parsed_numbers(cells, list(wanted), places), tuple(wanted), columns, places
    )
    if "fold" in columns:
        columns["fold"] = _folds(columns["fold"], table)
    return table


def delimited_rows(file: str, path: Path, delimiter: str) -> list[tuple[int, list[str]]]:
    """Return the file's header and rows with their line numbers; blank lines are skipped."""
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as stream:
            lines = bounded_lines(stream, file)
            rows = list(_rows_by_line(file, csv.reader(lines, delimiter=delimiter, strict=True)))
    except UnicodeError as error:
        raise DatasetError(f"{file} is no UTF-8 text ({error}); save it as UTF-8") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DatasetError(
            f"{file}: the gzip file is cut off or damaged ({error}); copy or fetch it again"
        ) from error
    if len(rows) < 2:
        raise DatasetError(f"{file} is empty: it needs a header and at least one row")
    width = len(rows[0][1])
    for line, row in rows:
        if len(row) != width:
            raise DatasetError(
                f"{file} line {line} has {len(row)} cells, its header {width}: "
                "mend the line, or fetch the file again if it was cut off"
            )
    return rows


def bounded_lines(
    stream: TextIO, file: str, error: type[DatasetError] = DatasetError
) -> Iterator[str]:
    """Yield the lines of a text; one that fills the memory, as of a packed file, is refused."""
    number = 0
    while line := stream.readline(MOST_SIGNS):
        number += 1
        if len(line) == MOST_SIGNS:
            raise error(
                f"{file} line {number} has more than {MOST_SIGNS:,} signs, so it is no row of a "
                "table; end each row with a line break"
            )
        yield line


def _rows_by_line(file: str, reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield rows with their line numbers; a row has one line of the file.

    A quotation mark that is not closed would take in the lines, and so the rows, that follow it.
    """
    line, remedy = 0, "close the quotation mark, or write the cell on one line"
    try:
        for row in reader:
            line += 1
            if reader.line_num != line:
                raise DatasetError(
                    f"{file} line {line}: a quotation mark opens here, and its cell ends on line "
                    f"{reader.line_num}; {remedy}"
                )
            if row:
                yield line, row
    except csv.Error as error:
        raise DatasetError(f"{file} line {line + 1}: {error}; {remedy}") from error


def column_positions(file: str, header: Sequence[str], names: Iterable[str]) -> list[int]:
    for name in names:
        if header.count(name) > 1:
            places = [str(i + 1) for i, other in enumerate(header) if other == name]
            raise DatasetError(
                f"{file} has column {name!r} more than once, as numbers {' and '.join(places)}; "
                "rename all but one"
            )
        if name not in header:
            raise DatasetError(
                f"{file} has no column {name!r}; its columns are {', '.join(header[:20])}"
            )
    return [header.index(name) for name in names]


def parsed_numbers(
    cells: list[list[str]], tasks: Sequence[str], places: list[tuple[str, int]]
) -> np.ndarray:
    """Turn text into float64 (n, tasks); an error names text that is not a number."""
    try:
        values = [[np.nan if t in MISSING else float(t) for t in texts] for texts in cells]
    except ValueError:
        raise DatasetError(_no_number(cells, tasks, places)) from None
    array = np.array(values, dtype=np.float64).reshape(len(cells), len(tasks))
    if np.isinf(array).any():
        raise DatasetError(_no_number(cells, tasks, places))
    return array


def _no_number(cells: list[list[str]], tasks: Sequence[str], places: list[tuple[str, int]]) -> str:
    for (file, line), texts in zip(places, cells, strict=True):
        for task, text in zip(tasks, texts, strict=True):
            if text not in MISSING and not _is_finite(text):
                return (
                    f"{file} line {line}, column {task!r}: {text!r} is no finite number; write "
                    "a number, or leave the cell empty where nothing was measured"
                )
    raise AssertionError("called only where some cell is no finite number")


def _is_finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _folds(values: np.ndarray, table: RawTable) -> np.ndarray:
    try:
        return np.array([-1 if v in MISSING else int(v) for v in values], dtype=np.int64)
    except ValueError as error:
        raise DatasetError(f"{table.where(0)} and on: folds are whole numbers: {error}") from error
