"""Claims and results are joined once: what is recorded counts, a run stands beside it."""

from __future__ import annotations

import pytest

from chemdl.evidence import ledger
from chemdl.evidence import statistics as stats
from chemdl.evidence.card import VerdictRow
from chemdl.evidence.claims import Claim, Names, Reported
from chemdl.evidence.judging import record_sha256
from chemdl.evidence.verdicts import rule_sha256


def by_id(rows) -> dict[str, ledger.Row]:
    return {row.claim.id: row for row in rows}


def test_without_results_a_claim_is_not_run_or_not_testable(ledger_claims, nothing_recorded):
    rows = ledger.ledger_rows(claims=ledger_claims)
    assert [row.verdict for row in rows] == ["not run"] * 3 + ["not testable"]
    assert {row.source_was_right for row in rows} == {""}
    assert not any(row.counts for row in rows)


def test_the_recorded_finding_counts_and_the_own_one_stands_beside(
    ledger_claims, recorded, own_run
):
    rows = by_id(ledger.ledger_rows(own_run / "cards", ledger_claims))
    first = rows[next(iter(ledger_claims))]
    assert (first.recorded.profile, first.own.profile) == ("full", "quick")
    assert first.finding is first.recorded
    assert first.verdict == "confirmed" and first.source_was_right == "yes"
    assert (first.recorded.value, first.recorded.low, first.recorded.high) == (0.04, 0.03, 0.05)
    assert (first.recorded.study, first.recorded.fidelity) == ("tiny_random", "near")
    alone = by_id(ledger.ledger_rows(claims=ledger_claims))[first.claim.id]
    assert alone.own is None


def test_a_quick_run_counts_where_nothing_is_recorded(ledger_claims, own_run, nothing_recorded):
    rows = ledger.ledger_rows(own_run / "cards", ledger_claims)
    assert rows[0].verdict == "undecided" and rows[0].source_was_right == ""
    # A provisional finding is in no tally.
    assert not rows[0].counts and ledger.tally(rows) == {}


def test_a_tally_stands_in_the_order_of_the_rule(ledger_claims, recorded):
    """And holds nothing but verdicts: what was not run is none."""
    rows = ledger.ledger_rows(claims=ledger_claims)
    assert list(ledger.tally(rows).items()) == [("confirmed", 1), ("reversed", 1)]
    assert [row.source_was_right for row in rows] == ["yes", "no", "", ""]


# --- contrasts and winners ------------------------------------------------------------------------


@pytest.fixture
def found(small_result, make_claim):
    """A maker of ledger rows: of each claim its sides and verdict, in one result of a and b."""

    def made(*said, kinds=None, **fields):
        known, rows = {}, []
        for number, (a, b, word, value) in enumerate(said):
            claim = make_claim(name=f"TINY-{number}", a=a, b=b)
            known[claim.id] = claim
            rows.append(verdict_row(claim.id, word, value))
        scores = [{"model": m, "fold": 0, "values": {"roc_auc": {"t": 0.5}}} for m in "abcd"]
        kinds = {"a": "deep", "b": "classical", "c": "deep", "d": "trivial"} | (kinds or {})
        result = small_result(scores, kinds, profile="full", verdicts=rows, **fields)
        by_claim = ledger.findings([result], known)
        return [ledger.Row(claim, by_claim[name], None) for name, claim in known.items()]

    return made


def verdict_row(claim, word, value, half=0.01, provisional=False, **fields):
    estimate = {"value": value, "low": value - half, "high": value + half, "method": "t"}
    return {
        "claim": claim, "verdict": word, "reason": "", "fidelity": "near",
        "provisional": provisional, "estimate": estimate, **fields,
    }  # fmt: skip


def test_one_contrast_is_counted_once(found):
    """Two claims on one pair of models, one way round and the other."""
    rows = found(
        ("a", "b", "confirmed", 0.04), ("a", "b", "confirmed", 0.04), ("b", "a", "reversed", -0.04),
        ("c", "b", "confirmed", 0.03),
    )  # fmt: skip
    assert len({row.claim.contrast for row in rows}) == 2
    assert ledger.tally(rows) == {"confirmed": 2, "reversed": 1}
    assert ledger.winners(rows) == {"deep": 2}


