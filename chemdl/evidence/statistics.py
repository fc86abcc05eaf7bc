"""Intervals, tests and corrections, chosen by the design of a study.

- Resampled folds of one data set: :func:`corrected_interval`, then :func:`holm` over the models.
- One fixed test set: :func:`paired_bootstrap` over its units.
- Several data sets or tasks: :func:`wilcoxon` on one mean difference each, :func:`compare_ranks`.
- A count: :func:`wilson`. A published level: :func:`level_interval`.
- The ledger of all verdicts: :func:`benjamini_hochberg`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chemdl.evidence.intervals import (
    Interval,
    around,
    finite,
    noncentrality,
    satterthwaite,
    t_interval,
)
from chemdl.evidence.metrics import METRICS, Metric, check_scored, scored_rows

Floats = NDArray[np.float64]
# Cells of one block of bootstrap weights (resamples × rows): 32 MB of float64.
_BLOCK_CELLS = 4_000_000


@dataclass(frozen=True)
class Ranks:
    """Average ranks of models over data sets (1 is best), as a critical-difference figure has them.

    Attributes
    ----------
    names, average
        Names of the models and their average ranks.
    p
        p value of Friedman's test of equal ranks (for two models of Wilcoxon's test).
    critical_difference
        Average ranks that are closer than this do not differ significantly (Nemenyi).
    pairwise
        Nemenyi p values, shape (models, models), in the order of ``names``.
    n
        Number of data sets.
    """

    names: tuple[str, ...]
    average: tuple[float, ...]
    p: float
    critical_difference: float
    pairwise: tuple[tuple[float, ...], ...]
    n: int


def corrected_interval(
    differences: ArrayLike, test_train_ratio: ArrayLike, confidence: float = 0.95
) -> Interval:
    """Interval for the mean difference over resampled folds of one data set.

    The folds share training rows, so their variance understates that of the mean. With J folds and
    their variance s² (ddof=1) the corrected resampled t test takes::

        Var(d̄) = (1/J + n_test/n_train) · s²,   t with J − 1 degrees of freedom

    (Nadeau and Bengio, Mach. Learn. 52, 239, 2003; for repeated cross-validation Bouckaert and
    Frank, PAKDD 2004). The correction is a rule of thumb: with refits on simulated sets, 5×5 folds
    and a nominal 5 % it errs in 2 to 6 % for ridge and nearest-neighbour regression, and in 9 to 11
    % for the ROC-AUC of nearest neighbours, which depend more on their train rows.

    Parameters
    ----------
    differences
        Differences (J,), one for each fold, positive where a is better.
    test_train_ratio
        n_test / n_train of the fits; the mean is taken if there are several.
    confidence
        Confidence level of the interval, between 0 and 1.

    Raises
    ------
    ValueError
        For fewer than two differences, a difference that is not finite, or a ratio that is not
        positive.
    """
    values = finite(differences, "difference", least=2)
    ratio = _ratio(test_train_ratio)
    error = float(np.sqrt(1 / len(values) + ratio) * values.std(ddof=1))
    return t_interval(float(values.mean()), error, len(values) - 1, len(values), confidence,
                       "corrected resampled t (Nadeau and Bengio 2003)")  # fmt: skip


def paired_bootstrap(
    y: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    metric: str | Metric,
    units: ArrayLike | None = None,
    *,
    tasks: Sequence[str] | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Interval for the difference of two models on one fixed test set, nested with their seeds.

    The statistic is the mean over seeds and tasks of metric(a) − metric(b), oriented. Units are
    drawn with replacement, the same ones for both models, all seeds and all tasks (Efron and
    Tibshirani, An Introduction to the Bootstrap, 1993, ch. 6 and 8); this gives the variance from
    the units. The mean over S seeds is linear, so its variance needs no drawing: s²/S. The two add,
    and t has Satterthwaite's degrees of freedom, since five seeds do not carry a normal quantile.
    The interaction of seeds and units is counted twice, which makes the interval a little wide.

    Parameters
    ----------
    y
        Labels, (n, tasks) or (n,); NaN where not measured.
    a, b
        Predictions, (seeds, n, tasks), (seeds, n), or of y's shape for a single fit. The seeds of a
        and b are paired if there are equally many, else taken as independent. A model with one seed
        adds no variance from seeds, which is right for a model that uses none.
    metric
        Name of a metric, or a :class:`~chemdl.evidence.metrics.Metric`.
    units
        Label of each row's unit (scaffold cluster, protein), shape (n,); by default each row is a
        unit.
    tasks
        Names of the columns, for metrics that are defined for one of them.
    resamples, seed
        Number of resamples, and the seed from which they are drawn.

    Raises
    ------
    ValueError
        For shapes that do not fit, predictions that are not finite, fewer than two units, or a
        metric that is undefined for every task.
    """
    metric = METRICS[metric] if isinstance(metric, str) else metric
    labels, left, right = _checked(y, a, b, metric)
    codes = _unit_codes(units, len(labels))
    count = int(codes.max()) + 1
    if count < 2:
        raise ValueError("a bootstrap needs at least two units; all rows belong to one")
    sign = 1.0 if metric.higher_is_better else -1.0
    scored = _Scored(metric, labels, codes, tasks)
    ones = np.ones((1, len(labels)))
    seeds_left, seeds_right = (scored.means(side, ones)[:, 0] for side in (left, right))
    difference = sign * float(seeds_left.mean() - seeds_right.mean())
    if np.isnan(difference):
        raise ValueError(
            f"{metric.name} is undefined for every task of this test set (one class only, or "
            "nothing measured); choose another metric or a larger test set"
        )
    drawn = _resampled_difference(scored, left, right, resamples, seed)
    by_units = (float(np.nanvar(drawn, ddof=1)), count - 1.0)
    variance, freedom = satterthwaite([by_units, *_seed_parts(seeds_left, seeds_right)])
    what = "rows" if units is None else "units"
    return t_interval(difference, float(np.sqrt(variance)), freedom, count, confidence,
                       f"paired bootstrap over {what}, {resamples} resamples, "
                       f"{len(left)} and {len(right)} seeds")  # fmt: skip


