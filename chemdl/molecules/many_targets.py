"""What a study of many targets shows: models ranked over them, and errors at activity cliffs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from chemdl.evidence import metrics
from chemdl.evidence import statistics as stats
from chemdl.evidence.cards import Predictions
from chemdl.evidence.metrics import METRICS
from chemdl.molecules.fingerprints import ECFP
from chemdl.molecules.similarity import tanimoto
from chemdl.show.lines import COLOURS, WIDTH, log_axes
from chemdl.show.tables import Card, axis_label, first_metric, pretty, task_means


def sizes(data: Any, flag: str = "cliff") -> Figure:
    """Draw how many molecules each target has: train side, test side, and flagged ones of that."""
    is_test = np.asarray(data.columns["set"]) == "test"
    is_flagged = is_test & (np.asarray(data.columns[flag]).astype(str) == "1")
    measured = np.isfinite(data.targets)
    order = np.argsort(measured.sum(axis=0))
    flagged, test, every = (
        measured[rows].sum(axis=0)[order] for rows in (is_flagged, is_test, slice(None))
    )
    figure = Figure(figsize=(WIDTH, 0.9 + 0.17 * len(order)), layout="constrained")
    axis = figure.subplots()
    y = np.arange(len(order))
    axis.barh(y, flagged, color=COLOURS["other"])
    axis.barh(y, test - flagged, left=flagged, color="#999999")
    axis.barh(y, every - test, left=test, color="#dddddd")
    axis.set_yticks(y, [data.tasks[i].replace("_", " ") for i in order], fontsize=7)
    axis.set_ylim(-0.7, len(order) - 0.3)
    axis.set_xlabel("molecules")
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def ranks(card: Card, metric: str | None = None) -> stats.Ranks:
    """Rank the card's models within each target and average the ranks; trivial models left out.

    Models that lack a target are left out too, since ranks need the same models everywhere.

    Raises
    ------
    ValueError
        with fewer than two models or two targets.
    """
    name = metric or first_metric(card)
    table = _target_scores(card, name)
    return stats.compare_ranks(
        table.to_numpy(), list(table), higher_is_better=METRICS[name].higher_is_better
    )


def rank_table(card: Card, metric: str | None = None) -> pd.DataFrame:
    """Return one row per model: its average rank, mean score and how many targets it is best on."""
    name = metric or first_metric(card)
    table, ranked = _target_scores(card, name), ranks(card, name)
    best = table.idxmax(axis=1) if METRICS[name].higher_is_better else table.idxmin(axis=1)
    rows = [
        {
            "model": model,
            "kind": _kind(card, model),
            "average rank": rank,
            "mean": float(table[model].mean()),
            "best on": int((best == model).sum()),
        }
        for model, rank in zip(ranked.names, ranked.average, strict=True)
    ]
    out = pd.DataFrame(rows).sort_values("average rank", ignore_index=True)
    out.attrs["caption"] = (
        f"{axis_label(name, card)}, mean over {ranked.n} targets. Average ranks closer than "
        f"{ranked.critical_difference:.2f} do not differ (Nemenyi, 5 %)."
    )
    return out


def critical_difference(card: Card, metric: str | None = None) -> Figure:
    """Draw average ranks over targets; models that a bar joins do not differ (Demšar 2006)."""
    import scikit_posthocs

    ranked = ranks(card, metric)
    names = [pretty(model) for model in ranked.names]
    colours = {pretty(m): COLOURS[_kind(card, m)] for m in ranked.names}
    figure = Figure(figsize=(WIDTH, 1.2 + 0.17 * len(names)), layout="constrained")
    axis = figure.subplots()
    scikit_posthocs.critical_difference_diagram(
        pd.Series(ranked.average, index=names),
        pd.DataFrame(ranked.pairwise, index=names, columns=names),
        ax=axis,
        label_fmt_left="{label} ({rank:.1f})",
        label_fmt_right="({rank:.1f}) {label}",
        color_palette=colours,
        label_props={"fontsize": 9},
        crossbar_props={"color": "black", "linewidth": 2.5, "marker": ""},
    )
    return figure


def gain_by_size(card: Card, a: str, b: str, data: Any, metric: str | None = None) -> Figure:
    """Draw each target's gain of ``a`` over ``b`` against the molecules there are to learn it from.

    The line is the median of all slopes between two targets (Theil and Sen), with its 95 %
    interval in the legend, in units of the metric for a tenfold training set.
    """
    from scipy.stats import theilslopes

    name = metric or first_metric(card)
    ours, theirs = task_means(card, a, name), task_means(card, b, name)
    tasks = [task for task in ours if task in theirs]
    gain = np.array([float(metrics.improvement(name, ours[t], theirs[t])) for t in tasks])
    learned = np.asarray(data.columns["set"]) == "train"
    sizes = np.isfinite(data.targets[learned][:, [data.tasks.index(t) for t in tasks]]).sum(axis=0)
    slope, intercept, low, high = theilslopes(gain, np.log10(sizes))
    figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
    axis = figure.subplots()
    axis.axhline(0, color="black", linewidth=0.8)
    ends = np.array([sizes.min(), sizes.max()])
    axis.plot(
        ends,
        intercept + slope * np.log10(ends),
        color=COLOURS["trivial"],
        linestyle="--",
        label=f"tenfold: {slope:+.2f} [{low:+.2f}, {high:+.2f}]",
    )
    axis.scatter(sizes, gain, color=np.where(gain > 0, COLOURS["deep"], COLOURS["other"]), zorder=3)
    log_axes(axis, [300, 1000, 3000], both=False)
    axis.set_xlabel("training molecules of the target")
    axis.set_ylabel(f"{pretty(a)} over {pretty(b)}\n{axis_label(name, card)}")
    axis.legend(frameon=False, fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def cliff_pair(data: Any, task: str, similarity: float = 0.75) -> tuple[int, int]:
    """Return the two rows most alike in structure and most apart in value: an activity cliff.

    Of all pairs of a task's molecules whose ECFP4 have at least this Tanimoto ``similarity``, the
    one with the largest difference; the lower value comes first.

    Raises
    ------
    ValueError
        where no two molecules are that similar.
    """
    values = data.targets[:, data.tasks.index(task)]
    rows = np.flatnonzero(np.isfinite(values))
    bits = ECFP().transform(data.inputs[rows])
    apart = np.abs(values[rows][:, None] - values[rows])
    apart[(tanimoto(bits, bits) < similarity) | np.eye(len(rows), dtype=bool)] = -1
    first, second = np.unravel_index(apart.argmax(), apart.shape)
    if apart[first, second] < 0:
        raise ValueError(f"{task}: no two molecules have a similarity of {similarity}")
    low, high = sorted((rows[first], rows[second]), key=lambda row: values[row])
    return int(low), int(high)


def cliff_table(
    data: Any, predictions: Predictions, card: Card, models: Sequence[str], flag: str = "cliff"
) -> pd.DataFrame:
    """Return each model's error on test rows that the data set flags, and on the others.

    One row per model and target: root mean squared error on ``cliff`` rows and on ``other`` rows
    of the first repeat's test side. ``data.columns[flag]`` is "1" where a molecule is flagged.

    Raises
    ------
    ValueError
        where the predictions are of other rows than ``data``.
    """
    if len(predictions.targets) != len(data):
        raise ValueError(f"{len(predictions.targets)} rows were predicted, the set has {len(data)}")
    is_flagged = np.asarray(data.columns[flag]).astype(str) == "1"
    rows = []
    for model in models:
        squares = (predictions.pooled(model) - predictions.targets) ** 2
        for column, task in enumerate(card["scores"][0]["values"][first_metric(card)]):
            known = np.isfinite(squares[:, column])
            rows.append(
                {
                    "model": model,
                    "target": task,
                    "cliff": _root_mean(squares[known & is_flagged, column]),
                    "other": _root_mean(squares[known & ~is_flagged, column]),
                }
            )
    return pd.DataFrame(rows)


def cliff_errors(table: pd.DataFrame, card: Card) -> Figure:
    """Draw, model by model, the error at activity cliffs beside that of the other molecules."""
    means = table.groupby("model", sort=False)[["other", "cliff"]].mean().sort_values("other")
    figure = Figure(figsize=(WIDTH, 0.9 + 0.3 * len(means)), layout="constrained")
    axis = figure.subplots()
    y = np.arange(len(means))[::-1]
    colours = [COLOURS[_kind(card, model)] for model in means.index]
    axis.hlines(y, means["other"], means["cliff"], color=colours, linewidth=1.2)
    axis.scatter(means["other"], y, c=colours, zorder=3, label="other molecules")
    axis.scatter(
        means["cliff"], y, c="white", edgecolors=colours, zorder=3, label="activity cliffs"
    )
    axis.set_yticks(y, [pretty(model) for model in means.index])
    axis.set_xlabel(f"{axis_label('rmse', card)}, mean over targets")
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def _target_scores(card: Card, metric: str) -> pd.DataFrame:
    """Return scores by target (rows) and model (columns), of the models that have every target."""
    models = [row["name"] for row in card["models"] if row["kind"] != "trivial"]
    return pd.DataFrame({m: task_means(card, m, metric) for m in models}).dropna(axis=1)


def _root_mean(squares: np.ndarray) -> float:
    return float(np.sqrt(squares.mean())) if len(squares) else float("nan")


def _kind(card: Card, model: str) -> str:
    return next(row["kind"] for row in card["models"] if row["name"] == model)
