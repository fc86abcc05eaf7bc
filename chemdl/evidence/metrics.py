"""Metrics: what they measure, which way is better, and how much of a difference matters.

Every metric is written once, for weighted rows: ``weighted(y, p, w)`` with w of shape (r, n)
returns r values, one for each row of weights. Weights of one give the metric itself. Whole-number
weights give the metric of a resample, so that a bootstrap is a few matrix operations. A metric that
is undefined (only one class, a constant target) is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chemdl.registry import Registry

Floats = NDArray[np.float64]
# Pairs of a positive and a negative up to which ROC-AUC is counted pair by pair under resampling.
_MOST_PAIRS = 250_000


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes
    ----------
    name, unit
        Name and unit of the metric. The unit is "" for a pure number and "target" for the unit of
        the data set's targets.
    higher_is_better
        Whether a higher value is better. All code reads the direction from here.
    margin
        Differences smaller than this do not matter. With ``relative_margin`` it is a share of the
        other model's value.
    kind
        "classification" (y is 0 or 1, p the probability of 1), "regression", or "labelling" (y and
        p are numbers of states).
    weighted
        Function of y (n,), p (n,) and w (r, n) that returns (r,); see the module.
    task
        The only task for which the metric is defined; it is NaN for others. "" means every task.
    by_unit
        Whether ``weighted`` takes the unit (n,) of each row, such as the chain of a residue, as its
        last argument; rows of a unit follow each other.
    """

    name: str
    unit: str
    higher_is_better: bool
    margin: float
    relative_margin: bool
    kind: str
    weighted: Callable[..., Floats]
    task: str = ""
    by_unit: bool = False

    def function(self, y: ArrayLike, p: ArrayLike, units: ArrayLike | None = None) -> float:
        """Return the metric of predictions p (n,) for labels y (n,); NaN where undefined."""
        labels, predictions = np.asarray(y, np.float64), np.asarray(p, np.float64)
        if labels.shape != predictions.shape or labels.ndim != 1:
            raise ValueError(
                f"{self.name}: labels have shape {labels.shape} and predictions "
                f"{predictions.shape}; both must be (n,)"
            )
        if not len(labels):
            return float("nan")
        return float(self.weigh(labels, predictions, np.ones((1, len(labels))), units)[0])

    def weigh(self, y: Floats, p: Floats, w: Floats, units: ArrayLike | None = None) -> Floats:
        """Return the metric under each row of weights, (r,); rows without units are one unit."""
        if not self.by_unit:
            return self.weighted(y, p, w)
        return self.weighted(y, p, w, np.zeros(len(y)) if units is None else np.asarray(units))

    def is_about(self, task: str) -> bool:
        """Return whether the metric has a value for this task."""
        return self.task in ("", task)


METRICS: Registry[Metric] = Registry("metric", "metrics")


def score_tasks(
    metric: str | Metric,
    y: ArrayLike,
    p: ArrayLike,
    *,
    tasks: Sequence[str] | None = None,
    units: ArrayLike | None = None,
) -> Floats:
    """Return the metric of each task, shape (tasks,), over its measured labels.

    Parameters
    ----------
    y
        Labels, (n, tasks) or (n,); NaN means not measured and is ignored.
    p
        Predictions, of the same shape as ``y``.
    tasks
        Names of the tasks; a metric that is defined for one task is NaN for the others.
    units
        Unit of each row, (n,), for metrics that need it.

    Returns
    -------
    numpy.ndarray
        The scores (tasks,); NaN for a task where the metric is undefined (one class only, nothing
        measured). :func:`mean_of_defined` counts those.

    Raises
    ------
    ValueError
        For shapes that differ, a prediction that is not finite, or a class other than 0 and 1; the
        message names row and column.
    """
    metric = METRICS[metric] if isinstance(metric, str) else metric
    labels, predictions = check_scored(y, p, metric.kind)
    if tasks is not None and len(tasks) != labels.shape[1]:
        raise ValueError(f"{len(tasks)} names of tasks for {labels.shape[1]} columns of labels")
    scores = np.full(labels.shape[1], np.nan)
    for task, rows in enumerate(scored_rows(metric, labels, tasks)):
        own = None if units is None else np.asarray(units)[rows]
        scores[task] = metric.function(labels[rows, task], predictions[rows, task], own)
    return scores


