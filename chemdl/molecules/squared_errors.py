"""Duvenaud's printed errors, which are squares, beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from chemdl.evidence import claims
from chemdl.evidence.claims import Claim
from chemdl.show import tables
from chemdl.show.tables import Card

# Duvenaud et al. 2015, table 1 in the paper's source: squared errors ± their spread. The models
# by our names, and as claims.yml names them.
_DUVENAUD_MODELS = {
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


def squared_error_table(read: Sequence[Card]) -> pd.DataFrame:
    """Return Duvenaud's printed numbers, their roots, and ours from the cards of his three sets.

    ``printed`` is what stands in the paper's table, a mean squared error; ``reported`` its root,
    as the authors' poster has it; ``here`` our RMSE with its 95 % interval, and its square. Beside
    the error of predicting the mean stands the variance of the labels, which it must be: for each
    fold MSE / (1 - R²), whatever the model. What the cards do not hold is missing.
    """
    by_study = {card["study"]: card for card in read}
    rows = []
    for name, printed in _PRINTED.items():
        claim = claims.get(name)
        card = by_study.get(claim.test.study) if claim.test else None
        reported = _reported_by_name(claim)
        for (model, words), square in zip(_DUVENAUD_MODELS.items(), printed, strict=True):
            rows.append(
                {
                    "data set": name.rsplit("-", 1)[1].lower(),
                    "model": words,
                    "printed": "{:.2f} ± {:.2f}".format(*square),
                    "reported": "{:.2f} ± {:.2f}".format(*reported[words]),
                    **_error_here(card, model),
                    "variance of labels": _label_variance(card) if model == "trivial" else "",
                }
            )
    table = pd.DataFrame(rows)
    units = "; ".join(f"{n.rsplit('-', 1)[1].lower()}: {claims.get(n).unit}" for n in _PRINTED)
    table.attrs["caption"] = f"Errors in units of the targets and, printed, their squares. {units}"
    return table


def _reported_by_name(claim: Claim) -> dict[str, tuple[float | None, float | None]]:
    """Return every reported value with its spread, by the name of its model in the source."""
    reported = claim.reported
    values = {
        claim.names["a"]: (reported.a, reported.a_spread),
        claim.names["b"]: (reported.b, reported.b_spread),
    }
    return values | {also["name"]: (also["value"], also.get("spread")) for also in claim.also}


def _error_here(card: Card | None, model: str) -> dict[str, Any]:
    """Return our RMSE of a model, as text with its interval, and the mean of its squares."""
    values = np.array([]) if card is None else tables.replica_means(card, model, "rmse")
    if card is None or not len(values):
        return {"here": np.nan, "here squared": np.nan}
    low, high = tables.mean_interval(card, values)
    interval = "" if np.isnan(low) else f" [{low:.2f}, {high:.2f}]"
    square = float(np.mean(values**2))
    return {"here": f"{values.mean():.2f}{interval}", "here squared": f"{square:.2f}"}


def _label_variance(card: Card | None) -> str | float:
    """Return the variance of the labels, mean over test folds; NaN without R²."""
    if card is None or not {"rmse", "r2"} <= {metric["name"] for metric in card["metrics"]}:
        return np.nan
    # The same for every model of a fold, since R² = 1 - MSE / variance.
    values = [row["values"] for row in card["scores"] if row["condition"] == "all"]
    pairs = [(error, v["r2"][task]) for v in values for task, error in v["rmse"].items()]
    known = [rmse**2 / (1 - r2) for rmse, r2 in pairs if rmse is not None and r2 not in (None, 1)]
    return f"{np.mean(known):.2f}" if known else np.nan
