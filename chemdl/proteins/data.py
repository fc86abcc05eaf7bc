"""Readers of protein sets: a row is a chain, its sites are the residues.

The input of a chain is its sequence in one-letter code, or ``"SEQUENCE PROFILE"`` where the set has
alignments (:mod:`chemdl.proteins.profiles`). Targets are numbers of classes:

* ``q8`` the eight states of DSSP (Kabsch and Sander 1983) in the order of ``STATES8``,
* ``q3`` three states, helix 0, strand 1, coil 2, made of the eight by one of ``REDUCTIONS``,
* ``exposed`` 1 where a residue is exposed to solvent by the source's threshold, else 0.

What was not seen is NaN.
"""

from __future__ import annotations

import csv
import difflib
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from chemdl.data.errors import DatasetError
from chemdl.data.inputs import INPUTS, InputKind
from chemdl.data.readers import READERS, RawTable
from chemdl.proteins.profiles import profile, profile_text
from chemdl.registry import UnknownNameError

STATES8 = "HGIEBTSC"
STATES3 = "HEC"
# Both ways in use to make three states of eight: class in STATES3 of each of STATES8.
REDUCTIONS = {
    "wide": (0, 0, 0, 1, 1, 2, 2, 2),  # H, G, I are helix, E, B strand (Rost and Sander 1993)
    "narrow": (0, 2, 2, 1, 2, 2, 2, 2),  # H alone is helix, E alone strand
}
# Coil is a blank in DSSP's own files; what sources write for it, and for what was not seen.
_COIL, _UNSEEN = "CL_- ", "?X"
_EXPOSED = {"e": 1.0, "-": 0.0, "b": 0.0}


def eight_states(labels: Iterable[str]) -> np.ndarray:
    """Return the number of each DSSP letter in ``STATES8``: (length,), NaN where not seen.

    Raises
    ------
    DatasetError
        for a letter that is no state.
    """
    known = {letter: float(place) for place, letter in enumerate(STATES8)}
    known |= dict.fromkeys(_COIL, known["C"]) | dict.fromkeys(_UNSEEN, float("nan"))
    return _numbered(labels, known, "state of DSSP")


def three_states(q8: np.ndarray, reduction: str = "wide") -> np.ndarray:
    """Reduce numbers of eight states to three; NaN stays.

    Raises
    ------
    ValueError
        for an unknown reduction.
    """
    if reduction not in REDUCTIONS:
        raise UnknownNameError("reduction to three states", reduction, REDUCTIONS)
    table = np.array([*REDUCTIONS[reduction], np.nan])
    return table[np.where(np.isnan(q8), len(STATES8), q8).astype(np.int64)]


def _numbered(labels: Iterable[str], known: Mapping[str, float], what: str) -> np.ndarray:
    letters = list(labels)
    for place, letter in enumerate(letters):
        if letter not in known:
            raise DatasetError(f"{letter!r} at residue {place + 1} is no {what}")
    return np.array([known[letter] for letter in letters], dtype=np.float64)


def some_chains(dataset: Any, train: int, test: int | None = None) -> Any:
    """Return so many train chains of a published split, drawn by seed 0, and test chains.

    Without ``test`` all test chains stay; valid chains, where there are any, shrink as train does.
    """
    sides = np.asarray(dataset.columns["set"])
    share = train / max(1, int((sides == "train").sum()))
    wanted = {"train": train, "valid": round(share * (sides == "valid").sum()), "test": test}
    kept = []
    for side, count in wanted.items():
        rows = np.flatnonzero(sides == side)
        drawn = np.random.default_rng(0).permutation(rows)
        kept.append(drawn if count is None else drawn[:count])
    return dataset.subset(np.sort(np.concatenate(kept)))


