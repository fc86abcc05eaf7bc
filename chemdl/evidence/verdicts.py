"""The rule that turns an interval into a verdict, fixed before any study runs."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Literal

# Raised with every change to the rule. Cards say under which version their study ran.
RULE_VERSION = 2
RULE_FIXED = "2026-11-28"

Verdict = Literal[
    "confirmed",
    "larger",
    "smaller",
    "equivalent",
    "below reported",
    "reversed",
    "undecided",
    "reproduced",
    "better",
    "worse",
    "analogue",
    "partial",
    "not run",
    "not testable",
]

MEANING: dict[str, str] = {
    "confirmed": "the difference is above zero, and the reported size (if any) is in the interval",
    "larger": "the difference is above zero, and larger than reported",
    "smaller": "the difference is above zero, but smaller than reported",
    "equivalent": "the whole interval lies within the margin, zero included: it does not matter",
    "below reported": "zero is in the interval, and the reported size is above it",
    "reversed": "the difference is below zero: the other model is better",
    "undecided": "the interval is too wide to say",
    "reproduced": "the reported value differs from ours by less than matters or can be told",
    "better": "our value is better than the reported one",
    "worse": "our value is worse than the reported one",
    "analogue": "another learner, input or measure than the source's: numbers, and no verdict",
    "partial": "less than one whole repeat, three seeds or six data sets ran: no verdict",
    "not run": "needs another profile, another model, or data that were not fetched",
    "not testable": "cannot be tested with public data; the reason stands beside it",
}
# Those that say something of the claim; the others say why nothing can be said.
WORDS = tuple(MEANING)[: tuple(MEANING).index("analogue")]
TALLY_FIDELITY = ("exact", "near")
FEWEST_REPEATS = 1
FEWEST_SEEDS = 3
# With fewer the signed-rank test rejects nothing at 95 %, and its interval has no end.
FEWEST_SETS = 6


def rule_sha256() -> str:
    """Return a hash of the rule: its version, words, least numbers, and the margin of each metric.

    A card carries it, so that a rule that was changed after a study ran is seen.
    """
    from chemdl.evidence.metrics import METRICS

    margins = {name: [m.margin, m.relative_margin] for name, m in sorted(METRICS.items())}
    least = [FEWEST_REPEATS, FEWEST_SEEDS, FEWEST_SETS]
    text = json.dumps([RULE_VERSION, RULE_FIXED, MEANING, least, margins], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def judge_difference(low: float, high: float, reported: float | None, margin: float) -> Verdict:
    """Judge a difference by its 95 % interval [low, high].

    Parameters
    ----------
    low, high
        The interval; positive favours what the source says.
    reported
        The source's difference in the same orientation, or ``None``.
    margin
        Half-width of what counts as no difference.

    Raises
    ------
    ValueError
        If the interval is not a finite low ≤ high.

    Examples
    --------
    >>> judge_difference(0.01, 0.05, 0.03, 0.01)
    'confirmed'
    >>> judge_difference(0.01, 0.02, 0.03, 0.01)
    'smaller'
    >>> judge_difference(-0.004, 0.006, None, 0.01)
    'equivalent'
    >>> judge_difference(-0.004, 0.02, 0.03, 0.01)
    'below reported'
    """
    _check(low, high)
    if low > 0:
        if reported is None or low <= reported <= high:
            return "confirmed"
        return "larger" if low > reported else "smaller"
    if high < 0:
        return "reversed"
    if -margin < low and high < margin:
        return "equivalent"
    return "below reported" if reported is not None and high < reported else "undecided"


def judge_level(low: float, high: float, margin: float) -> Verdict:
    """Judge a reported value by the interval [low, high] for ours minus the reported one.

    Positive is better. A difference that is not zero but surely within the margin counts as
    reproduced; one that may be zero counts so only where the interval's half-width is at most
    twice the margin, since a wide interval holds anything.

    >>> [judge_level(*ours, 0.02) for ours in ((0.008, 0.03), (-0.3, 0.3), (-0.01, 0.02))]
    ['better', 'undecided', 'reproduced']
    """
    _check(low, high)
    if low > 0 and high >= margin:
        return "better"
    if high < 0 and low <= -margin:
        return "worse"
    return "undecided" if (high - low) / 2 > 2 * margin else "reproduced"


def _check(low: float, high: float) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"an interval needs finite low ≤ high, not [{low}, {high}]")


def was_source_right(verdict: str, favours: str) -> str:
    """Return ``yes``, ``in part``, ``no``, or ``""`` where the verdict does not say.

    A claim that favours neither side is borne out by equivalence, and by nothing else. A difference
    in the reported direction of another size, and a value that differs from the reported one, bear
    it out in part.
    """
    if favours == "neither":
        return {"equivalent": "yes", "undecided": ""}.get(verdict, "no" if verdict in WORDS else "")
    answers = {
        "confirmed": "yes",
        "reproduced": "yes",
        "larger": "in part",
        "smaller": "in part",
        "better": "in part",
        "worse": "no",
        "equivalent": "no",
        "below reported": "no",
        "reversed": "no",
    }
    return answers.get(verdict, "")
