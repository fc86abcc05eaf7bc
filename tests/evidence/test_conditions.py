"""A condition changes train and valid rows, or their labels, and leaves the test rows alone."""

from __future__ import annotations

import numpy as np
import pytest

from chemdl.data import Dataset
from chemdl.evidence import splits
from chemdl.evidence.conditions import Condition
from chemdl.evidence.splits import Split

SHUFFLED = Condition("shuffled", shuffled=True)


@pytest.fixture
def split(data: Dataset) -> Split:
    return splits.random(data, repeats=1, folds=3, seed=0).splits[0]


def test_shuffling_moves_train_labels_alone(data: Dataset, split: Split) -> None:
    same, targets = SHUFFLED.apply(split, data, seed=1)
    assert same is split
    np.testing.assert_array_equal(targets[split.test], data.targets[split.test])
    fitted = np.concatenate([split.train, split.valid])
    assert not np.array_equal(targets[fitted], data.targets[fitted], equal_nan=True)
    before, after = (np.sort(t[fitted], axis=0) for t in (data.targets, targets))
    np.testing.assert_array_equal(before, after)


def test_more_train_rows_than_there_are_change_nothing(data: Dataset, split: Split) -> None:
    assert Condition("many", train_size=10**6).apply(split, data, 0)[0] is split


@pytest.mark.parametrize("size", [10, 24])
def test_fewer_train_rows_are_drawn_by_seed(data: Dataset, split: Split, size: int) -> None:
    few = Condition("few", train_size=size)
    kept, targets = few.apply(split, data, seed=1)
    assert targets is data.targets
    assert set(kept.train) <= set(split.train) and len(kept.train) == size
    assert set(kept.valid) <= set(split.valid)
    np.testing.assert_array_equal(kept.test, split.test)
    other, _ = few.apply(split, data, seed=2)
    assert set(other.train) != set(kept.train)


def test_valid_shrinks_with_train(data: Dataset, split: Split) -> None:
    kept, _ = Condition("few", train_size=24).apply(split, data, seed=1)
    share = len(split.valid) / len(split.train)
    assert len(kept.valid) == pytest.approx(share * 24, abs=0.5)
    # Some rows are left to stop by, however few train.
    assert len(Condition("few", train_size=1).apply(split, data, seed=1)[0].valid) == 1


def test_conditions_join(data: Dataset, split: Split) -> None:
    both = Condition("few shuffled", train_size=24, shuffled=True)
    kept, targets = both.apply(split, data, seed=1)
    fitted = np.concatenate([kept.train, kept.valid])
    assert len(kept.train) == 24
    moved = (targets != data.targets) & ~(np.isnan(targets) & np.isnan(data.targets))
    assert set(np.flatnonzero(moved.any(axis=1))) <= set(fitted)
