"""Metrics of labelled residues, in the form that :mod:`chemdl.evidence.metrics` describes.

y and p are numbers of states, or values, of n sites (n,), w weights (r, n). Results are (r,).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from chemdl.evidence.metrics import METRICS, Metric
from chemdl.proteins import segments

Floats = NDArray[np.float64]


def percent_right(y: Floats, p: Floats, w: Floats) -> Floats:
    """Return the per cent of sites whose state is right: Q3 of three states, Q8 of eight."""
    return _share(w @ (y == p), w.sum(axis=1))


def recall_of(state: int) -> Callable[[Floats, Floats, Floats], Floats]:
    """Return the metric of one state's recall: the per cent of its sites that are predicted so."""

    def recall(y: Floats, p: Floats, w: Floats) -> Floats:
        return _share(w @ ((y == state) & (p == state)), w @ (y == state))

    return recall


def correlation(y: Floats, p: Floats, w: Floats) -> Floats:
    """Return Pearson's correlation; of two states it is that of Matthews (1975)."""
    total = w.sum(axis=1)
    mean_y, mean_p = _share(w @ y, total) / 100, _share(w @ p, total) / 100
    product = _share(w @ (y * p), total) / 100 - mean_y * mean_p
    spread_y = _share(w @ y**2, total) / 100 - mean_y**2
    spread_p = _share(w @ p**2, total) / 100 - mean_p**2
    under = np.sqrt(np.maximum(spread_y * spread_p, 0.0))
    return np.divide(product, under, out=np.full(len(w), np.nan), where=under > 1e-12)


def angle_error(y: Floats, p: Floats, w: Floats) -> Floats:
    """Return the mean absolute difference of angles in degrees, the short way round."""
    away = np.abs((p - y + 180.0) % 360.0 - 180.0)
    return _share(w @ away, w.sum(axis=1)) / 100


def long_range_precision(
    y: Floats, p: Floats, w: Floats, units: NDArray[np.int64], apart: int = 24
) -> Floats:
    """Return the per cent of true contacts among a chain's top L/5 pairs, mean over chains.

    Sites are the pairs of residues at least ``apart`` from each other along a chain of L residues,
    (L - apart)(L - apart + 1) / 2 of them; y is 1 for a contact, p ranks the pairs. ``units`` are
    the chains (n,) of the pairs.
    """
    _, first, counts = np.unique(units, return_index=True, return_counts=True)
    shares = np.empty(len(first))
    for unit, (start, count) in enumerate(zip(first, counts, strict=True)):
        length = apart + round((np.sqrt(8.0 * count + 1.0) - 1.0) / 2.0)
        best = np.argsort(-p[start : start + count], kind="stable")[: max(1, length // 5)]
        shares[unit] = y[start : start + count][best].mean()
    of_chain = w[:, first]
    return _share(of_chain @ shares, of_chain.sum(axis=1))


def _share(part: Floats, whole: Floats) -> Floats:
    """Return part of whole in per cent, NaN of nothing."""
    return np.divide(100.0 * part, whole, out=np.full(len(part), np.nan), where=whole > 0)


# Margins by the rule of the verdicts: half a point for Q3 and Q8, .02 for a correlation, 3 % for
# an error.
for metric in (
    Metric("q3", "%", True, 0.5, False, "labelling", percent_right, "q3"),
    Metric("q8", "%", True, 0.5, False, "labelling", percent_right, "q8"),
    Metric("sov", "%", True, 0.5, False, "labelling", segments.overlap, "q3", by_unit=True),
    Metric("recall_helix", "%", True, 1.0, False, "labelling", recall_of(0), "q3"),
    Metric("recall_strand", "%", True, 1.0, False, "labelling", recall_of(1), "q3"),
    Metric("recall_coil", "%", True, 1.0, False, "labelling", recall_of(2), "q3"),
    Metric("q2_exposed", "%", True, 0.5, False, "labelling", percent_right, "exposed"),
    Metric("r_exposed", "", True, 0.02, False, "labelling", correlation, "exposed"),
    Metric("angle_error", "°", False, 0.03, True, "labelling", angle_error),
    Metric("precision_l5", "%", True, 1.0, False, "labelling", long_range_precision, "contact",
           by_unit=True),
):  # fmt: skip
    METRICS.add(metric.name, metric)
