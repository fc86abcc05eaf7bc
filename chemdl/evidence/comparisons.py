"""From a study's scores and predictions to the intervals of its comparisons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chemdl.evidence import metrics
from chemdl.evidence import statistics as stats
from chemdl.evidence.influence import FoldDifference, deletions, pooled_interval
from chemdl.evidence.metrics import METRICS
from chemdl.evidence.result import Predictions
from chemdl.evidence.verdicts import FEWEST_SETS

Row = dict[str, Any]
Place = tuple[int, int]
Floats = np.ndarray

# Units that are data sets of their own: one difference each, never pooled.
SEVERAL = ("task", "target")


@dataclass(frozen=True)
class Evidence:
    """What comparisons are drawn from: one row per replica, and the predictions.

    Attributes
    ----------
    scores
        Rows of a card's scores.
    predictions
        Test predictions, with the clusters of the rows where there are some.
    unit
        ``fold`` for resampled folds of one data set; ``task`` or ``target`` for several data sets
        with one mean difference each (a target is a task of its own, or the fold that leaves it
        out); any other (``molecule``, …) for one fixed test set.
    folds
        Number of replicas in one whole repeat.
    """

    scores: Sequence[Row]
    predictions: Predictions
    unit: str = "fold"
    folds: int = 1
    _moved: dict[Any, tuple[float, Floats] | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def tasks(self) -> list[str]:
        """The names of the tasks."""
        return list(next(iter(self.scores[0]["values"].values()))) if self.scores else []

    def replicas(self, model: str, condition: str = "all") -> dict[Place, Row]:
        """Return a model's rows by (repeat, fold)."""
        rows = (r for r in self.scores if r["model"] == model and r["condition"] == condition)
        return {(row["repeat"], row["fold"]): row for row in rows}

    def common(self, *models: str, condition: str = "all") -> list[Place]:
        """Return the places of the whole repeats that all these models have."""
        shared = set.intersection(*(set(self.replicas(m, condition)) for m in models))
        count = Counter(repeat for repeat, _ in shared)
        return sorted(place for place in shared if count[place[0]] >= self.folds)

    def units_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the number of the unit of resampling of each line of the targets."""
        known = self.predictions.clusters
        known = self.predictions.units if known is None else known
        return rows if known is None else known[rows]

    def moved(
        self, model: str, metric: str, condition: str, place: Place, task: str
    ) -> tuple[float, Floats] | None:
        """Return a replica's metric in a task and what each test row adds to it.

        ``None`` where the metric is undefined. Zeros for rows without a label.
        """
        key = (model, metric, condition, place, task)
        if key not in self._moved:
            self._moved[key] = self._computed(*key)
        return self._moved[key]

    def _computed(
        self, model: str, metric: str, condition: str, place: Place, task: str
    ) -> tuple[float, Floats] | None:
        value = self.replicas(model, condition)[place]["values"][metric].get(task)
        if value is None:
            return None
        arrays, column = self.predictions.arrays, self.tasks.index(task)
        rows = arrays["test/{}/{}".format(*place)]
        labels = self.predictions.targets[rows, column].astype(np.float64)
        measured = np.isfinite(labels)
        predicted = arrays["{}/{}/{}/{}".format(model, condition, *place)][measured, column]
        units = self.predictions.units
        own = None if units is None else units[rows][measured]
        out = np.zeros(len(rows))
        out[measured] = deletions(metric, labels[measured], predicted.astype(np.float64), own,
                                  self.units_of(rows)[measured])  # fmt: skip
        return value, out


def test_train_ratios(rows: Iterable[Row]) -> np.ndarray:
    """Return n_test / n_train of each replica's fit."""
    return np.array([row["n_test"] / row["n_train"] for row in rows])


