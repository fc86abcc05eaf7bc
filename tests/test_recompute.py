"""Scores, intervals and verdicts are rebuilt without our code, and a changed number is noticed."""

from __future__ import annotations

import ast
import importlib.util
import json
import shutil
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "tests" / "recompute_evidence.py"
CARDS = ROOT / "data" / "results" / "full"
STORE = ROOT / "data" / "results" / "replicas"
# Folds, clusters, folds with several tasks, left-out targets, a fixed test set with seeds in both
# editions, and chains with a level.
STUDIES = (
    "steels_published", "bace_scaffold", "clintox_random", "dude_docking", "pdbbind_2016",
    "qian_sejnowski",
)  # fmt: skip


@pytest.fixture(scope="module")
def script() -> types.ModuleType:
    """The script, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("recompute_evidence", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_uses_nothing_of_the_package(script: types.ModuleType) -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(SCRIPT.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).split(".")[0])
    assert imported - set(sys.stdlib_module_names) == {"numpy", "scipy", "sklearn", "yaml"}


def test_recorded_results_are_rebuilt(
    script: types.ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for study in STUDIES:
        shutil.copy(CARDS / f"{study}.json", tmp_path)
    assert script.main(tmp_path) == 0, capsys.readouterr().out
    assert capsys.readouterr().out == "0 differences\n"


Change = Callable[[dict[str, Any]], None]
CHANGES: dict[str, tuple[str, Change]] = {
    "a score": (
        "rmse of ",
        lambda card: card["scores"][3]["values"]["rmse"].update({"yield_strength": 123.4}),
    ),
    "a number of rows": (
        "n_train of ('attention', 'all', 0, 2) is 249, in the store 225",
        lambda card: card["scores"][2].update(n_train=249),
    ),
    "a replica left out": (
        "stands in the card or in the store alone",
        lambda card: card["scores"].pop(),
    ),
    "an interval": (
        "'random_forest', 'rmse', 'all']: ",
        lambda card: card["comparisons"][-2].update(
            low=card["comparisons"][-2]["low"] * 1.01 - 0.1
        ),
    ),
    "an interval of the methods": (
        "of the methods",
        lambda card: card["verdicts"][0]["methods"].update(high=1e3),
    ),
    "a verdict": (
        "MBENCH-steels is reversed, recomputed ",
        lambda card: card["verdicts"][0].update(verdict="reversed"),
    ),
    "what the methods say": (
        "holds elsewhere: False, recomputed True",
        lambda card: card["verdicts"][0].update(holds_elsewhere=False),
    ),
    "a verdict taken out": (
        "MBENCH-steels stands in the claims or in the card alone",
        lambda card: card["verdicts"].clear(),
    ),
    "the reference": (
        "its reference is not that of the store",
        lambda card: card.update(reference="ridge"),
    ),
    "the rule left out": (
        "were not derived under this rule",
        lambda card: card.pop("judged_under"),
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_was_changed_is_noticed(script: types.ModuleType, tmp_path: Path, what: str) -> None:
    said, change = CHANGES[what]
    card = json.loads((CARDS / "steels_published.json").read_text("utf-8"))
    change(card)
    (tmp_path / "steels_published.json").write_text(json.dumps(card))
    found = script.check(tmp_path)
    assert len(found) >= 1 and all(said in line for line in found), found


def changed_store(folder: Path, study: str, file: str, change: Callable[[Any], None]) -> Path:
    """Copy a study of the store and change the arrays of one of its files."""
    shutil.copytree(STORE / study, folder / study)
    with np.load(folder / study / file) as stored:
        arrays = dict(stored)
    change(arrays)
    np.savez(folder / study / file, **arrays)
    return folder


def test_a_changed_prediction_moves_scores_intervals_and_the_exit(
    script: types.ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cards").mkdir()
    shutil.copy(CARDS / "steels_published.json", tmp_path / "cards")
    store = changed_store(
        tmp_path / "store",
        "steels_published",
        "preset/random_forest/all-0.npz",
        lambda arrays: arrays.update({"0": arrays["0"] + 5}),
    )
    assert script.main(tmp_path / "cards", store) == 1
    said = capsys.readouterr().out
    assert "its replicas are not those that the store has now" in said
    assert "('random_forest', 'all', 0, 0)" in said and "'random_forest', 'mae'" in said
    assert said.endswith(" differences\n")


def test_a_change_of_clusters_moves_intervals_on_this_data_set(
    script: types.ModuleType, tmp_path: Path
) -> None:
    """Scaffolds that fall apart move no score, and no interval of the methods."""
    (tmp_path / "cards").mkdir()
    shutil.copy(CARDS / "bace_scaffold.json", tmp_path / "cards")
    store = changed_store(
        tmp_path / "store",
        "bace_scaffold",
        "study.npz",
        lambda arrays: arrays.update(clusters=np.arange(len(arrays["targets"]))),
    )
    found = script.check(tmp_path / "cards", store)[1:]
    assert len(found) > 10
    assert not [line for line in found if "_auc of " in line or "of the methods" in line], found


def test_replicas_of_the_design_count_where_a_repeat_is_whole(
    script: types.ModuleType, tmp_path: Path
) -> None:
    """A whole repeat takes the place of the preset's; of four folds nothing counts."""
    (tmp_path / "cards").mkdir()
    shutil.copy(CARDS / "steels_published.json", tmp_path / "cards")
    shutil.copytree(STORE / "steels_published", tmp_path / "store" / "steels_published")
    design = tmp_path / "store" / "steels_published" / "design" / "ridge"
    design.mkdir(parents=True)
    with np.load(STORE / "steels_published" / "preset" / "ridge" / "all-0.npz") as stored:
        arrays = {name: stored[name] + 5 for name in stored.files if name != "content"}
        content = json.loads(stored["content"].item())
    for folds in (4, 5):
        replicas = dict(sorted(content["replicas"].items())[:folds])
        text = json.dumps(content | {"replicas": replicas})
        np.savez(design / "all-0.npz", content=text, **{fold: arrays[fold] for fold in replicas})
        moved = [line for line in script.check(tmp_path / "cards", tmp_path / "store")
                 if "('ridge', 'all', 0, 4): " in line]  # fmt: skip
        assert len(moved) == (2 if folds == 5 else 0)
