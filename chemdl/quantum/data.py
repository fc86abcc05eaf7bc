"""Data sets of geometries: QM7, QM9, QM7b and the frames of a trajectory.

Inputs are one line of text for each molecule, ``"C x y z; H x y z; …"`` in Å, as
:mod:`chemdl.quantum.geometries` reads it. A reader raises :class:`DatasetError`, with the name of
the file, where the files of a set hold other numbers of molecules or targets, other compositions
or other molecules than stated.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from chemdl.data.dataset import Dataset
from chemdl.data.errors import DatasetError
from chemdl.data.inputs import INPUTS, InputKind
from chemdl.data.readers import READERS, RawTable
from chemdl.quantum.geometries import HARTREE, geometry_text

# Energies of free atoms at QM9's level of theory, hartree at 0 K (Ramakrishnan et al. 2014).
QM9_ATOMS = {"H": -0.500273, "C": -37.846772, "N": -54.583861, "O": -75.064579, "F": -99.718730}
QM9_WHOLE, QM9_EXCLUDED = 133_885, 3_054


@READERS.register("qm7")
def read_qm7(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Read QM7's geometries and two levels of energy, kcal/mol.

    ``options``: ``targets`` ({task: column of the table of energies}), ``geometries`` (XYZ files
    back to back, in the order of the table) and ``table`` (file name and energies, by blanks).
    """
    molecules, _, rows = _molecules_and_rows(files, options)
    return RawTable(
        [text for _, text, _ in molecules],
        np.array([[float(row[i]) for i in options["targets"].values()] for row in rows]),
        tuple(options["targets"]),
        {"id": np.array([row[0].removesuffix(".xyz") for row in rows])},
        [(options["geometries"], line) for line, _, _ in molecules],
    )


