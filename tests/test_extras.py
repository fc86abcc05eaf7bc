"""What is missing is named with a command that works for whoever installed chemdl, and however."""

from __future__ import annotations

import shlex
import sys
from importlib import metadata
from pathlib import Path

import pytest

from chemdl import extras

# As the metadata of an installed chemdl have it.
REQUIRED = [
    "numpy>=2.0",
    "papermill>=2.6; extra == 'run'",
    "no-such-package<2,>=1.0; extra == 'run'",
    "vina>=1.2; (python_version < '3') and extra == 'dock'",
]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Stand-ins for what is installed: the metadata of chemdl, and versions by package."""
    versions = {"numpy": "2.1.3", "papermill": "2.7.0"}

    def version(name: str) -> str:
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(extras.metadata, "requires", lambda name: REQUIRED)
    monkeypatch.setattr(extras.metadata, "version", version)
    return versions


def packages(extra: str) -> list[str]:
    """Return what the advised command installs, as a shell reads it."""
    command = extras.advice(extra).removeprefix("To install it: ")
    python, *rest = shlex.split(command)
    assert (python, rest[:3]) == (sys.executable, ["-m", "pip", "install"])
    return rest[3:]


def test_the_missing_packages_themselves_are_named(installed: dict[str, str]) -> None:
    assert packages("run") == ["no-such-package<2,>=1.0"]
    installed["papermill"] = "2.5"
    del installed["numpy"]
    assert packages("run") == ["no-such-package<2,>=1.0", "numpy>=2.0", "papermill>=2.6"]


def test_where_nothing_is_missing_all_are_named(installed: dict[str, str]) -> None:
    installed["no-such-package"] = "1.5"
    assert packages("run") == ["no-such-package<2,>=1.0", "numpy>=2.0", "papermill>=2.6"]


def test_what_this_python_cannot_have_is_said(installed: dict[str, str]) -> None:
    assert extras.advice("dock").startswith("It has no release for Python 3.")


def test_a_checkout_that_is_not_installed_names_its_folder(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(extras.metadata, "requires", nothing)
    assert packages("run") == ["-e", f"{root}[run]"]


@pytest.mark.parametrize("extra", ["run", "book", "materials"])
def test_no_advice_asks_an_index_for_chemdl(extra: str) -> None:
    assert not [package for package in packages(extra) if package.startswith("chemdl")]


def test_no_sentence_asks_an_index_for_chemdl(root: Path) -> None:
    texts = [*root.glob("chemdl/**/*.py"), *root.glob("chapters/*.ipynb"), *root.glob("pages/*.md")]
    wrong = [
        f"{path.name}: {line.strip()}"
        for path in [*texts, root / "README.md", root / "index.md"]
        for line in path.read_text(encoding="utf-8").splitlines()
        if "install" in line and "chemdl[" in line and path.name != "extras.py"
    ]
    assert wrong == []
