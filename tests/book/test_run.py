"""Chapters run strictly, leave what they should, and are not run again for nothing."""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path

import nbformat
import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from chemdl.book.output import BusyFolderError
from chemdl.book.run import (
    BrokenNotebookError,
    ChapterFailedError,
    UnknownChapterError,
    UnknownParameterError,
    _FinishedLines,
    chapter_name,
    find_chapter,
    read_run,
    run_chapters,
)
from chemdl.evidence.result import read_result
from chemdl.settings import SettingsError


def run(path: Path, output: Path, **more: object) -> list:
    return run_chapters([path], profile="smoke", device="cpu", output=output, **more)


def test_a_chapter_leaves_its_notebook_card_and_record(make_chapter, tmp_path, monkeypatch):
    path = make_chapter()
    monkeypatch.chdir(tmp_path)
    (result,) = run_chapters([path], profile="smoke", seed=7, device="cpu", output="out")
    output = tmp_path / "out"
    assert result.studies == ("tiny",)
    assert read_result(output / "cards/tiny.json").card.protocol.seed == 7
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


def test_chapters_run_side_by_side_and_come_back_in_order(make_chapter, tmp_path):
    names = ("01-one.ipynb", "02-two.ipynb", "03-three.ipynb")
    paths = [make_chapter("print('done')", name=name) for name in names]
    runs = run_chapters(paths, profile="smoke", device="cpu", output=tmp_path / "out", workers=2)
    assert [run.chapter for run in runs] == ["one", "two", "three"]
    assert all(run.notebook.is_file() for run in runs)


def test_a_chapter_that_fails_beside_another_says_so(make_chapter, tmp_path):
    broken = make_chapter("raise ValueError('no such isotope')", name="02-broken.ipynb")
    with pytest.raises(ChapterFailedError, match="no such isotope") as caught:
        run_chapters(
            [make_chapter(), broken],
            profile="smoke",
            device="cpu",
            output=tmp_path / "out",
            workers=2,
        )
    assert caught.value.chapter == "broken"


@pytest.mark.parametrize(("study", "resumed"), [("tiny", True), ("of_another_chapter", False)])
def test_a_record_says_whether_replicas_of_its_own_studies_were_stored_before(
    make_chapter, tmp_path, study, resumed
):
    stored = tmp_path / "out" / "replicas" / study / "0.npz"
    stored.parent.mkdir(parents=True)
    stored.touch()
    run(make_chapter(), tmp_path / "out")
    assert read_run(tmp_path / "out", "tiny")["resumed"] is resumed


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


def test_a_failing_cell_is_named_and_the_cards_before_are_kept(make_chapter, tmp_path):
    output = tmp_path / "out"
    run(make_chapter(), output)
    before = files(output)
    bad = make_chapter("x = 1", 'raise ValueError("the seventh assay is missing")')
    with pytest.raises(ChapterFailedError, match="the seventh assay is missing") as caught:
        run(bad, output)
    assert caught.value.chapter == "tiny" and caught.value.cell == 4
    assert "\x1b" not in str(caught.value)
    assert files(output) == before
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


# --- how far it is --------------------------------------------------------------------------------


def test_in_a_log_a_finished_bar_is_one_line(make_chapter, tmp_path, capfd):
    run(make_chapter(), tmp_path / "out")
    told = [line for line in capfd.readouterr().err.splitlines() if line.strip()]
    assert len(told) == 1
    assert told[0].startswith("tiny: 100%") and "2/2" in told[0] and told[0].endswith(", m]")


def test_lines_are_handed_on_when_they_are_whole():
    log = io.StringIO()
    lines = _FinishedLines(log)
    for part in ("tiny:  50%|", "\rtiny: 100%|██| 2/2", "\n\n", "half a line"):
        lines.write(part)
    assert log.getvalue() == "tiny: 100%|██| 2/2\n"
    lines.write(" and its end\n")
    assert log.getvalue().endswith("half a line and its end\n")


