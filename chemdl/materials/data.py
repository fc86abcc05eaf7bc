"""Data sets of materials: formulas with Matbench's folds, and crystals written on one line."""

from __future__ import annotations

import ast
import csv
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chemdl.data.cleaning import Cleaned, keep_rows
from chemdl.data.errors import DatasetError
from chemdl.data.inputs import INPUTS, InputKind
from chemdl.data.readers import READERS, RawTable, read_table
from chemdl.materials.compositions import composition_keys
from chemdl.materials.formulas import FormulaError, parse_formula

# Matbench's folds are scikit-learn's five, shuffled by this seed, over the rows in their order.
_MATBENCH_SEED = 18012019


@READERS.register("matbench")
def read_matbench(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Read a set of Matbench and number its published folds (Dunn et al. 2020).

    The folds follow from the order of the rows, which is that of the source: for ``expt_gap`` the
    same archive holds the folds as files, and they agree. ``options`` as in
    :func:`~chemdl.data.readers.read_table`, and ``stratified`` for classes.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    table = read_table(files, options)
    splitter = StratifiedKFold if options.get("stratified") else KFold
    folds = splitter(5, shuffle=True, random_state=_MATBENCH_SEED).split(
        np.zeros(len(table.inputs)), table.targets[:, 0]
    )
    fold = np.zeros(len(table.inputs), dtype=np.int64)
    for number, (_, test) in enumerate(folds):
        fold[test] = number
    table.columns["fold"] = fold
    return table


@READERS.register("flla")
def read_flla(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Read crystals and their energies (Faber et al. 2015) as the package matminer holds them.

    ``options``: ``table``, and ``targets`` as in :func:`~chemdl.data.readers.read_table`.
    Lattice vectors are rounded to 1e-3 Å, fractional coordinates to 1e-4.

    Raises
    ------
    DatasetError
        For a site that two elements share, because such a crystal has no unique graph.
    """
    file, targets = options["table"], dict(options["targets"])
    # A structure of 25 sites is one cell of this table, longer than csv's own limit.
    csv.field_size_limit(sys.maxsize)
    with files[file].open(encoding="utf-8", newline="") as stream:
        stream.readline()  # the source, as a comment
        reader = csv.DictReader(stream)
        rows = [(reader.line_num + 1, row) for row in reader]
    inputs = []
    for line, row in rows:
        structure = ast.literal_eval(row["structure"])
        sites = structure["sites"]
        if any(len(site["species"]) > 1 for site in sites):
            raise DatasetError(f"{file} line {line}: two elements share a site")
        symbols = [site["species"][0]["element"] for site in sites]
        lattice = np.array(structure["lattice"]["matrix"])
        inputs.append(crystal_text(lattice, symbols, np.array([site["abc"] for site in sites])))
    return RawTable(
        inputs,
        np.array([[float(row[column]) for column in targets.values()] for _, row in rows]),
        tuple(targets),
        {"id": np.array([row["material_id"] for _, row in rows])},
        [(file, line) for line, _ in rows],
    )


def crystal_text(lattice: np.ndarray, symbols: Sequence[str], coordinates: np.ndarray) -> str:
    """Write a crystal on one line: ``a b c; Si x y z; …``.

    Parameters
    ----------
    lattice
        Lattice vectors as rows, (3, 3), in Å.
    symbols
        Symbol of the element of each site.
    coordinates
        Fractional coordinates, (sites, 3); they are written between 0 and 1.
    """
    within = np.round(coordinates % 1.0, 4) % 1.0
    sites = [
        f"{symbol} {' '.join(f'{x:.4g}' for x in row)}"
        for symbol, row in zip(symbols, within, strict=True)
    ]
    vectors = " ".join(f"{x:.3f}".rstrip("0").rstrip(".") for x in (lattice + 0.0).ravel())
    return "; ".join([vectors.replace("-0 ", "0 "), *sites])


@READERS.register("packed_table")
def read_packed_table(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Read a table that lies inside a tar archive.

    ``options``: ``archive`` and ``member``, and those of
    :func:`~chemdl.data.readers.read_table`.
    """
    member = options["member"]
    with tempfile.TemporaryDirectory() as folder, tarfile.open(files[options["archive"]]) as tar:
        content = tar.extractfile(member)
        if content is None:
            raise DatasetError(f"{options['archive']} holds no plain file {member!r}")
        table = Path(folder) / member
        table.write_bytes(content.read())
        return read_table({member: table}, options)


def clean_formulas(
    table: RawTable, kind: str, *, tolerance: float = 0.0, apart: str | None = None
) -> Cleaned:
    """Leave out rows that are no formula; merge none: equal formulas may be different solids."""
    return keep_rows(table, kind, _is_formula)


def _is_formula(text: str) -> bool:
    try:
        parse_formula(text)
    except FormulaError:
        return False
    return True


def composition_identities(inputs: NDArray[np.object_]) -> dict[str, NDArray[np.str_]]:
    """Return the reduced composition of each input: equal for GaAs, Ga2As2, and polymorphs."""
    return {"composition": composition_keys(inputs.tolist())}


INPUTS.add("formula", InputKind(clean_formulas, composition_identities))
INPUTS.add("crystal", InputKind(identities=composition_identities))