class _Chains:
    """Chains collected one by one, each checked, and made into one table."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.tasks = tuple(options["targets"])
        self.reduction = options.get("reduction", "wide")
        self.inputs: list[str] = []
        self.sites: list[np.ndarray] = []
        self.columns: dict[str, list[str]] = {"id": []}
        self.places: list[tuple[str, int]] = []

    def add(
        self,
        name: str,
        sequence: str,
        values: Mapping[str, np.ndarray],
        place: tuple[str, int],
        *,
        aligned: np.ndarray | None = None,
        **columns: str,
    ) -> None:
        """Take a chain with its values; ``q3`` comes from ``q8`` where it is not given.

        Raises
        ------
        DatasetError
            naming the chain, where it has other numbers of labels and of residues.
        """
        values = dict(values)
        if "q8" in values and "q3" not in values:
            values["q3"] = three_states(values["q8"], self.reduction)
        for task, own in values.items():
            if len(own) != len(sequence):
                raise DatasetError(
                    f"{place[0]} line {place[1]}: chain {name!r} has {len(sequence)} residues and "
                    f"{len(own)} values of {task}: mend it or leave it out"
                )
        text = sequence if aligned is None else f"{sequence} {profile_text(aligned)}"
        self.inputs.append(text)
        self.sites.append(np.column_stack([values[task] for task in self.tasks]))
        self.places.append(place)
        for column, value in {"id": name, **columns}.items():
            self.columns.setdefault(column, []).append(value)

    def table(self) -> RawTable:
        """Return the table of all chains."""
        return RawTable(
            self.inputs,
            np.concatenate(self.sites),
            self.tasks,
            {name: np.array(values, dtype=str) for name, values in self.columns.items()},
            self.places,
            lengths=np.array([len(own) for own in self.sites], dtype=np.int64),
        )


@READERS.register("proteinnet")
def read_proteinnet(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Read the chains of one thinning of ProteinNet with their DSSP states.

    ``options``: ``ids`` (the table of memberships), ``labels`` (files with sequence and states by
    id), ``train`` and ``test`` (its columns), ``longest`` (train chains above so many residues are
    left out), ``chains`` (of the others so many are drawn by seed 0, kept in the table's order)
    and ``reduction``. A train chain whose sequence is a test chain's is left out.

    Raises
    ------
    DatasetError
        for a chain with other numbers of states and of residues.
    """
    sides: dict[str, list[tuple[int, str]]] = {"train": [], "test": []}
    with files[options["ids"]].open(encoding="utf-8", newline="") as stream:
        for line, row in enumerate(csv.DictReader(stream), start=2):
            for side, members in sides.items():
                if row[options[side]] == "1":
                    members.append((line, row["pnid"]))
    wanted = {_plain_id(name) for members in sides.values() for _, name in members}
    found = _labelled(files, options["labels"], wanted)
    chains = _Chains(options)
    test = [(line, name, *found[_plain_id(name)]) for line, name in sides["test"]
            if _plain_id(name) in found]  # fmt: skip
    held_out = {sequence for _, _, sequence, _ in test}
    train = [
        (line, name, *found[_plain_id(name)])
        for line, name in sides["train"]
        if _plain_id(name) in found
        and len(found[_plain_id(name)][0]) <= options["longest"]
        and found[_plain_id(name)][0] not in held_out
    ]
    drawn = np.random.default_rng(0).permutation(len(train))[: options.get("chains")]
    for side, taken in (("train", [train[i] for i in np.sort(drawn)]), ("test", test)):
        for line, name, sequence, states in taken:
            values = {"q8": eight_states(states)}
            chains.add(name, sequence, values, (options["ids"], line), set=side)
    return chains.table()


def _plain_id(name: str) -> str:
    """Return an id without the class of identity that test ids begin with: ``10#1HF2_1_A``."""
    return name.rsplit("#", 1)[-1]


def _labelled(
    files: Mapping[str, Path], labels: Sequence[str], wanted: set[str]
) -> dict[str, tuple[str, str]]:
    """Return sequence and states of the wanted chains, of the first file that has them."""
    found: dict[str, tuple[str, str]] = {}
    for file in labels:
        with files[file].open(encoding="utf-8") as stream:
            known = json.load(stream)
        for name in wanted & known.keys():
            found.setdefault(name, (known[name]["Sequence"], known[name]["DSSP"]))
    return found


