"""Readers of protein structures: torsion angles of residues, contacts of pairs of residues."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chemdl.data.errors import DatasetError
from chemdl.data.readers import READERS, RawTable
from chemdl.proteins.data import families
from chemdl.proteins.profiles import AMINO_ACIDS, profile_text

_LETTERS = {
    "ALA": "A", "ARG": "R", "ASN": "N", "ASP": "D", "CYS": "C", "GLN": "Q", "GLU": "E", "GLY": "G",
    "HIS": "H", "ILE": "I", "LEU": "L", "LYS": "K", "MET": "M", "PHE": "F", "PRO": "P", "SER": "S",
    "THR": "T", "TRP": "W", "TYR": "Y", "VAL": "V", "MSE": "M",
}  # fmt: skip
# Long-range pairs are this many residues apart along the chain, or more; those whose Cβ atoms are
# nearer than this, in Å, are in contact.
APART, NEAR = 24, 8.0
# Consecutive Cα atoms of an unbroken chain are 3.8 Å apart (2.9 before a cis proline).
_LONGEST_STEP = 4.5


class Backbone(NamedTuple):
    """A chain: sequence (length), residue numbers, and N, Cα, C, Cβ in Å, (length, 4, 3).

    Glycine has a Cβ where another residue would have it.
    """

    sequence: str
    numbers: list[str]
    xyz: np.ndarray


def read_backbone(path: Path, chain: str) -> Backbone:
    """Read one chain of the first model of a PDB file; residues without N, Cα and C are left out.

    Raises
    ------
    DatasetError
        If the file does not contain the chain.
    """
    residues: dict[str, tuple[str, dict[str, list[float]]]] = {}
    for line in path.read_text(encoding="latin-1").splitlines():
        if line.startswith("ENDMDL"):
            break
        if line[:6] not in ("ATOM  ", "HETATM") or line[21] != chain or line[16] not in " A":
            continue
        letter, atom = _LETTERS.get(line[17:20], "X"), line[12:16].strip()
        if line.startswith("HETATM") and letter == "X":
            continue
        _, atoms = residues.setdefault(line[22:27].strip(), (letter, {}))
        atoms.setdefault(atom, [float(line[start : start + 8]) for start in (30, 38, 46)])
    whole = {n: r for n, r in residues.items() if all(atom in r[1] for atom in ("N", "CA", "C"))}
    if not whole:
        raise DatasetError(f"{path.name} has no chain {chain!r}")
    xyz = np.array([_four(atoms) for _, atoms in whole.values()])
    return Backbone("".join(letter for letter, _ in whole.values()), list(whole), xyz)


def _four(atoms: Mapping[str, list[float]]) -> np.ndarray:
    """Return N, Cα, C and Cβ of a residue, (4, 3), with an ideal Cβ where it has none."""
    n, ca, c = (np.array(atoms[name]) for name in ("N", "CA", "C"))
    if "CB" in atoms:
        return np.array([n, ca, c, atoms["CB"]])
    b, d = ca - n, c - ca
    # Ideal tetrahedral geometry around the Cα.
    cb = ca - 0.58273431 * np.cross(b, d) + 0.56802827 * b - 0.54067466 * d
    return np.array([n, ca, c, cb])


def is_unbroken(backbone: Backbone) -> bool:
    """Return whether consecutive Cα atoms are as near as a peptide bond has them."""
    steps = np.linalg.norm(np.diff(backbone.xyz[:, 1], axis=0), axis=1)
    return bool((steps < _LONGEST_STEP).all())


def torsions(backbone: Backbone) -> np.ndarray:
    """Return φ and ψ in degrees (length, 2); NaN at the ends, where they are not defined."""
    n, ca, c = (backbone.xyz[:, place] for place in range(3))
    angles = np.full((len(n), 2), np.nan)
    angles[1:, 0] = _dihedral(c[:-1], n[1:], ca[1:], c[1:])
    angles[:-1, 1] = _dihedral(n[:-1], ca[:-1], c[:-1], n[1:])
    return angles


def _dihedral(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Return the torsion angles in degrees around b and c of atoms a, b, c, d, (n, 3) each."""
    first, axis, last = b - a, c - b, d - c
    left, right = np.cross(first, axis), np.cross(axis, last)
    unit = axis / np.linalg.norm(axis, axis=1, keepdims=True)
    sine = (np.cross(left, right) * unit).sum(axis=1)
    return np.degrees(np.arctan2(sine, (left * right).sum(axis=1)))


def long_range_pairs(length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return first and second residues of the pairs at least ``APART`` apart, sorted by both."""
    return np.triu_indices(length, APART)


def contacts(backbone: Backbone) -> np.ndarray:
    """Return 1 for each long-range pair whose Cβ atoms are nearer than ``NEAR``, else 0."""
    first, second = long_range_pairs(len(backbone.sequence))
    cb = backbone.xyz[:, 3]
    return (np.linalg.norm(cb[first] - cb[second], axis=1) < NEAR).astype(np.float64)


@READERS.register("structures")
def read_structures(files: Mapping[str, Path], options: Mapping[str, Any]) -> RawTable:
    """Read chains of PDB files, with a scoring matrix of their family where there is one.

    ``options``: ``chains`` (lists of file, chain and the matrix's file or ""), ``targets``:
    ``contact``, a site for every long-range pair, or ``phi`` and ``psi``, a site for every residue;
    ``related`` (pairs of rows' ids that share a family). The input is "SEQUENCE PROFILE", with a
    profile of 0.5 throughout, which is the background, where there is no matrix.

    Raises
    ------
    DatasetError
        For a chain with missing residues, or a matrix of another chain.
    """
    of_pairs = list(options["targets"]) == ["contact"]
    family = families(options.get("related", []))
    inputs, values, names, matrices = [], [], [], []
    for file, chain, matrix in options["chains"]:
        backbone = read_backbone(files[file], chain)
        name = f"{Path(file).stem}:{chain}"
        if not is_unbroken(backbone):
            raise DatasetError(f"{file}: chain {chain!r} is broken; leave it out")
        levels = np.full((len(backbone.sequence), 20), 0.5)
        if matrix:
            levels = _matrix_levels(files[matrix], backbone)
        inputs.append(f"{backbone.sequence} {profile_text(levels)}")
        values.append(contacts(backbone)[:, None] if of_pairs else torsions(backbone))
        names.append(name)
        matrices.append("yes" if matrix else "no")
    return RawTable(
        inputs,
        np.concatenate(values),
        tuple(options["targets"]),
        {
            "id": np.array(names),
            "family": np.array([family.get(name, name) for name in names]),
            "matrix": np.array(matrices),
        },
        [(file, 1) for file, _, _ in options["chains"]],
        lengths=np.array([len(sites) for sites in values], dtype=np.int64),
    )


def _matrix_levels(path: Path, backbone: Backbone) -> np.ndarray:
    """Return the logistic function of a position-specific matrix, in half bits: (length, 20)."""
    header, *lines = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    columns = [header.index(letter) for letter in AMINO_ACIDS]
    rows = {line[0]: line for line in lines if len(line) == len(header)}
    levels = np.full((len(backbone.sequence), 20), 0.5)
    for place, (number, letter) in enumerate(zip(backbone.numbers, backbone.sequence, strict=True)):
        row = rows.get(number)
        if row is None:
            continue
        if row[1] not in (letter, "X") and letter != "X":
            raise DatasetError(f"{path.name}: residue {number} is {row[1]}, not {letter}")
        odds = np.exp2(np.array([float(row[column]) for column in columns]) / 2.0)
        levels[place] = odds / (1.0 + odds)
    return levels
