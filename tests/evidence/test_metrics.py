"""Metrics agree with scikit-learn, plain and weighted, and refuse what they cannot score."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from rdkit.ML.Scoring.Scoring import CalcBEDROC, CalcEnrichment
from sklearn import metrics as reference

from chemdl.evidence import metrics
from chemdl.evidence.metrics import METRICS


def _classified(n: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    y = (generator.random(n) < 0.3).astype(float)
    # Rounded, so that ties within and between the classes occur.
    return y, np.round(np.clip(0.3 * y + generator.random(n) * 0.7, 0, 1), 1)


def _regressed(n: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    y = generator.normal(size=n)
    return y, 0.7 * y + 0.5 * generator.normal(size=n) + 3


def _hard(p: np.ndarray) -> np.ndarray:
    return (p >= 0.5).astype(float)


def _ranked(y, p, w) -> tuple[np.ndarray, np.ndarray]:
    """Return ranks from 1 of the repeated rows, and each rank's expected share of an active."""
    y, p = np.repeat(y, w), np.repeat(p, w)
    order = np.argsort(-p, kind="stable")
    y, p = y[order], p[order]
    return np.arange(1, len(y) + 1), np.array([y[p == value].mean() for value in p])


def _truchon(y, p, w, alpha: float = 20.0) -> float:
    """BEDROC as Truchon and Bayly print it, equation 36, from the expected exponential sum."""
    ranks, active = _ranked(y, p, w)
    n, share = len(ranks), active.mean()
    chance = (1 - np.exp(-alpha)) / (np.exp(alpha / n) - 1) / n
    rie = (active * np.exp(-alpha * ranks / n)).sum() / active.sum() / chance
    factor = share * np.sinh(alpha / 2)
    factor /= np.cosh(alpha / 2) - np.cosh(alpha / 2 - alpha * share)
    return rie * factor + 1 / (1 - np.exp(alpha * (1 - share)))


