"""Data sets of molecules: readers of their files, the cleaning of SMILES, and your own table."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chemdl.data.cleaning import Cleaned, merge_rows
from chemdl.data.dataset import Dataset
from chemdl.data.errors import DatasetError
from chemdl.data.inputs import INPUTS, InputKind
from chemdl.data.readers import (
    READERS,
    RawTable,
    read_table,
)

# The challenge's own file names and sets, in the words of this package.
_CHALLENGE_SETS = {"training": "train", "validation": "valid", "test": "test"}
_CHALLENGE_FOLDERS = ("train", "test", "score")


@READERS.register("tox21_challenge")
def read_tox21_challenge(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Join the 2014 challenge's SMILES to the table of compounds with DeepTox's folds.

    The table names each sample's set, fold and labels, the challenge's files its SMILES and, per
    assay, its label; both are joined by sample id and every label is compared. Folds number the
    training samples that DeepTox's cross-validation used (Mayr et al. 2016); the others have -1.

    Raises
    ------
    DatasetError
        For a sample without SMILES, or a label that differs between the two sources.
    """
    tasks, file = list(options["targets"]), options["table"]
    columns = {"set": "set", "fold": "CVfold"}
    wanted = {"smiles": "ID", "targets": options["targets"], "columns": columns}
    table = read_table({file: files[file]}, wanted)
    ids = table.inputs
    smiles = _challenge_smiles(files, tasks, {i: n for n, i in enumerate(ids)}, table.targets)
    without = [i for i in ids if i not in smiles]
    if without:
        raise DatasetError(f"{file}: {len(without)} samples have no SMILES, {without[0]} is one")
    table.inputs = [smiles[i] for i in ids]
    sets = np.array([_CHALLENGE_SETS[subset] for subset in table.columns["set"]], dtype=str)
    folds = np.where(sets == "train", table.columns["fold"], -1)
    table.columns = {"id": np.array(ids, dtype=str), "set": sets, "fold": folds}
    return table


def _challenge_smiles(
    files: Mapping[str, Path], tasks: Sequence[str], rows: Mapping[str, int], targets: np.ndarray
) -> dict[str, str]:
    """Collect each sample's SMILES; compare the labels beside it with the table's."""
    smiles: dict[str, str] = {}
    for folder in _CHALLENGE_FOLDERS:
        for column, task in enumerate(tasks):
            file = f"{folder}/{task.lower()}.smiles"
            lines = files[file].read_text(encoding="utf-8").splitlines()
            for line, row in enumerate(lines, start=1):
                structure, sample, label = row.split("\t")
                smiles[sample] = structure
                if targets[rows[sample], column] != float(label):
                    raise DatasetError(
                        f"{file} line {line}: {sample} has label {label}, but "
                        f"{targets[rows[sample], column]:g} in the table of compounds"
                    )
    return smiles


