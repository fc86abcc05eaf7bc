"""The best deep against the best simple model, chosen without a look at the fold that judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chemdl.evidence import metrics
from chemdl.evidence.comparisons import (
    Evidence,
    compare,
    mean_score,
    replica_means,
    test_train_ratios,
)
from chemdl.evidence.influence import FoldDifference, pooled_interval
from chemdl.evidence.metrics import METRICS
from chemdl.evidence.result import Predictions, Result
from chemdl.evidence.verdicts import judge_difference
from chemdl.your_data.protocols import ComparisonError

DEEP, SIMPLE = "best deep", "best simple"


@dataclass(frozen=True)
class Judgement:
    """What the comparison says, by the book's rule.

    Attributes
    ----------
    verdict
        ``deep``, ``simple``, ``level``, ``undecided``; ``nothing learned`` where no model is better
        than the trivial one by what matters, ``unsure`` where one may be, but not surely.
    difference, low, high
        Of the metric, positive where the deep net is better, with its 95 % interval on this data
        set.
    methods
        The interval for another sample of this size, (low, high), or ``None``.
    margin
        What counts as no difference.
    deep, simple
        The model that was taken in most folds.
    deep_score, simple_score, trivial_score
        Means over folds.
    """

    verdict: str
    difference: float
    low: float
    high: float
    methods: tuple[float, float] | None
    margin: float
    deep: str
    simple: str
    deep_score: float
    simple_score: float
    trivial_score: float


def evidence_of(result: Result) -> Evidence:
    """Return a result's scores and predictions as what comparisons are drawn from."""
    scores = [row.model_dump() for row in result.card.scores]
    return Evidence(scores, result.predictions, "fold", result.card.protocol.folds)


def judge(result: Result) -> Judgement:
    """Judge the question "is a deep net worth it here?".

    The best of each side is chosen for each fold by the other folds' scores of the same repeat, so
    that neither side gains from being chosen by the rows that judge it.

    Raises
    ------
    ComparisonError
        If the metric is undefined, or the result lacks a deep, a classical or the trivial model.
    """
    sides = {side: [m for m in result.models if result.kind(m) == side]
             for side in ("deep", "classical", "trivial")}  # fmt: skip
    if empty := [side for side, names in sides.items() if not names]:
        raise ComparisonError(f"{result.study} has no {empty[0]} model; nothing can be compared")
    metric, (trivial,) = result.metric, sides["trivial"]
    evidence, deep = _with_best(evidence_of(result), sides["deep"], metric, DEEP)
    evidence, simple = _with_best(evidence, sides["classical"], metric, SIMPLE)
    row = compare(evidence, DEEP, SIMPLE, metric)
    if row is None:
        raise ComparisonError(f"{metric} is undefined in every fold; choose another target")
    score = {name: mean_score(evidence, name, metric) for name in (DEEP, SIMPLE, trivial)}
    margin = metrics.margin(metric, score[SIMPLE])
    word = _WORDS[judge_difference(row["low"], row["high"], None, margin)]
    gains = [_gain(evidence, side, trivial, metric) for side in (DEEP, SIMPLE)]
    if not any(low > 0 for _, low in gains):
        least = metrics.margin(metric, score[trivial])
        word = "nothing learned" if max(gain for gain, _ in gains) < least else "unsure"
    wider = row["methods"]
    return Judgement(
        word, row["difference"], row["low"], row["high"],
        None if wider is None else (wider["low"], wider["high"]),
        margin, deep, simple, score[DEEP], score[SIMPLE], score[trivial],
    )  # fmt: skip


_WORDS = {
    "confirmed": "deep",
    "reversed": "simple",
    "equivalent": "level",
    "undecided": "undecided",
}


def _gain(evidence: Evidence, model: str, trivial: str, metric: str) -> tuple[float, float]:
    """Return how much better than the trivial model one is, and the interval's lower end."""
    row = compare(evidence, model, trivial, metric)
    return (0.0, 0.0) if row is None else (row["difference"], row["low"])


