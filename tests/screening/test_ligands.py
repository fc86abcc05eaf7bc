"""Ligands: both classes drawn the same way, in an order that the seed draws."""

from __future__ import annotations

import dataclasses
import gzip

import numpy as np
import pytest

from chemdl.data import Dataset
from chemdl.screening import ligands
from chemdl.screening.receptors import DockingError

ROWS = [("CC[NH3+]", 1), ("CCCC(=O)O", 1), *[("C" * n + "O", 0) for n in range(1, 21)]]


def in_order(rows, label: int, seed: int = 0) -> list[str]:
    return [one.smiles for one in ligands.in_random_order(rows, label, seed)]


def test_charged_and_neutral_forms_of_a_molecule_are_one() -> None:
    # As ZINC protonates it, and as ChEMBL stores it.
    for charged, plain in (
        ("C[NH+](C)CCC(=O)[O-]", "CN(C)CCC(=O)O"),
        ("NC(=[NH2+])c1ccccc1", "N=C(N)c1ccccc1"),
        ("CCO.Cl", "CCO"),
    ):
        assert ligands.neutral(charged) == ligands.neutral(plain)
    assert "+" in ligands.neutral("C[N+](C)(C)C")[0]
    assert ligands.neutral("C[C@H](N)O") != ligands.neutral("C[C@@H](N)O")
    with pytest.raises(DockingError, match="'C1CC'"):
        ligands.neutral("C1CC")


def test_the_order_is_drawn_by_the_seed_and_stays_when_the_list_changes() -> None:
    first = in_order(ROWS, 0)
    assert len(first) == 20 and first != sorted(first)
    assert in_order(ROWS[::-1], 0) == first
    assert in_order(ROWS, 0, seed=1) != first
    shorter = [row for row in ROWS if row[0] != "CCCCO"]
    assert in_order(shorter, 0) == [text for text in first if text != "CCCCO"]


def test_a_molecule_comes_once_and_an_active_is_no_decoy() -> None:
    rows = [*ROWS, ("CCN", 0), ("CCCC([O-])=O", 0), ("OC", 0), ("C1CC", 0)]
    assert sorted(in_order(rows, 0)) == sorted(in_order(ROWS, 0))
    assert sorted(in_order(rows, 1)) == ["CCCC(=O)O", "CCN"]


def test_files_of_both_sets_are_read(tmp_path, monkeypatch) -> None:
    for name, text in {
        "actives/akt1_actives_final.ism": "CCO 1 CHEMBL1\n",
        "decoys/akt1_decoys_final.ism": "CCC C01\n\nCCCC C02\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert ligands.read_ligands("akt1", tmp_path) == [("CCO", 1), ("CCC", 0), ("CCCC", 0)]
    head = "# Mol_Title\tID\tSMILES\n"
    for kind, smiles in (("actives", "CO"), ("decoys", "CN")):
        path = tmp_path / f"cmp_list_DUD_ache_{kind}.dat.gz"
        path.write_bytes(gzip.compress(f"{head}ZINC1\tDUD_1\t{smiles}\n".encode()))
    assert ligands.read_ligands("ache", tmp_path) == [("CO", 1), ("CN", 0)]
    monkeypatch.delenv("CHEMDL_MIRROR", raising=False)
    with pytest.raises(DockingError, match="--ligands"):
        ligands.read_ligands("ar")
    # DUD-E is a registered set: without a mirror it is fetched from its address.
    monkeypatch.setattr(ligands, "fetch", lambda name: tmp_path if name == "dude" else None)
    assert ligands.read_ligands("akt1") == [("CCO", 1), ("CCC", 0), ("CCCC", 0)]


def test_the_mirror_has_ligands_of_every_target(mirror) -> None:
    rows = ligands.read_ligands("akt1")
    assert sum(label for _, label in rows) == 293 and len(rows) == 293 + 16450
    assert len(ligands.read_ligands("fxa")) == 64 + 2092


def several_targets() -> Dataset:
    inputs = ["CC[NH3+]", "CCO", "CCN", "CCO", "CC(=O)[O-]", "CCN"]
    target = ["a", "a", "a", "b", "b", "b"]
    y = np.full((6, 2), np.nan)
    for row, label in enumerate([0, 1, 1, 0, 1, 0]):
        y[row, row // 3] = label
    columns = {"target": np.array(target)}
    return Dataset(
        "two", np.array(inputs, object), y, ("a", "b"), "classification", "", {}, columns
    )


def test_several_targets_become_one_task_of_neutral_molecules() -> None:
    found = ligands.as_one_task(several_targets())
    # Ethylamine is drawn twice for target a: the active stays. For target b it is another row.
    assert found.inputs.tolist() == ["CCO", "CCN", "CCO", "CC(=O)O", "CCN"]
    assert found.targets[:, 0].tolist() == [1, 1, 0, 1, 0]
    assert found.columns["target"].tolist() == ["a", "a", "b", "b", "b"]
    assert found.tasks == ("active",)


def test_molecules_can_be_taken_as_the_files_have_them() -> None:
    whole = several_targets()
    found = ligands.as_one_task(whole, as_stored=True)
    assert found.inputs.tolist() == whole.inputs.tolist()
    with pytest.raises(DockingError, match="no column 'target'"):
        ligands.as_one_task(dataclasses.replace(whole, columns={}))
