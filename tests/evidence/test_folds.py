"""Rows are dealt evenly: by strata of labels, of the rarest task, or of ranks."""

from __future__ import annotations

import numpy as np
import pytest

from chemdl.evidence import splits
from chemdl.evidence.folds import AtRandom, Grouped, Stratified, strata
from chemdl.evidence.splits import Split


def _outside(split: Split) -> np.ndarray:
    return np.concatenate([split.train, split.valid])


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def test_chance_deals_evenly_and_cuts_a_share() -> None:
    parts = AtRandom().deal(np.arange(23), 5, generator())
    assert sorted(np.bincount(parts)) == [4, 4, 5, 5, 5]
    held = AtRandom().cut(np.arange(100, 123), 0.1, generator())
    assert len(set(held)) == 2 and min(held) >= 100
    assert len(AtRandom().cut(np.arange(3), 0.1, generator())) == 1


def test_strata_are_cut_in_proportion() -> None:
    codes = np.repeat([0, 1, 2], [60, 30, 10])
    held = Stratified(codes).cut(np.arange(100), 0.2, generator())
    assert np.bincount(codes[held]).tolist() == [12, 6, 2]


def test_groups_are_dealt_whole_and_evenly() -> None:
    codes = np.repeat(np.arange(12), [9, 7, 5, 3, 3, 3, 2, 2, 2, 2, 1, 1])
    rule = Grouped(codes, "families")
    parts = rule.deal(np.arange(40), 4, generator())
    assert np.bincount(parts).tolist() == [10] * 4
    assert all(len(set(parts[codes == code])) == 1 for code in range(12))
    held = rule.cut(np.arange(40), 0.2, generator())
    assert not set(codes[held]) & set(np.delete(codes, held)) and 0 < len(held) <= 8


def test_too_few_groups_are_named() -> None:
    rule = Grouped(np.array([0, 0, 1, 1]), "families")
    with pytest.raises(ValueError, match="2 families cannot fill 3 folds; ask for fewer folds"):
        rule.deal(np.arange(4), 3, generator())
    with pytest.raises(ValueError, match="hold one of the families only"):
        rule.cut(np.arange(2), 0.5, generator())


# --- strata ---------------------------------------------------------------------------------------


def test_single_task_has_the_counts_of_scikit_learn(small_set) -> None:
    from sklearn.model_selection import StratifiedKFold

    y = (np.arange(103) % 7 == 0).astype(float)
    dataset = small_set(103, y[:, None])
    ours = splits.stratified(dataset, repeats=1, folds=5).splits
    theirs = StratifiedKFold(5, shuffle=True, random_state=0).split(y, y)
    assert sorted(y[s.test].sum() for s in ours) == sorted(y[test].sum() for _, test in theirs)


def test_each_task_and_the_unmeasured_are_dealt_evenly(small_set) -> None:
    generator = np.random.default_rng(0)
    targets = (generator.random((200, 3)) < [0.4, 0.2, 0.04]).astype(float)
    targets[:23] = np.nan
    dataset = small_set(200, targets)
    codes = strata(dataset)
    rare = targets[:, 2] == 1
    assert len(set(codes[rare])) == 1, "the rarest task decides"
    assert set(codes[:23]) == {-1}
    for split in splits.stratified(dataset, repeats=2, folds=4, valid=0.25).splits:
        for code in np.unique(codes):
            mine = codes == code
            assert abs(mine[split.test].sum() - mine.sum() / 4) < 1
            assert abs(mine[split.valid].sum() - mine[_outside(split)].sum() / 4) <= 1


def test_regression_is_stratified_by_rank(small_set) -> None:
    y = np.random.default_rng(1).exponential(size=200)
    tenth = np.argsort(np.argsort(y)) // 20
    dataset = small_set(200, y[:, None], kind="regression")
    for split in splits.stratified(dataset, repeats=1, folds=5).splits:
        assert np.bincount(tenth[split.test], minlength=10).tolist() == [4] * 10


def test_several_regression_targets_have_no_strata(small_set) -> None:
    with pytest.raises(ValueError, match="one regression target, not 2"):
        splits.stratified(small_set(30, np.zeros((30, 2)), kind="regression"))
