"""How far a study is: a bar with what was there before, what is left, and the model at work."""

from __future__ import annotations

from pathlib import Path

import pytest

from chemdl.progress import Progress


def test_a_bar_counts_what_was_done_before(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("tiny_random", total=5, done=2) as progress:
        assert (progress.bar.n, progress.bar.total) == (2, 5)
        progress.advance("multitask")
        progress.advance("knn")
        assert progress.bar.n == 4
    shown = capsys.readouterr()
    assert shown.out == ""
    last = shown.err.rsplit("\r", 1)[-1]
    assert "tiny_random" in last and "4/5" in last and "knn" in last


def test_other_units_are_counted_by_many(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("features", total=250, done=50, unit="row") as progress:
        progress.advance(count=100)
        progress.advance(count=100)
    assert "250/250" in capsys.readouterr().err


def test_the_time_left_counts_what_this_run_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four of eight were there before and took no time: 10 seconds each, three to go."""
    with Progress("tiny", total=8, done=4) as progress:
        progress.bar.start_t -= 10.0
        progress.advance("a")
        told = progress.bar.format_dict
        left = (told["total"] - told["n"]) / ((told["n"] - told["initial"]) / told["elapsed"])
        assert left == pytest.approx(30.0, abs=1.0)


def test_nothing_is_written_but_the_bar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with Progress("tiny_random", total=1, done=0) as progress:
        progress.advance("knn")
    assert list(tmp_path.iterdir()) == []
    assert "1/1" in capsys.readouterr().err


def test_an_error_closes_the_bar() -> None:
    with pytest.raises(ValueError, match="broken"), Progress("tiny", 2, 0) as progress:
        raise ValueError("broken")
    assert progress.bar.disable
