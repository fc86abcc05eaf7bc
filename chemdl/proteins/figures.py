"""Figures of proteins: chains and their states, drawn from cards and predictions alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from chemdl.data import Dataset
from chemdl.evidence import cards
from chemdl.evidence.cards import Predictions
from chemdl.evidence.metrics import METRICS
from chemdl.proteins.data import STATES3, STATES8
from chemdl.proteins.scores import (
    Card,
    chain_table,
    confusion,
    curve_table,
    label,
    pooled,
    strand_table,
)
from chemdl.settings import Settings
from chemdl.show.lines import COLOURS, WIDTH, label_ends, limits, line_styles, log_axes

# Helix, strand, coil: told apart by colour-blind readers, on white and on dark pages.
STATE_COLOURS = ("#CC79A7", "#0072B2", "#D0D0D0")
STATE_NAMES = ("helix", "strand", "coil")
# Residues in one line of a drawn chain.
_LINE = 60


def recorded(study: str, settings: Settings) -> tuple[Card, Predictions] | None:
    """Return card and predictions of a study's largest run, ``None`` where none was recorded."""
    try:
        return cards.largest(study, settings.output / "cards")
    except FileNotFoundError:
        return None


def overview(dataset: Dataset) -> Figure:
    """Draw the lengths of the chains and the shares of the eight states."""
    figure = Figure(figsize=(WIDTH, 2.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    assert dataset.lengths is not None
    sides = dataset.columns.get("set", np.full(len(dataset), "all"))
    for side, colour in zip(dict.fromkeys(sides.tolist()), ("#888888", "#0072B2"), strict=False):
        own = dataset.lengths[sides == side]
        left.hist(own, bins=np.arange(0, 721, 40), color=colour, alpha=0.7, density=True,
                  label=f"{side}, {len(own):,} chains")  # fmt: skip
    left.set_xlabel("residues in a chain")
    left.set_yticks([])
    left.set_ylabel("share of chains")
    left.legend(frameon=False, fontsize=8)
    q8 = dataset.targets[:, dataset.tasks.index("q8")]
    shares = np.bincount(q8[np.isfinite(q8)].astype(int), minlength=8) / np.isfinite(q8).sum()
    colours = [STATE_COLOURS[state] for state in (0, 0, 0, 1, 1, 2, 2, 2)]
    right.bar(list(STATES8), 100 * shares, color=colours)
    right.set_xlabel("state of DSSP")
    right.set_ylabel("share of residues (%)")
    right.legend(handles=_state_handles(), frameon=False, fontsize=8)
    for axis in (left, right):
        _plain(axis)
    return figure


def ladder(card: Card, predictions: Predictions, names: Sequence[str] = ("q3",)) -> Figure:
    """Draw each model's value with its 95 % interval over chains, one panel a metric."""
    tables = [chain_table(card, predictions, name) for name in names]
    order = tables[0].loc[tables[0]["kind"] != "trivial", "model"].tolist()[::-1]
    figure = Figure(figsize=(WIDTH, 1.0 + 0.27 * len(order)), layout="constrained")
    axes = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axis, name, table in zip(axes, names, tables, strict=True):
        rows = table.set_index("model").loc[order]
        for y, (_, row) in enumerate(rows.iterrows()):
            error = [[row["value"] - row["low"]], [row["high"] - row["value"]]]
            axis.errorbar(row["value"], y, xerr=error, fmt="o", color=COLOURS[row["kind"]],
                          capsize=2)  # fmt: skip
        margin = 0.05 * (rows["high"].max() - rows["low"].min())
        axis.set_xlim(rows["low"].min() - margin, rows["high"].max() + margin)
        axis.set_xlabel(_axis(name))
        _plain(axis)
    axes[0].set_yticks(range(len(order)), [model.replace("_", " ") for model in order])
    handles = [axes[0].plot([], [], "o", color=COLOURS[k], label=k)[0] for k in ("deep", "other")]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    return figure


def curves(card: Card, predictions: Predictions, metric: str = "q3") -> Figure:
    """Draw each model's value against the number of train chains."""
    table = curve_table(card, predictions, metric)
    table = table[table["kind"] != "trivial"]
    styles = line_styles({model["name"]: model["kind"] for model in card["models"]})
    figure = Figure(figsize=(WIDTH, 3.4))
    figure.subplots_adjust(left=0.1, right=0.78, bottom=0.15, top=0.97)
    axis = figure.subplots()
    ends = {}
    for model, rows in table.groupby("model", sort=False):
        value = rows["value"].to_numpy()
        errors = [value - rows["low"].to_numpy(), rows["high"].to_numpy() - value]
        x = rows["train chains"].to_numpy(float)
        axis.errorbar(x, value, yerr=errors, **styles[str(model)], capsize=2, markersize=4, lw=1.2)
        ends[str(model)] = (float(x[-1]), float(value[-1]))
    axis.set_ylim(*limits(*(table[name].tolist() for name in ("value", "low", "high"))))
    log_axes(axis, sorted(set(table["train chains"].tolist())), both=False)
    axis.set_xlabel("chains in the train side")
    axis.set_ylabel(_axis(metric))
    _plain(axis)
    label_ends(axis, ends, {model: styles[model]["color"] for model in ends})
    return figure


def confusions(card: Card, predictions: Predictions, models: Sequence[str], task: str) -> Figure:
    """Draw of each observed state how it was predicted, in per cent, one panel a model."""
    letters = STATES8 if task == "q8" else STATES3
    figure = Figure(figsize=(WIDTH, 3.5 if task == "q8" else 2.9), layout="constrained")
    axes = figure.subplots(1, len(models), squeeze=False)[0]
    for axis, model in zip(axes, models, strict=True):
        counts = confusion(card, predictions, model, task).astype(float)
        shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=100)
        for (row, column), share in np.ndenumerate(shares):
            axis.text(column, row, f"{share:.0f}", ha="center", va="center", fontsize=8,
                      color="white" if share > 55 else "black")  # fmt: skip
        axis.set_xticks(range(len(shares)), list(letters[: len(shares)]))
        axis.set_yticks(range(len(shares)), list(letters[: len(shares)]))
        axis.set_xlabel("predicted")
        axis.set_title(model.replace("_", " "), fontsize=10)
    axes[0].set_ylabel("observed")
    return figure


def strands(
    card: Card,
    predictions: Predictions,
    models: Sequence[str],
    edges: Sequence[int] = (1, 2, 3, 4, 6, 9),
) -> Figure:
    """Draw how much of observed strands each model finds, by their length."""
    table = strand_table(card, predictions, models, edges)
    figure = Figure(figsize=(WIDTH, 2.9), layout="constrained")
    axis = figure.subplots()
    kinds = {model["name"]: model["kind"] for model in card["models"]}
    styles = line_styles({model: kinds[model] for model in models})
    lengths = table["length"].unique().tolist()
    for model, rows in table.groupby("model", sort=False):
        axis.plot(range(len(lengths)), rows["residues found, %"], **styles[str(model)],
                  label=str(model).replace("_", " "))  # fmt: skip
    counts = table.drop_duplicates("length")["strands"]
    ticks = [f"{name}\n{count:,}" for name, count in zip(lengths, counts, strict=True)]
    axis.set_xticks(range(len(lengths)), ticks)
    axis.set_xlabel("residues in the observed strand; below, how many such strands there are")
    axis.set_ylabel("residues found (%)")
    axis.set_ylim(0, 100)
    axis.legend(frameon=False, fontsize=8)
    _plain(axis)
    return figure


def drawn_chain(
    dataset: Dataset,
    card: Card,
    predictions: Predictions,
    models: Sequence[str],
    length: tuple[int, int] = (110, 150),
) -> tuple[Figure, Mapping[str, Any]]:
    """Draw a test chain, its observed states and those that models predict, along its sequence.

    The chain is the one, of those with so many residues, whose accuracy under the first model is
    the median: neither the best nor the worst that there is. Returns the figure, and the chain's
    row, name and accuracies.
    """
    parts = {model: pooled(card, predictions, model, "q3") for model in models}
    y, p, units = parts[models[0]]
    rows, counts = np.unique(units, return_counts=True)
    fits = rows[(counts >= length[0]) & (counts <= length[1])]
    if not len(fits):
        fits = rows
    right = np.array([(y == p)[units == row].mean() for row in fits])
    row = int(fits[np.argsort(right, kind="stable")[len(fits) // 2]])
    own = {"observed": y[units == row]}
    own |= {model: said[of == row] for model, (_, said, of) in parts.items()}
    sequence = dataset.inputs[row].partition(" ")[0]
    figure = _tracks(sequence, own)
    found = {m: float(100 * (own[m] == own["observed"]).mean()) for m in models}
    return figure, {"row": row, "id": str(dataset.columns["id"][row]), "right": found}


def _tracks(sequence: str, states: Mapping[str, np.ndarray]) -> Figure:
    lines = -(-len(sequence) // _LINE)
    figure = Figure(figsize=(WIDTH, 0.5 + lines * (0.3 + 0.2 * len(states))))
    figure.subplots_adjust(left=0.14, right=0.99, top=1 - 0.45 / figure.get_figheight(),
                           bottom=0.02, hspace=0.45)  # fmt: skip
    axes = figure.subplots(lines, 1, squeeze=False)[:, 0]
    colours = ListedColormap(list(STATE_COLOURS))
    for line, axis in enumerate(axes):
        part = slice(line * _LINE, (line + 1) * _LINE)
        block = np.full((len(states), _LINE), np.nan)
        for track, values in enumerate(states.values()):
            block[track, : len(values[part])] = values[part]
        axis.imshow(block, cmap=colours, vmin=-0.5, vmax=2.5, aspect="auto")
        for place, letter in enumerate(sequence[part]):
            axis.text(place, -0.75, letter, ha="center", va="bottom", fontsize=6.5,
                      family="monospace")  # fmt: skip
        axis.set_yticks(range(len(states)), [name.replace("_", " ") for name in states], fontsize=7)
        axis.set_xticks([])
        axis.tick_params(length=0)
        axis.set_yticks(np.arange(len(states) + 1) - 0.5, minor=True)
        axis.grid(which="minor", axis="y", color="white", linewidth=2)
        axis.spines[:].set_visible(False)
    figure.legend(handles=_state_handles(), loc="upper right", ncols=3, frameon=False, fontsize=8)
    return figure


def _state_handles() -> list[Patch]:
    pairs = zip(STATE_COLOURS, STATE_NAMES, strict=True)
    return [Patch(color=colour, label=name) for colour, name in pairs]


def _axis(metric: str) -> str:
    unit = METRICS[metric].unit
    return f"{label(metric)} ({unit})" if unit else label(metric)


def _plain(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(color="#e6e6e6", linewidth=0.8)
    axis.set_axisbelow(True)
