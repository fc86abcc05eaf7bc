"""How much each row of a test set moves a metric: the derivative by the row's weight.

For a metric M of weighted rows the derivative at unit weights is cᵢ = ∂M/∂wᵢ, so that
M(w) ≈ M + Σ cᵢ (wᵢ − 1); n·cᵢ is Hampel's empirical influence value (Hampel, J. Am. Stat. Assoc.
69, 383, 1974), and Σᵢ cᵢ² is the infinitesimal jackknife's variance of M under sampling of
independent rows (Efron, Biometrika 68, 589, 1981). The contributions of a metric add up to 0.

That variance is too small where few rows carry the metric: with m positives in a test set their
part lacks a factor of (m − 1)/m, and more when repeats are pooled. The jackknife, which leaves
rows out for good, has at least the right variance on average (Efron and Stein, Ann. Stat. 9, 586,
1981); :func:`deletions` gives its values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chemdl.evidence.intervals import Interval, satterthwaite, t_interval
from chemdl.evidence.metrics import METRICS, Metric

Floats = NDArray[np.float64]
# Cells of one block of jackknife weights (units × rows): 32 MB of float64.
_BLOCK_CELLS = 4_000_000


@dataclass(frozen=True)
class FoldDifference:
    """The difference of two models on the test rows of one fold, and what each row adds to it.

    Attributes
    ----------
    value
        The difference, positive where the first model is better.
    moved
        What each test row adds to the value, shape (n,): its part of what is lost where its cluster
        is left out (:func:`deletions`).
    clusters
        Number of the cluster (scaffold, protein, formula) of each test row, shape (n,); the same
        number means the same cluster in every fold.
    ratio
        n_test / n_train of the fold's fits; 0 where the folds share no train rows.
    """

    value: float
    moved: Floats
    clusters: NDArray[np.int64]
    ratio: float = 0.0


def pooled_interval(folds: Sequence[FoldDifference], confidence: float = 0.95) -> Interval:
    """Interval for the mean difference of the models of these folds, on new rows like these.

    What a row adds is pooled over all folds and repeats in which it is tested, and summed within
    its cluster g: C_g = (1/J) Σ_f Σ_{i in g} c_fi over J folds. With G clusters::

        Var(d̄) = G/(G − 1) · Σ_g C_g²  +  (1/J + ρ) · max(0, s² − v̄),

    where s² is the variance of the folds' differences and v̄ the mean over folds of that part of it
    that the fold's own clusters explain. The first term is the sampling of rows, which gives valid
    intervals for the error of cross-validated models (Bayle, Bayle, Janson and Mackey, NeurIPS
    2020); the second is what seeds and train rows add from fold to fold. Folds share their train
    rows, so that part falls off no faster than with Nadeau and Bengio's ρ = n_test/n_train, here
    on what test rows leave unexplained alone; for seeds, which cannot be told from them, it is too
    large. Rows that serve for test and for training make the folds' errors hang together in a way
    that no fold shows (Bates, Hastie and Tibshirani, J. Am. Stat. Assoc. 119, 1434, 2024): models
    that hang on single train rows keep an interval that is somewhat narrow. Degrees of freedom are
    Satterthwaite's. Those of V = Σ C_g² are 2 V² / (Σ C_g⁴ − V²/G): twice its square over its
    variance as a sum of independent terms, so G for normal C_g and few where few rows carry the
    variance, such as rare positives. At most they are what the sizes alone allow: clusters of
    unequal size n_g count as (Σ n_g)² / Σ n_g² equal ones (Kish), less one.

    The interval says nothing of another sample of train rows; see
    :func:`chemdl.evidence.statistics.corrected_interval`.

    Parameters
    ----------
    folds
        One entry a fold, of whole repeats.
    confidence
        Of the interval.

    Raises
    ------
    ValueError
        For fewer than two folds, or rows that all belong to one cluster.
    """
    values = np.array([fold.value for fold in folds])
    if len(values) < 2:
        raise ValueError(f"{len(values)} folds are too few for an interval; at least 2 are needed")
    codes = np.unique(np.concatenate([fold.clusters for fold in folds]), return_inverse=True)[1]
    count = int(codes.max()) + 1
    if count < 2:
        raise ValueError("all test rows belong to one cluster; an interval needs at least two")
    pooled = np.bincount(codes, np.concatenate([fold.moved for fold in folds])) / len(folds)
    squares = float((pooled**2).sum())
    by_rows = count / (count - 1) * squares
    explained = float(np.mean([_within(fold) for fold in folds]))
    shared = 1 / len(folds) + float(np.mean([fold.ratio for fold in folds]))
    by_fits = shared * max(0.0, float(values.var(ddof=1)) - explained)
    spread = float((pooled**4).sum()) - squares**2 / count
    by_moments = 2 * squares**2 / spread if spread > 0 else np.inf
    sizes = np.bincount(codes)
    equal = float(sizes.sum() ** 2 / (sizes**2).sum())
    own = max(1.0, min(equal - 1, by_moments))
    variance, freedom = satterthwaite([(by_rows, own), (by_fits, len(folds) - 1.0)])
    return t_interval(
        float(values.mean()), float(np.sqrt(variance)), freedom, count, confidence,
        f"influence values of {count} clusters pooled over {len(folds)} folds (Bayle et al. 2020)",
    )  # fmt: skip


def _within(fold: FoldDifference) -> float:
    codes = np.unique(fold.clusters, return_inverse=True)[1]
    return float((np.bincount(codes, fold.moved) ** 2).sum())


def deletions(
    metric: str | Metric,
    y: Floats,
    p: Floats,
    units: NDArray[np.int64] | None = None,
    clusters: NDArray[np.int64] | None = None,
) -> Floats:
    """Return each row's part of what the metric loses where the row's cluster is left out.

    Summed within a cluster they are the jackknife's values. Where a cluster holds k of the m rows
    that a metric is an average over, that is :func:`contributions` times m/(m − k); the positives
    and the negatives have averages of their own in a metric of ranks or rates. This is exact for
    averages, and for ROC-AUC and rates where a cluster has one class; for others to first order.

    Parameters
    ----------
    metric, y, p, units
        As in :func:`contributions`.
    clusters
        The cluster of each row (n,); without it each row, or each unit, is left out alone.

    Returns
    -------
    array
        Shape (n,), NaN where the metric is undefined. A cluster that holds a whole class cannot be
        left out; its rows keep their contributions.
    """
    name = metric if isinstance(metric, str) else metric.name
    moved = contributions(metric, y, p, units)
    groups = units if clusters is None else clusters
    codes = np.arange(len(y)) if groups is None else np.unique(groups, return_inverse=True)[1]
    side = (y == 1).astype(np.int64) if name in _BY_CLASS else np.zeros(len(y), np.int64)
    total = np.bincount(side, minlength=2)[side]
    held = np.bincount(2 * codes + side, minlength=2 * (int(codes.max()) + 1))[2 * codes + side]
    rest = total - held
    return np.where(rest > 0, moved * total / np.maximum(rest, 1), moved)


def contributions(
    metric: str | Metric, y: Floats, p: Floats, units: NDArray[np.int64] | None = None
) -> Floats:
    """Return ∂M/∂wᵢ of each row, shape (n,).

    Rows are the molecules of one task of one test set, or the residues of its chains. A metric
    that has no closed form here is computed again without each row (the jackknife); one that is
    about whole units without each unit, whose rows then share its value evenly.

    Parameters
    ----------
    metric
        A metric or its name.
    y, p
        Measured labels (n,) and predictions (n,).
    units
        The unit of each row (n,), such as the chain of a residue.

    Returns
    -------
    array
        NaN everywhere where the metric is undefined.
    """
    metric = METRICS[metric] if isinstance(metric, str) else metric
    value = metric.function(y, p, units)
    if np.isnan(value):
        return np.full(len(y), np.nan)
    closed = None if metric.by_unit else _CLOSED.get(metric.name)
    return _jackknife(metric, y, p, units) if closed is None else closed(y, p, value)


def _jackknife(metric: Metric, y: Floats, p: Floats, units: NDArray[np.int64] | None) -> Floats:
    """Leave out each unit of a metric about units, else one row of each kind of equal rows."""
    if metric.by_unit:
        kinds = np.unique(np.zeros(len(y)) if units is None else units, return_inverse=True)[1]
        sizes, times = np.bincount(kinds).astype(np.float64), np.ones(int(kinds.max()) + 1)
        labels, predictions, whole, left_out = y, p, np.ones(len(y)), kinds
    else:
        if metric.name in _OF_RANKS:
            # Between two positives one negative is as good as the other.
            places = np.unique(p[y == 1])
            p = (np.searchsorted(places, p, "left") + np.searchsorted(places, p, "right")) / 2
        rows, kinds, counts = np.unique(
            np.column_stack([y, p]), axis=0, return_inverse=True, return_counts=True
        )
        kinds, times = kinds.ravel(), counts.astype(np.float64)
        sizes, left_out = np.ones(len(rows)), np.arange(len(rows))
        labels, predictions, whole = rows[:, 0], rows[:, 1], times
    values = np.empty(len(times))
    step = max(1, _BLOCK_CELLS // len(labels))
    for start in range(0, len(values), step):
        block = np.arange(start, min(start + step, len(values)))
        weights = whole - (left_out == block[:, None])
        values[block] = metric.weigh(labels, predictions, weights, units)
    # What cannot be left out (the only positive) says nothing.
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(len(y))
    mean = np.average(values[known], weights=times[known])
    moved = np.where(known, mean - values, 0.0) * (times.sum() - 1) / times.sum()
    return (moved / sizes)[kinds]


def _mean_of(loss: Callable[[Floats, Floats], Floats]) -> Callable[[Floats, Floats, float], Floats]:
    def closed(y: Floats, p: Floats, value: float) -> Floats:
        losses = loss(y, p)
        return (losses - losses.mean()) / len(y)

    return closed


def _rmse(y: Floats, p: Floats, value: float) -> Floats:
    if value == 0:
        return np.zeros(len(y))
    return ((p - y) ** 2 - value**2) / (2 * value * len(y))


def _r2(y: Floats, p: Floats, value: float) -> Floats:
    spread = (y - y.mean()) ** 2
    # Of 1 − E/S: −(e·S − E·s)/S², with E/S = 1 − value.
    return ((1 - value) * spread - (p - y) ** 2) / spread.sum()


def _pearson_r(y: Floats, p: Floats, value: float) -> Floats:
    a, b = (v - v.mean() for v in (y, p))
    a, b = a / np.sqrt((a**2).sum()), b / np.sqrt((b**2).sum())
    return a * b - value * (a**2 + b**2) / 2


def _pearson_r2(y: Floats, p: Floats, value: float) -> Floats:
    r = float(np.corrcoef(y, p)[0, 1])
    return 2 * r * _pearson_r(y, p, r)


def _roc_auc(y: Floats, p: Floats, value: float) -> Floats:
    """Placements of DeLong, DeLong and Clarke-Pearson (Biometrics 44, 837, 1988)."""
    positive = y == 1
    out = np.empty(len(y))
    for own, other, sign in ((positive, ~positive, 1.0), (~positive, positive, -1.0)):
        ranked = np.sort(sign * p[other])
        below = np.searchsorted(ranked, sign * p[own], side="left")
        upto = np.searchsorted(ranked, sign * p[own], side="right")
        out[own] = ((below + upto) / (2 * len(ranked)) - value) / own.sum()
    return out


def _pr_auc(y: Floats, p: Floats, value: float) -> Floats:
    """Of Σ⁺ A/B over positives: A positives and B rows are predicted at least as high."""
    order = np.argsort(-p, kind="stable")
    ends = np.flatnonzero(np.diff(-p[order], append=np.inf) != 0)
    group = np.searchsorted(ends, np.arange(len(p)))
    labels = y[order]
    found, taken = np.cumsum(labels)[ends], ends + 1.0
    positives = np.diff(found, prepend=0.0)
    # A row counts in A and B of every positive that stands no higher: groups from its own on.
    rise = np.cumsum((positives / taken)[::-1])[::-1]
    fall = np.cumsum((positives * found / taken**2)[::-1])[::-1]
    moved = labels * (found / taken)[group] + labels * rise[group] - fall[group] - labels * value
    out = np.empty(len(y))
    out[order] = moved / found[-1]
    return out


def _sensitivity(y: Floats, p: Floats, value: float) -> Floats:
    return y * ((p >= 0.5) - value) / y.sum()


def _specificity(y: Floats, p: Floats, value: float) -> Floats:
    return _sensitivity(1 - y, np.where(p < 0.5, 1.0, 0.0), value)


def _balanced_accuracy(y: Floats, p: Floats, value: float) -> Floats:
    right = np.where(y == 1, p >= 0.5, p < 0.5)
    shares = (right[y == 1].mean(), right[y == 0].mean())
    return (_sensitivity(y, p, shares[0]) + _specificity(y, p, shares[1])) / 2


# Metrics in which positives and negatives are averaged apart.
_BY_CLASS = {"roc_auc", "pr_auc", "sensitivity", "specificity", "balanced_accuracy"}
_CLOSED: dict[str, Callable[[Floats, Floats, float], Floats]] = {
    "accuracy": _mean_of(lambda y, p: ((p >= 0.5) == y).astype(np.float64)),
    "brier": _mean_of(lambda y, p: (p - y) ** 2),
    "mae": _mean_of(lambda y, p: np.abs(p - y)),
    "rmse": _rmse,
    "r2": _r2,
    "pearson_r": _pearson_r,
    "pearson_r2": _pearson_r2,
    "roc_auc": _roc_auc,
    "pr_auc": _pr_auc,
    "sensitivity": _sensitivity,
    "specificity": _specificity,
    "balanced_accuracy": _balanced_accuracy,
}
# Of the others, those that depend on nothing but the order of positives and negatives.
_OF_RANKS = ("bedroc", "enrichment_1")