def _first_percent(y, p, w) -> float:
    ranks, active = _ranked(y, p, w)
    return active[: -(-len(ranks) // 100)].mean() / active.mean()


REFERENCE = {
    "bedroc": _truchon,
    "enrichment_1": _first_percent,
    "roc_auc": lambda y, p, w: reference.roc_auc_score(y, p, sample_weight=w),
    "pr_auc": lambda y, p, w: reference.average_precision_score(y, p, sample_weight=w),
    "accuracy": lambda y, p, w: reference.accuracy_score(y, _hard(p), sample_weight=w),
    "balanced_accuracy": lambda y, p, w: reference.balanced_accuracy_score(
        y, _hard(p), sample_weight=w
    ),
    "sensitivity": lambda y, p, w: reference.recall_score(y, _hard(p), sample_weight=w),
    "specificity": lambda y, p, w: reference.recall_score(
        y, _hard(p), pos_label=0, sample_weight=w
    ),
    "brier": lambda y, p, w: reference.brier_score_loss(y, p, sample_weight=w),
    "r2": lambda y, p, w: reference.r2_score(y, p, sample_weight=w),
    "pearson_r": lambda y, p, w: np.corrcoef(np.repeat(y, w), np.repeat(p, w))[0, 1],
    "pearson_r2": lambda y, p, w: np.corrcoef(np.repeat(y, w), np.repeat(p, w))[0, 1] ** 2,
    "rmse": lambda y, p, w: reference.root_mean_squared_error(y, p, sample_weight=w),
    "mae": lambda y, p, w: reference.mean_absolute_error(y, p, sample_weight=w),
}


def test_every_metric_has_a_reference() -> None:
    # Those of labelled sites have theirs in test_segments.py.
    of_rows = {name for name, metric in metrics.METRICS.items() if metric.kind != "labelling"}
    assert set(REFERENCE) == of_rows


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_agrees_with_the_reference(name: str) -> None:
    metric = METRICS[name]
    y, p = _classified() if metric.kind == "classification" else _regressed()
    expected = REFERENCE[name](y, p, np.ones(len(y), dtype=int))
    assert metric.function(y, p) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_weights_are_repeated_rows(name: str) -> None:
    metric = METRICS[name]
    y, p = _classified() if metric.kind == "classification" else _regressed()
    weights = np.random.default_rng(1).integers(0, 4, size=(3, len(y)))
    found = metric.weighted(y, p, weights.astype(float))
    repeated = [metric.function(np.repeat(y, w), np.repeat(p, w)) for w in weights]
    np.testing.assert_allclose(found, repeated, rtol=1e-10)
    np.testing.assert_allclose(found, [REFERENCE[name](y, p, w) for w in weights], rtol=1e-10)


def test_roc_auc_of_many_pairs_takes_the_sorted_way_to_the_same_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    y, p = _classified()
    weights = np.random.default_rng(2).integers(0, 3, size=(5, len(y))).astype(float)
    counted = METRICS["roc_auc"].weighted(y, p, weights)
    monkeypatch.setattr(metrics, "_MOST_PAIRS", 0)
    np.testing.assert_allclose(METRICS["roc_auc"].weighted(y, p, weights), counted, rtol=1e-12)


def test_unmeasured_labels_are_ignored() -> None:
    y, p = _classified()
    wide = np.column_stack([y, y])
    wide[::3, 1] = np.nan
    scores = metrics.score_tasks("roc_auc", wide, np.column_stack([p, p]))
    kept = np.arange(len(y)) % 3 != 0
    expected = [reference.roc_auc_score(y, p), reference.roc_auc_score(y[kept], p[kept])]
    np.testing.assert_allclose(scores, expected)


@pytest.mark.parametrize("name", ["roc_auc", "pr_auc", "balanced_accuracy"])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_only_is_undefined_and_counted(name: str, label: float) -> None:
    y, p = _classified()
    scores = metrics.score_tasks(name, np.column_stack([y, np.full(60, label)]), np.c_[p, p])
    assert not np.isnan(scores[0])
    assert np.isnan(scores[1])
    assert metrics.mean_of_defined(scores) == (scores[0], 1)


def test_task_without_labels_is_undefined() -> None:
    y, p = _regressed()
    scores = metrics.score_tasks("rmse", np.c_[y, np.full(60, np.nan)], np.c_[p, p])
    assert np.isnan(scores).tolist() == [False, True]
    mean, undefined = metrics.mean_of_defined([np.nan, np.nan])
    assert np.isnan(mean)
    assert undefined == 2


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6 + 0.1])
def test_constant_target_leaves_r2_undefined(constant: float) -> None:
    y, p = np.full(30, constant), np.linspace(0, 1, 30)
    assert np.isnan(metrics.score_tasks("r2", y, p)).all()
    assert np.isnan(metrics.score_tasks("pearson_r2", y, p)).all()
    assert np.isnan(metrics.score_tasks("pearson_r2", p, y)).all()


def test_spread_survives_a_large_mean() -> None:
    y, p = _regressed()
    assert METRICS["r2"].function(y + 1e6, p + 1e6) == pytest.approx(
        METRICS["r2"].function(y, p), rel=1e-6
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_prediction_that_is_not_finite_names_row_and_column(bad: float) -> None:
    y, p = np.zeros((5, 3)), np.full((5, 3), 0.5)
    p[3, 2] = bad
    with pytest.raises(ValueError, match=r"row 3, column 2 .*1 such"):
        metrics.score_tasks("roc_auc", y, p)


def test_class_other_than_0_and_1_is_refused() -> None:
    with pytest.raises(ValueError, match=r"label is 2.0 at row 1, column 0"):
        metrics.score_tasks("roc_auc", [0, 2.0, 1], [0.1, 0.2, 0.3])


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(3,\).*\(3, 1\)"):
        metrics.score_tasks("rmse", np.zeros(3), np.zeros((3, 1)))


@pytest.mark.parametrize(("name", "sign"), [("roc_auc", 1), ("rmse", -1), ("brier", -1)])
def test_improvement_is_positive_where_a_is_better(name: str, sign: int) -> None:
    assert metrics.improvement(name, 0.9, 0.7) == pytest.approx(sign * 0.2)


@pytest.mark.parametrize(
    ("name", "baseline", "expected"),
    [("roc_auc", 0.8, 0.01), ("pr_auc", None, 0.01), ("r2", -2.0, 0.02), ("rmse", 2.0, 0.06)],
)
def test_margins_follow_the_rule(name: str, baseline: float | None, expected: float) -> None:
    assert metrics.margin(name, baseline) == pytest.approx(expected)


def test_relative_margin_needs_the_baseline() -> None:
    with pytest.raises(ValueError, match="3% of the baseline's value"):
        metrics.margin("mae")


def test_unknown_metric_lists_near_misses() -> None:
    with pytest.raises(ValueError, match=r"'roc_acu'.*Did you mean 'roc_auc'"):
        METRICS["roc_acu"]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [30, 100, 700, 1234])
