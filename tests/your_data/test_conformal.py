"""Intervals cover what they promise where molecules are exchangeable, and say so where not."""

from __future__ import annotations

import numpy as np
import pytest

from chemdl.your_data.conformal import (
    Calibration,
    calibrate,
    conformal_quantile,
    covered,
    fold_coverage,
)


def drawn(seed: int, n: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return values, predictions and similarities; errors are larger far from what is known."""
    rng = np.random.default_rng(seed)
    similarity = rng.uniform(0.1, 0.9, n)
    predicted = rng.normal(size=n)
    return predicted + rng.normal(size=n) * (1.2 - similarity), predicted, similarity


def mean_coverage(width: float = 1.0) -> float:
    shares = []
    for seed in range(40):
        found = calibrate("regression", *drawn(seed))
        found = Calibration(found.kind, found.edges, width * found.widths)
        shares.append(covered(found, *drawn(1000 + seed)).mean())
    return float(np.mean(shares))


def test_intervals_cover_nine_in_ten_new_values() -> None:
    assert 0.89 < mean_coverage() < 0.93
    # Half as wide they must not pass: the test can fail.
    assert mean_coverage(width=0.5) < 0.75


def test_intervals_are_wider_where_molecules_are_less_similar() -> None:
    found = calibrate("regression", *drawn(0))
    low, high = found.interval(np.zeros(2), np.array([0.12, 0.88]))
    assert high[0] - low[0] > 1.5 * (high[1] - low[1])


def test_sets_of_classes_cover_both_classes() -> None:
    shares = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        y = (rng.uniform(size=800) < 0.2).astype(float)
        p = 1 / (1 + np.exp(-(3 * y - 2 + rng.normal(size=800))))
        known, new = slice(0, 400), slice(400, 800)
        found = calibrate("classification", y[known], p[known], np.ones(400))
        held = covered(found, y[new], p[new], np.ones(400))
        shares.append([held[y[new] == c].mean() for c in (0, 1)])
        sets = found.classes(p[new])
        assert (np.isin(sets, ["0", "1", "0 or 1", "neither"])).all()
    assert (np.mean(shares, axis=0) > 0.88).all()


@pytest.mark.parametrize(("n", "expected"), [(8, np.inf), (9, 9.0), (100, 91.0)])
def test_the_quantile_counts_the_new_molecule(n: int, expected: float) -> None:
    assert conformal_quantile(np.arange(1.0, n + 1), 0.9) == expected


def test_coverage_on_folds_left_out_tells_a_shift() -> None:
    y, p, similarity = drawn(0)
    folds = np.arange(400) % 5
    share, width = fold_coverage("regression", y, p, similarity, folds)
    assert share > 0.87 and width > 0
    # One fold in which the model is wrong by two is not covered by what the others know.
    moved = np.where(folds == 0, y + 3, y)
    assert fold_coverage("regression", moved, p, similarity, folds)[0] < share - 0.05
