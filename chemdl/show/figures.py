"""Figures that are drawn from cards and their predictions."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from chemdl.evidence.metrics import METRICS
from chemdl.evidence.result import Result
from chemdl.evidence.statistics import wilson
from chemdl.show.lines import COLOURS, WIDTH, label_ends, limits, log_axes, model_styles
from chemdl.show.tables import (
    axis_label,
    learning_curve_table,
    pretty,
    score_table,
    target_unit,
    task_gain_table,
    task_means,
    with_unit,
)

# More points than this are drawn as counts in hexagons.
_MOST_POINTS = 2000
PNG_DPI = 160


def show(
    figure: Figure,
    *,
    alt: str,
    caption: str = "",
    result: Result | Sequence[Result] | None = None,
) -> None:
    """Emit a figure with its alternative text and a caption that names its card.

    Chapters show every figure with this function, so that image, description and caption stay
    together in JupyterLab, on Colab and in the book.

    Raises
    ------
    ValueError
        If ``alt`` is empty or only repeats the caption.
    """
    from IPython.display import HTML, display

    display(HTML(figure_html(png(figure), alt, caption, result)))


def figure_html(
    image: bytes, alt: str, caption: str = "", result: Result | Sequence[Result] | None = None
) -> str:
    """Return a figure element with the PNG inside it; refuses what :func:`show` refuses."""
    if not alt.strip() or alt.strip() == caption.strip():
        raise ValueError("alt says in words what the figure shows to who cannot see it")
    if result is not None:
        results = [result] if isinstance(result, Result) else result
        named = ", ".join(f"{one.study} ({one.profile})" for one in results)
        ended = caption if caption.endswith((".", "?", "!")) else f"{caption}."
        caption = f"{ended} {'Card' if len(results) == 1 else 'Cards'}: {named}."
    data = base64.b64encode(image).decode()
    return (
        f'<figure class="chemdl"><img alt="{html.escape(alt)}" src="data:image/png;base64,{data}" '
        f'style="max-width:100%"/><figcaption>{html.escape(caption.strip())}</figcaption></figure>'
    )


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG, without the time of its making: the same bytes each time."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=PNG_DPI, format="png", metadata={"Software": None})
    return buffer.getvalue()


def scores(results: Sequence[Result] | Result, metric: str) -> Figure:
    """Draw every model's mean and interval, one panel per study."""
    drawn = [results] if isinstance(results, Result) else list(results)
    tables = [score_table(result, metric) for result in drawn]
    height = 0.9 + 0.3 * max(map(len, tables))
    figure, axes = panels(len(drawn), columns=len(drawn), height=height)
    for axis, result, table in zip(axes, drawn, tables, strict=True):
        dots(axis, table)
        axis.set_title(result.study.replace("_", " "), fontsize=10)
        axis.set_xlabel(axis_label(metric, result))
    kind_legend(figure)
    return figure


def task_gains(
    result: Result, a: str, b: str, metric: str | None = None, *, bootstrap: bool = False
) -> Figure:
    """Draw, task by task, how much model ``a`` gains over ``b``, with corrected intervals.

    With ``bootstrap``, for one fixed test set, they are the paired bootstrap's.
    """
    table = task_gain_table(result, a, b, metric, bootstrap=bootstrap)
    figure, (axis,) = panels(1, columns=1, height=0.9 + 0.28 * len(table))
    y = np.arange(len(table))[::-1]
    colours = np.where(table["low"] > 0, COLOURS["deep"], "#999999")
    colours = np.where(table["high"] < 0, COLOURS["classical"], colours)
    errors = _errors(table, "gain")
    axis.errorbar(table["gain"], y, xerr=errors, fmt="none", ecolor="#999999", capsize=2)
    axis.scatter(table["gain"], y, c=colours, zorder=3)
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set_yticks(y, table["task"])
    axis.set_xlabel(
        f"gain of {pretty(a)} over {pretty(b)}, {axis_label(metric or result.metric, result)}"
    )
    plain(axis)
    return figure


def task_scores(result: Result, models: Sequence[str], metric: str | None = None) -> Figure:
    """Draw a row for each task with the mean scores of some models, sorted by the first model's.

    Where folds leave targets out, a row for each target. The dotted line is what chance scores.
    Models that the study does not have are left out.
    """
    name = metric or result.metric
    styles = model_styles(result, models)
    means = pd.DataFrame({model: task_means(result, model, name) for model in styles})
    means = means.sort_values(result.first_of(*models))
    figure, (axis,) = panels(1, columns=1, height=1.1 + 0.28 * len(means))
    y = np.arange(len(means))
    axis.hlines(y, means.min(axis=1), means.max(axis=1), color="#cccccc", zorder=1)
    for model, style in styles.items():
        dots = {**style, "linestyle": "none"}
        axis.plot(means[model], y, **dots, label=pretty(model), zorder=2)
    if name == "roc_auc" and axis.get_xlim()[0] < 0.5:
        axis.axvline(0.5, color=COLOURS["trivial"], linewidth=1.2, linestyle=":")
    axis.set_yticks(y, means.index)
    where = " on the target that was left out" if result.leaves_targets_out else ""
    axis.set_xlabel(f"{axis_label(name, result)}{where}")
    axis.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 1.12), ncols=4)
    plain(axis)
    return figure


