"""From the files of a set to one raw table: inputs, targets and columns, before any cleaning."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import math
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from chemdl.data.errors import DatasetError

MISSING = frozenset({"", "NA", "NaN", "nan"})
# The challenge's own file names and sets, in the words of this package.
_CHALLENGE_SETS = {"training": "train", "validation": "valid", "test": "test"}
_CHALLENGE_FOLDERS = {"train": "train", "test": "valid", "score": "test"}


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
        """Return where the targets of these rows stand, row by row."""
        if self.lengths is None:
            return rows
        ends = np.cumsum(self.lengths)
        return np.concatenate([np.arange(ends[r] - self.lengths[r], ends[r]) for r in rows])

    def with_inactives(self, most: int, seed: int = 0) -> RawTable:
        """Return all rows that are active in some task and at most so many others, by seed."""
        is_active = (self.targets == 1).any(axis=1)
        others = np.flatnonzero(~is_active)
        drawn = np.random.default_rng(seed).permutation(others)[:most]
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


def read_table(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Read delimited tables with a header, one below the other.

    ``options``: ``smiles`` (name of the input's column), ``targets`` (mapping task: column, or a
    list where both are the same), ``columns`` (mapping name: column), ``set`` (mapping file: set,
    where each file is one side of a published split), ``delimiter``.

    Raises
    ------
    DatasetError
        for a missing column, a row with too few or too many cells, or a target that is no number,
        naming file, line, column and value.
    """
    targets = options["targets"]
    wanted = dict(targets) if isinstance(targets, Mapping) else {t: t for t in targets}
    extra = dict(options.get("columns", {}))
    sets = options.get("set", {})
    inputs: list[str] = []
    cells: list[list[str]] = []
    kept: dict[str, list[str]] = {name: [] for name in extra}
    places: list[tuple[str, int]] = []
    for file in sets or files:
        if file not in files:
            raise DatasetError(f"the set's files are {', '.join(files)}; {file!r} is not there")
        lines = _rows(file, files[file], options.get("delimiter", ","))
        header, rows = lines[0][1], lines[1:]
        smiles, *numbers = _positions(file, header, [options["smiles"], *wanted.values()])
        others = _positions(file, header, list(extra.values()))
        inputs += [row[smiles].strip() for _, row in rows]
        cells += [[row[i].strip() for i in numbers] for _, row in rows]
        places += [(file, line) for line, _ in rows]
        for name, position in zip(extra, others, strict=True):
            kept[name] += [row[position].strip() for _, row in rows]
    columns = {name: np.array(values, dtype=str) for name, values in kept.items()}
    if sets:
        columns["set"] = np.array([sets[file] for file, _ in places], dtype=str)
    table = RawTable(inputs, _numbers(cells, list(wanted), places), tuple(wanted), columns, places)
    if "fold" in columns:
        columns["fold"] = _folds(columns["fold"], table)
    return table


