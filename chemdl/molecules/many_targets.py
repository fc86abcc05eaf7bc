"""What a study of many targets shows: models ranked over them, and errors at activity cliffs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from chemdl.data import Dataset
from chemdl.evidence import metrics
from chemdl.evidence import statistics as stats
from chemdl.evidence.metrics import METRICS
from chemdl.evidence.result import Result
from chemdl.molecules.fingerprints import ECFP
from chemdl.molecules.residuals import check_rows
from chemdl.molecules.similarity import tanimoto
from chemdl.show.figures import panels, plain
from chemdl.show.lines import COLOURS, log_axes
from chemdl.show.tables import axis_label, pretty, task_means


def target_sizes(dataset: Dataset, flag: str = "cliff") -> Figure:
    """Draw how many molecules each target has: flagged test rows, other test rows, train rows."""
    is_test, is_flagged = dataset.columns["set"] == "test", _is_flagged(dataset, flag)
    measured = np.isfinite(dataset.targets)
    order = np.argsort(measured.sum(axis=0))
    figure, (axis,) = panels(1, columns=1, height=0.9 + 0.17 * len(order))
    y, left = np.arange(len(order)), np.zeros(len(order))
    for rows, colour in (
        (is_test & is_flagged, COLOURS["classical"]),
        (is_test & ~is_flagged, "#999999"),
        (~is_test, "#dddddd"),
    ):
        count = measured[rows].sum(axis=0)[order]
        axis.barh(y, count, left=left, color=colour)
        left += count
    axis.set_yticks(y, [pretty(dataset.tasks[i]) for i in order], fontsize=7)
    axis.set_ylim(-0.7, len(order) - 0.3)
    axis.set_xlabel("molecules")
    plain(axis, grid=None)
    return figure


def ranks(result: Result, metric: str | None = None) -> stats.Ranks:
    """Rank the models within each target and average the ranks; trivial models are left out.

    Models that lack a target are left out too, since ranks need the same models everywhere.

    Raises
    ------
    ValueError
        If there are fewer than two models or two targets.
    """
    name = metric or result.metric
    scores = _target_scores(result, name)
    return stats.compare_ranks(
        scores.to_numpy(), list(scores), higher_is_better=METRICS[name].higher_is_better
    )


def rank_table(result: Result, metric: str | None = None) -> pd.DataFrame:
    """Return one row per model: its average rank, mean score and how many targets it is best on."""
    name = metric or result.metric
    scores, ranked = _target_scores(result, name), ranks(result, name)
    best = scores.idxmax(axis=1) if METRICS[name].higher_is_better else scores.idxmin(axis=1)
    table = pd.DataFrame(
        {
            "model": ranked.names,
            "kind": [result.kind(model) for model in ranked.names],
            "average rank": ranked.average,
            "mean": scores.mean().to_numpy(),
            "best on": [int((best == model).sum()) for model in ranked.names],
        }
    ).sort_values("average rank", ignore_index=True)
    table.attrs["caption"] = (
        f"{axis_label(name, result)}, mean over {ranked.n} targets. Average ranks closer than "
        f"{ranked.critical_difference:.2f} do not differ (Nemenyi, 5 %)."
    )
    return table


def critical_difference(result: Result, metric: str | None = None) -> Figure:
    """Draw average ranks over targets; models that a bar joins do not differ (Demšar 2006)."""
    import scikit_posthocs

    ranked = ranks(result, metric)
    names = [pretty(model) for model in ranked.names]
    figure, (axis,) = panels(1, columns=1, height=1.2 + 0.17 * len(names))
    scikit_posthocs.critical_difference_diagram(
        pd.Series(ranked.average, index=names),
        pd.DataFrame(ranked.pairwise, index=names, columns=names),
        ax=axis,
        label_fmt_left="{label} ({rank:.1f})",
        label_fmt_right="({rank:.1f}) {label}",
        color_palette={pretty(model): COLOURS[result.kind(model)] for model in ranked.names},
        label_props={"fontsize": 9},
        crossbar_props={"color": "black", "linewidth": 2.5, "marker": ""},
    )
    return figure


def gain_by_size(
    result: Result, a: str, b: str, dataset: Dataset, metric: str | None = None
) -> Figure:
    """Draw each target's gain of ``a`` over ``b`` against the molecules there are to learn it from.

    The line is the median of all slopes between two targets (Theil and Sen), with its 95 %
    interval in the legend, in units of the metric for a tenfold training set.
    """
    from scipy.stats import theilslopes

    name = metric or result.metric
    scores = pd.DataFrame({model: task_means(result, model, name) for model in (a, b)}).dropna()
    gain = metrics.improvement(name, scores[a].to_numpy(), scores[b].to_numpy())
    measured = pd.DataFrame(dataset.targets, columns=list(dataset.tasks))[scores.index]
    sizes = measured[dataset.columns["set"] == "train"].count().to_numpy()
    slope, intercept, low, high = theilslopes(gain, np.log10(sizes))
    figure, (axis,) = panels(1, columns=1, height=3.2)
    axis.axhline(0, color="black", linewidth=0.8)
    ends = np.array([sizes.min(), sizes.max()])
    label = f"tenfold: {slope:+.2f} [{low:+.2f}, {high:+.2f}]"
    line = intercept + slope * np.log10(ends)
    axis.plot(ends, line, color=COLOURS["trivial"], linestyle="--", label=label)
    colours = np.where(gain > 0, COLOURS["deep"], COLOURS["classical"])
    axis.scatter(sizes, gain, color=colours, zorder=3)
    log_axes(axis, [300, 1000, 3000], both=False)
    axis.set_xlabel("training molecules of the target")
    axis.set_ylabel(f"{pretty(a)} over {pretty(b)}\n{axis_label(name, result)}")
    axis.legend(frameon=False, fontsize=8)
    plain(axis, grid=None)
    return figure


def cliff_pair(dataset: Dataset, task: str, similarity: float = 0.75) -> tuple[int, int]:
    """Return the two rows most alike in structure and most apart in value: an activity cliff.

    Of all pairs of a task's molecules whose ECFP4 have at least this Tanimoto ``similarity``, the
    one with the largest difference; the lower value comes first.

    Raises
    ------
    ValueError
        If no two molecules are as similar as ``similarity``.
    """
    values = dataset.targets[:, dataset.tasks.index(task)]
    rows = np.flatnonzero(np.isfinite(values))
    bits = ECFP().transform(dataset.inputs[rows])
    apart = np.abs(values[rows][:, None] - values[rows])
    apart[(tanimoto(bits, bits) < similarity) | np.eye(len(rows), dtype=bool)] = -1
    first, second = np.unravel_index(apart.argmax(), apart.shape)
    if apart[first, second] < 0:
        raise ValueError(f"{task}: no two molecules have a similarity of {similarity}")
    low, high = sorted((rows[first], rows[second]), key=lambda row: values[row])
    return int(low), int(high)


def cliff_table(
    result: Result, models: Sequence[str], dataset: Dataset, flag: str = "cliff"
) -> pd.DataFrame:
    """Return each model's error on test rows that the data set flags, and on the others.

    One row per model and target: root mean squared error on ``cliff`` rows and on ``other`` rows
    of the first repeat's test folds, NaN where there are none. ``dataset.columns[flag]`` is "1"
    where a molecule is flagged.

    Raises
    ------
    ValueError
        If ``dataset`` is not the data set of the study.
    """
    check_rows(result, dataset)
    group = np.where(_is_flagged(dataset, flag), "cliff", "other")
    tables = []
    for model in models:
        squares = (result.predictions.pooled(model) - dataset.targets) ** 2
        by_group = pd.DataFrame(squares, columns=list(dataset.tasks)).groupby(group).mean()
        by_target = np.sqrt(by_group.T).rename_axis("target").reset_index()
        tables.append(by_target.assign(model=model))
    return pd.concat(tables, ignore_index=True)[["model", "target", "cliff", "other"]]


def cliff_errors(
    result: Result, models: Sequence[str], dataset: Dataset, flag: str = "cliff"
) -> Figure:
    """Draw :func:`cliff_table`, mean over targets: the error at cliffs beside that elsewhere."""
    table = cliff_table(result, models, dataset, flag)
    means = table.groupby("model", sort=False)[["other", "cliff"]].mean().sort_values("other")
    figure, (axis,) = panels(1, columns=1, height=0.9 + 0.3 * len(means))
    y = np.arange(len(means))[::-1]
    colours = [COLOURS[result.kind(model)] for model in means.index]
    axis.hlines(y, means["other"], means["cliff"], color=colours, linewidth=1.2)
    axis.scatter(means["other"], y, c=colours, zorder=3, label="other molecules")
    axis.scatter(means["cliff"], y, c="white", ec=colours, zorder=3, label="activity cliffs")
    axis.set_yticks(y, [pretty(model) for model in means.index])
    axis.set_xlabel(f"{axis_label('rmse', result)}, mean over targets")
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    plain(axis, grid=None)
    return figure


def _is_flagged(dataset: Dataset, flag: str) -> NDArray[np.bool_]:
    return np.asarray(dataset.columns[flag]).astype(str) == "1"


def _target_scores(result: Result, metric: str) -> pd.DataFrame:
    """Return scores by target (rows) and model (columns), of the models that have every target."""
    models = [model for model in result.models if result.kind(model) != "trivial"]
    return pd.DataFrame({m: task_means(result, m, metric) for m in models}).dropna(axis=1)
