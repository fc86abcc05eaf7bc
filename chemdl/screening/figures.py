"""What a screen shows: metrics side by side, actives found early, and how new they are."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from chemdl.evidence.cards import Predictions
from chemdl.evidence.statistics import wilson
from chemdl.molecules.fingerprints import ECFP
from chemdl.molecules.similarity import tanimoto
from chemdl.show.lines import COLOURS, WIDTH, line_styles
from chemdl.show.tables import Card, axis_label, by_replica, first_metric, pretty, score_table

# Similarity to the nearest known active: below .4 two molecules share little but rings.
_EDGES = (0.0, 0.4, 0.6, 0.8, 1.01)


def metrics_table(card: Card) -> pd.DataFrame:
    """Return one row per model with every metric of the card: its mean and 95 % interval."""
    ranking = score_table(card)[["model", "replicas"]]
    columns = {}
    for metric in card["metrics"]:
        scores = score_table(card, metric["name"])
        texts = [_with_interval(*row) for row in scores[["mean", "low", "high"]].to_numpy()]
        columns[metric["name"]] = dict(zip(scores["model"], texts, strict=True))
    table = ranking.assign(**{name: ranking["model"].map(own) for name, own in columns.items()})
    table = table[["model", *columns, "replicas"]].fillna("")
    table.attrs["caption"] = "Mean over replicas and its 95 % interval; best first by the first."
    return table


def recall_curve(
    predictions: Predictions, model: str, fractions: NDArray[np.float64], task: int | None = None
) -> NDArray[np.float64]:
    """Return the share of actives among the best-ranked part of a screen, for each ``fractions``.

    Each test fold of the first repeat and each task is a screen of its own; the mean over them.
    Molecules of equal score come in an order drawn by a fixed seed.
    """
    curves = []
    for key in (k for k in predictions.arrays if k.startswith(f"{model}/all/0/")):
        rows = predictions.arrays[f"test/0/{key.rsplit('/', 1)[1]}"]
        truth, score = predictions.targets[rows], predictions.arrays[key]
        for column in range(truth.shape[1]) if task is None else [task]:
            known = np.isfinite(truth[:, column])
            found = _recall(truth[known, column], score[known, column], fractions)
            if found is not None:
                curves.append(found)
    return np.mean(curves, axis=0)


def enrichment(
    card: Card, predictions: Predictions, models: Sequence[str], task: int | None = None
) -> Figure:
    """Draw the share of actives found against the share of the library tested, first per cent wide.

    The grey line is what chance finds.
    """
    fractions = np.geomspace(1e-3, 1, 60)
    styles = line_styles({name: _kind(card, name) for name in models})
    figure = Figure(figsize=(WIDTH * 0.8, 3.6), layout="constrained")
    axis = figure.subplots()
    for model in models:
        style = {k: v for k, v in styles[model].items() if k != "marker"}
        axis.plot(
            fractions, recall_curve(predictions, model, fractions, task), **style,
            label=pretty(model),
        )  # fmt: skip
    axis.plot(fractions, fractions, color="#bbbbbb", lw=1, label="chance")
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:g} %"))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:g} %"))
    axis.set_xlim(1e-3, 1)
    axis.set_ylim(0, 1)
    axis.set_xlabel("part of the library that is tested, best-ranked first")
    axis.set_ylabel("actives found")
    axis.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def similarity_to_actives(
    actives: Sequence[str], predictions: Predictions, task: int = 0
) -> NDArray[np.float64]:
    """Return each active's similarity to the nearest active outside its test fold, (n,).

    Tanimoto of ECFP4 bits, first repeat; NaN for rows that are no tested active. ``actives`` are
    the SMILES of the task's actives in the order of their rows: inactives are not needed, so that
    a large recorded screen is read without its library.

    Raises
    ------
    ValueError
        where there are not as many actives as were predicted.
    """
    rows = np.flatnonzero(predictions.targets[:, task] == 1)
    if len(actives) != len(rows):
        raise ValueError(f"{len(rows)} actives were predicted, not {len(actives)}")
    bits = ECFP().transform(actives)
    similarity = tanimoto(bits, bits)
    nearest = np.full(len(predictions.targets), np.nan)
    for key in (k for k in predictions.arrays if k.startswith("test/0/")):
        inside = np.isin(rows, predictions.arrays[key])
        if inside.any() and not inside.all():
            nearest[rows[inside]] = similarity[np.ix_(inside, ~inside)].max(axis=1)
    return nearest


def recovery_table(
    actives: Sequence[str],
    predictions: Predictions,
    models: Sequence[str],
    *,
    fraction: float = 0.05,
    task: int = 0,
) -> pd.DataFrame:
    """Return how many actives each model ranks in the best part, by how new they are.

    One row per model and bin of similarity to the nearest active that was learned from (see
    :func:`similarity_to_actives`): model, edges ``from`` and ``to`` of the bin, actives, found
    (share of them in the best ``fraction`` of their own test fold), and its Wilson interval.
    """
    nearest = similarity_to_actives(actives, predictions, task)
    rows = []
    for model in models:
        found = _found(predictions, model, fraction, task)
        for low, high in itertools.pairwise(_EDGES):
            own = (nearest >= low) & (nearest < high) & np.isfinite(found)
            if not own.any():
                continue
            hits, n = int(found[own].sum()), int(own.sum())
            bounds = wilson(hits, n)
            rows.append(
                {"model": model, "from": low, "to": min(high, 1.0), "actives": n,
                 "found": hits / n, "low": bounds[0], "high": bounds[1]}
            )  # fmt: skip
    return pd.DataFrame(rows)


def recovery(table: pd.DataFrame, card: Card) -> Figure:
    """Draw :func:`recovery_table`: the share of actives found, by similarity to a known one."""
    models = list(dict.fromkeys(table["model"]))
    styles = line_styles({name: _kind(card, name) for name in models})
    bins = table[["from", "to", "actives"]].drop_duplicates().sort_values("from")
    labels = [
        f"{low:g} to {high:g}\n{actives} actives"
        for low, high, actives in zip(bins["from"], bins["to"], bins["actives"], strict=True)
    ]
    places = {low: i for i, low in enumerate(bins["from"])}
    figure = Figure(figsize=(WIDTH * 0.85, 3.4), layout="constrained")
    axis = figure.subplots()
    for i, model in enumerate(models):
        own = table[table["model"] == model]
        shift = 0.09 * (i - (len(models) - 1) / 2)
        x = [places[low] + shift for low in own["from"]]
        # Where all or none were found, rounding leaves the interval's end a hair inside.
        ends = [own["found"] - own["low"], own["high"] - own["found"]]
        bars = np.maximum(np.array(ends), 0.0)
        marker = {**styles[model], "linestyle": "none"}
        axis.errorbar(x, own["found"], yerr=bars, **marker, capsize=2, label=pretty(model))
    axis.set_xticks(range(len(labels)), labels)
    axis.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:g} %"))
    axis.set_ylim(0, 1.04)
    axis.set_xlabel("similarity to the nearest known active")
    axis.set_ylabel("actives found")
    axis.legend(frameon=False, fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def by_target(card: Card, models: Sequence[str], metric: str | None = None) -> Figure:
    """Draw each left-out target's score, the mean over repeats, a row for each target."""
    name = metric or first_metric(card)
    groups = card["protocol"]["groups"]
    present = {model["name"] for model in card["models"]}
    means = pd.DataFrame(
        {m: _fold_means(card, m, name) for m in models if m in present}, index=range(len(groups))
    )
    means.index = pd.Index(groups)
    means = means.sort_values(means.columns[0])
    styles = line_styles({m: _kind(card, m) for m in means.columns})
    figure = Figure(figsize=(WIDTH, 1.2 + 0.3 * len(means)), layout="constrained")
    axis = figure.subplots()
    y = np.arange(len(means))
    axis.hlines(y, means.min(axis=1), means.max(axis=1), color="#cccccc", zorder=1)
    if name == "roc_auc":
        axis.axvline(0.5, color="#999999", linewidth=0.8, linestyle=":")
    for model in means.columns:
        style = {**styles[model], "linestyle": "none"}
        axis.plot(means[model], y, **style, label=pretty(model), zorder=2)
    axis.set_yticks(y, means.index)
    axis.set_xlabel(f"{axis_label(name, card)} on the target that was left out")
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def property_histograms(data: Any, task: int = 0) -> Figure:
    """Draw the six physical properties of actives and inactives; bars of each sum to one."""
    from chemdl.screening.properties import PROPERTIES, physical_properties

    known = np.isfinite(data.targets[:, task])
    values = physical_properties(data.inputs[known])
    is_active = data.targets[known, task] == 1
    figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    for axis, title, column in zip(axes, PROPERTIES, values.T, strict=True):
        low, high = np.quantile(column, [0.005, 0.995])
        whole = np.array_equal(column, column.round()) and high - low < 25
        edges = np.arange(low - 0.5, high + 1) if whole else np.linspace(low, high, 25)
        for own, colour, label in (
            (~is_active, "#bbbbbb", "inactive"),
            (is_active, COLOURS["deep"], "active"),
        ):
            share = np.full(own.sum(), 1 / max(1, own.sum()))
            shown = np.clip(column[own], edges[0], edges[-1])
            axis.hist(shown, edges, weights=share, color=colour, alpha=0.65, label=label)
        axis.set_title({"mass": "mass (dalton)"}.get(title, title), fontsize=9)
        axis.set_yticks([])
        axis.spines[["top", "right", "left"]].set_visible(False)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    return figure


