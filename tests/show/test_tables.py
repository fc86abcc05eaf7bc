"""Tables of scores, verdicts and learning curves, and how a table is emitted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import chemdl
from chemdl.data import Dataset
from chemdl.evidence import claims
from chemdl.evidence import statistics as stats
from chemdl.evidence.result import Predictions, Result
from chemdl.learn.models import NETS
from chemdl.registry import UnknownNameError
from chemdl.show import tables

BIBLIOGRAPHY = Path(__file__).resolve().parents[2] / "references.bib"


def test_a_learning_curve_holds_all_and_the_numbered_conditions(small_result) -> None:
    rows = [
        {"model": model, "fold": fold, "values": {"rmse": {"t": error}}}
        for model, errors in {"ridge": [1.0, 1.1, 1.2], "trivial": [2.0, 2.1, 2.2]}.items()
        for fold, error in enumerate(errors)
    ]
    few = [
        {**row, "condition": name, "n_train": size, "values": {"rmse": {"t": 3.0 + row["fold"]}}}
        for row in rows
        for name, size in (("20", 20), ("shuffled", 80))
    ]
    # The mean over the condition's replicas, each counted once.
    rows[0]["n_train"] = 86
    table = tables.learning_curve_table(small_result([*rows, *few]), "rmse")
    assert table["molecules"].tolist() == [20, 20, 81, 81]
    # Each size has the ratio of its own fits, here 20 to 20.
    expected = stats.corrected_interval([3.0, 4.0, 5.0], 1.0)
    assert table["mean"].tolist() == pytest.approx([4.0, 4.0, 1.1, 2.1])
    assert (table["low"][0], table["high"][0]) == pytest.approx((expected.low, expected.high))


def test_a_score_table_says_metric_and_unit(result_of_errors) -> None:
    table = tables.score_table(result_of_errors("tiny", {"ridge": [1.0, 1.2]}))
    assert table.attrs["caption"].startswith("RMSE (log₁₀ mol/L), mean over")
    shown = tables.table_html(table)
    assert "<caption>RMSE (log₁₀ mol/L), mean over replicas" in shown


def test_names_may_break_and_stay_themselves() -> None:
    table = pd.DataFrame({"model_name": ["random_forest", "a<b_c"], "value": [0.5, np.nan]})
    table.attrs["caption"] = "x_1 < x_2"
    shown = tables.table_html(table)
    assert "random_<wbr>forest" in shown and "model_<wbr>name" in shown
    assert "a&lt;b_<wbr>c" in shown
    assert "<caption>x_1 &lt; x_2</caption>" in shown
    assert "<td>0.500</td>" in shown and "<td>–</td>" in shown


def judged(small_result, study: str, verdicts: dict[str, dict[str, Any]], **fields: Any) -> Result:
    """A result that says so of these claims: undecided, where nothing else is said."""
    estimate = {"value": 0.1, "low": -0.1, "high": 0.3, "method": "by hand"}
    default = {
        "verdict": "undecided", "reason": "", "fidelity": "near", "provisional": False,
        "estimate": estimate,
    }  # fmt: skip
    rows = [{"claim": name, **default, **said} for name, said in verdicts.items()]
    return small_result([], study=study, verdicts=rows, **{"profile": "full", **fields})


def test_verdicts_stand_in_the_order_of_the_ledger(small_result) -> None:
    results = [
        judged(small_result, "contacts", {"PROT-05": {}}),
        judged(small_result, "cb513", {"PROT-03": {}, "PROT-01": {}}),
    ]
    assert tables.verdict_table(results)["claim"].tolist() == ["PROT-01", "PROT-03", "PROT-05"]


def test_verdicts_stand_beside_what_was_reported(small_result) -> None:
    found = {"value": 0.02, "low": 0.01, "high": 0.03, "method": "by hand"}
    result = judged(
        small_result,
        "tox21_random",
        {
            "TOX-01": {"verdict": "confirmed", "provisional": True, "estimate": found},
            "TOX-03": {"verdict": "not run", "estimate": None, "reason": "no replicas of x"},
        },
    )
    table = tables.verdict_table([result])
    assert list(table) == list(tables.VERDICT_COLUMNS)
    assert table["claim"].tolist() == ["TOX-01", "TOX-03"]
    assert table["verdict"].tolist() == ["confirmed *", "not run"]
    assert table["here"].tolist() == ["+0.020 [+0.010, +0.030]", "no replicas of x"]
    assert table["reported"].tolist()[1] == "10 of 12"
    assert set(table["study"]) == {"tox21_random"} and set(table["profile"]) == {"full"}
    assert tables.verdict_table([result], chapter="toxicity").equals(table)
    assert list(tables.verdict_table([result], chapter="nowhere")) == list(table)
    assert tables.verdict_table([result], chapter="nowhere").empty


def test_the_recorded_verdicts_of_a_chapter_are_those_that_were_run(
    small_result, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = [
        judged(small_result, "tox21_random", {"TOX-01": {}, "TOX-03": {"verdict": "not run"}}),
        judged(small_result, "cb513", {"PROT-03": {}}),
    ]
    monkeypatch.setattr(tables, "find_results", lambda: dict(enumerate(results)))
    assert tables.recorded_verdicts("toxicity")["claim"].tolist() == ["TOX-01"]


def test_of_a_difference_both_values_are_reported_or_none() -> None:
    shown = {name: tables.reported_text(claim) for name, claim in claims.load_claims().items()}
    assert shown["PROT-05"] == "30 against 20"
    assert shown["QM-01"] == "+6.39"
    assert shown["QM-03"] == ""  # one error, beside a difference of R²
    assert shown["QM-04"] == "0.93"


def test_cleaning_shows_what_it_always_counts_and_what_happened() -> None:
    counted = {"raw": 5, "unparsable": 0, "unlabelled": 0, "conflicting_labels": 2, "kept": 3}
    card = {"cleaning": {**counted, "log": ["not a count"]}}
    inputs = np.array(["C", "CC"], dtype=object)
    data = Dataset("a", inputs, np.zeros((2, 1)), ("t",), "regression", "", card)
    table = tables.cleaning_table([data])
    assert list(table) == [
        "data set", "raw", "unparsable", "conflicting labels", "kept", "used here",
    ]  # fmt: skip
    assert table.iloc[0].tolist() == ["a", 5, 0, 2, 3, 2]


def test_models_are_described_by_the_registry() -> None:
    data = chemdl.load("bace").sample(20)
    table = tables.model_table(["multitask", "random_forest"], data).set_index("model")
    assert list(table) == ["family", "reads", "method", "source"]
    assert table.loc["multitask", "reads"] == NETS["multitask"].reads
    assert table.loc["random_forest", "family"] == "forest"
    assert tables.model_table(["vina"], "complex").loc[0, "reads"] == "docked complex"
    with pytest.raises(UnknownNameError, match=r"unknown model 'multitusk'.*'multitask'"):
        tables.model_table(["multitusk"], data)


def test_a_run_says_its_versions_and_that_it_has_no_gpu() -> None:
    settings = chemdl.read_settings({"profile": "smoke", "seed": 3, "device": "cpu"})
    shown = tables.environment_table(settings).set_index("this run")["value"]
    assert (shown["profile"], shown["seed"]) == ("smoke", "3")
    assert shown["numpy"] == np.__version__
    assert shown["device"].endswith("no GPU: profile full takes hours here")


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


def test_two_replicas_have_no_interval(result_of_errors) -> None:
    result = result_of_errors("esol_random", {"ridge": [1.0, 1.2], "trivial": [2.0, 2.1, 1.9]})
    table = tables.score_table(result).set_index("model")
    assert table.loc["ridge", ["low", "high"]].isna().all()
    assert table.loc["trivial", ["low", "high"]].notna().all()


def test_left_out_targets_have_an_interval_of_students_own(small_result) -> None:
    """They are data sets of their own, and share no train rows that would need a correction."""
    values = [0.6, 0.7, 0.9, 0.8]
    rows = [
        {"model": "net", "fold": fold, "repeat": repeat, "values": {"roc_auc": {"t": value}}}
        for repeat in range(2)
        for fold, value in enumerate(values)
    ]
    result = small_result(rows, protocol={"groups": list("abcd")})
    row = tables.score_table(result).iloc[0]
    half = 3.18244631 * np.std(values, ddof=1) / 2  # t(.975; 3)
    assert row["replicas"] == 4
    assert (row["low"], row["high"]) == pytest.approx((0.75 - half, 0.75 + half))


def test_the_shortfall_names_profile_and_what_is_left_out(small_result) -> None:
    whole = small_result([])
    cut = small_result([], profile="full", shortfall=["1 of 5 repeats"])
    assert tables.shortfall([whole]) == "Profile quick."
    assert tables.shortfall([whole, cut, cut]) == (
        "Profile quick and full, done in part: 1 of 5 repeats."
    )


def test_what_one_study_alone_lacks_is_named_with_it(small_result) -> None:
    results = [
        small_result([], study="a", profile="full", shortfall=["no tuning", "net: 2 of 5"]),
        small_result([], study="b", profile="full", shortfall=["no tuning"]),
    ]
    assert tables.shortfall(results) == "Profile full, done in part: no tuning, a: net: 2 of 5."
    assert tables.shortfall(results[:1]) == "Profile full, done in part: no tuning, net: 2 of 5."


# --- scores, gains and misses ---------------------------------------------------------------------


def test_the_score_table_by_hand(result) -> None:
    table = tables.score_table(result)
    assert list(table["model"]) == ["net", "forest", "mean"]
    assert list(table["kind"]) == ["deep", "classical", "trivial"]
    # Fold means of the net: .85, .7 (u is undefined), .75.
    folds = np.array([0.85, 0.7, 0.75])
    expected = stats.corrected_interval(folds, 0.25)
    row = table.iloc[0]
    assert row["mean"] == pytest.approx(folds.mean())
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))
    assert row["replicas"] == 3
    assert row["seconds per fit"] == pytest.approx(3.0)


def test_the_best_stands_first_for_errors_too(three_models) -> None:
    assert list(tables.score_table(three_models("rmse"))["model"]) == ["mean", "forest", "net"]


def test_one_replica_has_no_interval(three_models) -> None:
    table = tables.score_table(three_models(folds=1))
    assert table["low"].isna().all()
    assert table["mean"].iloc[0] == pytest.approx(0.85)


def test_other_conditions_are_left_out(small_result) -> None:
    rows = [
        {"model": "net", "fold": 0, "condition": condition, "values": {"roc_auc": {"t": value}}}
        for condition, value in (("all", 0.9), ("few", 0.1))
    ]
    result = small_result(rows)
    assert tables.score_table(result)["mean"].tolist() == [0.9]
    assert tables.score_table(result, condition="few")["mean"].tolist() == [0.1]


def test_gains_by_hand(result) -> None:
    table = tables.task_gain_table(result, "net", "forest").set_index("task")
    # t: .2, -.1, .2; u: .1 and -.1, the second fold is undefined.
    assert table.loc["t", "gain"] == pytest.approx(0.1)
    assert table.loc["u", "gain"] == pytest.approx(0.0)
    expected = stats.corrected_interval([0.2, -0.1, 0.2], 0.25)
    assert (table.loc["t", "low"], table.loc["t", "high"]) == pytest.approx(
        (expected.low, expected.high)
    )


def test_the_gain_of_a_lower_error_is_positive(three_models) -> None:
    table = tables.task_gain_table(three_models("rmse"), "net", "forest").set_index("task")
    assert table.loc["t", "gain"] == pytest.approx(-0.1)


def test_no_gain_without_common_replicas(result) -> None:
    table = tables.task_gain_table(result, "net", "absent")
    assert isinstance(table, pd.DataFrame)
    assert table.empty


@pytest.mark.parametrize("units", [None, np.arange(80) // 7], ids=["rows", "units"])
def test_a_gain_on_one_test_set_may_be_bootstrapped(small_result, units) -> None:
    """Over the units that were measured for the task, all seeds together."""
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, (80, 2)).astype(np.float32)
    targets[::7, 1] = np.nan
    test = np.arange(20, 80)
    arrays = {f"test/{r}/0": test for r in range(3)}
    for model, strength in (("net", 2.0), ("forest", 0.5)):
        for repeat in range(3):
            noise = rng.normal(size=(60, 2))
            arrays[f"{model}/all/{repeat}/0"] = strength * np.nan_to_num(targets[test]) + noise
    rows = [
        {"model": m, "fold": 0, "repeat": r, "values": {"roc_auc": {"t": 0.8, "u": 0.7}}}
        for m in ("net", "forest")
        for r in range(3)
    ]
    stored = Predictions(targets, arrays, units)
    result = small_result(rows, predictions=stored)
    known = np.flatnonzero(np.isfinite(targets[test, 1]))
    ours, theirs = (
        np.stack([arrays[f"{m}/all/{r}/0"][known, 1] for r in range(3)]) for m in ("net", "forest")
    )
    drawn = None if units is None else units[test[known]]
    expected = stats.paired_bootstrap(targets[test, 1][known], ours, theirs, "roc_auc", drawn)
    table = tables.task_gain_table(result, "net", "forest", bootstrap=True).set_index("task")
    assert (table.loc["u", "low"], table.loc["u", "high"]) == (expected.low, expected.high)


def test_task_means_by_hand(result) -> None:
    assert tables.task_means(result, "net", "roc_auc") == pytest.approx({"t": 0.8, "u": 0.75})


def test_missed_actives_by_hand(small_result) -> None:
    targets = np.array([[1.0], [1], [0], [1], [np.nan]])
    arrays = {
        "test/0/0": np.arange(5),
        "net/all/0/0": np.array([[0.9], [0.2], [0.1], [0.4], [0.0]]),
        "forest/all/0/0": np.array([[0.5], [0.6], [0.7], [0.8], [0.9]]),
    }
    result = small_result([], predictions=Predictions(targets, arrays))
    table = tables.missed(result, "net", "forest", task=0, count=2)
    assert table.to_numpy().tolist() == [[1, 0.2, 0.6], [3, 0.4, 0.8]]


# --- units ----------------------------------------------------------------------------------------


def test_a_metric_has_the_unit_of_the_data(three_models) -> None:
    result = three_models("rmse")
    assert tables.axis_label("roc_auc") == "ROC-AUC"
    assert tables.axis_label("balanced_accuracy") == "balanced accuracy"
    assert tables.axis_label("rmse") == "RMSE (unit of the targets)"
    assert tables.axis_label("rmse", result) == "RMSE (K)"
    # A metric that the card does not list has the unit of its data all the same.
    assert tables.axis_label("mae", result) == "MAE (K)"


def test_a_result_without_errors_has_the_unit_of_its_dataset(small_result) -> None:
    scored = [{"model": "m", "fold": 0, "values": {"r2": {"t": 0.5}}}]
    known = small_result(scored, dataset={"name": "esol"})
    assert tables.target_unit(known) == "log10 mol/L"
    assert tables.with_unit("logS", tables.target_unit(known)) == "logS (log₁₀ mol/L)"
    # Cards of an older run held the word for it.
    scored = [{"model": "m", "fold": 0, "values": {"rmse": {"t": 0.5}}}]
    older = small_result(scored, units={"rmse": "target"}, dataset={"name": "esol"})
    assert tables.axis_label("rmse", older) == "RMSE (log₁₀ mol/L)"


def test_a_set_of_ones_own_may_have_no_unit(small_result) -> None:
    scored = [{"model": "m", "fold": 0, "values": {"rmse": {"t": 0.5}}}]
    result = small_result(scored, dataset={"name": "mine"})
    assert tables.target_unit(result) == ""
    assert tables.score_table(result).attrs["caption"].startswith("RMSE, mean over replicas")