def scored_rows(
    metric: Metric, labels: Floats, tasks: Sequence[str] | None = None
) -> Iterator[NDArray[np.bool_]]:
    """Yield for each task the rows (n,) that the metric is scored on, none where it is not."""
    for task, measured in enumerate((~np.isnan(labels)).T):
        about = tasks is None or metric.is_about(tasks[task])
        yield measured if about else np.zeros_like(measured)


def mean_of_defined(scores: ArrayLike) -> tuple[float, int]:
    """Return the mean over the tasks whose score is defined, and how many are not.

    The mean is NaN where none is.
    """
    values = np.asarray(scores, np.float64).ravel()
    defined = values[~np.isnan(values)]
    return (float(defined.mean()) if len(defined) else float("nan")), len(values) - len(defined)


def improvement(metric: str | Metric, a: ArrayLike, b: ArrayLike) -> Floats:
    """Return by how much a is better than b: a - b, or b - a where lower is better."""
    metric = METRICS[metric] if isinstance(metric, str) else metric
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    return difference if metric.higher_is_better else -difference


def margin(metric: str | Metric, baseline_value: float | None = None) -> float:
    """Return the difference that matters, in the metric's unit.

    Raises
    ------
    ValueError
        If the margin is a share of the baseline's value, and this value is missing or not finite.
    """
    metric = METRICS[metric] if isinstance(metric, str) else metric
    if not metric.relative_margin:
        return metric.margin
    if baseline_value is None or not np.isfinite(baseline_value):
        raise ValueError(
            f"the margin of {metric.name} is {metric.margin:.0%} of the baseline's value; "
            f"{baseline_value} was given"
        )
    return metric.margin * abs(float(baseline_value))


def check_scored(y: ArrayLike, p: ArrayLike, kind: str) -> tuple[Floats, Floats]:
    """Return labels and predictions as float64 (n, tasks), checked as :func:`score_tasks` says."""
    labels, predictions = (np.asarray(values, np.float64) for values in (y, p))
    if labels.shape != predictions.shape or labels.ndim not in (1, 2):
        raise ValueError(
            f"labels have shape {labels.shape} and predictions {predictions.shape}; both must be "
            "(n,) or (n, tasks)"
        )
    labels, predictions = (v.reshape(len(v), -1) for v in (labels, predictions))
    _refuse(
        ~np.isfinite(predictions), predictions, "prediction",
        "a model must predict every row of test; look for NaN in its features or a diverged loss",
    )  # fmt: skip
    if kind == "classification":
        _refuse(
            ~np.isnan(labels) & (labels != 0) & (labels != 1), labels, "label",
            "a classification metric needs 0, 1 or NaN (not measured)",
        )  # fmt: skip
    return labels, predictions


def _refuse(bad: NDArray[np.bool_], values: Floats, what: str, remedy: str) -> None:
    if bad.any():
        row, column = (int(i[0]) for i in np.nonzero(bad))
        raise ValueError(
            f"{what} is {values[row, column]} at row {row}, column {column} "
            f"({int(bad.sum())} such cells); {remedy}"
        )


def _ratio(over: Floats, under: Floats) -> Floats:
    return np.divide(over, under, out=np.full(len(over), np.nan), where=under > 0)


def _grouped_by_prediction(p: Floats, *weights: Floats) -> list[Floats]:
    """Sum weights (r, n) over rows of equal prediction, in ascending order of prediction."""
    order = np.argsort(p, kind="stable")
    starts = np.flatnonzero(np.diff(p[order], prepend=np.nan) != 0)
    ranked = [w[:, order] for w in weights]
    if len(starts) == len(p):
        return ranked
    return [np.add.reduceat(w, starts, axis=1) for w in ranked]


