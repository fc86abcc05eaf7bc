"""Lines of a figure: one colour for each kind of model, and labels at the ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator
from sklearn.isotonic import isotonic_regression

from chemdl.evidence.result import Result

# Okabe and Ito's colours, told apart by colour-blind readers and on paper.
COLOURS = {"deep": "#0072B2", "classical": "#D55E00", "trivial": "#777777"}
# Inches; a page's text is this wide.
WIDTH = 7.2
_SHADES = {"deep": ("Blues", 0.95, 0.5), "classical": ("Oranges", 0.85, 0.5)}
_DASHES = {"deep": "-", "classical": "--", "trivial": ":"}
_MARKERS = "osD^vP*X"
# Points between the middles of two labels of this size.
_FONT, _GAP = 8, 11


def line_styles(kinds: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return colour, dashes and marker of each model from its kind.

    Deep models are solid and blue, classical ones dashed and orange, the trivial one dotted and
    grey; those of one kind differ by shade and marker.
    """
    styles = {}
    for kind in COLOURS:
        names = [name for name, own in kinds.items() if own == kind]
        for place, name in enumerate(names):
            colour = COLOURS[kind]
            if kind in _SHADES and len(names) > 1:
                shades, dark, light = _SHADES[kind]
                share = place / (len(names) - 1)
                colour = to_hex(colormaps[shades](dark + (light - dark) * share))
            marker = _MARKERS[place % len(_MARKERS)]
            styles[name] = {"color": colour, "linestyle": _DASHES[kind], "marker": marker}
    return styles


def model_styles(result: Result, models: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return :func:`line_styles` of those of these models that the study has, in this order."""
    present = [model for model in models if model in result.models]
    styles = line_styles({model: result.kind(model) for model in present})
    return {model: styles[model] for model in present}


def limits(
    mean: Sequence[float], low: Sequence[float], high: Sequence[float]
) -> tuple[float, float]:
    """Return limits that hold all means, and of their intervals what does not dwarf them.

    Intervals from three folds may be wider than the whole scale; these are cut off at the edge. The
    outermost marks have some room even without intervals.
    """
    middle = np.asarray(mean, float)
    width = np.asarray(high, float) - np.asarray(low, float)
    widest, spread = float(np.nan_to_num(width).max() / 2), float(np.ptp(middle))
    pad = min(max(widest, 0.02, 0.05 * spread), spread + 0.02)
    return float(middle.min() - pad), float(middle.max() + pad)


def log_axes(axis: Axes, sizes: Sequence[float], *, both: bool) -> None:
    """Make x logarithmic with ticks at these sizes, and y too if ``both``; plain numbers.

    The limits of y must be set before.
    """
    sizes = sorted(sizes)
    # Of two ticks whose numbers would overlap the larger stays.
    apart = [s for s, next_ in zip(sizes, [*sizes[1:], np.inf], strict=True) if next_ > 1.2 * s]
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(FixedLocator(apart))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.xaxis.set_minor_locator(NullLocator())
    if both:
        low, high = axis.get_ylim()
        axis.set_yscale("log")
        # Powers of ten alone would leave less than a decade without a number.
        locator = (
            MaxNLocator(9, steps=[1, 2, 5, 10]) if high < 10 * low else LogLocator(subs=(1, 2, 5))
        )
        axis.yaxis.set_major_locator(locator)
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.4g}"))
        axis.yaxis.set_minor_locator(NullLocator())


def label_ends(
    axis: Axes, ends: Mapping[str, tuple[float, float]], colours: Mapping[str, str]
) -> None:
    """Name lines right of the axis, each beside its end (x, y) and none over another.

    Labels are placed as near to the ends as possible (least squares) without overlap. Limits and
    size of the axis must be set before.
    """
    names = list(ends)
    to_axis = axis.transScale + axis.transLimits
    heights = np.array([to_axis.transform(ends[name])[1] for name in names])
    order = np.argsort(heights)
    figure = axis.get_figure()
    assert figure is not None
    points = axis.get_position().height * figure.get_figheight() * 72  # type: ignore[union-attr]
    gaps = np.arange(len(names)) * min(_GAP / points, 1 / max(1, len(names) - 1))
    places = gaps + isotonic_regression(heights[order] - gaps, y_min=0, y_max=1 - gaps[-1])
    for name, place in zip([names[i] for i in order], places, strict=True):
        axis.annotate(
            name.replace("_", " "),
            xy=ends[name],
            xytext=(1.03, place),
            textcoords="axes fraction",
            color=colours[name],
            fontsize=_FONT,
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-", "color": colours[name], "linewidth": 0.6, "relpos": (0, 0.5),
                "shrinkA": 0, "shrinkB": 3,
            },
        )  # fmt: skip
