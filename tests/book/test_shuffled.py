"""A study that learns from shuffled labels must fail the regression: shown by refitting one."""

from __future__ import annotations

from pathlib import Path

import pytest

import chemdl
from chemdl.book.calibration import distribution
from chemdl.book.regression import RegressionError, check_run, value_of
from chemdl.book.run import run_chapters
from chemdl.evidence import splits
from chemdl.evidence.conditions import Condition
from chemdl.evidence.result import read_result
from chemdl.evidence.study import Study
from chemdl.molecules import baselines

NUMBER = "bace_small/logistic/roc_auc"
# The chapter's cell and the function below make the same study.
CELL = """
import chemdl
from chemdl.evidence import splits
from chemdl.molecules import baselines

settings = chemdl.read_settings(globals(), chapter="tiny")
dataset = chemdl.load("bace").sample(400, seed=0)
study = chemdl.Study(
    "bace_small", dataset=dataset,
    models={name: baselines.classifier(name) for name in ("logistic", "trivial")},
    protocol=splits.random(dataset, repeats=1, folds=3, seed=settings.seed),
    metrics=["roc_auc"], settings=settings,
)
study.run();
"""


def run_study(output: Path, seed: int, *conditions: Condition) -> Path:
    dataset = chemdl.load("bace").sample(400, seed=0)
    Study(
        "bace_small",
        chapter="tiny",
        dataset=dataset,
        models={name: baselines.classifier(name) for name in ("logistic", "trivial")},
        protocol=splits.random(dataset, repeats=1, folds=3, seed=seed),
        metrics=["roc_auc"],
        settings=chemdl.read_settings(
            {"profile": "smoke", "seed": seed, "device": "cpu", "output": str(output)}
        ),
        conditions=conditions or (Condition(),),
    ).run()
    return output / "cards"


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    root = tmp_path_factory.mktemp("shuffled")
    shuffled = Condition("all", shuffled=True)
    plain = [run_study(root / f"seed-{seed}", seed) for seed in range(1, 11)]
    permuted = [run_study(root / f"shuffled-{seed}", seed, shuffled) for seed in (1, 2, 3)]
    return distribution("tiny", [NUMBER], plain, permuted)


def test_the_shuffled_labels_score_is_chance_and_the_plain_one_is_not(expected):
    number = expected["numbers"][NUMBER]
    assert abs(number["shuffled"] - 0.5) < 0.08
    assert number["trivial"] == 0.5
    assert number["mean"] > 0.7


def test_a_new_seed_passes(expected, tmp_path):
    assert check_run(run_study(tmp_path, 0), expected)


def test_a_refit_with_shuffled_labels_fails(expected, tmp_path):
    cards_dir = run_study(tmp_path, 0, Condition("all", shuffled=True))
    with pytest.raises(RegressionError, match="FAIL  bace_small/logistic/roc_auc: outside"):
        check_run(cards_dir, expected)


def test_a_chapters_studies_learn_from_shuffled_labels_where_it_is_asked(
    expected, tmp_path, make_chapter
):
    chapter = make_chapter(CELL)
    run_chapters([chapter], profile="smoke", device="cpu", output=tmp_path / "out", shuffled=True)
    cards_dir = tmp_path / "out" / "cards"
    assert abs(value_of(read_result(cards_dir / "bace_small.json"), NUMBER) - 0.5) < 0.12
    with pytest.raises(RegressionError):
        check_run(cards_dir, expected)