def _roc_auc(y: Floats, p: Floats, w: Floats) -> Floats:
    """Probability that a positive ranks above a negative, ties counting half (Mann-Whitney)."""
    positives, negatives = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    if len(w) > 1 and len(positives) * len(negatives) <= _MOST_PAIRS:
        # For many weightings of few pairs one product beats sorting five times over.
        apart = p[positives][:, None] - p[negatives]
        won, lost = w[:, positives], w[:, negatives]
        wins = np.einsum("rn,rn->r", won @ ((np.sign(apart) + 1) / 2), lost)
        return _ratio(wins, won.sum(axis=1) * lost.sum(axis=1))
    positive, negative = _grouped_by_prediction(p, w * y, w * (1 - y))
    below = np.cumsum(negative, axis=1)
    total = below[:, -1]
    wins = np.einsum("rg,rg->r", positive, below) - 0.5 * np.einsum("rg,rg->r", positive, negative)
    return _ratio(wins, positive.sum(axis=1) * total)


def _pr_auc(y: Floats, p: Floats, w: Floats) -> Floats:
    """Average precision, Σ (R_k − R_{k−1}) P_k over thresholds; no interpolation."""
    positive, every = (v[:, ::-1] for v in _grouped_by_prediction(p, w * y, w))
    found, taken = np.cumsum(positive, axis=1), np.cumsum(every, axis=1)
    precision = np.divide(found, taken, out=np.zeros_like(found), where=taken > 0)
    value = _ratio(np.einsum("rg,rg->r", positive, precision), found[:, -1])
    # Without a negative the precision is 1 whatever the model: that measures nothing.
    return np.where(taken[:, -1] > found[:, -1], value, np.nan)


def _bedroc(y: Floats, p: Floats, w: Floats, alpha: float = 20.0) -> Floats:
    """Early recognition by an exponential weight over ranks (Truchon and Bayly 2007), α = 20.

    The sum over actives of exp(−α rank / n), scaled to 0 for all actives last and 1 for all first;
    80 % of the weight lies on the first 8 % of the ranks. Rows of equal prediction share the mean
    weight of their ranks, which is what any order of them gives on the average.
    """
    positive, every = (v[:, ::-1] for v in _grouped_by_prediction(p, w * y, w))
    n, actives = every.sum(axis=1, keepdims=True), positive.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = alpha / n
        before = np.cumsum(every, axis=1) - every
        # Ranks before + 1 … before + every of a group are a geometric series.
        series = np.exp(-rate * (before + 1)) * np.expm1(-rate * every) / np.expm1(-rate)
        found = np.where(positive > 0, positive / np.where(every > 0, every, 1) * series, 0)
        value = found.sum(axis=1) / actives
        share = actives / n[:, 0]
        ideal = -np.expm1(-alpha * share) / (share * n[:, 0] * np.expm1(rate[:, 0]))
        worst = ideal * np.exp(-alpha * (1 - share))
        score = (value - worst) / (ideal - worst)
    return np.where((actives > 0) & (share < 1), score, np.nan)


def _enrichment(y: Floats, p: Floats, w: Floats, fraction: float = 0.01) -> Floats:
    """Share of actives in the first 1 % of the ranking over their share in the whole.

    The number of rows in 1 % is rounded up, as in RDKit. If only a part of a group of equal
    predictions is taken, the average over all orders of the group counts.
    """
    positive, every = (v[:, ::-1] for v in _grouped_by_prediction(p, w * y, w))
    n, actives = every.sum(axis=1), positive.sum(axis=1)
    # 1 % of 700 is 7, not 7.000000000000001.
    taken = np.ceil(fraction * n - 1e-9)
    before = np.cumsum(every, axis=1) - every
    part = np.clip(taken[:, None] - before, 0, every)
    found = np.where(every > 0, positive * part / np.where(every > 0, every, 1), 0).sum(axis=1)
    value = _ratio(found * n, taken * actives)
    return np.where(n > actives, value, np.nan)


