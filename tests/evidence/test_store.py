"""The store writes each repeat once, merges by copying, and names what does not fit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chemdl.evidence import store as stores
from chemdl.evidence.store import Repeat, ResultStore, StoreError, chosen

FOLDS = 2
MakeRepeat = Callable[..., Repeat]


def files(folder: Path) -> list[str]:
    """Return the names of all files below a folder, hidden ones and half ones too."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files(folder)}


def a_repeat(
    model: str = "net",
    repeat: int = 0,
    *,
    edition: str = "design",
    condition: str = "all",
    folds: int = FOLDS,
    value: float = 0.25,
    seconds: float = 1.0,
    python: str = "3.13.1",
    **row: Any,
) -> Repeat:
    facts = {"seed": 7, "n_train": 8, "fit_seconds": seconds, "predict_seconds": seconds / 9,
             "stack_size": int(seconds), "best_epoch": 3, "epochs": 5,
             "environment": {"python": python}, "created": f"2026-01-0{int(seconds)}"}  # fmt: skip
    described = {"name": model, "kind": "deep", "environment": {"python": python}, **row}
    predictions = {fold: np.full((4, 1), value + fold, np.float32) for fold in range(folds)}
    return Repeat(
        "tiny", edition, model, condition, repeat, described,
        {fold: dict(facts) for fold in range(folds)}, predictions, {"rule": 2},
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path / "ours")


@pytest.fixture
def other(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path / "theirs")


def test_what_was_put_comes_back_whole(store) -> None:
    targets = np.array([[0.0], [np.nan], [1.0], [0.0]], np.float32)
    store.put_study("tiny", {"protocol": {"folds": FOLDS}}, {"targets": targets})
    store.put(a_repeat())
    assert store.studies() == ["tiny"]
    described, arrays = store.study("tiny")
    assert described == {"protocol": {"folds": FOLDS}}
    np.testing.assert_array_equal(arrays["targets"], targets)
    (found,) = store.repeats("tiny")
    put = a_repeat()
    assert replace(found, predictions={}) == replace(put, predictions={})
    assert found.predictions.keys() == put.predictions.keys()
    for fold, values in put.predictions.items():
        np.testing.assert_array_equal(found.predictions[fold], values)
        assert found.predictions[fold].dtype == np.float32
    assert store.study("tin") is None and list(store.repeats("tin")) == []


@pytest.mark.parametrize(
    ("model", "condition"), [("net-2-large", "all"), ("net", "train-size-1000"), ("a.b-1", "x-2-0")]
)
def test_names_with_dashes_and_dots_are_found_again(store, model: str, condition: str) -> None:
    for number in (0, 11):
        store.put(a_repeat(model, number, condition=condition))
        assert store.has("tiny", "design", model, condition, number)
    assert not store.has("tiny", "preset", model, condition, 0)
    assert not store.has("tiny", "design", model, condition, 1)
    found = {(r.model, r.condition, r.repeat) for r in store.repeats("tiny")}
    assert found == {(model, condition, 0), (model, condition, 11)}


def test_the_same_is_written_once_whatever_the_machine_and_its_seconds(store) -> None:
    store.put(a_repeat())
    before = content(store.folder)
    store.put(a_repeat())
    store.put(a_repeat(seconds=5.0, python="3.11.0"))
    assert content(store.folder) == before
    store.put_study("tiny", {"chapter": "c", "cleaning": {"raw": 9}}, {"targets": np.eye(2)})
    store.put_study("tiny", {"chapter": "c", "cleaning": {"raw": 8}}, {"targets": np.eye(2)})


@pytest.mark.parametrize(
    "changed",
    [a_repeat(value=0.26), a_repeat(folds=1), a_repeat(kind="classical"),
     replace(a_repeat(), under={"rule": 3})],
    ids=["a prediction", "a fold", "the model", "the rule"],
)  # fmt: skip
def test_another_content_is_an_error_that_names_the_file(store, changed: Repeat) -> None:
    store.put(a_repeat())
    before = content(store.folder)
    with pytest.raises(StoreError, match=r"design/net/all-0\.npz and what was computed"):
        store.put(changed)
    assert content(store.folder) == before


def test_another_description_of_a_study_is_an_error(store) -> None:
    store.put_study("tiny", {"chapter": "c"}, {"targets": np.eye(2)})
    with pytest.raises(StoreError, match=r"tiny/study\.npz and what was computed"):
        store.put_study("tiny", {"chapter": "d"}, {"targets": np.eye(2)})
    with pytest.raises(StoreError, match=r"tiny/study\.npz"):
        store.put_study("tiny", {"chapter": "c"}, {"targets": np.ones((2, 2))})


