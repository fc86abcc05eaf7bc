"""Protocols keep their promises: disjoint sides, whole groups, even strata, seeds that matter."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from chemdl.data import Dataset
from chemdl.evidence import splits
from chemdl.evidence.splits import Split

SEEDED = ("random", "stratified", "scaffold_balanced", "cluster")


def _rows(split: Split) -> np.ndarray:
    return np.concatenate([split.train, split.valid, split.test])


# --- what every protocol promises ----------------------------------------------------------------


@pytest.mark.parametrize("name", SEEDED)
def test_every_row_is_tested_once_per_repeat(name: str, clintox: Dataset) -> None:
    protocol = splits.PROTOCOLS[name](clintox, repeats=2, folds=4)
    assert (protocol.name, protocol.repeats, protocol.folds, len(protocol)) == (name, 2, 4, 8)
    assert [(s.repeat, s.fold) for s in protocol.splits] == [
        (r, f) for r in (0, 1) for f in range(4)
    ]
    for split in protocol.splits:
        np.testing.assert_array_equal(np.sort(_rows(split)), np.arange(600))
    for repeat in (0, 1):
        tested = np.concatenate([s.test for s in protocol.splits if s.repeat == repeat])
        np.testing.assert_array_equal(np.sort(tested), np.arange(600))


@pytest.mark.parametrize("name", SEEDED)
def test_seed_and_repeat_change_the_splits_and_nothing_else_does(
    name: str, clintox: Dataset
) -> None:
    make = splits.PROTOCOLS[name]
    one, again, other = (make(clintox, repeats=2, seed=s) for s in (0, 0, 1))
    assert one.index_sha256 == again.index_sha256 != other.index_sha256
    # Folds have no order, so a repeat is compared by who stands together, not by number.
    first, second = ({s.test.tobytes() for s in one.splits if s.repeat == r} for r in (0, 1))
    assert not first & second
    assert not first & {s.test.tobytes() for s in other.splits if s.repeat == 0}


@pytest.mark.parametrize("name", SEEDED)
def test_valid_takes_its_share_of_train(name: str, clintox: Dataset) -> None:
    for split in splits.PROTOCOLS[name](clintox, repeats=1, valid=0.2).splits:
        share = len(split.valid) / (len(split.valid) + len(split.train))
        assert share == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize("name", ["random", "stratified"])
def test_folds_are_of_one_size(name: str, clintox: Dataset) -> None:
    sizes = [len(s.test) for s in splits.PROTOCOLS[name](clintox, repeats=1, folds=7).splits]
    assert max(sizes) - min(sizes) <= 1


# --- published -----------------------------------------------------------------------------------


@pytest.fixture
def published(small_set) -> Callable[..., Dataset]:
    """A maker of sets with a published split: t, v and e stand for train, valid and test."""

    def made(sets: str, folds: list[int] | None = None) -> Dataset:
        names = {"t": "train", "v": "valid", "e": "test"}
        columns = {"set": [names.get(s, s) for s in sets]}
        return small_set(len(sets), columns=columns | ({} if folds is None else {"fold": folds}))

    return made


def test_published_sides_are_taken_as_they_are(published) -> None:
    protocol = splits.published(published("ttvee"), repeats=2)
    for split in protocol.splits:
        assert [r.tolist() for r in (split.train, split.valid, split.test)] == [[0, 1], [2], [3, 4]]
    assert (protocol.repeats, protocol.folds, protocol.seed) == (2, 1, None)


def test_published_folds_give_valid_in_turn(published) -> None:
    protocol = splits.published(published("tttteee", [1, 2, 3, 1, 0, 0, 0]), repeats=4)
    assert [s.valid.tolist() for s in protocol.splits] == [[0, 3], [1], [2], [0, 3]]


def test_valid_is_cut_by_seed_where_nothing_ispublished(published) -> None:
    dataset = published("t" * 40 + "e" * 10)
    one, again, other = (splits.published(dataset, repeats=2, seed=s) for s in (0, 0, 1))
    assert one.index_sha256 == again.index_sha256 != other.index_sha256
    assert one.splits[0].valid.tolist() != one.splits[1].valid.tolist()
    assert len(one.splits[0].valid) == 4
    assert one.seed == 0


def test_strange_side_is_named(published) -> None:
    with pytest.raises(ValueError, match=r"\['x'\] at rows 2; allowed are train, valid, test"):
        splits.published(published("ttxe"))


def test_set_without_a_published_split(small_set) -> None:
    with pytest.raises(ValueError, match="'molecules' has no published split"):
        splits.published(small_set(5))


# --- groups left out ------------------------------------------------------------------------------


@pytest.fixture
def grouped(small_set) -> Callable[[str], Dataset]:
    """A maker of sets of one row for each letter, which is its group."""
    return lambda groups: small_set(
        [f"{name} {'C' * (i + 1)}" for i, name in enumerate(groups)],
        columns={"target": list(groups)},
        input_kind="complex",
    )


def test_each_group_is_left_out_once_a_repeat_and_valid_is_another(grouped) -> None:
    data = grouped("cabbacdd")
    protocol = splits.PROTOCOLS["leave_group_out"](data, repeats=6, seed=3)
    assert (protocol.folds, protocol.repeats, len(protocol)) == (4, 6, 24)
    names = data.columns["target"]
    held: dict[str, set[str]] = {}
    for split in protocol.splits:
        sides = [set(names[rows]) for rows in (split.train, split.valid, split.test)]
        assert [len(side) for side in sides] == [2, 1, 1]
        assert set.union(*sides) == set("abcd") and sides[2] == {"abcd"[split.fold]}
        np.testing.assert_array_equal(np.sort(_rows(split)), np.arange(8))
        held.setdefault("abcd"[split.fold], set()).update(sides[1])
    # Repeats differ by who is held for valid.
    assert all(len(others) > 1 for others in held.values())
    again, other = (splits.leave_group_out(data, repeats=6, seed=s) for s in (3, 4))
    assert again.index_sha256 == protocol.index_sha256 != other.index_sha256


def test_a_share_of_the_other_groups_is_valid_where_asked(grouped) -> None:
    part = splits.leave_group_out(grouped("aabbaabbcc"), valid=0.25)
    assert [len(split.valid) for split in part.splits] == [2, 2, 2]
    assert [len(split.test) for split in part.splits] == [4, 4, 2]


def test_groups_too_few_to_leave_out_are_named(grouped) -> None:
    with pytest.raises(ValueError, match="2 groups \\(a, b\\)"):
        splits.leave_group_out(grouped("aabb"))
    with pytest.raises(ValueError, match="Did you mean 'target'"):
        splits.leave_group_out(grouped("abc"), column="targets")


# --- head, hash, errors --------------------------------------------------------------------------


def test_head_keeps_the_first_repeats_and_folds(clintox: Dataset) -> None:
    whole = splits.random(clintox, repeats=3, folds=5)
    head = whole.head(2)
    assert [s.repeat for s in head.splits] == [0] * 5 + [1] * 5
    assert head.index_sha256 == splits.random(clintox, repeats=2, folds=5).index_sha256
    few = whole.head(1, folds=2)
    assert [(s.repeat, s.fold) for s in few.splits] == [(0, 0), (0, 1)]
    hashes = {p.index_sha256 for p in (whole, head, few)}
    assert len(hashes) == 3
    with pytest.raises(ValueError, match="4 repeats of 5 folds; protocol 'random' has 3 of 5"):
        whole.head(4)


def test_hash_tells_sides_apart() -> None:
    a = Split(np.array([0]), np.array([1]), np.array([2]))
    b = Split(np.array([1]), np.array([0]), np.array([2]))
    c = Split(np.array([0]), np.array([1]), np.array([2]), repeat=1)
    hashes = [splits.index_hash([s]) for s in (a, b, c)]
    assert len(set(hashes)) == 3


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        (([0, 1], [1], [2]), "rows 1 stand in both train and valid"),
        (([0, 3], [1], [2, 3]), "rows 3 stand in both train and test"),
        (([0], [1, 2], [2]), "rows 2 stand in both valid and test"),
        (([0], [], [2]), "valid is empty"),
        (([0], [1], []), "test is empty"),
        (([0, 0], [1], [2]), "train: row 0 is given twice"),
        (([-1], [1], [2]), "train: row -1 does not exist"),
    ],
)
def test_broken_split_names_its_rows(sides: tuple[list[int], ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Split(*(np.array(side, dtype=np.int64) for side in sides), repeat=2, fold=1)


def test_split_cannot_be_changed() -> None:
    split = Split(np.array([2, 0]), np.array([1]), np.array([3]))
    assert split.train.tolist() == [0, 2]
    with pytest.raises(ValueError, match="read-only"):
        split.train[0] = 5
    assert split.ratio == 0.5


@pytest.mark.parametrize("wrong", [{"repeats": 0}, {"folds": 1}, {"valid": 0.0}, {"valid": 1.0}])
def test_settings_out_of_range(wrong: dict[str, float], clintox: Dataset) -> None:
    with pytest.raises(ValueError, match="at least 1 repeat and 2 folds"):
        splits.random(clintox, **wrong)  # type: ignore[arg-type]


def test_more_folds_than_rows(small_set) -> None:
    with pytest.raises(ValueError, match="4 rows cannot fill 5 folds"):
        splits.random(small_set(4))


def test_unknown_protocol_lists_near_misses() -> None:
    with pytest.raises(ValueError, match=r"'scafold_balanced'.*Did you mean 'scaffold_balanced'"):
        splits.PROTOCOLS["scafold_balanced"]


def test_protocols_carry_their_names() -> None:
    assert set(splits.PROTOCOLS) == {
        *SEEDED,
        "grouped",
        "scaffold_moleculenet",
        "published",
        "published_folds",
        "leave_group_out",
    }
    for left, right in pairwise(sorted(splits.PROTOCOLS)):
        assert splits.PROTOCOLS[left] is not splits.PROTOCOLS[right]


def test_groups_of_a_column_stay_together(small_set) -> None:
    groups = np.repeat([f"g{n}" for n in range(10)], 3)
    data = small_set(30, columns={"formula": groups})
    protocol = splits.grouped(data, column="formula", repeats=2, folds=5, seed=1)
    assert len(protocol) == 10 and protocol.parameters["column"] == "formula"
    for split in protocol.splits:
        sides = [set(groups[getattr(split, side)]) for side in splits.SIDES]
        assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    with pytest.raises(ValueError, match="unknown column 'formul'"):
        splits.grouped(data, column="formul")
