"""The command that docks ligands."""

from __future__ import annotations

from chemdl import cli
from chemdl.screening import docking, poses


def test_the_command_docks_reports_and_refuses(
    vina_by_hand, rows, monkeypatch, tmp_path, capsys
) -> None:
    monkeypatch.setattr(docking, "vina", vina_by_hand())
    for name, label in (("actives", 1), ("decoys", 0)):
        (tmp_path / name).mkdir()
        text = "".join(f"{smiles} 1\n" for smiles, y in rows if y == label)
        (tmp_path / name / f"left_{name}_final.ism").write_text(text)
    arguments = ["--actives", "4", "--decoys", "8", "--ligands", str(tmp_path)]
    assert cli.main(["dock", "left", *arguments]) == 0
    assert "left: 12 poses" in capsys.readouterr().out
    assert poses.path_of("left").with_suffix(".npz").is_file()
    assert cli.main(["dock", "leftt", *arguments]) == 2
    assert "Did you mean 'left'" in capsys.readouterr().err
    assert cli.main(["dock", "right", *arguments]) == 2
    assert "--ligands" in capsys.readouterr().err
