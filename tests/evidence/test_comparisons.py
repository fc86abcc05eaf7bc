"""From scores and predictions to intervals: hand-worked, oriented, never a crash."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats

from chemdl.evidence import statistics as stats
from chemdl.evidence.comparisons import (
    Evidence,
    against,
    compare,
    fold_differences,
    mean_score,
    task_differences,
    task_intervals,
)
from chemdl.evidence.result import Predictions

NOTHING = Predictions(np.zeros((1, 1)), {})


def rows(model: str, folds: Sequence[Any], metric: str = "roc_auc") -> list[dict[str, Any]]:
    """One row per fold: a score, or scores by task."""
    return [
        {
            "model": model,
            "condition": "all",
            "repeat": 0,
            "fold": fold,
            "n_train": 80,
            "n_test": 20,
            "values": {metric: dict(score) if isinstance(score, Mapping) else {"t": score}},
        }
        for fold, score in enumerate(folds)
    ]


def scored(*models: list[dict[str, Any]], unit: str = "fold", folds: int = 1) -> Evidence:
    """Scores without the predictions behind them."""
    return Evidence([row for model in models for row in model], NOTHING, unit, folds)


def without(evidence: Evidence, model: str, places: Sequence[tuple[int, int]]) -> Evidence:
    """Leave some of a model's replicas out."""
    kept = [r for r in evidence.scores
            if r["model"] != model or (r["repeat"], r["fold"]) not in places]  # fmt: skip
    return dataclasses.replace(evidence, scores=kept)


# --- resampled folds ------------------------------------------------------------------------------


@pytest.fixture
def by_hand() -> Evidence:
    """Absolute errors of two models on two folds of two and three rows."""
    targets = np.zeros((5, 1))
    errors = {"a": ([1.0, 2.0], [1.0, 3.0, 2.0]), "b": ([2.0, 5.0], [1.0, 2.0, 6.0])}
    arrays = {"test/0/0": np.array([0, 3]), "test/0/1": np.array([1, 2, 4])}
    scores = []
    for model, folds in errors.items():
        for fold, values in enumerate(folds):
            arrays[f"{model}/all/0/{fold}"] = np.array(values)[:, None]
        own = rows(model, [float(np.mean(values)) for values in folds], "mae")
        scores += [row | {"n_train": 4, "n_test": 1} for row in own]
    return Evidence(scores, Predictions(targets, arrays), "fold", 2)


def test_a_comparison_by_hand(by_hand: Evidence) -> None:
    found = compare(by_hand, "a", "b", "mae")
    # Differences b − a by row: fold 0: 1, 3, mean 2; fold 1: 0, −1, 4, mean 1.
    assert found["difference"] == pytest.approx(1.5)
    # Without one row the means are 3, 1 and 1.5, 2, −.5: they lose −1, 1 and −.5, −1, 1.5. Half of
    # each, over two folds, has the squares .25, .25, .0625, .25, .5625, whose sum is 1.375. By
    # moments it has 2 · 1.375² / (.5078 − 1.375²/5) = 29 degrees of freedom, by the sizes 4.
    by_rows = 5 / 4 * 1.375
    # The rows of a fold explain (2 + 3.5)/2, more than s² = .5: nothing is left for the fits.
    half = scipy_stats.t.ppf(0.975, 4) * math.sqrt(by_rows)
    assert (found["low"], found["high"]) == pytest.approx((1.5 - half, 1.5 + half))
    assert "influence values of 5 clusters pooled over 2 folds" in found["method"]
    assert (found["a"], found["b"], found["metric"], found["condition"]) == (
        "a", "b", "mae", "all",
    )  # fmt: skip
    assert found["detectable"] > 0
    # Of the methods: s² = .5, √((1/2 + 1/4) s²), t(.975; 1).
    methods = found["methods"]
    half = scipy_stats.t.ppf(0.975, 1) * math.sqrt(0.75 * 0.5)
    assert methods["value"] == pytest.approx(1.5)
    assert (methods["low"], methods["high"]) == pytest.approx((1.5 - half, 1.5 + half))
    assert "Nadeau" in methods["method"]


def test_what_fits_add_falls_off_with_the_shared_train_rows(by_hand: Evidence) -> None:
    """The second fold's differences as before, those of the first 9 and 11."""
    by_hand.predictions.arrays["b/all/0/0"][:] = [[10.0], [13.0]]
    by_hand.scores[2]["values"]["mae"]["t"] = 11.5
    found = compare(by_hand, "a", "b", "mae")
    # Means 10 and 1, s² = 40.5; the rows explain 2.75 of it as before, and n_test/n_train = 1/4.
    rows, fits = 5 / 4 * 1.375, (1 / 2 + 1 / 4) * (40.5 - 2.75)
    freedom = (rows + fits) ** 2 / (rows**2 / 4 + fits**2 / 1)
    half = scipy_stats.t.ppf(0.975, freedom) * math.sqrt(rows + fits)
    assert found["difference"] == pytest.approx(5.5)
    assert (found["low"], found["high"]) == pytest.approx((5.5 - half, 5.5 + half))