def wilcoxon(differences: ArrayLike, confidence: float = 0.95) -> Interval:
    """Wilcoxon's signed-rank test over several data sets or tasks, one mean difference each.

    The estimate is Hodges and Lehmann's, the median of all pairwise means; the interval holds the
    shifts that the test would not reject (Hollander, Wolfe and Chicken, Nonparametric Statistical
    Methods, 2014, sec. 3.2 and 3.3), so it is infinite below six sets at 95 %. Recommended over the
    t test across data sets by Demšar (J. Mach. Learn. Res. 7, 1, 2006). The smallest detectable
    difference takes Wilcoxon's efficiency of 3/π beside the t test.

    Raises
    ------
    ValueError
        For fewer than two differences, or a difference that is not finite.
    """
    from scipy import stats

    values = finite(differences, "difference", least=2)
    n = len(values)
    walsh = np.sort(((values[:, None] + values) / 2)[np.triu_indices(n)])
    alpha = 1 - confidence
    # The largest k with P(W < k) ≤ α/2 leaves k pairwise means out at either end.
    k = _signed_rank_quantile(n, alpha / 2)
    low, high = (walsh[k - 1], walsh[-k]) if k > 0 else (-np.inf, np.inf)
    nonzero = values[values != 0]
    p = float(stats.wilcoxon(values).pvalue) if len(nonzero) else 1.0
    error = float(values.std(ddof=1) / np.sqrt(n * 3 / np.pi))
    return Interval(
        float(np.median(walsh)), float(low), float(high),
        noncentrality(n - 1, alpha) * error, p, n, "Wilcoxon signed rank, Hodges-Lehmann interval",
    )  # fmt: skip


