"""From a study's evidence to verdicts: what is needed for a word, and for a place in the tally."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from chemdl.evidence import judging
from chemdl.evidence import statistics as stats
from chemdl.evidence.card import VerdictRow, parse_card
from chemdl.evidence.claims import Claim
from chemdl.evidence.comparisons import Evidence, compare, mean_score, task_intervals
from chemdl.evidence.judging import judge, judged, share_cut_short
from chemdl.evidence.metrics import margin
from chemdl.evidence.verdicts import judge_difference, rule_sha256


def keep(evidence: Evidence, wanted: Callable[[dict[str, Any]], bool]) -> Evidence:
    """Leave out the replicas that are not wanted."""
    return dataclasses.replace(evidence, scores=[row for row in evidence.scores if wanted(row)])


def with_epochs(evidence: Evidence, model: str, best: Sequence[int | None]) -> Evidence:
    """Give a model's replicas these best epochs of 10."""
    told = iter(best)
    scores = [
        row | {"best_epoch": next(told), "epochs": 10} if row["model"] == model else row
        for row in evidence.scores
    ]
    return dataclasses.replace(evidence, scores=scores)


@pytest.fixture
def clear(make_evidence) -> Evidence:
    """Five folds on which ``a`` is far better than ``b``."""
    return make_evidence({"a": 4.0, "b": 0.5})


# --- differences ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("skill", "difference", "expected"),
    [
        ((4.0, 0.5), None, "confirmed"),
        ((4.0, 0.5), 0.3, "confirmed"),
        ((4.0, 0.5), 0.01, "larger"),
        ((4.0, 0.5), 0.7, "smaller"),
        ((0.5, 4.0), 0.04, "reversed"),
        ((1.5, 1.5), 0.9, "below reported"),
        ((1.5, 1.5), None, "undecided"),
    ],
)
def test_a_difference_is_judged_by_its_interval(
    make_evidence, make_claim, skill: tuple[float, float], difference: float | None, expected: str
) -> None:
    given = make_evidence(dict(zip("ab", skill, strict=True)))
    verdict, comparison = judge(make_claim(reported=(None, None, difference)), given, "full")
    assert (verdict["claim"], verdict["verdict"], verdict["reason"]) == ("TINY-01", expected, "")
    found = [verdict["estimate"][k] for k in ("value", "low", "high", "method")]
    assert found == [comparison[k] for k in ("difference", "low", "high", "method")]
    assert verdict["methods"] == comparison["methods"]
    assert verdict["provisional"] is False
    VerdictRow(**verdict)


def test_the_margin_is_the_metrics_or_the_claims_own(make_evidence, make_claim) -> None:
    given = make_evidence({"a": 0.5, "b": 0.5}, metric="rmse", n=1000)
    low, high = (compare(given, "a", "b", "rmse")[k] for k in ("low", "high"))
    for own in (None, 0.001, 1.0):
        used = margin("rmse", mean_score(given, "b", "rmse")) if own is None else own
        found, _ = judge(make_claim(metric="rmse", margin=own), given, "full")
        assert found["verdict"] == judge_difference(low, high, None, used)
    assert found["verdict"] == "equivalent"


def test_whether_it_holds_for_another_sample_stands_beside(make_evidence, make_claim) -> None:
    holds = {}
    for skill in ((4.0, 0.5), (1.5, 1.2), (0.5, 4.0), (1.5, 1.5)):
        found, _ = judge(make_claim(), make_evidence(dict(zip("ab", skill, strict=True))), "full")
        low, high = found["methods"]["low"], found["methods"]["high"]
        expected = {"confirmed": low > 0, "reversed": high < 0}.get(found["verdict"])
        assert found["holds_elsewhere"] is expected
        holds[found["verdict"]] = expected
    assert holds["reversed"] is True and holds["undecided"] is None


@pytest.mark.parametrize(
    ("word", "low", "high", "expected"),
    [
        ("confirmed", 0.001, 0.1, True),
        ("larger", 0.0, 0.1, False),
        ("smaller", -0.1, 0.1, False),
        ("reversed", -0.1, -0.001, True),
        ("reversed", -0.1, 0.0, False),
        ("equivalent", -0.009, 0.009, True),
        ("equivalent", -0.011, 0.009, False),
        ("below reported", -1.0, 1.0, None),
        ("undecided", -1.0, 1.0, None),
    ],
)
def test_the_interval_of_the_methods_must_say_the_same(
    word: Any, low: float, high: float, expected: bool | None
) -> None:
    assert judging._holds(word, low, high, 0.01) is expected


