"""From a study's scores and predictions to intervals, and from these to verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chemdl.evidence import metrics
from chemdl.evidence import statistics as stats
from chemdl.evidence.claims import Claim
from chemdl.evidence.metrics import METRICS
from chemdl.evidence.result import Predictions
from chemdl.evidence.verdicts import Verdict, is_provisional, judge_difference, judge_level

Row = dict[str, Any]

# With fewer the signed-rank test rejects nothing at 95 %, and its interval has no end.
FEWEST_TASKS = 6
# Units that are data sets of their own: one difference each, never pooled.
SEVERAL = ("task", "target")


@dataclass(frozen=True)
class Evidence:
    """What comparisons are drawn from: one row per replica, and the predictions.

    ``unit`` is the unit of resampling: ``fold`` for resampled folds of one dataset; ``task`` or
    ``target`` for several targets with one mean difference each (a target is either a task, or left
    out in one fold); any other name (``molecule``, …) for a fixed test set. The units of a fixed
    test set are labelled by ``groups`` (None: by the units of the predictions, or each row is a
    unit). ``folds`` is the number of replicas in one whole repeat.
    """

    scores: Sequence[Row]
    predictions: Predictions
    unit: str = "fold"
    groups: np.ndarray | None = None
    folds: int = 1

    def replicas(self, model: str, condition: str = "all") -> dict[tuple[int, int], Row]:
        """Return a model's rows by (repeat, fold)."""
        rows = (r for r in self.scores if r["model"] == model and r["condition"] == condition)
        return {(row["repeat"], row["fold"]): row for row in rows}


def test_train_ratios(rows: Iterable[Row]) -> np.ndarray:
    """Return n_test / n_train of each replica's fit."""
    return np.array([row["n_test"] / row["n_train"] for row in rows])


def compare(evidence: Evidence, a: str, b: str, metric: str, condition: str = "all") -> Row | None:
    """Compare model ``a`` with ``b``: a card's comparison, or ``None`` without common replicas.

    Positive differences favour ``a``. Resampled folds get Nadeau and Bengio's corrected interval,
    several tasks or targets Wilcoxon's over their mean differences, a fixed test set the paired
    bootstrap over its units, nested with seeds.
    """
    ours, theirs = evidence.replicas(a, condition), evidence.replicas(b, condition)
    keys = sorted(ours.keys() & theirs.keys())
    if not keys:
        return None
    if evidence.unit == "fold":
        interval = _corrected([(ours[k], theirs[k]) for k in keys], metric)
    elif evidence.unit in SEVERAL:
        each = fold_differences if evidence.unit == "target" else task_differences
        differences = list(each(evidence, a, b, metric, condition).values())
        interval = stats.wilcoxon(differences) if len(differences) >= FEWEST_TASKS else None
    else:
        interval = _bootstrap(evidence, a, b, metric, condition, keys)
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
    }


def against(evidence: Evidence, reference: str, models: Sequence[str], metric: str) -> list[Row]:
    """Compare every model with the reference; ``p_holm`` is adjusted over the models."""
    rows = [compare(evidence, model, reference, metric) for model in models if model != reference]
    found = [row for row in rows if row is not None]
    known = [row for row in found if row["p"] is not None]
    for row, p in zip(known, stats.holm([row["p"] for row in known]), strict=True):
        row["p_holm"] = float(p)
    return found


def judge(claim: Claim, evidence: Evidence, profile: str) -> tuple[Row, Row | None]:
    """Judge a claim that names this study; return its verdict row and the comparison behind it.

    A verdict from less than one whole repeat of the protocol is provisional, and says so.
    """
    verdict, comparison = _judge(claim, evidence, profile)
    done = _common_replicas(claim, evidence)
    if verdict["estimate"] is not None and done < evidence.folds:
        part = f"{done} of {evidence.folds} folds"
        reason = f"{verdict['reason']}; {part}" if verdict["reason"] else part
        verdict = {**verdict, "provisional": True, "reason": reason}
    return verdict, comparison


