"""Scores of models over chains, from a card's predictions, with intervals over the chains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from chemdl.evidence import metrics
from chemdl.evidence.cards import Predictions
from chemdl.evidence.metrics import METRICS
from chemdl.proteins.segments import overlap_parts, recall_by_length
from chemdl.show.tables import with_unit

Card = Mapping[str, Any]
RESAMPLES = 1000


def task_column(card: Card, task: str) -> int:
    """Return the column of a task in the card's targets."""
    return list(card["scores"][0]["values"][card["metrics"][0]["name"]]).index(task)


def pooled(
    card: Card, predictions: Predictions, model: str, task: str, condition: str = "all"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, predictions and chains of the measured test sites of the first repeat.

    Folds stand one after another, so that each chain of a cross-validated set is there once.
    """
    column, parts = task_column(card, task), []
    for row in card["scores"]:
        if (row["model"], row["condition"], row["repeat"]) != (model, condition, 0):
            continue
        sites = predictions.arrays[f"test/0/{row['fold']}"]
        said = predictions.arrays[f"{model}/{condition}/0/{row['fold']}"][:, column]
        assert predictions.units is not None
        parts.append((predictions.targets[sites, column], said, predictions.units[sites]))
    y, p, units = (np.concatenate(part) for part in zip(*parts, strict=True))
    seen = np.isfinite(y)
    return y[seen].astype(float), p[seen].astype(float), units[seen]


def chain_table(
    card: Card,
    predictions: Predictions,
    metric: str = "q3",
    condition: str = "all",
    task: str = "",
) -> pd.DataFrame:
    """Return one row per model: kind, value of the metric, 95 % interval over chains, seconds.

    The interval is a bootstrap over whole chains: the residues of one chain are no independent
    observations. ``task`` chooses among several where the metric is about any.
    """
    rows = []
    for model in card["models"]:
        own = [r for r in card["scores"] if r["model"] == model["name"]]
        own = [r for r in own if r["condition"] == condition]
        if not own:
            continue
        value, low, high = chain_interval(card, predictions, model["name"], metric, condition, task)
        rows.append(
            {
                "model": model["name"],
                "kind": model["kind"],
                "value": value,
                "low": low,
                "high": high,
                "train chains": own[0]["n_train"],
                "seconds per fit": float(np.mean([r["fit_seconds"] for r in own])),
            }
        )
    higher = METRICS[metric].higher_is_better
    table = pd.DataFrame(rows).sort_values("value", ascending=not higher, ignore_index=True)
    of_task = f" of {_TASKS.get(task, task)}" if task else ""
    named = with_unit(label(metric) + of_task, METRICS[metric].unit)
    seeds = ", first of several seeds" if card["protocol"]["repeats"] > 1 else ""
    table.attrs["caption"] = f"{named}, with 95 % bootstrap intervals over test chains{seeds}"
    return table


def chain_interval(
    card: Card,
    predictions: Predictions,
    model: str,
    metric: str,
    condition: str = "all",
    task: str = "",
) -> tuple[float, float, float]:
    """Return a model's value and its 95 % bootstrap interval over chains."""
    scored = METRICS[metric]
    task = task or scored.task or next(iter(card["scores"][0]["values"][metric]))
    y, p, units = pooled(card, predictions, model, task, condition)
    codes = np.unique(units, return_inverse=True)[1]
    low, high = np.quantile(_resampled(metric, y, p, codes), [0.025, 0.975])
    return scored.function(y, p, codes), float(low), float(high)


def gain_table(
    card: Card,
    predictions: Predictions,
    pairs: Sequence[tuple[str, str]],
    metric: str = "q3",
    condition: str = "all",
) -> pd.DataFrame:
    """Return by how much the first model of each pair is better than the second.

    The interval is a paired bootstrap: both models meet the same resamples of whole chains.
    """
    scored, rows = METRICS[metric], []
    for pair in pairs:
        sides = [pooled(card, predictions, name, scored.task, condition) for name in pair]
        codes = np.unique(sides[0][2], return_inverse=True)[1]
        drawn = [_resampled(metric, y, p, codes) for y, p, _ in sides]
        low, high = np.quantile(metrics.improvement(scored, *drawn), [0.025, 0.975])
        own = [scored.function(y, p, codes) for y, p, _ in sides]
        gain = float(metrics.improvement(scored, *own))
        named = {"model": pair[0], "than": pair[1], "gain": gain}
        rows.append({**named, "low": float(low), "high": float(high)})
    table = pd.DataFrame(rows)
    table.attrs["caption"] = f"Gain in {label(metric)}, with 95 % intervals over test chains"
    return table


def _resampled(metric: str, y: np.ndarray, p: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return a metric on resamples of chains, the same ones for every model: (RESAMPLES,)."""
    count = int(codes.max()) + 1
    over, under = (
        np.bincount(codes, weights=part, minlength=count) for part in _ratio(metric, y, p, codes)
    )
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES).astype(float)
    return (drawn @ over) / np.maximum(drawn @ under, 1e-9)


def _ratio(
    metric: str, y: np.ndarray, p: np.ndarray, codes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what each site adds above and below the line of a metric that is a ratio of sums.

    A thousand resamples of chains are then one small matrix product, where the metric itself
    would go over all residues each time.

    Raises
    ------
    ValueError
        for a metric that is no such ratio.
    """
    ones = np.ones(len(y))
    if metric in ("q3", "q8", "q2_exposed"):
        return 100.0 * (y == p), ones
    if metric == "sov":
        total, normal = overlap_parts(y, p, codes)
        return 100.0 * total, normal
    if metric == "angle_error":
        return np.abs((p - y + 180.0) % 360.0 - 180.0), ones
    if metric == "precision_l5":
        first = np.unique(codes, return_index=True)[1]
        own, begins = np.zeros(len(y)), np.zeros(len(y))
        begins[first] = 1.0
        for chain, start in enumerate(first):
            sites = codes == chain
            share = METRICS[metric].function(y[sites], p[sites])
            own[start] = share
        return own, begins
    raise ValueError(f"{metric} is no ratio of sums over sites: it has no interval here")


def score_table(card: Card, predictions: Predictions, names: Sequence[str]) -> pd.DataFrame:
    """Return every model's value of each of these metrics on the test chains of one repeat."""
    rows = []
    for model in card["models"]:
        row = {"model": model["name"], "kind": model["kind"]}
        for name in names:
            scored = METRICS[name]
            y, p, units = pooled(card, predictions, model["name"], scored.task)
            row[label(name)] = scored.function(y, p, units)
        rows.append(row)
    table = pd.DataFrame(rows).sort_values(label(names[0]), ascending=False, ignore_index=True)
    bare = ", correlations as they are" if any(not METRICS[n].unit for n in names) else ""
    together = ", all folds together" if card["protocol"]["folds"] > 1 else ""
    table.attrs["caption"] = f"On the test chains{together}; shares in per cent{bare}"
    return table


def curve_table(card: Card, predictions: Predictions, metric: str = "q3") -> pd.DataFrame:
    """Return each model's value and interval for every number of train chains."""
    parts = [
        chain_table(card, predictions, metric, condition)
        for condition in dict.fromkeys(row["condition"] for row in card["scores"])
    ]
    return pd.concat(parts, ignore_index=True).sort_values("train chains", ignore_index=True)


def strand_table(
    card: Card, predictions: Predictions, models: Sequence[str], edges: Sequence[int]
) -> pd.DataFrame:
    """Return what each model finds of observed strands, by their length in residues."""
    names = [_span(least, most) for least, most in zip(edges, [*edges[1:], None], strict=True)]
    rows = []
    for model in models:
        y, p, units = pooled(card, predictions, model, "q3")
        found = recall_by_length(y, p, units, 1.0, list(edges))
        for name, (count, share, missed) in zip(names, found, strict=True):
            rows.append(
                {
                    "model": model,
                    "length": name,
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


def confusion(card: Card, predictions: Predictions, model: str, task: str) -> np.ndarray:
    """Return how often each observed state (row) was predicted as each state (column)."""
    y, p, _ = pooled(card, predictions, model, task)
    count = int(max(y.max(), p.max())) + 1
    flat = np.bincount((y * count + p).astype(int), minlength=count**2)
    return flat.reshape(count, count)


_LABELS = {
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
_TASKS = {"phi": "φ", "psi": "ψ", "contact": "contacts"}


def label(metric: str) -> str:
    """Return a metric's name for people."""
    return _LABELS.get(metric, metric.replace("_", " "))
