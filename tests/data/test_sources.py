"""Files from folders, addresses and the cache: whole and of the registered hash, or not at all."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chemdl import data as datasets
from chemdl.data import HashMismatchError, UnavailableError, sources, transfer

from .conftest import TABLE, sha256

Listing = Callable[[Path], list[str]]


def cache() -> Path:
    return Path(os.environ["CHEMDL_CACHE"])


def test_a_set_comes_from_its_address_once(registry: Any, server: Any) -> None:
    server.files["t.csv"] = TABLE
    registry.add("small", server.url_source("t.csv"))
    assert datasets.describe("small")["here"] is False
    assert list(datasets.load("small").inputs) == ["CCO", "CCC", "c1ccccc1"]
    datasets.load("small")
    assert server.asked == ["t.csv"]
    assert datasets.describe("small")["here"] is True
    assert datasets.fetch("small") == cache() / "datasets" / "small"


def test_the_mirror_is_asked_first_as_a_folder_and_as_an_address(
    registry: Any, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files |= {"t.csv": TABLE, "mirror/small/t.csv": TABLE}
    registry.add("small", server.url_source("t.csv"))
    monkeypatch.setenv("CHEMDL_MIRROR", server.address + "/mirror/")
    datasets.fetch("small")
    assert server.asked == ["mirror/small/t.csv"]
    folder = tmp_path / "mirror"
    (folder / "small").mkdir(parents=True)
    (folder / "small" / "t.csv").write_bytes(TABLE)
    monkeypatch.setenv("CHEMDL_MIRROR", str(folder))
    datasets.load("small", cache=tmp_path / "other")
    assert len(server.asked) == 1


def test_where_nothing_can_be_written_a_mirror_is_read_where_it_lies(
    registry: Any, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["t.csv"] = TABLE
    registry.add("small", server.url_source("t.csv"))
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "t.csv").write_bytes(TABLE)
    monkeypatch.setenv("CHEMDL_MIRROR", str(tmp_path))
    (tmp_path / "file").touch()
    assert len(datasets.load("small", cache=tmp_path / "file" / "cache")) == 3
    assert server.asked == []
    # Other bytes are refused there too, and without a mirror the folder is the error.
    (tmp_path / "small" / "t.csv").write_bytes(TABLE + b"C,1\n")
    with pytest.raises((OSError, HashMismatchError)):
        datasets.load("small", cache=tmp_path / "file" / "cache")


def test_a_mirror_without_the_file_lets_the_address_be_asked(
    registry: Any, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["t.csv"] = TABLE
    registry.add("small", server.url_source("t.csv"))
    monkeypatch.setenv("CHEMDL_MIRROR", str(tmp_path / "none"))
    datasets.fetch("small")
    assert server.asked == ["t.csv"]


@pytest.mark.parametrize("where", ["mirror", "address"])
def test_other_bytes_are_refused_and_leave_nothing(
    registry: Any, server: Any, files_under: Listing, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    server.files |= {"t.csv": TABLE, "mirror/small/t.csv": TABLE + b"C,1\n"}
    registry.add("small", server.url_source("t.csv"))
    if where == "mirror":
        monkeypatch.setenv("CHEMDL_MIRROR", server.address + "/mirror")
    else:
        server.files["t.csv"] = TABLE + b"C,1\n"
    with pytest.raises(HashMismatchError, match=sha256(TABLE + b"C,1\n")):
        datasets.load("small")
    assert files_under(cache()) == []


def test_other_bytes_stop_the_search_although_another_source_has_the_right_ones(
    registry: Any, server: Any
) -> None:
    server.files["t.csv"] = TABLE
    source = registry.embed("small.csv.gz", TABLE)
    registry.add("small", source, server.url_source("t.csv"))
    (registry.folder / "embedded" / "small.csv.gz").write_bytes(gzip.compress(TABLE + b"C,1\n"))
    with pytest.raises(HashMismatchError, match="restore it from the repository"):
        datasets.load("small")
    assert server.asked == []


def test_a_missing_embedded_file_lets_the_next_source_be_asked(registry: Any, server: Any) -> None:
    server.files["t.csv"] = TABLE
    source = registry.embed("small.csv.gz", TABLE)
    registry.add("small", source, server.url_source("t.csv"))
    by_embedded = datasets.load("small")
    (registry.folder / "embedded" / "small.csv.gz").unlink()
    by_address = datasets.load("small")
    assert by_address.card["content_sha256"] == by_embedded.card["content_sha256"]
    assert by_address.card["source"].startswith("url http://127.0.0.1")


def test_a_cut_off_embedded_file_is_refused(registry: Any) -> None:
    registry.add("small", registry.embed("small.csv.gz", TABLE))
    path = registry.folder / "embedded" / "small.csv.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(HashMismatchError, match="cut off or damaged"):
        datasets.load("small")
    assert datasets.verify("small")[0][1] is False


def test_a_cut_off_transfer_is_tried_again_then_refused_and_leaves_nothing(
    registry: Any, server: Any, files_under: Listing
) -> None:
    server.files["t.csv"] = TABLE
    server.cut.add("t.csv")
    registry.add("small", server.url_source("t.csv"))
    with pytest.raises(UnavailableError, match=r"cannot be reached or broke off.* 16 more"):
        datasets.fetch("small", progress=False)
    assert server.asked == ["t.csv"] * 3
    assert files_under(cache()) == []
    server.cut.clear()
    assert datasets.fetch("small", progress=False).is_dir()


def test_a_set_that_no_source_has_says_what_each_answered_and_what_to_do(
    registry: Any, server: Any
) -> None:
    server.files["t.csv"] = TABLE
    registry.add("small", server.url_source("t.csv"))
    del server.files["t.csv"]
    with pytest.raises(UnavailableError) as caught:
        datasets.load("small")
    message = str(caught.value)
    assert "404" in message and "chemdl data fetch small" in message
    assert "CHEMDL_CACHE" in message and "CHEMDL_MIRROR" in message
    assert server.asked == ["t.csv"], "what is not there is not asked for again"


def test_an_address_that_cannot_be_reached_is_an_error(registry: Any, tmp_path: Path) -> None:
    files = {"t.csv": {"sha256": sha256(TABLE)}}
    registry.add("small", {"url": "http://127.0.0.1:9/", "files": files})
    with pytest.raises(UnavailableError, match="cannot be reached"):
        datasets.load("small")
    registry.add("small", {"url": (tmp_path / "none").as_uri() + "/", "files": files})
    with pytest.raises(UnavailableError, match="cannot be reached"):
        datasets.load("small")


def test_a_cut_off_file_in_the_cache_is_reported_then_mended(registry: Any, server: Any) -> None:
    server.files |= {"t.csv": TABLE, "u.csv": b"x"}
    registry.add("small", server.url_source("t.csv", "u.csv"))
    assert [ok for _, ok, _ in datasets.verify("small")] == [None]
    stored = datasets.fetch("small") / "t.csv"
    assert [ok for _, ok, _ in datasets.verify("small")] == [True]
    stored.write_bytes(TABLE[:-5])
    ((_, ok, message),) = datasets.verify("small")
    assert ok is False and "1 of 2 files" in message and "t.csv" in message
    datasets.fetch("small")
    assert stored.read_bytes() == TABLE
    assert server.asked == ["t.csv", "u.csv", "t.csv"]


def test_a_damaged_cleaned_set_is_made_anew(registry: Any) -> None:
    registry.add("small", registry.embed("small.csv.gz", TABLE))
    first = datasets.load("small")
    (stored,) = (cache() / "datasets" / "small").glob("clean-*.npz")
    whole = stored.read_bytes()
    for damaged in (whole[:-200], b"", b"PK\x03\x04 nothing", whole.replace(b"CCO", b"CCN")):
        stored.write_bytes(damaged)
        again = datasets.load("small")
        assert again.card == first.card
        assert list(again.inputs) == list(first.inputs)
        assert stored.stat().st_size == len(whole)


def test_a_stored_set_that_is_whole_but_altered_is_made_anew(registry: Any) -> None:
    registry.add("small", registry.embed("small.csv.gz", TABLE))
    first = datasets.load("small")
    (stored,) = (cache() / "datasets" / "small").glob("clean-*.npz")
    with np.load(stored) as archive:
        arrays = dict(archive)
    arrays["targets"] = 1 - arrays["targets"]
    np.savez(stored, **arrays)
    np.testing.assert_array_equal(datasets.load("small").targets, first.targets)


def test_the_cleaned_set_is_kept_and_follows_its_rules(
    registry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add("small", registry.embed("small.csv.gz", TABLE))
    first = datasets.load("small")
    with monkeypatch.context() as patch:
        patch.setattr("chemdl.molecules.data.canonical_smiles", None)
        assert datasets.load("small").card == first.card
        patch.setattr("chemdl.data.cleaning.VERSION", 999)
        with pytest.raises(TypeError):
            datasets.load("small")


def test_a_cache_that_cannot_be_written_costs_no_result(registry: Any, tmp_path: Path) -> None:
    registry.add("small", registry.embed("small.csv.gz", TABLE))
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert len(datasets.load("small", cache=blocked)) == 3


def test_a_file_with_other_rows_than_registered_is_refused(registry: Any) -> None:
    registry.add("small", registry.embed("small.csv.gz", TABLE), rows=4)
    with pytest.raises(datasets.DatasetError, match="has 3 rows, registered are 4"):
        datasets.load("small")


def test_an_error_or_an_interrupt_in_the_middle_leaves_nothing(
    registry: Any, server: Any, files_under: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["t.csv"] = TABLE
    registry.add("small", server.url_source("t.csv"))
    # A full disk is not taken for the network either.
    for stop in (KeyboardInterrupt(), OSError(28, "No space left on device")):

        def halfway(*_args: Any, stop: BaseException = stop) -> None:
            raise stop

        with monkeypatch.context() as patch:
            patch.setattr("tqdm.tqdm.update", halfway)
            with pytest.raises(type(stop)):
                datasets.fetch("small")
        assert files_under(cache()) == []
    assert len(server.asked) == 2
    with monkeypatch.context() as patch:
        patch.setattr("chemdl.data.loading.np.savez", lambda *_a, **_k: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            datasets.load("small")
    assert files_under(cache()) == ["datasets/small/t.csv"]
    assert len(datasets.load("small")) == 3


def test_a_process_killed_while_writing_leaves_no_file_under_the_name(tmp_path: Path) -> None:
    target = tmp_path / "t.csv"
    program = (
        "import os, pathlib, sys\n"
        "from chemdl.data import transfer\n"
        "def half(_address, target, *_):\n"
        "    target.write_bytes(b'half')\n"
        "    os.kill(os.getpid(), 9)\n"
        "transfer._download = half\n"
        "transfer.bring('http://here/', pathlib.Path(sys.argv[1]), '0' * 64, False)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(target)], check=False)
    assert killed.returncode == -9
    assert not target.exists()


def test_two_that_fetch_the_same_file_at_once_do_each_other_no_harm(
    server: Any, files_under: Listing, tmp_path: Path
) -> None:
    server.files["t.csv"] = content = os.urandom(1 << 22)
    target = tmp_path / "t.csv"

    def fetch(_number: int) -> bool:
        transfer.bring(f"{server.address}/t.csv", target, sha256(content), progress=False)
        return target.read_bytes() == content

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(fetch, range(8)))
    assert files_under(tmp_path) == ["t.csv"]


def test_a_packed_file_that_is_sent_as_an_encoding_stays_packed(
    server: Any, tmp_path: Path
) -> None:
    server.files["t.csv.gz"] = packed = gzip.compress(TABLE)
    server.headers["Content-Encoding"] = "gzip"
    target = tmp_path / "t.csv.gz"
    transfer.bring(f"{server.address}/t.csv.gz", target, sha256(packed))
    assert target.read_bytes() == packed


def test_a_password_in_an_address_is_used_and_never_shown(server: Any, tmp_path: Path) -> None:
    server.files["t.csv"], server.user = TABLE, "user:p@ss"
    address = server.address.replace("//", "//user:p%40ss@") + "/t.csv"
    target = tmp_path / "t.csv"
    transfer.bring(address, target, sha256(TABLE))
    with pytest.raises(HashMismatchError) as altered:
        transfer.bring(address, target, "0" * 64)
    server.user = "nobody:else"
    with pytest.raises(UnavailableError, match="csv answers 401") as refused:
        transfer.bring(address, target, sha256(TABLE))
    for caught in (altered, refused):
        assert server.address in str(caught.value) and "ss@" not in str(caught.value)
    assert target.read_bytes() == TABLE


def test_progress_is_shown_only_when_asked_for(
    registry: Any,
    server: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.files["t.csv"] = TABLE
    registry.add("small", server.url_source("t.csv"))
    datasets.fetch("small", progress=False)
    assert capsys.readouterr() == ("", "")
    import tqdm

    def at_once(*args: Any, delay: float, **options: Any) -> Any:
        return original(*args, **options)

    original = tqdm.tqdm
    monkeypatch.setattr(tqdm, "tqdm", at_once)
    (cache() / "datasets" / "small" / "t.csv").unlink()
    datasets.fetch("small", progress=True)
    assert "t.csv" in capsys.readouterr().err


def test_the_hash_of_an_embedded_table_does_not_depend_on_how_it_was_packed() -> None:
    packed = {gzip.compress(TABLE, level, mtime=time) for level, time in ((1, 5), (9, 0))}
    assert len(packed) == 2
    assert {sources.embedded_hash(p) for p in packed} == {sha256(TABLE)}