def _common_replicas(claim: Claim, evidence: Evidence) -> int:
    """Count the replicas that every model of the claim's test has."""
    test = claim.test
    assert test is not None
    models = [test.a] if test.b is None else [test.a, test.b]
    return len(set.intersection(*(set(evidence.replicas(m, test.condition)) for m in models)))


def _judge(claim: Claim, evidence: Evidence, profile: str) -> tuple[Row, Row | None]:
    test = claim.test
    assert test is not None
    needed = [test.a] if test.b is None else [test.a, test.b]
    absent = [m for m in needed if not evidence.replicas(m, test.condition)]
    if absent:
        return _verdict(claim, "not run", f"no replicas of {', '.join(absent)}", profile), None
    if any(test.metric not in row["values"] for row in evidence.scores):
        return _verdict(claim, "not run", f"{test.metric} was not scored", profile), None
    if claim.kind == "count":
        return _judge_count(claim, evidence, profile), None
    if test.b is None:
        return _judge_level(claim, evidence, profile), None
    row = compare(evidence, test.a, test.b, test.metric, test.condition)
    if row is None:
        reason = f"{test.metric} is undefined in every common fold, or there is but one"
        if evidence.unit in SEVERAL:
            reason = f"{test.metric} is defined in fewer than {FEWEST_TASKS} {evidence.unit}s"
        return _verdict(claim, "not run", reason, profile), None
    baseline = mean_score(evidence, test.b, test.metric, test.condition)
    margin = metrics.margin(test.metric, baseline) if test.margin is None else test.margin
    verdict = judge_difference(row["low"], row["high"], claim.reported.difference, margin)
    estimate = _estimate(row["difference"], row["low"], row["high"], row["method"])
    return _verdict(claim, verdict, "", profile, estimate), row


def mean_score(evidence: Evidence, model: str, metric: str, condition: str = "all") -> float:
    """Return the mean of a model's replicas, each the mean over its defined tasks."""
    return float(np.nanmean(_per_replica(evidence.replicas(model, condition).values(), metric)))


def task_differences(
    evidence: Evidence, a: str, b: str, metric: str, condition: str = "all"
) -> dict[str, float]:
    """Return each task's mean oriented difference over common replicas; undefined ones left out."""
    ours, theirs = evidence.replicas(a, condition), evidence.replicas(b, condition)
    keys = sorted(ours.keys() & theirs.keys())
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
    """Return each fold's oriented difference, the mean over its repeats and its defined tasks."""
    ours, theirs = evidence.replicas(a, condition), evidence.replicas(b, condition)
    found: dict[int, list[float]] = {}
    for key in sorted(ours.keys() & theirs.keys()):
        x, y = ours[key]["values"][metric], theirs[key]["values"][metric]
        common = [t for t in x if x[t] is not None and y.get(t) is not None]
        each = [float(metrics.improvement(metric, x[t], y[t])) for t in common]
        if each:
            found.setdefault(key[1], []).append(float(np.mean(each)))
    return {fold: float(np.mean(values)) for fold, values in found.items()}


def _judge_count(claim: Claim, evidence: Evidence, profile: str) -> Row:
    """Judge "k of n" by our own count's Wilson interval around one half."""
    test = claim.test
    assert test is not None and test.b is not None
    differences = task_differences(evidence, test.a, test.b, test.metric, test.condition)
    if not differences:
        return _verdict(claim, "not run", f"{test.metric} is undefined in every task", profile)
    won = sum(d > 0 for d in differences.values())
    n = len(differences)
    low, high = stats.wilson(won, n)
    a, b = claim.reported.a, claim.reported.b
    share = None if a is None or b is None else a / (a + b)
    reported = None if share is None else share - 0.5
    verdict = judge_difference(low - 0.5, high - 0.5, reported, margin=0.1)
    reason = f"{test.a} wins {won} of {n} tasks"
    estimate = _estimate(won / n, low, high, "share of tasks won, Wilson interval")
    return _verdict(claim, verdict, reason, profile, estimate)


