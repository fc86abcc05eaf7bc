"""Figures of protein chains: their states, and what models make of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from sklearn.metrics import confusion_matrix

from chemdl.data import Dataset
from chemdl.evidence.result import Result
from chemdl.proteins.data import STATES3, STATES8
from chemdl.proteins.residues import sequence_of
from chemdl.proteins.scores import (
    axis_label,
    learning_curve_table,
    measured_sites,
    score_table,
    strand_recall_table,
)
from chemdl.show import figures
from chemdl.show.lines import WIDTH, model_styles
from chemdl.show.tables import pretty

# Helix, strand, coil: told apart by colour-blind readers, on white and on dark pages.
STATE_COLOURS = ("#CC79A7", "#0072B2", "#D0D0D0")
STATE_NAMES = ("helix", "strand", "coil")
# Residues in one line of a chain.
_LINE = 60


def lengths_and_states(dataset: Dataset) -> Figure:
    """Draw the lengths of the chains and the shares of the eight states."""
    figure, (left, right) = figures.panels(2, columns=2, height=2.6)
    assert dataset.lengths is not None
    subsets = dataset.columns.get("set", np.full(len(dataset), "all"))
    for subset, colour in zip(
        dict.fromkeys(subsets.tolist()), ("#888888", "#0072B2"), strict=False
    ):
        lengths = dataset.lengths[subsets == subset]
        left.hist(lengths, bins=list(range(0, 721, 40)), color=colour, alpha=0.7, density=True,
                  label=f"{subset}, {len(lengths):,} chains")  # fmt: skip
    left.set_xlabel("residues in a chain")
    left.set_yticks([])
    left.set_ylabel("share of chains")
    left.legend(frameon=False, fontsize=8)
    q8 = dataset.targets[:, dataset.tasks.index("q8")]
    measured = q8[np.isfinite(q8)].astype(int)
    shares = np.bincount(measured, minlength=len(STATES8)) / len(measured)
    colours = [STATE_COLOURS[state] for state in (0, 0, 0, 1, 1, 2, 2, 2)]
    right.bar(list(STATES8), 100 * shares, color=colours)
    right.set_xlabel("state of DSSP")
    right.set_ylabel("share of residues (%)")
    right.legend(handles=_state_handles(), frameon=False, fontsize=8)
    for axis in (left, right):
        figures.plain(axis, "both")
    return figure


def scores(result: Result, metrics: Sequence[str] = ("q3",)) -> Figure:
    """Draw every model's score with its interval over chains, one panel a metric.

    The trivial model is left out; the order is that of the first metric.
    """
    tables = {metric: score_table(result, metric).set_index("model") for metric in metrics}
    first = tables[metrics[0]]
    order = first.index[first["kind"] != "trivial"]
    figure = Figure(figsize=(WIDTH, 1.0 + 0.27 * len(order)), layout="constrained")
    axes = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for axis, (metric, table) in zip(axes, tables.items(), strict=True):
        figures.dots(axis, table.loc[order].reset_index())
        axis.set_xlabel(axis_label(metric))
    figures.kind_legend(figure, ("deep", "classical"))
    return figure


def learning_curves(result: Result, metric: str = "q3") -> Figure:
    """Draw each model's score with its interval over chains against the number of train chains.

    The trivial model is left out.
    """
    table = learning_curve_table(result, metric)
    table = table[table["kind"] != "trivial"].rename(columns={"chains": "molecules"})
    figure = figures.learning_curves(result, metric, rows="chains", table=table)
    figure.axes[0].set_ylabel(axis_label(metric))
    return figure


def confusion_matrices(result: Result, models: Sequence[str], task: str) -> Figure:
    """Draw of each observed state how it was predicted, in per cent, one panel a model."""
    letters = STATES8 if task == "q8" else STATES3
    height = 3.5 if task == "q8" else 2.9
    figure, axes = figures.panels(len(models), columns=len(models), height=height)
    for axis, model in zip(axes, models, strict=True):
        y, p, _ = measured_sites(result, model, task)
        shares = 100 * confusion_matrix(y, p, labels=range(len(letters)), normalize="true")
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=100)
        for (row, column), share in np.ndenumerate(shares):
            axis.text(column, row, f"{share:.0f}", ha="center", va="center", fontsize=8,
                      color="white" if share > 55 else "black")  # fmt: skip
        axis.set_xticks(range(len(letters)), list(letters))
        axis.set_yticks(range(len(letters)), list(letters))
        axis.set_xlabel("predicted")
        axis.set_title(pretty(model), fontsize=10)
    axes[0].set_ylabel("observed")
    return figure


def strand_recall(
    result: Result, models: Sequence[str], edges: Sequence[int] = (1, 2, 3, 4, 6, 9)
) -> Figure:
    """Draw how much of the observed strands each model finds, by their length.

    ``edges`` holds the least length of each class. Models that the study does not have are left
    out.
    """
    styles = model_styles(result, models)
    table = strand_recall_table(result, list(styles), edges)
    figure = Figure(figsize=(WIDTH, 2.9), layout="constrained")
    axis = figure.subplots()
    for model, style in styles.items():
        shares = table.loc[table["model"] == model, "residues found, %"]
        axis.plot(range(len(edges)), shares, **style, label=pretty(model))
    classes = table.head(len(edges))
    axis.set_xticks(
        range(len(edges)),
        [f"{span}\n{n:,}" for span, n in zip(classes["length"], classes["strands"], strict=True)],
    )
    axis.set_xlabel("residues in the observed strand; below, how many such strands there are")
    axis.set_ylabel("residues found (%)")
    axis.set_ylim(0, 100)
    axis.legend(frameon=False, fontsize=8)
    figures.plain(axis, "both")
    return figure


def chain_states(result: Result, models: Sequence[str], dataset: Dataset, row: int) -> Figure:
    """Draw the sequence of a test chain, its observed states and those that models predict.

    ``row`` is the chain's in the dataset. Residues without an observed state are blank.
    """
    stored, column = result.predictions, result.tasks.index("q3")
    sites = stored.units == row
    states = {"observed": stored.targets[sites, column]}
    states |= {pretty(model): stored.pooled(model)[sites, column] for model in models}
    sequence = sequence_of(dataset.inputs[row])
    lines = -(-len(sequence) // _LINE)
    tracks = np.full((len(states), lines * _LINE), np.nan)
    tracks[:, : len(sequence)] = list(states.values())
    figure = Figure(figsize=(WIDTH, 0.5 + lines * (0.3 + 0.2 * len(states))))
    figure.subplots_adjust(left=0.14, right=0.99, top=1 - 0.45 / figure.get_figheight(),
                           bottom=0.02, hspace=0.45)  # fmt: skip
    for line, axis in enumerate(figure.subplots(lines, 1, squeeze=False)[:, 0]):
        part = slice(line * _LINE, (line + 1) * _LINE)
        colours = ListedColormap(list(STATE_COLOURS))
        axis.imshow(tracks[:, part], cmap=colours, vmin=-0.5, vmax=2.5, aspect="auto")
        for place, letter in enumerate(sequence[part]):
            axis.text(place, -0.75, letter, ha="center", va="bottom", fontsize=6.5,
                      family="monospace")  # fmt: skip
        axis.set_yticks(range(len(states)), list(states), fontsize=7)
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