@READERS.register("qm9")
def read_qm9(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Read QM9's geometries and energies U0 as energies of atomisation, kcal/mol.

    U0 - Σ U0(atom), see :func:`atomisation`, of the 133,885 molecules less the 3,054 whose
    geometry is in doubt. ``options``: ``targets`` ({task: column}) and ``parts`` (the files, in
    order).
    """
    ((task, column),) = options["targets"].items()
    inputs: list[str] = []
    energies: list[float] = []
    ids: list[int] = []
    places: list[tuple[str, int]] = []
    for file in options["parts"]:
        with files[file].open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                symbols = json.loads(row["Elements"].replace("'", '"'))
                inputs.append(geometry_text(symbols, json.loads(_numbers(row["XYZ_Ang"]))))
                energies.append(atomisation(float(row[column]), symbols))
                ids.append(int(row["Index"]))
                places.append((file, len(places) + 2))
    missing = QM9_WHOLE - len(set(ids))
    if missing != QM9_EXCLUDED or not 1 <= min(ids) <= max(ids) <= QM9_WHOLE:
        raise DatasetError(
            f"{len(set(ids))} indices from {min(ids)} to {max(ids)}: of QM9's {QM9_WHOLE} "
            f"molecules {QM9_EXCLUDED} are left out, not {missing}"
        )
    targets = np.array(energies)[:, None]
    return RawTable(inputs, targets, (task,), {"id": np.array(ids)}, places)


def atomisation(total: float, symbols: Sequence[str]) -> float:
    """Return a total energy (hartree) less those of its free atoms, in kcal/mol.

    It is negative for a bound molecule. A ``KeyError`` for an element that QM9 does not have.
    """
    return (total - sum(QM9_ATOMS[symbol] for symbol in symbols)) * HARTREE


@READERS.register("qm7b")
def read_qm7b(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Read QM7b's geometries, and those of its properties that the table holds.

    ``options``: ``targets`` ({task: column}), ``geometries`` (an XYZ file of all molecules) and
    ``table`` (with a header, by blanks), whose compositions are compared.
    """
    file, table = options["geometries"], options["table"]
    molecules, header, rows = _molecules_and_rows(files, options, has_header=True)
    counted = [header.index(symbol) for symbol in ("C", "O", "N", "S", "Cl", "H")]
    for row, (line, _, symbols) in zip(rows, molecules, strict=True):
        expected = [symbols.count(header[column]) for column in counted]
        if [int(row[column]) for column in counted] != expected:
            raise DatasetError(f"{file} line {line}: {table} has another composition: {row}")
    columns = [header.index(column) for column in options["targets"].values()]
    return RawTable(
        [text for _, text, _ in molecules],
        np.array([[float(row[column]) for column in columns] for row in rows]),
        tuple(options["targets"]),
        {},
        [(file, line) for line, _, _ in molecules],
    )


@READERS.register("frames")
def read_frames(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Read frames of one molecule: energies, and the forces on its atoms.

    ``options``: ``archive`` (arrays ``z`` (a,), ``R`` (f, a, 3) Å, ``E`` (f, 1) kcal/mol and ``F``
    (f, a, 3) kcal/mol/Å), ``targets`` (the energy, then the forces by atom and axis) and
    ``relative`` (number of the frame whose energy is the zero).
    """
    tasks = tuple(options["targets"])
    file = options["archive"]
    with np.load(files[file], allow_pickle=False) as arrays:
        numbers, places, energies, forces = (arrays[name] for name in ("z", "R", "E", "F"))
    relative = energies.reshape(-1) - float(energies.reshape(-1)[options["relative"]])
    targets = np.column_stack([relative, forces.reshape(len(forces), -1)])
    if targets.shape[1] != len(tasks):
        raise DatasetError(f"{file} holds {targets.shape[1]} targets a frame, not {len(tasks)}")
    return RawTable(
        [geometry_text(numbers, frame) for frame in places],
        targets,
        tasks,
        {"id": np.arange(len(places))},
        [(file, frame) for frame in range(len(places))],
    )


def differences(data: Dataset, high: str, low: str) -> Dataset:
    """Return the dataset whose one target is the task ``high`` less the task ``low``.

    A model of this target corrects the cheaper level of theory (Δ-learning, Ramakrishnan et al.
    2015). Its error is the error of the predicted high level for a molecule whose low level was
    computed.
    """
    columns = [data.tasks.index(task) for task in (high, low)]
    return replace(
        data,
        name=f"{data.name}_delta",
        targets=data.targets[:, columns[:1]] - data.targets[:, columns[1:]],
        tasks=(f"{high} - {low}",),
        card={**data.card, "parent": data.card["content_sha256"]},
    )


def with_elements(data: Dataset, symbols: Sequence[str]) -> Dataset:
    """Return the molecules that hold no other elements than these.

    A small train set may hold no atom of a rare element; then no model can predict molecules that
    contain it.
    """
    allowed = set(symbols)
    occurring = ({atom.split()[0] for atom in text.split(";")} for text in data.inputs)
    return data.subset([present <= allowed for present in occurring])


def with_fixed_split(data: Dataset, *, train: int, valid: int, test: int, seed: int = 0) -> Dataset:
    """Return rows chosen by seed, with the subsets of a fixed split in ``columns["set"]``.

    Test rows are chosen first, then valid rows: a larger train set changes neither.

    Raises
    ------
    DatasetError
        If the dataset has fewer rows than are asked for.
    """
    sizes = {"test": test, "valid": valid, "train": train}
    if sum(sizes.values()) > len(data):
        raise DatasetError(f"{data.name} has {len(data)} rows, {sizes} need more")
    order = np.random.default_rng(seed).permutation(len(data))[: sum(sizes.values())]
    subsets = np.repeat(list(sizes), list(sizes.values()))[np.argsort(order)]
    return data.subset(np.sort(order)).with_column("set", subsets)


def _molecules_and_rows(
    files: Mapping[str, Path], options: Mapping[str, Any], has_header: bool = False
) -> tuple[list[tuple[int, str, list[str]]], list[str], list[list[str]]]:
    """Read XYZ blocks, the header of the table beside them, and a row for each molecule."""
    file, table = options["geometries"], options["table"]
    molecules = list(_xyz_molecules(file, files[file]))
    rows = [line.split() for line in files[table].read_text("utf-8").splitlines()]
    header = rows.pop(0) if has_header else []
    if len(rows) != len(molecules):
        raise DatasetError(f"{table} has {len(rows)} rows, {file} {len(molecules)} molecules")
    return molecules, header, rows


def _xyz_molecules(file: str, path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Yield line, text and symbols of each molecule of XYZ blocks, back to back."""
    lines = path.read_text(encoding="utf-8").splitlines()
    start = 0
    while start < len(lines):
        if not lines[start].strip():
            start += 1
            continue
        count = int(lines[start])
        atoms = [line.split() for line in lines[start + 2 : start + 2 + count]]
        if len(atoms) != count or any(len(atom) != 4 for atom in atoms):
            raise DatasetError(f"{file} line {start + 1}: expected {count} atoms below it")
        symbols = [symbol for symbol, *_ in atoms]
        places = [[float(x) for x in place] for _, *place in atoms]
        yield start + 1, geometry_text(symbols, places), symbols
        start += 2 + count


def _numbers(text: str) -> str:
    """Rewrite the numbers of QM9's table, ``0.`` and ``1*^-5``, so that they are JSON."""
    return text.replace(".,", ".0,").replace(".]", ".0]").replace("*^", "e")


INPUTS.add("geometry", InputKind())
