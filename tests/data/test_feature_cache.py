"""Rows are computed once, kept within a bound, found again on disk, mended when a file broke."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from chemdl.data import feature_cache as cache
from chemdl.data.feature_cache import RowCache


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
    monkeypatch.setattr("chemdl.data.feature_cache.metadata.version", lambda _name: "1900.1.1")
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


# --- blocks ---------------------------------------------------------------------------------------


class _Stopped(_Lengths):
    """Someone stops the process when so many blocks are there."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        if len(self.asked) == self.after:
            raise KeyboardInterrupt
        return super().__call__(texts)


def test_blocks_do_not_change_the_rows() -> None:
    compute = _Lengths()
    rows = RowCache("lengths", {}, compute, block=30)
    for n in (10, 100, 131):
        np.testing.assert_array_equal(rows.rows(_texts(n)[::-1]), _expected(_texts(n)[::-1]))
    assert [len(texts) for texts in compute.asked] == [10, 30, 30, 30, 30, 1]


def test_a_stopped_featurisation_goes_on_after_its_last_block(capfd: pytest.CaptureFixture) -> None:
    texts = _texts(100)
    with pytest.raises(KeyboardInterrupt):
        RowCache("lengths", {}, _Stopped(after=2), block=30).rows(texts)
    capfd.readouterr()
    compute = _Lengths()
    rows = RowCache("lengths", {}, compute, block=30)
    np.testing.assert_array_equal(rows.rows(texts), _expected(texts))
    assert compute.asked == [texts[60:90], texts[90:]]
    shown = capfd.readouterr().err
    assert "features lengths" in shown and "100/100" in shown and "| 60/100" in shown
    # A third process finds all of them, and has nothing to show.
    again = _Lengths()
    found = RowCache("lengths", {}, again, block=30).rows(texts)
    np.testing.assert_array_equal(found, _expected(texts))
    assert again.asked == []
    assert capfd.readouterr().err == ""


def test_a_stop_leaves_no_row_that_was_not_computed() -> None:
    compute = _Stopped(after=2)
    rows = RowCache("lengths", {}, compute, block=30)
    with pytest.raises(KeyboardInterrupt):
        rows.rows(_texts(100))
    compute.after = -1
    np.testing.assert_array_equal(rows.rows(_texts(100)), _expected(_texts(100)))


def test_long_work_draws_a_bar_and_short_work_none(capfd: pytest.CaptureFixture) -> None:
    RowCache("lengths", {}, _Lengths(), block=100).rows(_texts(100))
    assert capfd.readouterr().err == ""
    RowCache("widths", {}, _Lengths(), block=40).rows(_texts(100))
    assert "100/100" in capfd.readouterr().err


def test_an_error_in_a_later_block_names_the_callers_row() -> None:
    rows = RowCache("lengths", {}, _Lengths(), block=10)
    with pytest.raises(ValueError, match="row 25"):
        rows.rows([*_texts(25), "bad", *_texts(3, start=25)])


# --- one copy in memory ---------------------------------------------------------------------------


def test_rows_that_are_not_the_callers_own_are_no_copy_and_cannot_be_changed() -> None:
    rows = RowCache("lengths", {}, _Lengths())
    texts = _texts(50)
    whole = rows.rows(texts, own=False)
    assert rows._matrix is not None and np.shares_memory(whole, rows._matrix)
    part = rows.rows(texts[10:20], own=False)
    assert np.shares_memory(part, rows._matrix)
    scattered = rows.rows(texts[::-1], own=False)
    for found in (whole, part, scattered):
        with pytest.raises(ValueError, match="read-only"):
            found[0] = 7
    np.testing.assert_array_equal(part, _expected(texts[10:20]))
    np.testing.assert_array_equal(scattered, _expected(texts[::-1]))
    rows.rows(texts)[:] = 7
    np.testing.assert_array_equal(whole, _expected(texts))
    # What was handed out stays what it was when the matrix grows.
    rows.rows(_texts(200))
    np.testing.assert_array_equal(whole, _expected(texts))


def test_a_stream_is_computed_once_a_block_and_leaves_nothing(folder: Path) -> None:
    compute, texts = _Lengths(), _texts(100)
    for _ in range(2):
        with cache.uncached():
            for _ in range(2):
                rows = cache.cached_rows("streamed", {}, texts, compute)
                np.testing.assert_array_equal(rows, _expected(texts))
    assert compute.asked == [texts, texts]
    assert not folder.exists()