def _with_best(
    evidence: Evidence, names: Sequence[str], metric: str, label: str
) -> tuple[Evidence, str]:
    """Add, under ``label``, the model that is best in the other folds of each repeat."""
    arrays, rows, taken = dict(evidence.predictions.arrays), list(evidence.scores), []
    replicas = {name: evidence.replicas(name) for name in names}
    sign = 1.0 if METRICS[metric].higher_is_better else -1.0
    for place in evidence.common(*names):
        others = [p for p in evidence.common(*names) if p[0] == place[0] and p != place]
        means = {
            name: sign * float(np.nanmean(replica_means([found[p] for p in others], metric)))
            for name, found in replicas.items()
        }
        best = max(means, key=lambda name: means[name])
        taken.append(best)
        rows.append({**replicas[best][place], "model": label})
        where = "{}/{}".format(*place)
        arrays[f"{label}/all/{where}"] = arrays[f"{best}/all/{where}"]
    known = evidence.predictions
    predictions = Predictions(known.targets, arrays, known.units, known.clusters)
    most = max(dict.fromkeys(names), key=taken.count)
    return replace(evidence, scores=rows, predictions=predictions), most


def score_interval(evidence: Evidence, model: str, metric: str) -> tuple[float, float, float]:
    """Return a model's mean score over folds, and its 95 % interval on this data set."""
    folds = []
    for place in evidence.common(model):
        rows = evidence.predictions.arrays["test/{}/{}".format(*place)]
        known = [evidence.moved(model, metric, "all", place, task) for task in evidence.tasks]
        parts = [part for part in known if part is not None]
        if parts:
            value = float(np.mean([part[0] for part in parts]))
            moved = np.mean([part[1] for part in parts], axis=0)
            ratio = float(test_train_ratios([evidence.replicas(model)[place]])[0])
            folds.append(FoldDifference(value, moved, evidence.units_of(rows), ratio))
    if len(folds) < 2:
        return mean_score(evidence, model, metric), float("nan"), float("nan")
    interval = pooled_interval(folds)
    return float(interval.difference), float(interval.low), float(interval.high)


def sentence(judged: Judgement, metric: str, names: dict[str, str]) -> str:
    """Return the answer in a sentence or two."""
    words = {
        "deep": "Yes: the deep net is better.",
        "simple": "No: a simple model is better.",
        "level": f"No: they differ by less than matters ({judged.margin:.2g}).",
        "undecided": f"It cannot be told on these data; {judged.margin:.2g} would matter.",
        "nothing learned": "Nothing can be learned here: no model is better than the trivial one "
        f"({judged.trivial_score:#.3g}) by what matters.",
        "unsure": "It cannot be told whether anything can be learned here: no model is surely "
        f"better than the trivial one ({judged.trivial_score:#.3g}).",
    }
    return f"{words[judged.verdict]} {scores_in_words(judged, metric, names)}"


def scores_in_words(judged: Judgement, metric: str, names: dict[str, str]) -> str:
    """Return both scores and their difference in a sentence."""
    said = (
        f"{names[judged.simple]} {judged.simple_score:#.3g}, {names[judged.deep]} "
        f"{judged.deep_score:#.3g} ({label(metric)}); in favour of the deep net "
        f"{_signed(judged.difference)} [{_signed(judged.low)}, {_signed(judged.high)}]."
    )
    if judged.methods is not None:
        low, high = map(_signed, judged.methods)
        said += f" For another sample of this size: [{low}, {high}]."
    return f"{said[0].upper()}{said[1:]}"


def _signed(value: float) -> str:
    return f"{value:+.2g}".replace("-", "−")


_LABELS = {"rmse": "RMSE", "mae": "MAE", "r2": "R²", "roc_auc": "ROC-AUC", "pr_auc": "PR-AUC"}


def label(metric: str) -> str:
    """Return a metric's name as readers know it."""
    return _LABELS.get(metric, metric)


def as_card(judged: Judgement) -> dict[str, Any]:
    """Return the judgement as what a card's JSON holds."""
    return dict(judged.__dict__)
