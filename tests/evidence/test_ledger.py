"""Claims and results are joined once: what is recorded counts, a run stands beside it."""

from __future__ import annotations

import pytest

from chemdl.evidence import ledger
from chemdl.evidence import statistics as stats
from chemdl.evidence.card import VerdictRow
from chemdl.evidence.claims import Claim, Names, Reported


def by_id(rows) -> dict[str, ledger.Row]:
    return {row.claim.id: row for row in rows}


def test_without_results_a_claim_is_not_run_or_not_testable(ledger_claims, nothing_recorded):
    verdicts = [row.verdict for row in ledger.ledger_rows(claims=ledger_claims)]
    assert verdicts == ["not run"] * 3 + ["not testable"]


def test_the_recorded_finding_counts_and_the_own_one_stands_beside(
    ledger_claims, recorded, own_run
):
    rows = by_id(ledger.ledger_rows(own_run / "cards", ledger_claims))
    first = rows[next(iter(ledger_claims))]
    assert (first.recorded.profile, first.own.profile) == ("full", "quick")
    assert first.finding is first.recorded
    assert first.verdict == "confirmed" and first.agrees
    assert (first.recorded.value, first.recorded.low, first.recorded.high) == (0.04, 0.03, 0.05)
    assert (first.recorded.study, first.recorded.fidelity) == ("tiny_random", "near")
    alone = by_id(ledger.ledger_rows(claims=ledger_claims))[first.claim.id]
    assert alone.own is None


def test_a_quick_run_counts_where_nothing_is_recorded(ledger_claims, own_run, nothing_recorded):
    rows = ledger.ledger_rows(own_run / "cards", ledger_claims)
    assert rows[0].verdict == "undecided" and not rows[0].agrees
    # Provisional findings are in no tally; what has no study is neither confirmed nor refuted.
    assert ledger.tally(rows) == {"not run": 2, "not testable": 1}


def test_a_tally_stands_in_the_order_of_the_rule(ledger_claims, recorded):
    counts = ledger.tally(ledger.ledger_rows(claims=ledger_claims))
    assert list(counts.items()) == [
        ("confirmed", 1), ("reversed", 1), ("not run", 1), ("not testable", 1),
    ]  # fmt: skip


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
