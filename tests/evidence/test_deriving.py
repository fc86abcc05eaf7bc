"""A card follows from the store alone: the same as of the run, and the same again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chemdl.evidence import assembly, judging, splits
from chemdl.evidence import study as studies
from chemdl.evidence.deriving import derive_card, stored_predictions, write_cards
from chemdl.evidence.result import CardError, Result, read_result
from chemdl.evidence.store import ResultStore, StoreError
from chemdl.evidence.study import Study
from chemdl.files import data_dir
from chemdl.molecules import baselines

TRIALS = 3
# Each takes less than a second: folds, scaffolds, clusters left out, seeds of a fixed test set, a
# learning curve, tasks of one study, targets left out.
QUICK = (
    "freesolv_scaffold", "expt_gap_clusters", "hopv_transfer", "glass_published", "oqmd_sizes",
    "melting_point_random", "pdbbind_2007", "moleculeace", "dude_stored",
)  # fmt: skip


def fill(
    store: ResultStore, study: Study, models: Sequence[str] = (), edition: str = "design"
) -> None:
    """Put a study and every repeat of these models (all when left out) into a store."""
    protocol = study.full_protocol
    store.put_study(
        study.name, assembly.description(study, protocol), assembly.rows(study, protocol)
    )
    for model in models or study.models:
        alone = study.alone(model, study.settings.output / "replicas")
        alone.tune()
        for condition in study.conditions:
            for repeat in range(protocol.repeats):
                replicas = {j: alone.replica(j) for j in alone.jobs(condition.name, repeat)}
                store.put(assembly.repeat(alone, replicas, edition))


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path / "results" / "replicas")


@pytest.fixture
def study(data, tmp_path, monkeypatch, make_study, make_claim, oxygen, net) -> Callable[..., Study]:
    """A maker of a full study of three models, two repeats of three folds, with two claims."""

    def made(repeats: int = 2, **more: Any) -> Study:
        models = {"net": net, "oxygen": oxygen(), "trivial": baselines.classifier("trivial")}
        protocol = splits.random(data, repeats=repeats, folds=3, seed=0)
        made = make_study(
            data, tmp_path / "run", models, protocol=protocol, profile="full",
            reference="trivial", **more,
        )  # fmt: skip
        named = [
            make_claim(name="TINY-01", a="oxygen", b="trivial"),
            make_claim("level", (0.5, None, None), name="TINY-02", a="net"),
        ]
        monkeypatch.setattr(judging, "for_study", lambda _study: named)
        return made

    monkeypatch.setattr(studies, "FULL_TRIALS", TRIALS)
    monkeypatch.setattr(type(net), "search_space", {"learning_rate": [0.003, 0.03]})
    return made


def by_place(rows: Sequence[Any], *names: str) -> dict[tuple[Any, ...], Any]:
    """Return rows of a card by these columns, without how long they took."""
    left_out = {"fit_seconds", "predict_seconds"}
    return {
        tuple(row[n] for n in names): {k: v for k, v in row.items() if k not in left_out}
        for row in rows
    }


def test_the_store_gives_the_card_of_the_run(study, store) -> None:
    ran = study()
    card = json.loads(ran.run().path.read_text())
    fill(store, ran)
    derived, predictions = derive_card("tiny_random", store)
    place = ("model", "condition", "repeat", "fold")
    assert by_place(derived["scores"], *place) == by_place(card["scores"], *place)
    assert len(derived["scores"]) == 18
    pair = ("a", "b", "metric", "condition")
    assert by_place(derived["comparisons"], *pair) == by_place(card["comparisons"], *pair)
    assert len(derived["comparisons"]) >= 4
    assert derived["verdicts"] == card["verdicts"]
    assert [row["claim"] for row in derived["verdicts"]] == ["TINY-01", "TINY-02"]
    assert by_place(derived["models"], "name") == by_place(card["models"], "name")
    assert {row["name"]: row["tuning_trials"] for row in derived["models"]} == {
        "net": TRIALS, "oxygen": TRIALS, "trivial": 0
    }  # fmt: skip
    same = {"study", "chapter", "dataset", "protocol", "metrics", "unit", "reference", "profile",
            "shortfall", "undefined", "judged_under", "ran_under"}  # fmt: skip
    assert {k: derived[k] for k in same} == {k: card[k] for k in same}
    assert derived["shortfall"] == []
    # Its predictions are those of the run wherever something was measured.
    kept = read_result(ran.card_path).predictions
    assert predictions.arrays.keys() == kept.arrays.keys()
    np.testing.assert_array_equal(predictions.targets, kept.targets)
    for name, values in predictions.arrays.items():
        np.testing.assert_array_equal(values, kept.arrays[name], err_msg=name)


def test_what_was_not_measured_is_not_kept(study, store, data) -> None:
    """Zeros pack small, and neither a score nor a verdict sees them."""
    fill(store, study(repeats=1), ["oxygen"])
    predictions = stored_predictions("tiny_random", store)
    pooled = predictions.pooled("oxygen")
    measured = np.isfinite(data.targets)
    assert (pooled[~measured] == 0).all() and (~measured).any()
    assert (pooled[measured] > 0).all()


def test_two_derivations_are_equal_and_the_second_writes_nothing(study, store, tmp_path) -> None:
    fill(store, study(repeats=1))
    first, _ = derive_card("tiny_random", store)
    assert derive_card("tiny_random", store)[0] == first
    folder = tmp_path / "results" / "full"
    (path,) = write_cards(store=store, folder=folder)
    text = path.read_bytes()
    assert write_cards(["tiny_random"], store, folder) == []
    assert path.read_bytes() == text
    path.write_text("{}")
    assert write_cards(store=store, folder=folder) == [path]
    assert path.read_bytes() == text


def test_a_written_card_reads_its_predictions_from_the_store_and_notices_a_change(
    study, store, tmp_path
) -> None:
    ran = study(repeats=1)
    fill(store, ran, ["oxygen"])
    folder = tmp_path / "results" / "full"
    (path,) = write_cards(store=store, folder=folder)
    result = read_result(path)
    assert result.predictions.pooled("oxygen").shape == (80, 2)
    # What a recorder adds meanwhile is no part of this card, and leaves it readable.
    fill(store, ran, ["trivial"])
    assert read_result(path).predictions.arrays.keys() == result.predictions.arrays.keys()
    write_cards(store=store, folder=folder)
    assert read_result(path).models == ("oxygen", "trivial")
    files = [
        store.folder / f"tiny_random/design/{name}/all-0.npz" for name in ("oxygen", "trivial")
    ]
    files[0].write_bytes(files[1].read_bytes())
    with pytest.raises(CardError, match="derive it again: python -m chemdl record --minutes 0"):
        _ = read_result(path).predictions
    files[0].unlink()
    with pytest.raises(StoreError, match="is missing"):
        _ = read_result(path).predictions


def test_the_shortfall_says_what_is_missing(study, store) -> None:
    ran = study()
    fill(store, ran, ["trivial"])
    fill(store, ran, ["net"], edition="preset")
    (store.folder / "tiny_random/preset/net/all-1.npz").unlink()
    fill(store, ran, ["oxygen"])
    (store.folder / "tiny_random/design/oxygen/all-0.npz").unlink()
    content, _ = derive_card("tiny_random", store)
    assert content["shortfall"] == [
        "oxygen: 3 of 6 replicas", "net: 3 of 6 replicas",
        "presets, not tuned in 20 trials: net",
    ]  # fmt: skip
    assert all(row["provisional"] for row in content["verdicts"])


def test_a_mixed_store_takes_each_models_design_where_it_is_whole(study, store) -> None:
    ran = study(repeats=1)
    for edition in ("preset", "design"):
        fill(store, ran, edition=edition)
    # The net's only repeat of the design is cut short: its preset stands for it.
    path = store.folder / "tiny_random/design/net/all-0.npz"
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    described = json.loads(str(arrays.pop("content")))
    del described["replicas"]["2"], arrays["2"]
    np.savez_compressed(path, content=json.dumps(described), **arrays)
    content, _ = derive_card("tiny_random", store)
    assert len(content["scores"]) == 9
    assert content["shortfall"] == ["presets, not tuned in 20 trials: net"]
    assert len({(r["model"], r["repeat"], r["fold"]) for r in content["scores"]}) == 9


def test_a_study_without_replicas_is_an_error_by_name_and_passed_over_among_others(
    study, store, tmp_path
) -> None:
    """A recorder that was stopped in its first repeat leaves a study with nothing to show."""
    ran = study(repeats=1)
    protocol = ran.full_protocol
    described = assembly.description(ran, protocol)
    store.put_study("earlier", {**described, "study": "earlier"}, assembly.rows(ran, protocol))
    for name, message in (("earlier", "no replica of study"), ("other", "has no study 'other'")):
        with pytest.raises(StoreError, match=message):
            derive_card(name, store)
    fill(store, ran, ["oxygen"])
    folder = tmp_path / "results" / "full"
    assert write_cards(store=store, folder=folder) == [folder / "tiny_random.json"]
    with pytest.raises(StoreError, match="no replica of study"):
        write_cards(["earlier"], store, folder)


# --- the project's own store ----------------------------------------------------------------------


@pytest.mark.parametrize("name", QUICK)
def test_a_recorded_card_is_what_the_store_gives(name: str) -> None:
    store, folder = ResultStore(), data_dir() / "results" / "full"
    content, predictions = derive_card(name, store)
    content["predictions"] = {
        "file": f"{name}/study.npz", "sha256": store.sha256(name), "files": store.files(name)
    }  # fmt: skip
    text = (folder / f"{name}.json").read_text(encoding="utf-8")
    assert text == json.dumps(content, indent=1, allow_nan=False) + "\n", (
        "run `python -m chemdl record --minutes 0`"
    )
    of_the_card: Result = read_result(folder / f"{name}.json")
    assert of_the_card.predictions.arrays.keys() == predictions.arrays.keys()


def test_every_recorded_card_has_its_replicas_and_every_study_its_card() -> None:
    cards = {path.stem: path for path in (data_dir() / "results" / "full").glob("[!.]*.json")}
    assert sorted(cards) == ResultStore().studies()
    named = {json.loads(path.read_text())["predictions"]["file"] for path in cards.values()}
    assert named == {f"{study}/study.npz" for study in cards}
