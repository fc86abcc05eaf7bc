"""The learning curve of the best model, and what more molecules would bring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SHARES = (0.2, 0.35, 0.6, 1.0)
# A gain of less than this share of the error is none.
_WORTH = 0.005


@dataclass(frozen=True)
class Gain:
    """What more molecules would change, as a share of the error, with its 95 % interval."""

    added: int
    change: float
    low: float
    high: float

    @property
    def sentence(self) -> str:
        """The gain in a sentence."""
        head = f"{self.added:,} more molecules"
        if not np.isfinite(self.low) or self.high > -_WORTH:
            return f"What {head} would bring cannot be told: the curve is too uncertain."
        return f"{head}: {self.change:+.0%} [{self.low:+.0%}, {self.high:+.0%}] of the error."


def power_law(sizes: np.ndarray, errors: np.ndarray) -> tuple[float, float, float]:
    """Fit error = a n^−b + c by least squares, a, c ≥ 0 and b from 0.05 to 1; return a, b, c."""
    from scipy.optimize import nnls

    best, least = (0.0, 0.05, float(errors.mean())), np.inf
    for b in np.linspace(0.05, 1.0, 39):
        columns = np.column_stack([(sizes / sizes[-1]) ** -b, np.ones(len(sizes))])
        (a, c), residual = nnls(columns, errors)
        if residual < least:
            best, least = (float(a * sizes[-1] ** b), float(b), float(c)), residual
    return best


def expected_gain(sizes: np.ndarray, errors: np.ndarray, added: int = 1000) -> Gain:
    """Extrapolate a learning curve to more molecules.

    Four sizes cannot tell a curve that ends at a floor from one that does not, so both are fitted,
    and the interval holds those of both. Each is the jackknife's over folds, with Student's t. In a
    simulation with noise of 0.5 to 3 % it held the true gain in 90 to 99 % of cases.

    Parameters
    ----------
    sizes
        Train sizes, ascending, (s,).
    errors
        Error in each fold at each size, (folds, s); lower is better.
    added
        Number of molecules to add; at most as many as there are, since no curve reaches farther.
    """
    added = int(min(added, sizes[-1]))
    change = _change(sizes, errors.mean(axis=0), added, floor=True)
    if len(errors) < 3 or (errors <= 0).any():
        return Gain(added, change, float("nan"), float("nan"))
    intervals = [_jackknife(sizes, errors, added, floor) for floor in (True, False)]
    low, high = min(i[0] for i in intervals), max(i[1] for i in intervals)
    return Gain(added, change, low, high)


def _jackknife(
    sizes: np.ndarray, errors: np.ndarray, added: int, floor: bool
) -> tuple[float, float]:
    from scipy.stats import t

    count = len(errors)
    change = _change(sizes, errors.mean(axis=0), added, floor)
    without = np.array([
        _change(sizes, np.delete(errors, fold, axis=0).mean(axis=0), added, floor)
        for fold in range(count)
    ])  # fmt: skip
    spread = np.sqrt((count - 1) / count * ((without - without.mean()) ** 2).sum())
    half = float(t.ppf(0.975, count - 1) * spread)
    return change - half, change + half


def _change(sizes: np.ndarray, errors: np.ndarray, added: int, floor: bool) -> float:
    if not floor:
        slope = float(np.polyfit(np.log(sizes), np.log(errors), 1)[0])
        return float((1 + added / sizes[-1]) ** min(slope, 0.0) - 1)
    a, b, c = power_law(sizes, errors)
    now, then = (a * n**-b + c for n in (sizes[-1], sizes[-1] + added))
    return float(then / now - 1)
