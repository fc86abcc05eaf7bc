"""The rule of the verdicts, branch by branch, with its boundaries."""

from __future__ import annotations

import typing

import numpy as np
import pytest

from chemdl.evidence import statistics as stats
from chemdl.evidence import verdicts
from chemdl.evidence.verdicts import is_in_agreement, is_provisional, judge_difference, judge_level


@pytest.mark.parametrize(
    ("low", "high", "reported", "expected"),
    [
        # above zero
        (0.01, 0.05, None, "confirmed"),
        (0.01, 0.05, 0.03, "confirmed"),
        (0.01, 0.05, 0.05, "confirmed"),  # the bound itself: as large as reported
        (0.01, 0.05, 0.0501, "smaller"),
        (0.01, 0.05, 0.001, "confirmed"),  # larger than reported confirms as well
        (1e-12, 0.05, None, "confirmed"),
        # below zero
        (-0.05, -0.01, None, "reversed"),
        (-0.05, -1e-12, 0.03, "reversed"),
        # around zero, margin 0.01
        (-0.009, 0.009, None, "equivalent"),
        (0.0, 0.009, None, "equivalent"),  # zero itself is no difference
        (-0.009, 0.0, 0.03, "equivalent"),
        (0.0, 0.0, None, "equivalent"),
        (-0.01, 0.005, None, "undecided"),  # the margin itself is outside
        (-0.005, 0.01, None, "undecided"),
        (-0.05, 0.05, 0.03, "undecided"),
        (0.0, 0.05, 0.03, "undecided"),
        (-0.05, 0.0, 0.03, "undecided"),
    ],
)
def test_differences(low: float, high: float, reported: float | None, expected: str) -> None:
    assert judge_difference(low, high, reported, margin=0.01) == expected


@pytest.mark.parametrize(
    ("reported", "higher_is_better", "expected"),
    [
        (0.80, True, "reproduced"),
        (0.75, True, "reproduced"),
        (0.85, True, "reproduced"),
        (0.74, True, "better"),
        (0.86, True, "worse"),
        (0.80, False, "reproduced"),
        (0.74, False, "worse"),
        (0.86, False, "better"),
    ],
)
def test_levels(reported: float, higher_is_better: bool, expected: str) -> None:
    """Our prediction interval is [0.75, 0.85]; for an error, lower is better."""
    assert judge_level(0.75, 0.85, reported, higher_is_better=higher_is_better) == expected


@pytest.mark.parametrize(
    ("low", "high"), [(0.2, 0.1), (np.nan, 0.1), (0.1, np.nan), (-np.inf, 0.1), (0.0, np.inf)]
)
def test_no_interval_no_verdict(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="finite low ≤ high"):
        judge_difference(low, high, None, 0.01)
    with pytest.raises(ValueError, match="finite low ≤ high"):
        judge_level(low, high, 0.5, higher_is_better=True)


def test_every_verdict_has_a_meaning() -> None:
    assert set(verdicts.MEANING) == set(typing.get_args(verdicts.Verdict))


def test_what_bears_a_claim_out() -> None:
    bearing = {v for v in verdicts.MEANING if is_in_agreement(v, "deep")}
    assert bearing == {"confirmed", "reproduced", "better"}
    assert {v for v in verdicts.MEANING if is_in_agreement(v, "other")} == bearing


def test_where_neither_is_favoured_equivalence_confirms() -> None:
    assert {v for v in verdicts.MEANING if is_in_agreement(v, "neither")} == {"equivalent"}


@pytest.mark.parametrize("fidelity", ["exact", "near", "stand-in", ""])
@pytest.mark.parametrize("profile", ["smoke", "quick", "full"])
def test_only_full_and_faithful_verdicts_enter_the_tally(profile: str, fidelity: str) -> None:
    enters = profile == "full" and fidelity in ("exact", "near")
    assert is_provisional(profile, fidelity) is not enters


def judged(truth: float, spread: float = 0.01, runs: int = 400) -> list[str]:
    """Judge studies of 5×5 folds whose true difference is known; folds share a part."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(runs):
        # The share of the variance that the correction assumes folds to have in common.
        common = rng.normal(0, spread * np.sqrt(0.2))
        folds = truth + common + rng.normal(0, spread * np.sqrt(0.8), 25)
        interval = stats.corrected_interval(folds, 0.25)
        found.append(judge_difference(interval.low, interval.high, 0.03, 0.01))
    return found


def test_without_a_true_difference_a_finding_is_rare() -> None:
    found = judged(0.0)
    rare = (found.count("confirmed") + found.count("smaller") + found.count("reversed")) / 400
    assert 0.01 < rare < 0.08


def test_a_true_difference_is_found_on_its_side() -> None:
    assert judged(0.03).count("confirmed") > 360
    assert judged(0.015).count("smaller") > 200
    assert judged(-0.03).count("reversed") > 360
    assert judged(0.0, spread=0.003).count("equivalent") > 360
