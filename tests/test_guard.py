"""The guard, .ci/run, cannot be fooled by what a machine has stored: it is run on a tiny project.

The project is a git repository with the real `.ci/`. What it needs lies in a local folder: a source
archive, and the build tool that the archive asks for.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# A whole build tool: its wheel holds the Python files that lie beside pyproject.toml.
TOOL = """
import os, pathlib, tomllib, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    project = tomllib.loads(pathlib.Path("pyproject.toml").read_text())["project"]
    name = project["name"]
    needs = "".join(f"Requires-Dist: {need}\\n" for need in project.get("dependencies", []))
    files = {path.name: path.read_text() for path in pathlib.Path(".").glob("*.py")}
    info = f"{name}-1.0.dist-info/"
    files[info + "METADATA"] = f"Metadata-Version: 2.1\\nName: {name}\\nVersion: 1.0\\n{needs}"
    files[info + "WHEEL"] = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    files[info + "RECORD"] = "".join(f"{path},,\\n" for path in [*files, info + "RECORD"])
    file = f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, file), "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return file

build_editable = build_wheel
"""
PYPROJECT = """
[build-system]
requires = {requires}
build-backend = "tool"
{own}
[project]
name = "{name}"
version = "1.0"
dependencies = {needs}
"""
(UV,) = re.findall(r"^uv==.+$", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE)
OWN = 'backend-path = ["."]'
MAKEFILE = """
VENV ?= .venv

$(VENV)/.installed:
\t@cp -R $(TEMPLATE) $(VENV)
\t@$(VENV)/bin/python .ci/install.py --editable .
\t@touch $@

setup: $(VENV)/.installed
lint book short: setup
\t@$(VENV)/bin/python -c 'import archive, tiny; print("$@ has run")'
fails: setup
\t@exit 3
.PHONY: setup lint book short fails
"""
README = """# Tiny

```console
$ make {target}   # the book
```

```console
$ make another
```
"""


def call(
    command: list[str], folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@dataclass
class Machine:
    """Somebody's computer, with a home, a folder for temporary files and local packages."""

    folder: Path
    environment: dict[str, str]

    @property
    def packages(self) -> Path:
        return self.folder / "packages"

    def checkout(self, name: str, target: str = "book") -> Path:
        """Return a new repository of the tiny project, all of it committed."""
        project = self.folder / name
        shutil.copytree(ROOT / ".ci", project / ".ci", ignore=shutil.ignore_patterns("__pycache__"))
        texts = {
            "README.md": README.format(target=target),
            "Makefile": MAKEFILE,
            "constraints.txt": f"archive==1.0\n{UV}\n",
            "pyproject.toml": PYPROJECT.format(
                name="tiny", requires="[]", own=OWN, needs='["archive"]'
            ),
            "tool.py": TOOL,
            "tiny.py": "",
            ".gitignore": ".venv*\n",
        }
        for file, text in texts.items():
            (project / file).write_text(text, encoding="utf-8")
        self.commit(project)
        return project

    def commit(self, project: Path) -> None:
        me = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        for words in (["init", "--quiet"], ["add", "--all"], [*me, "commit", "-qm", "all"]):
            done = call(["git", *words], project, self.environment)
            assert done.returncode == 0, done.stderr

    def guard(self, project: Path, *options: str) -> subprocess.CompletedProcess[str]:
        """Call the guard; it must leave nothing behind, however it ends."""
        command = ["bash", ".ci/run", *(options or ("--pythons", ""))]
        done = call(command, project, self.environment)
        assert list((self.folder / "temporary").iterdir()) == []
        assert not (project / ".venv").exists()
        return done

    def setup(self, project: Path, name: str) -> subprocess.CompletedProcess[str]:
        return call(["make", "setup", f"VENV={name}"], project, self.environment)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    folder = tmp_path_factory.mktemp("machine")
    for name in ("home", "temporary", "packages", "tool", "archive-1.0"):
        (folder / name).mkdir()
    # Copied for each project, since making one with pip and uv in it takes seconds.
    template = folder / "template"
    venv.create(template, with_pip=True)
    pip = [str(template / "bin" / "python"), "-m", "pip", "install", "-qq", UV]
    got = call(pip, folder, dict(os.environ))
    if got.returncode:
        pytest.skip(f"no package index can be reached here: {got.stderr[-200:]}")

    tool, archive = folder / "tool", folder / "archive-1.0"
    (tool / "tool.py").write_text(TOOL, encoding="utf-8")
    (tool / "pyproject.toml").write_text(
        PYPROJECT.format(name="tool", requires="[]", own=OWN, needs="[]"), encoding="utf-8"
    )
    (archive / "archive.py").write_text("", encoding="utf-8")
    (archive / "pyproject.toml").write_text(
        PYPROJECT.format(name="archive", requires='["tool"]', own="", needs="[]"), encoding="utf-8"
    )
    build = [sys.executable, "-c", "import tool; tool.build_wheel('../packages')"]
    assert call(build, tool, dict(os.environ)).returncode == 0
    with tarfile.open(folder / "packages" / "archive-1.0.tar.gz", "w:gz") as file:
        file.add(archive, archive.name)

    # The home is new, packages come from the local folder alone, and what is built is stored.
    own = ("PIP_", "UV_", "XDG_", "VIRTUAL_ENV", "PYTHON", "VENV")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(own)}
    environment |= {
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "temporary"),
        "TEMPLATE": str(template),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder / "packages"),
    }
    return Machine(folder, environment)


