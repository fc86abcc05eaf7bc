"""Intervals that hold what they promise: cross-conformal prediction from out-of-fold residuals.

For molecules that are exchangeable with those of the table, an interval of level 1 − α covers the
measured value with a probability of at least 1 − α (Vovk, Ann. Math. Artif. Intell. 74, 9, 2015);
for new series it may not, which :func:`fold_coverage` measures. The residuals are stored already,
one a molecule and made by a model that had not seen it, so that all that is left to compute is a
quantile: a library that wraps the fit of a model would fit each model again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEVEL = 0.9
# Residuals that a bin of similarity needs; with fewer the bins are joined.
_FEWEST = 60
_MOST_BINS = 3


@dataclass(frozen=True)
class Calibration:
    """Half-widths by similarity of one target's values, or least probabilities of its classes.

    Attributes
    ----------
    kind
        ``regression`` or ``classification``.
    edges
        Similarities between bins, ascending, (bins − 1,).
    widths
        Regression: half-width in each bin, (bins,). Classification: for class 0 and class 1 the
        largest 1 − p at which the class stays in the set, (2,).
    """

    kind: str
    edges: np.ndarray
    widths: np.ndarray

    def interval(self, values: np.ndarray, similarity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return low and high of values (m,) at these similarities (m,)."""
        width = self.widths[np.searchsorted(self.edges, similarity)]
        return values - width, values + width

    def classes(self, probability: np.ndarray) -> np.ndarray:
        """Return the classes that cannot be excluded: ``0``, ``1``, ``0 or 1`` or ``neither``."""
        zero, one = probability <= self.widths[0], 1 - probability <= self.widths[1]
        return np.select([zero & one, zero, one], ["0 or 1", "0", "1"], "neither")


def calibrate(
    kind: str,
    measured: np.ndarray,
    predicted: np.ndarray,
    similarity: np.ndarray,
    level: float = LEVEL,
) -> Calibration:
    """Take the quantiles of out-of-fold predictions of one target.

    Parameters
    ----------
    kind
        ``regression`` or ``classification``.
    measured, predicted, similarity
        Value, out-of-fold prediction (or probability of class 1) and similarity to the nearest
        train molecule, (n,) each; rows with a NaN are left out.
    level
        Share of values that the intervals are to cover.
    """
    known = np.isfinite(measured) & np.isfinite(predicted) & np.isfinite(similarity)
    y, p, near = measured[known], predicted[known], similarity[known]
    if kind == "classification":
        wrong = np.where(y == 1, 1 - p, p)
        widths = [conformal_quantile(wrong[y == c], level) for c in (0, 1)]
        return Calibration(kind, np.array([]), np.minimum(widths, 1.0))
    bins = max(1, min(_MOST_BINS, len(y) // _FEWEST))
    edges = np.unique(np.quantile(near, np.linspace(0, 1, bins + 1)[1:-1]))
    place, residuals = np.searchsorted(edges, near), np.abs(y - p)
    widths = [conformal_quantile(residuals[place == b], level) for b in range(len(edges) + 1)]
    return Calibration(kind, edges, np.array(widths))


def conformal_quantile(scores: np.ndarray, level: float) -> float:
    """Return the ⌈(n + 1)·level⌉-th smallest of n scores; infinite where n is too small."""
    rank = int(np.ceil((len(scores) + 1) * level))
    return float("inf") if rank > len(scores) else float(np.sort(scores)[rank - 1])


def covered(found: Calibration, y: np.ndarray, p: np.ndarray, similarity: np.ndarray) -> np.ndarray:
    """Say of each value whether its interval (or set of classes) holds it, bool (m,)."""
    if found.kind == "classification":
        return np.where(y == 1, 1 - p <= found.widths[1], p <= found.widths[0])
    low, high = found.interval(p, similarity)
    return (low <= y) & (y <= high)


def fold_coverage(
    kind: str,
    measured: np.ndarray,
    predicted: np.ndarray,
    similarity: np.ndarray,
    folds: np.ndarray,
    level: float = LEVEL,
) -> tuple[float, float]:
    """Return coverage and mean width where each fold is covered by the other folds' residuals.

    With folds of whole clusters this says what to expect of new series. The width is that of
    intervals, or the mean number of classes in a set.
    """
    held, widths = [], []
    for fold in np.unique(folds[folds >= 0]):
        others = (folds != fold) & (folds >= 0)
        found = calibrate(kind, measured[others], predicted[others], similarity[others], level)
        inside = (folds == fold) & np.isfinite(measured) & np.isfinite(predicted)
        y, p, near = measured[inside], predicted[inside], similarity[inside]
        held.append(covered(found, y, p, near))
        if kind == "classification":
            widths.append((p <= found.widths[0]) * 1.0 + (1 - p <= found.widths[1]))
        else:
            low, high = found.interval(p, near)
            widths.append(high - low)
    return float(np.concatenate(held).mean()), float(np.concatenate(widths).mean())
