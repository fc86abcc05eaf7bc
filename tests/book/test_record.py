"""The command ``chemdl record``: what it prints, what it merges, and how it spreads the work."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from chemdl import cli
from chemdl.book import record
from chemdl.evidence import recording, store
from chemdl.evidence.store import Repeat, ResultStore


@pytest.fixture
def own_store(tmp_path, monkeypatch) -> ResultStore:
    """A store of its own in place of the project's, and no cards to be derived."""
    monkeypatch.setattr(store, "data_dir", lambda: tmp_path / "data")
    monkeypatch.setattr(record, "write_cards", list)
    monkeypatch.setattr(record, "work_folder", lambda: tmp_path / "work")
    return ResultStore()


def run(*arguments: str) -> int:
    try:
        return cli.main(arguments)
    except SystemExit as end:
        return int(end.code or 0)


def a_repeat(value: float) -> Repeat:
    predictions = {0: np.full((3, 1), value, np.float32)}
    facts = {0: {"seed": 1, "created": "2026-01-01"}}
    return Repeat("tiny", "design", "net", "all", 0, {"name": "net"}, facts, predictions, {})


def test_a_dry_run_prints_what_is_left_and_records_nothing(
    own_store, capsys, monkeypatch, make_claim_of_study
) -> None:
    monkeypatch.setattr(record.Recorder, "run", lambda *_: pytest.fail("recorded"))
    monkeypatch.setattr(recording, "load_claims", lambda: make_claim_of_study)
    monkeypatch.setattr(recording, "_seconds", lambda: {("tiny", "net"): 36.0})
    assert run("record", "--dry-run") == 0
    head, *rows, total = capsys.readouterr().out.splitlines()
    assert head.split() == ["study", "model", "repeats", "hours", "claims"]
    assert [row.split() for row in rows] == [
        ["tiny", "net", "0/3", "0.32", "TINY-1"], ["tiny", "forest", "0/3", "5.28", "TINY-1"]
    ]  # fmt: skip
    assert total == "5.6 hours on one core in all, as recorded before"
    assert not own_store.folder.exists()


@pytest.fixture
def make_claim_of_study() -> dict[str, Any]:
    from chemdl.evidence.claims import load_claims

    some = next(c for c in load_claims().values() if c.test and c.kind == "difference")
    fields = {"study": "tiny", "a": "net", "b": "forest", "fidelity": "near", "condition": "all"}
    test = some.test.model_copy(update=fields)
    return {"TINY-1": some.model_copy(update={"id": "TINY-1", "test": test})}


def test_another_machines_store_is_merged_by_the_command(own_store, tmp_path, capsys) -> None:
    other = ResultStore(tmp_path / "usb" / "replicas")
    other.put(a_repeat(0.5))
    assert run("record", "--merge", str(other.folder)) == 0
    assert f"1 files of {other.folder} were new" in capsys.readouterr().out
    assert own_store.has("tiny", "design", "net", "all", 0)
    clashing = ResultStore(tmp_path / "lan")
    clashing.put(a_repeat(0.6))
    assert run("record", "--merge", str(clashing.folder)) == 2
    shown = capsys.readouterr().err
    assert str(clashing.folder) in shown and str(own_store.folder) in shown
    assert run("record", "--merge", str(tmp_path / "misspelt")) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_one_worker_records_in_this_process_until_its_minutes_are_over(
    own_store, monkeypatch, tmp_path
) -> None:
    seen: list[Any] = []

    def noted(self: Any, claims: Any) -> list[str]:
        seen.append((self.deadline - time.monotonic(), self.work, tuple(claims)))
        return []

    monkeypatch.setattr(record.Recorder, "run", noted)
    monkeypatch.setattr(record, "write_cards", lambda: [Path("a.json")])
    assert record.record(0.5, workers=1, only=["QM-01"]) == ["a"]
    ((left, work, claims),) = seen
    assert 25 < left <= 30 and work == tmp_path / "work" and claims == ("QM-01",)
    # Without minutes the cards are derived, and nothing is recorded.
    monkeypatch.setattr(record.subprocess, "Popen", lambda *_, **__: pytest.fail("started"))
    assert record.record(0, workers=3) == ["a"]
    assert len(seen) == 1


def test_workers_are_processes_of_one_thread_that_leave_the_cards_to_their_parent(
    own_store, monkeypatch
) -> None:
    started: list[tuple[list[str], dict[str, str]]] = []

    def process(command: list[str], env: dict[str, str]) -> SimpleNamespace:
        started.append((command, env))
        return SimpleNamespace(wait=lambda: 0)

    monkeypatch.setattr(record.subprocess, "Popen", process)
    derived: list[int] = []
    monkeypatch.setattr(record, "write_cards", lambda: derived.append(1) or [])
    record.record(2, workers=3, only=["QM-01"], device="cpu")
    assert len(started) == 3 and derived == [1]
    for command, env in started:
        line = " ".join(command[1:])
        expected = "-m chemdl record --minutes 2 --workers 1 --device cpu --only QM-01"
        assert line == expected
        assert env["OMP_NUM_THREADS"] == env["OPENBLAS_NUM_THREADS"] == "1"
        assert env["PATH"] == os.environ["PATH"]
    monkeypatch.setattr(record.Recorder, "run", lambda *_: [])
    monkeypatch.setenv("CHEMDL_RECORD_WORKER", started[0][1]["CHEMDL_RECORD_WORKER"])
    assert record.record(1, workers=1) == [] and derived == [1]


def interrupted() -> None:
    raise KeyboardInterrupt


def terminated() -> None:
    signal.raise_signal(signal.SIGTERM)  # in this very thread, at once


@pytest.mark.parametrize("stop", [interrupted, terminated])
def test_a_recorder_that_is_stopped_takes_its_workers_with_it(
    own_store, monkeypatch, stop: Callable[[], None]
) -> None:
    """The cards of what is stored by then are derived; the process answers to signals as before."""
    told: list[str] = []

    class Worker:
        def __init__(self, command: list[str], env: dict[str, str]) -> None:
            self.running = True

        def wait(self) -> int:
            if self.running:
                stop()
            return told.append("ended") or 0

        def terminate(self) -> None:
            self.running = False
            told.append("terminated")

    monkeypatch.setattr(record.subprocess, "Popen", Worker)
    monkeypatch.setattr(record, "write_cards", lambda: told.append("derived") or [])
    before = signal.getsignal(signal.SIGTERM)
    assert record.record(1, workers=2) == []
    assert told == ["terminated", "ended"] * 2 + ["derived"]
    assert signal.getsignal(signal.SIGTERM) == before