def read_tox21_challenge(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Join the 2014 challenge's SMILES to the table of compounds with DeepTox's folds.

    The table names each sample's set, fold and labels, the challenge's files its SMILES and, per
    assay, its label; both are joined by sample id and every label is compared. Folds number the
    training samples that DeepTox's cross-validation used (Mayr et al. 2016); the others have -1.

    Raises
    ------
    DatasetError
        for a sample without SMILES, or a label that the two disagree about.
    """
    tasks: Mapping[str, str] = options["targets"]
    file = options["table"]
    lines = _rows(file, files[file], ",")
    header, rows = lines[0][1], lines[1:]
    key, of_set, fold = _positions(file, header, ["ID", "set", "CVfold"])
    places = [(file, line) for line, _ in rows]
    ids = [row[key] for _, row in rows]
    numbers = _positions(file, header, list(tasks.values()))
    targets = _numbers([[row[i] for i in numbers] for _, row in rows], list(tasks), places)
    smiles = _challenge_smiles(files, list(tasks), {i: n for n, i in enumerate(ids)}, targets)
    without = [i for i in ids if i not in smiles]
    if without:
        raise DatasetError(f"{file}: {len(without)} samples have no SMILES, {without[0]} is one")
    sets = np.array([_CHALLENGE_SETS[row[of_set]] for _, row in rows], dtype=str)
    folds = np.array([-1 if row[fold] in MISSING else int(row[fold]) for _, row in rows])
    columns = {
        "id": np.array(ids, dtype=str),
        "set": sets,
        "fold": np.where(sets == "train", folds, -1).astype(np.int64),
    }
    return RawTable([smiles[i] for i in ids], targets, tuple(tasks), columns, places)


def read_keyed_table(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Join a table of values to lists of structures by a key such as the CAS number.

    ``options``: ``table`` (file with a header), ``key`` (its column), ``targets`` as in
    :func:`read_table`, ``delimiter``, and ``structures``: ``files`` (lists without a header, a
    later one above an earlier), ``key`` and ``smiles`` (positions of their columns). Rows whose
    key no list holds are left out: they have no structure to learn from.

    Raises
    ------
    DatasetError
        as :func:`read_table` does, and where no row has a structure.
    """
    file, wanted, lists = options["table"], dict(options["targets"]), options["structures"]
    lines = _rows(file, files[file], options.get("delimiter", ","))
    header, rows = lines[0][1], lines[1:]
    key, *numbers = _positions(file, header, [options["key"], *wanted.values()])
    smiles: dict[str, str] = {}
    for name in lists["files"]:
        # Names in these lists hold quotation marks that quote nothing: plain splitting it is.
        with files[name].open(encoding="utf-8") as stream:
            cells = (line.rstrip("\n").split(options.get("delimiter", ",")) for line in stream)
            smiles.update((row[lists["key"]], row[lists["smiles"]]) for row in cells)
    known = [(line, row) for line, row in rows if smiles.get(row[key])]
    if not known:
        raise DatasetError(f"{file}: no {options['key']} of its {len(rows)} rows has a structure")
    places = [(file, line) for line, _ in known]
    targets = _numbers([[row[i] for i in numbers] for _, row in known], list(wanted), places)
    ids = np.array([row[key] for _, row in known], dtype=str)
    return RawTable([smiles[i] for i in ids.tolist()], targets, tuple(wanted), {"id": ids}, places)


def read_tables_by_task(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Read tables that each hold the values of one task into one table with a column per task.

    A molecule of two tasks has two rows here; cleaning joins them where no published split keeps
    them apart. ``options``: ``targets`` (mapping task: its files), ``value`` (the column of its
    values), and ``smiles``, ``columns`` and ``delimiter`` as in :func:`read_table`.

    Raises
    ------
    DatasetError
        as :func:`read_table` does, and for a task whose file is not there.
    """
    tasks = tuple(options["targets"])
    parts = []
    for task, its_files in options["targets"].items():
        chosen = {file: path for file, path in files.items() if file in its_files}
        if len(chosen) < len(its_files):
            raise DatasetError(
                f"task {task!r} needs {its_files}; the set's files are {list(files)}"
            )
        parts.append(read_table(chosen, {**options, "targets": {task: options["value"]}}))
    targets = np.full((sum(len(part.inputs) for part in parts), len(tasks)), np.nan)
    start = 0
    for column, part in enumerate(parts):
        targets[start : start + len(part.inputs), column] = part.targets[:, 0]
        start += len(part.inputs)
    return RawTable(
        [smiles for part in parts for smiles in part.inputs],
        targets,
        tasks,
        {
            name: np.concatenate([part.columns[name] for part in parts])
            for name in options.get("columns", {})
        },
        [place for part in parts for place in part.places],
    )


def read_merck(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Read one assay of Merck's challenge: counts of atom pairs by molecule, split by time.

    The descriptors are anonymous and the structures secret, so that a row of counts is the input:
    see :mod:`chemdl.molecules.tabulated` for its form. ``options``: ``targets`` ({assay: column}),
    ``archive`` (the zip file) and ``set`` (mapping table inside it: side of the split).

    Raises
    ------
    DatasetError
        where the tables have other columns than each other.
    """
    import pandas as pd

    (assay, value), sets = next(iter(options["targets"].items())), options["set"]
    with zipfile.ZipFile(files[options["archive"]]) as opened:
        tables = {name: pd.read_csv(opened.open(name)) for name in sets}
    first, *others = tables.values()
    for name, table in tables.items():
        if list(table.columns) != list(first.columns):
            raise DatasetError(f"{name} has other columns than {next(iter(tables))}")
    joined = pd.concat([first, *others])
    counts = joined.drop(columns=["MOLECULE", value]).to_numpy(np.float64)
    return RawTable(
        tabulated_rows(counts),
        joined[[value]].to_numpy(np.float64),
        (assay,),
        {
            "id": joined["MOLECULE"].to_numpy(str),
            "set": np.repeat(list(sets.values()), [len(table) for table in tables.values()]),
        },
        [(name, line) for name, table in tables.items() for line in range(2, len(table) + 2)],
    )


def read_dude(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Read DUD-E's lists of actives and decoys: one task for each target, 1 = active.

    A molecule that is listed for two targets has two rows here. ``options``: ``targets``, whose
    files are ``actives/<target>_actives_final.ism`` and ``decoys/<target>_decoys_final.ism``, each
    line a SMILES and its identifiers. ``columns["target"]`` names the list that a row comes from.

    Raises
    ------
    DatasetError
        for a target whose lists are not there.
    """
    tasks = tuple(options["targets"])
    inputs: list[str] = []
    rows: list[tuple[int, float]] = []
    places: list[tuple[str, int]] = []
    for column, task in enumerate(tasks):
        for label, side in ((1.0, "actives"), (0.0, "decoys")):
            file = f"{side}/{task}_{side}_final.ism"
            if file not in files:
                raise DatasetError(f"target {task!r} needs {file}; the set has {list(files)[:5]}")
            lines = files[file].read_text(encoding="utf-8").splitlines()
            for line, text in enumerate(lines, start=1):
                inputs.append(text.split()[0])
                rows.append((column, label))
                places.append((file, line))
    columns, labels = (np.array(values) for values in zip(*rows, strict=True))
    targets = np.full((len(inputs), len(tasks)), np.nan)
    targets[np.arange(len(inputs)), columns] = labels
    return RawTable(inputs, targets, tasks, {"target": np.array(tasks)[columns]}, places)


def read_rfscore(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Read descriptors of docked or crystal complexes, with one year's refined and core set.

    ``options``: ``targets`` ({name: column}), ``table`` and ``year``. Descriptors are the columns
    whose names are numbers; rows of the year's core set are its test side, the other rows of its
    refined set the train side, and the rest is left out.
    """
    import pandas as pd

    (name, value), year = next(iter(options["targets"].items())), options["year"]
    table = pd.read_csv(files[options["table"]])
    is_core, is_refined = (table[f"{year}_{which}"].to_numpy() for which in ("core", "refined"))
    rows = np.flatnonzero(is_core | is_refined)
    kept = table.iloc[rows]
    descriptors = [column for column in table.columns if column.isdigit()]
    columns = {
        "id": kept["pdbid"].to_numpy(str),
        "set": np.where(is_core[rows], "test", "train"),
    }
    return RawTable(
        tabulated_rows(kept[descriptors].to_numpy(np.float64)),
        kept[[value]].to_numpy(np.float64),
        (name,),
        columns,
        [(options["table"], int(row) + 2) for row in rows],
    )


def tabulated_rows(values: np.ndarray) -> list[str]:
    """Write rows of numbers (n, width) as text, ``"<width> <column>:<value> …"`` without zeros."""
    width = values.shape[1]
    rows = []
    for row in values:
        cells = (f"{column}:{row[column]:g}" for column in np.flatnonzero(row))
        rows.append(" ".join([str(width), *cells]))
    return rows


READERS: dict[str, Callable[[Mapping[str, Path], Mapping[str, Any]], RawTable]] = {
    "table": read_table,
    "tables_by_task": read_tables_by_task,
    "keyed_table": read_keyed_table,
    "dude": read_dude,
    "merck": read_merck,
    "rfscore": read_rfscore,
    "tox21_challenge": read_tox21_challenge,
}


def _rows(file: str, path: Path, delimiter: str) -> list[tuple[int, list[str]]]:
    """Return the file's header and rows with their line numbers; blank lines are skipped."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, delimiter=delimiter)
        rows = [(reader.line_num, row) for row in reader if row]
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


def _positions(file: str, header: Sequence[str], names: Iterable[str]) -> list[int]:
    for name in names:
        if name not in header:
            raise DatasetError(
                f"{file} has no column {name!r}; its columns are {', '.join(header[:20])}"
            )
    return [header.index(name) for name in names]


def _numbers(
    cells: list[list[str]], tasks: Sequence[str], places: list[tuple[str, int]]
) -> np.ndarray:
    """Turn text into float64 (n, tasks); text that is no number is an error that names it."""
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


def _challenge_smiles(
    files: Mapping[str, Path], tasks: Sequence[str], rows: Mapping[str, int], targets: np.ndarray
) -> dict[str, str]:
    """Collect each sample's SMILES; compare the labels beside it with the table's."""
    smiles: dict[str, str] = {}
    for folder in _CHALLENGE_FOLDERS:
        for column, task in enumerate(tasks):
            file = f"{folder}/{task.lower()}.smiles"
            text = files[file].read_text(encoding="utf-8")
            for line, row in enumerate(text.splitlines(), start=1):
                structure, sample, label = row.split("\t")
                smiles[sample] = structure
                if targets[rows[sample], column] != float(label):
                    raise DatasetError(
                        f"{file} line {line}: {sample} has label {label}, but "
                        f"{targets[rows[sample], column]:g} in the table of compounds"
                    )
    return smiles
