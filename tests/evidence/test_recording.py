"""The recorder does what claims lack, cheapest first, without a look at a score, and loses nothing.

What kills do to it is shown by ``benchmarks/kill_recorder.py``, run here with ten kills.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from chemdl.evidence import recording, splits
from chemdl.evidence.deriving import derive_card
from chemdl.evidence.recording import Need, Recorder, needs, plan_text
from chemdl.evidence.store import FAILED, ResultStore
from chemdl.learn.training import DivergedError
from chemdl.molecules import baselines

TRIALS, REPEATS, FOLDS = 4, 2, 3
REPLICAS = REPEATS * FOLDS
KILLS = 10


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path / "store")


@pytest.fixture
def claimed(monkeypatch, make_claim) -> Callable[..., None]:
    """Put claims in place of the project's: study, a, b, and how many seconds a fit takes."""

    def put(*claims: tuple[str, str, str], seconds: Mapping[tuple[str, str], float], **test: Any):
        made = [
            make_claim(name=f"TINY-{i}", study=study, a=a, b=b, **test).model_copy(
                update={"chapter": "tiny"}
            )
            for i, (study, a, b) in enumerate(claims)
        ]
        monkeypatch.setattr(recording, "load_claims", lambda: {c.id: c for c in made})
        monkeypatch.setattr(recording, "_seconds", lambda: dict(seconds))

    return put


@pytest.fixture
def recorder(data, tmp_path, make_study, oxygen, store) -> Callable[..., Recorder]:
    """A maker of recorders of two full studies with two models each."""

    def made(models: dict[str, Any] | None = None, **more: Any) -> Recorder:
        protocol = splits.random(data, repeats=REPEATS, folds=FOLDS, seed=0)
        given = models or {"oxygen": oxygen(), "trivial": baselines.classifier("trivial")}
        studies = {
            name: make_study(
                data, tmp_path / "runs", given, name=name, protocol=protocol, profile="full",
                trials=TRIALS,
            )
            for name in ("tiny_random", "tiny_other")
        }  # fmt: skip
        said: list[str] = []
        fields = {"store": store, "work": tmp_path / "work", "say": said.append, **more}
        recorder = Recorder(lambda _chapter: studies, **fields)
        recorder.said = said
        return recorder

    return made


BOTH = (("tiny_random", "oxygen", "trivial"), ("tiny_other", "oxygen", "trivial"))
SECONDS = {("tiny_random", "oxygen"): 9.0, ("tiny_other", "oxygen"): 1.0}
SECONDS |= {(study, "trivial"): 0.1 for study, *_ in BOTH}


def stored(store: ResultStore) -> list[str]:
    """Return the files of the store, half ones too, but for the locks."""
    found = [p.relative_to(store.folder) for p in store.folder.rglob("*") if p.is_file()]
    return sorted(path.as_posix() for path in found if path.suffix != ".lock")


WHOLE = sorted(
    [f"{study}/study.npz" for study, *_ in BOTH]
    + [f"{study}/design/{model}/all-{n}.npz" for study, *models in BOTH for model in models
       for n in range(REPEATS)]
)  # fmt: skip


# --- what is missing, and in which order ----------------------------------------------------------


def order(found: list[Need]) -> list[tuple[str, str]]:
    return [(need.study, need.model) for need in found]


def test_the_claim_that_is_cheapest_to_complete_comes_first(claimed, store) -> None:
    """A model that two claims share is listed once, at the first of them."""
    claimed(
        ("large", "net", "forest"), ("small", "net", "forest"), ("large", "tree", "forest"),
        seconds={("large", "net"): 50, ("large", "forest"): 5, ("large", "tree"): 4,
                 ("small", "net"): 2, ("small", "forest"): 1},
    )  # fmt: skip
    found = needs(store)
    assert order(found) == [
        ("small", "net"), ("small", "forest"), ("large", "tree"), ("large", "forest"),
        ("large", "net"),
    ]  # fmt: skip
    assert [need.claims for need in found] == [
        ("TINY-1",), ("TINY-1",), ("TINY-2",), ("TINY-2", "TINY-0"), ("TINY-0",)
    ]  # fmt: skip
    assert all((need.done, need.wanted) == (0, 3) for need in found)
    assert [n.study for n in needs(store, ["TINY-0"])] == ["large", "large"]


