"""The doctor: what it finds, what it says to type, and that it does not fall ill itself."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import types
from importlib import metadata
from pathlib import Path

import pytest

from chemdl import cli, doctor, extras

ROOT = Path(__file__).resolve().parents[1]
WELL = doctor.Outcome(True)
MODULES = [*doctor._MODULES, *doctor._RUNNERS, doctor._GPU]


@pytest.fixture
def all_well(monkeypatch: pytest.MonkeyPatch) -> dict[str, doctor.Outcome]:
    """Imports that go well without being made; a test changes what it wants to."""
    outcomes = dict.fromkeys(MODULES, WELL) | {doctor._GPU: doctor.Outcome(True, "none")}
    monkeypatch.setattr(doctor, "try_imports", lambda names: outcomes)
    return outcomes


def typed(report: doctor.Report) -> str:
    return "\n".join(trouble.command for trouble in report.troubles)


# what is missing, and what to type


def test_a_healthy_installation_runs_chapters(
    all_well: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert shown.rstrip().endswith("chapters can be run here")
    for words in ("a clone", "numpy", "torch", "CPU", "GPU", "writable", "freesolv", "run  "):
        assert words in shown


def test_a_missing_package_of_run_stops_chapters_and_is_named_with_its_command(
    all_well: object, absent: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    absent.add("papermill")
    assert cli.main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "! running chapters needs papermill\n" in shown
    assert "missing: papermill (runs chapters)" in shown
    assert '[run]"' in shown and 'pip install -e "' in shown
    assert shown.rstrip().endswith("mend what is marked with !")


def test_a_missing_optional_package_stops_nothing(all_well: object, absent: set[str]) -> None:
    absent.add("jupyterlab")
    report = doctor.examine()
    assert report.runs
    assert dict(report.sections["optional parts"])["lab"].startswith("missing: jupyterlab")
    assert extras.install_command("lab") in typed(report)


def test_a_package_below_its_range_is_named_with_both_versions(
    all_well: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "0.1")
    (trouble, *_) = doctor.examine().troubles
    assert trouble.stops and "torch>=2.6 (here is 0.1)" in trouble.what


def test_a_wheel_is_told_from_a_clone(wheel: object) -> None:
    assert doctor.origin().endswith("installed from the file chemdl-9.whl")


def test_a_copied_package_without_a_record_is_no_traceback(
    all_well: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    for module in (doctor, extras):
        monkeypatch.setattr(module, "clone", lambda: None)
    monkeypatch.setattr(metadata, "distribution", nothing)
    report = doctor.examine()
    assert "copied there without an installer" in str(report)
    assert "no record of what it needs" in str(report)
    assert extras.install_command("run") == ""


def test_every_part_for_readers_has_a_purpose() -> None:
    assert set(doctor.PURPOSES) == set(doctor.requirements()) - {"", "dev", "bench"}


def test_a_part_that_this_python_cannot_have_is_not_called_missing(
    all_well: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = doctor.requirements() | {"dock": []}
    monkeypatch.setattr(doctor, "requirements", lambda: needed)
    report = doctor.examine()
    assert dict(report.sections["optional parts"])["dock"].startswith("nothing for Python 3.")
    assert "dock" not in typed(report)


# broken packages


def broken_module(folder: Path, name: str, code: str) -> None:
    (folder / f"{name}.py").write_text(code, encoding="utf-8")


def test_one_that_raises_prints_or_ends_python_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    broken_module(tmp_path, "chatters", "print('[1]'); import os; os.write(1, b'noise ]')")
    broken_module(tmp_path, "lacks", "raise OSError('libnone.so.9: cannot open\\nmore')")
    broken_module(tmp_path, "crashes", "import os; os.abort()")
    broken_module(tmp_path, "leaves", "import os; os._exit(3)")
    broken_module(tmp_path, "exits", "raise SystemExit('gone')")
    found = doctor.try_imports(["chatters", "lacks", "crashes", "leaves", "exits", "json"])
    assert found == {
        "chatters": WELL,
        "lacks": doctor.Outcome(False, "OSError: libnone.so.9: cannot open"),
        "crashes": doctor.Outcome(False, "it ends Python (SIGABRT)"),
        "leaves": doctor.Outcome(False, "it ends Python (exit status 3)"),
        "exits": doctor.Outcome(False, "SystemExit: gone"),
        "json": WELL,
    }
    assert capfd.readouterr() == ("", "")


def test_one_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(doctor, "_PATIENCE", 3)
    broken_module(tmp_path, "hangs", "import time; time.sleep(60)")
    found = doctor.try_imports(["json", "hangs", "csv"])
    assert [outcome.ok for outcome in found.values()] == [True, False, True]
    assert "within 3 seconds" in found["hangs"].said


@pytest.mark.parametrize(
    ("name", "code"),
    [("torch", "raise OSError('libcudnn.so.9')"), ("rdkit", "import os; os.abort()")],
)
def test_a_broken_package_is_reported_without_a_traceback(
    name: str, code: str, tmp_path: Path
) -> None:
    # Empty ones in place of those that take seconds.
    for module in ("papermill", "ipykernel", "torch"):
        broken_module(tmp_path, module, "")
    broken_module(tmp_path, name, code)
    # Nothing here may look for an address: the proxy is one that no machine has.
    variables = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    variables |= {"https_proxy": "http://nowhere.invalid:1", "CHEMDL_CACHE": str(tmp_path / "c")}
    done = subprocess.run(
        [sys.executable, "-m", "chemdl", "doctor"],
        env=os.environ | variables,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr == ""
    assert f"! {name}" in done.stdout and "does not import" in done.stdout
    assert "--force-reinstall" in done.stdout and f"{name}==" in done.stdout
    assert "Traceback" not in done.stdout
    assert not (tmp_path / "c").exists()


def test_our_own_modules_are_named_only_when_nothing_below_them_fails(
    all_well: dict[str, doctor.Outcome],
) -> None:
    all_well["chemdl.evidence.study"] = doctor.Outcome(False, "ImportError: no name 'x'")
    (own,) = (trouble for trouble in doctor.examine().troubles if trouble.stops)
    assert own.what.startswith("chemdl.evidence.study does not import") and own.command == ""
    all_well["torch"] = doctor.Outcome(False, "OSError: libcudnn.so.9")
    (below,) = (trouble for trouble in doctor.examine().troubles if trouble.stops)
    assert below.what.startswith("torch does not import")


def test_an_absent_package_is_named_once(
    all_well: dict[str, doctor.Outcome], absent: set[str]
) -> None:
    absent.add("torch")
    for module in ("torch", "chemdl.evidence.study", doctor._GPU):
        all_well[module] = doctor.Outcome(False, "ModuleNotFoundError: No module named 'torch'")
    report = doctor.examine()
    (trouble,) = (one for one in report.troubles if one.stops)
    assert trouble.what == "chemdl needs torch"
    assert ("torch", "not installed") in report.sections["packages that results depend on"]
    assert "not known" in dict(report.sections["devices"])["GPU"]


def test_what_an_installed_package_itself_does_not_find_is_named(
    all_well: dict[str, doctor.Outcome],
) -> None:
    all_well["papermill"] = doctor.Outcome(False, "ModuleNotFoundError: No module named 'tenacity'")
    report = doctor.examine()
    assert not report.runs
    assert "tenacity" in str(report) and "--force-reinstall papermill==" in typed(report)


# devices


def fake_torch(available: bool, cuda: str | None) -> types.SimpleNamespace:
    card = types.SimpleNamespace(name="NVIDIA Test", total_memory=8e10)
    return types.SimpleNamespace(
        version=types.SimpleNamespace(cuda=cuda, hip=None),
        cuda=types.SimpleNamespace(
            is_available=lambda: available,
            device_count=lambda: 1,
            get_device_properties=lambda i: card,
        ),
    )


@pytest.mark.parametrize(
    ("available", "cuda", "words"),
    [
        (True, "12.8", "NVIDIA Test, 80.0 GB"),
        (False, "12.8", "none that PyTorch sees"),
        (False, None, "none: this build of PyTorch is for CPUs"),
    ],
)
def test_the_gpu_is_what_torch_sees(
    available: bool, cuda: str | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", fake_torch(available, cuda))
    assert doctor.gpu() == words


def test_cores_are_counted_without_joblib_too(
    all_well: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "joblib", None)
    assert "usable" in dict(doctor.examine().sections["devices"])["CPU"]


# cache, data, mirror


def test_a_cache_that_cannot_be_written_is_told_and_stops_no_chapter(
    all_well: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Below a file nobody can make a folder, not even root.
    (tmp_path / "file").touch()
    monkeypatch.setenv("CHEMDL_CACHE", str(tmp_path / "file" / "cache"))
    report = doctor.examine()
    assert dict(report.sections["cache"])["writable"] == "no"
    assert "CHEMDL_CACHE=" in typed(report)
    assert report.runs


def test_without_platformdirs_the_cache_is_not_known(
    all_well: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHEMDL_CACHE")
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    assert "not known" in dict(doctor.examine().sections["cache"])["folder"]


def test_looking_at_the_cache_leaves_no_trace(
    all_well: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHEMDL_CACHE", str(tmp_path / "new" / "cache"))
    rows = dict(doctor.examine().sections["cache"])
    assert rows["writable"] == "yes" and "not made yet" in rows["folder"]
    assert rows["size"] == "0 bytes"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "new" / "cache").mkdir(parents=True)
    (tmp_path / "new" / "cache" / "set").write_bytes(b"x" * 12_345)
    assert dict(doctor.examine().sections["cache"])["size"] == "12 kB"


def test_data_sets_that_are_here_are_named(all_well: object) -> None:
    here = dict(doctor.examine().sections["data sets"])["here"]
    assert "freesolv" in here and "pcba" not in here


def test_a_registry_that_cannot_be_read_is_told(
    all_well: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chemdl import data as datasets

    def unreadable() -> list[str]:
        raise FileNotFoundError("no datasets.yml")

    monkeypatch.setattr(datasets, "names", unreadable)
    assert "no datasets.yml" in str(doctor.examine())


def test_a_mirror_is_counted_by_the_files_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chemdl.data import registry

    monkeypatch.setenv("CHEMDL_MIRROR", str(tmp_path))
    assert ", with 0 of " in doctor._mirror()
    for name in ("sider", "cb513"):
        source = registry.entry(name).sources[-1]
        folder = "archives" if source.release else source.folder
        file = source.release.file if source.release else source.files[0].name
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / file).touch()
    assert ", with 2 of " in doctor._mirror()


@pytest.mark.parametrize(
    ("value", "words"),
    [("", "not set"), ("https://nowhere.invalid/data", "not asked"), ("/no/folder", "not there")],
)
def test_a_mirror_is_looked_at_without_a_network(
    value: str, words: str, all_well: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("the doctor reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("CHEMDL_MIRROR", value)
    report = doctor.examine()
    assert words in dict(report.sections["data sets"])["CHEMDL_MIRROR"]
    assert ("unset CHEMDL_MIRROR" in typed(report)) == (value == "/no/folder")