def test_a_condition_is_judged_by_its_own_replicas(make_evidence, make_claim) -> None:
    given = make_evidence({"a": 4.0, "b": 0.5}, conditions=("all", "few"))
    every, few = (judge(make_claim(condition=c), given, "full")[0] for c in ("all", "few"))
    assert every["estimate"]["value"] != few["estimate"]["value"]
    assert judge(make_claim(condition="none"), given, "full")[0]["verdict"] == "not run"


# --- what is too little ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["difference", "count", "level"])
def test_less_than_a_whole_repeat_gets_no_word(make_evidence, make_claim, kind: str) -> None:
    given = make_evidence({"a": 4.0, "b": 0.5}, tasks=6)
    unit = {"unit": "task" if kind == "count" else "fold"}
    given = dataclasses.replace(given, **unit)
    cut = keep(given, lambda row: row["model"] != "a" or row["fold"] != 2)
    reported = (0.8, 0.7, None)
    found, comparison = judge(make_claim(kind, reported, **unit), cut, "full")
    assert (found["verdict"], found["reason"]) == ("partial", "4 of 5 folds")
    assert found["estimate"] is None and comparison is None and found["provisional"]
    assert judge(make_claim(kind, reported, **unit), given, "full")[0]["estimate"] is not None


@pytest.mark.parametrize("kind", ["difference", "count", "level"])
def test_fewer_than_three_seeds_of_a_test_set_get_no_word(make_evidence, make_claim, kind) -> None:
    unit = "task" if kind == "count" else "molecule"
    claim = make_claim(kind, (0.8, 0.7, None), unit=unit)
    for seeds in (1, 2, 3):
        given = make_evidence({"a": 4.0, "b": 0.5}, folds=1, repeats=seeds, tasks=6, unit=unit)
        found, _ = judge(claim, given, "full")
        assert (found["verdict"] == "partial") is (seeds < 3)
        assert (found["reason"] == f"{seeds} of 3 seeds") is (seeds < 3)


def test_differences_of_many_sets_need_no_seeds_but_six_sets(make_evidence, make_claim) -> None:
    for tasks in (5, 6):
        given = make_evidence(
            {"a": 0.3, "b": 0.6}, metric="rmse", folds=1, tasks=tasks, unit="task"
        )
        found, _ = judge(make_claim(metric="rmse", unit="task"), given, "full")
        assert (found["verdict"], found["reason"]) == (
            ("partial", "5 of 6 tasks") if tasks == 5 else ("confirmed", "")
        )


def test_each_left_out_target_is_a_set(make_evidence, make_claim) -> None:
    for targets in (5, 6):
        given = make_evidence({"a": 4.0, "b": 0.5}, folds=targets, unit="target")
        found, _ = judge(make_claim(unit="target"), given, "full")
        assert (found["verdict"], found["reason"]) == (
            ("partial", "5 of 6 targets") if targets == 5 else ("confirmed", "")
        )
        if targets == 6:
            assert found["holds_elsewhere"] is True


@pytest.mark.parametrize("kind", ["difference", "count", "level"])
def test_what_did_not_run_or_was_not_scored_is_not_run(clear, make_claim, kind: str) -> None:
    absent, comparison = judge(make_claim(kind, (0.8, 0.7, None), a="deep_net"), clear, "full")
    assert (absent["verdict"], absent["reason"]) == ("not run", "no replicas of deep_net")
    assert absent["estimate"] is None and comparison is None
    other, _ = judge(make_claim(kind, (0.8, 0.7, None), metric="accuracy"), clear, "full")
    assert (other["verdict"], other["reason"]) == ("not run", "accuracy was not scored")


def test_an_undefined_metric_is_not_run(clear, make_claim) -> None:
    for row in clear.scores:
        row["values"]["roc_auc"]["t0"] = None
    found, _ = judge(make_claim(), clear, "full")
    assert found["verdict"] == "not run" and "undefined" in found["reason"]


# --- counts ---------------------------------------------------------------------------------------


