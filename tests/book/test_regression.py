"""The harness itself is tested: what must fail does, on stored cards and predictions."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from chemdl.book.calibration import distribution
from chemdl.book.regression import (
    NumberError,
    RegressionError,
    check_number,
    check_run,
    interval,
    report,
    value_of,
)
from chemdl.evidence.result import Predictions, read_result, write_result

STUDY = "tiny_random"
NUMBERS = [f"{STUDY}/deep_net/roc_auc", f"{STUDY}/forest/roc_auc"]
SIGNAL = {"deep_net": 1.2, "forest": 1.0, "mean": 0.0}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, write_card) -> dict:
    root = tmp_path_factory.mktemp("calibration")
    plain = [write_card(root / str(seed), seed, SIGNAL) for seed in range(1, 13)]
    without = dict.fromkeys(SIGNAL, 0.0) | {"deep_net": 1e-9, "forest": 1e-9}
    shuffled = [write_card(root / f"s{seed}", seed, without) for seed in range(1, 4)]
    return distribution("tiny", NUMBERS, plain, shuffled)


@pytest.fixture
def run_dir(tmp_path: Path, write_card) -> Path:
    return write_card(tmp_path / "cards", 0, SIGNAL)


def edit(folder: Path, change) -> None:
    path = folder / f"{STUDY}.json"
    card = json.loads(path.read_text())
    change(card)
    path.write_text(json.dumps(card))


def test_a_good_run_passes_and_reports_every_number(run_dir, expected):
    outcomes = check_run(run_dir, expected)
    assert {o.name for o in outcomes} == {STUDY, *NUMBERS}
    assert all(o.passed for o in outcomes)
    number = next(o for o in outcomes if o.name == NUMBERS[0])
    assert number.low < number.value < number.high
    assert "0 of 3 checks failed" in report("tiny", outcomes)


def test_expected_files_are_read_from_disk_too(run_dir, expected, tmp_path):
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(expected))
    assert check_run(run_dir, path) == check_run(run_dir, expected)


def test_zeroed_scores_fail_even_where_the_predictions_are_good(run_dir, expected):
    def zero(card):
        for row in card["scores"]:
            row["values"]["roc_auc"] = dict.fromkeys(row["values"]["roc_auc"], 0.0)

    edit(run_dir, zero)
    with pytest.raises(RegressionError, match="its predictions give"):
        check_run(run_dir, expected)


def test_a_dropped_fold_fails_though_its_other_scores_are_right(run_dir, expected):
    def drop(card):
        last = max((row["repeat"], row["fold"]) for row in card["scores"])
        card["scores"] = [row for row in card["scores"] if (row["repeat"], row["fold"]) != last]

    edit(run_dir, drop)
    with pytest.raises(RegressionError, match="folds are missing"):
        check_run(run_dir, expected)


def test_a_replica_with_a_seed_of_another_run_fails(run_dir, expected):
    def change(card):
        card["scores"][0]["seed"] += 1

    edit(run_dir, change)
    with pytest.raises(RegressionError, match="does not follow from the study's"):
        check_run(run_dir, expected)


def test_scores_of_zero_that_follow_from_the_predictions_fail(tmp_path, expected, write_card):
    inverted = write_card(tmp_path / "cards", 0, {"deep_net": -40.0, "forest": 1.0, "mean": 0.0})
    with pytest.raises(RegressionError, match=r"FAIL  tiny_random/deep_net.*0\.0000 in"):
        check_run(inverted, expected)


def test_the_trivial_model_in_a_deep_ones_place_fails(tmp_path, expected, write_card):
    folder = write_card(tmp_path / "cards", 0, SIGNAL | {"deep_net": 0.0})
    with pytest.raises(RegressionError, match=r"1 of 3 .*\nFAIL  tiny_random/deep_net") as caught:
        check_run(folder, expected)
    assert "ok    tiny_random/forest" in str(caught.value)


def test_a_card_from_other_data_fails(tmp_path, expected, write_card):
    folder = write_card(tmp_path / "cards", 0, SIGNAL, content="c" * 64)
    with pytest.raises(RegressionError, match="from other data"):
        check_run(folder, expected)


def test_a_missing_card_fails_with_all_its_numbers(tmp_path, expected):
    with pytest.raises(RegressionError, match="3 of 3 checks failed") as caught:
        check_run(tmp_path, expected)
    assert f"{STUDY}.json is missing" in str(caught.value)


def test_a_card_of_another_profile_fails(run_dir, expected):
    edit(run_dir, lambda card: card.update(profile="quick"))
    with pytest.raises(RegressionError, match="of profile quick, not smoke"):
        check_run(run_dir, expected)


def test_missing_and_changed_predictions_fail(run_dir, expected):
    file = run_dir / f"{STUDY}.npz"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"x")
    with pytest.raises(RegressionError, match="sha256"):
        check_run(run_dir, expected)
    file.unlink()
    with pytest.raises(RegressionError, match=f"{STUDY}.npz"):
        check_run(run_dir, expected)


def test_predictions_that_are_not_finite_fail(run_dir, expected):
    path = run_dir / f"{STUDY}.json"
    stored = read_result(path).predictions
    arrays = {name: array.copy() for name, array in stored.arrays.items()}
    arrays["deep_net/all/0/1"][3, 1] = np.nan
    write_result(json.loads(path.read_text()), Predictions(stored.targets, arrays), run_dir)
    with pytest.raises(RegressionError, match="nan"):
        check_run(run_dir, expected)


def test_scores_that_are_not_defined_never_pass(run_dir, expected):
    def undefined(card):
        card["scores"][0]["values"]["roc_auc"] = {"a": None, "b": None}

    edit(run_dir, undefined)
    result = read_result(run_dir / f"{STUDY}.json")
    assert np.isnan(value_of(result, NUMBERS[0]))
    assert not check_number(NUMBERS[0], result, expected).passed


def test_a_score_that_is_no_number_is_no_card(run_dir, expected):
    def broken(card):
        card["scores"][0]["values"]["roc_auc"] = {"a": float("nan"), "b": 0.8}

    edit(run_dir, broken)
    with pytest.raises(RegressionError, match="scores/0/values/roc_auc/a"):
        check_run(run_dir, expected)


def test_a_nan_in_the_expected_values_never_passes(run_dir, expected):
    broken = copy.deepcopy(expected)
    broken["numbers"][NUMBERS[0]]["values"][0] = float("nan")
    with pytest.raises((RegressionError, ValueError)):
        check_run(run_dir, broken)


def test_an_expected_file_without_numbers_does_not_pass(run_dir, expected):
    with pytest.raises(RegressionError):
        check_run(run_dir, expected | {"numbers": {}, "datasets": {}})


def test_unknown_models_and_metrics_name_the_near_misses(run_dir):
    result = read_result(run_dir / f"{STUDY}.json")
    with pytest.raises(NumberError, match="Did you mean 'forest'"):
        value_of(result, f"{STUDY}/forrest/roc_auc")
    with pytest.raises(NumberError, match="Known: roc_auc"):
        value_of(result, f"{STUDY}/forest/pr_auc")
    with pytest.raises(NumberError, match="study/model/metric"):
        value_of(result, "forest/roc_auc")


def test_the_interval_is_that_of_the_t_prediction_for_its_share_of_the_error():
    values = [0.70, 0.72, 0.74, 0.71, 0.73, 0.70, 0.75, 0.72, 0.71, 0.72]
    low, high = interval(values, numbers=1)
    # Two-sided 0.1 % with 9 degrees of freedom: 4.781 in any printed table of t.
    half = 4.781 * np.std(values, ddof=1) * np.sqrt(1 + 1 / 10)
    assert (low, high) == pytest.approx((0.72 - half, 0.72 + half), abs=1e-4)
    wider = interval(values, numbers=10)
    assert wider[0] < low and wider[1] > high