@READERS.register("keyed_table")
def read_keyed_table(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Join a table of values to lists of structures by a key such as the CAS number.

    ``options``: ``table`` (file with a header), ``key`` (its column), ``targets`` as in
    :func:`read_table`, ``delimiter``, and ``structures``: ``files`` (lists without a header; where
    two hold one key, the later list counts), ``key`` and ``smiles`` (positions of their columns).
    Rows whose key is in no list are left out: they have no structure to learn from.

    Raises
    ------
    DatasetError
        For a table that :func:`read_table` refuses, or if no row has a structure.
    """
    file, lists = options["table"], options["structures"]
    table = read_table({file: files[file]}, {**options, "smiles": options["key"]})
    smiles: dict[str, str] = {}
    for name in lists["files"]:
        # Names in these lists hold unpaired quotation marks, which a reader of CSV would not close.
        with files[name].open(encoding="utf-8") as stream:
            cells = (line.rstrip("\n").split(options.get("delimiter", ",")) for line in stream)
            smiles.update((row[lists["key"]], row[lists["smiles"]]) for row in cells)
    with_structure = np.flatnonzero([bool(smiles.get(key)) for key in table.inputs])
    if not len(with_structure):
        count = len(table.inputs)
        raise DatasetError(f"{file}: no {options['key']} of its {count} rows has a structure")
    table = table.subset(with_structure)
    table.columns["id"] = np.array(table.inputs, dtype=str)
    table.inputs = [smiles[key] for key in table.inputs]
    return table


@READERS.register("tables_by_task")
def read_tables_by_task(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Read tables that each hold the values of one task into one table with a column per task.

    A molecule of two tasks has two rows here; cleaning joins them where no published split keeps
    them apart. ``options``: ``targets`` (mapping task: its files), ``value`` (the column of its
    values), and ``smiles``, ``columns`` and ``delimiter`` as in :func:`read_table`.

    Raises
    ------
    DatasetError
        For a table that :func:`read_table` refuses, or a task whose file is missing.
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


@READERS.register("merck")
def read_merck(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Read one assay of Merck's challenge: counts of atom pairs by molecule, split by time.

    The descriptors have no names and the structures are secret, so that a row of counts is the
    input: see :mod:`chemdl.molecules.tabulated` for its form. ``options``: ``targets`` ({assay:
    column}), ``archive`` (the zip file) and ``set`` (mapping table inside it: side of the split).

    Raises
    ------
    DatasetError
        If the columns of the tables differ.
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


def tabulated_rows(values: np.ndarray) -> list[str]:
    """Write rows of numbers (n, width) as text, ``"<width> <column>:<value> …"`` without zeros."""
    width = values.shape[1]
    rows = []
    for row in values:
        cells = (f"{column}:{row[column]:g}" for column in np.flatnonzero(row))
        rows.append(" ".join([str(width), *cells]))
    return rows


def clean_smiles(
    table: RawTable, kind: str, *, tolerance: float = 0.0, apart: str | None = None
) -> Cleaned:
    """Clean a table of SMILES: rows are one molecule when their canonical SMILES are equal.

    Salts, charges, tautomers and stereoisomers are different molecules. *unparsable* are rows whose
    SMILES RDKit cannot parse and sanitise, or that hold no atom. How rows are merged and counted,
    and what is refused: :func:`chemdl.data.cleaning.merge_rows`.
    """
    rule = "rows of equal canonical SMILES merged; contradicting labels left out"
    keys = canonical_smiles(table.inputs)
    return merge_rows(table, keys, kind, rule=rule, tolerance=tolerance, apart=apart)


def canonical_smiles(inputs: Sequence[str]) -> list[str | None]:
    """Return RDKit's canonical isomeric SMILES of each input, ``None`` for what does not parse.

    RDKit's messages are held back while this runs, and only then.
    """
    from rdkit import Chem, rdBase

    canonical: list[str | None] = []
    with rdBase.BlockLogs():
        for smiles in inputs:
            molecule = Chem.MolFromSmiles(smiles)
            usable = molecule is not None and molecule.GetNumAtoms() > 0
            canonical.append(Chem.MolToSmiles(molecule) if usable else None)
    return canonical


def rdkit_version() -> str:
    """Return the release of RDKit, on which canonical SMILES depend."""
    from rdkit import rdBase

    return str(rdBase.rdkitVersion)


def molecule_identities(inputs: NDArray[np.object_]) -> dict[str, NDArray[np.str_]]:
    """Return the InChIKey of each molecule, and its first block, which ignores stereochemistry."""
    from chemdl.molecules.smiles import inchikeys

    keys = inchikeys(inputs)
    return {"inchikey": keys, "inchikey_no_stereo": keys.astype("U14")}


INPUTS.add("smiles", InputKind(clean_smiles, molecule_identities, rdkit_version))
# Equal rows of given descriptors may be different molecules: none are merged.
INPUTS.add("descriptors", InputKind())


def from_csv(
    path: str | os.PathLike[str],
    *,
    smiles: str,
    targets: list[str] | Mapping[str, str],
    kind: str,
    unit: str = "",
    name: str | None = None,
    tolerance: float = 0.0,
) -> Dataset:
    """Make a dataset of your own table; cleaned by the same rules as the registered sets.

    Parameters
    ----------
    path
        Comma-separated table with a header; ``.gz`` is unpacked.
    smiles
        Column with the SMILES.
    targets
        Columns with the targets, or a mapping of task names to columns. An empty cell means not
        measured.
    kind, unit, name, tolerance
        As in :class:`~chemdl.data.dataset.Dataset` and :func:`clean_smiles`.

    Warns
    -----
    UserWarning
        If molecules were left out; the message names file, line and remedy.
    """
    file = Path(path)
    raw = read_table({file.name: file}, {"smiles": smiles, "targets": targets})
    cleaned = clean_smiles(raw, kind, tolerance=tolerance)
    lost = cleaned.log["unparsable"] + cleaned.log["conflicting"]
    if lost:
        first = (cleaned.log["examples"]["unparsable"] + cleaned.log["examples"]["conflicting"])[0]
        warnings.warn(
            f"{file.name}: {lost} of {cleaned.log['raw']} rows were left out "
            f"({cleaned.log['unparsable']} unparsable, {cleaned.log['conflicting']} contradicting "
            f"duplicates), the first is {first}, column {smiles!r}; mend them to use them. All "
            "are in the card",
            stacklevel=2,
        )
    title = name or file.stem
    card = {
        "title": title,
        "source": file.name,
        "licence": {"name": "your own"},
        "citation": "",
        "input": "smiles",
        "cleaning": cleaned.log,
    }
    inputs = [raw.inputs[row] for row in cleaned.rows]
    return Dataset(
        title,
        np.array(inputs, object),
        cleaned.targets,
        raw.tasks,
        kind,
        unit,
        card,
        cleaned.columns,
    )