def test_a_cluster_is_left_out_as_one(by_hand: Evidence) -> None:
    """Without rows 1 and 2 the mean of the second fold is 4: they lose −3, row 4 loses 1.5."""
    known = dataclasses.replace(by_hand.predictions, clusters=np.array([0, 1, 1, 2, 3]))
    found = compare(dataclasses.replace(by_hand, predictions=known), "a", "b", "mae")
    # Half of −1, 1, −3 and 1.5 have the squares .25, .25, 2.25 and .5625: 3.3125 in all. By the
    # sizes there are 5²/7 − 1 degrees of freedom, by moments 2 · 3.3125² / (5.5039 − 3.3125²/4).
    freedom = 25 / 7 - 1
    assert freedom < 2 * 3.3125**2 / (5.50390625 - 3.3125**2 / 4)
    half = scipy_stats.t.ppf(0.975, freedom) * math.sqrt(4 / 3 * 3.3125)
    assert (found["low"], found["high"]) == pytest.approx((1.5 - half, 1.5 + half))


@pytest.mark.parametrize("metric", ["roc_auc", "pr_auc", "brier", "bedroc"])
def test_sides_change_the_sign_alone(make_evidence, metric: str) -> None:
    given = make_evidence({"a": 3.0, "b": 1.0}, metric=metric)
    one, other = compare(given, "a", "b", metric), compare(given, "b", "a", metric)
    assert one["difference"] > 0
    for found, against_it in ((one, other), (one["methods"], other["methods"])):
        assert (found["low"], found["high"]) == pytest.approx(
            (-against_it["high"], -against_it["low"])
        )


@pytest.mark.parametrize("metric", ["rmse", "mae", "r2"])
def test_the_better_model_has_a_positive_difference(make_evidence, metric: str) -> None:
    found = compare(make_evidence({"a": 0.3, "b": 0.6}, metric=metric), "a", "b", metric)
    assert 0 < found["low"] < found["difference"] < found["high"]
    assert found["methods"]["value"] == pytest.approx(found["difference"])


def test_the_ratio_is_that_of_the_fit(make_evidence) -> None:
    given = make_evidence({"a": 2.0, "b": 1.0})
    width = []
    for n_test in (8, 40):
        own = [row | {"n_train": 80, "n_test": n_test} for row in given.scores]
        methods = compare(dataclasses.replace(given, scores=own), "a", "b", "roc_auc")["methods"]
        width.append(methods["high"] - methods["low"])
    assert width[1] / width[0] == pytest.approx(math.sqrt((0.2 + 0.5) / (0.2 + 0.1)))


