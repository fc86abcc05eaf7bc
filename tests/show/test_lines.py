"""Limits of an axis that holds means and their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from chemdl.show.lines import limits

NAN = float("nan")


@pytest.mark.parametrize(
    ("mean", "low", "high", "expected"),
    [
        ([1.0, 21.0], [NAN, NAN], [NAN, NAN], (0.0, 22.0)),  # room for marks without intervals
        ([0.8, 0.9], [0.75, 0.85], [0.85, 0.95], (0.75, 0.95)),
        ([0.8, 0.9], [-3.0, 0.88], [4.6, 0.92], (0.68, 1.02)),  # what dwarfs the means is cut
    ],
)
def test_all_means_are_inside(mean, low, high, expected) -> None:
    found = limits(mean, low, high)
    assert found == pytest.approx(expected)
    assert found[0] < np.min(mean) and np.max(mean) < found[1]
