"""The rule's intervals, held against the truth of a made-up population by refits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmarks import rule
from benchmarks.rule_learners import ridge
from chemdl.evidence.influence import FoldDifference, contributions, deletions, pooled_interval
from chemdl.evidence.metrics import METRICS


@pytest.fixture(scope="module")
def counts():
    """Errors of 40 benchmarks of 120 rows, ridge on 40 made-up bits."""
    draw = np.random.default_rng(0)
    x = (draw.random((6000, 40)) < 0.3).astype(np.uint8)
    y = x @ draw.normal(size=40) + draw.normal(scale=2.0, size=len(x))
    population = rule.Population("made up", x, y, "regression")
    fits = []
    for number, rows in enumerate(rule.benchmarks(population, 120)[:40]):
        place = np.array(["random", "made up", "ridge", "regression", str(number)])
        fits.append({"place": place, **rule.fit(population, rows, ridge, number)})
    return rule.summary(rule.intervals(iter(fits)))


@pytest.mark.parametrize(
    ("interval", "estimand"), [("pooled", "data set"), ("corrected", "methods")]
)
def test_an_interval_errs_no_more_often_than_it_says(counts, interval, estimand):
    own = counts[(counts["interval"] == interval) & (counts["estimand"] == estimand)]
    for _, part in own.groupby("metric"):
        null = part[part["pair"] != "known"]
        # More errors than this come once in a thousand runs at the bound of 6 %.
        assert null["errors"].sum() <= stats.binom.ppf(0.999, null["n"].sum(), 0.06)
        assert part["errors"].sum() <= stats.binom.ppf(0.999, part["n"].sum(), 0.07)


def test_the_pooled_interval_is_the_narrower_and_finds_more(counts):
    known = counts[(counts["pair"] == "known") & (counts["estimand"] == "data set")]
    table = known.set_index(["metric", "interval"])
    for metric in known["metric"].unique():
        pooled, first = table.loc[metric, "pooled"], table.loc[metric, "corrected, one repeat"]
        assert pooled["width"] < 0.8 * first["width"]
        assert pooled["found"] > first["found"]


def test_benchmarks_share_no_row_and_no_group():
    groups = np.random.default_rng(1).integers(0, 300, 2000)
    nothing = np.zeros(2000)
    population = rule.Population("made up", nothing[:, None], nothing, "regression", groups)
    drawn = rule.benchmarks(population, 250)
    assert len(drawn) >= 6 and min(map(len, drawn)) >= 250
    kept = [set(groups[rows]) for rows in drawn]
    assert len(set.union(*kept)) == sum(map(len, kept))


def test_what_is_lost_without_a_cluster_is_the_metric_without_it():
    """Exact for averages, and for ROC-AUC where a cluster has one class."""
    draw = np.random.default_rng(2)
    y = np.repeat([1.0, 0.0], [9, 31])
    p = y + draw.normal(size=40)
    clusters = np.r_[np.repeat([0, 1, 2], 3), 3 + np.arange(31) // 4]
    for name, clusters_ in (("roc_auc", clusters), ("roc_auc", None), ("mae", clusters)):
        lost = deletions(name, y, p, None, clusters_)
        codes = np.arange(40) if clusters_ is None else clusters_
        whole = METRICS[name].function(y, p)
        for code in np.unique(codes):
            kept = codes != code
            without = METRICS[name].function(y[kept], p[kept])
            assert lost[~kept].sum() == pytest.approx(whole - without, abs=1e-12)


def test_a_cluster_that_holds_a_whole_class_keeps_its_contributions():
    y, p = np.array([1.0, 1, 0, 0, 0]), np.array([0.9, 0.3, 0.5, 0.1, 0.2])
    clusters = np.array([0, 0, 1, 2, 3])
    lost, plain = deletions("roc_auc", y, p, None, clusters), contributions("roc_auc", y, p)
    np.testing.assert_allclose(lost, plain * [1, 1, 1.5, 1.5, 1.5])


def _folds(moved, ratio=0.0):
    """Two folds with the differences 0.1 and 0.5, the rows of each numbered on."""
    rows = np.arange(2 * len(moved)).reshape(2, -1)
    return [
        FoldDifference(value, np.array(moved), own, ratio)
        for value, own in zip((0.1, 0.5), rows, strict=True)
    ]


def test_folds_that_share_train_rows_tell_less_of_the_fits():
    """By hand: s² = .08, of which rows explain nothing; (1/2 + 1/4) of it instead of 1/2."""
    shared, alone = (pooled_interval(_folds([0.0, 0.0], ratio)) for ratio in (0.25, 0.0))
    assert (shared.high - shared.low) / (alone.high - alone.low) == pytest.approx(1.5**0.5)


def test_few_rows_that_carry_the_variance_leave_few_degrees_of_freedom():
    """By hand: of 40 rows 4 add ±1/4 each, ΣC⁴ = 4/256 and V = 1/4, so 2V²/(ΣC⁴ − V²/40) = 80/9."""
    moved = [0.5, -0.5, *[0.0] * 18]
    folds = [FoldDifference(0.3, f.moved, f.clusters) for f in _folds(moved)]
    half = stats.t.ppf(0.975, 80 / 9) * np.sqrt(40 / 39 * 0.25)
    found = pooled_interval(folds)
    assert found.high - found.low == pytest.approx(2 * half)
