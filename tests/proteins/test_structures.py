"""Chains out of PDB files: angles, contacts, breaks and matrices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import chemdl
from chemdl.data import DatasetError
from chemdl.proteins.profiles import AMINO_ACIDS, profile_levels
from chemdl.proteins.structures import (
    Backbone,
    contacts,
    is_unbroken,
    long_range_pairs,
    read_backbone,
    read_structures,
    torsions,
)


def helix(length: int, phi: float = -60.0, psi: float = -45.0) -> np.ndarray:
    """Place N, Cα, C of a chain with these angles and ideal bonds: (length, 3, 3)."""
    atoms = [np.array([0.0, 0, 0]), np.array([1.46, 0, 0]), np.array([2.0, 1.42, 0])]
    bonds = {"N": (1.33, 116.6), "CA": (1.46, 121.7), "C": (1.52, 111.0)}
    turns = {"N": psi, "CA": 180.0, "C": phi}
    for _ in range(1, length):
        for name in ("N", "CA", "C"):
            atoms.append(_next(atoms[-3:], *bonds[name], turns[name]))
    return np.array(atoms).reshape(length, 3, 3)


def _next(last: list[np.ndarray], bond: float, angle: float, turn: float) -> np.ndarray:
    a, b, c = last
    along = (c - b) / np.linalg.norm(c - b)
    normal = np.cross(b - a, along)
    normal /= np.linalg.norm(normal)
    bend, twist = np.radians(angle), np.radians(turn)
    step = np.array([-np.cos(bend), np.sin(bend) * np.cos(twist), np.sin(bend) * np.sin(twist)])
    return c + bond * (step @ np.array([along, np.cross(normal, along), normal]))


def pdb(xyz: np.ndarray, names: str = "", chain: str = "A") -> str:
    lines = []
    for place, atoms in enumerate(xyz):
        name = {"A": "ALA", "G": "GLY", "M": "MSE"}[names[place] if names else "G"]
        kind = "HETATM" if name == "MSE" else "ATOM  "
        for atom, (x, y, z) in zip(("N", "CA", "C"), atoms, strict=True):
            lines.append(
                f"{kind}    1  {atom:<3} {name} {chain}{place + 1:4d}    {x:8.3f}{y:8.3f}{z:8.3f}"
            )
    return "\n".join([*lines, "ENDMDL", lines[0][:30] + "   9.000   9.000   9.000", ""])


def test_angles_come_back(tmp_path: Path) -> None:
    path = tmp_path / "x.pdb"
    path.write_text(pdb(helix(12, phi=-63.0, psi=-41.0), "GAM" * 4))
    backbone = read_backbone(path, "A")
    assert backbone.sequence == "GAM" * 4 and is_unbroken(backbone)
    found = torsions(backbone)
    assert np.isnan(found[0, 0]) and np.isnan(found[-1, 1])
    np.testing.assert_allclose(found[1:, 0], -63.0, atol=0.2)
    np.testing.assert_allclose(found[:-1, 1], -41.0, atol=0.2)
    # The Cβ that glycine lacks stands where a tetrahedron has its corner.
    _, ca, _, cb = backbone.xyz[3]
    assert np.linalg.norm(cb - ca) == pytest.approx(1.53, abs=0.03)
    with pytest.raises(DatasetError, match="has no chain 'B'"):
        read_backbone(path, "B")


def test_contacts_are_pairs_far_apart_along_the_chain() -> None:
    xyz = np.zeros((27, 4, 3))
    xyz[:, :, 0] = 3.8 * np.arange(27)[:, None]
    xyz[26] = xyz[1] + 5.0  # comes back to the second residue
    backbone = Backbone("A" * 27, [str(i) for i in range(27)], xyz)
    first, second = long_range_pairs(27)
    assert list(zip(first, second, strict=True)) == [(0, 24), (0, 25), (0, 26), (1, 25), (1, 26),
                                                     (2, 26)]  # fmt: skip
    found = contacts(backbone)
    distance = np.linalg.norm(xyz[first, 3] - xyz[second, 3], axis=1)
    np.testing.assert_array_equal(found, distance < 8.0)
    assert not is_unbroken(backbone)


def test_a_matrix_stands_beside_its_chain(tmp_path: Path) -> None:
    (tmp_path / "x.pdb").write_text(pdb(helix(30)))
    header = "pdbresi pdbresn seqresi seqresn " + " ".join(AMINO_ACIDS) + " IC"
    rows = [f"{i + 1} G {i + 1} G " + " ".join(["2"] + ["0"] * 19) + " 0.5" for i in range(29)]
    (tmp_path / "m").write_text("\n".join([header, *rows, ""]))
    files = {"x.pdb": tmp_path / "x.pdb", "m": tmp_path / "m"}
    options = {"targets": ["contact"], "chains": [["x.pdb", "A", "m"]], "related": []}
    table = read_structures(files, options)
    levels = profile_levels(table.inputs[0].partition(" ")[2], 30)
    # Two half bits are odds of two: 2 / 3; the residue that the matrix lacks says nothing.
    assert levels[0, 0] == round(255 * 2 / 3) and levels[29].tolist() == [128] * 20
    assert table.lengths is not None and table.lengths.tolist() == [21]
    (tmp_path / "m").write_text("\n".join([header, rows[0].replace(" G ", " W ", 1), ""]))
    with pytest.raises(DatasetError, match="residue 1 is W, not G"):
        read_structures(files, options)
    angles = read_structures(files, {**options, "targets": ["phi", "psi"],
                                     "chains": [["x.pdb", "A", ""]]})  # fmt: skip
    assert angles.targets.shape == (30, 2) and angles.columns["matrix"].tolist() == ["no"]


def test_a_broken_chain_is_refused(tmp_path: Path) -> None:
    xyz = helix(30)
    xyz[10:] += 9.0
    (tmp_path / "x.pdb").write_text(pdb(xyz))
    with pytest.raises(DatasetError, match="chain 'A' is broken"):
        read_structures({"x.pdb": tmp_path / "x.pdb"},
                        {"targets": ["contact"], "chains": [["x.pdb", "A", ""]]})  # fmt: skip


def test_contacts_and_angles_are_of_the_same_chains(mirror: Path) -> None:
    pairs, angles = chemdl.load("contacts"), chemdl.load("torsions")
    assert list(pairs.inputs) == list(angles.inputs) and len(pairs) == 159
    assert pairs.targets.sum() == 17_620 and len(pairs.targets) == 571_259
    with_matrix = pairs.columns["matrix"] == "yes"
    assert with_matrix.sum() == 53
    # As another reading of the same files has it.
    assert angles.targets.shape == (16_259, 2)
    assert -100 < np.nanmedian(angles.targets[:, 0]) < -60