def _brier(y: Floats, p: Floats, w: Floats) -> Floats:
    return _ratio(w @ (p - y) ** 2, w.sum(axis=1))


def _accuracy(y: Floats, p: Floats, w: Floats) -> Floats:
    return _ratio(w @ ((p >= 0.5) == y).astype(np.float64), w.sum(axis=1))


def _sensitivity(y: Floats, p: Floats, w: Floats) -> Floats:
    return _ratio(w @ (y * (p >= 0.5)), w @ y)


def _specificity(y: Floats, p: Floats, w: Floats) -> Floats:
    return _ratio(w @ ((1 - y) * (p < 0.5)), w @ (1 - y))


def _balanced_accuracy(y: Floats, p: Floats, w: Floats) -> Floats:
    return (_sensitivity(y, p, w) + _specificity(y, p, w)) / 2


def _mae(y: Floats, p: Floats, w: Floats) -> Floats:
    return _ratio(w @ np.abs(p - y), w.sum(axis=1))


def _rmse(y: Floats, p: Floats, w: Floats) -> Floats:
    return np.sqrt(_ratio(w @ (p - y) ** 2, w.sum(axis=1)))


def _spread(values: Floats, w: Floats) -> Floats:
    """Weighted sum of squared deviations; exactly 0 where the weighted values are all equal."""
    centred = values - values.mean()
    total = w.sum(axis=1)
    square = w @ centred**2
    spread = square - (w @ centred) ** 2 / np.where(total > 0, total, 1)
    # Rounding leaves about 1e-16 of the square where nothing varies.
    return np.where(spread > 1e-12 * square, spread, 0.0)


def _r2(y: Floats, p: Floats, w: Floats) -> Floats:
    """Coefficient of determination, 1 − Σ(p − y)² / Σ(y − ȳ)²."""
    return 1 - _ratio(w @ (p - y) ** 2, _spread(y, w))


def _pearson_r(y: Floats, p: Floats, w: Floats) -> Floats:
    cy, cp = y - y.mean(), p - p.mean()
    total = w.sum(axis=1)
    product = w @ (cy * cp) - (w @ cy) * (w @ cp) / np.where(total > 0, total, 1)
    return _ratio(product, np.sqrt(_spread(y, w) * _spread(p, w)))


def _pearson_r2(y: Floats, p: Floats, w: Floats) -> Floats:
    """Squared correlation, the R² of Merck's challenge (Ma et al. 2015)."""
    return _pearson_r(y, p, w) ** 2


# Margins by the rule of the verdicts: .01 for areas and accuracies, .02 for R², 3 % for errors.
for metric in (
    Metric("roc_auc", "", True, 0.01, False, "classification", _roc_auc),
    Metric("pr_auc", "", True, 0.01, False, "classification", _pr_auc),
    Metric("bedroc", "", True, 0.01, False, "classification", _bedroc),
    Metric("enrichment_1", "", True, 0.03, True, "classification", _enrichment),
    Metric("accuracy", "", True, 0.01, False, "classification", _accuracy),
    Metric("balanced_accuracy", "", True, 0.01, False, "classification", _balanced_accuracy),
    Metric("sensitivity", "", True, 0.01, False, "classification", _sensitivity),
    Metric("specificity", "", True, 0.01, False, "classification", _specificity),
    Metric("brier", "", False, 0.03, True, "classification", _brier),
    Metric("r2", "", True, 0.02, False, "regression", _r2),
    Metric("pearson_r2", "", True, 0.02, False, "regression", _pearson_r2),
    Metric("pearson_r", "", True, 0.02, False, "regression", _pearson_r),
    Metric("rmse", "target", False, 0.03, True, "regression", _rmse),
    Metric("mae", "target", False, 0.03, True, "regression", _mae),
):
    METRICS.add(metric.name, metric)
