"""Tables of models over protein chains, with intervals over the chains.

Scores are those of the test chains in the first repeat, its folds joined. The residues of one chain
are not independent observations, so an interval is a bootstrap over whole chains: 95 %, from 1,000
resamples that are the same for every model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chemdl.evidence import metrics
from chemdl.evidence.metrics import METRICS
from chemdl.evidence.result import Result
from chemdl.proteins.data import STATES3
from chemdl.proteins.segments import overlap_parts, recall_by_length
from chemdl.show import tables
from chemdl.show.tables import pretty, with_unit

Floats = NDArray[np.float64]
RESAMPLES = 1000
_METRIC_NAMES = {
    "q3": "Q3",
    "q8": "Q8",
    "sov": "SOV",
    "recall_helix": "helix found",
    "recall_strand": "strand found",
    "recall_coil": "coil found",
    "q2_exposed": "exposed or buried",
    "r_exposed": "correlation, exposed",
    "angle_error": "angle error",
    "precision_l5": "precision of the top L/5",
}
_TASK_NAMES = {"phi": "φ", "psi": "ψ", "contact": "contacts"}


def metric_name(metric: str) -> str:
    """Return a metric's name for people."""
    return _METRIC_NAMES.get(metric, pretty(metric))


def axis_label(metric: str, task: str = "") -> str:
    """Return the name of a metric, and of a task, with the unit."""
    of_task = f" of {_TASK_NAMES.get(task, task)}" if task else ""
    return with_unit(metric_name(metric) + of_task, METRICS[metric].unit)


