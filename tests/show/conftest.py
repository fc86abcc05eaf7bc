"""A small result of three models, with the predictions of two of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from chemdl.evidence.result import Predictions, Result

SCORES = {
    "net": [{"t": 0.9, "u": 0.8}, {"t": 0.7, "u": None}, {"t": 0.8, "u": 0.7}],
    "forest": [{"t": 0.7, "u": 0.7}, {"t": 0.8, "u": 0.6}, {"t": 0.6, "u": 0.8}],
    "mean": [{"t": 0.5, "u": 0.5}] * 3,
}
KINDS = {"net": "deep", "forest": "classical", "mean": "trivial"}


@pytest.fixture(scope="session")
def three_models(small_result: Callable[..., Result]) -> Callable[..., Result]:
    """A maker of results of a net, a forest and the mean over three folds and two tasks."""

    def made(
        metric: str = "roc_auc", folds: int = 3, predictions: Predictions | None = None
    ) -> Result:
        rows = [
            {"model": name, "fold": fold, "values": {metric: values}, "fit_seconds": 2.0 + fold}
            for name, by_fold in SCORES.items()
            for fold, values in enumerate(by_fold[:folds])
        ]
        return small_result(rows, KINDS, {"rmse": "K"}, predictions=predictions)

    return made


@pytest.fixture(scope="session")
def result(three_models: Callable[..., Result]) -> Result:
    """ROC-AUC of the three models, with predictions of the net and the forest."""
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, (60, 2)).astype(float)
    targets[0, 0] = np.nan
    arrays: dict[str, np.ndarray] = {}
    for fold in range(2):
        arrays[f"test/0/{fold}"] = np.arange(60)[fold::2]
        for model in ("net", "forest"):
            arrays[f"{model}/all/0/{fold}"] = rng.random((30, 2))
    return three_models(predictions=Predictions(targets, arrays))
