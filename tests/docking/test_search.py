"""The docking: which ligands, resumed after a stop, failures counted, and Vina where it is here."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from chemdl import cli, splits
from chemdl.docking import complexes, poses, sample, search
from chemdl.docking.errors import DockingError, MissingExtraError, MissingPoseError
from chemdl.extras import advice

ROWS = [*[("C" * n + "N", 1) for n in range(1, 9)], *[("C" * n + "O", 0) for n in range(1, 17)]]
WANTED = {"actives": 4, "decoys": 8, "seed": 0}


class ByHand:
    """In place of Vina: a pose at the origin, and failure for butylamine and butanol."""

    def __init__(self, workbench, stop_after: int = 1000) -> None:
        self.workbench, self.stop_after, self.calls = workbench, stop_after, []

    def __call__(self, receptor):
        return self.find

    def find(self, smiles: str) -> str:
        if len(self.calls) == self.stop_after:
            raise KeyboardInterrupt
        self.calls.append(smiles)
        if smiles.startswith("CCCC") and not smiles.startswith("CCCCC"):
            raise DockingError("by design")
        text = self.workbench.pdbqt(np.zeros((2, 3)), ["C", "HD"])
        return f"REMARK VINA RESULT:   {-4.0 - len(smiles):8.3f}      0.000      0.000\n{text}"


@pytest.fixture
def bench(workbench, monkeypatch):
    monkeypatch.setattr(search, "pdbqt", lambda smiles: smiles)
    return workbench


def test_a_stopped_docking_goes_on_and_ends_as_an_unbroken_one(bench) -> None:
    whole = ByHand(bench)
    list(search.dock("right", ROWS, **WANTED, engine=whole))
    expected = sample.docked("right", ROWS, **WANTED)
    first, second = ByHand(bench, stop_after=7), ByHand(bench)
    with pytest.raises(KeyboardInterrupt):
        list(search.dock("left", ROWS, **WANTED, engine=first))
    with pytest.raises(MissingPoseError, match="python -m chemdl dock left"):
        sample.docked("left", ROWS, **WANTED)
    list(search.dock("left", ROWS, **WANTED, engine=second))
    assert first.calls + second.calls == whole.calls and len(second.calls) > 3
    found = sample.docked("left", ROWS, **WANTED)
    assert (found.ligands, found.failed) == (expected.ligands, expected.failed)
    third = ByHand(bench)
    assert len(list(search.dock("left", ROWS, **WANTED, engine=third))) >= 12
    assert third.calls == []


def test_failures_are_counted_and_replaced(bench) -> None:
    wanted = {"actives": 7, "decoys": 15, "seed": 3}
    failures = [f for _, f in search.dock("left", ROWS, **wanted, engine=ByHand(bench)) if f]
    found = sample.docked("left", ROWS, **wanted)
    assert failures == ["by design"] * 2 and found.failed == {1: 1, 0: 1}
    assert [one.label for one in found.ligands] == [1] * 7 + [0] * 15
    with pytest.raises(DockingError, match="7 different actives"):
        list(search.dock("left", ROWS, actives=8, decoys=1, seed=3, engine=ByHand(bench)))


def test_half_a_docking_holds_half_of_each_label(bench) -> None:
    engine = ByHand(bench, stop_after=6)
    with pytest.raises(KeyboardInterrupt):
        list(search.dock("left", ROWS, **WANTED, engine=engine))
    actives = sum(smiles.endswith("N") for smiles in engine.calls)
    assert 2 <= actives <= 3


def test_docked_ligands_are_a_data_set_and_a_compact_file(bench, tmp_path) -> None:
    for target in ("left", "right"):
        list(search.dock(target, ROWS, **WANTED, engine=ByHand(bench)))
    data = complexes.docked_set({"left": ROWS, "right": ROWS}, **WANTED)
    assert data.targets[:, 0].tolist() == ([1.0] * 4 + [0.0] * 8) * 2
    assert data.columns["target"].tolist() == ["left"] * 12 + ["right"] * 12
    assert data.card["cleaning"]["kept"] == 24
    molecules = [text.split()[1] for text in data.inputs]
    np.testing.assert_allclose(data.columns["vina"], [-4.0 - len(text) for text in molecules])
    # The same molecules stand in both, which a protocol counts.
    assert splits.random(data, repeats=1, folds=2).duplicates["inchikey"] > 0

    path = complexes.summarise(sample.docked("left", ROWS, **WANTED), tmp_path / "left.npz")
    with np.load(path) as stored:
        assert stored["label"].tolist() == [1] * 4 + [0] * 8
        assert stored["shells"].shape == (12, 36, len(stored["edges"]) - 1)
        np.testing.assert_array_equal(stored["shells"].sum(2), stored["contacts"])
        np.testing.assert_array_equal(stored["inchikey"], data.columns["inchikey"][:12])
        # No structure is kept.
        assert not {"smiles", "xyz"} & set(stored.files)
    assert path.stat().st_size < 10_000


def test_without_the_extra_the_error_names_it(workbench, monkeypatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "vina", None)
    monkeypatch.setitem(sys.modules, "meeko", None)
    with pytest.raises(MissingExtraError, match="docking needs vina"):
        search.vina(search.receptor("left"))
    with pytest.raises(MissingExtraError, match="docking needs meeko"):
        search.pdbqt("CCO")


def test_the_command_docks_reports_and_refuses(bench, monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setattr(search, "vina", ByHand(bench))
    for name, label in (("actives", 1), ("decoys", 0)):
        (tmp_path / name).mkdir()
        text = "".join(f"{smiles} 1\n" for smiles, own in ROWS if own == label)
        (tmp_path / name / f"left_{name}_final.ism").write_text(text)
    arguments = ["--actives", "4", "--decoys", "8", "--ligands", str(tmp_path)]
    assert cli.main(["dock", "left", *arguments]) == 0
    assert "left: 12 poses" in capsys.readouterr().out
    assert poses.path_of("left").with_suffix(".npz").is_file()
    assert cli.main(["dock", "leftt", *arguments]) == 2
    assert "Did you mean 'left'" in capsys.readouterr().err
    assert cli.main(["dock", "right", *arguments]) == 2
    assert "--ligands" in capsys.readouterr().err


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("vina", "meeko")),
    reason=f"Vina or Meeko is not installed. {advice('dock')}",
)
def test_vina_docks_into_a_pocket_and_finds_the_same_again(workbench, monkeypatch) -> None:
    monkeypatch.setattr(poses, "EVALUATIONS", 2_000)
    protein = search.receptor("left")
    ligand = search.pdbqt("OCc1ccccc1")
    found = [search._pose(search.vina(protein)(ligand)) for _ in range(2)]
    assert found[0].score == found[1].score < -1.0
    np.testing.assert_array_equal(found[0].atoms.xyz, found[1].atoms.xyz)
    assert sorted(found[0].atoms.elements) == ["C"] * 7 + ["O"]
    # Inside the box, and in contact with the bowl without running into it.
    assert (np.abs(found[0].atoms.xyz - protein.center) < np.array(protein.size) / 2).all()
    heavy = protein.atoms.heavy().xyz
    nearest = np.linalg.norm(found[0].atoms.xyz[:, None] - heavy, axis=2).min()
    assert 2.0 < nearest < 5.0


@pytest.mark.skipif(
    not importlib.util.find_spec("meeko"),
    reason=f"Meeko is not installed. {advice('dock')}",
)
def test_a_ligand_has_the_same_conformer_each_time_and_rings_stay_closed() -> None:
    ring = "C1CCCCCCCCCCCCC1C(=O)NCCO"
    assert search.pdbqt(ring) == search.pdbqt(ring)
    assert "CG0" not in search.pdbqt(ring)