def test_a_count_is_of_tasks_with_intervals_of_their_own(make_evidence, make_claim) -> None:
    given = make_evidence({"a": 1.4, "b": 0.9}, tasks=8, unit="task", seed=3)
    intervals = task_intervals(given, "a", "b", "roc_auc").values()
    won, lost = sum(i.low > 0 for i in intervals), sum(i.high < 0 for i in intervals)
    ahead = sum(i.difference > 0 for i in intervals)
    assert 0 < won < ahead <= 8
    found, comparison = judge(make_claim("count", (11.0, 4.0, None), unit="task"), given, "full")
    assert comparison is None
    assert found["reason"] == (
        f"a is ahead in {ahead} of 8 tasks, surely in {won}, surely behind in {lost}"
    )
    estimate = found["estimate"]
    assert (estimate["value"], estimate["low"], estimate["high"]) == (
        ahead / 8, won / 8, 1 - lost / 8,
    )  # fmt: skip
    assert found["verdict"] == judge_difference(won / 8 - 0.5, 0.5 - lost / 8, 11 / 15 - 0.5, 0.1)


@pytest.mark.parametrize(
    ("skill", "expected"),
    [((5.0, 0.1), "larger"), ((0.1, 5.0), "reversed"), ((1.0, 1.0), "undecided")],
)
def test_clear_counts(make_evidence, make_claim, skill: tuple[float, float], expected: str) -> None:
    """All eight tasks surely won are more than 11 of 15; eight that are open say nothing."""
    given = make_evidence(dict(zip("ab", skill, strict=True)), tasks=8, unit="task")
    found, _ = judge(make_claim("count", (11.0, 4.0, None), unit="task"), given, "full")
    assert found["verdict"] == expected


def test_too_few_tasks_that_are_defined_get_no_word(make_evidence, make_claim) -> None:
    given = make_evidence({"a": 4.0, "b": 0.5}, tasks=6, unit="task")
    for row in given.scores:
        row["values"]["roc_auc"]["t4"] = None
    found, _ = judge(make_claim("count", (11.0, 4.0, None), unit="task"), given, "full")
    assert (found["verdict"], found["reason"]) == ("partial", "roc_auc is defined in 5 of 6 tasks")


# --- levels ---------------------------------------------------------------------------------------


def levels(given: Evidence, metric: str) -> np.ndarray:
    return np.array([row["values"][metric]["t0"] for row in given.scores])


@pytest.mark.parametrize(
    ("metric", "lower", "higher"), [("rmse", "worse", "better"), ("roc_auc", "better", "worse")]
)
def test_a_level_is_judged_by_its_mean(
    make_evidence, make_claim, metric: str, lower: str, higher: str
) -> None:
    given = make_evidence({"a": 1.5}, metric=metric, n=4000)
    values = levels(given, metric)
    low, high = stats.level_interval(values, 0.25)
    for reported, expected in ((values.mean(), "reproduced"), (low - 0.2, lower),
                               (high + 0.2, higher)):  # fmt: skip
        for told in ({"reported": (reported, None, None)},
                     {"level": reported, "reported": (9.9, None, None)}):  # fmt: skip
            found, _ = judge(make_claim("level", metric=metric, margin=0.1, **told), given, "full")
            assert found["verdict"] == expected
            assert (found["estimate"]["low"], found["estimate"]["high"]) == pytest.approx(
                (low, high)
            )


def test_a_level_that_is_known_too_badly_is_undecided(make_evidence, make_claim) -> None:
    given = make_evidence({"a": 1.5}, n=60)
    found, _ = judge(
        make_claim("level", (levels(given, "roc_auc").mean(), None, None)), given, "full"
    )
    assert found["verdict"] == "undecided"


@pytest.mark.parametrize("metric", ["roc_auc", "rmse"])
def test_a_level_is_judged_fold_by_fold_where_the_folds_are_published(
    make_evidence, make_claim, metric: str
) -> None:
    """Folds that differ much but alike, by a constant, tell a small difference."""
    given = make_evidence({"a": 1.5}, metric=metric, n=60)
    theirs = (levels(given, metric) - 0.02 + np.array([1, -1, 0, 1, -1]) * 1e-3).tolist()
    # Scores in another order are still those of their folds.
    given = dataclasses.replace(given, scores=given.scores[::-1])
    mean = float(np.mean(theirs))
    claim = make_claim("level", (round(mean, 1), None, None), metric=metric, margin=0.01)
    test = claim.test.model_copy(update={"folds_reported": theirs})
    found, _ = judge(claim.model_copy(update={"test": test}), given, "full")
    assert found["verdict"] == ("better" if metric == "roc_auc" else "worse")
    assert "fold by fold" in found["estimate"]["method"]
    assert found["estimate"]["low"] < found["estimate"]["value"] < found["estimate"]["high"]
    assert found["estimate"]["value"] == pytest.approx(mean + 0.02)
    # By the mean alone it would be open.
    assert judge(claim, given, "full")[0]["verdict"] == "undecided"


