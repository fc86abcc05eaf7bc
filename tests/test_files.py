"""Where files lie, and that nobody sees half of one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


names = st.text("abc", min_size=1, max_size=2)


@given(st.lists(names, min_size=1, max_size=6))
def test_a_name_of_a_record_stands_once(keys: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "records.yml"
        path.write_text("sets:\n" + "".join(f"  {key}: {i}\n" for i, key in enumerate(keys)))
        if len(set(keys)) == len(keys):
            assert list(files.read_yaml(path)["sets"]) == keys
        else:
            with pytest.raises(ValueError, match=r"^records\.yml: .* stands twice .* line \d+"):
                files.read_yaml(path)


@pytest.mark.parametrize("text", ["a: [1", "a: b: c", "\t- x", "&a *b", "!!python/object:os.x {}"])
def test_text_that_is_no_record_is_named_in_a_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "records.yml").write_text(text)
    with pytest.raises(ValueError, match=r"^records\.yml: .*; mend the file$"):
        files.read_yaml(tmp_path / "records.yml")


def test_merged_mappings_are_read_as_yaml_has_them(tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_text("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\n")
    assert files.read_yaml(tmp_path / "r.yml")["b"] == {"x": 1, "y": 3}


def test_what_a_kill_left_is_swept_after_a_day(tmp_path: Path) -> None:
    old, new = tmp_path / "a" / ".chemdl-old.npz", tmp_path / ".chemdl-new.json"
    (tmp_path / "a").mkdir()
    for path in (old, new, tmp_path / "a" / "kept.npz"):
        path.write_text("half")
    os.utime(old, (0, 0))
    os.utime(tmp_path / "a" / "kept.npz", (0, 0))
    files.sweep(tmp_path)
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert left == [".chemdl-new.json", "kept.npz"]


def test_a_file_is_as_open_to_others_as_the_users_mask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    files._umask.cache_clear()
    try:
        with write_atomically(tmp_path / "mine") as path:
            path.write_text("x")
        assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)
        files._umask.cache_clear()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[" * 5_000 + "]" * 5_000, "nested deeper"),
        ("- " * 5_000 + "x", "nested deeper"),
        ("- &a [x]\n" + "- [" + ", ".join(["*a"] * 50) + "]", "aliases"),
        ("a: 2026-13-45", "mend the file"),
    ],
)
def test_records_that_a_loader_would_follow_without_end_are_told_in_a_line(
    tmp_path: Path, text: str, what: str
) -> None:
    (tmp_path / "records.yml").write_text(text, "utf-8")
    with pytest.raises(files.RecordFileError, match=rf"records\.yml.*{what}"):
        files.read_yaml(tmp_path / "records.yml")