@pytest.mark.parametrize(
    ("a", "b", "word", "value", "who"),
    [
        ("a", "b", "confirmed", 0.04, "deep"),
        ("a", "b", "smaller", 0.04, "deep"),
        ("a", "b", "reversed", -0.04, "classical"),
        ("b", "a", "confirmed", 0.04, "classical"),
        ("b", "a", "reversed", -0.04, "deep"),
        ("a", "d", "reversed", -0.04, "classical"),
        ("a", "b", "equivalent", 0.005, "neither"),
        ("a", "b", "undecided", 0.005, ""),
        ("a", "c", "confirmed", 0.04, "between nets"),
        ("b", "b", "confirmed", 0.04, "between classical models"),
    ],
)
def test_who_won(found, a, b, word, value, who):
    (row,) = found((a, b, word, value))
    assert row.finding.won == who
    assert ledger.winners([row]) == {who or "open": 1}


def test_nobody_wins_a_level_or_what_was_not_measured(small_result, make_claim):
    level, difference = make_claim("level", name="L"), make_claim(name="D")
    none = verdict_row("D", "partial", 0.0) | {"estimate": None}
    scores = [{"model": m, "fold": 0, "values": {"roc_auc": {"t": 0.5}}} for m in "ab"]
    result = small_result(scores, verdicts=[verdict_row("L", "reproduced", 0.8), none])
    known = ledger.findings([result], {"L": level, "D": difference})
    assert (known["L"].won, known["D"].won) == ("", "")


def test_a_claim_that_names_other_models_than_when_it_was_judged_is_shown(small_result, make_claim):
    claim = make_claim(a="renamed")
    found = ledger.findings(
        [small_result([], verdicts=[verdict_row(claim.id, "confirmed", 0.1)])], {claim.id: claim}
    )
    assert (found[claim.id].won, found[claim.id].verdict) == ("", "confirmed")


def test_more_than_half_of_the_tasks_win_a_count(small_result, make_claim):
    claim = make_claim("count", (11.0, 4.0, None), unit="task")
    scores = [{"model": m, "fold": 0, "values": {"roc_auc": {"t": 0.5}}} for m in "ab"]
    for value, who in ((0.8, "deep"), (0.5, ""), (0.2, "classical")):
        result = small_result(
            scores, {"a": "deep"}, verdicts=[verdict_row(claim.id, "confirmed", value)]
        )
        assert ledger.findings([result], {claim.id: claim})[claim.id].won == who


def test_what_holds_elsewhere_stands_beside(small_result, ledger_claims):
    name = next(iter(ledger_claims))
    methods = {"value": 0.04, "low": -0.1, "high": 0.2, "method": "t"}
    said = verdict_row(name, "undecided", 0.04, methods=methods, holds_elsewhere=False)
    told = ledger.findings([small_result([], verdicts=[said])], ledger_claims)[name]
    assert (told.low_elsewhere, told.high_elsewhere, told.holds_elsewhere) == (-0.1, 0.2, False)


@pytest.mark.parametrize("what", ["nothing", "claim", "rule", "unknown"])
def test_what_changed_after_the_study_ran_is_seen(small_result, ledger_claims, what):
    claim = next(iter(ledger_claims.values()))
    then = claim.model_copy(update={"statement": "Another."}) if what == "claim" else claim
    under = {
        "rule": 2, "fixed": "2026-11-28", "claims": {claim.id: record_sha256(then)},
        "rule_sha256": "0" * 64 if what == "rule" else rule_sha256(),
    }  # fmt: skip
    fields = {} if what == "unknown" else {"ran_under": under}
    result = small_result([], verdicts=[verdict_row(claim.id, "confirmed", 0.1)], **fields)
    found = ledger.findings([result], ledger_claims)[claim.id].changed
    assert found is {"nothing": False, "unknown": None}.get(what, True)


