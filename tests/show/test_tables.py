"""Tables of scores, verdicts and learning curves, and how a table is emitted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from chemdl.evidence import claims
from chemdl.evidence import statistics as stats
from chemdl.show import tables

BIBLIOGRAPHY = Path(__file__).resolve().parents[2] / "references.bib"


def test_a_learning_curve_holds_all_and_the_numbered_conditions(card_of_errors) -> None:
    card = card_of_errors("tiny", {"ridge": [1.0, 1.1, 1.2], "trivial": [2.0, 2.1, 2.2]})
    few = [
        {**row, "condition": name, "n_train": size, "values": {"rmse": {"t": 3.0 + row["fold"]}}}
        for row in card["scores"]
        for name, size in (("20", 20), ("shuffled", 80))
    ]
    card["scores"] = card["scores"] + few
    card["scores"][0]["n_train"] = 83
    table = tables.learning_curve_table(card, "rmse")
    assert table["molecules"].tolist() == [20, 20, 80.5, 80.5]
    # Each size has the ratio of its own fits, here 20 to 20.
    expected = stats.corrected_interval([3.0, 4.0, 5.0], 1.0)
    assert table["mean"].tolist() == pytest.approx([4.0, 4.0, 1.1, 2.1])
    assert (table["low"][0], table["high"][0]) == pytest.approx((expected.low, expected.high))


def test_a_score_table_says_metric_and_unit(card_of_errors) -> None:
    card = card_of_errors("tiny", {"ridge": [1.0, 1.2]})
    assert tables.score_table(card).attrs["caption"].startswith("RMSE (log₁₀ mol/L), mean over")
    shown = tables.table_html(tables.score_table(card))
    assert "<caption>RMSE (log₁₀ mol/L), mean over replicas" in shown


def test_names_may_break_and_stay_themselves() -> None:
    table = pd.DataFrame({"model_name": ["random_forest", "a<b_c"], "value": [0.5, np.nan]})
    table.attrs["caption"] = "x_1 < x_2"
    shown = tables.table_html(table)
    assert "random_<wbr>forest" in shown and "model_<wbr>name" in shown
    assert "a&lt;b_<wbr>c" in shown
    assert "<caption>x_1 &lt; x_2</caption>" in shown
    assert "<td>0.500</td>" in shown and "<td>–</td>" in shown


def test_verdicts_stand_in_the_order_of_the_ledger() -> None:
    def card(study: str, names: list[str]) -> dict[str, Any]:
        verdicts = [
            {
                "claim": name,
                "verdict": "undecided",
                "reason": "",
                "provisional": False,
                "estimate": {"value": 0.1, "low": -0.1, "high": 0.3},
            }
            for name in names
        ]
        return {"study": study, "profile": "full", "verdicts": verdicts}

    read = [card("contacts", ["PROT-05"]), card("cb513", ["PROT-03", "PROT-01"])]
    assert tables.verdict_table(read)["claim"].tolist() == ["PROT-01", "PROT-03", "PROT-05"]


def test_of_a_difference_both_values_are_reported_or_none() -> None:
    shown = {name: tables.reported_text(claim) for name, claim in claims.load_claims().items()}
    assert shown["PROT-05"] == "30 against 20"
    assert shown["QM-01"] == "+6.39"
    assert shown["QM-03"] == ""  # one error, beside a difference of R²
    assert shown["QM-04"] == "0.93"


def test_cleaning_shows_what_it_always_counts_and_what_happened() -> None:
    class Cleaned:
        name = "a"
        card: ClassVar[dict[str, Any]] = {
            "cleaning": {
                "raw": 5,
                "unparsable": 0,
                "unlabelled": 0,
                "conflicting_labels": 2,
                "kept": 3,
                "log": ["not a count"],
            }
        }

        def __len__(self) -> int:
            return 2

    table = tables.cleaning_table([Cleaned()])
    assert list(table) == [
        "data set",
        "raw",
        "unparsable",
        "conflicting labels",
        "kept",
        "used here",
    ]
    assert table.iloc[0].tolist() == ["a", 5, 0, 2, 3, 2]


def test_a_source_is_called_as_its_first_author_is() -> None:
    authors = {
        key: author.split(" and ")[0].split(",")[0].strip("{}")
        for key, author in re.findall(
            r"@\w+\{(\w+),.*?author\s*=\s*\{(.+?)\},?\n", BIBLIOGRAPHY.read_text("utf-8"), re.S
        )
    }
    for claim in claims.load_claims().values():
        shown, author = tables.source_name(claim.source), authors[claim.source]
        assert shown.rsplit(" ", 1)[0] == author.removesuffix(" contributors")


def test_two_replicas_have_no_interval(card_of_errors) -> None:
    card = card_of_errors("esol_random", {"ridge": [1.0, 1.2], "trivial": [2.0, 2.1, 1.9]})
    table = tables.score_table(card).set_index("model")
    assert table.loc["ridge", ["low", "high"]].isna().all()
    assert table.loc["trivial", ["low", "high"]].notna().all()


def test_what_one_study_alone_lacks_is_named_with_it() -> None:
    read = [
        {"study": "a", "profile": "full", "shortfall": ["no tuning", "net: 2 of 5"]},
        {"study": "b", "profile": "full", "shortfall": ["no tuning"]},
    ]
    assert tables.shortfall(read) == "Profile full, done in part: no tuning, a: net: 2 of 5."
    assert tables.shortfall(read[:1]) == "Profile full, done in part: no tuning, net: 2 of 5."