def test_a_level_is_that_of_whole_repeats(make_evidence, make_claim) -> None:
    given = make_evidence({"a": 1.5}, repeats=2)
    first, cut = (
        keep(given, lambda row, left=left: row["repeat"] == 0 or row["fold"] in left)
        for left in ((), (0, 1))
    )
    claim = make_claim("level", (0.8, None, None))
    estimates = [judge(claim, some, "full")[0]["estimate"] for some in (first, cut, given)]
    assert estimates[0] == estimates[1] != estimates[2]


def test_a_level_needs_a_number(clear, make_claim) -> None:
    assert judge(make_claim("level"), clear, "full")[0]["verdict"] == "not run"


# --- what stays outside the tally -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "fidelity", "shortfall", "outside"),
    [
        ("full", "exact", [], ""),
        ("full", "near", [], ""),
        ("quick", "near", [], "profile quick"),
        ("smoke", "exact", [], "profile smoke"),
        ("full", "analogue", [], "analogue"),
        ("full", "near", ["1 of 3 repeats"], "1 of 3 repeats"),
        ("full", "near", ["0 of 20 tuning trials"], "0 of 20 tuning trials"),
        ("full", "near", ["a: 14 of 15 replicas"], "a: 14 of 15 replicas"),
        ("full", "near", ["other: 0 of 15 replicas"], ""),
        ("full", "near", ["presets, not tuned: other, b"], "presets, not tuned"),
        ("full", "near", ["presets, not tuned: other, another"], ""),
        ("quick", "analogue", ["1 of 3 repeats"], "profile quick; analogue; 1 of 3 repeats"),
    ],
)
def test_what_keeps_a_verdict_out_of_the_tally(
    clear, make_claim, profile: str, fidelity: str, shortfall: list[str], outside: str
) -> None:
    found, _ = judge(make_claim(fidelity=fidelity), clear, profile, shortfall)
    assert (found["reason"], found["provisional"]) == (outside, bool(outside))
    assert found["fidelity"] == fidelity
    assert found["verdict"] == ("analogue" if fidelity == "analogue" else "confirmed")


@pytest.mark.parametrize("kind", ["difference", "count", "level"])
def test_an_analogue_has_numbers_and_never_a_word(make_evidence, make_claim, kind: str) -> None:
    unit = "task" if kind == "count" else "fold"
    given = make_evidence({"a": 4.0, "b": 0.5}, tasks=6, unit=unit)
    found, _ = judge(
        make_claim(kind, (0.8, 0.7, None), fidelity="analogue", unit=unit), given, "full"
    )
    assert found["verdict"] == "analogue" and found["provisional"]
    assert found["estimate"]["low"] <= found["estimate"]["value"]
    # Where nothing was measured, that is what it says.
    absent, _ = judge(make_claim(kind, (0.8, 0.7, None), a="c", fidelity="analogue"), given, "full")
    assert absent["verdict"] == "not run"


@pytest.mark.parametrize(
    ("best", "outside"),
    [
        ([1, 5, 8, 8, 8], ""),
        ([9, 5, 8, 8, 8], ""),  # a fifth itself is not more than a fifth
        ([9, 10, 8, 8, 8], "a cut short in 40% of its replicas"),
        ([1, 5, None, 8, 8], "best epochs of a not on record"),
        ([None] * 5, "best epochs of a not on record"),
    ],
)
def test_nets_that_were_cut_short_enter_no_tally(
    clear, make_claim, best: list[int | None], outside: str
) -> None:
    given = with_epochs(clear, "a", best)
    found, _ = judge(make_claim(), given, "full", deep=["a"])
    assert (found["reason"], found["provisional"]) == (outside, bool(outside))
    # Models that are no nets have no epochs, and nets of other claims do not matter.
    for others in ([], ["c"]):
        assert judge(make_claim(), given, "full", deep=others)[0]["provisional"] is False


