"""Figures and tables of materials: errors by element, by family, by size; what a screen finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from chemdl.evidence import cards
from chemdl.evidence.cards import Predictions
from chemdl.evidence.comparisons import Evidence, compare
from chemdl.materials.compositions import element_fractions
from chemdl.materials.formulas import LAST_ELEMENT, symbols
from chemdl.settings import Settings
from chemdl.show import figures as plots
from chemdl.show import tables
from chemdl.show.lines import COLOURS, WIDTH, label_ends, line_styles

Card = Mapping[str, Any]
_SHADES = LinearSegmentedColormap.from_list("errors", ["#f3f6f9", "#9fc3dd", "#0a3f66"])
# Lanthanides and actinides stand in two rows of their own, below a gap.
_BLOCK_ROW = {6: 8.4, 7: 9.4}


def target_histograms(datasets: Sequence[Any], *, bins: int = 40) -> Figure:
    """Draw a histogram of the first task of each dataset, in its unit."""
    figure = plots.target_distributions(datasets, bins=bins)
    for axis, dataset in zip(figure.axes, datasets, strict=False):
        what = "crystals" if dataset.card["input"] == "crystal" else "compositions"
        axis.set_title(f"{tables.pretty(dataset.name)}, {len(dataset):,} {what}", fontsize=9)
        if axis.get_ylabel():
            axis.set_ylabel("materials")
    return figure


def learning_curves(card: Card, metric: str | None = None) -> Figure:
    """Draw error against the number of train compositions, as :func:`chemdl.show` does."""
    figure = plots.learning_curves(card, metric)
    figure.axes[0].set_xlabel("compositions in the train side")
    return figure


def element_errors(
    predictions: Predictions, dataset: Any, model: str, *, fewest: int = 10
) -> pd.DataFrame:
    """Return the mean absolute error over the test rows that hold each element.

    ``element``, ``number``, ``rows`` and ``error``, for elements in at least ``fewest`` rows; the
    first repeat's predictions.
    """
    predicted = predictions.pooled(model)[:, 0]
    errors = np.abs(predicted - predictions.targets[:, 0])
    tested = np.isfinite(errors)
    holds = element_fractions(dataset.inputs)[tested] > 0
    rows = holds.sum(axis=0)
    error = np.where(holds, errors[tested, None], 0.0).sum(axis=0) / np.maximum(rows, 1)
    number = np.flatnonzero(rows >= fewest) + 1
    return pd.DataFrame(
        {
            "element": [_symbol(int(z)) for z in number],
            "number": number,
            "rows": rows[number - 1],
            "error": error[number - 1],
        }
    )


def periodic_table(table: pd.DataFrame, label: str) -> Figure:
    """Draw a value for each element of :func:`element_errors` into the periodic table.

    Elements that the table does not hold are empty; under each symbol stands its value.
    """
    values = dict(zip(table["number"], table["error"], strict=True))
    figure = Figure(figsize=(WIDTH, 4.3))
    axis = figure.add_axes((0.01, 0.02, 0.98, 0.94))
    low, high = min(values.values()), max(values.values())
    for number in range(1, LAST_ELEMENT + 1):
        column, row = _place(number)
        value = values.get(number)
        share = 0.0 if value is None else (value - low) / max(high - low, 1e-9)
        colour = "white" if value is None else _SHADES(share)
        ink = "white" if share > 0.68 else ("#999999" if value is None else "black")
        axis.add_patch(_square(column, row, colour))
        axis.text(column, row - 0.1, _symbol(number), ha="center", va="center", fontsize=7.5,
                  color=ink)  # fmt: skip
        if value is not None:
            axis.text(column, row + 0.28, f"{value:.2f}", ha="center", va="center",
                      fontsize=5.5, color=ink)  # fmt: skip
    axis.set(xlim=(0.4, 18.6), ylim=(10.0, 0.4))
    axis.axis("off")
    _scale(figure, low, high, label)
    return figure


def paired_table(
    card: Card, predictions: Predictions, rivals: Sequence[str], metric: str | None = None
) -> pd.DataFrame:
    """Return by how much each deep model is better than each of these rivals, fold by fold.

    ``difference`` is positive where the deep model is better, in the metric's unit, with its 95 %
    interval corrected for folds that share their train rows.
    """
    name = metric or tables.first_metric(card)
    evidence = Evidence(card["scores"], predictions, folds=card["protocol"]["folds"])
    deep = [model["name"] for model in card["models"] if model["kind"] == "deep"]
    present = {model["name"] for model in card["models"]}
    rows = []
    for model in deep:
        for rival in [r for r in rivals if r in present]:
            found = compare(evidence, model, rival, name)
            if found is not None:
                low, high = found["low"], found["high"]
                rows.append(
                    {
                        "net": tables.pretty(model),
                        "rival": tables.pretty(rival),
                        "difference": found["difference"],
                        "95 % interval": f"[{low:+.3f}, {high:+.3f}]",
                    }
                )
    table = pd.DataFrame(rows)
    table.attrs["caption"] = f"{tables.axis_label(name, card)}: how much better the net is"
    return table


def clusters(
    card: Card, random: Predictions, families: NDArray[np.str_], models: Sequence[str]
) -> Figure:
    """Draw each model's mean absolute error on every family: left out whole, and on random folds.

    ``card`` leaves each of the ``families`` (n,) out; ``random`` holds predictions for the same n
    rows on folds dealt by chance. Filled marks: left out; open marks: random folds.
    """
    groups = card["protocol"]["groups"]
    present = [m for m in models if any(s["model"] == m for s in card["scores"])]
    styles = line_styles({m["name"]: m["kind"] for m in card["models"] if m["name"] in present})
    figure = Figure(figsize=(WIDTH, 1.1 + 0.5 * len(groups)))
    axis = figure.subplots()
    for place, model in enumerate(present):
        at = np.arange(len(groups)) + 0.16 * (place - (len(present) - 1) / 2)
        left_out, dealt = _by_fold(card, model, "mae"), _by_family(random, model, families, groups)
        color, marker = styles[model]["color"], styles[model]["marker"]
        axis.hlines(at, dealt, left_out, color=color, linewidth=0.8, alpha=0.5)
        axis.plot(dealt, at, color=color, marker=marker, linestyle="none", markersize=5,
                  markerfacecolor="white")  # fmt: skip
        axis.plot(left_out, at, color=color, marker=marker, linestyle="none", markersize=5,
                  label=tables.pretty(model))  # fmt: skip
    axis.set_yticks(range(len(groups)), groups)
    axis.invert_yaxis()
    axis.set_xlabel(tables.axis_label("mae", card))
    axis.set_xlim(left=0)
    axis.grid(axis="x", color="#e6e6e6", linewidth=0.8)
    axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    _plain(axis)
    figure.subplots_adjust(left=0.14, right=0.76, bottom=0.16, top=0.97)
    return figure


def _by_family(
    predictions: Predictions, model: str, families: NDArray[np.str_], groups: Sequence[str]
) -> list[float]:
    """Return the mean absolute error on the rows of each family."""
    errors = np.abs(predictions.pooled(model)[:, 0] - predictions.targets[:, 0])
    return [float(np.nanmean(errors[families == group])) for group in groups]


def found_best(
    predictions: Predictions,
    model: str,
    *,
    rows: NDArray[np.bool_] | None = None,
    best: float = 0.01,
) -> pd.DataFrame:
    """Return which share of the best rows a screen finds, by the share of rows that it tests.

    The best are the ``best`` highest of the test rows of all folds of the first repeat (of these
    among ``rows``), and the screen tests rows in the order of their predictions.
    """
    predicted = predictions.pooled(model)[:, 0]
    measured = predictions.targets[:, 0]
    known = np.isfinite(predicted) & np.isfinite(measured)
    tested = np.flatnonzero(known if rows is None else known & rows)
    count = max(1, round(best * len(tested)))
    is_best = np.zeros(len(tested), dtype=bool)
    is_best[np.argsort(-measured[tested], kind="stable")[:count]] = True
    order = np.argsort(-predicted[tested], kind="stable")
    found = np.cumsum(is_best[order]) / count
    return pd.DataFrame({"tested": np.arange(1, len(tested) + 1) / len(tested), "found": found})


def recorded_pairs(
    studies: Sequence[str], settings: Settings
) -> list[tuple[dict[str, Any], Predictions]]:
    """Return card and predictions of the largest run of each study, where there is one."""
    found = []
    for card in tables.recorded_cards(studies, settings):
        found.append(cards.largest(card["study"], settings.output / "cards"))
    return found


def screening_table(sources: Sequence[tuple[Card, Predictions]]) -> pd.DataFrame:
    """Return for each model of these studies which share of the best 1 % it finds.

    By testing 1 %, 5 % and 10 % of the molecules that all of the models were tested on.
    """
    rows, common = [], _tested_by_all(sources)
    for card, predictions in sources:
        for model in card["models"]:
            if model["kind"] == "trivial":
                continue
            curve = found_best(predictions, model["name"], rows=common)
            shares = {
                f"found in {share:.0%}": float(curve["found"][curve["tested"] <= share].max())
                for share in (0.01, 0.05, 0.1)
            }
            rows.append({"model": tables.pretty(model["name"]), "kind": model["kind"], **shares})
    table = pd.DataFrame(rows).drop_duplicates("model")
    return table.sort_values("found in 1%", ascending=False, ignore_index=True)


def screening_curves(sources: Sequence[tuple[Card, Predictions]]) -> Figure:
    """Draw the share of the best 1 % found against the share of molecules tested.

    Of the molecules that all of the models were tested on.
    """
    common = _tested_by_all(sources)
    kinds = {m["name"]: m["kind"] for card, _ in sources for m in card["models"]}
    kinds = {name: kind for name, kind in kinds.items() if kind != "trivial"}
    styles = line_styles(kinds)
    figure = Figure(figsize=(WIDTH, 3.4))
    axis = figure.subplots()
    figure.subplots_adjust(left=0.1, right=0.76, bottom=0.14, top=0.96)
    ends = {}
    for card, predictions in sources:
        for name in [m["name"] for m in card["models"] if m["name"] in kinds]:
            curve = found_best(predictions, name, rows=common)
            shown = curve[curve["tested"] <= 0.1]
            axis.plot(100 * shown["tested"], 100 * shown["found"], color=styles[name]["color"],
                      linestyle=styles[name]["linestyle"], linewidth=1.3)  # fmt: skip
            ends[name] = (10.0, float(100 * shown["found"].iloc[-1]))
    axis.plot([0, 10], [0, 10], color=COLOURS["trivial"], linestyle=":", linewidth=1)
    axis.set(xlim=(0, 10), ylim=(0, 102))
    axis.set_xlabel("molecules tested, in the order of the predictions (%)")
    axis.set_ylabel("of the best 1 % found (%)")
    axis.grid(color="#e6e6e6", linewidth=0.8)
    _plain(axis)
    label_ends(axis, ends, {name: styles[name]["color"] for name in ends})
    return figure


def _tested_by_all(sources: Sequence[tuple[Card, Predictions]]) -> NDArray[np.bool_]:
    """Return the rows that every model of these studies, which share a set, was tested on."""
    each = [
        np.isfinite(predictions.pooled(model["name"])[:, 0])
        for card, predictions in sources
        for model in card["models"]
    ]
    return np.logical_and.reduce(each)


def _by_fold(card: Card, model: str, metric: str) -> list[float]:
    rows = [r for r in card["scores"] if r["model"] == model and r["condition"] == "all"]
    folds = sorted({row["fold"] for row in rows})
    return [
        float(np.mean([next(iter(r["values"][metric].values())) for r in rows if r["fold"] == f]))
        for f in folds
    ]


def _symbol(number: int) -> str:
    return next(s for s, z in symbols().items() if z == number)


def _place(number: int) -> tuple[float, float]:
    """Return column and row of an element, those of the f block below the others."""
    from pymatgen.core import Element

    element = Element.from_Z(number)
    if 57 <= number <= 71 or 89 <= number <= 103:
        return 3 + number - (57 if number <= 71 else 89), _BLOCK_ROW[element.row]
    return element.group, element.row


def _square(column: float, row: float, colour: Any) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, facecolor=colour,
                     edgecolor="#cccccc", linewidth=0.5)  # fmt: skip


def _scale(figure: Figure, low: float, high: float, label: str) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    axis = figure.add_axes((0.24, 0.88, 0.36, 0.03))
    bar = figure.colorbar(
        ScalarMappable(Normalize(low, high), _SHADES), cax=axis, orientation="horizontal"
    )
    bar.set_label(label, fontsize=8)
    bar.ax.tick_params(labelsize=7)


def _plain(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