def test_an_error_or_a_full_disk_in_the_middle_of_a_write_leaves_nothing(
    store, monkeypatch
) -> None:
    store.put(a_repeat(repeat=1))
    before = content(store.folder)

    def cut_off(file: Path, **_: Any) -> None:
        Path(file).write_bytes(b"PK half")
        raise OSError("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(np, "savez_compressed", cut_off)
        with pytest.raises(OSError, match="no space"):
            store.put(a_repeat())
    assert content(store.folder) == before
    assert [r.repeat for r in store.repeats("tiny")] == [1]
    # JSON has no NaN: such a content is refused before a file is opened.
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.put(a_repeat(parameters=float("nan")))
    assert content(store.folder) == before
    store.put(a_repeat())
    assert [r.repeat for r in store.repeats("tiny")] == [0, 1]


@pytest.mark.parametrize("damage", ["cut off", "empty", "altered", "without content"])
def test_a_damaged_file_is_named_with_what_to_do(store, damage: str) -> None:
    store.put(a_repeat())
    path = store.folder / a_repeat().file
    whole = path.read_bytes()
    if damage == "without content":
        np.savez(path, predictions=np.eye(2))
    else:
        middle = len(whole) // 3
        flipped = whole[:middle] + bytes(255 - b for b in whole[middle:-60]) + whole[-60:]
        path.write_bytes({"cut off": whole[:-40], "empty": b"", "altered": flipped}[damage])
    advice = r"all-0\.npz cannot be read .*remove it, and record that repeat again"
    with pytest.raises(StoreError, match=advice):
        list(store.repeats("tiny"))
    with pytest.raises(StoreError, match=advice):
        store.put(a_repeat())


@pytest.mark.parametrize(
    "changed", [{}, [], {"replicas": {}}, {"replicas": {"x": {}}}, {"row": 1}, {"replicas": None}]
)
def test_a_whole_file_that_says_something_else_is_named_too(store, changed: Any) -> None:
    store.put(a_repeat())
    path = store.folder / a_repeat().file
    with np.load(path) as stored:
        arrays = dict(stored)
    said = json.loads(str(arrays["content"]))
    arrays["content"] = np.array(json.dumps({**said, **changed} if changed else changed))
    np.savez(path, **arrays)
    with pytest.raises(StoreError, match=r"all-0\.npz .*remove it, and record it again"):
        list(store.repeats("tiny"))


# --- merging --------------------------------------------------------------------------------------


def test_merging_copies_what_is_missing_and_nothing_else(store, other) -> None:
    for place in (store, other):
        place.put_study("tiny", {"chapter": "c"}, {"targets": np.eye(2)})
    store.put(a_repeat(repeat=0))
    other.put(a_repeat(repeat=0, seconds=4.0, python="3.11.0"))
    other.put(a_repeat(repeat=1))
    other.put_study("new", {"chapter": "c"}, {"targets": np.eye(2)})
    before = content(store.folder)
    copied = store.merge(other.folder)
    assert sorted(path.as_posix() for path in copied) == [
        "new/study.npz", "tiny/design/net/all-1.npz"
    ]  # fmt: skip
    after = content(store.folder)
    assert {name: after[name] for name in before} == before
    assert all(after[p.as_posix()] == (other.folder / p).read_bytes() for p in copied)
    assert store.merge(other.folder) == []
    assert content(store.folder) == after


def test_a_clash_names_both_files_and_copies_nothing(store, other) -> None:
    store.put(a_repeat(repeat=1))
    other.put(a_repeat(repeat=0))
    other.put(a_repeat(repeat=1, value=0.5))
    before = content(store.folder)
    with pytest.raises(StoreError, match="hold different content") as raised:
        store.merge(other.folder)
    for place in (store, other):
        assert str(place.folder / a_repeat(repeat=1).file) in str(raised.value)
    assert content(store.folder) == before


@pytest.mark.parametrize("which", [0, 1])
def test_a_damaged_file_of_another_store_is_not_taken_over(store, other, which: int) -> None:
    other.put(a_repeat(repeat=0))
    other.put(a_repeat(repeat=1))
    path = other.folder / a_repeat(repeat=which).file
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(StoreError, match=f"theirs.*all-{which}.npz cannot be read"):
        store.merge(other.folder)
    assert files(store.folder) == []


def test_half_files_of_a_killed_writer_are_neither_read_nor_copied(store, other) -> None:
    other.put(a_repeat())
    path = other.folder / a_repeat().file
    shutil.copy(path, path.with_name(".abc123.npz"))
    path.with_name(".def456.npz").write_bytes(b"PK half")
    digest = other.sha256("tiny")
    assert len(list(other.repeats("tiny"))) == 1
    assert store.merge(other.folder) == [a_repeat().file]
    assert store.sha256("tiny") == digest


def test_a_merge_that_is_cut_off_leaves_whole_files_and_goes_on(store, other, monkeypatch) -> None:
    for number in range(3):
        other.put(a_repeat(repeat=number))
    copy = shutil.copyfile
    copied: list[Path] = []

    def cut_off(source: Path, target: Path) -> None:
        if copied:
            Path(target).write_bytes(Path(source).read_bytes()[:50])
            raise KeyboardInterrupt
        copied.append(copy(source, target))

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfile", cut_off)
        with pytest.raises(KeyboardInterrupt):
            store.merge(other.folder)
    assert files(store.folder) == ["tiny/design/net/all-0.npz"]
    assert len(store.merge(other.folder)) == 2
    assert content(store.folder) == content(other.folder)


def test_repeats_that_diverged_are_merged_with_their_reasons(store, other) -> None:
    """Else another machine's divergence would be left out here, and computed again."""
    failed = a_repeat().file.with_suffix(".failed.json")
    (other.folder / failed).parent.mkdir(parents=True)
    (other.folder / failed).write_text(json.dumps({"0": "ended in NaN"}))
    assert store.merge(other.folder) == [failed]
    assert json.loads((store.folder / failed).read_text()) == {"0": "ended in NaN"}
    assert store.merge(other.folder) == []
    (other.folder / failed).write_text(json.dumps({"1": "ended in NaN"}))
    with pytest.raises(StoreError, match="different content"):
        store.merge(other.folder)


def test_a_folder_that_is_no_store_is_refused(store, tmp_path) -> None:
    with pytest.raises(StoreError, match="no folder"):
        store.merge(tmp_path / "misspelt")
    other = ResultStore(tmp_path / "results" / "replicas")
    other.put(a_repeat())
    with pytest.raises(StoreError, match=r"replicas/tiny/design/net/all-0\.npz.*no place"):
        store.merge(tmp_path / "results")
    assert files(tmp_path / "ours") == []


# --- what counts, and the hash --------------------------------------------------------------------


def test_whole_repeats_of_the_design_win_over_presets_and_partial_ones_do_not() -> None:
    presets = [a_repeat("net", n, edition="preset") for n in range(3)]
    forest = [a_repeat("forest", 0, edition="preset")]
    partial = a_repeat("net", 0, folds=1)
    assert chosen([partial, *presets, *forest], FOLDS) == [*presets, *forest]
    whole = a_repeat("net", 1)
    # One whole repeat, and the model's presets are left out; the forest's are not.
    assert chosen([partial, whole, *presets, *forest], FOLDS) == [partial, whole, *forest]
    # Conditions are decided apart.
    small = a_repeat("net", 0, edition="preset", condition="60")
    assert chosen([whole, *presets, small], FOLDS) == [whole, small]


def test_the_hash_follows_every_file_of_a_study_and_no_other(store) -> None:
    store.put(a_repeat())
    first = store.sha256("tiny")
    store.put_study("tiny2", {}, {"targets": np.eye(2)})
    assert store.sha256("tiny") == first
    store.put(a_repeat(repeat=1))
    second = store.sha256("tiny")
    assert second != first
    path = store.folder / a_repeat(repeat=1).file
    path.rename(path.with_name("all-2.npz"))
    assert store.sha256("tiny") not in (first, second)


def test_stored_files_are_the_same_bytes_whenever_they_are_written(store, other) -> None:
    """A zip archive could hold the time of writing; then no two stores would be equal."""
    for place in (store, other):
        place.put(a_repeat())
    assert content(store.folder) == content(other.folder)


def test_the_projects_store_is_below_data_results(root) -> None:
    assert ResultStore().folder == root / "data" / "results" / "replicas"
    assert stores.EDITIONS == ("design", "preset")
    placed = {p.relative_to(ResultStore().folder).parts[1] for p in
              ResultStore().folder.glob("*/*/*/*.npz")}  # fmt: skip
    assert placed <= set(stores.EDITIONS)