def compare(evidence: Evidence, a: str, b: str, metric: str, condition: str = "all") -> Row | None:
    """Compare model ``a`` with ``b``: a card's comparison, or ``None`` where nothing can be said.

    Positive differences favour ``a``. The interval is that *on this data set*: pooled influence
    values for resampled folds, the paired bootstrap over its units, nested with seeds, for a fixed
    test set, Wilcoxon's for several data sets. ``methods`` is that *of the methods*, for another
    sample of this size, where the design tells it: Nadeau and Bengio's corrected interval, for
    resampled folds and for targets that share their training rows.
    """
    places = evidence.common(a, b, condition=condition)
    if not places:
        return None
    methods: stats.Interval | None = None
    interval: stats.Interval | None
    if evidence.unit == "fold" and not _one_test_set(evidence, places):
        interval = _pooled(evidence, a, b, metric, condition, places)
        methods = _corrected(evidence, a, b, metric, condition, places)
    elif evidence.unit == "target":
        differences = list(fold_differences(evidence, a, b, metric, condition).values())
        # Each target is left out of the rows of all others, so their differences hang together.
        interval = methods = (
            stats.corrected_interval(differences, 1 / (len(differences) - 1))
            if len(differences) >= FEWEST_SETS
            else None
        )
    elif evidence.unit == "task":
        differences = list(task_differences(evidence, a, b, metric, condition).values())
        interval = stats.wilcoxon(differences) if len(differences) >= FEWEST_SETS else None
    else:
        interval = _bootstrap(evidence, a, b, metric, condition, places)
    if interval is None:
        return None
    return {
        "a": a,
        "b": b,
        "metric": metric,
        "condition": condition,
        "difference": float(interval.difference),
        "low": float(interval.low),
        "high": float(interval.high),
        "detectable": _finite(interval.detectable),
        "p": _finite(interval.p),
        "method": interval.method,
        "methods": None if methods is None else _as_row(methods),
    }


def _one_test_set(evidence: Evidence, places: Sequence[Place]) -> bool:
    """Return whether several replicas have the same test rows and differ by seeds alone."""
    first, *others = (evidence.predictions.arrays["test/{}/{}".format(*p)] for p in places)
    return bool(others) and all(np.array_equal(first, rows) for rows in others)


def task_intervals(
    evidence: Evidence, a: str, b: str, metric: str, condition: str = "all"
) -> dict[str, stats.Interval]:
    """Return the interval of each task's difference; tasks where it is undefined are left out."""
    places = evidence.common(a, b, condition=condition)
    found = {}
    for column, task in enumerate(evidence.tasks):
        one = _of_one_task(evidence, column, places)
        how = _pooled if one.unit == "fold" else _bootstrap
        try:
            interval = how(one, a, b, metric, condition, places)
        except ValueError:  # one unit only, or one class: this task says nothing
            continue
        if interval is not None:
            found[task] = interval
    return found


def _of_one_task(evidence: Evidence, column: int, places: Sequence[Place]) -> Evidence:
    """Return the evidence of one task alone, with the test rows that have its label."""
    task, known = evidence.tasks[column], evidence.predictions
    arrays: dict[str, np.ndarray] = {}
    kept = {}
    for repeat, fold in places:
        rows = known.arrays[f"test/{repeat}/{fold}"]
        measured = np.isfinite(known.targets[rows, column])
        kept[f"{repeat}/{fold}"] = measured
        arrays[f"test/{repeat}/{fold}"] = rows[measured]
    for key, values in known.arrays.items():
        place = "/".join(key.split("/")[-2:])
        if not key.startswith("test/") and place in kept:
            arrays[key] = values[kept[place]][:, [column]]
    scores = [
        {**row, "values": {m: {task: v.get(task)} for m, v in row["values"].items()}}
        for row in evidence.scores
    ]
    predictions = Predictions(known.targets[:, [column]], arrays, known.units, known.clusters)
    unit = "fold" if evidence.folds > 1 else "row"
    return Evidence(scores, predictions, unit, evidence.folds)


def against(evidence: Evidence, reference: str, models: Sequence[str], metric: str) -> list[Row]:
    """Compare every model with the reference; ``p_holm`` is adjusted over the models."""
    rows = [compare(evidence, model, reference, metric) for model in models if model != reference]
    found = [row for row in rows if row is not None]
    known = [row for row in found if row["p"] is not None]
    for row, p in zip(known, stats.holm([row["p"] for row in known]), strict=True):
        row["p_holm"] = float(p)
    return found


def mean_score(evidence: Evidence, model: str, metric: str, condition: str = "all") -> float:
    """Return the mean over a model's whole repeats, each replica the mean of its defined tasks."""
    rows = evidence.replicas(model, condition)
    places = evidence.common(model, condition=condition)
    return float(np.nanmean(replica_means([rows[place] for place in places], metric)))


def task_differences(
    evidence: Evidence, a: str, b: str, metric: str, condition: str = "all"
) -> dict[str, float]:
    """Return each task's mean oriented difference over common whole repeats.

    Tasks where it is undefined are left out.
    """
    ours, theirs = evidence.replicas(a, condition), evidence.replicas(b, condition)
    keys = evidence.common(a, b, condition=condition)
    tasks = ours[keys[0]]["values"][metric] if keys else {}
    out = {}
    for task in tasks:
        pairs = [(ours[k]["values"][metric][task], theirs[k]["values"][metric][task]) for k in keys]
        known = [metrics.improvement(metric, x, y) for x, y in pairs if None not in (x, y)]
        if known:
            out[task] = float(np.mean(known))
    return out


