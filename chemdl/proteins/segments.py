"""Segments of states along chains, and how well predicted segments overlap observed ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Segments(NamedTuple):
    """Runs of one state within a unit, in order.

    Attributes
    ----------
    of_site
        Number of the run that each site belongs to, (n,).
    start, length, state
        First site, length and state of each run, (runs,) each.
    """

    of_site: NDArray[np.int64]
    start: NDArray[np.int64]
    length: NDArray[np.int64]
    state: Floats


def segments(states: ArrayLike, units: ArrayLike) -> Segments:
    """Cut states (n,) into runs; a run ends where the state changes or the unit does."""
    values, codes = np.asarray(states, np.float64), np.asarray(units)
    begins = np.ones(len(values), dtype=bool)
    begins[1:] = (values[1:] != values[:-1]) | (codes[1:] != codes[:-1])
    start = np.flatnonzero(begins)
    length = np.diff(np.append(start, len(values)))
    return Segments(np.cumsum(begins) - 1, start, length, values[start])


def overlap(y: Floats, p: Floats, w: Floats, units: NDArray[np.int64]) -> Floats:
    """Segment overlap in per cent, as redefined in 1999 (Zemla et al. 1999).

    For observed segments s1 and predicted s2 of the same state that share a residue::

        Sov = 100 / N Σ_(s1, s2) (minov + δ) / maxov · |s1|,
        δ = min(maxov - minov, minov, ⌊|s1| / 2⌋, ⌊|s2| / 2⌋),

    with minov the length of their overlap and maxov that of their union. N counts the length of s1
    once for each pair, and once for an observed segment without a pair. y and p are states (n,), w
    are weights (r, n) that are equal within a unit. Sites that were not measured must be left out
    before.
    """
    total, normal = overlap_parts(y, p, units)
    weighted = w @ normal
    return np.divide(100.0 * (w @ total), weighted, out=np.full(len(w), np.nan), where=weighted > 0)


def overlap_parts(y: Floats, p: Floats, units: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return each observed segment's share of the sum and of N, at its first site: (n,) each."""
    observed, predicted = segments(y, units), segments(p, units)
    common = np.flatnonzero(y == p)
    pair = observed.of_site[common] * len(predicted.start) + predicted.of_site[common]
    pairs, minov = np.unique(pair, return_counts=True)
    s1, s2 = np.divmod(pairs, max(1, len(predicted.start)))
    length1, length2 = observed.length[s1], predicted.length[s2]
    start1, start2 = observed.start[s1], predicted.start[s2]
    maxov = np.maximum(start1 + length1, start2 + length2) - np.minimum(start1, start2)
    slack = np.minimum.reduce([maxov - minov, minov, length1 // 2, length2 // 2])
    share = (minov + slack) / maxov * length1
    count = len(observed.start)
    total, normal = np.zeros(len(y)), np.zeros(len(y))
    total[observed.start] = np.bincount(s1, weights=share, minlength=count)
    normal[observed.start] = np.maximum(np.bincount(s1, minlength=count), 1) * observed.length
    return total, normal


def recall_by_length(
    y: Floats, p: Floats, units: NDArray[np.int64], state: float, edges: list[int]
) -> list[tuple[int, float, float]]:
    """Return how much of the observed segments of a state is predicted, by their length.

    For each class of lengths: the number of segments, the share of their residues that were
    predicted in that state, and the share of segments of which no residue was.

    Parameters
    ----------
    y, p
        Observed and predicted states, (n,) each.
    units
        Unit of each site, such as its chain, (n,).
    state
        State whose segments are counted.
    edges
        Smallest length of each class, in sites.
    """
    observed = segments(y, units)
    right = np.bincount(observed.of_site, weights=(p == y), minlength=len(observed.start))
    rows = []
    for least, most in zip(edges, [*edges[1:], np.inf], strict=True):
        chosen = (observed.state == state) & (observed.length >= least) & (observed.length < most)
        residues = observed.length[chosen].sum()
        recall = float(right[chosen].sum() / residues) if residues else float("nan")
        missed = float((right[chosen] == 0).mean()) if chosen.any() else float("nan")
        rows.append((int(chosen.sum()), recall, missed))
    return rows
