"""What cleaning drops, merges and counts."""

from __future__ import annotations

import numpy as np
import pytest

from chemdl.data import DatasetError
from chemdl.data.cleaning import Cleaned, merge_rows
from chemdl.data.readers import RawTable

NAN = np.nan


def table(inputs: list[str], targets: list[list[float]], **columns: list[object]) -> RawTable:
    tasks = tuple("abcdef"[: len(targets[0])])
    return RawTable(
        inputs,
        np.array(targets, dtype=float),
        tasks,
        {name: np.array(values) for name, values in columns.items()},
        [("t.csv", row + 2) for row in range(len(inputs))],
    )


def clean(raw: RawTable, kind: str, **options: object) -> Cleaned:
    """Merge rows whose input holds the same letters; words cannot be used."""
    keys = [None if text in ("", "word") else "".join(sorted(text)) for text in raw.inputs]
    return merge_rows(raw, keys, kind, rule="same letters", **options)


def test_every_row_is_counted_once() -> None:
    raw = table(
        ["CCO", "word", "", "OCC", "CCN", "NCC", "C", "CC"],
        [[1], [1], [0], [1], [0], [1], [NAN], [0]],
    )
    cleaned = clean(raw, "classification")
    log = cleaned.log
    assert list(cleaned.rows) == [0, 7]
    counts = ("raw", "unparsable", "unlabelled", "duplicate", "conflicting", "kept")
    assert [log[key] for key in counts] == [8, 2, 1, 1, 2, 2]
    assert log["raw"] == sum(log[key] for key in counts[1:])
    assert log["examples"]["unparsable"] == ["t.csv line 3: word", "t.csv line 4: "]
    assert log["examples"]["conflicting"] == ["t.csv line 6: CCN", "t.csv line 7: NCC"]


def test_labels_of_different_tasks_are_joined_and_a_contradiction_costs_only_its_task() -> None:
    raw = table(["CCO", "OCC", "COC"], [[1, NAN, 0], [NAN, 0, 1], [1, NAN, NAN]])
    cleaned = clean(raw, "classification")
    np.testing.assert_array_equal(cleaned.targets, [[1, 0, NAN]])
    assert cleaned.log["duplicate"] == 2
    assert cleaned.log["conflicting"] == 0 and cleaned.log["conflicting_labels"] == 1


def test_repeated_measurements_are_averaged_within_the_tolerance_only() -> None:
    raw = table(["CCO", "OCC", "CCN", "NCC", "C"], [[-1.0], [-1.4], [2.0], [3.0], [0.1]])
    cleaned = clean(raw, "regression", tolerance=0.5)
    assert list(cleaned.rows) == [0, 4]
    np.testing.assert_allclose(cleaned.targets.ravel(), [-1.2, 0.1])
    assert cleaned.log["duplicate"] == 1 and cleaned.log["conflicting"] == 2
    strict = clean(raw, "regression")
    assert list(strict.rows) == [4]


def test_equal_measurements_keep_their_exact_value() -> None:
    raw = table(["CCO", "OCC", "COC"], [[0.1], [0.1], [0.1]])
    assert clean(raw, "regression").targets[0, 0] == 0.1


def test_published_valid_and_test_rows_are_never_merged() -> None:
    raw = table(
        ["CCO", "OCC", "CCO", "OCC", "CCO", "OCC"],
        [[1], [1], [0], [1], [0], [0]],
        set=["train", "train", "test", "test", "valid", "valid"],
    )
    cleaned = clean(raw, "classification")
    assert list(cleaned.rows) == [0, 2, 3, 4, 5]
    assert list(cleaned.columns["set"]) == ["train", "test", "test", "valid", "valid"]


def test_rows_of_different_lists_stay_apart_where_the_column_is_named() -> None:
    labels = [[1, NAN], [1, NAN], [NAN, 0], [NAN, 0]]
    raw = table(["CCO", "OCC", "CCO", "C"], labels, target=["a", "a", "b", "b"])
    merged = clean(raw, "classification")
    assert list(merged.rows) == [0, 3]
    apart = clean(raw, "classification", apart="target")
    assert list(apart.rows) == [0, 2, 3]
    assert apart.log["duplicate"] == 1
    np.testing.assert_array_equal(apart.targets, [[1, NAN], [NAN, 0], [NAN, 0]])
    assert list(apart.columns["target"]) == ["a", "b", "b"]


def test_a_merged_row_takes_the_first_column_value_that_is_there() -> None:
    raw = table(["CCO", "OCC", "C"], [[1], [1], [0]], fold=[-1, 3, -1], id=["", "x", "y"])
    cleaned = clean(raw, "classification")
    assert list(cleaned.columns["fold"]) == [3, -1]
    assert list(cleaned.columns["id"]) == ["x", "y"]


def test_bad_labels_are_refused_by_row_column_and_value() -> None:
    with pytest.raises(DatasetError, match=r"t\.csv line 3, column 'a': 2 is no class; use 0 and"):
        clean(table(["C", "CC"], [[1], [2]]), "classification")
    with pytest.raises(DatasetError, match=r"1 of 2 target columns hold no value at all \('b'\)"):
        clean(table(["C", "CC"], [[1, NAN], [0, NAN]]), "classification")
    with pytest.raises(DatasetError, match="empty"):
        clean(RawTable([], np.empty((0, 1)), ("a",)), "regression")


def test_a_set_without_one_usable_row_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"no row is left of 2: 2 unparsable.*t\.csv line 2"):
        clean(table(["word", ""], [[1], [0]]), "classification")
