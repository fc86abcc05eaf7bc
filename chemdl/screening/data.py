"""Data sets of virtual screening: lists of actives and decoys, descriptors of complexes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chemdl.data.errors import DatasetError
from chemdl.data.inputs import INPUTS, InputKind
from chemdl.data.readers import READERS, RawTable
from chemdl.molecules.data import molecule_identities, tabulated_rows


@READERS.register("dude")
def read_dude(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Read DUD-E's lists of actives and decoys: one task for each target, 1 = active.

    A molecule that is listed for two targets has two rows here. ``options``: ``targets``, whose
    files are ``actives/<target>_actives_final.ism`` and ``decoys/<target>_decoys_final.ism``, each
    line a SMILES and its identifiers. ``columns["target"]`` names the list that a row comes from.

    Raises
    ------
    DatasetError
        For a target whose lists are missing.
    """
    tasks = tuple(options["targets"])
    inputs: list[str] = []
    rows: list[tuple[int, float]] = []
    places: list[tuple[str, int]] = []
    for column, task in enumerate(tasks):
        for label, group in ((1.0, "actives"), (0.0, "decoys")):
            file = f"{group}/{task}_{group}_final.ism"
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


@READERS.register("rfscore")
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


def ligand_identities(inputs: NDArray[np.object_]) -> dict[str, NDArray[np.str_]]:
    """Return the identity of each complex's ligand: in two receptors it is one molecule."""
    ligands = [text.partition(" ")[2] for text in inputs]
    return molecule_identities(np.array(ligands, dtype=object))


INPUTS.add("complex", InputKind(identities=ligand_identities))