def test_clusters_are_pooled_whole(make_evidence) -> None:
    alone, grouped = (
        compare(make_evidence({"a": 2.0, "b": 1.0}, clusters=c), "a", "b", "roc_auc")
        for c in (None, np.arange(200) // 10)
    )
    assert alone["difference"] == pytest.approx(grouped["difference"])
    assert alone["methods"] == grouped["methods"]
    assert "of 200 clusters" in alone["method"] and "of 20 clusters" in grouped["method"]


def test_only_whole_repeats_count(make_evidence) -> None:
    whole = make_evidence({"a": 2.0, "b": 1.0}, repeats=2)
    first = Evidence([r for r in whole.scores if r["repeat"] == 0], whole.predictions, "fold", 5)
    # Of the second repeat one model lacks a fold.
    cut = without(whole, "b", [(1, 3)])
    assert cut.common("a", "b") == [(0, fold) for fold in range(5)]
    assert len(cut.common("a")) == 10
    assert compare(cut, "a", "b", "roc_auc") == compare(first, "a", "b", "roc_auc")
    assert compare(cut, "a", "b", "roc_auc") != compare(whole, "a", "b", "roc_auc")
    assert mean_score(cut, "b", "roc_auc") == mean_score(first, "b", "roc_auc")
    for differences in (task_differences, fold_differences):
        assert differences(cut, "a", "b", "roc_auc") == differences(first, "a", "b", "roc_auc")
    assert compare(without(first, "a", [(0, 0)]), "a", "b", "roc_auc") is None
    assert compare(whole, "a", "absent", "roc_auc") is None


def test_tasks_and_labels_that_are_missing_are_left_out(make_evidence) -> None:
    given = make_evidence({"a": 3.0, "b": 1.0}, tasks=3, measured=0.7)
    found = compare(given, "a", "b", "roc_auc")
    ours, theirs = (
        [r["values"]["roc_auc"] for r in given.scores if r["model"] == m] for m in ("a", "b")
    )
    by_fold = [np.mean([x[t] - y[t] for t in x]) for x, y in zip(ours, theirs, strict=True)]
    assert found["difference"] == pytest.approx(np.mean(by_fold))
    # In the first fold one task is undefined for one model: the others are its difference.
    theirs[0]["t1"] = None
    again = dataclasses.replace(given, scores=list(given.scores))
    by_fold[0] = np.mean([ours[0][t] - theirs[0][t] for t in ("t0", "t2")])
    assert compare(again, "a", "b", "roc_auc")["difference"] == pytest.approx(np.mean(by_fold))


def test_without_two_defined_folds_there_is_no_comparison(make_evidence) -> None:
    given = make_evidence({"a": 3.0, "b": 1.0})
    for row in given.scores:
        if row["model"] == "b" and row["fold"] > 0:
            row["values"]["roc_auc"]["t0"] = None
    assert compare(given, "a", "b", "roc_auc") is None


def test_conditions_are_compared_apart(make_evidence) -> None:
    given = make_evidence({"a": 3.0, "b": 1.0}, conditions=("all", "few"))
    every, few = (compare(given, "a", "b", "roc_auc", c) for c in ("all", "few"))
    assert (every["condition"], few["condition"]) == ("all", "few")
    assert every["difference"] != few["difference"]
    assert compare(given, "a", "b", "roc_auc", "fewer") is None


def test_every_model_against_the_reference_by_holm(make_evidence) -> None:
    given = make_evidence({"b": 1.0, "a": 2.5, "c": 1.4, "d": 1.0})
    found = against(given, "b", ["a", "b", "c", "d", "absent"], "roc_auc")
    assert [row["a"] for row in found] == ["a", "c", "d"]
    assert {row["b"] for row in found} == {"b"}
    p = np.array([row["p"] for row in found])
    np.testing.assert_allclose([row["p_holm"] for row in found], stats.holm(p))
    assert found[0]["p_holm"] == pytest.approx(3 * p.min())


# --- a fixed test set -----------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["molecule", "fold"])
def test_a_fixed_test_set_is_bootstrapped_over_its_units(make_evidence, unit: str) -> None:
    """Also where the study forgot to say so: seeds on one test set are no folds."""
    given = make_evidence({"a": 2.0, "b": 0.5}, n=120, folds=1, repeats=3, unit=unit)
    found = compare(given, "a", "b", "roc_auc")
    arrays = given.predictions.arrays
    a, b = (np.stack([arrays[f"{m}/all/{r}/0"] for r in range(3)]) for m in "ab")
    expected = stats.paired_bootstrap(given.predictions.targets[60:], a, b, "roc_auc")
    assert found["difference"] == pytest.approx(expected.difference)
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))
    assert "bootstrap" in found["method"] and found["methods"] is None
    means = [mean_score(given, m, "roc_auc") for m in "ab"]
    assert found["difference"] == pytest.approx(means[0] - means[1])