def test_the_share_cut_short_by_hand() -> None:
    rows = [{"best_epoch": best, "epochs": 30} for best in (26, 27, 30, 1)]
    assert share_cut_short(rows) == 0.5
    assert share_cut_short([]) == 0.0


# --- whole cards ----------------------------------------------------------------------------------


@pytest.fixture
def judge_card(card_content, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Judge the card of some evidence under these claims."""

    def made(given: Evidence, known: Sequence[Claim], **fields: Any) -> dict[str, Any]:
        monkeypatch.setattr(judging, "for_study", lambda study: list(known))
        protocol = {"folds": given.folds, "repeats": 1}
        content = card_content(
            given.scores, kinds={"a": "deep"}, protocol=protocol,
            **{"profile": "full", "unit": given.unit, "reference": None} | fields,
        )  # fmt: skip
        return judged(content, given.predictions)

    return made


PREDICTED = {"file": "tiny_random.npz", "sha256": "c" * 64}


def test_a_card_is_judged_by_its_claims_and_compared_with_its_reference(
    make_evidence, make_claim, judge_card
) -> None:
    given = make_evidence({"a": 4.0, "b": 0.5, "c": 1.0}, metric=["roc_auc", "brier"])
    known = [
        make_claim(),
        make_claim(name="TINY-02", a="b", b="c"),
        make_claim("level", name="TINY-03"),
    ]
    content = judge_card(given, known, reference="b", shortfall=["c: 0 of 3 replicas"])
    parse_card(content | {"predictions": PREDICTED})
    by_claim = {row["claim"]: row for row in content["verdicts"]}
    assert by_claim["TINY-01"]["reason"] == ""
    assert by_claim["TINY-02"]["reason"] == "c: 0 of 3 replicas"
    assert by_claim["TINY-03"]["verdict"] == "not run"
    pairs = [(row["a"], row["b"], row["metric"]) for row in content["comparisons"]]
    assert pairs == [
        ("a", "b", "roc_auc"), ("b", "c", "roc_auc"),
        ("a", "b", "roc_auc"), ("c", "b", "roc_auc"), ("a", "b", "brier"), ("c", "b", "brier"),
    ]  # fmt: skip
    assert ["p_holm" in row for row in content["comparisons"]] == [False] * 2 + [True] * 4


def test_nets_are_known_from_the_card(clear, make_claim, judge_card) -> None:
    late = with_epochs(clear, "a", [10] * 5)
    assert judge_card(late, [make_claim()])["verdicts"][0]["reason"] == (
        "a cut short in 100% of its replicas"
    )


def test_judging_again_changes_nothing(clear, make_claim, judge_card, monkeypatch) -> None:
    content = judge_card(clear, [make_claim()], reference="b")
    before = copy.deepcopy(content)
    again = judged(content, clear.predictions)
    assert again == content == before
    stored = json.loads(json.dumps(content))
    assert judged(stored, clear.predictions) == stored


def test_the_claims_own_unit_is_read(make_evidence, make_claim, judge_card) -> None:
    """The study's is that of its comparisons with the reference."""
    given = make_evidence({"a": 4.0, "b": 0.5}, tasks=6)
    known = [make_claim(unit="task"), make_claim(name="TINY-02")]
    content = judge_card(given, known, reference="b")
    methods = [row["estimate"]["method"] for row in content["verdicts"]]
    assert "Wilcoxon" in methods[0] and "influence" in methods[1]
    assert "influence" in content["comparisons"][-1]["method"]


def test_a_card_says_under_what_it_was_judged(clear, make_claim, judge_card) -> None:
    claim = make_claim()
    under = judge_card(clear, [claim])["judged_under"]
    assert under["rule_sha256"] == rule_sha256()
    assert under == judging.provenance("tiny_random")
    changed = claim.model_copy(update={"statement": "Another."})
    other = judge_card(clear, [changed])["judged_under"]
    assert other["claims"].keys() == under["claims"].keys() == {"TINY-01"}
    assert other["claims"] != under["claims"]


def test_a_card_without_scores_has_no_findings(
    make_claim, card_content, clear, monkeypatch
) -> None:
    monkeypatch.setattr(judging, "for_study", lambda study: [make_claim()])
    content = card_content([], unit="fold", reference=None)
    found = judged(content, clear.predictions)
    assert [row["verdict"] for row in found["verdicts"]] == ["not run"]
    assert found["comparisons"] == []
