"""Intervals agree with hand-worked and library values, and hold their error with real refits."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats as scipy_stats

from chemdl.evidence import splits
from chemdl.evidence import statistics as stats
from chemdl.evidence.intervals import noncentrality
from chemdl.evidence.metrics import METRICS, improvement

# --- values that can be worked by hand -----------------------------------------------------------


def test_corrected_interval_by_hand() -> None:
    values = [0.01, 0.03, 0.02, 0.04, 0.00]
    found = stats.corrected_interval(values, 0.25)
    # Mean 0.02, s² = 0.00025, standard error √((1/5 + 1/4) · 0.00025) and t(0.975; 4) = 2.776445.
    half = 2.7764451 * math.sqrt(0.45 * 0.00025)
    assert found.difference == pytest.approx(0.02)
    assert (found.low, found.high) == pytest.approx((0.02 - half, 0.02 + half))
    assert found.n == 5
    assert "Nadeau" in found.method


def test_without_correction_it_would_be_the_t_test() -> None:
    values = np.random.default_rng(0).normal(0.3, 1, 25)
    # A vanishing test set takes the correction away.
    found = stats.corrected_interval(values, 1e-12)
    expected = scipy_stats.ttest_1samp(values, 0)
    assert found.p == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_ratios_of_several_folds_are_averaged() -> None:
    values = [0.1, 0.2, 0.4]
    assert stats.corrected_interval(values, [0.2, 0.3, 0.25]) == stats.corrected_interval(
        values, 0.25
    )


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_p_value_and_interval_agree(confidence: float) -> None:
    generator = np.random.default_rng(1)
    for _ in range(50):
        found = stats.corrected_interval(generator.normal(0.6, 1, 10), 0.1, confidence)
        assert (found.low > 0 or found.high < 0) == (found.p < 1 - confidence)


@pytest.mark.parametrize(("values", "p"), [([0.0, 0.0, 0.0], 1.0), ([0.5, 0.5, 0.5], 0.0)])
def test_differences_without_spread(values: list[float], p: float) -> None:
    found = stats.corrected_interval(values, 0.25)
    assert (found.low, found.high, found.detectable, found.p) == (values[0], values[0], 0.0, p)


def test_undefined_fold_is_named() -> None:
    with pytest.raises(ValueError, match="difference is nan at place 2"):
        stats.corrected_interval([0.1, 0.2, np.nan], 0.25)


def test_one_fold_is_too_few() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        stats.corrected_interval([0.1], 0.25)


@pytest.mark.parametrize("ratio", [0.0, -1.0, np.nan, []])
def test_ratio_must_be_positive(ratio: object) -> None:
    with pytest.raises(ValueError, match="n_test / n_train"):
        stats.corrected_interval([0.1, 0.2], ratio)  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [3, 5, 25, 600])
def test_detectable_difference_agrees_with_statsmodels(n: int) -> None:
    from statsmodels.stats.power import TTestPower

    effect = TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8)
    assert noncentrality(n - 1, 0.05) == pytest.approx(effect * math.sqrt(n), rel=1e-4)


def test_detectable_difference_is_found_in_four_of_five() -> None:
    generator = np.random.default_rng(2)
    shift = noncentrality(9, 0.05) / math.sqrt(10)
    samples = generator.normal(shift, 1, (4000, 10))
    share = (scipy_stats.ttest_1samp(samples, 0, axis=1).pvalue < 0.05).mean()
    assert 0.77 < share < 0.83


def test_prediction_interval_by_hand() -> None:
    # Mean 2, s = 1, three values: 2 ± t(0.975; 2) · √(1 + 1/3).
    low, high = stats.prediction_interval([1.0, 2.0, 3.0])
    half = 4.3026527 * math.sqrt(4 / 3)
    assert (low, high) == pytest.approx((2 - half, 2 + half))
    narrow = stats.prediction_interval([1.0, 2.0, 3.0], new=100)
    assert narrow[1] - narrow[0] < high - low


def test_prediction_interval_covers() -> None:
    generator = np.random.default_rng(3)
    inside = 0
    for _ in range(1000):
        *known, new = generator.normal(size=9)
        low, high = stats.prediction_interval(known)
        inside += low < new < high
    assert 0.93 < inside / 1000 < 0.97


def test_level_interval_by_hand() -> None:
    low, high = stats.level_interval([1.0, 2.0, 3.0], 0.25)
    half = 4.3026527 * math.sqrt(2 * (1 / 3 + 0.25))
    assert (low, high) == pytest.approx((2 - half, 2 + half))
    one_fold = stats.level_interval([1.0, 2.0, 3.0], 0.25, new=1)
    assert one_fold[1] - one_fold[0] > high - low


def test_wilson_by_hand() -> None:
    # 11 of 15: centre (k + z²/2)/(n + z²), half z·√(k(n−k)/n + z²/4)/(n + z²), z = 1.959964.
    z2 = 1.959964**2
    centre = (11 + z2 / 2) / (15 + z2)
    half = 1.959964 * math.sqrt(11 * 4 / 15 + z2 / 4) / (15 + z2)
    assert stats.wilson(11, 15) == pytest.approx((centre - half, centre + half))


@pytest.mark.parametrize(("k", "n"), [(0, 15), (15, 15)])
def test_wilson_stays_between_0_and_1(k: int, n: int) -> None:
    low, high = stats.wilson(k, n)
    assert 0 <= low < high <= 1


@pytest.mark.parametrize(("k", "n"), [(-1, 3), (4, 3), (0, 0)])
def test_no_count(k: int, n: int) -> None:
    with pytest.raises(ValueError, match=f"{k} of {n}"):
        stats.wilson(k, n)


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(stats.holm([0.04, 0.01, 0.03]), [0.06, 0.03, 0.06])


def test_benjamini_hochberg_by_hand() -> None:
    adjusted = stats.benjamini_hochberg([0.01, 0.04, 0.03, 0.5])
    np.testing.assert_allclose(adjusted, [0.04, 0.16 / 3, 0.16 / 3, 0.5])


@pytest.mark.parametrize("adjust", [stats.holm, stats.benjamini_hochberg])
def test_adjusting_nothing_or_nonsense(adjust: Callable[..., np.ndarray]) -> None:
    assert adjust([]).shape == (0,)
    with pytest.raises(ValueError, match="nan at place 1"):
        adjust([0.1, np.nan])


# --- several data sets ---------------------------------------------------------------------------


def test_wilcoxon_agrees_with_scipy() -> None:
    values = np.random.default_rng(4).normal(0.5, 1, 15)
    assert stats.wilcoxon(values).p == pytest.approx(scipy_stats.wilcoxon(values).pvalue)


def test_wilcoxon_interval_holds_the_shifts_that_are_not_rejected() -> None:
    values = np.random.default_rng(5).normal(0.5, 1, 12)
    found = stats.wilcoxon(values)
    step = 1e-9
    for inside in (found.low + step, found.difference + step, found.high - step):
        assert scipy_stats.wilcoxon(values - inside).pvalue > 0.05
    for outside in (found.low - step, found.high + step):
        assert scipy_stats.wilcoxon(values - outside).pvalue < 0.05


def test_five_sets_cannot_bound_the_difference() -> None:
    few = stats.wilcoxon([0.1, 0.2, 0.3, 0.4, 0.5])
    assert (few.low, few.high) == (-np.inf, np.inf)
    six = stats.wilcoxon([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert (six.low, six.high) == (0.1, 0.6)


def test_wilcoxon_of_equal_models() -> None:
    assert stats.wilcoxon(np.zeros(8)).p == 1.0


# Scores of four models on six sets; ranks by hand below, best first.
TABLE = np.array([
    [0.9, 0.8, 0.7, 0.6],
    [0.8, 0.9, 0.7, 0.6],
    [0.9, 0.8, 0.6, 0.7],
    [0.9, 0.8, 0.7, 0.7],
    [0.7, 0.6, 0.5, 0.4],
    [0.6, 0.5, 0.4, 0.3],
])  # fmt: skip


def test_average_ranks_and_critical_difference() -> None:
    found = stats.compare_ranks(TABLE, ["net", "forest", "svm", "trivial"])
    np.testing.assert_allclose(found.average, [7 / 6, 11 / 6, 19.5 / 6, 22.5 / 6])
    # Demšar's table 5a has q(0.05; 4 models) = 2.569.
    assert found.critical_difference == pytest.approx(2.569 * math.sqrt(20 / 36), abs=1e-3)
    assert found.p == pytest.approx(scipy_stats.friedmanchisquare(*TABLE.T).pvalue)
    pairwise = np.array(found.pairwise)
    assert pairwise.shape == (4, 4)
    apart = np.abs(np.subtract.outer(found.average, found.average)) > found.critical_difference
    np.testing.assert_array_equal(pairwise < 0.05, apart)
    assert found.n == 6


def test_ranks_turn_round_for_errors() -> None:
    up = stats.compare_ranks(TABLE, list("abcd"))
    down = stats.compare_ranks(-TABLE, list("abcd"), higher_is_better=False)
    assert up.average == down.average
    assert up.p == pytest.approx(down.p)
    np.testing.assert_allclose(up.pairwise, down.pairwise)


def test_two_models_are_compared_by_wilcoxon() -> None:
    found = stats.compare_ranks(TABLE[:, :2], ["a", "b"])
    assert found.p == pytest.approx(scipy_stats.wilcoxon(TABLE[:, 0] - TABLE[:, 1]).pvalue)


def test_equal_models_share_their_rank() -> None:
    found = stats.compare_ranks(np.ones((5, 3)), list("abc"))
    assert found.average == (2.0, 2.0, 2.0)
    assert found.p == 1.0


@pytest.mark.parametrize("table", [np.ones((1, 3)), np.ones((3, 1)), np.ones(3)])
def test_table_of_wrong_shape(table: np.ndarray) -> None:
    with pytest.raises(ValueError, match="must be \\(sets, models\\)"):
        stats.compare_ranks(table, list("abc"))


def test_missing_score_is_named() -> None:
    table = TABLE.copy()
    table[2, 1] = np.nan
    with pytest.raises(ValueError, match=r"place \(2, 1\)"):
        stats.compare_ranks(table, list("abcd"))


# --- bootstrap -----------------------------------------------------------------------------------


def _predicted(
    n: int = 300, tasks: int = 3, seeds: int = 4, edge: float = 0.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    y = (generator.random((n, tasks)) < 0.3).astype(float)
    a, b = generator.normal(size=(2, seeds, n, tasks)) + y
    y[generator.random((n, tasks)) < 0.1] = np.nan
    return y, a + edge * np.nan_to_num(y), b


def test_bootstrap_estimate_is_the_mean_over_seeds_and_tasks() -> None:
    y, a, b = _predicted(edge=0.5)
    found = stats.paired_bootstrap(y, a, b, "roc_auc", resamples=100)
    from chemdl.evidence.metrics import score_tasks

    means = [np.mean([score_tasks("roc_auc", y, p) for p in side]) for side in (a, b)]
    assert found.difference == pytest.approx(means[0] - means[1])
    assert found.low < found.difference < found.high
    assert found.n == 300


def test_errors_are_oriented() -> None:
    y = np.random.default_rng(0).normal(size=200)
    near, far = y + 0.1 * np.sin(y), y + np.cos(y)
    found = stats.paired_bootstrap(y, near, far, "rmse", resamples=200)
    assert found.low > 0
    assert stats.paired_bootstrap(y, far, near, "rmse", resamples=200).high < 0


def test_bootstrap_of_a_mean_agrees_with_the_t_interval() -> None:
    # The mean absolute error is a mean of rows: its bootstrap variance is known, s²(n−1)/n².
    generator = np.random.default_rng(1)
    y = np.zeros(400)
    a, b = generator.exponential(size=(2, 400))
    found = stats.paired_bootstrap(y, a, b, "mae", resamples=20_000)
    expected = scipy_stats.ttest_1samp(b - a, 0)
    interval = expected.confidence_interval(0.95)
    half = (found.high - found.low) / (interval.high - interval.low)
    assert half == pytest.approx(1, abs=0.03)
    assert found.p == pytest.approx(expected.pvalue, abs=0.02)


# Contact precision ranks the pairs of a whole chain, and has a test of its own.
@pytest.mark.parametrize("metric", sorted(METRICS.keys() - {"precision_l5"}))
def test_bootstrap_takes_every_metric(metric: str) -> None:
    y, a, b = _predicted(n=80, tasks=1)
    y = np.nan_to_num(y)
    a, b = (1 / (1 + np.exp(-side)) for side in (a, b))
    if METRICS[metric].kind == "labelling":
        y, a, b = _labelled(n=80)
    found = stats.paired_bootstrap(y, a, b, metric, resamples=100)
    assert found.low < found.difference < found.high


def _labelled(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return states 0 to 2, and four seeds each of two models that hit them more or less often."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, size=(n, 1)).astype(float)
    a, b = (
        np.where(rng.random((4, n, 1)) < right, y, rng.integers(0, 3, size=(4, n, 1)))
        for right in (0.8, 0.4)
    )
    return y, a, b


def test_same_predictions_do_not_differ() -> None:
    y, a, _ = _predicted()
    found = stats.paired_bootstrap(y, a, a, "roc_auc", resamples=100)
    assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_seed_of_the_bootstrap_repeats_it() -> None:
    y, a, b = _predicted()
    one, two = (stats.paired_bootstrap(y, a, b, "pr_auc", resamples=100) for _ in range(2))
    assert one == two
    assert one != stats.paired_bootstrap(y, a, b, "pr_auc", resamples=100, seed=1)


def test_blocks_do_not_change_the_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    y, a, b = _predicted()
    whole = stats.paired_bootstrap(y, a, b, "roc_auc", resamples=100)
    monkeypatch.setattr(stats, "_BLOCK_CELLS", 7 * len(y))
    blocks = stats.paired_bootstrap(y, a, b, "roc_auc", resamples=100)
    assert blocks.low == pytest.approx(whole.low)


def test_units_that_repeat_rows_widen_the_interval() -> None:
    y, a, b = _predicted(n=100, tasks=1, seeds=1)
    y = np.nan_to_num(y)
    copies = (np.repeat(y, 4, axis=0), np.repeat(a, 4, axis=1), np.repeat(b, 4, axis=1))
    by_unit = stats.paired_bootstrap(*copies, "roc_auc", np.repeat(np.arange(100), 4))
    by_row = stats.paired_bootstrap(*copies, "roc_auc")
    single = stats.paired_bootstrap(y, a, b, "roc_auc")
    assert by_unit.n == 100
    assert by_unit.high - by_unit.low == pytest.approx(single.high - single.low, rel=0.1)
    assert by_row.high - by_row.low == pytest.approx((single.high - single.low) / 2, rel=0.1)


def test_seeds_that_differ_widen_the_interval() -> None:
    y, a, b = _predicted(seeds=4)
    better = a.copy()
    better[::2] += 3 * np.nan_to_num(y)
    calm = stats.paired_bootstrap(y, a, b, "roc_auc", resamples=200)
    wild = stats.paired_bootstrap(y, better, b, "roc_auc", resamples=200)
    assert wild.high - wild.low > 3 * (calm.high - calm.low)


def test_a_baseline_without_a_seed() -> None:
    y, a, b = _predicted(edge=0.5)
    found = stats.paired_bootstrap(y, a, b[0], "roc_auc", resamples=200)
    assert "4 and 1 seeds" in found.method
    assert found.low > 0


def test_task_of_one_class_is_left_out_on_both_sides() -> None:
    y, a, b = _predicted(tasks=2)
    y[:, 1] = 0
    both = stats.paired_bootstrap(y, a, b, "roc_auc", resamples=100)
    first = stats.paired_bootstrap(y[:, :1], a[..., :1], b[..., :1], "roc_auc", resamples=100)
    assert both == first


def test_nothing_defined_is_an_error() -> None:
    y, a, b = _predicted(tasks=1)
    with pytest.raises(ValueError, match="undefined for every task"):
        stats.paired_bootstrap(y * 0, a, b, "roc_auc")


def test_bootstrap_refuses_what_does_not_fit() -> None:
    y, a, b = _predicted()
    with pytest.raises(ValueError, match=r"predictions b have shape \(4, 300, 2\)"):
        stats.paired_bootstrap(y, a, b[..., :2], "roc_auc")
    with pytest.raises(ValueError, match=r"units have shape \(5,\) for 300 rows"):
        stats.paired_bootstrap(y, a, b, "roc_auc", np.arange(5))
    with pytest.raises(ValueError, match="at least two units"):
        stats.paired_bootstrap(y, a, b, "roc_auc", np.zeros(300))
    a[1, 2, 0] = np.nan
    with pytest.raises(ValueError, match="row 2, column 0"):
        stats.paired_bootstrap(y, a, b, "roc_auc")


# --- type-I error with real refits ---------------------------------------------------------------


class _Drawn:
    """Just enough of a data set to be split."""

    def __init__(self, n: int) -> None:
        self.inputs = np.array([f"row {i}" for i in range(n)], dtype=object)
        self.targets = np.zeros((n, 1))
        self.kind = "regression"
        self.columns: dict[str, np.ndarray] = {}
        self.card = {"input": "sequence"}


def _ridge(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Fit ridge regressions side by side: x (d, n, p), y (d, n), new (d, m, p) -> (d, m)."""
    gram = np.einsum("dnp,dnq->dpq", x, x) + np.eye(x.shape[2])
    moment = np.einsum("dnp,dn->dp", x, y)
    return np.einsum("dmp,dp->dm", new, np.linalg.solve(gram, moment[..., None])[..., 0])


