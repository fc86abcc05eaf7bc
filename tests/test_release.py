"""A release: what it refuses, what it holds, and that the same commit gives the same bytes."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import chemdl

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "chemdl"
dynamic = ["version"]
requires-python = ">=3"
[tool.hatch.version]
path = "chemdl/__init__.py"
"""
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-01-02\n\n- New.\n"


def git(folder: Path, *arguments: str) -> None:
    # Nobody's own settings: signing, hooks and names differ from machine to machine.
    own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    command = ["git", *who, "-C", str(folder), *arguments]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | own)


@pytest.fixture(scope="module")
def release() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", ROOT / ".ci" / "release.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small committed project with a built site."""
    root = tmp_path / "project"
    files = {
        "chemdl/__init__.py": '__version__ = "1.2.0"\n',
        "pyproject.toml": PYPROJECT,
        "CHANGELOG.md": CHANGELOG,
        "CITATION.cff": "cff-version: 1.2.0\nversion: 1.2.0\n",
        ".gitignore": "_build/\ndist/\n",
        "_build/html/index.html": "<p>the book</p>",
        "_build/html/static/a.css": "p {}",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    git(root, "init", "--quiet")
    commit(root)
    return root


def commit(root: Path) -> None:
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "x")


def test_version_changelog_and_citation_are_in_step(release: ModuleType) -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert cited["version"] == release.version_of(ROOT) == chemdl.__version__
    assert release.changes(ROOT, chemdl.__version__)


def test_a_clean_tree_with_a_version_of_its_own_is_released(
    release: ModuleType, project: Path
) -> None:
    assert release.refusals(project) == []
    git(project, "tag", "v1.2.0")
    assert release.refusals(project) == []


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("CHANGELOG.md", CHANGELOG.replace("- New.", ""), "CHANGELOG.md says nothing"),
        ("CHANGELOG.md", CHANGELOG.replace("1.2.0", "1.2"), "CHANGELOG.md says nothing"),
        ("CHANGELOG.md", CHANGELOG.replace("2026-01-02", "soon"), "CHANGELOG.md says nothing"),
        ("CITATION.cff", "cff-version: 1.2.0\nversion: 1.1.0\n", "CITATION.cff"),
        ("chemdl/__init__.py", '__version__ = "1.3.0"\n', "[1.3.0]"),
    ],
)
def test_a_version_that_is_not_written_down_is_refused(
    file: str, text: str, words: str, release: ModuleType, project: Path
) -> None:
    (project / file).write_text(text, encoding="utf-8")
    commit(project)
    assert any(words in problem for problem in release.refusals(project))


@pytest.mark.parametrize("name", ["chemdl/__init__.py", "new.txt"], ids=["changed", "untracked"])
def test_a_dirty_tree_is_refused(name: str, release: ModuleType, project: Path) -> None:
    with (project / name).open("a", encoding="utf-8") as file:
        file.write("\n")
    assert release.refusals(project) == [f"not everything is committed: {name}"]


def test_a_version_that_is_another_commits_is_refused(release: ModuleType, project: Path) -> None:
    git(project, "tag", "v1.2.0")
    (project / "new.txt").touch()
    commit(project)
    (problem,) = release.refusals(project)
    assert "v1.2.0 is another commit" in problem


def test_the_files_of_a_release_are_whole_and_the_same_when_made_again(
    release: ModuleType, project: Path
) -> None:
    target = project / "dist"
    target.mkdir()
    (target / "chemdl-0.9-py3-none-any.whl").write_text("of an earlier release")
    names = [path.name for path in release.build(project, target)]
    assert names == [
        "chemdl-1.2.0-py3-none-any.whl",
        "chemdl-1.2.0-site.tar.gz",
        "chemdl-1.2.0.tar.gz",
        "SHA256SUMS",
    ]
    assert sorted(path.name for path in target.iterdir()) == sorted(names)
    assert "chemdl/__init__.py" in zipfile.ZipFile(target / names[0]).namelist()
    with tarfile.open(target / names[1]) as site:
        members = {member.name: member for member in site.getmembers()}
    assert "chemdl-1.2.0-site/index.html" in members
    assert {(m.uid, m.uname) for m in members.values()} == {(0, "")}
    committed = int(release.git(project, "log", "-1", "--format=%ct"))
    with tarfile.open(target / names[2]) as source:
        dated = {member.mtime for member in [*members.values(), *source.getmembers()]}
    assert dated == {committed}
    sums = (target / "SHA256SUMS").read_text("utf-8")
    for line in sums.splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((target / name).read_bytes()).hexdigest() == digest
    assert sums.count("\n") == 3

    # Another day, other permissions, another order on the disk: the same bytes.
    page = project / "_build" / "html" / "index.html"
    text = page.read_text()
    page.unlink()
    page.write_text(text)
    page.chmod(0o600)
    os.utime(page, (1, 1))
    os.utime(project / "chemdl" / "__init__.py", (1, 1))
    release.build(project, target)
    assert (target / "SHA256SUMS").read_text("utf-8") == sums


def test_the_program_says_what_speaks_against_a_release(project: Path) -> None:
    (project / ".ci").mkdir()
    (project / ".ci" / "release.py").write_bytes((ROOT / ".ci" / "release.py").read_bytes())

    def run(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, ".ci/release.py", *arguments]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    code, said = run("check")
    assert code == 1 and "not everything is committed: .ci/" in said
    commit(project)
    assert run("check") == (0, "")
    (project / "_build" / "html" / "index.html").unlink()
    assert run("build") == (1, "no release:\n  the site is not built: make book\n")
    assert not (project / "dist").exists()
    assert run("bulid")[0] == 2
