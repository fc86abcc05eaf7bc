"""Errors of test predictions by similarity to the molecules that were learned from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from chemdl.data import Dataset
from chemdl.evidence.result import Result
from chemdl.molecules.fingerprints import ECFP
from chemdl.molecules.similarity import tanimoto
from chemdl.show.figures import plain
from chemdl.show.lines import WIDTH, model_styles
from chemdl.show.tables import pretty, target_unit, with_unit

# Test molecules compared at once: with 20,000 others they make a matrix of 40 MB.
_BLOCK = 512
_RESAMPLES = 1000


def nearest_similarity(result: Result, dataset: Dataset) -> NDArray[np.float64]:
    """Return each molecule's similarity to its nearest neighbour outside its test fold.

    Tanimoto similarity of ECFP4 bits, (n,), in the first repeat; NaN for rows that no fold of it
    tests. Every row outside the test fold counts as learned from, those that stopped a net
    included. A set of 1,000 molecules takes a tenth of a second, one of 10,000 some ten seconds.

    Raises
    ------
    ValueError
        If ``dataset`` is not the data set of the study.
    """
    check_rows(result, dataset)
    bits = ECFP().transform(dataset.inputs)
    nearest = np.full(len(bits), np.nan)
    arrays = result.predictions.arrays
    for test in (rows for key, rows in arrays.items() if key.startswith("test/0/")):
        learned_from = np.delete(bits, test, axis=0)
        for block in np.split(test, range(_BLOCK, len(test), _BLOCK)):
            nearest[block] = tanimoto(bits[block], learned_from).max(axis=1)
    return nearest


def similarity_table(
    result: Result, models: Sequence[str], dataset: Dataset, *, task: int = 0, bins: int = 6
) -> pd.DataFrame:
    """Return models' mean absolute errors by similarity to the nearest train molecule.

    Test predictions of the first repeat, in bins of about equal count. One row per model and bin:
    model, similarity (the bin's mean), molecules, error, and low and high, its 95 % percentile
    bootstrap over molecules (Efron and Tibshirani 1993, ch. 13).

    Raises
    ------
    ValueError
        If ``dataset`` is not the data set of the study.
    """
    similarity = nearest_similarity(result, dataset)
    measured = dataset.targets[:, task]
    rows: list[dict[str, Any]] = []
    for model in dict.fromkeys(models):
        error = np.abs(result.predictions.pooled(model)[:, task] - measured)
        tested = pd.DataFrame({"similarity": similarity, "error": error}).dropna()
        for _, inside in tested.groupby(_bins(tested["similarity"], bins)):
            low, high = _bootstrap(inside["error"].to_numpy())
            means = inside.mean().to_dict()
            rows.append(
                {"model": model, **means, "molecules": len(inside), "low": low, "high": high}
            )
    return pd.DataFrame(rows)


def error_by_similarity(
    result: Result, models: Sequence[str], dataset: Dataset, *, task: int = 0, bins: int = 6
) -> Figure:
    """Draw :func:`similarity_table`, a line for each model; bars are the intervals.

    Models that the study does not have are left out.
    """
    styles = model_styles(result, models)
    table = similarity_table(result, list(styles), dataset, task=task, bins=bins)
    figure = Figure(figsize=(WIDTH * 0.75, 3.2), layout="constrained")
    axis = figure.subplots()
    for place, (model, style) in enumerate(styles.items()):
        rows = table[table["model"] == model]
        x = rows["similarity"] + 0.004 * (place - (len(styles) - 1) / 2)
        errors = [rows["error"] - rows["low"], rows["high"] - rows["error"]]
        axis.errorbar(x, rows["error"], yerr=errors, **style, capsize=2, markersize=4, lw=1.2,
                      label=pretty(model))  # fmt: skip
    count = round(table["molecules"].mean())
    axis.set_ylim(bottom=0)
    axis.set_xlabel(f"similarity to the nearest train molecule (bins of about {count})")
    axis.set_ylabel(with_unit("mean absolute error", target_unit(result)))
    axis.legend(frameon=False, fontsize=8)
    plain(axis)
    return figure


def check_rows(result: Result, dataset: Dataset) -> None:
    """Raise a ``ValueError`` unless ``dataset`` holds the rows that the study ran on."""
    recorded = result.card.dataset
    if dataset.card["content_sha256"] != recorded.content_sha256:
        raise ValueError(
            f"study {result.study} ran on {recorded.n} rows of {recorded.name}, and the "
            f"{len(dataset)} rows of {dataset.name} are others: give the rows that it ran on"
        )


def _bins(values: pd.Series, count: int) -> NDArray[np.int64]:
    """Number bins of about equal count; equal values share a bin, so that there may be fewer."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, count + 1)[1:-1]))
    return np.searchsorted(edges, values, side="right")


def _bootstrap(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean, the same in each call."""
    resampled = np.random.default_rng(0).integers(0, len(values), (_RESAMPLES, len(values)))
    low, high = np.quantile(values[resampled].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)