def _neighbours(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Mean of the five nearest neighbours' targets, shapes as in :func:`_ridge`."""
    apart = ((new**2).sum(2)[:, :, None] + (x**2).sum(2)[:, None]) - 2 * new @ x.transpose(0, 2, 1)
    nearest = np.argpartition(apart, 5, axis=2)[:, :, :5]
    return np.take_along_axis(y[:, None], nearest, axis=2).mean(axis=2)


@pytest.mark.parametrize(
    ("fit", "metric"), [(_ridge, "roc_auc"), (_ridge, "mae"), (_neighbours, "rmse")]
)
def test_corrected_interval_holds_its_error_and_the_naive_one_does_not(
    fit: Callable[..., np.ndarray], metric: str
) -> None:
    """Two models see one half of the inputs each: equally good by symmetry, never the same."""
    sets, n, width = 1000, 100, 4
    generator = np.random.default_rng(7)
    x = generator.normal(size=(sets, n, 2 * width))
    y = 0.4 * x.sum(axis=2) + generator.normal(size=(sets, n))
    if METRICS[metric].kind == "classification":
        y = (y > 0).astype(float)
    protocol = splits.random(_Drawn(n), repeats=5, folds=5, seed=1)
    differences = np.empty((sets, len(protocol)))
    for column, split in enumerate(protocol.splits):
        scores = []
        for half in (x[..., :width], x[..., width:]):
            predicted = fit(half[:, split.train], y[:, split.train], half[:, split.test])
            pairs = zip(y[:, split.test], predicted, strict=True)
            scores.append([METRICS[metric].function(*pair) for pair in pairs])
        differences[:, column] = improvement(metric, *scores)
    ratio = [split.ratio for split in protocol.splits]
    # A fold of 20 rows may hold one class only: it is left out, as the error message says.
    known = [d[np.isfinite(d)] for d in differences]
    rejected = np.mean([stats.corrected_interval(d, ratio).p < 0.05 for d in known])
    naive = np.mean([scipy_stats.ttest_1samp(d, 0).pvalue < 0.05 for d in known])
    assert 0.02 <= rejected <= 0.08
    assert naive > 0.3


def _random_features(
    generator: np.random.Generator, x: np.ndarray, y: np.ndarray, new: np.ndarray, seeds: int
) -> np.ndarray:
    """Refit a ridge on random features once per seed: predictions (seeds, m)."""
    width = generator.normal(size=(seeds, x.shape[1], 12))
    inputs, others = np.tanh(x @ width), np.tanh(new @ width)
    return _ridge(inputs, np.broadcast_to(y, (seeds, len(y))), others)


@pytest.mark.parametrize(("seeds", "held"), [(5, True), (1, False)])
def test_nested_bootstrap_holds_its_error_and_one_seed_does_not(seeds: int, held: bool) -> None:
    """One algorithm against itself under other seeds, on one train and one test set."""
    generator = np.random.default_rng(8)
    rejected = 0
    sets = 500
    for _ in range(sets):
        x = generator.normal(size=(160, 6))
        y = np.sin(x).sum(axis=1) + 0.5 * generator.normal(size=160)
        a, b = (_random_features(generator, x[:60], y[:60], x[60:], seeds) for _ in range(2))
        found = stats.paired_bootstrap(y[60:], a, b, "rmse", resamples=200)
        rejected += found.p < 0.05
    assert (0.02 <= rejected / sets <= 0.08) is held


@pytest.mark.parametrize(("clustered", "held"), [(True, True), (False, False)])
def test_units_hold_their_error_and_their_rows_do_not(clustered: bool, held: bool) -> None:
    """Rows of one unit resemble one another; two ridges on other halves of the inputs."""
    generator = np.random.default_rng(9)
    rejected = 0
    sets, units, size = 300, 40, 5
    # A large train set makes both halves equally good in the population, for any test set.
    x = generator.normal(size=(20_000, 6))
    y = x.sum(axis=1) + generator.normal(size=20_000)
    for _ in range(sets):
        new = np.repeat(generator.normal(size=(units, 6)), size, axis=0)
        new = np.sqrt(0.8) * new + np.sqrt(0.2) * generator.normal(size=new.shape)
        truth = new.sum(axis=1) + generator.normal(size=len(new))
        a, b = (
            _ridge(x[None, :, half], y[None], new[None, :, half])[0]
            for half in (slice(0, 3), slice(3, 6))
        )
        labels = np.repeat(np.arange(units), size) if clustered else None
        found = stats.paired_bootstrap(truth, a, b, "mae", labels, resamples=200)
        rejected += found.p < 0.05
    assert (0.02 <= rejected / sets <= 0.08) is held
