"""Sentences with a result in them: who is ahead, whether that is decided, and what is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from IPython.display import Markdown

from chemdl.evidence.result import Predictions, Result
from chemdl.registry import UnknownNameError
from chemdl.show import finding
from chemdl.show.findings import sentence

Made = Callable[..., Result]
N = 400


@pytest.fixture(scope="module")
def regression(small_result: Made) -> Made:
    """A maker of results: each model's typical error, and how many folds of which repeats ran."""

    def made(
        errors: Mapping[str, float],
        folds: int = 5,
        ran: Mapping[str, int] | None = None,
        seeds: bool = False,
        **fields: Any,
    ) -> Result:
        rng = np.random.default_rng(0)
        truth = rng.normal(0.0, 3.0, (N, 1))
        parts = [np.arange(N)] * folds if seeds else np.array_split(np.arange(N), folds)
        arrays: dict[str, np.ndarray] = {}
        rows = []
        for fold, test in enumerate(parts):
            place = f"{fold}/0" if seeds else f"0/{fold}"
            arrays[f"test/{place}"] = test
            for model, error in errors.items():
                if fold >= (ran or {}).get(model, folds):
                    continue
                predicted = truth[test] + rng.normal(0.0, error, (len(test), 1))
                arrays[f"{model}/all/{place}"] = predicted
                rmse = float(np.sqrt(np.mean((predicted - truth[test]) ** 2)))
                repeat, number = map(int, place.split("/"))
                rows.append(
                    {"model": model, "repeat": repeat, "fold": number, "n_test": len(test),
                     "n_train": N - len(test) or N, "values": {"rmse": {"t": rmse}}}
                )  # fmt: skip
        design = {"repeats": 5, "folds": 1} if seeds else {"repeats": 3, "folds": folds}
        fields = {"protocol": design, "unit": "molecule" if seeds else "fold"} | fields
        fields.setdefault("units", {"rmse": "log10 mol/L"})
        return small_result(rows, predictions=Predictions(truth, arrays), **fields)

    return made


def test_a_difference_is_said_with_its_interval_from_either_side(regression: Made) -> None:
    result = regression({"ridge": 1.0, "knn": 2.0})
    for pair in (("ridge", "knn"), ("knn", "ridge")):
        text = sentence(result, *pair)
        assert text.startswith("**tiny_random**: `ridge` is better than `knn`: RMSE ")
        assert "log₁₀ mol/L, a difference of " in text and "95 % interval" in text
        assert "The sign holds for another sample of this size too (" in text
        assert text.endswith("*Of profile quick: one of three repeats.*")
    assert "difference of −" not in text


def test_an_interval_that_reaches_beyond_the_margin_is_undecided(regression: Made) -> None:
    result = regression({"ridge": 1.0, "knn": 1.03})
    text = sentence(result, "ridge", "knn")
    assert "`ridge` against `knn` is undecided: RMSE " in text
    assert "a difference of −" in text and "plus favours `ridge`" in text and "margin of" in text


def test_models_within_the_margin_are_level(small_result: Made) -> None:
    rng = np.random.default_rng(1)
    truth = (rng.random((2000, 1)) < 0.5).astype(float)
    score = truth + rng.normal(0, 1, truth.shape)
    arrays, rows = {}, []
    for fold, test in enumerate(np.array_split(np.arange(2000), 5)):
        arrays[f"test/0/{fold}"] = test
        for model, noise in (("ridge", 0.0), ("knn", 0.01)):
            arrays[f"{model}/all/0/{fold}"] = score[test] + rng.normal(0, noise, (len(test), 1))
            value = {"roc_auc": {"t": 0.76}}
            rows.append({"model": model, "fold": fold, "n_test": 400, "values": value})
    result = small_result(
        rows, predictions=Predictions(truth, arrays), protocol={"repeats": 1, "folds": 5}
    )
    text = sentence(result, "ridge", "knn")
    assert "`ridge` and `knn` are level: ROC-AUC 0.760 against 0.760" in text
    assert "within the margin of 0.010. *Profile quick.*" in text


def test_less_than_a_whole_repeat_gives_no_interval(regression: Made) -> None:
    result = regression({"ridge": 1.0, "knn": 2.0}, ran={"knn": 2})
    text = sentence(result, "knn", "ridge")
    assert "no interval yet, so nothing is decided: two of the five folds of a repeat" in text
    assert "So far RMSE " in text and "95 %" not in text
    assert text.endswith("*Of profile quick: not one whole repeat yet.*")
    assert "on two of the five folds of a repeat." in sentence(result, "knn")


def test_fewer_than_three_seeds_give_no_interval(regression: Made) -> None:
    one = regression({"ridge": 1.0, "knn": 2.0}, folds=1, seeds=True)
    text = sentence(one, "ridge", "knn")
    assert "one seed has run for both, and it takes three" in text and "95 %" not in text
    assert text.endswith("*Of profile quick: one of five seeds.*")
    design = {"repeats": 1, "folds": 1}
    never = regression({"ridge": 1.0, "knn": 2.0}, folds=1, seeds=True, protocol=design)
    text = sentence(never, "ridge", "knn")
    assert "no interval, so nothing is decided: the design has one seed, and it takes" in text
    three = regression({"ridge": 1.0, "knn": 2.0}, folds=3, seeds=True)
    text = sentence(three, "ridge", "knn")
    assert "`ridge` is better than `knn`" in text and "another sample" not in text


