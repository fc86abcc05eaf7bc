"""Chapters run strictly, leave what they should, and are not run again for nothing."""

from __future__ import annotations

import io
import json
from pathlib import Path

import nbformat
import pytest

from chemdl.book import fingerprint, progress
from chemdl.book.run import (
    ChapterFailedError,
    UnknownChapterError,
    UnknownParameterError,
    chapter_name,
    find_chapter,
    read_run,
    run_chapters,
)
from chemdl.settings import SettingsError


def run(path: Path, output: Path, **more: object) -> list:
    return run_chapters([path], profile="smoke", device="cpu", output=output, **more)


def test_a_chapter_leaves_its_notebook_card_and_record(make_chapter, tmp_path, monkeypatch):
    path = make_chapter()
    monkeypatch.chdir(tmp_path)
    (result,) = run_chapters([path], profile="smoke", seed=7, device="cpu", output="out")
    output = tmp_path / "out"
    assert result.studies == ("tiny",)
    assert json.loads((output / "cards/tiny.json").read_text())["seed"] == 7
    executed = nbformat.read(output / "01-tiny.ipynb", as_version=4)
    assert any("injected-parameters" in c.metadata.get("tags", []) for c in executed.cells)
    record = read_run(output, "tiny")
    assert record["seconds"] > 0 and record["versions"]["python"]
    assert record["parameters"] == {"profile": "smoke", "seed": 7, "device": "cpu"}
    assert str(tmp_path) not in json.dumps(record)


def test_the_kernel_is_the_running_interpreter_without_warnings(make_chapter, tmp_path):
    path = make_chapter("import sys, chemdl\nprint(sys.executable)", "profile, seed")
    run(path, tmp_path / "out")
    import sys

    cells = nbformat.read(tmp_path / "out/01-tiny.ipynb", as_version=4).cells
    outputs = [o for cell in cells for o in cell.get("outputs", [])]
    assert outputs[0]["text"].strip() == sys.executable
    assert not [o for o in outputs if o.get("name") == "stderr"]


def test_an_unchanged_chapter_is_not_run_again(make_chapter, tmp_path):
    path, output = make_chapter(), tmp_path / "out"
    assert not run(path, output, skip_unchanged=True)[0].unchanged
    assert run(path, output, skip_unchanged=True)[0].unchanged
    assert not run(path, output, skip_unchanged=True, seed=3)[0].unchanged
    (output / "cards/tiny.json").unlink()
    assert not run(path, output, skip_unchanged=True, seed=3)[0].unchanged


def test_what_a_killed_run_left_half_written_is_no_card(make_chapter, tmp_path):
    path, output = make_chapter(), tmp_path / "out"
    (output / "cards").mkdir(parents=True)
    (output / "cards" / ".tmp3x.json").write_text('{"study": "ti')
    assert run(path, output)[0].studies == ("tiny",)


def test_a_misspelt_parameter_is_refused_before_anything_runs(make_chapter, tmp_path):
    path = make_chapter()
    with pytest.raises(UnknownParameterError, match=r"'profil'.*Did you mean 'profile'"):
        run(path, tmp_path / "out", profil="full")
    with pytest.raises(SettingsError, match=r"'smok'.*Did you mean 'smoke'"):
        run_chapters([path], profile="smok", output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_failing_cell_is_named_with_its_traceback_and_leaves_no_card(make_chapter, tmp_path):
    output = tmp_path / "out"
    run(make_chapter(), output)
    bad = make_chapter("x = 1", 'raise ValueError("the seventh assay is missing")')
    with pytest.raises(ChapterFailedError, match="the seventh assay is missing") as caught:
        run(bad, output)
    assert caught.value.chapter == "tiny" and caught.value.cell == 4
    assert "\x1b" not in str(caught.value)
    assert not list((output / "cards").iterdir())
    assert read_run(output, "tiny") is None
    assert "ValueError" in (output / "01-tiny.ipynb").read_text()


def test_an_unknown_chapter_lists_the_near_misses(make_chapter, monkeypatch):
    folder = make_chapter(name="03-toxicity.ipynb").parent
    (folder.parent / "pyproject.toml").write_text('name = "chemdl"')
    monkeypatch.chdir(folder)
    assert find_chapter("toxicity") == folder / "03-toxicity.ipynb"
    assert find_chapter("03-toxicity.ipynb") == folder / "03-toxicity.ipynb"
    monkeypatch.chdir(folder.parent)
    assert find_chapter("chapters/03-toxicity.ipynb") == folder / "03-toxicity.ipynb"
    with pytest.raises(UnknownChapterError, match="Did you mean 'toxicity'"):
        find_chapter("toxicty")
    with pytest.raises(UnknownChapterError, match="missing"):
        find_chapter("elsewhere/missing.ipynb")


def test_chapter_names_lose_number_and_ending():
    assert chapter_name("chapters/12-virtual-screening.ipynb") == "virtual-screening"


def test_only_code_counts_in_the_key(make_chapter):
    path = make_chapter("x = 1")
    before = fingerprint.run_key(path, {"seed": 0, "output": "a"}, {})
    assert fingerprint.run_key(path, {"seed": 0, "output": "b"}, {}) == before
    assert fingerprint.run_key(path, {"seed": 1, "output": "a"}, {}) != before
    assert fingerprint.run_key(path, {"seed": 0, "output": "a"}, {"torch": "2"}) != before
    notebook = json.loads(path.read_text())
    notebook["cells"][-1]["execution_count"] = 5
    path.write_text(json.dumps(notebook))
    assert fingerprint.run_key(path, {"seed": 0, "output": "a"}, {}) == before
    notebook["cells"][-1]["source"] = ["x = 2"]
    path.write_text(json.dumps(notebook))
    assert fingerprint.run_key(path, {"seed": 0, "output": "a"}, {}) != before


def test_docstrings_and_comments_are_not_code():
    plain = "def f(x):\n    return x\n"
    spoken = 'def f(x):\n    """Return x."""\n    # why\n    return x\n'
    assert fingerprint.code_only(plain) == fingerprint.code_only(spoken)
    assert fingerprint.code_only(plain) != fingerprint.code_only(plain.replace("x\n", "-x\n"))


def event(study: str, done: int, **more: object) -> str:
    return json.dumps({"study": study, "done": done, "total": 2, **more}) + "\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_names_study_model_and_time_left(tmp_path):
    path, screen = tmp_path / "tiny.jsonl", Terminal()
    with progress.follow(path, "tiny", screen):
        path.write_text(event("tox21", 1, model="multitask", seconds_left=240))
    assert "tiny: tox21" in screen.getvalue()
    assert "1/2, multitask, 4 min left" in screen.getvalue()


def test_without_a_terminal_a_finished_study_is_one_line(tmp_path):
    path, log = tmp_path / "tiny.jsonl", io.StringIO()
    with progress.follow(path, "tiny", log):
        path.write_text(event("tox21", 1) + event("tox21", 2) + event("sider", 1))
    assert log.getvalue() == "tiny: tox21 2 replicas\n"


def test_a_half_written_event_is_left_for_the_next_look(tmp_path):
    path = tmp_path / "tiny.jsonl"
    first, second = event("a", 1), event("a", 2)
    path.write_text(first + second[:9])
    events, offset = progress.read_events(path)
    assert [e["done"] for e in events] == [1]
    path.write_text(first + second)
    assert [e["done"] for e in progress.read_events(path, offset)[0]] == [2]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (40, "40 s left"), (240, "4 min left"), (9000, "2.5 h left")],
)
def test_time_left_is_said_in_the_fitting_unit(seconds, text):
    assert progress.time_left(seconds) == text