def test_hours_follow_from_the_seconds_of_a_fit_and_are_unknown_without(claimed, store) -> None:
    claimed(("s", "net", "forest"), seconds={("s", "net"): 36.0})
    hours = {need.model: need.hours for need in needs(store)}
    # 3 × 5 folds, and 20 trials that are each a third of a fit, every second one a whole one.
    assert hours["net"] == pytest.approx(36 * (15 + 20 * (1 / 3 + 1 / 2)) / 3600)
    assert hours["forest"] > 10 * hours["net"]


def test_analogues_are_recorded_only_if_they_are_named(claimed, store) -> None:
    claimed(("s", "net", "forest"), seconds={}, fidelity="analogue")
    assert needs(store) == []
    assert len(needs(store, ["TINY-0"])) == 2


def test_what_is_done_is_no_need_and_a_claim_that_is_begun_is_cheaper(
    claimed, recorder, store
) -> None:
    claimed(*BOTH, seconds={**SECONDS, ("tiny_other", "oxygen"): 11.0})
    before = needs(store)
    assert order(before)[0] == ("tiny_random", "oxygen")
    recorder().run()
    assert needs(store) == []
    (store.folder / "tiny_other/design/oxygen/all-1.npz").unlink()
    (left,) = needs(store)
    assert (left.study, left.done, left.wanted) == ("tiny_other", 1, REPEATS)
    # Its tuning is over, and one repeat of two is left.
    assert left.hours == pytest.approx(11.0 * FOLDS / 3600)


def test_the_order_is_the_same_when_all_scores_are_shuffled(
    claimed, recorder, store, monkeypatch
) -> None:
    claimed(*BOTH, seconds=SECONDS)
    recorder().run()
    for lost in ("tiny_other/design/oxygen/all-1.npz", "tiny_random/design/trivial/all-0.npz"):
        (store.folder / lost).unlink()
    before = needs(store)
    assert order(before) == [("tiny_random", "trivial"), ("tiny_other", "oxygen")]
    rng = np.random.default_rng(0)
    for path in store.folder.glob("*/design/*/*.npz"):
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        shuffled = {
            name: values if name == "content" else rng.permutation(values.ravel()).reshape(
                values.shape
            )
            for name, values in arrays.items()
        }  # fmt: skip
        np.savez_compressed(path, **shuffled)
    assert needs(store) == before
    # It does not even open a file with predictions.
    for path in store.folder.glob("*/design/*/*.npz"):
        path.write_bytes(b"")
    assert needs(store) == before


def test_the_projects_order_hangs_on_seconds_and_not_on_recorded_scores(monkeypatch) -> None:
    """Every score of every recorded card drawn anew: what is left to do is the same."""
    planned = needs(ResultStore())
    rng = np.random.default_rng(1)
    results = dict(recording.find_results())
    drawn = {}
    for name, result in results.items():
        rows = [
            row.model_copy(update={"value": rng.random(), "values": {
                metric: dict.fromkeys(tasks, rng.random()) for metric, tasks in row.values.items()
            }})
            for row in result.card.scores
        ]  # fmt: skip
        card = result.card.model_copy(update={"scores": rows, "comparisons": [], "verdicts": []})
        drawn[name] = SimpleNamespace(study=name, card=card)
    monkeypatch.setattr(recording, "find_results", lambda: drawn)
    assert needs(ResultStore()) == planned


def test_the_plan_is_a_table_with_hours_and_a_total() -> None:
    found = [
        Need("tiny_random", "tiny", "oxygen", "all", 1, 3, 0.25, ("A-1", "B-2")),
        Need("tiny_other", "tiny", "net", "all", 0, 3, 1.5, ("C-3",)),
    ]
    head, first, second, total = plan_text(found).splitlines()
    assert head.split() == ["study", "model", "repeats", "hours", "claims"]
    assert first.split() == ["tiny_random", "oxygen", "1/3", "0.25", "A-1,", "B-2"]
    assert second.split() == ["tiny_other", "net", "0/3", "1.50", "C-3"]
    assert total.startswith("1.8 hours on one core in all")
    assert plan_text([]).startswith("Nothing is left")


# --- recording ------------------------------------------------------------------------------------


