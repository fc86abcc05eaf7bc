"""SDF: molecules with their fields, read record by record by RDKit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from chemdl.your_data.tables import Row, Table, TableError, checked_header, opened

_FIELD = re.compile(rb"^> .*<(.+)>")


def open_sdf(path: Path) -> Table:
    """Open an SDF as a table: ``SMILES``, ``name`` (its first line), and one column a field.

    A record that RDKit cannot read keeps its place, with the text ``unreadable record`` as its
    SMILES, so that it is counted like any SMILES that cannot be parsed.

    Raises
    ------
    TableError
        If the file holds no record, or a field is called like one of the first two columns.
    """
    header = checked_header(path.name, ["SMILES", "name", *_fields(path)], "fields")
    return Table(
        path.name,
        header,
        ("molecules are read as SDF",),
        "record",
        "",
        lambda: _records(path, header),
    )


def _fields(path: Path) -> list[str]:
    found: dict[str, None] = {}
    with opened(path) as stream:
        for line in stream:
            if match := _FIELD.match(line):
                found[match[1].decode("latin-1").strip()] = None
    return [name for name in found if name not in ("SMILES", "name")]


def _records(path: Path, header: tuple[str, ...]) -> Iterator[Row]:
    from rdkit import Chem, rdBase

    place = 0
    with opened(path) as stream:
        supplier = Chem.ForwardSDMolSupplier(stream)
        while True:
            with rdBase.BlockLogs():
                try:
                    molecule = next(supplier)
                except StopIteration:
                    break
            place += 1
            yield place, _cells(molecule, header)
    if not place:
        raise TableError(f"{path.name} holds no molecule; an SDF ends each record with $$$$")


def _cells(molecule: object, header: tuple[str, ...]) -> list[str]:
    from rdkit import Chem

    if molecule is None:
        return ["unreadable record", *[""] * (len(header) - 1)]
    held = molecule.GetPropsAsDict()  # type: ignore[attr-defined]
    name = molecule.GetProp("_Name") if molecule.HasProp("_Name") else ""  # type: ignore[attr-defined]
    values = [str(held.get(field, "")).strip() for field in header[2:]]
    return [Chem.MolToSmiles(molecule), name, *values]
