"""What each row adds to a metric is its derivative, and pooled it gives valid intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

import chemdl  # noqa: F401  registers the metrics of every domain
from chemdl.evidence.influence import (
    _CLOSED,
    FoldDifference,
    contributions,
    deletions,
    pooled_interval,
)
from chemdl.evidence.intervals import Interval
from chemdl.evidence.metrics import METRICS, Metric

CLASSES = [name for name in METRICS if METRICS[name].kind == "classification"]
NUMBERS = [name for name in METRICS if METRICS[name].kind == "regression"]


def drawn(name: str, n: int, ties: bool, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and predictions of a model that is right by and large; with ties many are equal."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n).astype(float) if name in CLASSES else rng.normal(size=n)
    y[:2] = 0, 1
    p = 1 / (1 + np.exp(-2 * (y - 0.5) - rng.normal(size=n))) if name in CLASSES else (
        0.7 * y + 0.5 * rng.normal(size=n)
    )  # fmt: skip
    return y, np.round(p, 1) if ties else p


# --- contributions --------------------------------------------------------------------------------


def test_what_has_a_closed_form_is_registered() -> None:
    assert set(_CLOSED) == {*CLASSES, *NUMBERS} - {"bedroc", "enrichment_1"}


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("name", sorted(_CLOSED))
def test_a_closed_form_is_the_derivative_by_the_weights(name: str, ties: bool) -> None:
    for seed in range(6):
        y, p = drawn(name, (7, 12, 30, 61)[seed % 4], ties, seed)
        step = 1e-5 * np.eye(len(y))
        ahead, behind = (METRICS[name].weigh(y, p, 1 + side * step) for side in (1, -1))
        found = contributions(name, y, p)
        np.testing.assert_allclose(found, (ahead - behind) / 2e-5, atol=2e-8)
        assert found.sum() == pytest.approx(0, abs=1e-12)


def direct_jackknife(metric: Metric, y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Leave each row out in turn, with nothing but the metric itself."""
    n = len(y)
    values = np.array([metric.function(np.delete(y, i), np.delete(p, i)) for i in range(n)])
    return (values.mean() - values) * (n - 1) / n


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("name", ["bedroc", "enrichment_1"])
def test_other_metrics_of_ranks_are_computed_without_each_row(name: str, ties: bool) -> None:
    """Also where there are more rows than one would leave out one by one."""
    y, p = drawn(name, 430, ties, 1)
    found = contributions(name, y, p)
    np.testing.assert_allclose(found, direct_jackknife(METRICS[name], y, p), atol=1e-12)
    assert found.sum() == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("name", sorted(_CLOSED))
def test_closed_forms_are_close_to_the_jackknife(name: str) -> None:
    y, p = drawn(name, 400, False, 2)
    direct, found = direct_jackknife(METRICS[name], y, p), contributions(name, y, p)
    assert np.corrcoef(direct, found)[0, 1] > 0.999
    assert (direct**2).sum() == pytest.approx((found**2).sum(), rel=0.02)


