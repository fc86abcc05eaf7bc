"""Figures, drawn from cards and their predictions alone."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chemdl.cards import Predictions
from chemdl.tables import (
    Card,
    axis_label,
    first_metric,
    pretty,
    score_table,
    task_gain_table,
    task_means,
)

# Okabe and Ito's colours, told apart by colour-blind readers and on paper.
COLOURS = {"deep": "#0072B2", "other": "#D55E00", "trivial": "#777777"}
WIDTH = 7.2
_PNG_DPI = 160


def show(figure: Figure, *, alt: str, caption: str = "", card: Card | None = None) -> None:
    """Emit a figure with its alternative text and a caption that names its card.

    The only way for a chapter to show a figure: image, description and caption travel together,
    in JupyterLab, on Colab and in the book.

    Raises
    ------
    ValueError
        for an empty ``alt``, or one that only repeats the caption.
    """
    from IPython.display import HTML, display

    display(HTML(figure_html(png(figure), alt, caption, card)))


def figure_html(image: bytes, alt: str, caption: str = "", card: Card | None = None) -> str:
    """Return a figure element with the PNG inside it; refuses what :func:`show` refuses."""
    if not alt.strip() or alt.strip() == caption.strip():
        raise ValueError("alt says in words what the figure shows to who cannot see it")
    if card is not None:
        caption = f"{caption} Card: {card['study']} ({card['profile']})."
    data = base64.b64encode(image).decode()
    return (
        f'<figure class="chemdl"><img alt="{html.escape(alt)}" src="data:image/png;base64,{data}" '
        f'style="max-width:100%"/><figcaption>{html.escape(caption.strip())}</figcaption></figure>'
    )


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG, without the time of its making: the same bytes each time."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=_PNG_DPI, format="png", metadata={"Software": None})
    return buffer.getvalue()


def scores(cards: Sequence[Card] | Card, metric: str) -> Figure:
    """Draw every model's mean and interval, one panel per study."""
    drawn = [cards] if isinstance(cards, Mapping) else list(cards)
    tables = [score_table(card, metric) for card in drawn]
    height = 0.9 + 0.3 * max(map(len, tables))
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(1, len(drawn), squeeze=False)[0]
    for axis, card, table in zip(axes, drawn, tables, strict=True):
        _dots(axis, table)
        axis.set_title(card["study"].replace("_", " "), fontsize=10)
        axis.set_xlabel(axis_label(metric))
    _kind_legend(figure)
    return figure


def task_gains(card: Card, a: str, b: str, metric: str | None = None) -> Figure:
    """Draw, task by task, how much model ``a`` gains over ``b``, with corrected intervals."""
    table = task_gain_table(card, a, b, metric)
    figure = Figure(figsize=(WIDTH, 0.9 + 0.28 * len(table)), layout="constrained")
    axis = figure.subplots()
    y = np.arange(len(table))[::-1]
    errors = [table["gain"] - table["low"], table["high"] - table["gain"]]
    colours = np.where(table["low"] > 0, COLOURS["deep"], "#999999")
    colours = np.where(table["high"] < 0, COLOURS["other"], colours)
    axis.errorbar(table["gain"], y, xerr=errors, fmt="none", ecolor="#999999", capsize=2)
    axis.scatter(table["gain"], y, c=colours, zorder=3)
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set_yticks(y, table["task"])
    axis.set_xlabel(f"{pretty(a)} minus {pretty(b)}, {axis_label(metric or first_metric(card))}")
    _plain(axis)
    return figure


def task_scores(card: Card, models: Sequence[str], metric: str | None = None) -> Figure:
    """Draw every task's mean score for some models, tasks sorted by the first model's."""
    name = metric or first_metric(card)
    means = pd.DataFrame({model: task_means(card, model, name) for model in models})
    means = means.sort_values(models[0])
    figure = Figure(figsize=(WIDTH, 1.1 + 0.28 * len(means)), layout="constrained")
    axis = figure.subplots()
    y = np.arange(len(means))
    axis.hlines(y, means.min(axis=1), means.max(axis=1), color="#cccccc", zorder=1)
    for model, marker in zip(models, "osD^vP*X", strict=False):
        colour = COLOURS[_kind(card, model)]
        axis.scatter(means[model], y, label=pretty(model), marker=marker, color=colour, zorder=2)
    axis.set_yticks(y, means.index)
    axis.set_xlabel(axis_label(name))
    axis.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 1.12), ncols=4)
    _plain(axis)
    return figure


def calibration(predictions: Predictions, models: Mapping[str, str], *, bins: int = 10) -> Figure:
    """Draw the share of actives against the predicted probability, in bins of equal count.

    ``models`` maps names to kinds. All tasks of the first repeat are pooled; a calibrated model
    lies on the diagonal.
    """
    figure = Figure(figsize=(WIDTH * 0.6, WIDTH * 0.52), layout="constrained")
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, label="calibrated")
    for (model, kind), marker in zip(models.items(), "osD^vP*X", strict=False):
        predicted, observed = reliability(predictions, model, bins)
        axis.plot(predicted, observed, marker=marker, label=pretty(model), color=COLOURS[kind])
    axis.set_xlabel("predicted probability of activity")
    axis.set_ylabel("observed share of actives")
    axis.legend(frameon=False, fontsize=8)
    _plain(axis)
    return figure