def compare_ranks(
    table: ArrayLike,
    names: Sequence[str],
    *,
    higher_is_better: bool = True,
    confidence: float = 0.95,
) -> Ranks:
    """Rank models within each data set and compare their average ranks.

    Friedman's test, then Nemenyi's critical difference q_α √(k(k+1)/(6N)) for k models and N sets
    (Demšar, J. Mach. Learn. Res. 7, 1, 2006, sec. 3.2.2), by scipy and scikit-posthocs.

    Parameters
    ----------
    table
        Scores (sets, models), one mean for each data set; equal scores share their mean rank.
    names
        Names of the models.

    Raises
    ------
    ValueError
        For a shape that does not fit the names, fewer than two sets or models, or a missing score.
    """
    import scikit_posthocs
    from scipy import stats

    scores = np.asarray(table, np.float64)
    if scores.ndim != 2 or scores.shape[1] != len(names) or min(scores.shape) < 2:
        raise ValueError(
            f"the table has shape {scores.shape} for {len(names)} models; it must be "
            "(sets, models) with at least two of each"
        )
    finite(scores, "score", least=2)
    sets, models = scores.shape
    ranks = stats.rankdata(-scores if higher_is_better else scores, axis=1)
    if np.ptp(scores, axis=1).max() == 0:
        p, pairwise = 1.0, np.ones((models, models))
    else:
        p = wilcoxon(scores[:, 0] - scores[:, 1]).p if models == 2 else float(
            stats.friedmanchisquare(*scores.T).pvalue
        )  # fmt: skip
        pairwise = np.asarray(scikit_posthocs.posthoc_nemenyi_friedman(scores), np.float64)
    q = float(stats.studentized_range.ppf(confidence, models, np.inf)) / np.sqrt(2)
    return Ranks(
        names=tuple(names),
        average=tuple(ranks.mean(axis=0).tolist()),
        p=p,
        critical_difference=float(q * np.sqrt(models * (models + 1) / (6 * sets))),
        pairwise=tuple(tuple(row) for row in pairwise.tolist()),
        n=sets,
    )


