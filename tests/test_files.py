"""Where files lie, and that nobody sees half of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from chemdl import files
from chemdl.files import write_atomically


def test_the_checkout_is_found_from_its_chapters(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root / "chapters")
    assert files.project_root() == root
    assert (files.data_dir() / "datasets.yml").is_file()


def test_a_clone_has_its_data_and_chapters_beside_the_package(root: Path) -> None:
    assert files.clone() == root
    assert files.data_dir() == root / "data"
    assert files.chapters_dir() == root / "chapters"


def test_an_installed_package_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(files, "__file__", str(tmp_path / "lib" / "chemdl" / "files.py"))
    assert files.clone() is None and files.project_root() is None
    assert files.data_dir() == tmp_path / "lib" / "chemdl" / "_data"
    assert files.chapters_dir() == tmp_path / "lib" / "chemdl" / "_chapters"


def test_the_cache_is_where_the_variable_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHEMDL_CACHE", str(tmp_path))
    assert files.cache_dir() == tmp_path
    monkeypatch.delenv("CHEMDL_CACHE")
    assert files.cache_dir().name == "chemdl"


# --- atomic writes --------------------------------------------------------------------------------


def test_a_write_makes_folders_and_a_readable_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "card.json"
    with write_atomically(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.suffix == path.suffix
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert [p.name for p in path.parent.iterdir()] == ["card.json"]
    assert path.stat().st_mode & 0o444 == 0o444


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failed_write_leaves_the_old_file_alone(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "card.json"
    path.write_text("old")
    with pytest.raises(error), write_atomically(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["card.json"]
