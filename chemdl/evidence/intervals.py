"""An interval for a difference, with the smallest difference that it could detect."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

POWER = 0.8


@dataclass(frozen=True)
class Interval:
    """A difference with its confidence interval; a positive difference favours model a.

    Attributes
    ----------
    difference, low, high
        The estimate and the limits of its confidence interval.
    detectable
        The smallest true difference that this design finds with 80 % power, that is, with an
        interval that excludes 0.
    p
        Two-sided p value of "no difference"; it is below 1 − confidence exactly if the interval
        excludes 0.
    n
        Number of folds, units or data sets that the interval is computed from.
    method
        Name of the method that computed it.
    """

    difference: float
    low: float
    high: float
    detectable: float
    p: float
    n: int
    method: str


def t_interval(
    difference: float, error: float, freedom: float, n: int, confidence: float, method: str
) -> Interval:
    from scipy import stats

    low, high = around(difference, error, freedom, confidence)
    if error > 0:
        p = float(2 * stats.t.sf(abs(difference) / error, freedom))
    else:
        p = 1.0 if difference == 0 else 0.0
    detectable = noncentrality(freedom, 1 - confidence) * error
    return Interval(difference, low, high, detectable, p, n, method)


def around(centre: float, error: float, freedom: float, confidence: float) -> tuple[float, float]:
    """Return Student's interval around ``centre`` with this standard error."""
    from scipy import stats

    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} must lie between 0 and 1")
    half = float(stats.t.ppf((1 + confidence) / 2, freedom)) * error
    return centre - half, centre + half


@lru_cache(maxsize=256)
def noncentrality(freedom: float, alpha: float) -> float:
    """True difference, in standard errors, that a two-sided t test finds with 80 % power."""
    from scipy import optimize, stats

    critical = float(stats.t.ppf(1 - alpha / 2, freedom))

    def lacking(shift: float) -> float:
        # A rejection on the wrong side is below 1e-4 where the power is 80 %.
        return float(stats.nct.sf(critical, freedom, shift)) - POWER

    # With many degrees of freedom 80 % is reached at critical + 0.84, with one at 1.3 critical.
    return float(optimize.brentq(lacking, 0.5 * critical, 1.5 * critical + 2))


def finite(values: ArrayLike, what: str, least: int) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    bad = ~np.isfinite(array)
    if bad.any():
        place = tuple(int(i[0]) for i in np.nonzero(bad))
        shown = place[0] if len(place) == 1 else place
        raise ValueError(
            f"{what} is {array[place]} at place {shown}; a metric was undefined there: leave the "
            "fold or set out on both sides, and say so"
        )
    if array.size < least:
        raise ValueError(f"{array.size} {what}s are too few; at least {least} are needed")
    return array


def satterthwaite(parts: list[tuple[float, float]]) -> tuple[float, float]:
    """Add independent variances, given with their degrees of freedom.

    The sum has (Σ v)² / Σ v²/df degrees of freedom (Satterthwaite, Biometrics Bull. 2, 110, 1946).
    """
    variance = sum(v for v, _ in parts)
    below = sum(v**2 / df for v, df in parts)
    return variance, variance**2 / below if below > 0 else parts[0][1]
