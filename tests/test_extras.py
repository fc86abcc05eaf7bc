"""What is missing is named with a command that works for whoever installed chemdl, and however."""

from __future__ import annotations

import shlex
import sys
from importlib import metadata
from pathlib import Path

import pytest

from chemdl import extras

ROOT = Path(__file__).resolve().parents[1]


def test_a_damaged_record_counts_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: None)
    assert extras.installed_version("torch") is None


def test_in_a_clone_the_command_installs_the_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert extras.install_command("run").endswith('pip install -e ".[run]"')
    assert extras.install_command().endswith("pip install -e .")
    monkeypatch.chdir(ROOT / "tests")
    assert extras.install_command("run").endswith(f'pip install -e "{ROOT}[run]"')


def test_from_a_wheel_the_command_names_the_packages_that_are_missing(
    wheel: object, absent: set[str]
) -> None:
    absent.update({"papermill", "nbclient"})
    words = shlex.split(extras.install_command("run"))
    assert words[words.index("install") + 1 :] == ["nbclient>=0.10", "papermill>=2.6"]
    # Nothing is missing: the command still says what the part is.
    absent.clear()
    assert "papermill>=2.6" in extras.install_command("run")
    assert "chemdl" not in extras.install_command("book").partition("install")[2]
    assert '"torch>=2.6"' in extras.install_command()


def test_a_wheel_and_its_clone_need_the_same(
    wheel: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_wheel = {k: sorted(map(extras._plain, v)) for k, v in extras.requirements().items()}
    monkeypatch.setattr(extras, "clone", lambda: ROOT)
    from_clone = {k: sorted(map(extras._plain, v)) for k, v in extras.requirements().items()}
    for part in ("", "run", "lab", "materials", "dock", "deepchem"):
        assert from_wheel[part] == from_clone[part]
    assert set(from_clone["run"]) <= set(from_clone["book"])
    assert not any(name.startswith("chemdl") for name in from_clone["book"])


def test_the_command_calls_the_python_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "my place" / "python"
    own.parent.mkdir()
    own.touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(own))
    assert shlex.split(extras.pip_install())[0] == str(own)
    monkeypatch.chdir(tmp_path)
    assert shlex.split(extras.pip_install())[0] == "my place/python"
    monkeypatch.setenv("PATH", str(own.parent))
    assert extras.pip_install() == "python -m pip install"


def test_without_pip_the_command_is_uvs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None)
    (tmp_path / "uv").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert extras.pip_install().startswith("uv pip install --python ")


def test_what_this_python_cannot_have_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = extras.requirements() | {"dock": []}
    monkeypatch.setattr(extras, "requirements", lambda: needed)
    assert extras.advice("dock").startswith("It has no release for Python 3.")


@pytest.mark.parametrize("extra", ["run", "book", "materials"])
def test_no_advice_asks_an_index_for_chemdl(wheel: object, extra: str) -> None:
    words = shlex.split(extras.advice(extra).removeprefix("To install it: "))
    assert words[1:4] == ["-m", "pip", "install"]
    assert not [word for word in words[4:] if word.startswith("chemdl")]


def test_no_sentence_asks_an_index_for_chemdl(root: Path) -> None:
    texts = [*root.glob("chemdl/**/*.py"), *root.glob("chapters/*.ipynb"), *root.glob("pages/*.md")]
    wrong = [
        f"{path.name}: {line.strip()}"
        for path in [*texts, root / "README.md", root / "index.md"]
        for line in path.read_text(encoding="utf-8").splitlines()
        if "install" in line and "chemdl[" in line and path.name != "extras.py"
    ]
    assert wrong == []
