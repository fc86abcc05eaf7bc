"""Which ligands of a target are docked: the first so many of an order drawn by seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from chemdl.screening import poses
from chemdl.screening.errors import DockingError
from chemdl.screening.ligands import Ligand, in_drawn_order


@dataclass(frozen=True)
class Docked:
    """What a docking has: ligands with a pose, and how many of each label failed on the way."""

    target: str
    ligands: tuple[Ligand, ...]
    failed: Mapping[int, int]


def docked(
    target: str, rows: Sequence[tuple[str, int]], *, actives: int, decoys: int, seed: int
) -> Docked:
    """Return the sample of a target's ligands that was docked with these numbers.

    Raises
    ------
    MissingPoseError
        where the docking has not come to its end.
    """
    chosen: dict[int, list[Ligand]] = {1: [], 0: []}
    failed = {1: 0, 0: 0}
    for ligand in walk(target, rows, actives=actives, decoys=decoys, seed=seed):
        known = poses.stored(target)
        if ligand.inchikey not in known:
            # The message of a pose that is asked for, with the command that computes it.
            poses.poses([poses.complex_input(target, ligand.smiles)])
        if known[ligand.inchikey] is None:
            failed[ligand.label] += 1
        else:
            chosen[ligand.label].append(ligand)
    return Docked(target, (*chosen[1], *chosen[0]), failed)


def walk(
    target: str, rows: Sequence[tuple[str, int]], *, actives: int, decoys: int, seed: int
) -> Iterator[Ligand]:
    """Yield ligands until so many of each label have a stored pose, the labels in turn.

    Whoever takes a ligand stores its pose, or its failure, before asking for the next. A run that
    is stopped halfway so leaves about half of each label.

    Raises
    ------
    DockingError
        where there are too few ligands.
    """
    streams = {label: in_drawn_order(rows, label, seed) for label in (1, 0)}
    aims = {1: actives, 0: decoys}
    found = {1: 0, 0: 0}
    while short := [label for label in (1, 0) if found[label] < aims[label]]:
        label = min(short, key=lambda k: found[k] / aims[k])
        ligand = next(streams[label], None)
        if ligand is None:
            raise DockingError(
                f"{target} has {found[label]} different {'actives' if label else 'decoys'} that "
                f"can be docked, asked for were {aims[label]}"
            )
        yield ligand
        found[label] += poses.stored(target).get(ligand.inchikey) is not None
