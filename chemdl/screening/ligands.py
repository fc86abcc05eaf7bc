"""Ligands to dock: read from DUD-E's and DUD's files, drawn the same way, sampled by seed.

The files draw actives and decoys differently: of DUD-E's akt1 no active bears a charge and 85 % of
the decoys do, because the decoys were drawn as ZINC protonates them and the actives as
ChEMBL stores them. A model that sees charges would tell them apart by that alone, and so
would a docking, by its hydrogen bond donors. Here each molecule is its largest part without
charges that protons can take away, in RDKit's canonical SMILES.
"""

from __future__ import annotations

import dataclasses
import functools
import gzip
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rdkit import Chem, rdBase

from chemdl.data import Dataset, fetch
from chemdl.data.transfer import mirrored
from chemdl.screening.errors import DockingError
from chemdl.screening.receptors import ligand_set

# Folder in a mirror, and the files of a target by label, in each ligand set.
_FILES = {
    "dude": ("dude", {1: "actives/{}_actives_final.ism", 0: "decoys/{}_decoys_final.ism"}),
    "dud": ("dud_muv", {1: "cmp_list_DUD_{}_actives.dat.gz", 0: "cmp_list_DUD_{}_decoys.dat.gz"}),
}


class Ligand(NamedTuple):
    """A molecule as it is docked: neutral SMILES, its InChIKey, and 1 (active) or 0 (decoy)."""

    smiles: str
    inchikey: str
    label: int


def read_ligands(target: str, folder: Path | None = None) -> list[tuple[str, int]]:
    """Return (SMILES, label) of a target as its ligand set has them, actives first.

    ``folder`` is the set's folder; without it, that of the folder that ``CHEMDL_MIRROR`` names, and
    without that, for targets of DUD-E, the files as :func:`chemdl.data.fetch` brings them.

    Raises
    ------
    DockingError
        for an unknown target, or files that are not there.
    chemdl.data.UnavailableError
        where DUD-E cannot be fetched.
    """
    place, files = _FILES[ligand_set(target)]
    if folder is None and place == "dude" and not os.environ.get("CHEMDL_MIRROR"):
        folder = fetch("dude")
    rows = []
    for label, pattern in files.items():
        name = pattern.format(target)
        path = _located(place, name, folder)
        text = path.read_bytes()
        text = gzip.decompress(text) if path.suffix == ".gz" else text
        lines = text.decode("utf-8").splitlines()
        column = 2 if path.suffix == ".gz" else 0
        found = [line.split() for line in lines if line.strip() and not line.startswith("#")]
        rows += [(words[column], label) for words in found]
    return rows


@functools.lru_cache(maxsize=1 << 16)
def neutral(smiles: str) -> tuple[str, str]:
    """Return neutral canonical SMILES and InChIKey of the largest part of a molecule.

    Charges that no proton takes away, such as those of nitro groups and quaternary ammonium, stay.

    Raises
    ------
    DockingError
        for SMILES that RDKit cannot read.
    """
    from rdkit.Chem.MolStandardize import rdMolStandardize

    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles)
        if molecule is None or not molecule.GetNumAtoms():
            raise DockingError(f"RDKit {rdBase.rdkitVersion} cannot read the SMILES {smiles!r}")
        largest = rdMolStandardize.LargestFragmentChooser().choose(molecule)
        plain = rdMolStandardize.Uncharger().uncharge(largest)
        # Written and read once more: which hydrogens are explicit depends on the way here.
        text = Chem.MolToSmiles(plain)
        return text, Chem.MolToInchiKey(plain)


def as_one_question(dataset: Dataset, *, as_stored: bool = False) -> Dataset:
    """Return the ligands of several targets as one task: is this molecule an active, of any target?

    A model of it sees no protein. Molecules are neutral (see above) unless ``as_stored``; each row
    keeps the column ``target``, and rows of a target that have become one molecule are merged,
    an active before a decoy.

    Raises
    ------
    DockingError
        for a set without the column ``target``.
    """
    if "target" not in dataset.columns:
        raise DockingError(f"{dataset.name} has no column 'target'; take a set such as dude")
    label = np.nanmax(dataset.targets, axis=1)
    texts = dataset.inputs.tolist()
    keys = texts if as_stored else [_read(text)[0] or text for text in texts]
    kept: dict[tuple[str, str], int] = {}
    # Actives first, so that a decoy that is the same molecule is the one left out.
    for row in np.argsort(-label, kind="stable"):
        kept.setdefault((str(dataset.columns["target"][row]), keys[row]), int(row))
    rows = np.sort(list(kept.values()))
    part = dataset.subset(rows)
    return dataclasses.replace(
        part,
        inputs=np.array([keys[row] for row in rows], dtype=object),
        targets=label[rows][:, None],
        tasks=("active",),
        unit="1 = active of its target",
    )


def in_drawn_order(rows: Sequence[tuple[str, int]], label: int, seed: int) -> Iterator[Ligand]:
    """Yield the different ligands of this label in an order that ``seed`` draws.

    A molecule's place depends on the seed and its own text: whoever needs forty takes the first
    forty that can be docked, and keeps nearly all of them when the list changes. Decoys that stand
    among the actives, and molecules that RDKit cannot read, are passed over.
    """
    seen = {_read(text)[1] for text, own in rows if own == 1} if label == 0 else set()
    for text in sorted({text for text, own in rows if own == label}, key=_drawn(seed)):
        smiles, key = _read(text)
        if key and key not in seen:
            seen.add(key)
            yield Ligand(smiles, key, label)


def _drawn(seed: int) -> Callable[[str], bytes]:
    return lambda text: hashlib.sha256(f"{seed}/{text}".encode()).digest()


def _read(text: str) -> tuple[str, str]:
    try:
        return neutral(text)
    except DockingError:
        return "", ""


def _located(place: str, name: str, folder: Path | None) -> Path:
    where = str(folder / name) if folder is not None else mirrored(place, name)
    if where is None or "://" in where or not Path(where).is_file():
        raise DockingError(
            f"no ligands: {where or f'{place}/{name}'} is not there. Name the folder that holds "
            f"{name} by --ligands, or one that holds {place}/{name} by CHEMDL_MIRROR"
        )
    return Path(where)