def _recall(
    truth: NDArray[np.float64], score: NDArray[np.float64], fractions: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Return the recall at each fraction of one ranking; ``None`` where nothing is active."""
    n, actives = len(truth), int((truth == 1).sum())
    if not actives:
        return None
    tie_break = np.random.default_rng(0).permutation(n)
    order = np.lexsort((tie_break, -score))
    found = np.concatenate([[0], np.cumsum(truth[order] == 1)]) / actives
    return np.interp(fractions * n, np.arange(n + 1), found)


def _found(predictions: Predictions, model: str, fraction: float, task: int) -> NDArray[np.float64]:
    """Return 1 for molecules in the best part of their test fold's ranking, else 0; NaN untested.

    Ties at the edge go by a drawn order, as in :func:`recall_curve`.
    """
    out = np.full(len(predictions.targets), np.nan)
    for key in (k for k in predictions.arrays if k.startswith(f"{model}/all/0/")):
        rows = predictions.arrays[f"test/0/{key.rsplit('/', 1)[1]}"]
        known = np.isfinite(predictions.targets[rows, task])
        score = predictions.arrays[key][known, task]
        tie_break = np.random.default_rng(0).permutation(len(score))
        best = np.lexsort((tie_break, -score))[: max(1, round(fraction * len(score)))]
        own = np.zeros(len(score))
        own[best] = 1
        out[rows[known]] = own
    return out


def _fold_means(card: Card, model: str, metric: str) -> dict[int, float]:
    found: dict[int, list[float]] = {}
    for (_, fold), row in by_replica(card, model).items():
        values = [v for v in row["values"][metric].values() if v is not None]
        if values:
            found.setdefault(fold, []).append(float(np.mean(values)))
    return {fold: float(np.mean(values)) for fold, values in found.items()}


def _with_interval(mean: float, low: float, high: float) -> str:
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]" if np.isfinite(low) else f"{mean:.3f}"


def _kind(card: Card, model: str) -> str:
    return next(row["kind"] for row in card["models"] if row["name"] == model)
