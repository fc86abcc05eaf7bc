"""Figures and tables of materials: errors by element and by family, and what a screen finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from chemdl.data import Dataset
from chemdl.evidence.result import Result
from chemdl.materials.compositions import element_fractions
from chemdl.materials.formulas import LAST_ELEMENT, element_symbol
from chemdl.show.figures import plain
from chemdl.show.lines import COLOURS, WIDTH, label_ends, line_styles, model_styles
from chemdl.show.tables import axis_label, pretty, task_gain_table

_SHADES = LinearSegmentedColormap.from_list("errors", ["#f3f6f9", "#9fc3dd", "#0a3f66"])
# Lanthanides and actinides stand in two rows of their own, below a gap.
_BLOCK_ROW = {6: 8.4, 7: 9.4}


def element_errors(
    result: Result, model: str, dataset: Dataset, *, fewest: int = 10
) -> pd.DataFrame:
    """Return the mean absolute error over the test rows that hold each element.

    ``element``, ``number``, ``rows`` and ``error``, for elements in at least ``fewest`` rows; the
    first repeat's predictions.
    """
    errors = _absolute_errors(result, model)
    tested = np.isfinite(errors)
    holds = element_fractions(dataset.inputs.tolist())[tested] > 0
    rows = holds.sum(axis=0)
    error = np.where(holds, errors[tested, None], 0.0).sum(axis=0) / np.maximum(rows, 1)
    number = np.flatnonzero(rows >= fewest) + 1
    return pd.DataFrame(
        {
            "element": [element_symbol(int(z)) for z in number],
            "number": number,
            "rows": rows[number - 1],
            "error": error[number - 1],
        }
    )


def periodic_table(table: pd.DataFrame, label: str) -> Figure:
    """Draw a value for each element of :func:`element_errors` into the periodic table.

    The value of an element is written under its symbol; elements without a value are empty.
    """
    values = dict(zip(table["number"], table["error"], strict=True))
    figure = Figure(figsize=(WIDTH, 4.3))
    axis = figure.add_axes((0.01, 0.02, 0.98, 0.94))
    scale = Normalize(min(values.values()), max(values.values()))
    for number in range(1, LAST_ELEMENT + 1):
        column, row = _place(number)
        value = values.get(number)
        colour = "white" if value is None else _SHADES(scale(value))
        dark = value is not None and scale(value) > 0.68
        ink = "white" if dark else ("#999999" if value is None else "black")
        square = Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, facecolor=colour,
                           edgecolor="#cccccc", linewidth=0.5)  # fmt: skip
        axis.add_patch(square)
        middle: dict[str, Any] = {"ha": "center", "va": "center", "color": ink}
        axis.text(column, row - 0.1, element_symbol(number), fontsize=7.5, **middle)
        if value is not None:
            axis.text(column, row + 0.28, f"{value:.2f}", fontsize=5.5, **middle)
    axis.set(xlim=(0.4, 18.6), ylim=(10.0, 0.4))
    axis.axis("off")
    bar = figure.colorbar(
        ScalarMappable(scale, _SHADES),
        cax=figure.add_axes((0.24, 0.88, 0.36, 0.03)),
        orientation="horizontal",
    )
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return figure


def _place(number: int) -> tuple[float, float]:
    """Return column and row of an element, those of the f block below the others."""
    from pymatgen.core import Element

    element = Element.from_Z(number)
    if 57 <= number <= 71 or 89 <= number <= 103:
        return 3 + number - (57 if number <= 71 else 89), _BLOCK_ROW[element.row]
    return element.group, element.row


def net_gain_table(
    result: Result, classical: Sequence[str], metric: str | None = None
) -> pd.DataFrame:
    """Return by how much each net is better than each of these classical models, fold by fold.

    ``difference`` is positive where the net is better, in the metric's unit, with its 95 % interval
    corrected for folds that share train rows. The study must have one task.
    """
    name = metric or result.metric
    rows = []
    for net in (model for model in result.models if result.kind(model) == "deep"):
        for model in (model for model in classical if model in result.models):
            gain = task_gain_table(result, net, model, name).iloc[0]
            rows.append(
                {
                    "net": pretty(net),
                    "classical model": pretty(model),
                    "difference": gain["gain"],
                    "95 % interval": f"[{gain['low']:+.3f}, {gain['high']:+.3f}]",
                }
            )
    table = pd.DataFrame(rows)
    table.attrs["caption"] = f"{axis_label(name, result)}: how much better the net is"
    return table


def family_errors(
    result: Result, models: Sequence[str], random: Result, families: NDArray[np.str_]
) -> Figure:
    """Draw each model's mean absolute error on every family: left out whole, and on random folds.

    ``result`` leaves each of the ``families`` (n,) out; ``random`` is of the same n rows on random
    folds. Filled marks: left out; open marks: random folds.
    """
    groups = result.card.protocol.groups or []
    styles = model_styles(result, models)
    figure = Figure(figsize=(WIDTH, 1.1 + 0.5 * len(groups)))
    axis = figure.subplots()
    for place, (model, style) in enumerate(styles.items()):
        at = np.arange(len(groups)) + 0.16 * (place - (len(styles) - 1) / 2)
        left_out = result.replica_means(model, "mae")
        errors = _absolute_errors(random, model)
        on_random = [float(np.nanmean(errors[families == group])) for group in groups]
        mark = {**style, "linestyle": "none", "markersize": 5}
        axis.hlines(at, on_random, left_out, color=style["color"], linewidth=0.8, alpha=0.5)
        axis.plot(on_random, at, **{**mark, "markerfacecolor": "white"})
        axis.plot(left_out, at, **mark, label=pretty(model))
    axis.set_yticks(range(len(groups)), groups)
    axis.invert_yaxis()
    axis.set_xlabel(axis_label("mae", result))
    axis.set_xlim(left=0)
    axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    plain(axis)
    figure.subplots_adjust(left=0.14, right=0.76, bottom=0.16, top=0.97)
    return figure


def _absolute_errors(result: Result, model: str) -> NDArray[np.float64]:
    """Return the first repeat's absolute errors of the first task (n,), NaN for untested rows."""
    predictions = result.predictions
    errors: NDArray[np.float64] = np.abs(predictions.pooled(model) - predictions.targets)[:, 0]
    return errors


