"""Predictions for a table of any length: in its order, with every row, in bounded memory."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from chemdl.data.feature_cache import uncached
from chemdl.evidence.fitting import predict_matrix
from chemdl.extras import advice
from chemdl.files import write_atomically
from chemdl.your_data.columns import choose_columns
from chemdl.your_data.model_folder import ModelFolder, ModelFolderError, hashed
from chemdl.your_data.tables import Row, TableError, open_table

# Rows that are read, predicted and written at once.
BLOCK = 5_000


@dataclass
class Counts:
    """How many rows were written, and of which kind."""

    rows: int = 0
    unparsable: int = 0
    outside: int = 0
    known: int = 0


def predict_table(
    models: ModelFolder,
    path: str | Path,
    output: str | Path,
    *,
    side: str = "",
    smiles: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    overwrite: bool = False,
) -> Counts:
    """Predict every row of a table and write it with the predictions, in the same order.

    The output has the table's columns, and for each target its value with ``low`` and ``high`` of
    the 90 % interval (or the probability of class 1 and the classes that cannot be excluded);
    ``similarity`` to the nearest molecule that was learned from, ``domain`` and ``warning``.

    Parameters
    ----------
    models
        See :func:`~chemdl.your_data.model_folder.load_models`.
    path, smiles, delimiter, encoding
        The table and its column, as in :func:`~chemdl.your_data.loading.read_your_table`.
    output
        ``.csv``, ``.csv.gz`` or ``.parquet``; written whole or not at all.
    side
        ``simple`` or ``deep``; by default the better one.
    overwrite
        Whether a file that exists is replaced.

    Raises
    ------
    TableError
        If the table cannot be read, or the output exists.
    ModelFolderError
        For a side that the folder does not hold.
    """
    side = side or models.manifest["better"]
    if side not in models.models:
        raise ModelFolderError(f"there is no model {side!r} here; use {' or '.join(models.models)}")
    output = Path(output)
    if output.exists() and not overwrite:
        raise TableError(f"{str(output)!r} exists; choose another name, or ask to overwrite it")
    table = open_table(path, delimiter=delimiter, encoding=encoding)
    column = choose_columns(table, smiles=smiles, guesses_target=False).smiles
    position, counts = table.position(column), Counts()
    new = _new_names(models, table.header)
    with (
        write_atomically(output) as temporary,
        _writer(temporary, output, table.header, new) as write,
    ):
        for block in table.blocks(BLOCK):
            write(_predicted(models, side, block, position, counts))
    return counts


def _new_names(models: ModelFolder, header: Sequence[str]) -> list[str]:
    names = []
    for task in models.manifest["tasks"]:
        if models.kind == "classification":
            names += [f"P({task})", f"{task} classes"]
        else:
            names += [f"{task} predicted", f"{task} low", f"{task} high"]
    wanted = [*names, "similarity", "domain", "warning"]
    # A column of the table keeps its name.
    return [f"{name} (chemdl)" if name in header else name for name in wanted]


def _predicted(
    models: ModelFolder, side: str, block: list[Row], position: int, counts: Counts
) -> list[list[Any]]:
    """Return the rows of a block with their predictions."""
    from chemdl.molecules.data import canonical_smiles

    smiles = [cells[position] for _, cells in block]
    keys = canonical_smiles(smiles)
    good = [row for row, key in enumerate(keys) if key is not None]
    found = dict(zip(good, _cells(models, side, [smiles[r] for r in good]), strict=True))
    width = len(_new_names(models, ())) - 1
    rows = []
    for row, (_, cells) in enumerate(block):
        counts.rows += 1
        new = found.get(row)
        if new is None:
            counts.unparsable += 1
            rows.append([*cells, *[None] * width, "SMILES cannot be read"])
            continue
        warning = _warning(keys[row], models, new[-1], counts)
        rows.append([*cells, *new, warning])
    return rows


def _warning(key: str | None, models: ModelFolder, domain: str, counts: Counts) -> str:
    said = []
    if domain == "outside":
        counts.outside += 1
        said.append("unlike all that was learned from: interval not to be trusted")
    if key is not None and hashed(key) in models.keys:
        counts.known += 1
        said.append("was learned from")
    if key is not None and "." in key:
        said.append("several parts")
    return "; ".join(said)


def _cells(models: ModelFolder, side: str, smiles: list[str]) -> list[list[Any]]:
    """Return values, intervals, similarity and domain of molecules that parse."""
    if not smiles:
        return []
    with uncached():
        inputs = np.array(smiles, dtype=object)
        shape = (len(smiles), len(models.calibrations[side]))
        predicted = predict_matrix(models.models[side], inputs, models.kind, shape)
        similarity = models.nearest.similarity(smiles)
    columns: list[np.ndarray] = []
    for task, found in enumerate(models.calibrations[side]):
        values = predicted[:, task].astype(np.float64)
        columns.append(values)
        if models.kind == "classification":
            columns.append(found.classes(values))
        else:
            columns += found.interval(values, similarity)
    domain = np.where(similarity < models.manifest["domain_ends"], "outside", "inside")
    columns += [similarity.astype(np.float64), domain]
    return [list(row) for row in zip(*(c.tolist() for c in columns), strict=True)]


# writing


class _Write(Protocol):
    def __call__(self, rows: list[list[Any]]) -> None: ...


@contextmanager
def _writer(
    path: Path, output: Path, header: Sequence[str], new: Sequence[str]
) -> Iterator[_Write]:
    if output.suffix == ".parquet":
        with _parquet(path, header, new) as write:
            yield write
        return
    if output.suffix not in (".csv", ".gz"):
        raise TableError(f"{output.name}: predictions are written as .csv, .csv.gz or .parquet")
    with path.open("wb") as raw:
        packed = gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) if output.suffix == ".gz" else raw
        with packed, io.TextIOWrapper(packed, "utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow([*header, *new])
            yield lambda rows: writer.writerows([[_text(cell) for cell in row] for row in rows])


def _text(cell: Any) -> Any:
    return f"{cell:.6g}" if isinstance(cell, float) else cell


@contextmanager
def _parquet(path: Path, header: Sequence[str], new: Sequence[str]) -> Iterator[_Write]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise TableError(f"parquet needs the package pyarrow. {advice('your-data')}") from error
    texts = (" classes", "domain", "warning")
    kinds = [pa.string()] * len(header)
    for name in new:
        is_text = name.removesuffix(" (chemdl)").endswith(texts)
        kinds.append(pa.string() if is_text else pa.float64())
    schema = pa.schema(list(zip([*header, *new], kinds, strict=True)))
    with parquet.ParquetWriter(path, schema) as writer:

        def write(rows: list[list[Any]]) -> None:
            columns = [pa.array(c, k) for c, k in zip(zip(*rows, strict=True), kinds, strict=True)]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))

        yield write
