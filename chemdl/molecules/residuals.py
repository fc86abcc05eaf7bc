"""What the errors of test predictions hang on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chemdl.evidence.cards import Predictions
from chemdl.molecules.fingerprints import ECFP
from chemdl.molecules.similarity import tanimoto

# Test molecules compared at once: with 20,000 others they make a matrix of 40 MB.
_BLOCK = 512
_RESAMPLES = 1000


def nearest_similarity(
    smiles: Sequence[str], predictions: Predictions, repeat: int = 0
) -> NDArray[np.float64]:
    """Return each molecule's similarity to its nearest neighbour outside its test fold.

    Tanimoto similarity of ECFP4 bits, (n,); NaN for rows that were in no test side of the repeat.
    Every row outside the test side counts as trained on, those that stopped a net included. A set
    of 1,000 molecules takes a tenth of a second, one of 10,000 some ten seconds.
    """
    bits = ECFP().transform(smiles)
    nearest = np.full(len(bits), np.nan)
    for key in (k for k in predictions.arrays if k.startswith(f"test/{repeat}/")):
        test = predictions.arrays[key]
        train = bits[np.setdiff1d(np.arange(len(bits)), test)]
        for part in np.split(test, range(_BLOCK, len(test), _BLOCK)):
            nearest[part] = tanimoto(bits[part], train).max(axis=1)
    return nearest


def by_similarity(
    data: Any,
    predictions: Predictions,
    models: Sequence[str],
    *,
    task: int = 0,
    bins: int = 6,
    seed: int = 0,
) -> pd.DataFrame:
    """Return models' mean absolute errors by similarity to the nearest train molecule.

    Test predictions of the first repeat, in bins of about equal count. One row per model and bin:
    model, similarity (the bin's mean), molecules, error, and low and high, its 95 % percentile
    bootstrap over molecules (Efron and Tibshirani 1993, ch. 13).

    Raises
    ------
    ValueError
        if the data are not those that were predicted.
    """
    _check_same(data, predictions)
    similarity = nearest_similarity(data.inputs, predictions)
    truth = predictions.targets[:, task].astype(np.float64)
    rows = []
    for model in dict.fromkeys(models):
        error = np.abs(predictions.pooled(model)[:, task] - truth)
        known = np.isfinite(error) & np.isfinite(similarity)
        places = _bins(similarity[known], bins)
        for place in np.unique(places):
            own = error[known][places == place]
            low, high = _bootstrap(own, seed)
            rows.append(
                {
                    "model": model,
                    "similarity": float(similarity[known][places == place].mean()),
                    "molecules": len(own),
                    "error": float(own.mean()),
                    "low": low,
                    "high": high,
                }
            )
    return pd.DataFrame(rows)


def _bins(values: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Number bins of about equal count; equal values share a bin, so that there may be fewer."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, count + 1)[1:-1]))
    return np.searchsorted(edges, values, side="right")


def _bootstrap(values: NDArray[np.float64], seed: int) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean."""
    drawn = np.random.default_rng(seed).integers(0, len(values), (_RESAMPLES, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _check_same(data: Any, predictions: Predictions) -> None:
    # Predictions files hold targets as float32.
    own, predicted = data.targets.astype(np.float32), predictions.targets.astype(np.float32)
    if own.shape != predicted.shape or not np.array_equal(own, predicted, equal_nan=True):
        raise ValueError(
            f"{data.name} with targets {own.shape} is not what was predicted, {predicted.shape}: "
            "take the rows that the study ran on"
        )