def test_a_recorder_fills_the_whole_design_tuned_as_stated(
    claimed, recorder, store, oxygen
) -> None:
    claimed(*BOTH, seconds=SECONDS)
    one = recorder({"oxygen": oxygen(strength=-1.0), "trivial": baselines.classifier("trivial")})
    assert one.run() == ["tiny_other", "tiny_random"]
    assert stored(store) == WHOLE
    content, _ = derive_card("tiny_random", store)
    assert content["shortfall"] == []
    rows = {row["name"]: row for row in content["models"]}
    assert rows["oxygen"]["tuning_trials"] == TRIALS
    assert rows["oxygen"]["hyperparameters"]["strength"] > 0
    assert rows["trivial"]["tuning_trials"] == 0
    fits = len(oxygen.fits)
    assert recorder().run() == []
    assert len(oxygen.fits) == fits


@pytest.mark.parametrize("after", [0, 1, 3, 5, 7])
def test_a_stop_by_the_deadline_loses_no_replica_and_the_next_start_goes_on(
    claimed, recorder, store, oxygen, monkeypatch, tmp_path, after: int
) -> None:
    """The clock here ticks once a fit; in tuning, between repeats, in the middle of one."""
    claimed(("tiny_random", "oxygen", "trivial"), seconds=SECONDS)
    recorder(store=ResultStore(tmp_path / "whole"), work=tmp_path / "apart").run()
    undisturbed = sorted(oxygen.fits)
    oxygen.fits.clear()
    clock = SimpleNamespace(monotonic=lambda: len(oxygen.fits))
    monkeypatch.setattr(recording, "time", clock)
    first = recorder(deadline=after - 0.5)
    first.run()
    assert first.said[-1] == "the time is up; what is done is stored"
    assert len(oxygen.fits) == after
    names = stored(store)
    assert all((store.folder / name).stat().st_size for name in names)
    again = recorder()
    again.run()
    assert again.said[-1:] != first.said[-1:]
    assert set(names) <= set(stored(store))
    assert sorted(oxygen.fits) == undisturbed
    # Merging both ways finds the same files with the same content.
    assert store.merge(tmp_path / "whole") == []
    assert ResultStore(tmp_path / "whole").merge(store.folder) == []


def test_a_model_that_the_chapter_has_not_is_passed_over_aloud(claimed, recorder, store) -> None:
    claimed(("tiny_random", "gnn", "trivial"), ("elsewhere", "oxygen", "trivial"), seconds=SECONDS)
    one = recorder()
    assert one.run() == ["tiny_random"]
    passed = [line for line in one.said if "passed over" in line]
    assert [line.split(":")[0] for line in passed] == ["tiny_random", "elsewhere", "elsewhere"]
    assert "chapter tiny runs no model gnn" in passed[0]


