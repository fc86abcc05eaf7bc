"""Cards are checked when written and when read; a card and its predictions belong together."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chemdl.evidence import cards
from chemdl.evidence.cards import CardError, Predictions

ENVIRONMENT = {"python": "3.11", "torch": "2.13", "rdkit": "2026", "numpy": "2.4",
               "sklearn": "1.9", "device": "cpu", "threads": 1}  # fmt: skip


@pytest.fixture
def card() -> dict[str, Any]:
    """A card of one model, one replica and one verdict."""
    return {
        "schema_version": 1, "study": "tiny_random", "chapter": "tiny", "profile": "quick",
        "created": "2026-01-01T00:00:00+00:00", "command": "python -m chemdl run tiny",
        "dataset": {"name": "tiny", "content_sha256": "a" * 64, "n": 6, "cleaning": {"raw": 6}},
        "protocol": {"name": "random", "repeats": 1, "folds": 2, "seed": 0,
                     "index_sha256": "b" * 64, "duplicates": {"inchikey": 0}},
        "metrics": [{"name": "roc_auc", "unit": "", "higher_is_better": True}],
        "models": [{"name": "net", "kind": "deep", "hyperparameters": {}, "parameters": 12,
                    "tuning_trials": 0, "environment": ENVIRONMENT}],
        "scores": [{"model": "net", "condition": "all", "repeat": 0, "fold": 0, "seed": 3,
                    "n_train": 3, "n_test": 3, "value": 0.5,
                    "values": {"roc_auc": {"t": 0.5, "u": None}}, "fit_seconds": 0.1,
                    "predict_seconds": 0.1, "stack_size": 1}],
        "comparisons": [{"a": "net", "b": "net", "metric": "roc_auc", "condition": "all",
                         "difference": 0.0, "low": -0.1, "high": 0.1, "detectable": None,
                         "p": 0.5, "p_holm": 1.0, "method": "by hand"}],
        "verdicts": [{"claim": "TOX-01", "verdict": "undecided", "reason": "", "fidelity": "near",
                      "provisional": True, "estimate": None}],
        "shortfall": [], "undefined": [],
    }  # fmt: skip


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


def test_what_is_written_comes_back(tmp_path: Path, card, predictions) -> None:
    path = cards.write(card, predictions, tmp_path / "cards")
    assert path == tmp_path / "cards" / "tiny_random.json"
    found = cards.read(path)
    assert found.pop("predictions")["file"] == "tiny_random.npz"
    assert found == card
    stored = cards.read_predictions(path)
    np.testing.assert_array_equal(stored.targets, predictions.targets)
    assert stored.arrays.keys() == predictions.arrays.keys()
    for name, array in predictions.arrays.items():
        np.testing.assert_array_equal(stored.arrays[name], array)
    assert files(tmp_path) == ["cards/tiny_random.json", "cards/tiny_random.npz"]


Change = Callable[[dict[str, Any]], Any]
BROKEN: list[tuple[str, Change]] = [
    ("schema_version", lambda c: c.update(schema_version=2)),
    ("'study' is a required property", lambda c: c.pop("study")),
    ("'shortfall' is a required property", lambda c: c.pop("shortfall")),
    ("'speed' was unexpected", lambda c: c.update(speed=3)),
    ("profile: 'fast' is not one of", lambda c: c.update(profile="fast")),
    ("dataset/content_sha256", lambda c: c["dataset"].update(content_sha256="abc")),
    ("dataset/n", lambda c: c["dataset"].update(n=-1)),
    ("protocol/seed", lambda c: c["protocol"].update(seed="zero")),
    ("metrics/0/higher_is_better", lambda c: c["metrics"][0].update(higher_is_better=1)),
    ("models/0/kind: 'shallow' is not", lambda c: c["models"][0].update(kind="shallow")),
    ("models/0/environment: 'torch'", lambda c: c["models"][0].update(environment={"python": "3"})),
    ("scores/0/value: 'high'", lambda c: c["scores"][0].update(value="high")),
    ("scores/0/values/roc_auc/t", lambda c: c["scores"][0]["values"]["roc_auc"].update(t="x")),
    ("scores/0: 'fold' is a required", lambda c: c["scores"][0].pop("fold")),
    ("comparisons/0/low: None", lambda c: c["comparisons"][0].update(low=None)),
    ("verdicts/0/verdict: 'maybe'", lambda c: c["verdicts"][0].update(verdict="maybe")),
    ("verdicts/0/provisional", lambda c: c["verdicts"][0].update(provisional="yes")),
    ("models ['forest'] are not among", lambda c: c["scores"][0].update(model="forest")),
]


@pytest.mark.parametrize(("message", "change"), BROKEN, ids=[m for m, _ in BROKEN])
def test_a_broken_field_is_named_on_both_ways(
    tmp_path: Path, card, predictions, message: str, change: Change
) -> None:
    path = cards.write(card, predictions, tmp_path)
    written = json.loads(path.read_text())
    broken = deepcopy(card)
    change(broken)
    if broken.get("study"):
        with pytest.raises(CardError) as error:
            cards.write(broken, predictions, tmp_path / "other")
        assert message in str(error.value)
        assert files(tmp_path) == ["tiny_random.json", "tiny_random.npz"]
    path.write_text(json.dumps({**broken, "predictions": written["predictions"]}))
    with pytest.raises(CardError) as error:
        cards.read(path)
    assert message in str(error.value)
    assert "tiny_random.json" in str(error.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_refused_and_named(
    tmp_path: Path, card, predictions, value: float
) -> None:
    path = cards.write(card, predictions, tmp_path)
    card["scores"][0]["value"] = value
    changed = Predictions(predictions.targets, {"test/0/0": np.arange(3)})
    with pytest.raises(CardError, match=r"scores/0/value: (nan|inf) is not of type"):
        cards.write(card, changed, tmp_path)
    # The old pair is still whole.
    assert cards.read_predictions(path).arrays.keys() == predictions.arrays.keys()
    path.write_text(path.read_text().replace('"value": 0.5', f'"value": {json.dumps(value)}'))
    with pytest.raises(CardError):
        cards.read(path)


def test_no_json_and_no_card_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "half.json").write_text('{"study": "tiny')
    with pytest.raises(CardError, match=r"half\.json is not JSON .* run its chapter again"):
        cards.read(tmp_path / "half.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(CardError, match=r"list\.json: top level"):
        cards.read(tmp_path / "list.json")
    with pytest.raises(FileNotFoundError):
        cards.read(tmp_path / "absent.json")


def test_predictions_of_another_run_are_refused(tmp_path: Path, card, predictions) -> None:
    path = cards.write(card, predictions, tmp_path)
    other = Predictions(predictions.targets, {**predictions.arrays, "net/all/0/0": np.ones((3, 2))})
    cards.write({**card, "study": "other"}, other, tmp_path)
    (tmp_path / "other.npz").replace(tmp_path / "tiny_random.npz")
    with pytest.raises(CardError, match=r"tiny_random\.npz has sha256 .* run the chapter again"):
        cards.read_predictions(path)


@pytest.mark.parametrize("victim", [".npz", ".json"])
def test_a_killed_write_leaves_the_old_pair(
    tmp_path: Path, card, predictions, monkeypatch: pytest.MonkeyPatch, victim: str
) -> None:
    path = cards.write(card, predictions, tmp_path)
    real = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if Path(target).suffix == victim:
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        cards.write({**card, "command": "another"}, predictions, tmp_path)
    monkeypatch.undo()
    assert files(tmp_path) == ["tiny_random.json", "tiny_random.npz"]
    assert cards.read(path)["command"] == card["command"]


# --- predictions ----------------------------------------------------------------------------------


def test_pooled_folds_lie_in_the_sets_order(predictions) -> None:
    pooled = predictions.pooled("net")
    np.testing.assert_array_equal(pooled[[0, 2, 4]], predictions.arrays["net/all/0/0"])
    np.testing.assert_array_equal(pooled[[1, 3, 5]], predictions.arrays["net/all/0/1"])


def test_rows_in_no_test_side_are_nan(predictions) -> None:
    pooled = predictions.pooled("netted")
    assert np.isnan(pooled[[1, 3, 5]]).all()
    assert np.isfinite(pooled[[0, 2, 4]]).all()


def test_an_unknown_model_lists_near_misses(predictions) -> None:
    with pytest.raises(KeyError, match=r"unknown model with predictions 'nett'. Did you mean 'net"):
        predictions.pooled("nett")
    with pytest.raises(KeyError):
        predictions.pooled("net", condition="shuffled")
    with pytest.raises(KeyError):
        predictions.pooled("net", repeat=1)


# --- recorded cards -------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    monkeypatch.setattr(cards, "data_dir", lambda: folder)
    return folder


def run_of(tmp_path: Path, card, predictions, **changes: Any) -> Path:
    output = tmp_path / "output"
    cards.write({**card, **changes}, predictions, output / "cards")
    return output


def test_recording_copies_cards_and_predictions(tmp_path: Path, data, card, predictions) -> None:
    output = run_of(tmp_path, card, predictions)
    run_of(tmp_path, card, predictions, study="other_study")
    copied = cards.record(output, "quick")
    assert copied == [
        data / "results" / "quick" / f"{n}.json" for n in ("other_study", "tiny_random")
    ]
    for path in copied:
        assert path.read_bytes() == (output / "cards" / path.name).read_bytes()
        cards.read_predictions(path)
    assert cards.record(output, "quick") == copied


def test_only_cards_of_the_profile_are_recorded(tmp_path: Path, data, card, predictions) -> None:
    output = run_of(tmp_path, card, predictions)
    with pytest.raises(CardError, match=r"tiny_random\.json is of profile quick, not full"):
        cards.record(output, "full")
    with pytest.raises(CardError, match="unknown profile 'ful'"):
        cards.record(output, "ful")
    assert not data.exists()


def test_one_invalid_card_keeps_all_from_being_recorded(
    tmp_path: Path, data, card, predictions
) -> None:
    output = run_of(tmp_path, card, predictions)
    run_of(tmp_path, card, predictions, study="other_study")
    (output / "cards" / "tiny_random.npz").write_bytes(b"other predictions")
    with pytest.raises(CardError, match="sha256"):
        cards.record(output, "quick")
    (output / "cards" / "tiny_random.json").write_text("{}")
    with pytest.raises(CardError, match="required"):
        cards.record(output, "quick")
    assert not data.exists()


def test_without_cards_there_is_nothing_to_record(tmp_path: Path, data) -> None:
    with pytest.raises(FileNotFoundError, match="run a chapter first"):
        cards.record(tmp_path, "quick")


def test_leftovers_of_a_killed_run_are_no_cards(tmp_path: Path, data, card, predictions) -> None:
    output = run_of(tmp_path, card, predictions)
    (output / "cards" / ".tmp12345.json").write_text('{"study": "half')
    assert [p.name for p in cards.record(output, "quick")] == ["tiny_random.json"]
    (data / "results" / "quick" / ".tmp12345.json").write_text('{"study": "half')
    assert cards.all_recorded().keys() == {"tiny_random"}


def test_the_best_recorded_profile_counts(tmp_path: Path, data, card, predictions) -> None:
    assert cards.recorded("tiny_random") is None
    assert cards.all_recorded() == {}
    for profile in ("smoke", "full", "quick"):
        cards.write({**card, "profile": profile}, predictions, data / "results" / profile)
    assert cards.recorded("tiny_random") == data / "results" / "full" / "tiny_random.json"
    assert cards.recorded("tiny_random", "quick") == data / "results" / "quick" / "tiny_random.json"
    assert cards.all_recorded() == {"tiny_random": cards.recorded("tiny_random")}
    assert cards.recorded("tiny") is None


def test_the_largest_is_the_recorded_or_the_runs_own(
    tmp_path: Path, data, card, predictions
) -> None:
    output = run_of(tmp_path, card, predictions, command="own run") / "cards"
    with pytest.raises(FileNotFoundError, match="study absent neither ran nor was recorded"):
        cards.largest("absent", output)
    assert cards.largest("tiny_random", output)[0]["command"] == "own run"
    with pytest.raises(FileNotFoundError):
        cards.largest("tiny_random")
    cards.write({**card, "command": "recorded"}, predictions, data / "results" / "quick")
    # Of one profile the run's own counts; a larger one counts before it.
    assert cards.largest("tiny_random", output)[0]["command"] == "own run"
    assert cards.largest("tiny_random")[0]["command"] == "recorded"
    full = {**card, "profile": "full", "command": "recorded"}
    cards.write(full, predictions, data / "results" / "full")
    found, stored = cards.largest("tiny_random", output)
    assert (found["profile"], found["command"]) == ("full", "recorded")
    assert stored.arrays.keys() == predictions.arrays.keys()