def prediction_interval(
    values: ArrayLike, new: int = 1, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval that holds the mean of ``new`` further independent values.

    x̄ ± t_{k−1} · s · √(1/new + 1/k) with k values (Hahn and Meeker, Statistical Intervals, 1991,
    sec. 4.7).
    """
    known = finite(values, "value", least=2)
    if new < 1:
        raise ValueError(f"new={new}: at least one further value must be predicted")
    spread = float(known.std(ddof=1) * np.sqrt(1 / new + 1 / len(known)))
    return around(float(known.mean()), spread, len(known) - 1, confidence)


def level_interval(
    values: ArrayLike,
    test_train_ratio: ArrayLike,
    confidence: float = 0.95,
    *,
    new: int | None = None,
) -> tuple[float, float]:
    """Interval that holds the mean another study of the same design would publish.

    Both means, ours over J folds and theirs over ``new`` (default: J as well), have the variance of
    :func:`corrected_interval`::

        x̄ ± t_{J−1} · s · √((1/J + ρ) + (1/new + ρ)),   ρ = n_test/n_train.

    This holds for another sample of molecules too; for other splits of the same ones it is wide.
    """
    known = finite(values, "value", least=2)
    ratio, folds = _ratio(test_train_ratio), len(known)
    theirs = folds if new is None else new
    if theirs < 1:
        raise ValueError(f"new={new}: a published mean has at least one fold")
    spread = float(known.std(ddof=1) * np.sqrt(1 / folds + 1 / theirs + 2 * ratio))
    return around(float(known.mean()), spread, folds - 1, confidence)


def wilson(k: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for the share k/n (J. Am. Stat. Assoc. 22, 209, 1927).

    Raises
    ------
    ValueError
        If not 0 ≤ k ≤ n, or if n is less than 1.
    """
    from statsmodels.stats.proportion import proportion_confint

    if n < 1 or not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no count; 0 ≤ k ≤ n and n ≥ 1 are needed")
    low, high = proportion_confint(k, n, alpha=1 - confidence, method="wilson")
    return float(low), float(high)


def holm(p: ArrayLike) -> Floats:
    """Adjust p values for the family-wise error, (m,) -> (m,).

    Holm, Scand. J. Stat. 6, 65, 1979.
    """
    return _adjusted(p, "holm")


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Adjust p values for the false-discovery rate, (m,) -> (m,).

    Benjamini and Hochberg, J. R. Stat. Soc. B 57, 289, 1995.
    """
    return _adjusted(p, "fdr_bh")


def _adjusted(p: ArrayLike, method: str) -> Floats:
    values = np.asarray(p, np.float64).ravel()
    bad = ~((values >= 0) & (values <= 1))
    if bad.any():
        place = int(np.flatnonzero(bad)[0])
        raise ValueError(f"p value {values[place]} at place {place} is not between 0 and 1")
    if not len(values):
        return values
    from statsmodels.stats.multitest import multipletests

    return np.asarray(multipletests(values, method=method)[1], np.float64)


def _signed_rank_quantile(n: int, tail: float) -> int:
    """Largest k with P(W ≤ k − 1) ≤ tail for the signed-rank sum W of n values; exact."""
    ways = np.zeros(n * (n + 1) // 2 + 1)
    ways[0] = 1.0
    for rank in range(1, n + 1):
        ways[rank:] = ways[rank:] + ways[: len(ways) - rank]
        ways /= 2
    return int(np.searchsorted(np.cumsum(ways), tail, side="right"))


def _checked(
    y: ArrayLike, a: ArrayLike, b: ArrayLike, metric: Metric
) -> tuple[Floats, Floats, Floats]:
    labels = np.asarray(y, np.float64)
    labels = labels.reshape(len(labels), -1)
    sides = []
    for name, given in (("a", a), ("b", b)):
        values = np.asarray(given, np.float64)
        if values.shape in (np.shape(y), labels.shape):
            values = values[None]
        if values[0].size != labels.size or len(values[0]) != len(labels):
            raise ValueError(
                f"predictions {name} have shape {np.shape(given)} for labels {np.shape(y)}; "
                "they must be (seeds, n, tasks)"
            )
        values = values.reshape(len(values), *labels.shape)
        for seed in values:
            check_scored(labels, seed, metric.kind)
        sides.append(values)
    return labels, sides[0], sides[1]


def _unit_codes(units: ArrayLike | None, n: int) -> NDArray[np.int64]:
    if units is None:
        return np.arange(n)
    labels = np.asarray(units)
    if labels.shape != (n,):
        raise ValueError(f"units have shape {labels.shape} for {n} rows; one label per row")
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True)
class _Scored:
    """Labels (n, tasks) under a metric, with the unit (n,) of each row and the tasks' names."""

    metric: Metric
    labels: Floats
    units: NDArray[np.int64]
    tasks: Sequence[str] | None

    def means(self, p: Floats, weights: Floats) -> Floats:
        """Mean over defined tasks of each seed under each row of weights, shape (seeds, r)."""
        total = np.zeros((len(p), len(weights)))
        defined = np.zeros((len(p), len(weights)))
        for task, rows in enumerate(scored_rows(self.metric, self.labels, self.tasks)):
            if not rows.any():
                continue
            labels, kept = self.labels[rows, task], weights[:, rows]
            for seed, predictions in enumerate(p):
                value = self.metric.weigh(labels, predictions[rows, task], kept, self.units[rows])
                known = ~np.isnan(value)
                total[seed] += np.where(known, value, 0)
                defined[seed] += known
        return np.divide(total, defined, out=np.full_like(total, np.nan), where=defined > 0)


def _resampled_difference(
    scored: _Scored, a: Floats, b: Floats, resamples: int, seed: int
) -> Floats:
    """Mean difference over seeds on each resample of units, shape (resamples,)."""
    generator = np.random.default_rng(seed)
    count = int(scored.units.max()) + 1
    step = max(1, _BLOCK_CELLS // len(scored.labels))
    parts = []
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        times = generator.multinomial(count, np.full(count, 1 / count), size=size)
        weights = times[:, scored.units].astype(np.float64)
        means = [scored.means(side, weights).mean(axis=0) for side in (a, b)]
        parts.append(means[0] - means[1])
    return np.concatenate(parts)


def _seed_parts(a: Floats, b: Floats) -> list[tuple[float, float]]:
    """Variances of the mean over seeds with their degrees of freedom."""
    if len(a) == len(b):
        paired = a - b
        return [] if len(paired) < 2 else [(float(paired.var(ddof=1) / len(a)), len(a) - 1.0)]
    return [
        (float(side.var(ddof=1) / len(side)), len(side) - 1.0) for side in (a, b) if len(side) > 1
    ]


def _ratio(test_train_ratio: ArrayLike) -> float:
    ratio = np.asarray(test_train_ratio, np.float64)
    if not ratio.size or not np.isfinite(ratio).all() or (ratio <= 0).any():
        raise ValueError(f"n_test / n_train must be positive, not {test_train_ratio!r}")
    return float(ratio.mean())
