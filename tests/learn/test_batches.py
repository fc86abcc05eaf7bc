"""Rows of similar length stand in one batch, so that little is padded."""

from __future__ import annotations

import numpy as np

from chemdl.learn.batches import bucketed


def test_buckets_hold_rows_of_similar_length_and_every_row_once() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 500, size=203)
    order = bucketed(rng.permutation(203), lengths, 8, np.random.default_rng(1))
    assert sorted(order) == list(range(203))
    spread = np.ptp(lengths[order[:200]].reshape(25, 8), axis=1)
    assert spread.mean() < 60
    # Batches do not come in order of length.
    means = lengths[order[:200]].reshape(25, 8).mean(axis=1)
    assert not (np.diff(means) >= 0).all()
