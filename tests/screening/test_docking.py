"""The docking: which ligands, resumed after a stop, failures counted, and Vina where it is here."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from chemdl.extras import advice
from chemdl.screening import complexes, docking, poses
from chemdl.screening.docking import MissingExtraError
from chemdl.screening.poses import MissingPoseError
from chemdl.screening.receptors import DockingError

SAMPLE = {"actives": 4, "decoys": 8, "seed": 0}


def test_a_stopped_docking_goes_on_and_ends_as_an_unbroken_one(vina_by_hand, rows) -> None:
    whole = vina_by_hand()
    list(docking.dock("right", rows, **SAMPLE, engine=whole))
    expected = complexes.docked_sample("right", rows, **SAMPLE)
    first, second = vina_by_hand(stop_after=7), vina_by_hand()
    with pytest.raises(KeyboardInterrupt):
        list(docking.dock("left", rows, **SAMPLE, engine=first))
    with pytest.raises(MissingPoseError, match="python -m chemdl dock left"):
        complexes.docked_sample("left", rows, **SAMPLE)
    list(docking.dock("left", rows, **SAMPLE, engine=second))
    assert first.calls + second.calls == whole.calls and len(second.calls) > 3
    found = complexes.docked_sample("left", rows, **SAMPLE)
    assert (found.ligands, found.failed) == (expected.ligands, expected.failed)
    third = vina_by_hand()
    assert len(list(docking.dock("left", rows, **SAMPLE, engine=third))) >= 12
    assert third.calls == []


def test_failures_are_counted_and_replaced(vina_by_hand, rows) -> None:
    wanted = {"actives": 7, "decoys": 15, "seed": 3}
    failures = [f for _, f in docking.dock("left", rows, **wanted, engine=vina_by_hand()) if f]
    found = complexes.docked_sample("left", rows, **wanted)
    assert failures == ["by design"] * 2 and found.failed == {1: 1, 0: 1}
    assert [one.label for one in found.ligands] == [1] * 7 + [0] * 15
    with pytest.raises(DockingError, match="7 different actives"):
        list(docking.dock("left", rows, actives=8, decoys=1, seed=3, engine=vina_by_hand()))


def test_half_a_docking_holds_half_of_each_label(vina_by_hand, rows) -> None:
    engine = vina_by_hand(stop_after=6)
    with pytest.raises(KeyboardInterrupt):
        list(docking.dock("left", rows, **SAMPLE, engine=engine))
    actives = sum(smiles.endswith("N") for smiles in engine.calls)
    assert 2 <= actives <= 3


def test_without_the_extra_the_error_names_it(workbench, monkeypatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "vina", None)
    monkeypatch.setitem(sys.modules, "meeko", None)
    with pytest.raises(MissingExtraError, match="docking needs vina"):
        docking.vina(docking.receptor("left"))
    with pytest.raises(MissingExtraError, match="docking needs meeko"):
        docking.pdbqt("CCO")


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("vina", "meeko")),
    reason=f"Vina or Meeko is not installed. {advice('dock')}",
)
def test_vina_docks_into_a_pocket_and_finds_the_same_again(workbench, monkeypatch) -> None:
    monkeypatch.setattr(poses, "EVALUATIONS", 2_000)
    protein = docking.receptor("left")
    ligand = docking.pdbqt("OCc1ccccc1")
    found = [docking._pose(docking.vina(protein)(ligand)) for _ in range(2)]
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
    assert docking.pdbqt(ring) == docking.pdbqt(ring)
    assert "CG0" not in docking.pdbqt(ring)
