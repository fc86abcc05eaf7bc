"""Readers of protein sets: a row is a chain, its sites are the residues.

The input of a chain is its sequence in one-letter code, or ``"SEQUENCE PROFILE"`` where the set has
alignments (:mod:`chemdl.proteins.profiles`). Targets are numbers of classes:

* ``q8`` the eight states of DSSP (Kabsch and Sander 1983) in the order of ``STATES8``,
* ``q3`` three states, helix 0, strand 1, coil 2, made of the eight by one of ``REDUCTIONS``,
* ``exposed`` 1 where a residue is exposed to solvent by the source's threshold, else 0.

What was not measured is NaN.
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
# The two usual ways to make three states of eight: class in STATES3 of each of STATES8.
REDUCTIONS = {
    "wide": (0, 0, 0, 1, 1, 2, 2, 2),  # H, G, I are helix, E, B strand (Rost and Sander 1993)
    "narrow": (0, 2, 2, 1, 2, 2, 2, 2),  # H alone is helix, E alone strand
}
# Coil is a blank in DSSP's own files; what sources write for it, and for what was not measured.
_COIL, _UNMEASURED = "CL_- ", "?X"
_EIGHT = {letter: float(place) for place, letter in enumerate(STATES8)}
_EIGHT |= dict.fromkeys(_COIL, _EIGHT["C"]) | dict.fromkeys(_UNMEASURED, float("nan"))
_THREE = {"H": 0.0, "E": 1.0, "C": 2.0, "?": float("nan")}
_EXPOSED = {"e": 1.0, "-": 0.0, "b": 0.0}


def eight_states(labels: Iterable[str]) -> np.ndarray:
    """Return the number of each DSSP letter in ``STATES8``: (length,), NaN where not measured.

    Raises
    ------
    DatasetError
        For a letter that is not a DSSP state.
    """
    return _numbered(labels, _EIGHT, "state of DSSP")


def three_states(q8: np.ndarray, reduction: str = "wide") -> np.ndarray:
    """Reduce numbers of eight states to three; NaN stays.

    Raises
    ------
    ValueError
        For an unknown name of a reduction.
    """
    if reduction not in REDUCTIONS:
        raise UnknownNameError("reduction to three states", reduction, REDUCTIONS)
    table = np.array([*REDUCTIONS[reduction], np.nan])
    return table[np.where(np.isnan(q8), len(STATES8), q8).astype(np.int64)]


def _numbered(labels: Iterable[str], numbers: Mapping[str, float], what: str) -> np.ndarray:
    letters = list(labels)
    for place, letter in enumerate(letters):
        if letter not in numbers:
            raise DatasetError(f"{letter!r} at residue {place + 1} is no {what}")
    return np.array([numbers[letter] for letter in letters], dtype=np.float64)


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
            If a chain has different numbers of labels and residues; the message names the chain.
        """
        values = dict(values)
        if "q8" in values and "q3" not in values:
            values["q3"] = three_states(values["q8"], self.reduction)
        for task, numbers in values.items():
            if len(numbers) != len(sequence):
                raise DatasetError(
                    f"{place[0]} line {place[1]}: chain {name!r} has {len(sequence)} residues and "
                    f"{len(numbers)} values of {task}: mend it or leave it out"
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
            lengths=np.array([len(chain) for chain in self.sites], dtype=np.int64),
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
        For a chain with different numbers of states and residues.
    """
    subsets: dict[str, list[tuple[int, str]]] = {"train": [], "test": []}
    with files[options["ids"]].open(encoding="utf-8", newline="") as stream:
        for line, row in enumerate(csv.DictReader(stream), start=2):
            for subset, members in subsets.items():
                if row[options[subset]] == "1":
                    members.append((line, row["pnid"]))
    names = {_plain_id(name) for members in subsets.values() for _, name in members}
    labelled = _labelled(files, options["labels"], names)
    with_states = {
        subset: [
            (line, name, *labelled[_plain_id(name)])
            for line, name in members
            if _plain_id(name) in labelled
        ]
        for subset, members in subsets.items()
    }
    held_out = {sequence for _, _, sequence, _ in with_states["test"]}
    train = [
        (line, name, sequence, states)
        for line, name, sequence, states in with_states["train"]
        if len(sequence) <= options["longest"] and sequence not in held_out
    ]
    chosen = np.random.default_rng(0).permutation(len(train))[: options.get("chains")]
    chains = _Chains(options)
    with_states["train"] = [train[i] for i in np.sort(chosen)]
    for subset, kept in with_states.items():
        for line, name, sequence, states in kept:
            values = {"q8": eight_states(states)}
            chains.add(name, sequence, values, (options["ids"], line), set=subset)
    return chains.table()


def _plain_id(name: str) -> str:
    """Return an id without the class of identity that test ids begin with: ``10#1HF2_1_A``."""
    return name.rsplit("#", 1)[-1]


def _labelled(
    files: Mapping[str, Path], labels: Sequence[str], names: set[str]
) -> dict[str, tuple[str, str]]:
    """Return sequence and states of the chains of these names, of the first file that has them."""
    labelled: dict[str, tuple[str, str]] = {}
    for file in labels:
        with files[file].open(encoding="utf-8") as stream:
            chains = json.load(stream)
        for name in names & chains.keys():
            labelled.setdefault(name, (chains[name]["Sequence"], chains[name]["DSSP"]))
    return labelled


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
        values = {task: _read_labels(task, texts[name]) for task, texts in labels.items()}
        chains.add(name, sequence, values, (file, 2 * line))
    return chains.table()


def _read_labels(task: str, text: str) -> np.ndarray:
    if task == "q8":
        return eight_states(text)
    if task == "q3":
        return _numbered(text, _THREE, "state of three")
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
    """Read three states, the mask of what was measured, and the three published subsets.

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
        name, subset, validation = header.split()
        measured = np.array(list(mask[name])) == "1"
        valid = validation == "VALIDATION=True"
        values = _read_labels("q3", letters)
        chains.add(
            name,
            sequence[name],
            {"q3": np.where(measured, values, np.nan)},
            (options["states"], 2 * line),
            set="valid" if valid else subset.removeprefix("SET="),
        )
    return chains.table()


@READERS.register("cb513")
def read_cb513(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Read the 513 chains of Cuff and Barton with profiles made of the alignments beside them.

    Each file is one chain: lines of comma separated values, named before a colon. ``options``:
    ``targets``, ``reduction`` and ``related``. The first aligned row is the chain itself. The
    column ``family`` has one name for the chains of a PDB entry, and for those that ``related``
    (pairs of ids) joins, so that none of them stand in two subsets of a split.

    Raises
    ------
    DatasetError
        For an alignment that does not match its chain.
    """
    chains = _Chains(options)
    family = families((a[:4], b[:4]) for a, b in options.get("related", []))
    for file, path in files.items():
        rows: dict[str, list[str]] = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            key, _, text = line.partition(":")
            rows[key] = text.strip().rstrip(",").split(",")
        name = PurePosixPath(file).name.removesuffix(".all")
        sequence = "".join(rows["RES"])
        query, *relatives = (row for key, row in rows.items() if key.startswith("align"))
        columns = _columns(sequence, "".join(query), file)
        aligned = [_placed(row, columns) for row in relatives]
        values = {
            "q8": eight_states(rows["DSSP"]),
            "exposed": _read_labels("exposed", "".join(rows["DSSPACC"])),
        }
        chains.add(
            name, sequence, values, (file, 1), aligned=profile([sequence, *aligned]),
            family=family.get(name[:4], name[:4]),
        )  # fmt: skip
    return chains.table()


def families(related: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return one name of a family for all that pairs of names join, directly or by others.

    A name that is in no pair is not in the result.
    """
    family: dict[str, str] = {}
    for pair in related:
        old = {family.setdefault(name, name) for name in pair}
        family |= {member: min(old) for member, name in family.items() if name in old}
    return family


def _columns(sequence: str, query: str, file: str) -> list[int]:
    """Return the alignment's column of each residue, -1 where it leaves the residue out.

    Four of the alignments lack residues whose state was not measured, or have one more.
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

    ``options``: ``set`` (mapping file: subset of the published split).
    """
    numbers = {"h": 0.0, "e": 1.0, "_": 2.0}
    chains = _Chains(options)
    for file, subset in options["set"].items():
        residues: list[list[str]] = []
        begun, count = 0, 0
        lines = files[file].read_text(encoding="utf-8").splitlines()
        for line, text in enumerate([*lines, "end"], start=1):
            parts = text.split()
            if len(parts) == 2 and not text.startswith("#"):
                residues.append(parts)
                begun = begun or line
            elif parts and parts[0] in ("<>", "end", "<end>") and residues:
                count += 1
                letters, labels = zip(*residues, strict=True)
                values = {"q3": _numbered(labels, numbers, "state of three")}
                name, place = f"{subset}-{count}", (file, begun)
                chains.add(name, "".join(letters), values, place, set=subset)
                residues, begun = [], 0
    return chains.table()


INPUTS.add("sequence", InputKind())
