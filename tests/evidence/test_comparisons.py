"""From scores and predictions to intervals and verdicts: hand-worked, oriented, never a crash."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from chemdl.evidence import claims, metrics
from chemdl.evidence import statistics as stats
from chemdl.evidence.comparisons import (
    Evidence,
    against,
    compare,
    judge,
    mean_score,
    task_differences,
)
from chemdl.evidence.result import Predictions

NOTHING = Predictions(np.zeros((1, 1)), {})


def rows(
    model: str,
    folds: Sequence[Any],
    *,
    metric: str = "roc_auc",
    n_train: int = 80,
    n_test: int = 20,
    condition: str = "all",
) -> list[dict[str, Any]]:
    """One row per fold: a score, or scores by task."""
    out = []
    for fold, score in enumerate(folds):
        values = score if isinstance(score, Mapping) else {"t": score}
        known = [v for v in values.values() if v is not None]
        out.append(
            {
                "model": model,
                "condition": condition,
                "repeat": 0,
                "fold": fold,
                "seed": 0,
                "n_train": n_train,
                "n_test": n_test,
                "value": float(np.mean(known)) if known else None,
                "values": {metric: dict(values)},
                "fit_seconds": 1.0,
                "predict_seconds": 0.1,
                "stack_size": 1,
            }
        )
    return out


A, B = [0.81, 0.83, 0.82, 0.84, 0.80], [0.80] * 5


def evidence(*models: list[dict[str, Any]]) -> Evidence:
    return Evidence([row for model in models for row in model], NOTHING)


def claim(kind: str = "difference", reported=(None, None, None), **test: Any) -> claims.Claim:
    """A claim of this kind, tested by ``a`` against ``b`` unless told otherwise."""
    fields = {"study": "tiny", "a": "a", "b": "b", "metric": "roc_auc", "unit": "fold",
              "fidelity": "exact", **test}  # fmt: skip
    some = next(iter(claims.load_claims().values()))
    a, b, difference = reported
    return some.model_copy(
        update={
            "id": "TINY-01",
            "kind": kind,
            "reported": claims.Reported(a=a, b=b, difference=difference),
            "test": claims.Test(**fields),
            "reason": None,
        }
    )


# --- comparisons ----------------------------------------------------------------------------------


def test_a_comparison_by_hand() -> None:
    found = compare(evidence(rows("a", A), rows("b", B)), "a", "b", "roc_auc")
    # Differences .01 .03 .02 .04 .00: mean .02, s² = .00025, √((1/5 + 20/80) s²), t(.975; 4).
    half = 2.7764451 * math.sqrt(0.45 * 0.00025)
    assert found["difference"] == pytest.approx(0.02)
    assert (found["low"], found["high"]) == pytest.approx((0.02 - half, 0.02 + half))
    assert (found["a"], found["b"], found["metric"], found["condition"]) == (
        "a", "b", "roc_auc", "all",
    )  # fmt: skip
    assert "Nadeau" in found["method"]
    assert found["detectable"] > 0


def test_sides_change_the_sign_alone() -> None:
    given = evidence(rows("a", A), rows("b", B))
    one, other = compare(given, "a", "b", "roc_auc"), compare(given, "b", "a", "roc_auc")
    assert other["difference"] == pytest.approx(-one["difference"])
    assert (other["low"], other["high"]) == pytest.approx((-one["high"], -one["low"]))


@pytest.mark.parametrize("metric", ["rmse", "mae", "brier"])
def test_a_lower_error_is_a_positive_difference(metric: str) -> None:
    worse = rows("b", [1.0, 1.1, 1.2], metric=metric)
    better = rows("a", [0.8, 0.9, 1.1], metric=metric)
    found = compare(evidence(better, worse), "a", "b", metric)
    assert found["difference"] == pytest.approx(0.5 / 3)


def test_the_ratio_is_that_of_the_fit() -> None:
    narrow, wide = (
        compare(evidence(rows("a", A, n_test=n), rows("b", B, n_test=n)), "a", "b", "roc_auc")
        for n in (8, 40)
    )
    spread = [found["high"] - found["low"] for found in (narrow, wide)]
    assert spread[1] / spread[0] == pytest.approx(math.sqrt((0.2 + 0.5) / (0.2 + 0.1)))


def test_only_common_replicas_and_defined_tasks_count() -> None:
    ours = rows("a", [{"t": 0.9, "u": None}, {"t": 0.7, "u": 0.8}, {"t": 0.9, "u": 0.9}, 0.99])
    theirs = rows("b", [{"t": 0.8, "u": 0.1}, {"t": None, "u": 0.6}, {"t": 0.6, "u": 0.8}])
    found = compare(evidence(ours, theirs), "a", "b", "roc_auc")
    # By fold: t alone .1; u alone .2; both (.3 + .1) / 2; the fourth has no partner.
    assert found["difference"] == pytest.approx((0.1 + 0.2 + 0.2) / 3)


def test_without_two_defined_folds_there_is_no_comparison() -> None:
    undefined = rows("b", [None, 0.8, None])
    assert compare(evidence(rows("a", A), undefined), "a", "b", "roc_auc") is None
    assert compare(evidence(rows("a", A), []), "a", "b", "roc_auc") is None
    assert compare(evidence(rows("a", A), rows("b", B)), "a", "b", "roc_auc", "few") is None


def test_conditions_are_compared_apart() -> None:
    few = [*rows("a", B, condition="few"), *rows("b", A, condition="few")]
    given = evidence(rows("a", A), rows("b", B), few)
    assert compare(given, "a", "b", "roc_auc")["difference"] == pytest.approx(0.02)
    assert compare(given, "a", "b", "roc_auc", "few")["difference"] == pytest.approx(-0.02)


def test_every_model_against_the_reference_by_holm() -> None:
    rng = np.random.default_rng(0)
    scores = {name: 0.8 + shift + 0.01 * rng.normal(size=10)
              for name, shift in (("b", 0.0), ("a", 0.03), ("c", 0.01), ("d", 0.0))}  # fmt: skip
    given = evidence(*(rows(name, list(values)) for name, values in scores.items()))
    found = against(given, "b", ["a", "b", "c", "d"], "roc_auc")
    assert [row["a"] for row in found] == ["a", "c", "d"]
    assert {row["b"] for row in found} == {"b"}
    p = np.array([row["p"] for row in found])
    np.testing.assert_allclose([row["p_holm"] for row in found], stats.holm(p))
    assert found[0]["p_holm"] == pytest.approx(3 * p.min())


def test_a_model_without_replicas_is_left_out() -> None:
    found = against(evidence(rows("a", A), rows("b", B)), "b", ["a", "b", "absent"], "roc_auc")
    assert [row["a"] for row in found] == ["a"]


# --- a fixed test set -----------------------------------------------------------------------------


def fixed_set(
    n: int = 60, seeds: int = 3, groups: np.ndarray | None = None, test_rows: Any = None
) -> Evidence:
    """Predictions of two models for one test set by several seeds; a is better."""
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, (n, 1)).astype(np.float32)
    arrays: dict[str, np.ndarray] = {}
    scores = []
    for repeat in range(seeds):
        test = np.arange(20, n) if test_rows is None else test_rows[repeat]
        arrays[f"test/{repeat}/0"] = test
        for model, strength in (("a", 2.0), ("b", 0.3)):
            raw = strength * targets[test] + rng.normal(size=(len(test), 1))
            arrays[f"{model}/all/{repeat}/0"] = 1 / (1 + np.exp(-raw))
            auc = metrics.score_tasks("roc_auc", targets[test], raw)[0]
            scores += [{**rows(model, [float(auc)])[0], "repeat": repeat}]
    return Evidence(scores, Predictions(targets, arrays), "molecule", groups)


def test_a_fixed_test_set_is_bootstrapped_over_its_units() -> None:
    given = fixed_set()
    found = compare(given, "a", "b", "roc_auc")
    arrays = given.predictions.arrays
    a, b = (np.stack([arrays[f"{m}/all/{r}/0"] for r in range(3)]) for m in "ab")
    targets = given.predictions.targets[20:]
    expected = stats.paired_bootstrap(targets, a, b, "roc_auc")
    assert found["difference"] == pytest.approx(expected.difference)
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))
    assert "bootstrap" in found["method"]
    means = [np.mean([r["value"] for r in given.scores if r["model"] == m]) for m in "ab"]
    assert found["difference"] == pytest.approx(means[0] - means[1])


def test_groups_are_drawn_whole() -> None:
    alone, grouped = (
        compare(fixed_set(groups=g), "a", "b", "roc_auc") for g in (None, np.arange(60) // 10)
    )
    assert alone["difference"] == pytest.approx(grouped["difference"])
    assert alone["high"] != pytest.approx(grouped["high"])
    assert "units" in grouped["method"]


def test_another_test_set_in_each_repeat_is_refused() -> None:
    """A bootstrap over one set must not score one fold's predictions by another's labels."""
    changing = fixed_set(test_rows=[np.arange(0, 40), np.arange(10, 50), np.arange(20, 60)])
    with pytest.raises(ValueError, match="one fixed test set"):
        compare(changing, "a", "b", "roc_auc")


def test_a_test_set_with_one_class_gives_no_comparison() -> None:
    given = fixed_set()
    given.predictions.targets[:] = 1
    for row in given.scores:
        row["values"]["roc_auc"]["t"] = None
    assert compare(given, "a", "b", "roc_auc") is None


# --- verdicts -------------------------------------------------------------------------------------


def judged(claim: claims.Claim, *models, profile: str = "full") -> dict[str, Any]:
    return judge(claim, evidence(*models), profile)[0]


@pytest.mark.parametrize(
    ("shift", "difference", "expected"),
    [
        (0.04, None, "confirmed"),
        (0.04, 0.04, "confirmed"),
        (0.04, 0.20, "smaller"),
        (-0.04, 0.04, "reversed"),
        (0.0, 0.04, "equivalent"),
    ],
)
def test_a_difference_is_judged_by_its_interval(
    shift: float, difference: float | None, expected: str
) -> None:
    noise = np.array([-0.002, 0.001, 0.0, 0.002, -0.001])
    ours, theirs = rows("a", list(0.8 + shift + noise)), rows("b", B)
    verdict, comparison = judge(claim(reported=(None, None, difference)), evidence(ours, theirs),
                                "full")  # fmt: skip
    assert (verdict["claim"], verdict["verdict"]) == ("TINY-01", expected)
    assert verdict["estimate"]["value"] == pytest.approx(shift, abs=1e-9)
    assert (verdict["estimate"]["low"], verdict["estimate"]["high"]) == (
        comparison["low"], comparison["high"],
    )  # fmt: skip
    assert verdict["provisional"] is False


def test_the_margin_is_the_metrics_or_the_claims_own() -> None:
    noise = [0.005, -0.005, 0.004, -0.004, 0.0]
    ours, theirs = rows("a", [0.8 + e for e in noise]), rows("b", B)
    assert judged(claim(), ours, theirs)["verdict"] == "equivalent"
    assert judged(claim(margin=0.003), ours, theirs)["verdict"] == "undecided"
    # Three per cent of an error of 10 is 0.3.
    errors = {"metric": "rmse"}
    ours = rows("a", [10 + 20 * e for e in noise], **errors)
    assert judged(claim(**errors), ours, rows("b", [10.0] * 5, **errors))["verdict"] == "equivalent"
    ours = rows("a", [1 + 20 * e for e in noise], **errors)
    assert judged(claim(**errors), ours, rows("b", [1.0] * 5, **errors))["verdict"] == "undecided"


@pytest.mark.parametrize(
    ("fidelity", "profile", "provisional"),
    [("exact", "full", False), ("near", "full", False), ("stand-in", "full", True),
     ("exact", "quick", True)],
)  # fmt: skip
def test_verdicts_outside_the_tally_are_provisional(
    fidelity: str, profile: str, provisional: bool
) -> None:
    found = judged(claim(fidelity=fidelity), rows("a", A), rows("b", B), profile=profile)
    assert found["provisional"] is provisional
    assert found["fidelity"] == fidelity


@pytest.mark.parametrize("kind", ["difference", "count", "level"])
@pytest.mark.parametrize("folds", [1, 5, 6])
def test_less_than_a_whole_repeat_is_provisional(kind: str, folds: int) -> None:
    fields: dict[str, Any] = {"fidelity": "near"} | ({"b": None} if kind == "level" else {})
    given = evidence(rows("a", A), rows("b", B))
    full = dataclasses.replace(given, folds=folds)
    found, _ = judge(claim(kind, (0.8, 0.7, 0.1), **fields), full, "full")
    assert found["provisional"] is (len(A) < folds)
    assert (f"{len(A)} of {folds} folds" in found["reason"]) is (len(A) < folds)


@pytest.mark.parametrize("kind", ["difference", "count", "level"])
def test_a_claim_on_a_model_that_did_not_run_is_not_run(kind: str) -> None:
    verdict, comparison = judge(
        claim(kind, (0.8, 0.7, 0.1), a="deep_net"), evidence(rows("b", B)), "full"
    )
    assert verdict["verdict"] == "not run"
    assert "deep_net" in verdict["reason"]
    assert verdict["estimate"] is None
    assert comparison is None


@pytest.mark.parametrize("kind", ["difference", "count", "level"])
def test_a_claim_on_a_metric_that_was_not_scored_is_not_run(kind: str) -> None:
    fields: dict[str, Any] = {"metric": "accuracy"} | ({"b": None} if kind == "level" else {})
    found = judged(claim(kind, (0.8, None, None), **fields), rows("a", A), rows("b", B))
    assert found["verdict"] == "not run"
    assert "accuracy" in found["reason"]


def test_an_undefined_metric_is_not_run() -> None:
    nothing = rows("b", [None] * 5)
    for kind in ("difference", "count"):
        found = judged(claim(kind), rows("a", A), nothing)
        assert found["verdict"] == "not run"
        assert "undefined" in found["reason"]


def count_of(wins: int, of: int, reported=(11.0, 4.0, None)) -> dict[str, Any]:
    ours = {f"t{i}": 0.9 if i < wins else 0.7 for i in range(of)}
    theirs = dict.fromkeys(ours, 0.8)
    return judged(claim("count", reported), rows("a", [ours] * 2), rows("b", [theirs] * 2))


def test_a_count_is_judged_by_our_own_count() -> None:
    found = count_of(12, 12)
    assert found["verdict"] == "confirmed"
    assert found["reason"] == "a wins 12 of 12 tasks"
    low, high = stats.wilson(12, 12)
    assert found["estimate"] == {
        "value": 1.0, "low": low, "high": high, "method": found["estimate"]["method"],
    }  # fmt: skip
    assert count_of(0, 12)["verdict"] == "reversed"
    assert count_of(6, 12)["verdict"] == "undecided"
    # Of very many tasks half: inside ± 10 %; reported 11 of 15, ours a little above half.
    assert count_of(200, 400)["verdict"] == "equivalent"
    assert count_of(240, 400)["verdict"] == "smaller"
    assert count_of(240, 400, (None, None, None))["verdict"] == "confirmed"


def test_a_tie_is_no_win() -> None:
    same = {"t": 0.8, "u": 0.8}
    found = judged(claim("count"), rows("a", [same] * 2), rows("b", [same] * 2))
    assert found["reason"] == "a wins 0 of 2 tasks"


@pytest.mark.parametrize(
    ("level", "metric", "expected"),
    [
        (0.82, "roc_auc", "reproduced"),
        (0.70, "roc_auc", "better"),
        (0.95, "roc_auc", "worse"),
        (0.70, "rmse", "worse"),
        (0.95, "rmse", "better"),
    ],
)
def test_a_level_is_judged_by_our_prediction_interval(
    level: float, metric: str, expected: str
) -> None:
    ours = rows("a", A, metric=metric)
    for told in (
        {"reported": (level, None, None)},
        {"level": level, "reported": (0.1, None, None)},
    ):
        found = judged(claim("level", b=None, metric=metric, **told), ours)
        assert found["verdict"] == expected
        low, high = stats.level_interval(A, 0.25)
        assert (found["estimate"]["low"], found["estimate"]["high"]) == pytest.approx((low, high))


def test_a_level_needs_a_number_and_two_replicas() -> None:
    assert judged(claim("level", b=None), rows("a", A))["verdict"] == "not run"
    alone = judged(claim("level", (0.8, None, None), b=None), rows("a", A[:1]))
    assert alone["verdict"] == "not run"


def test_a_condition_is_judged_by_its_own_replicas() -> None:
    few = [*rows("a", B, condition="few"), *rows("b", A, condition="few")]
    every = [*rows("a", A), *rows("b", B)]
    for condition, sign in (("all", 1), ("few", -1)):
        found = judged(claim(condition=condition), every, few)
        assert np.sign(found["estimate"]["value"]) == sign


# --- means ----------------------------------------------------------------------------------------


def test_means_by_hand() -> None:
    given = evidence(rows("a", [{"t": 0.9, "u": None}, {"t": 0.7, "u": 0.5}, {"t": None}]))
    assert mean_score(given, "a", "roc_auc") == pytest.approx((0.9 + 0.6) / 2)


def test_task_differences_by_hand() -> None:
    ours = rows("a", [{"t": 0.9, "u": 0.7, "v": None}, {"t": 0.7, "u": None, "v": None}])
    theirs = rows("b", [{"t": 0.8, "u": 0.5, "v": 0.5}, {"t": 0.8, "u": 0.9, "v": 0.5}])
    found = task_differences(evidence(ours, theirs), "a", "b", "roc_auc")
    assert found == {"t": pytest.approx(0.0), "u": pytest.approx(0.2)}


def by_target(model: str, values: Sequence[float]) -> list[dict[str, Any]]:
    return rows(model, [{f"t{i}": v for i, v in enumerate(values)}], metric="rmse")


def test_many_targets_give_one_difference_each() -> None:
    ours, theirs = [0.7, 0.6, 0.8, 0.5, 0.9, 0.65, 0.75], [0.8, 0.65, 0.95, 0.52, 0.91, 0.8, 0.8]
    scored = [*by_target("a", ours), *by_target("b", theirs)]
    found = compare(Evidence(scored, NOTHING, "task"), "a", "b", "rmse")
    expected = stats.wilcoxon(np.subtract(theirs, ours))
    assert found is not None
    assert (found["difference"], found["low"], found["high"]) == pytest.approx(
        (expected.difference, expected.low, expected.high)
    )
    assert found["low"] > 0


def test_few_targets_give_no_interval_and_a_reason() -> None:
    scored = [*by_target("a", [0.5] * 5), *by_target("b", [0.9] * 5)]
    found = Evidence(scored, NOTHING, "task")
    assert compare(found, "a", "b", "rmse") is None
    verdict, _ = judge(claim(metric="rmse", unit="task"), found, "full")
    assert (verdict["verdict"], verdict["reason"]) == (
        "not run", "rmse is defined in fewer than 6 tasks"
    )  # fmt: skip


def test_left_out_targets_give_one_difference_each_over_their_repeats() -> None:
    ours, theirs = [0.8, 0.7, 0.9, 0.75, 0.65, 0.85], [0.6, 0.65, 0.8, 0.7, 0.7, 0.8]
    scored = [*rows("a", ours), *rows("b", theirs)]
    again = [{**row, "repeat": 1, "values": {"roc_auc": {"t": v}}}
             for row, v in zip(rows("a", ours), [0.9, *ours[1:]], strict=True)]  # fmt: skip
    again += [{**row, "repeat": 1} for row in rows("b", theirs)]
    found = compare(Evidence([*scored, *again], NOTHING, "target"), "a", "b", "roc_auc")
    expected = stats.wilcoxon([0.25, 0.05, 0.1, 0.05, -0.05, 0.05])
    assert found is not None
    assert (found["difference"], found["low"], found["high"]) == pytest.approx(
        (expected.difference, expected.low, expected.high)
    )
    few = Evidence([*rows("a", ours[:5]), *rows("b", theirs[:5])], NOTHING, "target")
    verdict, _ = judge(claim(unit="target"), few, "full")
    assert verdict["reason"] == "roc_auc is defined in fewer than 6 targets"