def test_two_recorders_on_one_store_share_the_work_and_do_nothing_twice(
    claimed, recorder, store, oxygen, monkeypatch, tmp_path
) -> None:
    """As in two checkouts, which share the store and not the folder of work."""
    claimed(*BOTH, seconds=SECONDS)
    fit = oxygen.fit
    keys: list[tuple[Any, ...]] = []

    def slow(self: Any, X: Any, y: Any) -> Any:
        keys.append((self.seed, self.strength, tuple(X)))
        time.sleep(0.02)
        return fit(self, X, y)

    monkeypatch.setattr(oxygen, "fit", slow)
    both = [recorder(), dataclasses.replace(recorder(), work=tmp_path / "other")]
    touched: dict[int, list[str]] = {}
    threads = [
        threading.Thread(target=lambda i=i, one=one: touched.update({i: one.run()}))
        for i, one in enumerate(both)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stored(store) == WHOLE
    assert len(keys) == len(set(keys)) >= 2 * REPLICAS
    assert all(touched[i] for i in (0, 1)), "one of them did everything"


# --- what diverges --------------------------------------------------------------------------------


def diverging(oxygen: type, monkeypatch, when: Callable[[int], bool]) -> list[int]:
    """Let every fit diverge for whose number (from 0) ``when`` holds; return their numbers."""
    fit = oxygen.fit
    numbers: list[int] = []

    def fails(self: Any, X: Any, y: Any) -> Any:
        numbers.append(len(numbers))
        if when(numbers[-1]):
            raise DivergedError("training of the replica ended in NaN")
        return fit(self, X, y)

    monkeypatch.setattr(oxygen, "fit", fails)
    monkeypatch.setattr(oxygen, "search_space", {})
    return numbers


def failures(store: ResultStore) -> dict[str, dict[str, str]]:
    return {
        path.relative_to(store.folder).as_posix(): json.loads(path.read_text())
        for path in store.folder.rglob(f"*{FAILED}")
    }


NAN = "training of the replica ended in NaN"


def test_a_replica_that_diverges_is_recorded_with_its_reason_and_not_tried_again(
    claimed, recorder, store, oxygen, monkeypatch
) -> None:
    claimed(("tiny_random", "oxygen", "trivial"), seconds=SECONDS)
    numbers = diverging(oxygen, monkeypatch, lambda n: n == 1)
    recorder().run()
    assert failures(store) == {f"tiny_random/design/oxygen/all-0{FAILED}": {"1": NAN}}
    kept = {r.repeat: sorted(r.replicas) for r in store.repeats("tiny_random")
            if r.model == "oxygen"}  # fmt: skip
    assert kept == {0: [0, 2], 1: [0, 1, 2]}
    assert needs(store) == []
    recorder().run()
    assert len(numbers) == REPLICAS
    assert "oxygen: 5 of 6 replicas" in derive_card("tiny_random", store)[0]["shortfall"]


def test_a_repeat_that_diverges_whole_is_not_tried_again_beside_one_that_is_missing(
    claimed, recorder, store, oxygen, monkeypatch
) -> None:
    claimed(("tiny_random", "oxygen", "trivial"), seconds=SECONDS)
    numbers = diverging(oxygen, monkeypatch, lambda n: n < FOLDS)
    clock = SimpleNamespace(monotonic=lambda: len(numbers))
    monkeypatch.setattr(recording, "time", clock)
    recorder(deadline=FOLDS + 0.5).run()
    everything = dict.fromkeys(map(str, range(FOLDS)), NAN)
    assert failures(store) == {f"tiny_random/design/oxygen/all-0{FAILED}": everything}
    assert {n.model: n.done for n in needs(store)} == {"oxygen": 1, "trivial": 0}
    recorder().run()
    assert len(numbers) == REPLICAS
    assert needs(store) == []


def test_a_kill_between_the_reasons_and_the_replicas_of_a_repeat_loses_neither(
    claimed, recorder, store, oxygen, monkeypatch
) -> None:
    claimed(("tiny_random", "oxygen", "trivial"), seconds=SECONDS)
    numbers = diverging(oxygen, monkeypatch, lambda n: n == 1)
    recorder().run()
    (store.folder / "tiny_random/design/oxygen/all-0.npz").unlink()
    recorder().run()
    assert len(numbers) == REPLICAS
    assert stored(store).count("tiny_random/design/oxygen/all-0.npz") == 1
    assert list(failures(store).values()) == [{"1": NAN}]


def test_a_model_whose_preset_diverges_in_tuning_stops_no_recorder(
    claimed, recorder, store, net, monkeypatch
) -> None:
    claimed(("tiny_random", "net", "trivial"), seconds=SECONDS)
    broken = net.set_params(learning_rate=1e30)
    models = {"net": broken, "trivial": baselines.classifier("trivial")}
    one = recorder(models)
    assert one.run() == ["tiny_random"]
    found = failures(store)
    assert sorted(found) == [f"tiny_random/design/net/all-{n}{FAILED}" for n in range(REPEATS)]
    for reasons in found.values():
        assert sorted(reasons) == ["0", "1", "2"]
        assert all(text.startswith("in tuning: training of") for text in reasons.values())
    assert needs(store) == []
    assert [r.model for r in store.repeats("tiny_random")] == ["trivial"] * REPEATS


# --- kills ----------------------------------------------------------------------------------------


def test_kills_at_random_moments_lose_no_finished_replica(tmp_path, root) -> None:
    command = [sys.executable, "-m", "benchmarks.kill_recorder", "--kills", str(KILLS)]
    command += ["--folder", str(tmp_path)]
    own = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=own, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["kills"] == KILLS
    assert found["stores_equal"] >= 1
    assert found["half_files"] == found["lost"] == found["computed_twice"] == 0
