"""The whole way: a table, its report, its models, and predictions with them."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest

import chemdl
from chemdl.cli import main
from chemdl.settings import Settings
from chemdl.your_data import predict
from chemdl.your_data.answer import answer
from chemdl.your_data.model_folder import (
    MANIFEST,
    ModelFolder,
    ModelFolderError,
    load_models,
)
from chemdl.your_data.predict import predict_table
from chemdl.your_data.tables import TableError

QUICK = {"families": ("trivial", "any_input_linear", "any_input_neighbours", "any_input_net")}
SETTINGS = Settings(profile="full", device="cpu", trials=0, repeats=1)


@pytest.fixture(scope="module")
def written(esol, tmp_path_factory) -> tuple[Path, Path]:
    """Return a table with replicates and its report."""
    folder = tmp_path_factory.mktemp("mine")
    rows = [f"{s},{y:.2f}" for s, y in zip(esol.inputs, esol.targets[:, 0], strict=True)]
    rows += [
        f"{s},{y + 0.2:.2f}" for s, y in zip(esol.inputs[:20], esol.targets[:, 0], strict=False)
    ]
    (folder / "mine.csv").write_text("\n".join(["smiles,logS", *rows, "xx,1", "CCCCCCCl,>2"]))
    with pytest.MonkeyPatch.context() as patch:
        from chemdl.your_data import families

        small = {"hidden": (64,), "dropout": (0.0, 0.0), "epochs": 12}
        patch.setitem(families._NETS, "any_input_net", small)
        answer(folder / "mine.csv", folder / "report", SETTINGS, command="repeat me", **QUICK)
    return folder / "mine.csv", folder / "report"


@pytest.fixture
def models(written) -> ModelFolder:
    pytest.importorskip("skops")
    return load_models(written[1])


def test_the_report_opens_alone_and_says_what_was_found(written) -> None:
    page = (written[1] / "report.html").read_text("utf-8")
    assert "http://" not in page and 'src="http' not in page and "<script" not in page
    for words in ("prefers-color-scheme: dark", "@media print", "Where can it be trusted?",
                  "20 molecules measured more than once", "unparsable", "Cliffs", "repeat me",
                  "Butina", "$"):  # fmt: skip
        assert (words in page) == (words != "$"), words
    card = json.loads((written[1] / "answer.json").read_text("utf-8"))
    assert card["answer"].split()[0] in ("No:", "It", "Yes:")
    assert card["cleaning"]["unparsable"] == 1 and card["cleaning"]["censored"] == 1
    assert 0.7 < card["coverage"]["simple"][0] <= 1
    assert not (written[1] / "replicas").exists()


def test_predictions_keep_order_and_every_row(models, tmp_path: Path, esol) -> None:
    new = tmp_path / "new.csv"
    lines = ["name,smiles", f"a,{esol.inputs[0]}", "b,broken", "c,FS(F)(F)(F)(F)F", "d,CC.CO"]
    new.write_text("\n".join(lines))
    for side in ("simple", "deep"):
        counts = predict_table(models, new, tmp_path / f"{side}.csv.gz", side=side)
        with gzip.open(tmp_path / f"{side}.csv.gz", "rt") as stream:
            rows = list(csv.DictReader(stream))
        assert [row["name"] for row in rows] == ["a", "b", "c", "d"]
        assert float(rows[0]["logS low"]) < float(rows[0]["logS predicted"])
        assert rows[0]["similarity"] == "1" and rows[0]["warning"] == "was learned from"
        assert rows[1]["logS predicted"] == "" and rows[1]["warning"] == "SMILES cannot be read"
        assert rows[2]["domain"] == "outside"
        assert (counts.rows, counts.unparsable, counts.known) == (4, 1, 1)


def test_blocks_give_what_the_whole_gives(models, tmp_path: Path, esol, monkeypatch) -> None:
    new = tmp_path / "new.csv"
    new.write_text("\n".join(["smiles", *esol.inputs[:40]]))
    predict_table(models, new, tmp_path / "whole.csv")
    monkeypatch.setattr(predict, "BLOCK", 7)
    predict_table(models, new, tmp_path / "parts.csv")
    assert (tmp_path / "whole.csv").read_text() == (tmp_path / "parts.csv").read_text()


def test_parquet_is_written(models, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pandas as pd

    (tmp_path / "new.csv").write_text("smiles,logS predicted\nCCO,mine\nbroken,mine\n")
    predict_table(models, tmp_path / "new.csv", tmp_path / "out.parquet")
    frame = pd.read_parquet(tmp_path / "out.parquet")
    assert frame["logS predicted"].tolist() == ["mine", "mine"]
    assert np.isfinite(frame["logS predicted (chemdl)"][0])
    assert frame["warning"][1] == "SMILES cannot be read"


def test_an_altered_or_foreign_model_is_refused(written, models, tmp_path: Path) -> None:
    import shutil

    import skops.io

    copied = tmp_path / "report"
    shutil.copytree(written[1], copied)
    file = copied / "model" / "simple.skops"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(ModelFolderError, match=r"simple\.skops is missing or not the file"):
        load_models(copied)
    # With its hash in order, but made of something else than models.
    skops.io.dump(Path("/"), file)
    manifest = json.loads((copied / "model" / MANIFEST).read_text())
    manifest["sha256"]["simple.skops"] = __import__("hashlib").sha256(file.read_bytes()).hexdigest()
    (copied / "model" / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ModelFolderError, match="no part of a model"):
        load_models(copied)
    with pytest.raises(ModelFolderError, match="holds no models"):
        load_models(tmp_path)


def test_a_target_that_follows_molecular_weight_is_said_first(esol, tmp_path: Path) -> None:
    from chemdl.your_data.structures import structures

    weights = structures(list(esol.inputs)).weight
    rows = [f"{s},{w:.1f}" for s, w in zip(esol.inputs, weights, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["smiles,y", *rows]))
    families = ("trivial", "any_input_linear", "any_input_net")
    found = answer(tmp_path / "t.csv", tmp_path / "out", SETTINGS, families=families)
    assert "explained by the molecular weight alone" in found.beware
    before, _, _ = (tmp_path / "out" / "report.html").read_text("utf-8").partition("The models")
    assert "Beware" in before


def test_a_target_of_one_value_is_refused(esol, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("\n".join(["smiles,y", *(f"{s},1" for s in esol.inputs)]))
    assert main(["compare", str(tmp_path / "t.csv"), "--output", str(tmp_path / "out")]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_nothing_is_overwritten_and_nothing_half_written(written, tmp_path: Path) -> None:
    table, report = written
    with pytest.raises(TableError, match="exists"):
        answer(table, report, SETTINGS, **QUICK)
    (tmp_path / "bad.csv").write_text("smiles,y\nCCO,1\nCCN,n.d.\n")
    with pytest.raises(TableError, match="line 3, column 'y'"):
        answer(tmp_path / "bad.csv", tmp_path / "out", SETTINGS, targets=["y"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.csv"]


def test_the_commands(written, tmp_path: Path, esol, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    few = "\n".join(["smiles,y", *(f"{s},{i}" for i, s in enumerate(esol.inputs[:30]))])
    Path("few.csv").write_text(few)
    assert main(["compare", "few.csv", "--target", "y"]) == 0
    assert "Nothing can be decided on 30 molecules" in capsys.readouterr().out
    assert "Too few molecules" in Path("report/report.html").read_text("utf-8")
    assert main(["compare", "few.csv", "--target", "y"]) == 2
    assert main(["predict", "nowhere", "few.csv"]) == 2
    assert "holds no models" in capsys.readouterr().err


def test_the_command_to_predict(written, models, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("new.csv").write_text("smiles\nCCO\nbroken\n")
    assert main(["predict", str(written[1]), "new.csv"]) == 0
    assert "new-predicted.csv: 2 rows, 1 unparsable" in capsys.readouterr().out
    assert main(["predict", str(written[1]), "new.csv"]) == 2


def test_classes_are_compared_and_predicted(tmp_path: Path) -> None:
    bbbp = chemdl.load("bbbp").sample(120)
    rows = [f"{s},{y:.0f}" for s, y in zip(bbbp.inputs, bbbp.targets[:, 0], strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["smiles,passes", *rows]))
    families = ("trivial", "any_input_linear", "any_input_net")
    found = answer(tmp_path / "t.csv", tmp_path / "report", SETTINGS, families=families)
    assert found.comparison.result.metric == "roc_auc"
    assert "ROC-AUC" in (tmp_path / "report" / "report.html").read_text("utf-8")
    pytest.importorskip("skops")
    predict_table(load_models(tmp_path / "report"), tmp_path / "t.csv", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open() as stream:
        (first, *_) = csv.DictReader(stream)
    assert 0 <= float(first["P(passes)"]) <= 1
    assert first["passes classes"] in ("0", "1", "0 or 1", "neither")
