"""Poses: where a ligand lies in a receptor, stored once and read by every model.

A raw input is ``"akt1 CCO"``: a target, a space, a SMILES. The cache has a file for each target,
with one line for each docked ligand; a pose is found there by the InChIKey of the neutral molecule.
An incomplete line, left by a run that was stopped, is ignored, and its ligand is docked again.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chemdl.files import cache_dir
from chemdl.registry import UnknownNameError
from chemdl.screening.ligands import neutral
from chemdl.screening.receptors import Atoms, DockingError, atoms, targets

# How poses are searched; a pose that was searched in another way is not used. Two searches of
# 100,000 evaluations take two seconds of a core. One search without a bound takes twelve seconds,
# and over nine ligands its scores were higher by 0.2 kcal/mol; one search of 200,000 evaluations
# missed the best pose of one ligand by 5 kcal/mol.
EXHAUSTIVENESS = 2
EVALUATIONS = 100_000
# Not zero: with zero Vina draws a seed of its own.
SEED = 1
SEARCH = f"vina 1.2, exhaustiveness {EXHAUSTIVENESS}, {EVALUATIONS} evaluations, seed {SEED}"


class MissingPoseError(DockingError, LookupError):
    """A complex without a stored pose; the message holds the command that computes it."""


@dataclass(frozen=True, eq=False)
class Pose:
    """The best pose of a ligand: its heavy atoms, and Vina's score in kcal/mol (low is strong)."""

    atoms: Atoms
    score: float


def complex_input(target: str, smiles: str) -> str:
    """Return the raw input of a complex, for instance ``"akt1 CCO"``."""
    return f"{target} {smiles}"


def split_input(text: str) -> tuple[str, str]:
    """Return target and SMILES of a raw input.

    Raises
    ------
    DockingError
        For text that is not "target, space, SMILES", or an unknown target.
    """
    target, _, smiles = str(text).partition(" ")
    if not smiles:
        raise DockingError(f"{text!r} is no complex; write target and SMILES, as in 'akt1 CCO'")
    if target not in targets():
        raise DockingError(str(UnknownNameError("target", target, targets())))
    return target, smiles


def path_of(target: str) -> Path:
    """Return the file that holds a target's poses."""
    return cache_dir() / "poses" / f"{target}.jsonl"


def store(target: str, inchikey: str, pose: Pose | None, failure: str = "") -> None:
    """Append a ligand's pose, or why it has none."""
    record: dict[str, Any] = {"inchikey": inchikey, "search": SEARCH}
    if pose is None:
        record["failure"] = failure
    else:
        record["score"] = pose.score
        record["types"] = pose.atoms.types.tolist()
        record["xyz"] = [round(float(x), 3) for x in pose.atoms.xyz.ravel()]
    path = path_of(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Unbuffered, so in one piece; the leading line end closes a line that a stop cut off.
    with path.open("ab", buffering=0) as file:
        file.write(f"\n{json.dumps(record)}\n".encode())


def stored(target: str) -> Mapping[str, Pose | None]:
    """Return what was docked into a target, by InChIKey; ``None`` for a ligand that failed."""
    path = path_of(target)
    if not path.is_file():
        return {}
    state = path.stat()
    return _stored(path, state.st_mtime_ns, state.st_size)


def poses(inputs: Iterable[str]) -> list[Pose]:
    """Return the poses of n complexes.

    Raises
    ------
    MissingPoseError
        If a complex has no pose; the message names it and the command that computes it.
    DockingError
        For text that is not a complex.
    """
    docked: dict[str, Mapping[str, Pose | None]] = {}
    complexes = []
    for text in inputs:
        target, smiles = split_input(text)
        if target not in docked:
            docked[target] = stored(target)
        pose = docked[target].get(neutral(smiles)[1])
        if pose is None:
            raise MissingPoseError(
                f"no pose of {smiles!r} in {target} in {path_of(target).parent}; "
                f"`python -m chemdl dock {target}` docks the target's ligands (the same numbers "
                "of actives and decoys and the same seed as the data set's), and "
                "chemdl.screening.docking.dock any others"
            )
        complexes.append(pose)
    return complexes


@functools.lru_cache(maxsize=64)
def _stored(path: Path, _changed: int, _size: int) -> Mapping[str, Pose | None]:
    return dict(_records(path.read_text("utf-8").splitlines()))


def _records(lines: Sequence[str]) -> Iterator[tuple[str, Pose | None]]:
    for line in lines:
        try:
            raw = json.loads(line)
            key, search = raw["inchikey"], raw["search"]
        except (ValueError, KeyError, TypeError):
            continue
        if search != SEARCH:
            continue
        yield key, None if "failure" in raw else Pose(atoms(raw["types"], raw["xyz"]), raw["score"])
