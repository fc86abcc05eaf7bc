"""Protocols keep their promises: disjoint sides, whole groups, even strata, seeds that matter."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest

import chemdl
from chemdl.evidence import folds as dealing
from chemdl.evidence import splits
from chemdl.evidence.splits import Split
from chemdl.molecules.smiles import inchikeys

SEEDED = ("random", "stratified", "scaffold_balanced", "cluster")


@dataclass
class Molecules:
    """What a protocol asks of a data set."""

    inputs: np.ndarray
    targets: np.ndarray
    kind: str = "classification"
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    name: str = "molecules"
    card: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def clintox() -> Molecules:
    """Real molecules with two tasks, the first 600 rows, labels missing here and there."""
    dataset = chemdl.load("clintox")
    targets = np.array(dataset.targets[:600])
    targets[::17, 0] = np.nan
    targets[::34, 1] = np.nan
    return Molecules(np.array(dataset.inputs[:600]), targets)


def _rows(split: Split) -> np.ndarray:
    return np.concatenate([split.train, split.valid, split.test])


# --- what every protocol promises ----------------------------------------------------------------


@pytest.mark.parametrize("name", SEEDED)
def test_every_row_is_tested_once_per_repeat(name: str, clintox: Molecules) -> None:
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
    name: str, clintox: Molecules
) -> None:
    make = splits.PROTOCOLS[name]
    one, again, other = (make(clintox, repeats=2, seed=s) for s in (0, 0, 1))
    assert one.index_sha256 == again.index_sha256 != other.index_sha256
    # Folds have no order, so a repeat is compared by who stands together, not by number.
    first, second = ({s.test.tobytes() for s in one.splits if s.repeat == r} for r in (0, 1))
    assert not first & second
    assert not first & {s.test.tobytes() for s in other.splits if s.repeat == 0}


@pytest.mark.parametrize("name", SEEDED)
def test_valid_takes_its_share_of_train(name: str, clintox: Molecules) -> None:
    for split in splits.PROTOCOLS[name](clintox, repeats=1, valid=0.2).splits:
        share = len(split.valid) / (len(split.valid) + len(split.train))
        assert share == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize("name", ["random", "stratified"])
def test_folds_are_of_one_size(name: str, clintox: Molecules) -> None:
    sizes = [len(s.test) for s in splits.PROTOCOLS[name](clintox, repeats=1, folds=7).splits]
    assert max(sizes) - min(sizes) <= 1


# --- strata --------------------------------------------------------------------------------------


def test_single_task_has_the_counts_of_scikit_learn() -> None:
    from sklearn.model_selection import StratifiedKFold

    y = (np.arange(103) % 7 == 0).astype(float)
    dataset = Molecules(_alkanes(103), y[:, None])
    ours = splits.stratified(dataset, repeats=1, folds=5).splits
    theirs = StratifiedKFold(5, shuffle=True, random_state=0).split(y, y)
    assert sorted(y[s.test].sum() for s in ours) == sorted(y[test].sum() for _, test in theirs)


def test_each_task_and_the_unmeasured_are_dealt_evenly() -> None:
    generator = np.random.default_rng(0)
    targets = (generator.random((200, 3)) < [0.4, 0.2, 0.04]).astype(float)
    targets[:23] = np.nan
    dataset = Molecules(_alkanes(200), targets)
    codes = dealing.strata(dataset)
    rare = targets[:, 2] == 1
    assert len(set(codes[rare])) == 1, "the rarest task decides"
    assert set(codes[:23]) == {-1}
    for split in splits.stratified(dataset, repeats=2, folds=4, valid=0.25).splits:
        for code in np.unique(codes):
            mine = codes == code
            assert abs(mine[split.test].sum() - mine.sum() / 4) < 1
            assert abs(mine[split.valid].sum() - mine[_outside(split)].sum() / 4) <= 1


def test_regression_is_stratified_by_rank() -> None:
    y = np.random.default_rng(1).exponential(size=200)
    tenth = np.argsort(np.argsort(y)) // 20
    dataset = Molecules(_alkanes(200), y[:, None], kind="regression")
    for split in splits.stratified(dataset, repeats=1, folds=5).splits:
        assert np.bincount(tenth[split.test], minlength=10).tolist() == [4] * 10


def test_several_regression_targets_have_no_strata() -> None:
    with pytest.raises(ValueError, match="one regression target, not 2"):
        splits.stratified(Molecules(_alkanes(30), np.zeros((30, 2)), kind="regression"))


# --- published -----------------------------------------------------------------------------------


def _published(sets: str, folds: list[int] | None = None) -> Molecules:
    names = {"t": "train", "v": "valid", "e": "test"}
    columns = {"set": np.array([names.get(s, s) for s in sets])}
    if folds is not None:
        columns["fold"] = np.array(folds)
    return Molecules(_alkanes(len(sets)), np.zeros((len(sets), 1)), columns=columns)


def test_published_sides_are_taken_as_they_are() -> None:
    protocol = splits.published(_published("ttvee"), repeats=2)
    for split in protocol.splits:
        assert [r.tolist() for r in (split.train, split.valid, split.test)] == [[0, 1], [2], [3, 4]]
    assert (protocol.repeats, protocol.folds, protocol.seed) == (2, 1, None)


def test_published_folds_give_valid_in_turn() -> None:
    protocol = splits.published(_published("tttteee", [1, 2, 3, 1, 0, 0, 0]), repeats=4)
    assert [s.valid.tolist() for s in protocol.splits] == [[0, 3], [1], [2], [0, 3]]


def test_valid_is_cut_by_seed_where_nothing_is_published() -> None:
    dataset = _published("t" * 40 + "e" * 10)
    one, again, other = (splits.published(dataset, repeats=2, seed=s) for s in (0, 0, 1))
    assert one.index_sha256 == again.index_sha256 != other.index_sha256
    assert one.splits[0].valid.tolist() != one.splits[1].valid.tolist()
    assert len(one.splits[0].valid) == 4
    assert one.seed == 0


def test_strange_side_is_named() -> None:
    with pytest.raises(ValueError, match=r"\['x'\] at rows 2; allowed are train, valid, test"):
        splits.published(_published("ttxe"))


def test_set_without_a_published_split() -> None:
    with pytest.raises(ValueError, match="'molecules' has no published split"):
        splits.published(Molecules(_alkanes(5), np.zeros((5, 1))))


# --- duplicates across sides ---------------------------------------------------------------------


def grouped(groups: str) -> Molecules:
    """One molecule for each letter, which is its group."""
    inputs = np.array([f"{name} {'C' * (i + 1)}" for i, name in enumerate(groups)], dtype=object)
    targets = np.ones((len(groups), 1))
    columns = {"target": np.array(list(groups))}
    return Molecules(inputs, targets, columns=columns, card={"input": "complex"})


def test_each_group_is_left_out_once_a_repeat_and_valid_is_another() -> None:
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


def test_a_share_of_the_other_groups_is_valid_where_asked() -> None:
    part = splits.leave_group_out(grouped("aabbaabbcc"), valid=0.25)
    assert [len(split.valid) for split in part.splits] == [2, 2, 2]
    assert [len(split.test) for split in part.splits] == [4, 4, 2]


def test_groups_too_few_to_leave_out_are_named() -> None:
    with pytest.raises(ValueError, match="2 groups \\(a, b\\)"):
        splits.leave_group_out(grouped("aabb"))
    with pytest.raises(ValueError, match="Did you mean 'target'"):
        splits.leave_group_out(grouped("abc"), column="targets")


def test_one_ligand_in_two_receptors_is_a_duplicate() -> None:
    data = grouped("aabbcc")
    data.inputs[2] = "b C"
    for kind, expected in (("complex", {"inchikey": 2, "inchikey_no_stereo": 2}), ("sequence", 0)):
        data.card = {"input": kind}
        found = splits.leave_group_out(data).duplicates
        assert found == (expected or {"input": 0})


def test_duplicates_across_sides_are_counted() -> None:
    # Rows 0 and 6 are one molecule written twice; 1 and 7 are enantiomers; 2 stands alone.
    smiles = ["CCO", "C[C@H](N)C(=O)O", "CCC", "CCCC", "CCCCC", "CCCCCC", "OCC", "C[C@@H](N)C(=O)O"]
    columns = {"set": np.array(["train"] * 4 + ["valid"] * 2 + ["test"] * 2)}
    dataset = Molecules(np.array(smiles, dtype=object), np.zeros((8, 1)), columns=columns)
    assert splits.published(dataset).duplicates == {"inchikey": 1, "inchikey_no_stereo": 2}


def test_duplicates_on_one_side_are_not_counted() -> None:
    columns = {"set": np.array(["train", "train", "valid", "test", "test"])}
    smiles = np.array(["CCO", "OCC", "CC", "CCC", "C(C)C"], dtype=object)
    dataset = Molecules(smiles, np.zeros((5, 1)), columns=columns)
    assert splits.published(dataset).duplicates == {"inchikey": 0, "inchikey_no_stereo": 0}


def test_duplicates_are_counted_as_by_hand(clintox: Molecules) -> None:
    dataset = Molecules(np.concatenate([clintox.inputs, clintox.inputs[:40]]), np.zeros((640, 1)))
    protocol = splits.random(dataset, repeats=2)
    keys = inchikeys(dataset.inputs)
    apart = set()
    for split in protocol.splits:
        others = set(keys[split.train]) | set(keys[split.valid])
        apart |= {row for row in split.test.tolist() if keys[row] in others - {""}}
    assert protocol.duplicates["inchikey"] == len(apart) > 40
    fewer = protocol.head(1).duplicates["inchikey"]
    assert 0 < fewer < len(apart)


def test_inputs_that_are_no_molecules_are_compared_as_they_are() -> None:
    dataset = Molecules(np.array(["MKV", "MKV", "AAA", "GGG"], dtype=object), np.zeros((4, 1)))
    dataset.card = {"input": "sequence"}  # type: ignore[attr-defined]
    protocol = splits.random(dataset, repeats=1, folds=2)
    assert set(protocol.duplicates) == {"input"}


# --- head, hash, errors --------------------------------------------------------------------------


def test_head_keeps_the_first_repeats_and_folds(clintox: Molecules) -> None:
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
        (([0, 0], [1], [2]), "train holds rows 0 more than once"),
        (([-1], [1], [2]), "train holds negative rows -1"),
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
def test_settings_out_of_range(wrong: dict[str, float], clintox: Molecules) -> None:
    with pytest.raises(ValueError, match="at least 1 repeat and 2 folds"):
        splits.random(clintox, **wrong)  # type: ignore[arg-type]


def test_more_folds_than_rows() -> None:
    with pytest.raises(ValueError, match="4 rows cannot fill 5 folds"):
        splits.random(Molecules(_alkanes(4), np.zeros((4, 1))))


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


def _alkanes(n: int) -> np.ndarray:
    return np.array(["C" * (i + 1) for i in range(n)], dtype=object)


def _outside(split: Split) -> np.ndarray:
    return np.concatenate([split.train, split.valid])


def test_groups_of_a_column_stay_together() -> None:
    smiles = np.array(["C" * (n + 1) for n in range(30)], dtype=object)
    data = Molecules(smiles, np.zeros((30, 1)))
    data.columns = {"formula": np.repeat([f"g{n}" for n in range(10)], 3)}
    protocol = splits.grouped(data, column="formula", repeats=2, folds=5, seed=1)
    assert len(protocol) == 10 and protocol.parameters["column"] == "formula"
    for split in protocol.splits:
        sides = [set(data.columns["formula"][getattr(split, side)]) for side in splits.SIDES]
        assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    with pytest.raises(ValueError, match="unknown column 'formul'"):
        splits.grouped(data, column="formul")