def reliability(
    predictions: Predictions, model: str, bins: int = 10
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean prediction and share of actives in bins of equal count: (bins,) each.

    There are no more bins than measured molecules.
    """
    probability = predictions.pooled(model)
    known = np.isfinite(probability) & np.isfinite(predictions.targets)
    p, y = probability[known], predictions.targets[known]
    parts = np.array_split(np.argsort(p, kind="stable"), min(bins, len(p)))
    return np.array([p[i].mean() for i in parts]), np.array([y[i].mean() for i in parts])


def class_balance(dataset: Any) -> Figure:
    """Draw how many molecules were measured in each task, and how many of them are active."""
    measured = np.isfinite(dataset.targets).sum(0)
    active = np.nansum(dataset.targets, axis=0)
    order = np.argsort(active / np.maximum(measured, 1))
    figure = Figure(figsize=(WIDTH, 0.9 + 0.26 * len(order)), layout="constrained")
    axis = figure.subplots()
    y = np.arange(len(order))
    axis.barh(y, measured[order], color="#cfd8e3", label="measured")
    axis.barh(y, active[order], color=COLOURS["other"], label="active")
    for row, task in enumerate(order):
        share = 100 * active[task] / max(measured[task], 1)
        axis.text(measured[task], row, f" {share:.1f} %", va="center", fontsize=8)
    axis.set_yticks(y, [dataset.tasks[task] for task in order])
    axis.set_xlabel("molecules")
    axis.margins(x=0.12)
    axis.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    _plain(axis)
    return figure


def claims_and_intervals(rows: Sequence[Mapping[str, Any]], metric: str) -> Figure:
    """Draw reported differences (diamonds) beside our intervals, one line per claim."""
    figure = Figure(figsize=(WIDTH, 1.0 + 0.34 * len(rows)), layout="constrained")
    axis = figure.subplots()
    for y, row in enumerate(reversed(rows)):
        axis.plot([row["low"], row["high"]], [y, y], color=COLOURS["deep"], linewidth=2)
        axis.plot(row["difference"], y, "o", color=COLOURS["deep"])
        if row.get("reported") is not None:
            axis.plot(row["reported"], y, "D", color="black", markersize=5)
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set_ylim(-0.6, len(rows) - 0.4)
    axis.set_yticks(range(len(rows)), [row["label"] for row in reversed(rows)])
    axis.set_xlabel(f"difference in {axis_label(metric)}; ◆ reported, ● here with 95 % interval")
    _plain(axis)
    return figure


def molecules(smiles: Sequence[str], legends: Sequence[str], *, columns: int = 4) -> bytes:
    """Draw molecules in a grid with a line of text under each; return a PNG.

    Raises
    ------
    ValueError
        for SMILES that RDKit cannot read.
    """
    from rdkit import Chem
    from rdkit.Chem.Draw import rdMolDraw2D

    drawn = [Chem.MolFromSmiles(s) for s in smiles]
    if unread := [s for s, molecule in zip(smiles, drawn, strict=True) if molecule is None]:
        raise ValueError(f"SMILES {unread[0]!r} cannot be read, so not drawn")
    across = min(columns, len(drawn))
    down = -(-len(drawn) // across)
    canvas = rdMolDraw2D.MolDraw2DCairo(across * 270, down * 220, 270, 220)
    options = canvas.drawOptions()
    options.legendFontSize = 17  # type: ignore[assignment]  # RDKit's stub has it wrong
    canvas.DrawMolecules(drawn, legends=list(legends))
    canvas.FinishDrawing()
    return canvas.GetDrawingText()


def show_molecules(
    smiles: Sequence[str],
    legends: Sequence[str],
    *,
    alt: str,
    caption: str = "",
    card: Card | None = None,
) -> None:
    """Emit a grid of molecules as :func:`show` emits a figure."""
    from IPython.display import HTML, display

    display(HTML(figure_html(molecules(smiles, legends), alt, caption, card)))


def _dots(axis: Axes, table: pd.DataFrame) -> None:
    y = np.arange(len(table))[::-1]
    for kind, rows in table.assign(y=y).groupby("kind"):
        mean = rows["mean"].to_numpy()
        errors = [mean - rows["low"].to_numpy(), rows["high"].to_numpy() - mean]
        axis.errorbar(
            mean, rows["y"].to_numpy(), xerr=errors, fmt="o", color=COLOURS[str(kind)], capsize=2
        )
    axis.set_yticks(y, [pretty(name) for name in table["model"]])
    # Two folds have intervals wider than the scale itself: those run out of the picture.
    widest = float(np.nan_to_num((table["high"] - table["low"]).max() / 2))
    pad = min(max(widest, 0.02), float(np.ptp(table["mean"])) + 0.02)
    axis.set_xlim(table["mean"].min() - pad, table["mean"].max() + pad)
    _plain(axis)


def _kind_legend(figure: Figure) -> None:
    handles = [
        figure.axes[0].plot([], [], "o", color=colour, label=kind)[0]
        for kind, colour in COLOURS.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False, fontsize=8)


def _plain(axis: Axes) -> None:
    """Leave two spines and a light grid: less ink than matplotlib's default."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="x", color="#e6e6e6", linewidth=0.8)
    axis.set_axisbelow(True)


def _kind(card: Card, model: str) -> str:
    return next(row["kind"] for row in card["models"] if row["name"] == model)