@READERS.register("sspro")
def read_sspro(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Read sequences and labels from files of one form, each chain in the same place of each.

    ``options``: ``sequences`` (file) and ``targets`` (mapping task: file). States are DSSP's
    letters for ``q8``, those of ``STATES3`` for ``q3``; ``exposed`` is ``e`` against ``-``.
    """
    tasks: Mapping[str, str] = options["targets"]
    chains = _Chains(options)
    labels = {task: dict(_fasta(files[file].read_text("utf-8"))) for task, file in tasks.items()}
    file = options["sequences"]
    for line, (name, sequence) in enumerate(_fasta(files[file].read_text("utf-8")), start=1):
        values = {task: _read_labels(task, own[name]) for task, own in labels.items()}
        chains.add(name, sequence, values, (file, 2 * line))
    return chains.table()


def _read_labels(task: str, text: str) -> np.ndarray:
    if task == "q8":
        return eight_states(text)
    if task == "q3":
        known = {letter: float(place) for place, letter in enumerate(STATES3)}
        return _numbered(text, known | {"?": float("nan")}, "state of three")
    return _numbered(text, _EXPOSED, "accessibility")


def _fasta(text: str) -> list[tuple[str, str]]:
    """Return the names and texts of records that begin with ``>`` and a name."""
    records = []
    for record in text.split(">")[1:]:
        name, *lines = record.split("\n")
        records.append((name.strip(), "".join(line.strip() for line in lines)))
    return records


@READERS.register("netsurfp2")
def read_netsurfp2(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Read three states with the mask of what was seen, and the published three sides.

    ``options``: ``archive`` (a zip file) and in it ``sequences``, ``states`` and ``mask``.
    """
    archive = options["archive"]
    with zipfile.ZipFile(files[archive]) as opened:
        sequences, states, masks = (
            _fasta(opened.read(options[name]).decode("utf-8"))
            for name in ("sequences", "states", "mask")
        )
    mask = dict(masks)
    sequence = dict(sequences)
    chains = _Chains(options)
    for line, (header, letters) in enumerate(states, start=1):
        name, side, validation = header.split()
        seen = np.array(list(mask[name])) == "1"
        valid = validation == "VALIDATION=True"
        values = _read_labels("q3", letters)
        chains.add(
            name,
            sequence[name],
            {"q3": np.where(seen, values, np.nan)},
            (options["states"], 2 * line),
            set="valid" if valid else side.removeprefix("SET="),
        )
    return chains.table()


@READERS.register("cb513")
def read_cb513(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Read the 513 chains of Cuff and Barton with profiles made of the alignments beside them.

    Each file is one chain: lines of comma separated values, named before a colon. ``options``:
    ``targets``, ``reduction`` and ``related``. The first aligned row is the chain itself. The
    column ``family`` has one name for the chains of a PDB entry, and for those that ``related``
    (pairs of ids) joins, so that none of them stand on two sides.

    Raises
    ------
    DatasetError
        for an alignment that does not fit its chain.
    """
    chains = _Chains(options)
    family = _families(options.get("related", []))
    for file, path in files.items():
        rows: dict[str, list[str]] = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            key, _, text = line.partition(":")
            rows[key] = text.strip().rstrip(",").split(",")
        name = PurePosixPath(file).name.removesuffix(".all")
        sequence = "".join(rows["RES"])
        found = [row for key, row in rows.items() if key.startswith("align")]
        columns = _columns(sequence, "".join(found[0]), file)
        aligned = [_placed(row, columns) for row in found[1:]]
        values = {
            "q8": eight_states(rows["DSSP"]),
            "exposed": _read_labels("exposed", "".join(rows["DSSPACC"])),
        }
        chains.add(
            name, sequence, values, (file, 1), aligned=profile([sequence, *aligned]),
            family=family.get(name[:4], name[:4]),
        )  # fmt: skip
    return chains.table()


def _families(related: Iterable[Sequence[str]]) -> dict[str, str]:
    """Return one name for all entries that pairs of chains join, by entry."""
    family: dict[str, str] = {}
    for one, other in related:
        old, new = (family.setdefault(chain[:4], chain[:4]) for chain in (one, other))
        family |= {entry: min(old, new) for entry, name in family.items() if name in (old, new)}
    return family


def _columns(sequence: str, query: str, file: str) -> list[int]:
    """Return the alignment's column of each residue, -1 where it leaves the residue out.

    Four of the alignments lack residues whose state was not seen, or have one more.
    """
    columns = [-1] * len(sequence)
    matcher = difflib.SequenceMatcher(None, sequence, query, autojunk=False)
    for what, start, stop, first, _ in matcher.get_opcodes():
        if what == "replace":
            raise DatasetError(f"{file}: residue {start + 1} is another one in the alignment")
        if what == "equal":
            columns[start:stop] = range(first, first + stop - start)
    return columns


def _placed(row: Sequence[str], columns: Sequence[int]) -> str:
    """Return an aligned sequence in the columns of the chain, gaps where it has none."""
    return "".join("." if column < 0 else row[column] for column in columns)


@READERS.register("qian_sejnowski")
def read_qian_sejnowski(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Read the chains of 1988, a residue and its state a line, ``_`` for coil.

    ``options``: ``set`` (mapping file: side of the published split).
    """
    known = {"h": 0.0, "e": 1.0, "_": 2.0}
    chains = _Chains(options)
    for file, side in options["set"].items():
        residues: list[str] = []
        begun, count = 0, 0
        lines = files[file].read_text(encoding="utf-8").splitlines()
        for line, text in enumerate([*lines, "end"], start=1):
            parts = text.split()
            if len(parts) == 2 and not text.startswith("#"):
                residues.append(text)
                begun = begun or line
            elif parts and parts[0] in ("<>", "end", "<end>") and residues:
                count += 1
                letters = [r.split() for r in residues]
                states = _numbered([state for _, state in letters], known, "state of three")
                sequence = "".join(residue for residue, _ in letters)
                chains.add(f"{side}-{count}", sequence, {"q3": states}, (file, begun), set=side)
                residues, begun = [], 0
    return chains.table()


INPUTS.add("sequence", InputKind())
