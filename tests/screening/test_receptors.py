"""Receptors and boxes: what is read from their files, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from chemdl.data import UnavailableError
from chemdl.screening import receptors
from chemdl.screening.receptors import DockingError


def test_a_receptor_and_its_box_are_read(workbench) -> None:
    found = receptors.receptor("left")
    assert found.title == "the left bowl"
    assert (found.center, found.size) == ((1.0, -2.5, 0.0), (20.0, 21.5, 22.0))
    assert found.atoms.types.tolist() == workbench.types
    np.testing.assert_allclose(found.atoms.xyz, workbench.xyz, atol=1e-6)
    assert found.atoms.elements[:8].tolist() == ["C", "C", "N", "N", "O", "S", "H", "Zn"]
    assert len(found.atoms.heavy()) == 35 and found.path.is_file()


def test_a_registered_receptor_is_fetched_from_its_archive_and_is_large(tmp_path, monkeypatch):
    monkeypatch.setenv("CHEMDL_CACHE", str(tmp_path))
    try:
        found = receptors.receptor("gcr", progress=False)
    except UnavailableError as error:
        pytest.skip(f"the archive cannot be had here: {error}")
    assert len(found.atoms) == 2460
    assert found.size == (30.0, 30.0, 30.0)
    # The box lies inside the protein.
    assert (np.abs(found.atoms.xyz - found.center).min(0) < 1.0).all()
    assert {"C", "N", "O", "S", "H"} <= set(found.atoms.elements)


def test_every_target_has_ligands_in_one_of_the_sets() -> None:
    assert receptors.targets("dude") == ["akt1", "cp3a4", "gcr"]
    assert set(receptors.targets("dud")) | set(receptors.targets("dude")) == set(
        receptors.targets()
    )
    with pytest.raises(DockingError, match="Did you mean 'akt1'"):
        receptors.receptor("akt2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("REMARK empty\n", "holds no atom"),
        ("ATOM      1  C   LIG     1      1.000   x.000   1.000  1.00  0.00     0.000 C \n",
         "no coordinates"),
        ("ATOM      1  X   LIG     1      1.000   1.000   1.000  1.00  0.00     0.000 Xy\n",
         "unknown AutoDock atom types Xy"),
    ],
)  # fmt: skip
def test_what_is_no_pdbqt_file_is_refused(text: str, message: str) -> None:
    with pytest.raises(DockingError, match=message):
        receptors.read_pdbqt(text)


def test_an_acceptor_nitrogen_is_no_sodium() -> None:
    atoms = receptors.atoms(["NA", "N", "A", "SA", "Cl", "BR"], np.zeros((6, 3)))
    assert atoms.elements.tolist() == ["N", "N", "C", "S", "Cl", "Br"]


@pytest.mark.parametrize("change", [("size_y = 21.5", ""), ("size_x = 20", "size_x = -1"),
                                    ("center_x = 1.0", "center_x = here")])  # fmt: skip
def test_half_a_box_is_refused(change: tuple[str, str]) -> None:
    text = "center_x = 1.0\ncenter_y = 2\ncenter_z = 0\nsize_x = 20\nsize_y = 21.5\nsize_z = 22\n"
    assert receptors.read_box(text)[1] == (20.0, 21.5, 22.0)
    with pytest.raises(DockingError, match="box"):
        receptors.read_box(text.replace(*change))
