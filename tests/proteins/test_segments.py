"""Segments along chains, and the fixed points of their overlap."""

from __future__ import annotations

import numpy as np
import pytest

from chemdl.proteins.segments import overlap, overlap_parts, recall_by_length, segments

NUMBERS = {"H": 0.0, "E": 1.0, "C": 2.0}


def states(text: str) -> np.ndarray:
    return np.array([NUMBERS[letter] for letter in text])


def sov(observed: str, predicted: str, units: list[int] | None = None) -> float:
    y, p = states(observed), states(predicted)
    codes = np.array(units or [0] * len(y))
    return float(overlap(y, p, np.ones((1, len(y))), codes)[0])


@pytest.mark.parametrize(
    ("predicted", "expected"),
    # Table I of Zemla et al. 1999, observed CHHHHHHHHHHC.
    [("CHCHCHCHCHCC", 12.5), ("CCCHHHHHCCCC", 63.2), ("CHHHCHHHCHHC", 40.6),
     ("CHHCCHHHHHCC", 52.3), ("CCCHHHHHHCCC", 80.6)],
)  # fmt: skip
def test_published_examples(predicted: str, expected: float) -> None:
    assert sov("CHHHHHHHHHHC", predicted) == pytest.approx(expected, abs=0.06)


def test_the_published_strand_example() -> None:
    y, p = states("CCEEECCCCCCEEEEEECCC"), states("CCCCCCCEEEEECCCEECCC")
    total, normal = overlap_parts(y, p, np.zeros(len(y), int))
    strand = y == 1
    assert 100 * total[strand].sum() / normal[strand].sum() == pytest.approx(28, abs=0.6)


def test_what_is_right_is_a_hundred_and_what_shares_nothing_is_zero() -> None:
    assert sov("CCHHHEEC", "CCHHHEEC") == 100.0
    assert sov("HHHH", "EEEE") == 0.0
    assert sov("H", "H") == 100.0


def test_a_segment_ends_with_its_chain() -> None:
    cut = segments(states("HHHH"), np.array([0, 0, 1, 1]))
    assert cut.length.tolist() == [2, 2] and cut.of_site.tolist() == [0, 0, 1, 1]
    # One chain right and one wrong: half.
    assert sov("HHHH", "HHEE", [0, 0, 1, 1]) == 50.0


def test_weights_are_resamples_of_chains() -> None:
    y, p = states("CHHHCHHHEEEC"), states("CHHCCHHCEEEC")
    units = np.repeat([0, 1], [5, 7])
    weights = np.repeat([[2.0, 1.0], [0.0, 1.0]], [5, 7], axis=1)
    found = overlap(y, p, weights, units)
    twice = np.concatenate([y[:5], y]), np.concatenate([p[:5], p])
    codes = np.concatenate([np.full(5, 9), units])
    assert found[0] == pytest.approx(overlap(*twice, np.ones((1, 17)), codes)[0])
    assert found[1] == pytest.approx(overlap(y[5:], p[5:], np.ones((1, 7)), units[5:])[0])


def test_recall_by_length() -> None:
    y, p = states("EECEEEECEC"), states("EECCEECCCC")
    rows = recall_by_length(y, p, np.zeros(10, int), 1.0, [1, 2, 4])
    assert rows == [(1, 0.0, 1.0), (1, 1.0, 0.0), (1, 0.5, 0.0)]