@pytest.fixture(scope="module")
def stored(machine: Machine) -> Machine:
    """The machine after an installation: a wheel of the archive lies in its cache."""
    done = machine.setup(machine.checkout("stored"), ".venv-first")
    assert done.returncode == 0, done.stdout + done.stderr
    assert list((machine.folder / "home").rglob("archive-1.0-py3-none-any*"))
    return machine


@contextmanager
def hide_the_build_tool(machine: Machine, project: Path) -> Iterator[None]:
    tool = machine.packages / "tool-1.0-py3-none-any.whl"
    away = tool.rename(machine.folder / tool.name)
    yield
    away.rename(tool)


@contextmanager
def switch_isolation_off(machine: Machine, project: Path) -> Iterator[None]:
    script = project / ".ci" / "install.py"
    text = script.read_text(encoding="utf-8")
    changed = text.replace('"install", "--quiet"', '"install", "--quiet", "--no-build-isolation"')
    assert changed != text
    script.write_text(changed, encoding="utf-8")
    machine.commit(project)
    yield


def test_a_sound_project_passes_and_the_table_says_what_was_done(machine: Machine) -> None:
    done = machine.guard(machine.checkout("sound"), "--pythons", "3.99")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lint has run" in done.stdout and "book has run" in done.stdout
    table = done.stdout.partition("seconds")[2]
    assert [line.split("  ")[-1] for line in table.splitlines()[1:]] == [
        "make setup",
        "make lint",
        "make book",
        "Python 3.99: not to be had",
    ]


@pytest.mark.parametrize("damage", [switch_isolation_off, hide_the_build_tool])
def test_a_stored_wheel_hides_a_missing_build_tool_but_not_from_the_guard(
    stored: Machine, damage
) -> None:
    project = stored.checkout(damage.__name__)
    with damage(stored, project):
        fooled = stored.setup(project, ".venv-fooled")
        done = stored.guard(project)
    assert fooled.returncode == 0, fooled.stdout + fooled.stderr
    assert done.returncode != 0
    assert "tool" in done.stderr
    assert ".ci/run failed at: make setup" in done.stderr


def test_a_command_of_the_readme_that_fails_is_seen(machine: Machine) -> None:
    done = machine.guard(machine.checkout("failing", target="fails"))
    assert done.returncode != 0
    assert ".ci/run failed at: make fails" in done.stderr


def test_a_readme_without_commands_is_seen(machine: Machine) -> None:
    project = machine.checkout("silent")
    (project / "README.md").write_text("# Tiny\n\n```console\n$ ls\n```\n", encoding="utf-8")
    done = machine.guard(project)
    assert done.returncode != 0
    assert "README.md" in done.stderr