def calibration(result: Result, models: Sequence[str], *, bins: int = 10) -> Figure:
    """Draw the share of actives against the predicted probability, in bins of equal count.

    All tasks of the first repeat are pooled; a calibrated model lies on the diagonal.
    """
    figure = Figure(figsize=(WIDTH * 0.6, WIDTH * 0.52), layout="constrained")
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, label="calibrated")
    for model, style in model_styles(result, models).items():
        predicted, observed = reliability(result, model, bins)
        axis.plot(predicted, observed, **style, label=pretty(model))
    axis.set_xlabel("predicted probability of activity")
    axis.set_ylabel("observed share of actives")
    axis.legend(frameon=False, fontsize=8)
    plain(axis)
    return figure


def reliability(result: Result, model: str, bins: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Return mean prediction and share of actives in bins of equal count: (bins,) each.

    There are no more bins than measured molecules.
    """
    probability, targets = result.predictions.pooled(model), result.predictions.targets
    known = np.isfinite(probability) & np.isfinite(targets)
    p, y = probability[known], targets[known]
    parts = np.array_split(np.argsort(p, kind="stable"), min(bins, len(p)))
    return np.array([p[i].mean() for i in parts]), np.array([y[i].mean() for i in parts])


def class_balance(dataset: Any) -> Figure:
    """Draw how many molecules were measured in each task, and how many of them are active."""
    measured = np.isfinite(dataset.targets).sum(0)
    active = np.nansum(dataset.targets, axis=0)
    order = np.argsort(active / np.maximum(measured, 1))
    figure, (axis,) = panels(1, columns=1, height=0.9 + 0.26 * len(order))
    y = np.arange(len(order))
    axis.barh(y, measured[order], color="#cfd8e3", label="measured")
    axis.barh(y, active[order], color=COLOURS["classical"], label="active")
    for row, task in enumerate(order):
        share = 100 * active[task] / max(measured[task], 1)
        axis.text(measured[task], row, f" {share:.1f} %", va="center", fontsize=8)
    axis.set_yticks(y, [dataset.tasks[task] for task in order])
    axis.set_xlabel("molecules")
    axis.margins(x=0.12)
    axis.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    plain(axis)
    return figure


def claims_and_intervals(rows: Sequence[Mapping[str, Any]], metric: str) -> Figure:
    """Draw reported differences (diamonds) beside our intervals, one line per claim."""
    figure, (axis,) = panels(1, columns=1, height=1.0 + 0.34 * len(rows))
    for y, row in enumerate(reversed(rows)):
        axis.plot([row["low"], row["high"]], [y, y], color=COLOURS["deep"], linewidth=2)
        axis.plot(row["difference"], y, "o", color=COLOURS["deep"])
        if row.get("reported") is not None:
            axis.plot(row["reported"], y, "D", color="black", markersize=5)
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set_ylim(-0.6, len(rows) - 0.4)
    axis.set_yticks(range(len(rows)), [row["label"] for row in reversed(rows)])
    axis.set_xlabel(f"difference in {axis_label(metric)}; ◆ reported, ● here with 95 % interval")
    plain(axis)
    return figure


def target_distributions(
    datasets: Sequence[Any], *, bins: int = 30, rows: str = "molecules"
) -> Figure:
    """Draw a histogram of the first task of each dataset, in its unit; ``rows`` names the rows."""
    figure, axes = panels(len(datasets), columns=2, height=1.9)
    for axis, dataset in zip(axes, datasets, strict=True):
        values = dataset.targets[:, 0]
        axis.hist(values[np.isfinite(values)], bins=bins, color="#9fb6cd")
        axis.set_title(f"{pretty(dataset.name)}, {len(dataset):,} {rows}", fontsize=9)
        axis.set_xlabel(with_unit(pretty(dataset.tasks[0]), dataset.unit), fontsize=9)
        plain(axis)
    for axis in axes[::2]:
        axis.set_ylabel(rows)
    return figure


def learning_curves(
    result: Result,
    metric: str | None = None,
    *,
    rows: str = "molecules",
    table: pd.DataFrame | None = None,
) -> Figure:
    """Draw each model's mean and 95 % interval against the number of train rows.

    ``rows`` names these. The data are those of :func:`chemdl.show.tables.learning_curve_table`, or
    of a ``table`` of that form. Both axes are logarithmic, except that y is linear for a metric of
    which higher is better or a mean that is not positive. Deep models are solid and blue, classical
    ones dashed and orange; points of one size stand a little apart.
    """
    name = metric or result.metric
    table = learning_curve_table(result, name) if table is None else table
    styles = model_styles(result, result.models)
    lines = {model: curve for model, curve in table.groupby("model", sort=False)}
    figure = Figure(figsize=(WIDTH, max(3.4, 1.0 + 0.17 * len(lines))))
    label = 0.4 + 0.062 * max(map(len, lines))
    figure.subplots_adjust(left=0.1, right=1 - label / WIDTH, bottom=0.14, top=0.97)
    axis = figure.subplots()
    is_log = not METRICS[name].higher_is_better and bool((table["mean"] > 0).all())
    sizes = table["molecules"].unique()
    step = max(1.004, float(sizes.max() / sizes.min()) ** 0.008)
    ends = {}
    for place, (model, curve) in enumerate(lines.items()):
        x = curve["molecules"].to_numpy() * step ** (place - (len(lines) - 1) / 2)
        mean, errors = curve["mean"].to_numpy(), _errors(curve)
        axis.errorbar(x, mean, yerr=errors, **styles[model], capsize=2, markersize=4, lw=1.2)
        ends[model] = (float(x[-1]), float(mean[-1]))
    _limit_y(axis, table, is_log=is_log)
    log_axes(axis, sizes.tolist(), both=is_log)
    axis.set_xlabel(f"{rows} in the train side")
    axis.set_ylabel(axis_label(name, result))
    plain(axis, "both")
    label_ends(axis, ends, {model: styles[model]["color"] for model in ends})
    return figure


def predicted_against_measured(result: Result, models: Sequence[str], *, task: int = 0) -> Figure:
    """Draw test predictions of the first repeat against the measured values, one panel a model.

    The titles give RMSE and R² of the points drawn, all folds pooled: close to the means over
    folds, not the same. Above 2,000 points hexagons show their number.
    """
    names = list(dict.fromkeys(models))
    figure, axes = panels(len(names), columns=min(3, len(names)), height=2.75)
    predictions = result.predictions
    measured = predictions.targets[:, task].astype(float)
    drawn = [predictions.pooled(name)[:, task] for name in names]
    # Far-off predictions must not shrink the rest: they run out of the picture, and are counted.
    ends = np.nanmin(measured), np.nanmax(measured)
    pad = 0.08 * (ends[1] - ends[0]) or 1.0
    both = ends[0] - pad, ends[1] + pad
    for axis, name, predicted in zip(axes, names, drawn, strict=True):
        known = np.isfinite(measured) & np.isfinite(predicted)
        y, p = measured[known], predicted[known]
        colour = COLOURS[result.kind(name)]
        if len(y) > _MOST_POINTS:
            shades = LinearSegmentedColormap.from_list("one", ["#e9eef3", colour])
            axis.hexbin(y, p, gridsize=40, extent=(*both, *both), mincnt=1, cmap=shades, bins="log")
        else:
            axis.scatter(y, p, s=6, color=colour, alpha=0.4, linewidths=0)
        axis.plot(both, both, color="black", linewidth=0.8)
        axis.set(xlim=both, ylim=both, aspect="equal")
        axis.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axis.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        rmse, r2 = (METRICS[m].function(y, p) for m in ("rmse", "r2"))
        outside = int(((p < both[0]) | (p > both[1])).sum())
        beyond = f", {outside} outside" if outside else ""
        axis.set_title(f"{pretty(name)}\nRMSE {rmse:.2f}, R² {r2:.2f}{beyond}", fontsize=9)
        axis.set_xlabel(with_unit("measured", target_unit(result)), fontsize=9)
        plain(axis)
    axes[0].set_ylabel(with_unit("predicted", target_unit(result)), fontsize=9)
    return figure


def interval_errors(counts: pd.DataFrame) -> Figure:
    """Draw type-I error and coverage of intervals by learner, with Wilson's intervals.

    Parameters
    ----------
    counts
        ``learner``, ``pair`` (``known``, or one without a difference), ``estimand``, ``interval``,
        ``n`` and ``errors``, the number of intervals without the truth. Lines are summed.
    """
    learners = [*counts["learner"].unique(), "all"]
    intervals = list(counts["interval"].unique())
    estimands = list(counts["estimand"].unique())
    figure = Figure(figsize=(WIDTH, 1.4 + 0.8 * len(learners)), layout="constrained")
    axes = figure.subplots(2, len(estimands), squeeze=False, sharey=True, sharex="row")
    for estimand, column in zip(estimands, axes.T, strict=True):
        of_estimand = counts[counts["estimand"] == estimand]
        for axis, covered in zip(column, (False, True), strict=True):
            part = of_estimand if covered else of_estimand[of_estimand["pair"] != "known"]
            if covered:
                axis.axvspan(93, 97, color="#eeeeee")
            axis.axvline(95 if covered else 5, color="black", linewidth=0.8, linestyle="--")
            for place, name in enumerate(intervals):
                y = np.arange(len(learners))[::-1] - 0.22 * (place - (len(intervals) - 1) / 2)
                sums = part[part["interval"] == name].groupby("learner")[["n", "errors"]].sum()
                sums.loc["all"] = sums.sum()
                k = sums["n"] - sums["errors"] if covered else sums["errors"]
                _shares(axis, sums.assign(k=k).loc[learners], y, place)
            axis.set_yticks(np.arange(len(learners))[::-1], learners)
            axis.set_xlabel("coverage / %" if covered else "type I error / %")
            plain(axis)
        column[0].set_title(f"estimand: {estimand}", fontsize=10)
    handles = axes[0, 0].containers
    figure.legend(
        handles, intervals, loc="outside upper center", ncols=3, frameon=False, fontsize=8
    )
    return figure


def _shares(axis: Axes, counted: pd.DataFrame, y: np.ndarray, place: int) -> None:
    """Draw the shares k of n in per cent, with Wilson's intervals."""
    pairs = counted[["k", "n"]].to_numpy()
    ends = 100 * np.array([wilson(int(k), int(n)) for k, n in pairs]).T
    share = 100 * pairs[:, 0] / pairs[:, 1]
    colour, marker = list(COLOURS.values())[place % 3], "osD"[place % 3]
    axis.errorbar(
        share, y, xerr=np.abs(ends - share), fmt=marker, color=colour, capsize=2, markersize=4
    )


def dots(axis: Axes, table: pd.DataFrame) -> None:
    """Draw ``mean`` with the interval from ``low`` to ``high``, a line for each ``model``.

    Colours are those of its ``kind``; the first row is at the top.
    """
    y = np.arange(len(table))[::-1]
    for kind, rows in table.assign(y=y).groupby("kind"):
        mean, height, colour = rows["mean"].to_numpy(), rows["y"].to_numpy(), COLOURS[str(kind)]
        axis.errorbar(mean, height, xerr=_errors(rows), fmt="o", color=colour, capsize=2)
    axis.set_yticks(y, [pretty(name) for name in table["model"]])
    axis.set_xlim(limits(*(table[column].tolist() for column in ("mean", "low", "high"))))
    plain(axis)


def _errors(table: pd.DataFrame, middle: str = "mean") -> np.ndarray:
    """Return how far the intervals reach to both sides of a column: shape (2, rows)."""
    return np.array([table[middle] - table["low"], table["high"] - table[middle]])


def _limit_y(axis: Axes, table: pd.DataFrame, *, is_log: bool) -> None:
    columns = [table[column].to_numpy() for column in ("mean", "low", "high")]
    if not is_log:
        axis.set_ylim(limits(*columns))
        return
    # An interval that reaches zero has no end on this axis.
    logs = [np.log10(np.maximum(values, 1e-3 * columns[0].min())) for values in columns]
    low, high = limits(*logs)
    axis.set_ylim(10**low, 10**high)


def panels(count: int, *, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure with ``count`` panels, the last row filled from the left."""
    down = -(-count // columns)
    figure = Figure(figsize=(WIDTH, height * down), layout="constrained")
    axes = figure.subplots(down, columns, squeeze=False).ravel()
    for axis in axes[count:]:
        axis.remove()
    return figure, list(axes[:count])


def kind_legend(figure: Figure, kinds: Sequence[str] = tuple(COLOURS)) -> None:
    """Say above the panels which colour stands for which kind of model."""
    handles = [
        figure.axes[0].plot([], [], "o", color=COLOURS[kind], label=kind)[0] for kind in kinds
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False, fontsize=8)


def plain(axis: Axes, grid: Literal["x", "y", "both"] | None = "x") -> None:
    """Leave two spines and a light grid: less ink than matplotlib's default."""
    axis.spines[["top", "right"]].set_visible(False)
    if grid is not None:
        axis.grid(axis=grid, color="#e6e6e6", linewidth=0.8)
    axis.set_axisbelow(True)
