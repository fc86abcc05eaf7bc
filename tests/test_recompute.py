"""Scores, intervals and verdicts are rebuilt without our code, and a changed number is noticed."""

from __future__ import annotations

import ast
import importlib.util
import json
import shutil
import sys
import types
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chemdl.evidence.judging import judged
from chemdl.evidence.result import Result, read_result, write_result

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "tests" / "recompute_evidence.py"
RESULTS = ROOT / "data" / "results" / "full"
# Folds, folds with several tasks, left-out targets, a fixed test set with seeds, and a level.
STUDIES = ("steels_published", "clintox_random", "dude_docking", "pdbbind_2016", "qian_sejnowski")


@pytest.fixture(scope="module")
def script() -> types.ModuleType:
    """The script, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("recompute_evidence", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def unit_of(result: Result) -> str:
    """Return the unit of resampling; cards of the first rule do not say it."""
    if result.card.judged_under is not None:
        return result.card.unit
    if result.leaves_targets_out:
        return "target"
    return "fold" if result.card.protocol.folds > 1 else "molecule"


@pytest.fixture(scope="module")
def derived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recorded results with the comparisons and verdicts that follow under today's rule."""
    folder = tmp_path_factory.mktemp("derived")
    for study in STUDIES:
        result = read_result(RESULTS / f"{study}.json")
        often = Counter(row.b for row in result.comparisons).most_common(1)
        content = result.card.model_dump(mode="json", exclude={"predictions"})
        content |= {"schema_version": 2, "unit": unit_of(result)}
        content["reference"] = content["reference"] or often[0][0]
        known = result.predictions
        if study == "steels_published":  # as if the protocol had kept neighbours together
            known = replace(known, clusters=np.arange(len(known.targets)) // 3)
        write_result(judged(content, known), known, folder)
    return folder


def test_it_uses_nothing_of_the_package(script: types.ModuleType) -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(SCRIPT.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).split(".")[0])
    assert imported - set(sys.stdlib_module_names) == {"numpy", "scipy", "sklearn", "yaml"}


def test_recorded_results_are_rebuilt(
    script: types.ModuleType, derived: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main(derived) == 0, capsys.readouterr().out
    assert capsys.readouterr().out == "0 differences\n"


Change = Callable[[dict[str, Any]], None]
CHANGES: dict[str, tuple[str, Change]] = {
    "a score": (
        "rmse of ",
        lambda card: card["scores"][3]["values"]["rmse"].update({"yield_strength": 123.4}),
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
    "a verdict taken out": (
        "MBENCH-steels stands in the claims or in the card alone",
        lambda card: card["verdicts"].clear(),
    ),
    "the rule left out": (
        "were not derived under this rule",
        lambda card: card.pop("judged_under"),
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_was_changed_is_noticed(
    script: types.ModuleType, derived: Path, tmp_path: Path, what: str
) -> None:
    said, change = CHANGES[what]
    card = json.loads((derived / "steels_published.json").read_text("utf-8"))
    change(card)
    shutil.copy(derived / "steels_published.npz", tmp_path)
    (tmp_path / "steels_published.json").write_text(json.dumps(card))
    found = script.check(tmp_path)
    assert len(found) >= 1 and all(said in line for line in found), found


def test_a_changed_prediction_moves_scores_intervals_and_the_exit(
    script: types.ModuleType, derived: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(derived / "steels_published.json", tmp_path)
    with np.load(derived / "steels_published.npz") as stored:
        arrays = dict(stored)
    arrays["random_forest/all/0/0"] = arrays["random_forest/all/0/0"] + 5
    np.savez(tmp_path / "steels_published.npz", **arrays)
    assert script.main(tmp_path) == 1
    said = capsys.readouterr().out
    assert "('random_forest', 'all', 0, 0)" in said and "'random_forest', 'mae'" in said
    assert said.endswith(" differences\n")
