"""Duvenaud's printed errors, which are squares, beside ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from chemdl.evidence import claims
from chemdl.evidence.claims import Claim
from chemdl.evidence.result import Result
from chemdl.show.tables import mean_interval

# Duvenaud et al. 2015, table 1 in the paper's source: squared errors ± their spread. The models
# by our names, and as claims.yml names them.
_MODELS = {
    "neural_fingerprint": "neural fingerprint and net",
    "neural_fingerprint_linear": "neural fingerprint and linear model",
    "fingerprint_net": "circular fingerprint and net",
    "ridge": "circular fingerprint and linear model",
    "trivial": "predicting the mean",
}
_PRINTED = {
    "QSAR-09-Solubility": ((0.52, 0.07), (0.77, 0.11), (1.40, 0.13), (1.71, 0.13), (4.29, 0.40)),
    "QSAR-09-Malaria": ((1.16, 0.03), (1.15, 0.02), (1.36, 0.10), (1.13, 0.03), (1.47, 0.07)),
    "QSAR-09-Photovoltaic": ((1.43, 0.09), (2.58, 0.18), (2.00, 0.09), (2.63, 0.09), (6.40, 0.09)),
}


def squared_error_table(results: Mapping[str, Result]) -> pd.DataFrame:
    """Return Duvenaud's printed numbers, their roots, and ours from the results of his three sets.

    ``printed`` is the number in the paper's table, a mean squared error; ``reported`` is its root,
    as on the authors' poster; ``here`` is our RMSE with its 95 % interval, and its square. The
    error of predicting the mean must equal the variance of the labels, which is shown beside it:
    for each fold MSE / (1 - R²), for any model. Results that are missing are left out.
    """
    rows, units = [], []
    for name, printed in _PRINTED.items():
        claim, dataset = claims.get(name), name.rsplit("-", 1)[1].lower()
        result = results.get(claim.test.study) if claim.test else None
        reported = _reported(claim)
        units.append(f"{dataset}: {claim.unit}")
        for (model, words), square in zip(_MODELS.items(), printed, strict=True):
            rows.append(
                {
                    "data set": dataset,
                    "model": words,
                    "printed": "{:.2f} ± {:.2f}".format(*square),
                    "reported": "{:.2f} ± {:.2f}".format(*reported[words]),
                    **_error_here(result, model),
                    "variance of labels": _label_variance(result) if model == "trivial" else "",
                }
            )
    table = pd.DataFrame(rows)
    table.attrs["caption"] = (
        f"Errors in units of the targets and, printed, their squares. {'; '.join(units)}"
    )
    return table


def _reported(claim: Claim) -> dict[str, tuple[float | None, float | None]]:
    """Return every reported value with its spread, by the name of its model in the source."""
    return {
        claim.names.a: (claim.reported.a, claim.reported.a_spread),
        claim.names.b: (claim.reported.b, claim.reported.b_spread),
        **{number.name: (number.value, number.spread) for number in claim.also},
    }


def _error_here(result: Result | None, model: str) -> dict[str, Any]:
    """Return our RMSE of a model, as text with its interval, and the mean of its squares."""
    if result is None or model not in result.models:
        return {"here": np.nan, "here squared": np.nan}
    values = result.replica_means(model, "rmse")
    low, high = mean_interval(result, values)
    interval = "" if np.isnan(low) else f" [{low:.2f}, {high:.2f}]"
    return {"here": f"{values.mean():.2f}{interval}", "here squared": f"{np.mean(values**2):.2f}"}


def _label_variance(result: Result | None) -> str | float:
    """Return the variance of the labels, mean over test folds; NaN without R²."""
    if result is None or not {"rmse", "r2"} <= set(result.metrics):
        return np.nan
    replica = ["model", "repeat", "fold", "task"]
    whole = result.scores[result.scores["condition"] == "all"]
    scores = whole.pivot(index=replica, columns="metric", values="value")
    # The same for every model of a fold, since R² = 1 - MSE / variance.
    variance = scores["rmse"] ** 2 / (1 - scores["r2"].where(scores["r2"] < 1))
    return f"{variance.mean():.2f}" if variance.notna().any() else np.nan
