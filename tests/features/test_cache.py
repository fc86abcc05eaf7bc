"""Rows are computed once, kept within a bound, found again on disk, mended when a file broke."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from chemdl.features import cache
from chemdl.features.cache import RowCache


class _Lengths:
    """A feature that can be checked by eye, and counts what it was asked to compute."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.asked.append(list(texts))
        if "bad" in texts:
            raise ValueError(f"row {list(texts).index('bad')}: cannot read 'bad'")
        return np.array([[len(t), t.count("a")] for t in texts], dtype=np.float32)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("CHEMDL_CACHE", str(tmp_path))
    return tmp_path / "features"


def _texts(n: int, start: int = 0) -> list[str]:
    return ["a" * i + "b" for i in range(start, start + n)]


def _expected(texts: Sequence[str]) -> np.ndarray:
    return _Lengths()(texts)


def test_rows_come_in_the_order_asked_for() -> None:
    compute = _Lengths()
    rows = RowCache("lengths", {}, compute)
    texts = ["aab", "b", "aab", "ab"]
    np.testing.assert_array_equal(rows.rows(texts), _expected(texts))
    assert compute.asked == [["aab", "b", "ab"]]


def test_subset_is_a_lookup_and_only_new_rows_are_computed() -> None:
    compute = _Lengths()
    rows = RowCache("lengths", {}, compute)
    rows.rows(_texts(30))
    part = _texts(30)[::-7]
    np.testing.assert_array_equal(rows.rows(part), _expected(part))
    mixed = [*_texts(3, start=28), "b"]
    np.testing.assert_array_equal(rows.rows(mixed), _expected(mixed))
    assert compute.asked[1:] == [[_texts(1, start=30)[0]]]


def test_growth_keeps_earlier_rows() -> None:
    rows = RowCache("lengths", {}, _Lengths())
    for n in (3, 5, 40, 41, 100):
        np.testing.assert_array_equal(rows.rows(_texts(n)), _expected(_texts(n)))


def test_bound_is_kept_and_the_rows_are_right_beyond_it() -> None:
    compute = _Lengths()
    rows = RowCache("lengths", {}, compute, bound=8 * 10)
    rows.rows(_texts(8))
    many = _texts(20)[::-1]
    for _ in range(2):
        np.testing.assert_array_equal(rows.rows(many), _expected(many))
    assert len(compute.asked) == 3
    assert rows._matrix is not None
    assert rows._matrix.nbytes <= 80


def test_disk_serves_the_next_process(folder: Path) -> None:
    texts = _texts(cache.FEWEST_ON_DISK)
    RowCache("lengths", {"k": 1}, _Lengths()).rows(texts)
    assert len(list(folder.iterdir())) == 1
    compute = _Lengths()
    np.testing.assert_array_equal(
        RowCache("lengths", {"k": 1}, compute).rows(texts), _expected(texts)
    )
    assert compute.asked == []


def test_name_parameters_inputs_and_rdkit_make_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = _texts(3)
    paths = {
        RowCache("lengths", {"k": 1}, _Lengths()).path(texts),
        RowCache("lengths", {"k": 2}, _Lengths()).path(texts),
        RowCache("widths", {"k": 1}, _Lengths()).path(texts),
        RowCache("lengths", {"k": 1}, _Lengths()).path(texts[::-1]),
    }
    monkeypatch.setattr("rdkit.__version__", "1900.01.1")
    paths.add(RowCache("lengths", {"k": 1}, _Lengths()).path(texts))
    assert len(paths) == 5


def test_few_rows_make_no_file(folder: Path) -> None:
    RowCache("lengths", {}, _Lengths()).rows(_texts(cache.FEWEST_ON_DISK - 1))
    assert not folder.exists()


def _cut_off(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [_cut_off, _flipped, lambda _: b"", lambda _: b"not a zip"])
def test_damaged_file_is_rebuilt(damage: object, folder: Path) -> None:
    texts = _texts(100)
    RowCache("lengths", {}, _Lengths()).rows(texts)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))  # type: ignore[operator]
    compute = _Lengths()
    np.testing.assert_array_equal(RowCache("lengths", {}, compute).rows(texts), _expected(texts))
    assert len(compute.asked) == 1
    assert cache.read_rows(path, 100) is not None


def test_file_of_another_length_is_not_used(folder: Path) -> None:
    texts = _texts(100)
    rows = RowCache("lengths", {}, _Lengths())
    cache.write_rows(rows.path(texts), np.zeros((99, 2)))
    np.testing.assert_array_equal(rows.rows(texts), _expected(texts))


def test_folder_that_takes_no_file_is_a_warning(folder: Path) -> None:
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("a file stands where the folder should")
    with pytest.warns(RuntimeWarning, match="CHEMDL_CACHE"):
        found = RowCache("lengths", {}, _Lengths()).rows(_texts(100))
    np.testing.assert_array_equal(found, _expected(_texts(100)))


def test_error_names_the_callers_row_and_keeps_nothing() -> None:
    compute = _Lengths()
    rows = RowCache("lengths", {}, compute)
    rows.rows(_texts(5))
    with pytest.raises(ValueError, match="row 5"):
        rows.rows([*_texts(5), "bad"])
    np.testing.assert_array_equal(rows.rows(["aaa"]), _expected(["aaa"]))


def test_clones_share_one_cache() -> None:
    compute = _Lengths()
    cache.forget()
    for _ in range(2):
        cache.cached_rows("shared", {"k": 1}, _texts(4), compute)
    assert len(compute.asked) == 1
    cache.forget()
    cache.cached_rows("shared", {"k": 1}, _texts(4), compute)
    assert len(compute.asked) == 2


def test_a_stopped_run_goes_on_with_the_next_block(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "BLOCK_ROWS", 100)
    asked: list[str] = []

    def compute(texts: Sequence[str]) -> np.ndarray:
        if "C250" in texts and len(asked) < 300:
            raise KeyboardInterrupt
        asked.extend(texts)
        return np.array([[len(text)] for text in texts])

    smiles = [f"C{n}" for n in range(300)]
    with pytest.raises(KeyboardInterrupt):
        RowCache("length", {}, compute).rows(smiles)
    assert asked == smiles[:200]
    asked.extend([""] * 100)
    rows = RowCache("length", {}, compute).rows(smiles)
    assert asked[300:] == smiles[200:]
    assert rows.ravel().tolist() == [len(text) for text in smiles]
