"""A card keeps its form: what breaks it is refused, and named with its place and value."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from pydantic import ValidationError

from chemdl.evidence.card import CardError, parse_card

Content = dict[str, Any]


@pytest.fixture
def content(card_content: Callable[..., Content]) -> Content:
    """The content of a card of one model, one replica and one verdict."""
    estimate = {"difference": 0.0, "low": -0.1, "high": 0.1, "detectable": None}
    compared = {"a": "net", "b": "net", "metric": "roc_auc", "condition": "all"}
    return card_content(
        [{"model": "net", "fold": 0, "values": {"roc_auc": {"t": 0.5, "u": None}}}],
        kinds={"net": "deep"},
        comparisons=[{**compared, **estimate, "p": 0.5, "p_holm": 1.0, "method": "by hand"}],
        verdicts=[
            {
                "claim": "TOX-01",
                "verdict": "undecided",
                "reason": "",
                "fidelity": "near",
                "provisional": True,
                "estimate": None,
            }
        ],
        predictions={"file": "tiny_random.npz", "sha256": "c" * 64},
    )


def test_a_card_holds_what_its_file_holds(content: Content) -> None:
    card = parse_card(content)
    assert (card.study, card.dataset.n, card.models[0].environment.torch) == (
        "tiny_random", 6, "2.13",
    )  # fmt: skip
    assert card.scores[0].values == {"roc_auc": {"t": 0.5, "u": None}}
    assert card.protocol.groups is None
    assert card.model_dump(exclude_none=True)["verdicts"][0]["claim"] == "TOX-01"


def test_a_card_cannot_be_changed(content: Content) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        parse_card(content).study = "another"


def test_cards_of_the_first_edition_said_other(content: Content) -> None:
    content["models"][0]["kind"] = "other"
    assert parse_card(content).models[0].kind == "classical"


def test_a_protocol_may_name_what_each_fold_leaves_out(content: Content) -> None:
    content["protocol"]["groups"] = ["AmpC", "HIV-1 protease"]
    assert parse_card(content).protocol.groups == ["AmpC", "HIV-1 protease"]


def test_what_is_optional_in_a_comparison_may_be_absent(content: Content) -> None:
    for name in ("p", "p_holm"):
        del content["comparisons"][0][name]
    assert parse_card(content).comparisons[0].p is None


def test_cards_of_the_first_rule_said_stand_in(content: Content) -> None:
    content |= {"schema_version": 1}
    content["verdicts"][0]["fidelity"] = "stand-in"
    card = parse_card(content)
    assert card.verdicts[0].fidelity == "analogue"
    assert (card.unit, card.reference, card.ran_under, card.judged_under) == (
        "fold", None, None, None,
    )  # fmt: skip
    assert card.verdicts[0].methods is None and card.scores[0].best_epoch is None


UNDER = {"rule": 2, "fixed": "2026-11-28", "rule_sha256": "d" * 64, "claims": {"A": "e" * 64}}


def test_a_card_of_the_second_rule_says_more(content: Content) -> None:
    estimate = {"value": 0.0, "low": -0.1, "high": 0.1, "method": "by hand"}
    content |= {"schema_version": 2, "ran_under": UNDER, "judged_under": UNDER, "unit": "target"}
    content |= {"reference": "net"}
    content["scores"][0] |= {"best_epoch": 7, "epochs": 30}
    content["comparisons"][0] |= {"methods": estimate}
    content["verdicts"][0] |= {"methods": estimate, "holds_elsewhere": False}
    card = parse_card(content)
    assert card.model_dump()["judged_under"] == UNDER
    assert (card.scores[0].best_epoch, card.scores[0].epochs) == (7, 30)
    assert card.verdicts[0].methods == card.comparisons[0].methods
    assert card.verdicts[0].holds_elsewhere is False


Change = Callable[[Content], Any]
BROKEN: list[tuple[str, Change]] = [
    ("schema_version: Input should be 1 or 2, not '3'", lambda c: c.update(schema_version=3)),
    ("ran_under/rule_sha256: String should match",
     lambda c: c.update(ran_under=UNDER | {"rule_sha256": "d"})),
    ("judged_under/claims/A: String should match",
     lambda c: c.update(judged_under=UNDER | {"claims": {"A": "e"}})),
    ("scores/0/best_epoch: Input should be a valid integer, not '7.5'",
     lambda c: c["scores"][0].update(best_epoch=7.5)),
    ("verdicts/0/methods/low: Field required",
     lambda c: c["verdicts"][0].update(methods={"value": 0.1, "high": 1.0, "method": "t"})),
    ("verdicts/0/fidelity: Input should be 'exact', 'near', 'analogue' or ''",
     lambda c: c["verdicts"][0].update(fidelity="alike")),
    ("study: Field required", lambda c: c.pop("study")),
    ("study: String should have at least 1", lambda c: c.update(study="")),
    ("shortfall: Field required", lambda c: c.pop("shortfall")),
    ("speed: Extra inputs are not permitted, not '3'", lambda c: c.update(speed=3)),
    ("profile: Input should be 'smoke', 'quick' or 'full', not 'fast'",
     lambda c: c.update(profile="fast")),
    ("dataset/content_sha256: String should match", lambda c: c["dataset"].update(
        content_sha256="abc")),
    ("dataset/n: Input should be greater than or equal to 0, not '-1'",
     lambda c: c["dataset"].update(n=-1)),
    ("dataset/n: Input should be a valid integer, not '6.0'", lambda c: c["dataset"].update(n=6.0)),
    ("dataset/n: Input should be a valid integer, not 'True'",
     lambda c: c["dataset"].update(n=True)),
    ("protocol/seed: Input should be a valid integer, not 'zero'",
     lambda c: c["protocol"].update(seed="zero")),
    ("metrics: List should have at least 1 item", lambda c: c.update(metrics=[])),
    ("metrics/0/higher_is_better: Input should be a valid boolean, not '1'",
     lambda c: c["metrics"][0].update(higher_is_better=1)),
    ("models/0/kind: Input should be 'deep', 'classical' or 'trivial', not 'shallow'",
     lambda c: c["models"][0].update(kind="shallow")),
    ("models/0/environment/torch: Field required",
     lambda c: c["models"][0]["environment"].pop("torch")),
    ("scores/0/value: Input should be a valid number, not 'high'",
     lambda c: c["scores"][0].update(value="high")),
    ("scores/0/value: Input should be a finite number, not 'nan'",
     lambda c: c["scores"][0].update(value=float("nan"))),
    ("scores/0/value: Input should be a finite number, not 'inf'",
     lambda c: c["scores"][0].update(value=float("inf"))),
    ("scores/0/values/roc_auc/t: Input should be a valid number, not 'x'",
     lambda c: c["scores"][0]["values"]["roc_auc"].update(t="x")),
    ("scores/0/values/roc_auc/t: Input should be a finite number",
     lambda c: c["scores"][0]["values"]["roc_auc"].update(t=float("nan"))),
    ("scores/0/fold: Field required", lambda c: c["scores"][0].pop("fold")),
    ("comparisons/0/low: Input should be a valid number, not 'None'",
     lambda c: c["comparisons"][0].update(low=None)),
    ("verdicts/0/verdict: Input should be 'confirmed'",
     lambda c: c["verdicts"][0].update(verdict="maybe")),
    ("verdicts/0/provisional: Input should be a valid boolean, not 'yes'",
     lambda c: c["verdicts"][0].update(provisional="yes")),
    ("predictions/sha256: String should match", lambda c: c["predictions"].update(sha256="c")),
    ("models ['forest'] are not among its models", lambda c: c["scores"][0].update(model="forest")),
]  # fmt: skip


@pytest.mark.parametrize(("message", "change"), BROKEN, ids=[m for m, _ in BROKEN])
def test_a_broken_field_is_named_with_its_place_and_value(
    content: Content, message: str, change: Change
) -> None:
    broken = deepcopy(content)
    change(broken)
    with pytest.raises(CardError) as error:
        parse_card(broken, "tiny_random.json")
    assert str(error.value).startswith("tiny_random.json: ")
    assert message in str(error.value)
    parse_card(content)


def test_what_is_no_record_at_all_is_refused() -> None:
    with pytest.raises(CardError, match=r"list\.json: top level"):
        parse_card([], "list.json")


def test_every_recorded_card_is_read() -> None:
    """Recorded evidence outlives each change of the form."""
    from chemdl.evidence.result import find_results

    recorded = find_results()
    assert len(recorded) > 30
    assert {model.kind for r in recorded.values() for model in r.card.models} == {
        "deep", "classical", "trivial",
    }  # fmt: skip