def test_early_recognition_is_rdkits_on_random_rankings(n: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    y = (generator.permutation(n) < max(1, n // 20)).astype(float)
    p = generator.random(n)
    ranked = [[label] for label in y[np.argsort(-p)]]
    expected = CalcBEDROC(ranked, 0, 20.0)
    assert METRICS["bedroc"].function(y, p) == pytest.approx(expected, rel=1e-9)
    (expected,) = CalcEnrichment(ranked, 0, [0.01])
    assert METRICS["enrichment_1"].function(y, p) == pytest.approx(expected, rel=1e-9)


def test_early_recognition_of_the_best_and_the_worst_ranking() -> None:
    y = np.repeat([1.0, 0.0], [20, 980])
    for name, best in (("bedroc", 1.0), ("enrichment_1", 50.0)):
        assert METRICS[name].function(y, np.arange(1000)[::-1]) == pytest.approx(best)
        assert METRICS[name].function(y, np.arange(1000)) == pytest.approx(0.0, abs=1e-12)
    # A constant score has the enrichment of no ranking at all.
    assert METRICS["enrichment_1"].function(y, np.zeros(1000)) == pytest.approx(1.0)


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_the_order_of_the_rows_does_not_matter(name: str) -> None:
    metric = METRICS[name]
    y, p = _classified(400) if metric.kind == "classification" else _regressed(400)
    order = np.random.default_rng(3).permutation(len(y))
    assert metric.function(y[order], p[order]) == pytest.approx(metric.function(y, p), rel=1e-12)
    # Best first and worst first among equals are no different either.
    order = np.lexsort((y, p))
    assert metric.function(y[order], p[order]) == pytest.approx(metric.function(y, p), rel=1e-12)


def test_early_recognition_of_ties_is_rdkits_mean_over_their_orders() -> None:
    # 150 ranks of which two are counted in the first percent; five equal scores lie across them.
    first = np.array([1.0, 0.0, 0.0, 1.0, 0.0])
    rest = np.tile([0.0, 0.0, 0.0, 1.0, 0.0], 29)
    y, p = np.concatenate([first, rest]), np.repeat([1.0, 0.0], [5, 145])
    p[5:] = -np.arange(145)
    ways = [[[label] for label in (*np.array(order), *rest)] for order in set(permutations(first))]
    for name, expected in (
        ("bedroc", [CalcBEDROC(way, 0, 20.0) for way in ways]),
        ("enrichment_1", [CalcEnrichment(way, 0, [0.01])[0] for way in ways]),
    ):
        assert np.std(expected) > 0
        assert METRICS[name].function(y, p) == pytest.approx(np.mean(expected), rel=1e-9)


@pytest.mark.parametrize("p", [[0.5], [0.5, 0.1, 0.2, 0.3], [[0.5, 0.1, 0.2]], 0.5])
def test_labels_and_predictions_of_other_sizes_are_not_spread_over_each_other(p: object) -> None:
    for metric in METRICS.values():
        with pytest.raises(ValueError, match=f"{metric.name}: labels have shape"):
            metric.function([0.0, 1.0, 1.0], p)


def test_each_column_of_labels_has_its_task() -> None:
    y = np.zeros((3, 2))
    for tasks in (["a"], ["a", "b", "c"]):
        with pytest.raises(ValueError, match=f"{len(tasks)} names of tasks for 2 columns"):
            metrics.score_tasks("rmse", y, y, tasks=tasks)
