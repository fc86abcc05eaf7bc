"""Your table as it is read, and as a dataset: merged, counted, nothing dropped unsaid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from chemdl.data.dataset import Dataset
from chemdl.data.readers import RawTable
from chemdl.molecules.data import clean_smiles
from chemdl.your_data.columns import Columns, choose_columns
from chemdl.your_data.numbers import Numbers, no_number, read_days, read_numbers
from chemdl.your_data.tables import Table, TableError, open_table


@dataclass(frozen=True)
class YourTable:
    """A whole table with its columns read.

    Attributes
    ----------
    table, columns
        The file, and which of its columns is what.
    places
        Line of each row, n entries.
    smiles
        SMILES as written, n entries.
    numbers
        Each target's numbers.
    cells
        Further columns as text, by name: date, group and unit.
    """

    table: Table
    columns: Columns
    places: list[int]
    smiles: list[str]
    numbers: dict[str, Numbers]
    texts: dict[str, list[str]]

    @property
    def said(self) -> list[str]:
        """How the file was read, one sentence each."""
        commas = [name for name, read in self.numbers.items() if read.decimal == ","]
        comma = [f"{', '.join(map(repr, commas))}: a comma is the decimal sign"] if commas else []
        return [*self.table.said, *self.columns.said, *comma]

    @property
    def kind(self) -> str:
        """``classification`` where every number is 0 or 1, else ``regression``.

        Raises
        ------
        TableError
            If some targets are classes and others are not.
        """
        known = {name: read.values[read.known] for name, read in self.numbers.items()}
        classes = [name for name, values in known.items() if np.isin(values, (0, 1)).all()]
        if classes and len(classes) < len(known):
            others = sorted(set(known) - set(classes))
            raise TableError(
                f"{self.table.file}: {', '.join(map(repr, classes))} hold 0 and 1 alone, "
                f"{', '.join(map(repr, others))} do not; ask for one kind of target at a time"
            )
        return "classification" if classes else "regression"


def read_your_table(
    path: str | Path,
    *,
    smiles: str | None = None,
    targets: Sequence[str] = (),
    date: str | None = None,
    group: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    decimal: str | None = None,
    target: Literal["needed", "optional", "none"] = "needed",
) -> YourTable:
    """Read a whole table; see :func:`~chemdl.your_data.tables.open_table` for what is read.

    Parameters
    ----------
    path, delimiter, encoding
        The file, and how it is written.
    smiles, targets, date, group
        Columns; SMILES and targets are guessed where they are not named.
    decimal
        Decimal sign; by default the comma where no other reading is possible.
    target
        Whether a table without a target is refused, or none is looked for.

    Raises
    ------
    TableError
        In one line, with file, line, column and remedy.
    """
    table = open_table(path, delimiter=delimiter, encoding=encoding)
    columns = choose_columns(
        table,
        smiles=smiles,
        targets=targets,
        date=date,
        guesses_target=target != "none",
        decimal=decimal,
    )
    if target == "needed" and not columns.targets:
        names = ", ".join(map(repr, table.header))
        raise TableError(f"{table.file}: no column reads as a target; say which. Columns: {names}")
    units = [name for name in table.header if "unit" in name.lower()]
    kept = tuple(filter(None, (date, group, *units)))
    wanted = dict.fromkeys((columns.smiles, *columns.targets, *kept))
    positions = {name: table.position(name) for name in wanted}
    places, texts = [], {name: [] for name in wanted}  # type: ignore[var-annotated]
    for place, cells in table.read():
        places.append(place)
        for name, position in positions.items():
            texts[name].append(cells[position])
    if not places:
        raise TableError(f"{table.file} has a header and no row; it needs at least one")
    numbers = {name: read_numbers(texts[name], decimal) for name in columns.targets}
    return YourTable(
        table, columns, places, texts[columns.smiles], numbers, {n: texts[n] for n in kept}
    )


def as_dataset(yours: YourTable, *, tolerance: float | None = None, group: str = "") -> Dataset:
    """Return the table as a dataset; what that leaves out is counted in ``card["cleaning"]``.

    Bounds (``>10``) count as not measured. Values of one molecule are replaced by their mean,
    unless they differ by more than ``tolerance``, where one is given; classes that contradict each
    other are left out. ``columns`` are ``day`` and ``group`` where they were asked for.

    Raises
    ------
    TableError
        For a cell that is no number, naming file, line, column and remedy.
    DatasetError
        If a target has no number, or nothing is left.
    """
    for name, read in yours.numbers.items():
        if read.wrong:
            row = read.wrong[0]
            text = _cell(yours, row, name)
            raise no_number(yours.table, yours.places[row], name, text)
    targets = np.column_stack([read.values for read in yours.numbers.values()])
    kind, places = yours.kind, [(yours.table.file, place) for place in yours.places]
    columns = _further(yours, group)
    raw = RawTable(list(yours.smiles), targets, yours.columns.targets, columns, places)
    widest = float(np.nanmax(targets) - np.nanmin(targets)) if np.isfinite(targets).any() else 0.0
    allowed = tolerance if tolerance is not None else (widest if kind == "regression" else 0.0)
    cleaned = clean_smiles(raw, kind, tolerance=allowed)
    censored = sum(len(read.censored) for read in yours.numbers.values())
    card: dict[str, Any] = {
        "title": Path(yours.table.file).stem,
        "source": yours.table.file,
        "licence": {"name": "your own"},
        "citation": "",
        "input": "smiles",
        "cleaning": {**cleaned.log, "censored": censored},
    }
    inputs = np.array([yours.smiles[row] for row in cleaned.rows], dtype=object)
    return Dataset(
        Path(yours.table.file).stem,
        inputs,
        cleaned.targets,
        raw.tasks,
        kind,
        "",
        card,
        cleaned.columns,
    )


def _cell(yours: YourTable, row: int, column: str) -> str:
    position = yours.table.position(column)
    wanted = yours.places[row]
    return next(cells[position] for place, cells in yours.table.read() if place == wanted)


def _further(yours: YourTable, group: str) -> dict[str, np.ndarray]:
    columns: dict[str, np.ndarray] = {}
    if date := yours.columns.date:
        columns["day"] = read_days(yours.table, date, yours.texts[date], yours.places)
    if group:
        columns["group"] = np.array(yours.texts[group], dtype=str)
    return columns


def with_targets(yours: YourTable, targets: Sequence[str]) -> YourTable:
    """Return the table with some of its targets alone."""
    numbers = {name: yours.numbers[name] for name in targets}
    columns = replace(yours.columns, targets=tuple(targets))
    return replace(yours, numbers=numbers, columns=columns)
