"""Ligands of DUD-E and DUD: read from their files, made neutral, sampled by seed.

The files write actives and decoys differently: for DUD-E's akt1 no active has a charge and 85 % of
the decoys do, because the decoys are written as ZINC protonates them and the actives as ChEMBL
stores them. A model that sees charges could separate them by the charge alone, and so could
docking, by the number of hydrogen bond donors. Here each molecule is its largest part, made neutral
by adding or removing protons, in RDKit's canonical SMILES.
"""

from __future__ import annotations

import dataclasses
import functools
import gzip
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rdkit import Chem, rdBase

from chemdl.data import Dataset, fetch
from chemdl.data.transfer import mirrored
from chemdl.screening.receptors import DockingError, ligand_set

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

    Without the set's ``folder`` they are read from the folder that ``CHEMDL_MIRROR`` names. Without
    that, :func:`~chemdl.data.loading.fetch` brings the files of DUD-E, but not those of DUD.

    Raises
    ------
    DockingError
        For an unknown target, or missing files.
    chemdl.data.errors.UnavailableError
        If DUD-E cannot be fetched.
    """
    set_folder, files = _FILES[ligand_set(target)]
    if folder is None and set_folder == "dude" and not os.environ.get("CHEMDL_MIRROR"):
        folder = fetch("dude")
    rows = []
    for label, pattern in files.items():
        name = pattern.format(target)
        path = _located(set_folder, name, folder)
        text = path.read_bytes()
        text = gzip.decompress(text) if path.suffix == ".gz" else text
        lines = text.decode("utf-8").splitlines()
        column = 2 if path.suffix == ".gz" else 0
        entries = [line.split() for line in lines if line.strip() and not line.startswith("#")]
        rows += [(words[column], label) for words in entries]
    return rows


@functools.lru_cache(maxsize=1 << 16)
def neutral(smiles: str) -> tuple[str, str]:
    """Return neutral canonical SMILES and InChIKey of the largest part of a molecule.

    Charges that no proton can balance, such as those of nitro groups and quaternary ammonium, stay.

    Raises
    ------
    DockingError
        For SMILES that RDKit cannot read.
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


def as_one_task(dataset: Dataset, *, as_stored: bool = False) -> Dataset:
    """Return the ligands of several targets as one task: 1 for an active of its row's target.

    A model of it sees no protein. Molecules are made neutral unless ``as_stored``. Rows of a target
    that become the same molecule are merged, and one that has an active counts as active. The
    column ``target`` stays.

    Raises
    ------
    DockingError
        For a set without the column ``target``.
    """
    if "target" not in dataset.columns:
        raise DockingError(f"{dataset.name} has no column 'target'; take a set such as dude")
    label = np.nanmax(dataset.targets, axis=1)
    texts = dataset.inputs.tolist()
    keys = texts if as_stored else [_neutral_or_blank(text)[0] or text for text in texts]
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


def in_random_order(rows: Sequence[tuple[str, int]], label: int, seed: int) -> Iterator[Ligand]:
    """Yield the different ligands of this label in an order that ``seed`` draws.

    Molecules are sorted by a hash of the seed and their own text, so that a sample of the first
    forty stays nearly the same when the list changes. Decoys that are also actives, and molecules
    that RDKit cannot read, are left out.
    """

    def place(text: str) -> bytes:
        return hashlib.sha256(f"{seed}/{text}".encode()).digest()

    seen = {_neutral_or_blank(text)[1] for text, y in rows if y == 1} if label == 0 else set()
    for text in sorted({text for text, y in rows if y == label}, key=place):
        smiles, key = _neutral_or_blank(text)
        if key and key not in seen:
            seen.add(key)
            yield Ligand(smiles, key, label)


def _neutral_or_blank(text: str) -> tuple[str, str]:
    try:
        return neutral(text)
    except DockingError:
        return "", ""


def _located(set_folder: str, name: str, folder: Path | None) -> Path:
    where = str(folder / name) if folder is not None else mirrored(set_folder, name)
    if where is None or "://" in where or not Path(where).is_file():
        mirror_name = f"{set_folder}/{name}"
        raise DockingError(
            f"no ligands: {where or mirror_name} is not there. Name the folder that holds {name} "
            f"by --ligands, or one that holds {mirror_name} by CHEMDL_MIRROR"
        )
    return Path(where)
