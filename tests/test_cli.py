"""The command line: what it does, what it refuses, and in which words."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from chemdl import cli, extras
from chemdl import data as datasets
from chemdl.evidence import claims
from chemdl.files import cache_dir

ROOT = Path(__file__).resolve().parent.parent
PARAMETERS = 'profile = "quick"\nseed = 0\ndevice = "auto"\noutput = ""'


def run(*arguments: str) -> int:
    """Return the exit status, however the command ends."""
    try:
        return cli.main(arguments)
    except SystemExit as end:
        return int(end.code or 0)


def chapter(folder: Path, *cells: str) -> Path:
    notebook = nbformat.v4.new_notebook()
    notebook.metadata.kernelspec = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    first = nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
    notebook.cells = [first, *map(nbformat.v4.new_code_cell, cells)]
    path = folder / "07-tiny.ipynb"
    nbformat.write(notebook, path)
    return path


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (["rnu"], "'run'"),
        (["run", "toxicty"], "'toxicity'"),
        (["run", "toxicity", "--profile", "ful"], "'full'"),
        (["run", "toxicity", "--device", "cudaa"], "'cuda'"),
        (["run", "toxicity", "--sede", "3"], "'--seed'"),
        (["data", "lst"], "'list'"),
        (["data", "list", "tox_21"], "'tox21'"),
        (["data", "fetch", "freesolve"], "'freesolv'"),
        (["data", "verify", "freesolve"], "'freesolv'"),
        (["data", "embed", "freesolve"], "'freesolv'"),
        (["claims", "TOX-1"], "'TOX-01'"),
        (["claims", "--chapter", "toxcity"], "'toxicity'"),
        (["record", "--minutes", "1", "--only", "TOX-1"], "TOX-01"),
        (["calibrate", "toxicty"], "'toxicity'"),
        (["book", "biuld"], "'build'"),
    ],
    ids=" ".join,
)
def test_what_does_not_exist_is_refused_with_its_near_misses(
    arguments: list[str], near: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Did you mean" in shown.err and near in shown.err
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "required: COMMAND"),
        (["data", "fetch"], "required: NAME"),
        (["run", "toxicity", "--seed", "-1"], "--seed"),
        (["run", "toxicity", "--repeats", "some"], "'some' is not a whole number"),
        (["run", "nowhere/08-none.ipynb"], "nowhere/08-none.ipynb"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value) or "nothing",
)
def test_what_cannot_be_is_refused_in_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    shown = capsys.readouterr()
    assert words in shown.err
    assert shown.err.count("\n") == 1


def test_a_gpu_where_there_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    path = chapter(tmp_path, "1 + 1")
    assert run("run", str(path), "--device", "cuda", "--output", str(tmp_path / "out")) == 2
    assert "sees no GPU" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_run_takes_a_file_and_hands_its_parameters_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = "import json, pathlib\npathlib.Path(output, 'told.json').write_text(json.dumps("
    path = chapter(tmp_path, told + "[profile, seed, device, models, repeats, trials]))")
    out = tmp_path / "out"
    options = ["--profile", "smoke", "--seed", "5", "--device", "cpu", "--output", str(out)]
    limits = ["--models", "deep", "svm_linear", "--repeats", "2", "--trials", "0"]
    assert run("run", str(path), *options, *limits) == 0
    found = json.loads((out / "told.json").read_text("utf-8"))
    assert found == ["smoke", 5, "cpu", ["deep", "svm_linear"], 2, 0]
    assert (out / path.name).is_file()
    assert "tiny: " in capsys.readouterr().out


def test_a_failing_cell_shows_its_number_and_traceback_and_leaves_no_card(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = chapter(tmp_path, "1 + 1", "quotient = 1 / 0")
    assert run("run", str(path), "--device", "cpu", "--output", str(tmp_path / "out")) == 1
    shown = capsys.readouterr().err
    assert "cell 3" in shown
    assert "ZeroDivisionError" in shown and "quotient = 1 / 0" in shown
    assert list((tmp_path / "out").rglob("cards/*.json")) == []


def test_running_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("chemdl.book.run.chapter_files", dict)
    assert run("run") == 2
    assert "without its notebooks" in capsys.readouterr().err


def test_what_is_left_to_record_is_listed_with_its_hours(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("record", "--dry-run", "--only", "QM-01") == 0
    out = capsys.readouterr().out
    assert "hours on one core in all" in out or "Nothing is left" in out


def test_recording_without_an_end_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("record") == 2
    assert "--minutes" in capsys.readouterr().err


def test_data_list_names_every_dataset_with_its_licence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("data", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == datasets.names()
    assert "licence" in lines[0]
    (row,) = (line for line in lines if line.startswith("freesolv "))
    assert row.split()[1:4] == ["642", "1", "regression"]


def test_data_verify_fails_where_a_stored_file_is_not_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("data", "verify", "freesolv") == 0
    assert "embedded" in capsys.readouterr().out
    monkeypatch.setattr(datasets, "verify", lambda name: [("url", False, "wrong sha256")])
    assert run("data", "verify", "freesolv") == 1
    assert capsys.readouterr().out == "freesolv: url: wrong sha256\n"


def test_claims_are_printed_with_source_and_test(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("claims", "TOX-01") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("TOX-01  ")
    assert "source: " in shown and "tested: " in shown


def test_claims_can_be_narrowed_to_a_chapter(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("claims", "--chapter", "toxicity") == 0
    heads = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    expected = [claim.id for claim in claims.load_claims().values() if claim.chapter == "toxicity"]
    assert [head.split()[0] for head in heads] == expected
    assert 0 < len(expected) < len(claims.load_claims())


def test_claims_are_checked_against_the_registry_of_models(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("claims", "--check") == 0
    assert f"{len(claims.load_claims())} claims; " in capsys.readouterr().out
    known = claims.load_claims()["MNET-BACE"]
    assert known.test is not None
    test = known.test.model_copy(update={"a": "svm_tanimoto"})
    wrong = {known.id: known.model_copy(update={"test": test})}
    monkeypatch.setattr(claims, "load_claims", lambda: wrong)
    assert run("claims", "--check") == 1
    assert "chemdl: claim MNET-BACE is 'near', but test.a: ours, svm" in capsys.readouterr().err


def test_an_unknown_domain_is_refused_with_its_near_misses(
    capsys: pytest.CaptureFixture[str],
) -> None:
    domain = claims.load_claims()["TOX-01"].domain
    assert run("claims", "--domain", domain[:-1]) == 2
    assert f"Did you mean {domain!r}" in capsys.readouterr().err


def test_a_defect_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[str]:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(datasets, "names", broken)
    with pytest.raises(ZeroDivisionError, match="a defect"):
        cli.main(["data", "list"])


def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> list[str]:
        raise ModuleNotFoundError("No module named 'papermill'", name="papermill")

    monkeypatch.setattr(datasets, "names", missing)
    assert run("data", "list") == 1
    shown = capsys.readouterr().err
    assert f"chemdl: papermill is not installed. {extras.advice('run')}" in shown


HELP = """
import sys
from chemdl import cli
try:
    cli.main(["--help"])
