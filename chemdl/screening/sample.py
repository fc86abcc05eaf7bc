"""Which ligands of a target are docked: the first ones of an order that a seed draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from chemdl.screening import poses
from chemdl.screening.ligands import Ligand, in_random_order
from chemdl.screening.receptors import DockingError


@dataclass(frozen=True)
class DockedSample:
    """The ligands of a target that were docked.

    Attributes
    ----------
    target : its name, such as ``akt1``.
    ligands : those with a pose, actives first.
    failed : how many got no pose on the way, by label.
    """

    target: str
    ligands: tuple[Ligand, ...]
    failed: Mapping[int, int]


def docked_sample(
    target: str, rows: Sequence[tuple[str, int]], *, actives: int, decoys: int, seed: int
) -> DockedSample:
    """Return the sample of a target's ligands that was docked with these numbers and this seed.

    Raises
    ------
    chemdl.screening.poses.MissingPoseError
        where the docking has not come to its end.
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


def ligands_to_dock(
    target: str, rows: Sequence[tuple[str, int]], *, actives: int, decoys: int, seed: int
) -> Iterator[Ligand]:
    """Yield ligands until so many actives and decoys have a stored pose.

    The caller stores the pose of a ligand, or its failure, before it asks for the next; one that
    failed is replaced by the next of its label. Labels come in turn, in proportion to the numbers
    asked for: a run that is stopped halfway has about half of each.

    Raises
    ------
    DockingError
        where there are too few ligands.
    """
    streams = {label: in_random_order(rows, label, seed) for label in (1, 0)}
    wanted = {1: actives, 0: decoys}
    docked = {1: 0, 0: 0}
    while short := [label for label in (1, 0) if docked[label] < wanted[label]]:
        label = min(short, key=lambda k: docked[k] / wanted[k])
        ligand = next(streams[label], None)
        if ligand is None:
            raise DockingError(
                f"{target} has {docked[label]} different {'actives' if label else 'decoys'} that "
                f"can be docked, asked for were {wanted[label]}"
            )
        yield ligand
        docked[label] += poses.stored(target).get(ligand.inchikey) is not None