# --- numbers of the comparisons -------------------------------------------------------------------


def test_p_values_are_adjusted_over_all_rows(ledger_claims, recorded):
    rows = ledger.ledger_rows(claims=ledger_claims)
    expected = stats.benjamini_hochberg([0.01, 0.04])
    assert [row.adjusted_p for row in rows[:2]] == pytest.approx(list(expected))
    assert rows[2].adjusted_p is None


def test_a_comparison_counts_in_either_direction(small_result, ledger_claims):
    claim = next(iter(ledger_claims.values()))
    test = claim.test
    compared = {
        "a": test.b, "b": test.a, "metric": test.metric, "condition": test.condition,
        "difference": -0.04, "low": -0.05, "high": -0.03, "detectable": None, "method": "t",
        "p": 0.2,
    }  # fmt: skip
    other = {**compared, "metric": "brier", "p": 0.9}
    verdict = {
        "claim": claim.id, "verdict": "confirmed", "reason": "", "fidelity": "near",
        "provisional": False, "estimate": None,
    }  # fmt: skip
    result = small_result([], comparisons=[other, compared], verdicts=[verdict])
    found = ledger.findings([result], ledger_claims)[claim.id]
    assert (found.p, found.value) == (0.2, None)


def test_what_all_models_lack_is_told_with_the_finding(small_result, ledger_claims):
    name = next(iter(ledger_claims))
    said = VerdictRow(
        claim=name, verdict="confirmed", reason="", fidelity="near", provisional=False,
        estimate=None,
    )  # fmt: skip
    result = small_result(
        [],
        verdicts=[said.model_dump()],
        shortfall=["1 of 5 repeats", "0 of 20 tuning trials", "net: 2 of 5 replicas"],
    )
    found = ledger.findings([result], ledger_claims)
    assert found[name].shortfall == "1 of 5 repeats, 0 of 20 tuning trials"


def test_claims_that_are_not_on_record_are_left_out(small_result, ledger_claims):
    gone = VerdictRow(
        claim="GONE-01", verdict="confirmed", reason="", fidelity="", provisional=True,
        estimate=None,
    )  # fmt: skip
    assert ledger.findings([small_result([], verdicts=[gone.model_dump()])], ledger_claims) == {}


# --- words and numbers ----------------------------------------------------------------------------


def test_numbers_are_written_with_a_true_minus_sign():
    assert ledger.number(-0.0213, signed=True) == "−0.021"
    assert ledger.number(12.345) == "12.3"
    assert ledger.number(11.0) == "11"
    assert ledger.number(0.0) == "0.000"


def reporting(claim: Claim, **values: float) -> list[str]:
    changes = {"reported": Reported(**values), "names": Names(a="net", b="forest")}
    return ledger.reported_lines(claim.model_copy(update=changes))


def test_what_was_reported_is_a_line_a_number(ledger_claims):
    claim = next(iter(ledger_claims.values()))
    assert reporting(claim, a=0.85, b=0.8, difference=0.05) == ["0.850 net", "0.800 forest"]
    assert reporting(claim, a=0.85) == ["0.850 net"]
    assert reporting(claim, a=0.85, difference=0.05) == ["0.850 net", "difference +0.050"]
    assert reporting(claim, difference=0.05) == ["difference +0.050"]
    assert reporting(claim) == []


@pytest.mark.parametrize(
    ("kind", "text"),
    [("difference", "+0.040 [+0.030, +0.050]"), ("level", "0.040 [0.030, 0.050]"),
     ("count", "0.040 [0.030, 0.050]")],
)  # fmt: skip
def test_what_was_found_stands_with_its_interval(kind, text):
    found = ledger.Finding("s", "full", "confirmed", "", "near", False, 0.04, 0.03, 0.05)
    assert ledger.reproduced_text(found, kind) == text
    assert ledger.reproduced_text(ledger.Finding("s", "full", "not run", "", "", True), kind) == "—"