def fold_differences(
    evidence: Evidence, a: str, b: str, metric: str, condition: str = "all"
) -> dict[int, float]:
    """Return each fold's oriented difference, the mean over whole repeats and its defined tasks."""
    ours, theirs = evidence.replicas(a, condition), evidence.replicas(b, condition)
    found: dict[int, list[float]] = {}
    for place in evidence.common(a, b, condition=condition):
        if each := _improvements(ours[place], theirs[place], metric):
            found.setdefault(place[1], []).append(float(np.mean(each)))
    return {fold: float(np.mean(values)) for fold, values in found.items()}


def replica_means(rows: Iterable[Row], metric: str) -> np.ndarray:
    """Return each replica's mean over its defined tasks, NaN where there is none."""
    return np.array([_mean_of_known(row["values"][metric].values()) for row in rows])


def _mean_of_known(values: Iterable[float | None]) -> float:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else float("nan")


def _corrected(
    evidence: Evidence, a: str, b: str, metric: str, condition: str, places: Sequence[Place]
) -> stats.Interval | None:
    """Take each fold's mean over the tasks that are defined for both models."""
    ours, theirs = evidence.replicas(a, condition), evidence.replicas(b, condition)
    differences, kept = [], []
    for place in places:
        if each := _improvements(ours[place], theirs[place], metric):
            differences.append(float(np.mean(each)))
            kept.append(ours[place])
    if len(differences) < 2:
        return None
    return stats.corrected_interval(np.array(differences), test_train_ratios(kept))


def _improvements(ours: Row, theirs: Row, metric: str) -> list[float]:
    """Return the oriented difference of each task that is defined for both."""
    x, y = ours["values"][metric], theirs["values"][metric]
    common = [t for t in x if x[t] is not None and y.get(t) is not None]
    return [float(metrics.improvement(metric, x[t], y[t])) for t in common]


def _as_row(interval: stats.Interval) -> Row:
    return {
        "value": float(interval.difference),
        "low": float(interval.low),
        "high": float(interval.high),
        "method": interval.method,
    }


def _bootstrap(
    evidence: Evidence, a: str, b: str, metric: str, condition: str, places: Sequence[Place]
) -> stats.Interval | None:
    """Resample the units of the one test set, and the seeds within."""
    arrays = evidence.predictions.arrays
    rows, *others = (arrays[f"test/{r}/{f}"] for r, f in places)
    if not all(np.array_equal(rows, other) for other in others):
        raise ValueError(
            f"unit {evidence.unit!r} asks for one fixed test set, but test rows differ between "
            "replicas; use unit 'fold'"
        )
    ours, theirs = (
        np.stack([arrays[f"{model}/{condition}/{r}/{f}"] for r, f in places]) for model in (a, b)
    )
    targets = evidence.predictions.targets[rows]
    units, tasks = evidence.units_of(rows), evidence.tasks
    if np.isnan(metrics.score_tasks(metric, targets, ours[0], tasks=tasks, units=units)).all():
        return None
    return stats.paired_bootstrap(targets, ours, theirs, metric, units=units, tasks=tasks)


def _pooled(
    evidence: Evidence, a: str, b: str, metric: str, condition: str, places: Sequence[Place]
) -> stats.Interval | None:
    """Pool what the rows of all folds add to the difference."""
    folds = [_fold_difference(evidence, a, b, metric, condition, place) for place in places]
    known = [fold for fold in folds if fold is not None]
    return pooled_interval(known) if len(known) > 1 else None


def _fold_difference(
    evidence: Evidence, a: str, b: str, metric: str, condition: str, place: Place
) -> FoldDifference | None:
    """Average over the tasks that are defined for both models; ``None`` where none is."""
    rows = evidence.predictions.arrays["test/{}/{}".format(*place)]
    sign = 1.0 if METRICS[metric].higher_is_better else -1.0
    values, moved = [], np.zeros(len(rows))
    for task in evidence.tasks:
        ours, theirs = (evidence.moved(m, metric, condition, place, task) for m in (a, b))
        if ours is None or theirs is None:
            continue
        values.append(sign * (ours[0] - theirs[0]))
        moved += sign * (ours[1] - theirs[1])
    if not values:
        return None
    ratio = float(test_train_ratios([evidence.replicas(a, condition)[place]])[0])
    units = evidence.units_of(rows)
    return FoldDifference(float(np.mean(values)), moved / len(values), units, ratio)


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None