def test_clusters_are_drawn_whole(make_evidence) -> None:
    alone, grouped = (
        compare(make_evidence({"a": 2.0, "b": 0.5}, n=120, folds=1, repeats=3, unit="molecule",
                              clusters=c), "a", "b", "roc_auc")
        for c in (None, np.arange(120) // 10)
    )  # fmt: skip
    assert alone["difference"] == pytest.approx(grouped["difference"])
    assert alone["high"] != pytest.approx(grouped["high"])
    assert "units" in grouped["method"]


def test_another_test_set_in_each_repeat_is_refused(make_evidence) -> None:
    """A bootstrap over one set must not score one fold's predictions by another's labels."""
    changing = dataclasses.replace(make_evidence({"a": 2.0, "b": 0.5}, repeats=1), unit="molecule")
    with pytest.raises(ValueError, match="one fixed test set"):
        compare(changing, "a", "b", "roc_auc")


def test_a_test_set_with_one_class_gives_no_comparison(make_evidence) -> None:
    given = make_evidence({"a": 2.0, "b": 0.5}, folds=1, repeats=3, unit="molecule")
    given.predictions.targets[:] = 1
    for row in given.scores:
        row["values"]["roc_auc"]["t0"] = None
    assert compare(given, "a", "b", "roc_auc") is None


# --- several tasks and targets --------------------------------------------------------------------


def test_task_intervals_are_those_of_each_task_alone(make_evidence) -> None:
    models = {"a": 3.0, "b": 0.5}
    given = make_evidence(models, tasks=3, measured=0.8, unit="task")
    found = task_intervals(given, "a", "b", "roc_auc")
    assert list(found) == ["t0", "t1", "t2"]
    # By itself: the same labels, predictions and scores of one task.
    known = given.predictions
    arrays = {k: v if k.startswith("test/") else v[:, [1]] for k, v in known.arrays.items()}
    own = [row | {"values": {"roc_auc": {"t1": row["values"]["roc_auc"]["t1"]}}}
           for row in given.scores]  # fmt: skip
    alone = Evidence(own, Predictions(known.targets[:, [1]], arrays), "fold", 5)
    expected = compare(alone, "a", "b", "roc_auc")
    assert found["t1"].difference == pytest.approx(expected["difference"])
    # Rows without a label are nobody's cluster there.
    assert found["t1"].n == np.isfinite(known.targets[:, 1]).sum()


def test_tasks_of_a_fixed_test_set_are_bootstrapped(make_evidence) -> None:
    given = make_evidence({"a": 3.0, "b": 0.5}, tasks=2, folds=1, repeats=3, unit="task")
    given.predictions.targets[:, 1] = 1  # one class: nothing to say
    for row in given.scores:
        row["values"]["roc_auc"]["t1"] = None
    found = task_intervals(given, "a", "b", "roc_auc")
    assert list(found) == ["t0"]
    assert "bootstrap" in found["t0"].method and found["t0"].low > 0


def by_task(model: str, values: Sequence[float]) -> list[dict[str, Any]]:
    return rows(model, [{f"t{i}": v for i, v in enumerate(values)}], "rmse")


def test_many_tasks_give_one_difference_each() -> None:
    ours, theirs = [0.7, 0.6, 0.8, 0.5, 0.9, 0.65, 0.75], [0.8, 0.65, 0.95, 0.52, 0.91, 0.8, 0.8]
    found = compare(scored(by_task("a", ours), by_task("b", theirs), unit="task"), "a", "b", "rmse")
    expected = stats.wilcoxon(np.subtract(theirs, ours))
    assert (found["difference"], found["low"], found["high"]) == pytest.approx(
        (expected.difference, expected.low, expected.high)
    )
    assert found["low"] > 0 and found["methods"] is None


def test_left_out_targets_share_their_training_rows() -> None:
    """Their differences, each the mean over repeats, get the corrected interval with 1/(T − 1)."""
    ours, theirs = [0.8, 0.7, 0.9, 0.75, 0.65, 0.85], [0.6, 0.65, 0.8, 0.7, 0.7, 0.8]
    again = [row | {"repeat": 1} for row in rows("a", [0.9, *ours[1:]]) + rows("b", theirs)]
    given = scored(rows("a", ours), rows("b", theirs), again, unit="target", folds=6)
    found = compare(given, "a", "b", "roc_auc")
    differences = np.array([0.25, 0.05, 0.1, 0.05, -0.05, 0.05])
    error = math.sqrt((1 / 6 + 1 / 5) * differences.var(ddof=1))
    half = scipy_stats.t.ppf(0.975, 5) * error
    centre = differences.mean()
    assert found["difference"] == pytest.approx(centre)
    assert (found["low"], found["high"]) == pytest.approx((centre - half, centre + half))
    assert (found["methods"]["low"], found["methods"]["high"]) == (found["low"], found["high"])


@pytest.mark.parametrize("unit", ["task", "target"])
def test_fewer_than_six_give_no_interval(unit: str) -> None:
    few = [0.5, 0.4, 0.6, 0.3, 0.5]
    one = [by_task("a", few), by_task("b", [0.9] * 5)]
    folds = [rows("a", few, "rmse"), rows("b", [0.9] * 5, "rmse")]
    given = scored(
        *(one if unit == "task" else folds), unit=unit, folds=5 if unit == "target" else 1
    )
    assert compare(given, "a", "b", "rmse") is None


# --- means ----------------------------------------------------------------------------------------


def test_means_by_hand() -> None:
    given = scored(rows("a", [{"t": 0.9, "u": None}, {"t": 0.7, "u": 0.5}, {"t": None}]))
    assert mean_score(given, "a", "roc_auc") == pytest.approx((0.9 + 0.6) / 2)


def test_task_differences_by_hand() -> None:
    ours = rows("a", [{"t": 0.9, "u": 0.7, "v": None}, {"t": 0.7, "u": None, "v": None}])
    theirs = rows("b", [{"t": 0.8, "u": 0.5, "v": 0.5}, {"t": 0.8, "u": 0.9, "v": 0.5}])
    found = task_differences(scored(ours, theirs), "a", "b", "roc_auc")
    assert found == {"t": pytest.approx(0.0), "u": pytest.approx(0.2)}