def measured_sites(
    result: Result, model: str, task: str, condition: str = "all"
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Return targets, predictions and chains of the measured test sites: (n,) each.

    A chain is identified by its row in the dataset; its sites follow each other.
    """
    stored, column = result.predictions, result.tasks.index(task)
    assert stored.units is not None
    y, p = stored.targets[:, column], stored.pooled(model, condition)[:, column]
    kept = np.isfinite(y) & np.isfinite(p)
    return y[kept].astype(np.float64), p[kept], stored.units[kept]


def scores_by_chain(
    result: Result, model: str, metric: str, condition: str = "all", task: str = ""
) -> pd.DataFrame:
    """Return the ``score`` of each test chain, and its ``weight`` in the score of all chains.

    The index holds the chains' rows in the dataset; the weighted mean is the metric of all of them.
    ``task`` chooses one where the metric is about any; the first when left out.

    Raises
    ------
    ValueError
        For a metric that is not a weighted mean over chains, such as a correlation.
    """
    scored = METRICS[metric]
    y, p, chains = measured_sites(result, model, task or scored.task or result.tasks[0], condition)
    rows, starts = np.unique(chains, return_index=True)
    if metric in ("q3", "q8", "q2_exposed", "angle_error"):
        weights = np.diff(starts, append=len(y))
    elif metric == "sov":
        weights = np.add.reduceat(overlap_parts(y, p, chains)[1], starts)
    elif metric == "precision_l5":
        weights = np.ones(len(rows))
    else:
        raise ValueError(f"{metric} is no weighted mean over chains: it has no interval here")
    parts = zip(np.split(y, starts[1:]), np.split(p, starts[1:]), strict=True)
    return pd.DataFrame(
        {"score": [scored.function(*part) for part in parts], "weight": weights}, index=rows
    )


def _all_and_resamples(chains: pd.DataFrame) -> tuple[float, Floats]:
    """Return the score of all chains, and that of each resample of whole chains: (RESAMPLES,)."""
    score, weight = chains["score"].to_numpy(), chains["weight"].to_numpy()
    shares = np.full(len(chains), 1 / len(chains))
    times = np.random.default_rng(0).multinomial(len(chains), shares, size=RESAMPLES)
    return float(np.average(score, weights=weight)), (times @ (score * weight)) / (times @ weight)


def _interval(resamples: Floats) -> tuple[float, float]:
    low, high = np.quantile(resamples, [0.025, 0.975])
    return float(low), float(high)


def score_table(
    result: Result, metric: str = "q3", condition: str = "all", task: str = ""
) -> pd.DataFrame:
    """Return :func:`chemdl.show.tables.score_table` with scores and intervals over test chains.

    ``task`` chooses one where the metric is about any.
    """
    table = tables.score_table(result, metric, condition)
    rows = []
    for model in table["model"]:
        chains = scores_by_chain(result, model, metric, condition, task)
        score, resamples = _all_and_resamples(chains)
        rows.append((score, *_interval(resamples)))
    table[["mean", "low", "high"]] = rows
    is_better = METRICS[metric].higher_is_better
    table = table.sort_values("mean", ascending=not is_better, ignore_index=True)
    seeds = ", first of several seeds" if result.card.protocol.repeats > 1 else ""
    table.attrs["caption"] = (
        f"{axis_label(metric, task)}, with 95 % bootstrap intervals over test chains{seeds}. "
        f"Card: {result.study} ({result.profile})."
    )
    return table


def gain_table(
    result: Result, pairs: Sequence[tuple[str, str]], metric: str = "q3"
) -> pd.DataFrame:
    """Return by how much the first model of each pair is better than the second.

    Both meet the same resamples. Pairs that the study does not have are left out.
    """
    rows = []
    for a, b in pairs:
        if not {a, b} <= set(result.models):
            continue
        (score_a, resamples_a), (score_b, resamples_b) = (
            _all_and_resamples(scores_by_chain(result, model, metric)) for model in (a, b)
        )
        low, high = _interval(metrics.improvement(metric, resamples_a, resamples_b))
        gain = float(metrics.improvement(metric, score_a, score_b))
        rows.append({"model": a, "than": b, "gain": gain, "low": low, "high": high})
    table = pd.DataFrame(rows)
    table.attrs["caption"] = f"Gain in {metric_name(metric)}, with 95 % intervals over test chains"
    return table


def metrics_table(result: Result, names: Sequence[str]) -> pd.DataFrame:
    """Return every model's score by each of these metrics, best first by the first of them."""
    rows = []
    for model in result.models:
        scores = {
            metric_name(name): METRICS[name].function(
                *measured_sites(result, model, METRICS[name].task)
            )
            for name in names
        }
        rows.append({"model": model, "kind": result.kind(model), **scores})
    first = metric_name(names[0])
    table = pd.DataFrame(rows).sort_values(first, ascending=False, ignore_index=True)
    bare = ", correlations as they are" if any(not METRICS[name].unit for name in names) else ""
    joined = ", all folds together" if result.card.protocol.folds > 1 else ""
    table.attrs["caption"] = (
        f"On the test chains{joined}; shares in per cent{bare}. "
        f"Card: {result.study} ({result.profile})."
    )
    return table


def learning_curve_table(result: Result, metric: str = "q3") -> pd.DataFrame:
    """Return :func:`score_table` for every number of train chains, which ``chains`` holds."""
    parts = [
        score_table(result, metric, str(condition)).assign(chains=float(rows["n_train"].mean()))
        for condition, rows in result.scores.groupby("condition", sort=False)
    ]
    return pd.concat(parts).sort_values("chains", kind="stable", ignore_index=True)


def strand_recall_table(
    result: Result, models: Sequence[str], edges: Sequence[int]
) -> pd.DataFrame:
    """Return what each model finds of observed strands, by their length in residues.

    ``edges`` holds the least length of each class.
    """
    spans = [_span(least, most) for least, most in zip(edges, [*edges[1:], None], strict=True)]
    rows = []
    for model in models:
        sites = measured_sites(result, model, "q3")
        recalls = recall_by_length(*sites, float(STATES3.index("E")), list(edges))
        for span, (count, share, missed) in zip(spans, recalls, strict=True):
            rows.append(
                {
                    "model": model,
                    "length": span,
                    "strands": count,
                    "residues found, %": 100 * share,
                    "strands missed whole, %": 100 * missed,
                }
            )
    return pd.DataFrame(rows)


def _span(least: int, most: int | None) -> str:
    if most is None:
        return f"{least} and more"
    return str(least) if most == least + 1 else f"{least} to {most - 1}"


def median_chain(result: Result, model: str, length: tuple[int, int] = (110, 150)) -> int:
    """Return the row of a typical test chain: its Q3 is the median among chains of this length.

    Measured residues count; where no chain has from ``length[0]`` to ``length[1]``, all chains do.
    """
    chains = scores_by_chain(result, model, "q3").sort_values("score", kind="stable")
    so_long = chains[chains["weight"].between(*length)]
    fitting = chains if so_long.empty else so_long
    return int(fitting.index[len(fitting) // 2])


def share_right(result: Result, models: Sequence[str], row: int) -> str:
    """Say which per cent of a test chain's residues each model has right, of three states."""
    shares = (scores_by_chain(result, model, "q3").at[row, "score"] for model in models)
    return " and ".join(
        f"{share:.0f} % ({pretty(model)})" for model, share in zip(models, shares, strict=True)
    )
