"""Sets of geometries: units, counts, joins, fixed splits, and files that do not fit together."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

import chemdl
from chemdl.data import DatasetError
from chemdl.data.archives import extract
from chemdl.evidence import splits
from chemdl.quantum.data import (
    atomisation,
    differences,
    read_frames,
    read_qm7,
    read_qm7b,
    read_qm9,
    with_elements,
    with_fixed_split,
)
from chemdl.quantum.geometries import geometry

XYZ = "2\nfirst\nC 0 0 0\nO 0 0 1.13\n3\n\nO 0.0 0.1 0\nH 0 0.96 0\nH 0 -0.5 -0.8\n"


def test_qm7_has_its_molecules_and_both_levels() -> None:
    data = chemdl.load("qm7")
    assert len(data) == 7101
    assert data.tasks == ("pbe0", "dftb")
    assert data.unit == "kcal/mol"
    # Methane.
    assert geometry(data.inputs[0]).numbers.tolist() == [6, 1, 1, 1, 1]
    assert data.targets[0].tolist() == [-417.031, -431.787271961]
    assert max(len(geometry(text).numbers) for text in data.inputs) == 23


def test_qm9_units_on_methane_and_water() -> None:
    # U0 of molecules 1 and 3; their published energies of atomisation, kcal/mol.
    assert atomisation(-40.47893, "CHHHH") == pytest.approx(-395.9996, abs=2e-3)
    assert atomisation(-76.404702, "OHH") == pytest.approx(-213.0876, abs=2e-3)


def test_differences_are_high_less_low() -> None:
    data = chemdl.load("qm7")
    delta = differences(data, "pbe0", "dftb")
    assert delta.name == "qm7_delta"
    assert delta.targets[0, 0] == pytest.approx(431.787271961 - 417.031)
    assert delta.card["parent"] == data.card["content_sha256"]


def test_a_fixed_split_keeps_its_test_rows_when_train_grows() -> None:
    data = chemdl.load("qm7")
    small = with_fixed_split(data, train=50, valid=10, test=20)
    large = with_fixed_split(data, train=500, valid=10, test=20)
    for subset in ("valid", "test"):
        first, second = (set(d.inputs[d.columns["set"] == subset]) for d in (small, large))
        assert first == second
    split = splits.published(small).splits[0]
    assert (len(split.train), len(split.valid), len(split.test)) == (50, 10, 20)
    with pytest.raises(DatasetError, match="need more"):
        with_fixed_split(data, train=7000, valid=100, test=100)


def test_molecules_of_some_elements() -> None:
    data = chemdl.load("qm7")
    small = with_elements(data, "HCNO")
    assert 0 < len(data) - len(small) < 400
    assert not any("S " in text for text in small.inputs)


@pytest.mark.usefixtures("mirror")
def test_ethanol_and_qm7b_from_the_mirror() -> None:
    frames = chemdl.load("md17_ethanol")
    assert frames.targets.shape == (2000, 28)
    assert frames.targets[0, 0] == 0.0
    # Forces on an isolated molecule add up to nothing, but for what the calculation leaves.
    forces = frames.targets[:, 1:].reshape(-1, 9, 3)
    assert np.abs(forces.sum(axis=1)).max() < 0.3
    data = chemdl.load("qm7b")
    assert data.targets.shape == (7211, 3)
    assert geometry(data.inputs[0]).numbers.tolist() == [6, 1, 1, 1, 1]


def test_tables_that_do_not_fit_are_errors(tmp_path: Path) -> None:
    files = {"all.xyz": tmp_path / "all.xyz", "table": tmp_path / "table"}
    files["all.xyz"].write_text(XYZ)
    files["table"].write_text("1.xyz -257 -260\n")
    options = {"geometries": "all.xyz", "table": "table", "targets": {"high": 1, "low": 2}}
    with pytest.raises(DatasetError, match=r"table has 1 rows, all\.xyz 2 molecules"):
        read_qm7(files, options)
    files["table"].write_text("1.xyz -257 -260\n2.xyz -230 -231\n")
    raw = read_qm7(files, options)
    assert raw.inputs == ["C 0 0 0; O 0 0 1.13", "O 0 0.1 0; H 0 0.96 0; H 0 -0.5 -0.8"]
    assert raw.targets.tolist() == [[-257, -260], [-230, -231]]
    assert raw.columns["id"].tolist() == ["1", "2"]

    header = "energy C O N S Cl H\n"
    files["table"].write_text(header + "-257 1 1 0 0 0 0\n-230 1 1 0 0 0 2\n")
    with pytest.raises(DatasetError, match="another composition"):
        read_qm7b(files, {**options, "targets": {"energy": "energy"}})
    files["all.xyz"].write_text("2\n\nC 0 0 0\n")
    with pytest.raises(DatasetError, match="line 1: expected 2 atoms"):
        read_qm7(files, options)


def test_qm9_is_refused_where_molecules_are_missing(tmp_path: Path) -> None:
    part = tmp_path / "part.csv"
    part.write_text(
        "Index,Elements,XYZ_Ang,E\n1,\"['C','O']\",\"[[0.,0.,0.],[0.,0.,1.13]]\",-113.1\n"
    )
    options = {"parts": ["part.csv"], "targets": {"u0": "E"}}
    with pytest.raises(DatasetError, match="3054 are left out, not 133884"):
        read_qm9({"part.csv": part}, options)


def test_frames_need_as_many_targets_as_tasks(tmp_path: Path) -> None:
    path = tmp_path / "frames.npz"
    np.savez(path, z=[6, 8], R=np.eye(3)[None, :2], E=[[-5.0]], F=np.zeros((1, 2, 3)))
    options = {"archive": "frames.npz", "relative": 0, "targets": ["energy"]}
    with pytest.raises(DatasetError, match="holds 7 targets a frame, not 1"):
        read_frames({"frames.npz": path}, options)


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_members_that_match_are_joined_by_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"archive.{kind}"
    members = {"p/b.xyz": b"second", "p/a.xyz": b"first ", "p/readme": b"no"}
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(path, "w:gz") as archive:
            for name, content in members.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    import hashlib

    digest = hashlib.sha256(b"first second").hexdigest()
    found = extract(path, ["p/*.xyz"], tmp_path / "joined", digest)
    assert found.read_bytes() == b"first second"
    with pytest.raises(DatasetError, match="no member"):
        extract(path, ["p/*.sdf"], tmp_path / "none", digest)