def test_one_model_has_its_place_and_presets_are_named(regression: Made) -> None:
    line = "presets, not tuned in 20 trials: knn"
    result = regression({"ridge": 1.0, "knn": 2.0}, profile="full", shortfall=[line])
    assert "the best mean of the 2 models with a whole repeat" in sentence(result, "ridge")
    assert "number 2 by the mean of the 2 models" in sentence(result, "knn")
    assert sentence(result, "knn").endswith(
        "*Of profile full: one of three repeats; presets, not tuned.*"
    )
    assert sentence(result, "ridge", "knn").endswith("one of three repeats; `knn` not tuned.*")


def test_several_conditions_are_said_in_one_line(regression: Made) -> None:
    result = regression({"ridge": 1.0, "knn": 2.0})
    text = sentence(result, "knn", "ridge", condition=("100", "all"))
    head = "**tiny_random**: `knn` against `ridge`, RMSE (log₁₀ mol/L), with `100`: not run yet; "
    assert text.startswith(f"{head}`all`: 1.786 against 1.033 (`ridge` is better). *Of profile")
    close = regression({"ridge": 1.0, "knn": 1.03})
    assert "(undecided)." in sentence(close, "knn", "ridge", condition=("all",))
    unfinished = regression({"ridge": 1.0, "knn": 2.0}, ran={"knn": 2})
    text = sentence(unfinished, "knn", "ridge", condition=("all",))
    assert "(no interval). Without an interval nothing is decided. *Of profile quick" in text
    with pytest.raises(ValueError, match="two models, not 'knn' alone"):
        sentence(result, "knn", condition=("100", "all"))


def test_it_is_counted_on_how_many_tasks_a_model_is_ahead(regression: Made) -> None:
    result = regression({"ridge": 1.0, "knn": 2.0})
    text = sentence(result, "knn", "ridge", each="sets")
    assert "One by one, `knn` has the better mean on 0 of 1 sets; the interval of a single " in text
    assert "one is above zero on 0, below it on 1." in text
    assert "One by one" not in sentence(result, "knn", "ridge")
    unfinished = regression({"ridge": 1.0, "knn": 2.0}, ran={"knn": 2})
    assert "One by one" not in sentence(unfinished, "knn", "ridge", each="sets")


def test_targets_left_out_are_counted_and_have_one_interval(regression: Made) -> None:
    result = regression({"ridge": 1.0, "knn": 2.0}, folds=6, unit="target")
    text = sentence(result, "ridge", "knn", each="targets")
    assert "One by one, `ridge` has the better mean on 6 of 6 targets." in text
    assert "95 % interval" in text and "another sample" not in text


def test_over_several_sets_the_difference_is_a_median(small_result: Made) -> None:
    errors = {"ridge": [1.0, 1.0, 1.0, 1.0, 1.0, 1.0], "knn": [1.1, 1.2, 1.3, 1.4, 1.5, 3.0]}
    rows = [
        {"model": model, "fold": 0, "values": {"rmse": {str(t): v for t, v in enumerate(values)}}}
        for model, values in errors.items()
    ]
    design = {"repeats": 1, "folds": 1}
    result = small_result(rows, units={"rmse": "K"}, unit="task", protocol=design)
    text = sentence(result, "ridge", "knn", each="sets")
    assert "RMSE 1 against 1.583 K, a median difference of 0.3" in text
    assert "on 6 of 6 sets. " in text  # one seed gives no interval of a single set


def test_a_mean_over_different_units_is_refused(regression: Made) -> None:
    errors = {"ridge": 1.0, "knn": 2.0}
    with pytest.raises(ValueError, match=r"tiny_random: RMSE has several units \(eV, K\)"):
        sentence(regression(errors, units={"rmse": "eV, K"}), "ridge", "knn")
    own = regression(errors, units={"rmse": "the assay's own"})
    assert "in the assay's own unit, a difference" in sentence(own, "ridge", "knn")


def test_a_metric_that_is_undefined_for_a_model_has_no_place(regression: Made) -> None:
    result = regression({"ridge": 1.0, "knn": 2.0, "trivial": 3.0})
    for row in result.card.scores:
        if row.model == "trivial":
            row.values["rmse"]["t"] = None
    assert "the best mean of the 2 models" in sentence(result, "ridge")


def test_a_model_that_did_not_run_is_told_from_a_misspelt_one(regression: Made) -> None:
    result = regression({"ridge": 1.0})
    assert sentence(result, "dmpnn", "ridge") == "**tiny_random**: `dmpnn` has not run yet."
    with pytest.raises(UnknownNameError, match="dmpnn"):
        sentence(result, "dmpn", "ridge")
    with pytest.raises(UnknownNameError, match="rmse"):
        sentence(result, "ridge", metric="rsme")


def test_a_finding_is_shown_as_markdown(
    data_folder: Path, regression: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Markdown] = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    finding("nowhere_random", "ridge", "knn")
    finding(regression({"ridge": 1.0, "knn": 2.0}), "ridge", "knn")
    texts = [one.data for one in shown if isinstance(one, Markdown)]
    assert texts[0] == "**nowhere_random**: no result is on record yet."
    assert texts[1].startswith("**tiny_random**: `ridge` is better")
