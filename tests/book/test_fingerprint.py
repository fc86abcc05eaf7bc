"""A run's key moves with all that its numbers depend on, and with nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import chemdl
from chemdl.book import fingerprint

PACKAGE = Path(chemdl.__file__).parent


def test_a_run_has_a_key_of_its_cells_parameters_and_versions(make_chapter):
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


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """A copy of the package, whose files may be changed."""
    copy = tmp_path / "chemdl"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(fingerprint, "__file__", str(copy / "book" / "fingerprint.py"))
    return copy


def code(package: Path) -> str:
    fingerprint.package_code.cache_clear()
    try:
        return fingerprint.package_code()
    finally:
        fingerprint.package_code.cache_clear()


def test_the_package_counts_but_for_what_changes_no_number(package):
    before = code(package)
    for name in ("book/site.py", "cli.py", "__main__.py"):
        path = package / name
        path.write_text(path.read_text() + "\nCHANGED = 1\n")
        assert code(package) == before, name
    for name in ("evidence/study.py", "molecules/nets/multitask.py", "show/figures.py"):
        path = package / name
        path.write_text(path.read_text() + "\nCHANGED = 1\n")
        assert code(package) != before, name
        before = code(package)


def test_the_records_that_chapters_read_count(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprint, "data_dir", lambda: tmp_path)
    (tmp_path / "claims.yml").write_text("[]")
    before = fingerprint.data_records()
    recorded = tmp_path / "results" / "full" / "tiny.json"
    recorded.parent.mkdir(parents=True)
    recorded.write_text("{}")
    assert fingerprint.data_records() == [*before, b"{}"]
    (recorded.parent / ".tmp1.json").write_text("half")
    assert fingerprint.data_records() == [*before, b"{}"]


def test_parts_do_not_run_into_each_other():
    assert fingerprint.digest(["ab", "c"]) != fingerprint.digest(["a", "bc"])
    assert fingerprint.digest(["ab"]) == fingerprint.digest([b"ab"])