finally:
    print({"numpy", "rdkit", "torch"} & set(sys.modules))
"""


def test_help_lists_the_commands_of_domains_too_and_imports_no_library(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELP], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    places = [done.stdout.index(f"\n    {name} ") for name in ("run", "data", "dock", "claims")]
    assert places == sorted(places)
    assert done.stdout.endswith("set()\n")


@pytest.mark.parametrize("command", [["-m", "chemdl", "--version"], ["-m", "chemdl", "rnu"]])
def test_the_module_runs_as_a_program(command: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == (0 if command[-1] == "--version" else 2)


# whatever the environment does


def command(folder: Path, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, in a folder."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **more.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-m", "chemdl", *arguments],
        cwd=folder,
        env={name: value for name, value in environment.items() if value is not None},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        **{"stdout": subprocess.PIPE, **more},
    )


def one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode in (1, 2)
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("chemdl: "), done.stderr
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.ENOSPC, "make room there"),
        (errno.EDQUOT, "make room there"),
        (errno.EROFS, "name a folder that you may write"),
        (errno.EACCES, "name a folder that you may write"),
        (errno.EPERM, "name a folder that you may write"),
        (errno.ENOTDIR, "a file stands where a folder is needed"),
        (errno.EEXIST, "a file stands where a folder is needed"),
        (errno.EISDIR, "a folder stands where a file is needed"),
        (errno.ENOENT, "name one that exists"),
        (errno.EIO, "name a folder that you may write"),
        (errno.EMFILE, "name a folder that you may write"),
    ],
)
def test_what_the_machine_refuses_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int, remedy: str
) -> None:
    def refused() -> list[str]:
        raise OSError(code, os.strerror(code), "/there/it is")

    monkeypatch.setattr(datasets, "names", refused)
    assert cli.main(["data", "list"]) == 1
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "/there/it is" in line and remedy in line
    assert "CHEMDL_CACHE" in line


def test_an_output_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "afile").write_text("mine")
    path = chapter(tmp_path, "1 + 1")
    done = command(tmp_path, "run", str(path), "--device", "cpu", "--output", "afile")
    one_line(done, "afile", "a file stands where a folder is needed", "--output")
    assert (tmp_path / "afile").read_text() == "mine"


def test_a_broken_notebook_is_told(tmp_path: Path) -> None:
    (tmp_path / "b.ipynb").write_text("x")
    one_line(command(tmp_path, "run", "b.ipynb"), "b.ipynb is no notebook")


def test_a_full_disk_under_the_output_is_told(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "w") as full:
        one_line(command(tmp_path, "claims", stdout=full), "No space left", "make room")


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1", "utf-8"])
def test_every_line_is_printed_in_whatever_encoding(tmp_path: Path, encoding: str) -> None:
    for words in (["claims"], ["data", "list"]):
        done = command(tmp_path, *words, env={"PYTHONIOENCODING": encoding}, encoding=encoding)
        assert (done.returncode, done.stderr) == (0, "")
        assert len(done.stdout.splitlines()) > 20


def test_a_user_without_a_home_is_told_how_to_name_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    import platformdirs

    def homeless(*_: object) -> str:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("CHEMDL_CACHE")
    monkeypatch.setattr(platformdirs, "user_cache_dir", homeless)
    with pytest.raises(OSError, match=r"no home folder.*let CHEMDL_CACHE name a folder"):
        cache_dir()
    monkeypatch.setenv("CHEMDL_CACHE", "~nobody-of-this-name/cache")
    with pytest.raises(OSError, match="no home folder"):
        cache_dir()


def test_a_chapter_that_was_taken_for_a_model_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "--models", "deep", "toxicity") == 2
    assert "'toxicity' is a chapter and no model: put chapters before --models" in (
        capsys.readouterr().err
    )