def test_a_terminal_gets_the_bars_as_they_are_drawn(make_chapter, tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    run(make_chapter(), tmp_path / "out")
    assert screen.getvalue().count("\rtiny:") >= 2


# what an earlier run left, and a run beside


def files(output: Path) -> dict[str, bytes]:
    """Return the cards and predictions that are there, hidden files left out."""
    found = sorted((output / "cards").glob("[!.]*"))
    return {path.name: path.read_bytes() for path in found}


def test_a_misspelt_model_is_refused_before_anything_is_touched(make_chapter, tmp_path):
    path, output = make_chapter(), tmp_path / "out"
    run(path, output)
    before = files(output), read_run(output, "tiny")
    with pytest.raises(SettingsError, match="unknown model 'random_forst'"):
        run(path, output, models=["deep", "random_forst"])
    assert (files(output), read_run(output, "tiny")) == before
    assert list(output.glob(".*.before")) == []


def test_a_model_that_a_chapter_alone_names_may_be_asked_for(make_chapter, tmp_path):
    cell = 'own = "my_own_model"\nnames = [f"{own}_small" for own in ("one", "two")]'
    path = make_chapter(cell)
    run(path, tmp_path / "out", models=["my_own_model", "two_small"])
    with pytest.raises(SettingsError, match=r"^unknown model 'two_smal'.* Known: all, any_input_"):
        run(path, tmp_path / "out", models=["two_smal"])


def test_the_cards_before_are_there_until_a_new_run_wrote_its_own(make_chapter, tmp_path):
    output = tmp_path / "out"
    run(make_chapter(), output)
    before = files(output)
    see = "from pathlib import Path\nassert not list((Path(output) / 'cards').glob('[!.]*'))"
    with pytest.raises(ChapterFailedError, match="it breaks"):
        run(make_chapter(see, 'raise ValueError("it breaks")'), output)
    assert files(output) == before
    run(make_chapter(see), output)  # a run that writes none leaves those that are known
    assert files(output) == before
    run(make_chapter(), output, seed=5)
    assert files(output).keys() == before.keys() and files(output) != before


def test_what_a_killed_run_had_set_aside_is_given_back(make_chapter, tmp_path):
    output = tmp_path / "out"
    run(make_chapter(), output)
    before = files(output)
    aside = output / ".tiny.before"
    aside.mkdir()
    for name in before:
        (output / "cards" / name).rename(aside / name)
    (output / "cards" / "tiny.json").write_bytes(before["tiny.json"].replace(b'"m"', b'"n"'))
    with pytest.raises(ChapterFailedError):
        run(make_chapter("1 / 0"), output)
    assert files(output) == before and not aside.exists()


def test_a_second_run_in_the_same_folder_is_told_and_harms_nothing(make_chapter, tmp_path):
    path, output = make_chapter(), tmp_path / "out"
    run(path, output)
    before = files(output)
    with FileLock(output / ".tiny.lock"):
        with pytest.raises(BusyFolderError, match=r"chapter 'tiny' is at work in .*out; wait"):
            run(path, output, seed=1)
        assert files(output) == before
        run(path, tmp_path / "other")
    assert run(path, output, seed=1)[0].studies == ("tiny",)


@given(st.binary(max_size=200))
def test_a_file_that_is_no_notebook_is_named_in_one_line(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "b.ipynb"
        path.write_bytes(content)
        with pytest.raises(BrokenNotebookError, match=r"b\.ipynb is no notebook") as caught:
            run(path, Path(folder) / "out")
        assert "\n" not in str(caught.value)


def test_a_notebook_that_does_not_say_its_kernel_is_named(make_chapter, tmp_path) -> None:
    path = make_chapter()
    notebook = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**notebook, "metadata": {}}), "utf-8")
    with pytest.raises(BrokenNotebookError, match=r"tiny\.ipynb does not say its kernel"):
        run(path, tmp_path / "out")


@pytest.mark.parametrize("cut", [2, 30, 200, 400])
def test_a_notebook_that_was_cut_off_is_named(make_chapter, tmp_path, cut: int) -> None:
    path = make_chapter()
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(BrokenNotebookError, match=r"tiny\.ipynb is no notebook"):
        run(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"a": 1}', b"\xff\xfe", b"[" * 5000])
def test_a_damaged_card_and_record_are_written_anew(make_chapter, tmp_path, content: bytes) -> None:
    path, output = make_chapter(), tmp_path / "out"
    run(path, output)
    whole = files(output)["tiny.json"]
    (output / "cards" / "tiny.json").write_bytes(content)
    (output / "tiny.run.json").write_bytes(content)
    assert run(path, output, skip_unchanged=True)[0].studies == ("tiny",)
    assert files(output)["tiny.json"] == whole
