"""The rule that turns an interval into a verdict, fixed before any study runs."""

from __future__ import annotations

import math
from typing import Literal

Verdict = Literal[
    "confirmed",
    "smaller",
    "reversed",
    "equivalent",
    "undecided",
    "reproduced",
    "better",
    "worse",
    "not run",
    "not testable",
]

MEANING: dict[str, str] = {
    "confirmed": "the difference is above zero, and as large as reported or no size was reported",
    "smaller": "the difference is above zero but below the reported one",
    "reversed": "the difference is below zero: the other model is better",
    "equivalent": "zero is inside the interval, and the interval inside the margin",
    "undecided": "zero is inside the interval, and the interval is wider than the margin",
    "reproduced": "the reported value is inside our 95 % prediction interval",
    "better": "our value is better than reported, beyond the prediction interval",
    "worse": "our value is worse than reported, beyond the prediction interval",
    "not run": "needs another profile, another model, or data that were not fetched",
    "not testable": "cannot be tested with public data; the reason stands beside it",
}
TALLY_FIDELITY = ("exact", "near")


def judge_difference(low: float, high: float, reported: float | None, margin: float) -> Verdict:
    """Judge a difference by its interval [low, high].

    Positive favours what the source says. ``reported`` is the source's difference in the same
    orientation, or ``None``; ``margin`` is the half-width of what counts as no difference.

    >>> judge_difference(0.01, 0.05, 0.03, 0.01)
    'confirmed'
    >>> judge_difference(0.01, 0.02, 0.03, 0.01)
    'smaller'
    >>> judge_difference(-0.004, 0.006, None, 0.01)
    'equivalent'

    Raises
    ------
    ValueError
        If the interval is not a finite low ≤ high.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"an interval needs finite low ≤ high, not [{low}, {high}]")
    if low > 0:
        return "confirmed" if reported is None or high >= reported else "smaller"
    if high < 0:
        return "reversed"
    return "equivalent" if -margin < low and high < margin else "undecided"


def judge_level(low: float, high: float, reported: float, *, higher_is_better: bool) -> Verdict:
    """Judge a reported value by our 95 % prediction interval [low, high] for it."""
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"an interval needs finite low ≤ high, not [{low}, {high}]")
    if low <= reported <= high:
        return "reproduced"
    ours_is_higher = low > reported
    return "better" if ours_is_higher == higher_is_better else "worse"


def is_in_agreement(verdict: str, favours: str) -> bool:
    """Say whether a verdict agrees with its claim; equivalence does if neither side is favoured."""
    if favours == "neither":
        return verdict == "equivalent"
    return verdict in ("confirmed", "reproduced", "better")


def is_provisional(profile: str, fidelity: str) -> bool:
    """Only ``full`` runs with fidelity exact or near enter the tally."""
    return profile != "full" or fidelity not in TALLY_FIDELITY
