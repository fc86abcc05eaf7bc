"""Findings about a table: each with its count, examples with lines, and a remedy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import chemdl
from chemdl.cli import main
from chemdl.your_data.check import check


def written(folder: Path, *lines: str, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def found(path: Path, **options):
    return {finding.name: finding for finding in check(path, **options).findings}


@pytest.fixture(scope="module")
def esol() -> chemdl.data.Dataset:
    return chemdl.load("esol").sample(200)


def of(esol, y, folder: Path) -> Path:
    rows = [f"{s},{v}" for s, v in zip(esol.inputs, y, strict=True)]
    return written(folder, "smiles,y", *rows)


def test_molecules_are_looked_at(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "smiles,y",
        "CCO,1.0",
        "OCC,1.0",
        "CCN,2.0",
        "NCC,2.5",
        "C[C@H](N)O,1",
        "C[C@@H](N)O,2",
        "CC.Cl,3",
        "C1CC,4",
    )
    known = found(path)
    assert known["unparsable"].count == 1 and "line 9" in known["unparsable"].examples[0]
    assert known["salts and mixtures"].count == 1
    assert known["duplicates that agree"].count == 1
    assert known["duplicates that differ"].count == 1
    assert "lines 4, 5: 2, 2.5" in known["duplicates that differ"].examples[0]
    assert known["stereoisomers"].count == 1
    assert known["few molecules"].is_problem


def test_targets_are_looked_at(esol, tmp_path: Path) -> None:
    y = 10 ** esol.targets[:, 0] * 1e6
    lines = [f"{s},{v:.6g}" for s, v in zip(esol.inputs, y, strict=True)]
    lines[0] = lines[0].split(",")[0] + ",>1000"
    lines[1] = lines[1].split(",")[0] + ",n.d."
    for i in range(50, 90):
        lines[i] = lines[i].split(",")[0] + ",0.0001"
    known = found(written(tmp_path, "smiles,y", *lines))
    assert known["censored"].count == 1 and known["censored"].examples == ("line 2: >1000",)
    assert known["no numbers"].examples == ("line 3",)
    assert known["wants a logarithm"].is_problem
    assert known["pile at the floor"].count == 40


def test_a_target_that_follows_weight_or_scaffold_is_named(esol, tmp_path: Path) -> None:
    from chemdl.your_data.structures import structures

    known = structures(list(esol.inputs))
    assert found(of(esol, known.weight, tmp_path))["follows the molecular weight"].is_problem
    names, codes = np.unique(known.scaffolds, return_inverse=True)
    by_scaffold = np.random.default_rng(0).normal(size=len(names))[codes]
    said = found(of(esol, by_scaffold, tmp_path))
    assert said["follows the scaffold"].is_problem and "follows the molecular weight" not in said
    shuffled = np.random.default_rng(0).permutation(esol.targets[:, 0])
    assert not any(name.startswith("follows") for name in found(of(esol, shuffled, tmp_path)))


def test_classes_time_and_units_are_looked_at(tmp_path: Path) -> None:
    rows = [
        f"{'C' * (i + 1)},{int(i < 5)},20{10 + i % 10}-01-01,{'nM' if i else 'uM'}"
        for i in range(60)
    ]
    known = found(written(tmp_path, "smiles,y,date,unit", *rows), targets=["y"], date="date")
    assert known["class balance"].count == 5 and known["class balance"].is_problem
    assert known["mixed units"].is_problem
    assert "not in the order of time" in known["time"].text


def test_new_molecules_are_compared_with_the_table(esol, tmp_path: Path) -> None:
    path = of(esol, esol.targets[:, 0], tmp_path)
    near = written(tmp_path, "smiles", *esol.inputs[:30], name="near.csv")
    far = written(tmp_path, "smiles", *["[Na+].[Cl-]", "FS(F)(F)(F)(F)F"] * 10, name="far.csv")
    assert found(path, new=near)["similarity to the new molecules"].count == 0
    assert found(path, new=far)["similarity to the new molecules"].is_problem


def test_the_command_says_by_its_status_whether_the_table_is_clean(
    esol, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean = of(esol, esol.targets[:, 0].round(2), tmp_path)
    assert main(["check", str(clean)]) == 0
    assert "SMILES: column 'smiles', guessed" in capsys.readouterr().out
    dirty = written(tmp_path, "smiles,y", "CCO,1", "xx,2", name="dirty.csv")
    assert main(["check", str(dirty)]) == 1
    assert "line 3: 'xx'" in capsys.readouterr().out
    broken = written(tmp_path, "smiles,y", "CCO,1,2", name="broken.csv")
    assert main(["check", str(broken)]) == 2
    assert capsys.readouterr().err.startswith("chemdl: broken.csv line 2 has 3 cells")