def _judge_level(claim: Claim, evidence: Evidence, profile: str) -> Row:
    """Judge a reported value by our prediction interval for it."""
    test = claim.test
    assert test is not None
    reported = claim.reported.a if test.level is None else test.level
    replicas = evidence.replicas(test.a, test.condition)
    values = _per_replica(replicas.values(), test.metric)
    ratios = test_train_ratios(replicas.values())[np.isfinite(values)]
    values = values[np.isfinite(values)]
    if reported is None or len(values) < 2:
        return _verdict(
            claim, "not run", "a level needs a reported value and two replicas", profile
        )
    if evidence.unit == "fold":
        low, high = stats.level_interval(values, ratios)
    else:
        low, high = stats.prediction_interval(values)
    higher = METRICS[test.metric].higher_is_better
    verdict = judge_level(low, high, reported, higher_is_better=higher)
    estimate = _estimate(float(values.mean()), low, high, "95 % prediction interval")
    return _verdict(claim, verdict, "", profile, estimate)


def _verdict(
    claim: Claim, verdict: Verdict, reason: str, profile: str, estimate: Row | None = None
) -> Row:
    fidelity = claim.test.fidelity if claim.test else ""
    return {
        "claim": claim.id,
        "verdict": verdict,
        "reason": reason,
        "fidelity": fidelity,
        "provisional": is_provisional(profile, fidelity),
        "estimate": estimate,
    }


def _estimate(value: float, low: float, high: float, method: str) -> Row:
    return {"value": float(value), "low": float(low), "high": float(high), "method": method}


def _per_replica(rows: Iterable[Row], metric: str) -> np.ndarray:
    """Return each replica's mean over its defined tasks, NaN where there is none."""
    return np.array([_mean_of_known(row["values"][metric].values()) for row in rows])


def _mean_of_known(values: Iterable[float | None]) -> float:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else float("nan")


def _corrected(pairs: list[tuple[Row, Row]], metric: str) -> stats.Interval | None:
    """Take each fold's mean over the tasks that are defined for both models."""
    differences, kept = [], []
    for ours, theirs in pairs:
        x, y = ours["values"][metric], theirs["values"][metric]
        common = [t for t in x if x[t] is not None and y.get(t) is not None]
        if common:
            each = [metrics.improvement(metric, x[t], y[t]) for t in common]
            differences.append(float(np.mean(each)))
            kept.append(ours)
    if len(differences) < 2:
        return None
    return stats.corrected_interval(np.array(differences), test_train_ratios(kept))


def _bootstrap(
    evidence: Evidence, a: str, b: str, metric: str, condition: str, keys: list[tuple[int, int]]
) -> stats.Interval | None:
    """Resample the units of the one test set, and the seeds within."""
    arrays = evidence.predictions.arrays
    rows, *others = (arrays[f"test/{r}/{f}"] for r, f in keys)
    if not all(np.array_equal(rows, other) for other in others):
        raise ValueError(
            f"unit {evidence.unit!r} asks for one fixed test set, but test rows differ between "
            "replicas; use unit 'fold'"
        )
    ours, theirs = (
        np.stack([arrays[f"{model}/{condition}/{r}/{f}"] for r, f in keys]) for model in (a, b)
    )
    groups = evidence.predictions.units if evidence.groups is None else evidence.groups
    units = np.arange(len(rows)) if groups is None else groups[rows]
    targets = evidence.predictions.targets[rows]
    tasks = list(evidence.replicas(a, condition)[keys[0]]["values"][metric])
    if np.isnan(metrics.score_tasks(metric, targets, ours[0], tasks=tasks, units=units)).all():
        return None
    return stats.paired_bootstrap(targets, ours, theirs, metric, units=units, tasks=tasks)


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None