def test_states_of_sites_move_a_share_of_right_ones_alike() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 3, (2, 900)).astype(float)
    right = 100.0 * (y == p)
    expected = (right - right.mean()) / 900
    np.testing.assert_allclose(contributions("q3", y, p, np.arange(900) // 2), expected, atol=1e-10)


def test_a_metric_of_whole_units_is_computed_without_each_unit() -> None:
    """More than 200 chains: each has a value of its own, and their squares are the variance."""

    def longest(y: np.ndarray, p: np.ndarray, w: np.ndarray, units: np.ndarray) -> np.ndarray:
        _, first, lengths = np.unique(units, return_index=True, return_counts=True)
        return (w[:, first] @ lengths) / w[:, first].sum(axis=1)

    metric = Metric("length", "", True, 0.1, False, "labelling", longest, by_unit=True)
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 9, 500)
    units = np.repeat(np.arange(500), lengths)
    found = contributions(metric, np.zeros(len(units)), np.zeros(len(units)), units)
    by_unit = np.bincount(units, found)
    np.testing.assert_allclose(by_unit, (lengths - lengths.mean()) / 500, atol=1e-10)
    assert (by_unit**2).sum() == pytest.approx(lengths.var() / 500)


@pytest.mark.parametrize("name", ["roc_auc", "pr_auc", "bedroc", "balanced_accuracy"])
def test_what_is_undefined_has_no_contributions(name: str) -> None:
    assert np.isnan(contributions(name, np.ones(5), np.linspace(0, 1, 5))).all()


def test_the_only_positive_cannot_be_left_out() -> None:
    y, p = np.array([1.0, 0, 0, 0]), np.array([0.4, 0.6, 0.2, 0.1])
    found = contributions("bedroc", y, p)
    assert found[0] == 0 and np.isfinite(found).all()


def test_a_model_without_errors_is_moved_by_nothing() -> None:
    y = np.arange(5.0)
    for name in ("rmse", "mae", "r2"):
        assert contributions(name, y, y).tolist() == [0.0] * 5


# --- what is lost without a cluster ---------------------------------------------------------------


def test_positives_and_negatives_of_a_cluster_are_left_out_each_of_their_own() -> None:
    y, p = np.array([1.0, 1, 1, 0, 0, 0, 0, 0]), np.linspace(0.9, 0.1, 8)[[0, 3, 5, 1, 2, 4, 6, 7]]
    found = deletions("roc_auc", y, p, clusters=np.array([0, 1, 1, 1, 2, 3, 4, 5]))
    factors = np.array([3 / 2, 3, 3, 5 / 4, 5 / 4, 5 / 4, 5 / 4, 5 / 4])
    np.testing.assert_allclose(found, factors * contributions("roc_auc", y, p))


def test_units_are_left_out_where_there_are_no_clusters() -> None:
    y, p = drawn("mae", 30, False, 4)
    units = np.arange(30) // 3
    alone, whole = deletions("mae", y, p), deletions("mae", y, p, units)
    np.testing.assert_allclose(alone, contributions("mae", y, p) * 30 / 29)
    np.testing.assert_allclose(whole, contributions("mae", y, p, units) * 30 / 27)


# --- pooled intervals -----------------------------------------------------------------------------


def fold(value: float, moved: list[float], clusters: list[int]) -> FoldDifference:
    return FoldDifference(value, np.array(moved), np.array(clusters))


def test_a_pooled_interval_by_hand() -> None:
    found = pooled_interval([fold(0.1, [0.03, -0.03], [0, 1]), fold(0.5, [0.01, -0.01], [2, 3])])
    # Rows: C = .015 −.015 .005 −.005, G/(G−1) ΣC² = 4/3 · .0005. Fits: s² = .08, of which the
    # rows of a fold explain (.0018 + .0002)/2 = .001; (.08 − .001)/2 = .0395.
    rows, fits = 4 / 3 * 0.0005, 0.0395
    freedom = (rows + fits) ** 2 / (rows**2 / 3 + fits**2 / 1)
    half = scipy_stats.t.ppf(0.975, freedom) * math.sqrt(rows + fits)
    assert found.difference == pytest.approx(0.3)
    assert (found.low, found.high) == pytest.approx((0.3 - half, 0.3 + half))
    assert found.n == 4
    assert "4 clusters pooled over 2 folds" in found.method


def test_what_rows_explain_is_not_counted_twice() -> None:
    """Folds that differ by less than their rows do: the rows alone count, none twice."""
    found = pooled_interval([fold(0.3, [0.3, -0.3], [0, 1]), fold(0.3, [0.3, -0.3], [2, 3])])
    half = scipy_stats.t.ppf(0.975, 3) * math.sqrt(4 / 3 * 4 * 0.15**2)
    assert found.high - found.low == pytest.approx(2 * half)


def test_a_row_that_is_tested_twice_is_one_row() -> None:
    """What it adds is averaged over its repeats before it is squared."""
    once = [fold(0.3, [0.2, -0.2], [0, 1]), fold(0.3, [0.2, -0.2], [2, 3])]
    again = pooled_interval([*once, *once])
    assert again.n == 4
    width = (again.high - again.low) / (pooled_interval(once).high - pooled_interval(once).low)
    assert width == pytest.approx(1)


def test_clusters_of_rows_that_err_alike_widen_the_interval() -> None:
    moved = [0.02, 0.02, -0.02, -0.02]
    alone = pooled_interval([fold(0.1, moved, [0, 1, 2, 3]), fold(0.1, moved, [4, 5, 6, 7])])
    together = pooled_interval([fold(0.1, moved, [0, 0, 1, 1]), fold(0.1, moved, [4, 4, 5, 5])])
    assert together.high - together.low > 1.4 * (alone.high - alone.low)


def test_clusters_of_unequal_size_carry_fewer_degrees_of_freedom() -> None:
    sums, width = [0.01, -0.01] * 3, []
    for sizes in ([2] * 6, [7, 1, 1, 1, 1, 1]):
        moved = [m for s, size in zip(sums, sizes, strict=True) for m in [s, *[0.0] * (size - 1)]]
        codes = np.repeat(np.arange(6), sizes)
        found = pooled_interval([fold(0.1, moved, list(codes)), fold(0.1, moved, list(codes + 6))])
        width.append(found.high - found.low)
    # (Σ n)² / Σ n² = 12 and 24² / 108 clusters.
    quantiles = scipy_stats.t.ppf(0.975, [24**2 / 108 - 1, 11])
    assert width[1] / width[0] == pytest.approx(quantiles[0] / quantiles[1])


def test_too_little_for_an_interval() -> None:
    with pytest.raises(ValueError, match="1 folds are too few"):
        pooled_interval([fold(0.1, [0.0, 0.0], [0, 1])])
    with pytest.raises(ValueError, match="belong to one cluster"):
        pooled_interval([fold(0.1, [0.0, 0.0], [0, 0])] * 2)


@pytest.mark.parametrize("name", ["roc_auc", "pr_auc", "rmse", "r2"])
def test_the_rows_part_agrees_with_a_bootstrap_over_clusters(name: str) -> None:
    """Draw clusters with replacement, each fold's metrics anew: the spread is that of the rows."""
    rng = np.random.default_rng(5)
    folds, draws = [], []
    clusters = np.arange(600) // 2
    y, p = drawn(name, 600, False, 7)
    q = np.clip(p + 0.4 * rng.normal(size=600), 0, 1) if name in CLASSES else p + 0.4 * rng.normal(
        size=600
    )  # fmt: skip
    times = rng.multinomial(300, np.full(300, 1 / 300), size=2000)[:, clusters].astype(float)
    sign = 1 if METRICS[name].higher_is_better else -1
    for part in range(2):
        rows = clusters % 2 == part
        moved = sign * (
            contributions(name, y[rows], p[rows]) - contributions(name, y[rows], q[rows])
        )
        values = [METRICS[name].weigh(y[rows], v[rows], times[:, rows]) for v in (p, q)]
        draws.append(sign * (values[0] - values[1]))
        folds.append(FoldDifference(0.1, moved, clusters[rows]))
    found = pooled_interval(folds)
    error = (found.high - found.low) / 2 / scipy_stats.t.ppf(0.975, 299)
    assert error == pytest.approx(np.mean(draws, axis=0).std(), rel=0.08)


def simulated(truth: float, n: int, fits: float, rng: np.random.Generator) -> Interval:
    """Five folds of a mean loss: rows with differences around the truth, fits that vary."""
    folds = []
    for part in np.array_split(np.arange(n), 5):
        loss = truth + rng.normal(0, fits) + rng.exponential(size=len(part)) - 1
        folds.append(FoldDifference(loss.mean(), (loss - loss.mean()) / len(part), part))
    return pooled_interval(folds)


# Where the fits differ as much as the rows of a fold do, five folds tell it badly: 92 %.
@pytest.mark.parametrize(("n", "fits", "least"), [(100, 0, 0.93), (500, 0, 0.93), (500, 0.1, 0.9)])
def test_the_truth_lies_inside_as_often_as_promised(n: int, fits: float, least: float) -> None:
    rng = np.random.default_rng(6)
    found = [simulated(0.2, n, fits, rng) for _ in range(400)]
    inside = np.mean([i.low < 0.2 < i.high for i in found])
    assert least < inside < 0.985
