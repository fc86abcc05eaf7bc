"""How far a study is: told to a terminal and, line by line, to a side file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chemdl.progress import Progress


@pytest.fixture
def side_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "progress.jsonl"
    monkeypatch.setenv("CHEMDL_PROGRESS", str(path))
    return path


def events(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_replica_is_a_line(side_file: Path) -> None:
    with Progress("tiny_random", total=5, done=2) as progress:
        assert len(events(side_file)) == 1
        progress.advance("multitask")
        assert len(events(side_file)) == 2  # told at once, not at the end
        progress.advance("knn")
    found = events(side_file)
    assert [e["done"] for e in found] == [2, 3, 4]
    assert [e["model"] for e in found] == ["", "multitask", "knn"]
    assert {e["total"] for e in found} == {5}
    assert {e["study"] for e in found} == {"tiny_random"}
    assert [e["time"] for e in found] == sorted(e["time"] for e in found)


def test_the_time_left_counts_what_this_run_computed(
    side_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 0.0, 10.0, 20.0])
    monkeypatch.setattr("chemdl.progress.time.perf_counter", lambda: next(clock))
    with Progress("tiny", total=8, done=4) as progress:
        progress.advance("a")
        progress.advance("b")
    # Four of eight were there before and took no time: 10 seconds each, three and two to go.
    assert [e["seconds_left"] for e in events(side_file)] == [None, 30.0, 20.0]


def test_other_units_are_counted_by_many(
    side_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress("features", total=250, done=50, unit="row") as progress:
        progress.advance("", 100)
        progress.advance("", 100)
    assert [(e["done"], e["unit"]) for e in events(side_file)] == [
        (done, "row") for done in (50, 150, 250)
    ]
    assert "250/250" in capsys.readouterr().err


def test_several_studies_share_a_file(side_file: Path) -> None:
    for study in ("one", "two"):
        with Progress(study, total=1, done=0) as progress:
            progress.advance("m")
    assert [e["study"] for e in events(side_file)] == ["one", "one", "two", "two"]


def test_without_the_variable_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CHEMDL_PROGRESS", raising=False)
    monkeypatch.chdir(tmp_path)
    with Progress("tiny_random", total=1, done=0) as progress:
        progress.advance("knn")
    assert list(tmp_path.iterdir()) == []
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "tiny_random" in shown.err
    assert "1/1" in shown.err


def test_an_error_closes_the_bar(side_file: Path) -> None:
    with pytest.raises(ValueError, match="broken"), Progress("tiny", 2, 0) as progress:
        raise ValueError("broken")
    assert progress.bar.disable