def share_found(
    result: Result, model: str, *, rows: NDArray[np.bool_] | None = None, best: float = 0.01
) -> pd.DataFrame:
    """Return which share of the best rows a screen has ``found``, by the share ``tested``.

    The best are the share ``best`` of the test rows (of these among ``rows``) with the highest
    values, all folds of the first repeat; rows are tested in the order of their predictions.
    """
    predicted = result.predictions.pooled(model)[:, 0]
    measured = result.predictions.targets[:, 0]
    known = np.isfinite(predicted) & np.isfinite(measured)
    tested = np.flatnonzero(known if rows is None else known & rows)
    count = max(1, round(best * len(tested)))
    is_best = np.zeros(len(tested), dtype=bool)
    is_best[np.argsort(-measured[tested], kind="stable")[:count]] = True
    order = np.argsort(-predicted[tested], kind="stable")
    found = np.cumsum(is_best[order]) / count
    return pd.DataFrame({"tested": np.arange(1, len(tested) + 1) / len(tested), "found": found})


def screening_table(results: Sequence[Result]) -> pd.DataFrame:
    """Return for each model of these studies which share of the best 1 % it finds.

    By testing 1 %, 5 % and 10 % of the molecules that all of the models were tested on.
    """
    kinds, rows = _kinds(results), []
    for model, curve in _screens(results).items():
        found = {
            f"found in {share:.0%}": float(curve["found"][curve["tested"] <= share].max())
            for share in (0.01, 0.05, 0.1)
        }
        rows.append({"model": pretty(model), "kind": kinds[model], **found})
    return pd.DataFrame(rows).sort_values("found in 1%", ascending=False, ignore_index=True)


def screening_curves(results: Sequence[Result]) -> Figure:
    """Draw the share of the best 1 % found against the share of molecules tested.

    Of the molecules that all of the models were tested on.
    """
    styles = line_styles(_kinds(results))
    figure = Figure(figsize=(WIDTH, 3.4))
    axis = figure.subplots()
    figure.subplots_adjust(left=0.1, right=0.76, bottom=0.14, top=0.96)
    ends = {}
    for model, curve in _screens(results).items():
        shown = 100 * curve[curve["tested"] <= 0.1]
        style = {**styles[model], "marker": "", "linewidth": 1.3}
        axis.plot(shown["tested"], shown["found"], **style)
        ends[model] = (10.0, float(shown["found"].iloc[-1]))
    axis.plot([0, 10], [0, 10], color=COLOURS["trivial"], linestyle=":", linewidth=1)
    axis.set(xlim=(0, 10), ylim=(0, 102))
    axis.set_xlabel("molecules tested, in the order of the predictions (%)")
    axis.set_ylabel("of the best 1 % found (%)")
    plain(axis, "both")
    label_ends(axis, ends, {model: styles[model]["color"] for model in ends})
    return figure


def _screens(results: Sequence[Result]) -> dict[str, pd.DataFrame]:
    """Return each model's :func:`share_found` on the rows that all of them were tested on.

    The studies share a data set; of a model that several of them have the first counts.
    """
    tested = np.logical_and.reduce(
        [np.isfinite(r.predictions.pooled(m)[:, 0]) for r in results for m in r.models]
    )
    first = {model: result for result in reversed(results) for model in result.models}
    return {model: share_found(first[model], model, rows=tested) for model in _kinds(results)}


def _kinds(results: Sequence[Result]) -> dict[str, str]:
    """Return the kind of each model of these studies, trivial ones left out."""
    kinds = {model: result.kind(model) for result in results for model in result.models}
    return {model: kind for model, kind in kinds.items() if kind != "trivial"}
