"""What a screen shows: metrics side by side, actives found early, and how new they are."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from chemdl.data import Dataset
from chemdl.evidence.result import Result
from chemdl.evidence.statistics import wilson
from chemdl.molecules.fingerprints import ECFP
from chemdl.molecules.similarity import tanimoto
from chemdl.show.figures import panels, plain
from chemdl.show.lines import COLOURS, WIDTH, model_styles
from chemdl.show.tables import axis_label, pretty, score_table

# Similarity to the nearest known active: below .4 two molecules share little but rings.
_EDGES = (0.0, 0.4, 0.6, 0.8, 1.01)


def metrics_table(result: Result) -> pd.DataFrame:
    """Return one row per model with every metric of the study: its mean and 95 % interval."""
    tables = {metric: score_table(result, metric).set_index("model") for metric in result.metrics}
    first = tables[result.metric]
    texts = {
        axis_label(metric, result): table.apply(_with_interval, axis=1)
        for metric, table in tables.items()
    }
    table = pd.DataFrame({**texts, "replicas": first["replicas"]}, index=first.index)
    table = table.fillna("").reset_index()
    table.attrs["caption"] = (
        f"{result.study} ({result.profile}): mean over replicas and its 95 % interval; "
        "best first by the first metric."
    )
    return table


def recall_curve(
    result: Result, model: str, fractions: NDArray[np.float64], task: int | None = None
) -> NDArray[np.float64]:
    """Return the share of actives in the best-ranked part of a screen, for each of ``fractions``.

    Each test fold of the first repeat and each task (or only ``task``) is a screen of its own;
    returned is the mean over those that have an active.
    """
    curves = []
    for rows, column in _rankings(result, model, task):
        is_active = result.predictions.targets[rows, column] == 1
        if is_active.any():
            found = np.concatenate([[0], np.cumsum(is_active)]) / is_active.sum()
            curves.append(np.interp(fractions * len(rows), np.arange(len(rows) + 1), found))
    return np.mean(curves, axis=0)


def enrichment(result: Result, models: Sequence[str], task: int | None = None) -> Figure:
    """Draw the share of actives found against the share of the library tested, on a log scale.

    The grey line is what chance finds. Models that the study does not have are left out.
    """
    fractions = np.geomspace(1e-3, 1, 60)
    figure = Figure(figsize=(WIDTH * 0.8, 3.6), layout="constrained")
    axis = figure.subplots()
    for model, style in model_styles(result, models).items():
        recall = recall_curve(result, model, fractions, task)
        axis.plot(fractions, recall, **{**style, "marker": ""}, label=pretty(model))
    axis.plot(fractions, fractions, color="#bbbbbb", lw=1, label="chance")
    axis.set(xscale="log", xlim=(1e-3, 1), ylim=(0, 1), ylabel="actives found")
    axis.set_xlabel("part of the library that is tested, best-ranked first")
    axis.xaxis.set_major_formatter(_per_cent)
    axis.yaxis.set_major_formatter(_per_cent)
    axis.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    plain(axis)
    return figure


def similarity_to_actives(
    result: Result, actives: Sequence[str], task: int = 0
) -> NDArray[np.float64]:
    """Return each active's similarity to the nearest active outside its test fold, (n,).

    Tanimoto of ECFP4 bits, first repeat; NaN for rows that are not a tested active. ``actives`` are
    the SMILES of the task's actives in the order of their rows: inactives are not needed, so that a
    large recorded screen is read without its library.

    Raises
    ------
    ValueError
        If the number of actives differs from the number that was predicted.
    """
    predictions = result.predictions
    rows = np.flatnonzero(predictions.targets[:, task] == 1)
    if len(actives) != len(rows):
        raise ValueError(f"{len(rows)} actives were predicted, not {len(actives)}")
    bits = ECFP().transform(actives)
    similarity = tanimoto(bits, bits)
    nearest = np.full(len(predictions.targets), np.nan)
    for key in (key for key in predictions.arrays if key.startswith("test/0/")):
        inside = np.isin(rows, predictions.arrays[key])
        if inside.any() and not inside.all():
            nearest[rows[inside]] = similarity[np.ix_(inside, ~inside)].max(axis=1)
    return nearest


def recovery_table(
    result: Result,
    models: Sequence[str],
    actives: Sequence[str],
    *,
    fraction: float = 0.05,
    task: int = 0,
) -> pd.DataFrame:
    """Return how many actives each model ranks in the best part, by how new they are.

    One row per model and bin of similarity to the nearest active that was learned from (see
    :func:`similarity_to_actives`): model, edges ``from`` and ``to`` of the bin, actives, found
    (share of them in the best ``fraction`` of their own test fold), and its Wilson interval,
    ``low`` and ``high``.
    """
    nearest = similarity_to_actives(result, actives, task)
    table = []
    for model in models:
        found = np.full(len(nearest), np.nan)
        for rows, _ in _rankings(result, model, task):
            found[rows] = np.arange(len(rows)) < max(1, round(fraction * len(rows)))
        for low, high in itertools.pairwise(_EDGES):
            inside = (nearest >= low) & (nearest < high) & np.isfinite(found)
            if count := int(inside.sum()):
                hits = int(found[inside].sum())
                ends = wilson(hits, count)
                table.append((model, low, min(high, 1.0), count, hits / count, *ends))
    return pd.DataFrame(table, columns=["model", "from", "to", "actives", "found", "low", "high"])


def recovery(
    result: Result,
    models: Sequence[str],
    actives: Sequence[str],
    *,
    fraction: float = 0.05,
    task: int = 0,
) -> Figure:
    """Draw :func:`recovery_table`: the share of actives found, by similarity to a known one.

    Models that the study does not have are left out.
    """
    styles = model_styles(result, models)
    table = recovery_table(result, list(styles), actives, fraction=fraction, task=task)
    bins = table[["from", "to", "actives"]].drop_duplicates().sort_values("from")
    labels = [f"{low:g} to {high:g}\n{int(n)} actives" for low, high, n in bins.to_numpy()]
    figure = Figure(figsize=(WIDTH * 0.85, 3.4), layout="constrained")
    axis = figure.subplots()
    for place, (model, style) in enumerate(styles.items()):
        rows = table[table["model"] == model]
        x = np.searchsorted(bins["from"], rows["from"]) + 0.09 * (place - (len(styles) - 1) / 2)
        # Where all or none were found, rounding leaves the interval's end a hair inside.
        errors = np.maximum([rows["found"] - rows["low"], rows["high"] - rows["found"]], 0.0)
        dots = {**style, "linestyle": "none"}
        axis.errorbar(x, rows["found"], yerr=errors, **dots, capsize=2, label=pretty(model))
    axis.set_xticks(range(len(labels)), labels)
    axis.yaxis.set_major_formatter(_per_cent)
    axis.set(ylim=(0, 1.04), xlabel="similarity to the nearest known active")
    axis.set_ylabel("actives found")
    axis.legend(frameon=False, fontsize=8)
    plain(axis)
    return figure


def property_histograms(dataset: Dataset, task: int = 0) -> Figure:
    """Draw the six physical properties of actives and inactives; bars of each sum to one."""
    from chemdl.screening.properties import PROPERTIES, physical_properties

    measured = np.isfinite(dataset.targets[:, task])
    values = physical_properties(dataset.inputs[measured])
    is_active = dataset.targets[measured, task] == 1
    figure, axes = panels(len(PROPERTIES), columns=3, height=1.8)
    for axis, title, column in zip(axes, PROPERTIES, values.T, strict=True):
        low, high = np.quantile(column, [0.005, 0.995])
        is_count = np.array_equal(column, column.round()) and high - low < 25
        edges = np.arange(low - 0.5, high + 1) if is_count else np.linspace(low, high, 25)
        for rows, colour, label in (
            (~is_active, "#bbbbbb", "inactive"),
            (is_active, COLOURS["deep"], "active"),
        ):
            share = np.full(rows.sum(), 1 / max(1, rows.sum()))
            inside = np.clip(column[rows], edges[0], edges[-1])
            axis.hist(inside, edges.tolist(), weights=share, color=colour, alpha=0.65, label=label)
        axis.set_title({"mass": "mass (dalton)"}.get(title, title), fontsize=9)
        axis.set_yticks([])
        axis.spines[["top", "right", "left"]].set_visible(False)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    return figure


def _rankings(
    result: Result, model: str, task: int | None
) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Yield for each test fold of the first repeat, and each task, its rows best-ranked first.

    Rows that were not measured for the task are left out; equal scores come in an order drawn by
    a fixed seed.
    """
    predictions = result.predictions
    tasks = range(predictions.targets.shape[1]) if task is None else [task]
    for key, scores in predictions.arrays.items():
        if key.startswith(f"{model}/all/0/"):
            test = predictions.arrays[f"test/0/{key.rsplit('/', 1)[1]}"]
            for column in tasks:
                measured = np.isfinite(predictions.targets[test, column])
                tie_break = np.random.default_rng(0).permutation(int(measured.sum()))
                order = np.lexsort((tie_break, -scores[measured, column]))
                yield test[measured][order], column


def _per_cent(share: float, _: float) -> str:
    return f"{100 * share:g} %"


def _with_interval(row: pd.Series) -> str:
    interval = f" [{row['low']:.3f}, {row['high']:.3f}]" if np.isfinite(row["low"]) else ""
    return f"{row['mean']:.3f}{interval}"
