"""Docked complexes as a data set, and the compact file that is kept of a docking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from chemdl.data import Dataset
from chemdl.files import write_atomically
from chemdl.screening.complex_features import (
    EDGES,
    PAIRS,
    contact_shells,
    poses_in_pockets,
    vina_scores,
)
from chemdl.screening.poses import SEARCH, complex_input, path_of
from chemdl.screening.receptors import DockingError
from chemdl.screening.sample import DockedSample, docked_sample


def docked_set(
    rows: Mapping[str, Sequence[tuple[str, int]]],
    *,
    actives: int = 40,
    decoys: int = 200,
    seed: int = 0,
) -> Dataset:
    """Return the docked ligands of several targets as one data set.

    Parameters
    ----------
    rows : for each target (SMILES, label) as :func:`chemdl.screening.ligands.read_ligands` reads
        them.
    actives, decoys, seed : as they were docked.

    Returns
    -------
    a set whose inputs are complexes (``"akt1 CCO"``, the molecule neutral and canonical), with one
    task (1: an active) and the columns ``target``, ``vina`` (kcal/mol) and ``inchikey``. Its card
    counts the ligands that failed.

    Raises
    ------
    chemdl.screening.receptors.DockingError
        where ``rows`` is empty.
    chemdl.screening.poses.MissingPoseError
        where a docking has not come to its end.
    """
    if not rows:
        raise DockingError("no targets; name one or more that were docked")
    samples = [
        docked_sample(target, ligands, actives=actives, decoys=decoys, seed=seed)
        for target, ligands in rows.items()
    ]
    ligands = [ligand for sample in samples for ligand in sample.ligands]
    targets = [sample.target for sample in samples for _ in sample.ligands]
    inputs = np.array(
        [complex_input(t, ligand.smiles) for t, ligand in zip(targets, ligands, strict=True)],
        dtype=object,
    )
    failed = {sample.target: sum(sample.failed.values()) for sample in samples}
    return Dataset(
        name="docked",
        inputs=inputs,
        targets=np.array([[ligand.label] for ligand in ligands], dtype=np.float64),
        tasks=("active",),
        kind="classification",
        unit="active (1) or decoy (0)",
        card={
            "title": "Ligands docked by Vina, " + ", ".join(rows),
            "source": SEARCH,
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
            "target": np.array(targets),
            "vina": vina_scores(inputs.tolist()),
            "inchikey": np.array([ligand.inchikey for ligand in ligands]),
        },
    )


def write_summary(sample: DockedSample, path: Path | None = None) -> Path:
    """Write what is kept of a target's docking: one compact .npz without structures.

    Arrays of n rows: ``inchikey`` (27 characters), ``label``, ``vina`` (float32, kcal/mol),
    ``contacts`` (n, 36) and ``shells`` (n, 36, shells); then ``edges`` in Å, ``pairs`` and
    ``failed`` (decoys, actives). ``path`` is by default beside the poses.
    """
    inputs = [complex_input(sample.target, ligand.smiles) for ligand in sample.ligands]
    shells = [contact_shells(pose.atoms, protein) for pose, protein in poses_in_pockets(inputs)]
    counted = np.array(shells)
    path = path or path_of(sample.target).with_suffix(".npz")
    with write_atomically(path) as temporary:
        np.savez_compressed(
            temporary,
            inchikey=np.array([ligand.inchikey for ligand in sample.ligands]),
            label=np.array([ligand.label for ligand in sample.ligands], dtype=np.int8),
            vina=vina_scores(inputs).astype(np.float32),
            contacts=counted.sum(2).astype(np.uint16),
            shells=counted.astype(np.uint16),
            edges=np.array(EDGES),
            pairs=np.array(PAIRS),
            failed=np.array([sample.failed[0], sample.failed[1]]),
        )
    return path
