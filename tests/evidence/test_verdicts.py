"""The rule of the verdicts, branch by branch, with its boundaries."""

from __future__ import annotations

import typing

import numpy as np
import pytest

from chemdl.evidence import statistics as stats
from chemdl.evidence import verdicts
from chemdl.evidence.metrics import METRICS
from chemdl.evidence.verdicts import WORDS, judge_difference, judge_level, was_source_right


@pytest.mark.parametrize(
    ("low", "high", "reported", "expected"),
    [
        # above zero
        (0.01, 0.05, None, "confirmed"),
        (0.01, 0.05, 0.03, "confirmed"),
        (0.01, 0.05, 0.05, "confirmed"),  # the bound itself: as large as reported
        (0.01, 0.05, 0.01, "confirmed"),
        (0.01, 0.05, 0.0501, "smaller"),
        (0.01, 0.05, 0.0099, "larger"),
        (0.01, 0.05, 0.0, "larger"),  # the source reports no difference at all
        (1e-12, 0.05, None, "confirmed"),
        # below zero
        (-0.05, -0.01, None, "reversed"),
        (-0.05, -1e-12, 0.03, "reversed"),
        (-0.005, -0.001, None, "reversed"),  # though within the margin
        # around zero, margin 0.01
        (-0.009, 0.009, None, "equivalent"),
        (0.0, 0.009, None, "equivalent"),  # zero itself is no difference
        (-0.009, 0.0, 0.03, "equivalent"),  # before what it says of the reported size
        (0.0, 0.0, None, "equivalent"),
        (-0.01, 0.005, None, "undecided"),  # the margin itself is outside
        (-0.005, 0.01, None, "undecided"),
        (-0.005, 0.01, 0.03, "below reported"),
        (-0.05, 0.029, 0.03, "below reported"),
        (-0.05, 0.0, 0.03, "below reported"),
        (-0.05, 0.03, 0.03, "undecided"),  # the reported size itself is inside
        (-0.05, 0.05, 0.03, "undecided"),
        (0.0, 0.05, 0.03, "undecided"),
    ],
)
def test_differences(low: float, high: float, reported: float | None, expected: str) -> None:
    assert judge_difference(low, high, reported, margin=0.01) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        # ours minus the reported value, positive is better; margin 0.01
        (0.001, 0.01, "better"),
        (0.02, 0.9, "better"),  # however wide
        (0.001, 0.0099, "reproduced"),  # surely better, and surely by less than matters
        (-0.01, -0.001, "worse"),
        (-0.9, -0.02, "worse"),
        (-0.0099, -0.001, "reproduced"),
        (-0.01, 0.01, "reproduced"),
        (0.0, 0.04, "reproduced"),  # zero itself; a half-width of twice the margin
        (0.0, 0.0401, "undecided"),
        (-0.0401, 0.0, "undecided"),
        (-0.3, 0.3, "undecided"),
    ],
)
def test_levels(low: float, high: float, expected: str) -> None:
    assert judge_level(low, high, margin=0.01) == expected


@pytest.mark.parametrize(
    ("low", "high"), [(0.2, 0.1), (np.nan, 0.1), (0.1, np.nan), (-np.inf, 0.1), (0.0, np.inf)]
)
def test_no_interval_no_verdict(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="finite low ≤ high"):
        judge_difference(low, high, None, 0.01)
    with pytest.raises(ValueError, match="finite low ≤ high"):
        judge_level(low, high, 0.01)


def test_every_verdict_has_a_meaning() -> None:
    assert tuple(verdicts.MEANING) == typing.get_args(verdicts.Verdict)
    assert set(verdicts.MEANING) - set(WORDS) == {"analogue", "partial", "not run", "not testable"}


def test_whether_the_source_was_right() -> None:
    answers = {word: was_source_right(word, "deep") for word in verdicts.MEANING}
    by_answer = {a: {w for w in answers if answers[w] == a} for a in answers.values()}
    assert by_answer == {
        "yes": {"confirmed", "reproduced"},
        "in part": {"larger", "smaller", "better"},
        "no": {"worse", "equivalent", "below reported", "reversed"},
        "": {"undecided", "analogue", "partial", "not run", "not testable"},
    }
    assert {word: was_source_right(word, "classical") for word in answers} == answers


def test_where_neither_is_favoured_equivalence_alone_bears_it_out() -> None:
    answers = {word: was_source_right(word, "neither") for word in verdicts.MEANING}
    assert {word for word in answers if answers[word] == "yes"} == {"equivalent"}
    assert {word for word in answers if answers[word] == ""} == {
        "undecided", "analogue", "partial", "not run", "not testable",
    }  # fmt: skip
    assert "in part" not in answers.values()


@pytest.mark.parametrize("changed", ["RULE_VERSION", "RULE_FIXED", "FEWEST_SEEDS", "MEANING"])
def test_a_rule_that_was_changed_has_another_hash(
    changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = verdicts.rule_sha256()
    assert before == verdicts.rule_sha256() and len(before) == 64
    monkeypatch.setattr(verdicts, changed, {"MEANING": {}, "RULE_FIXED": ""}.get(changed, 99))
    assert verdicts.rule_sha256() != before


def test_a_margin_that_was_changed_gives_the_rule_another_hash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from dataclasses import replace

    before = verdicts.rule_sha256()
    monkeypatch.setitem(METRICS._values, "rmse", replace(METRICS["rmse"], margin=0.05))
    assert verdicts.rule_sha256() != before


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
    rare = sum(word in ("confirmed", "larger", "smaller", "reversed") for word in found) / 400
    assert 0.01 < rare < 0.08


def test_a_true_difference_is_found_on_its_side() -> None:
    assert judged(0.03).count("confirmed") > 360
    assert judged(0.045).count("larger") > 200
    assert judged(0.015).count("smaller") > 200
    assert judged(-0.03).count("reversed") > 360
    assert judged(0.0, spread=0.003).count("equivalent") > 360
