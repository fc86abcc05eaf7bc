"""A result is written and read whole; its tables say what its card says; the largest is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chemdl.evidence import result as results
from chemdl.evidence.card import CardError, parse_card
from chemdl.evidence.result import (
    SCORE_COLUMNS,
    Predictions,
    Result,
    find_result,
    find_results,
    read_result,
    write_result,
)
from chemdl.registry import UnknownNameError

Content = dict[str, Any]
# By model and (repeat, fold): the values of two tasks.
VALUES = {
    "net": {(0, 0): (0.9, 0.8), (0, 1): (0.7, None), (1, 0): (0.8, 0.6), (1, 1): (None, None)},
    "forest": {(0, 0): (0.7, 0.7), (0, 1): (0.8, 0.6)},
}
KINDS = {"net": "deep"}


def rows() -> list[dict[str, Any]]:
    return [
        {
            "model": model,
            "repeat": repeat,
            "fold": fold,
            "values": {"roc_auc": {"t": t, "u": u}, "brier": {"t": 0.1, "u": 0.2}},
        }
        for model, by_place in VALUES.items()
        for (repeat, fold), (t, u) in by_place.items()
    ]


@pytest.fixture
def content(card_content: Callable[..., Content]) -> Content:
    return card_content(rows(), KINDS)


@pytest.fixture
def predictions() -> Predictions:
    targets = np.array([[1, 0], [0, np.nan], [1, 1], [0, 0], [1, 1], [0, 1]], dtype=np.float32)
    p = np.linspace(0.1, 0.6, 6, dtype=np.float32).reshape(3, 2)
    arrays = {
        "test/0/0": np.array([0, 2, 4], dtype=np.int32),
        "test/0/1": np.array([1, 3, 5], dtype=np.int32),
        "net/all/0/0": p,
        "net/all/0/1": p + 0.3,
        "netted/all/0/0": p,
    }
    return Predictions(targets, arrays)


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


# --- writing and reading --------------------------------------------------------------------------


def test_what_is_written_comes_back(tmp_path: Path, content, predictions) -> None:
    written = write_result(content, predictions, tmp_path / "cards")
    assert written.path == tmp_path / "cards" / "tiny_random.json"
    found = read_result(written.path)
    assert found.card == written.card
    file = json.loads(written.path.read_text())
    assert file.pop("predictions")["file"] == "tiny_random.npz"
    assert file == content
    np.testing.assert_array_equal(found.predictions.targets, predictions.targets)
    assert found.predictions.units is None
    assert found.predictions.arrays.keys() == predictions.arrays.keys()
    for name, array in predictions.arrays.items():
        np.testing.assert_array_equal(found.predictions.arrays[name], array)
    assert files(tmp_path) == ["cards/tiny_random.json", "cards/tiny_random.npz"]


def test_rows_of_several_sites_keep_their_units(tmp_path: Path, content, predictions) -> None:
    units = np.array([0, 0, 1, 1, 1, 2], dtype=np.int32)
    chains = Predictions(predictions.targets, predictions.arrays, units)
    found = read_result(write_result(content, chains, tmp_path).path).predictions
    np.testing.assert_array_equal(found.units, units)
    assert found.arrays.keys() == predictions.arrays.keys()


def test_what_breaks_the_form_is_not_written(tmp_path: Path, content, predictions) -> None:
    written = write_result(content, predictions, tmp_path)
    changed = Predictions(predictions.targets, {"test/0/0": np.arange(3)})
    for broken in ({**content, "profile": "fast"}, {**content, "speed": 3}):
        with pytest.raises(CardError):
            write_result({**broken, "study": "other"}, changed, tmp_path)
        with pytest.raises(CardError):
            write_result(broken, changed, tmp_path)
    content["scores"][0]["value"] = float("nan")
    with pytest.raises(CardError, match="scores/0/value"):
        write_result(content, changed, tmp_path)
    # The old pair is still whole, and no other file lies beside it.
    assert files(tmp_path) == ["tiny_random.json", "tiny_random.npz"]
    assert read_result(written.path).predictions.arrays.keys() == predictions.arrays.keys()


def test_a_broken_file_is_named(tmp_path: Path, content, predictions) -> None:
    path = write_result(content, predictions, tmp_path).path
    path.write_text(path.read_text().replace('"value": 0.7', '"value": NaN'))
    with pytest.raises(CardError, match=r"^tiny_random\.json: scores/1/value: .* 'nan'"):
        read_result(path)


def test_no_json_and_no_card_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "half.json").write_text('{"study": "tiny')
    with pytest.raises(CardError, match=r"half\.json is not JSON .* run its chapter again"):
        read_result(tmp_path / "half.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(CardError, match=r"list\.json: top level"):
        read_result(tmp_path / "list.json")
    with pytest.raises(FileNotFoundError):
        read_result(tmp_path / "absent.json")


def test_predictions_of_another_run_are_refused(tmp_path: Path, content, predictions) -> None:
    path = write_result(content, predictions, tmp_path).path
    other = Predictions(predictions.targets, {**predictions.arrays, "net/all/0/0": np.ones((3, 2))})
    write_result({**content, "study": "other"}, other, tmp_path)
    (tmp_path / "other.npz").replace(tmp_path / "tiny_random.npz")
    with pytest.raises(CardError, match=r"tiny_random\.npz has sha256 .* run the chapter again"):
        _ = read_result(path).predictions


@pytest.mark.parametrize("victim", [".npz", ".json"])
def test_a_killed_write_leaves_the_old_pair(
    tmp_path: Path, content, predictions, monkeypatch: pytest.MonkeyPatch, victim: str
) -> None:
    path = write_result(content, predictions, tmp_path).path
    real = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if Path(target).suffix == victim:
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_result({**content, "command": "another"}, predictions, tmp_path)
    monkeypatch.undo()
    assert files(tmp_path) == ["tiny_random.json", "tiny_random.npz"]
    assert read_result(path).card.command == content["command"]


# --- what a result says ---------------------------------------------------------------------------


@pytest.fixture
def result(small_result: Callable[..., Result]) -> Result:
    return small_result(rows(), KINDS, shortfall=["1 of 5 repeats"])


def test_a_result_names_its_parts(result: Result) -> None:
    assert (result.study, result.chapter, result.profile) == ("tiny_random", "tiny", "quick")
    assert result.models == ("net", "forest")
    assert (result.metric, result.metrics) == ("roc_auc", ("roc_auc", "brier"))
    assert result.tasks == ("t", "u")
    assert (result.kind("net"), result.kind("forest")) == ("deep", "classical")
    assert result.model("net").environment.torch == "2.13"
    assert (result.comparisons, result.verdicts, result.shortfall) == ([], [], ["1 of 5 repeats"])
    assert not result.leaves_targets_out


def test_an_unknown_model_lists_near_misses(result: Result) -> None:
    for ask in (result.model, result.kind, result.first_of):
        with pytest.raises(
            UnknownNameError,
            match=r"unknown model of tiny_random 'fores'. Did you mean 'forest'\? Known: fore",
        ):
            ask("fores")


def test_the_first_model_that_there_is(result: Result) -> None:
    assert result.first_of("absent", "forest", "net") == "forest"


def test_scores_are_one_tidy_table(result: Result) -> None:
    table = result.scores
    assert tuple(table.columns) == SCORE_COLUMNS
    assert len(table) == 6 * 2 * 2
    found = {
        (r.model, r.repeat, r.fold, r.task): r.value
        for r in table[table["metric"] == "roc_auc"].itertuples()
    }
    for model, by_place in VALUES.items():
        for place, values in by_place.items():
            for task, value in zip("tu", values, strict=True):
                expected = np.nan if value is None else value
                np.testing.assert_equal(found[(model, *place, task)], expected)
    assert table["value"].dtype == float
    assert set(table["n_test"]) == {20}


def test_a_result_without_scores_has_an_empty_table(small_result) -> None:
    table = small_result([]).scores
    assert tuple(table.columns) == SCORE_COLUMNS and len(table) == 0


def test_a_models_scores_by_replica_and_task(result: Result) -> None:
    table = result.by_task("net")
    assert table.index.tolist() == list(VALUES["net"])
    assert list(table.columns) == ["t", "u"]
    np.testing.assert_equal(table["u"].to_numpy(), [0.8, np.nan, 0.6, np.nan])
    assert result.by_task("net", "brier")["t"].tolist() == [0.1] * 4
    assert result.by_task("net", condition="few").empty
    assert result.by_task("absent").empty


def test_replica_means_leave_out_what_is_nowhere_defined(result: Result) -> None:
    np.testing.assert_allclose(result.replica_means("net"), [0.85, 0.7, 0.7])
    np.testing.assert_allclose(result.replica_means("forest"), [0.7, 0.7])
    assert len(result.replica_means("absent")) == 0
    assert result.replica_means("net").dtype == float


def test_where_folds_leave_targets_out_each_target_has_one_mean(small_result) -> None:
    left_out = small_result(rows(), protocol={"groups": ["AmpC", "HIV-1"]})
    assert left_out.leaves_targets_out
    # Fold 0 of two repeats; fold 1 is defined in the first alone.
    np.testing.assert_allclose(left_out.replica_means("net"), [(0.85 + 0.7) / 2, 0.7])


def test_conditions_are_kept_apart(small_result) -> None:
    few = [{**row, "condition": "20", "values": {"roc_auc": {"t": 0.5}}} for row in rows()]
    both = small_result([*({**r, "values": {"roc_auc": {"t": 0.9}}} for r in rows()), *few])
    assert both.replica_means("forest").tolist() == [0.9, 0.9]
    assert both.replica_means("forest", condition="20").tolist() == [0.5, 0.5]
    assert both.replicas("forest", "20").keys() == {(0, 0), (0, 1)}


# --- predictions ----------------------------------------------------------------------------------


def test_pooled_folds_lie_in_the_sets_order(predictions) -> None:
    pooled = predictions.pooled("net")
    np.testing.assert_array_equal(pooled[[0, 2, 4]], predictions.arrays["net/all/0/0"])
    np.testing.assert_array_equal(pooled[[1, 3, 5]], predictions.arrays["net/all/0/1"])


def test_rows_in_no_test_side_are_nan(predictions) -> None:
    pooled = predictions.pooled("netted")
    assert np.isnan(pooled[[1, 3, 5]]).all()
    assert np.isfinite(pooled[[0, 2, 4]]).all()


def test_predictions_of_an_unknown_model_list_near_misses(predictions) -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown model with predictions 'nett'. Did you mean 'net"
    ):
        predictions.pooled("nett")
    with pytest.raises(UnknownNameError):
        predictions.pooled("net", condition="shuffled")
    with pytest.raises(UnknownNameError):
        predictions.pooled("net", repeat=1)


# --- recorded results -----------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    monkeypatch.setattr(results, "data_dir", lambda: folder)
    return folder


def test_a_card_of_the_first_edition_is_read(tmp_path: Path, data, content, predictions) -> None:
    path = write_result(content, predictions, data / "results" / "quick").path
    path.write_text(path.read_text().replace('"classical"', '"other"'))
    assert read_result(path).kind("forest") == "classical"


def test_leftovers_of_a_killed_run_are_no_cards(tmp_path: Path, data, content, predictions) -> None:
    cards = write_result(content, predictions, tmp_path / "cards").path.parent
    recorded = write_result(content, predictions, data / "results" / "quick").path.parent
    for folder in (cards, recorded):
        (folder / ".tmp12345.json").write_text('{"study": "half')
    assert find_results().keys() == {"tiny_random"}
    assert find_results(folder=cards).keys() == {"tiny_random"}


def recorded(data: Path, content, predictions, profile: str, **changes: Any) -> Path:
    changed = {**content, "profile": profile, **changes}
    return write_result(changed, predictions, data / "results" / profile).path


def test_the_largest_recorded_profile_counts(tmp_path: Path, data, content, predictions) -> None:
    assert find_results() == {}
    paths = {p: recorded(data, content, predictions, p) for p in ("smoke", "full", "quick")}
    recorded(data, content, predictions, "quick", study="another")
    assert {name: r.path for name, r in find_results().items()} == {
        "another": data / "results" / "quick" / "another.json",
        "tiny_random": paths["full"],
    }
    assert find_result("tiny_random").profile == "full"
    with pytest.raises(FileNotFoundError):
        find_result("tiny")


def test_studies_stand_in_the_order_asked_for(data, content, predictions) -> None:
    for study in ("a", "b", "c"):
        recorded(data, content, predictions, "quick", study=study)
    assert list(find_results()) == ["a", "b", "c"]
    assert list(find_results(["c", "absent", "a"])) == ["c", "a"]


def run_of(tmp_path: Path, content, predictions, **changes: Any) -> Path:
    output = tmp_path / "output"
    write_result({**content, **changes}, predictions, output / "cards")
    return output


def test_the_largest_is_the_recorded_or_the_runs_own(
    tmp_path: Path, data, content, predictions
) -> None:
    output = run_of(tmp_path, content, predictions, command="own run") / "cards"
    with pytest.raises(FileNotFoundError, match="study absent neither ran nor was recorded"):
        find_result("absent", output)
    assert find_result("tiny_random", output).card.command == "own run"
    with pytest.raises(FileNotFoundError):
        find_result("tiny_random")
    recorded(data, content, predictions, "quick", command="recorded")
    # Of one profile the run's own counts; a larger one counts before it.
    assert find_result("tiny_random", output).card.command == "own run"
    assert find_result("tiny_random").card.command == "recorded"
    recorded(data, content, predictions, "full", command="recorded")
    found = find_result("tiny_random", output)
    assert (found.profile, found.card.command) == ("full", "recorded")
    assert found.predictions.arrays.keys() == predictions.arrays.keys()


def test_a_card_that_was_written_anew_is_read_anew(data, content, predictions) -> None:
    recorded(data, content, predictions, "quick")
    assert find_result("tiny_random").card.command == content["command"]
    path = recorded(data, content, predictions, "quick", command="another")
    assert find_result("tiny_random").card.command == "another"
    # The card alone, mended by hand: what was read before is not kept either.
    path.write_text(path.read_text().replace('"another"', '"by hand"'))
    assert find_result("tiny_random").card.command == "by hand"
    assert parse_card(json.loads(path.read_text())).command == "by hand"


def test_a_result_is_shown_in_one_line_without_a_path(
    small_result: Callable[..., Result],
) -> None:
    rows = [{"model": "a", "fold": f, "values": {"roc_auc": {"t": 0.8}}} for f in (0, 1)]
    result = small_result(rows)
    assert repr(result) == "<Result of tiny_random, profile quick: 2 replicas of 1 models>"
    assert str(result.path.parent) not in repr(result)
