"""Docked complexes as a sample, as a data set, and as the compact file that is kept of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chemdl.data import Dataset
from chemdl.files import write_atomically
from chemdl.screening import complex_features as features
from chemdl.screening import poses
from chemdl.screening.docking import ligands_to_dock
from chemdl.screening.ligands import Ligand
from chemdl.screening.receptors import DockingError


@dataclass(frozen=True)
class DockedSample:
    """The ligands of a target that were docked.

    Attributes
    ----------
    target
        Name of the target, such as ``akt1``.
    ligands
        Ligands with a pose, actives first.
    failed
        Number of ligands for which docking failed, by label.
    """

    target: str
    ligands: tuple[Ligand, ...]
    failed: Mapping[int, int]

    @property
    def inputs(self) -> list[str]:
        """The complexes as models take them, such as ``"akt1 CCO"``."""
        return [poses.complex_input(self.target, ligand.smiles) for ligand in self.ligands]


def docked_sample(
    target: str, rows: Sequence[tuple[str, int]], *, actives: int, decoys: int, seed: int
) -> DockedSample:
    """Return the sample of a target's ligands that was docked with these numbers and this seed.

    Raises
    ------
    chemdl.screening.poses.MissingPoseError
        If the docking is not finished.
    """
    chosen: dict[int, list[Ligand]] = {1: [], 0: []}
    failed = {1: 0, 0: 0}
    for ligand in ligands_to_dock(target, rows, actives=actives, decoys=decoys, seed=seed):
        stored = poses.stored(target)
        if ligand.inchikey not in stored:
            # Raises the error that names the missing pose and the command that computes it.
            poses.poses([poses.complex_input(target, ligand.smiles)])
        if stored[ligand.inchikey] is None:
            failed[ligand.label] += 1
        else:
            chosen[ligand.label].append(ligand)
    return DockedSample(target, (*chosen[1], *chosen[0]), failed)


def docked_set(
    rows: Mapping[str, Sequence[tuple[str, int]]],
    *,
    actives: int = 40,
    decoys: int = 200,
    seed: int = 0,
) -> Dataset:
    """Return the docked ligands of several targets as one data set.

    Its inputs are complexes (``"akt1 CCO"``, the molecule neutral and canonical), its one task is 1
    for an active, and its columns are ``target``, ``vina`` (kcal/mol) and ``inchikey``. The card
    counts the ligands that failed. ``rows`` holds for each target what
    :func:`chemdl.screening.ligands.read_ligands` returns; numbers and seed are the docking's.

    Raises
    ------
    chemdl.screening.receptors.DockingError
        If ``rows`` is empty.
    chemdl.screening.poses.MissingPoseError
        If a docking is not finished.
    """
    if not rows:
        raise DockingError("no targets; name one or more that were docked")
    samples = [
        docked_sample(target, ligands, actives=actives, decoys=decoys, seed=seed)
        for target, ligands in rows.items()
    ]
    inputs = [text for sample in samples for text in sample.inputs]
    ligands = [ligand for sample in samples for ligand in sample.ligands]
    failed = {sample.target: sum(sample.failed.values()) for sample in samples}
    return Dataset(
        name="docked",
        inputs=np.array(inputs, dtype=object),
        targets=np.array([[ligand.label] for ligand in ligands], dtype=np.float64),
        tasks=("active",),
        kind="classification",
        unit="active (1) or decoy (0)",
        card={
            "title": "Ligands docked by Vina, " + ", ".join(rows),
            "source": poses.SEARCH,
            "licence": {"name": "that of the ligand sets"},
            "citation": "mysinger2012dude",
            "input": "complex",
            "cleaning": {
                "raw": len(inputs) + sum(failed.values()),
                "failed": sum(failed.values()),
                "kept": len(inputs),
                "failed_by_target": failed,
            },
        },
        columns={
            "target": np.repeat([*rows], [len(sample.ligands) for sample in samples]),
            "vina": features.vina_scores(inputs),
            "inchikey": np.array([ligand.inchikey for ligand in ligands]),
        },
    )


def write_summary(sample: DockedSample, path: Path | None = None) -> Path:
    """Write what is kept of a target's docking: one compact .npz without structures.

    Arrays of n rows: ``inchikey`` (27 characters), ``label``, ``vina`` (float32, kcal/mol),
    ``contacts`` (n, 36) and ``shells`` (n, 36, shells); then ``edges`` in Å, ``pairs`` and
    ``failed`` (decoys, actives). ``path`` is by default beside the poses.
    """
    pairs = features.poses_in_pockets(sample.inputs)
    shells = np.array([features.contact_shells(pose.atoms, protein) for pose, protein in pairs])
    path = path or poses.path_of(sample.target).with_suffix(".npz")
    with write_atomically(path) as temporary:
        np.savez_compressed(
            temporary,
            inchikey=np.array([ligand.inchikey for ligand in sample.ligands]),
            label=np.array([ligand.label for ligand in sample.ligands], dtype=np.int8),
            vina=features.vina_scores(sample.inputs).astype(np.float32),
            contacts=shells.sum(2).astype(np.uint16),
            shells=shells.astype(np.uint16),
            edges=np.array(features.EDGES),
            pairs=np.array(features.PAIRS),
            failed=np.array([sample.failed[0], sample.failed[1]]),
        )
    return path
