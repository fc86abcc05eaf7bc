"""What more molecules would bring, and how good any model can get."""

from __future__ import annotations

import numpy as np
import pytest

from chemdl.your_data.ceiling import Ceiling, from_replicates
from chemdl.your_data.curve import expected_gain, power_law

SIZES = np.array([200.0, 350.0, 600.0, 1000.0])


def test_a_power_law_is_found_again() -> None:
    a, b, c = power_law(SIZES, 2 * SIZES**-0.4 + 0.3)
    assert (a, b, c) == pytest.approx((2, 0.4, 0.3), rel=0.05)


def test_the_gain_of_a_steep_curve_is_told_and_that_of_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    steep = 5 * SIZES**-0.3 * (1 + 0.005 * rng.normal(size=(5, 4)))
    gain = expected_gain(SIZES, steep)
    truth = 2**-0.3 - 1
    assert gain.low < truth < gain.high < 0
    assert gain.sentence.startswith("1,000 more molecules: -1")
    noise = expected_gain(SIZES, 1 + 0.2 * rng.normal(size=(5, 4)))
    assert "cannot be told" in noise.sentence


def test_no_curve_reaches_farther_than_twice_the_molecules() -> None:
    assert expected_gain(SIZES / 10, 5 * SIZES**-0.3 + np.zeros((5, 4))).added == 100


def test_replicates_tell_the_noise() -> None:
    rng = np.random.default_rng(1)
    keys = [f"m{i // 2}" for i in range(400)]
    values = np.repeat(rng.normal(size=200), 2) + 0.3 * rng.normal(size=400)
    found = from_replicates(keys, values)
    assert found.error == pytest.approx(0.3, rel=0.1)
    assert found.closed(1.0, 0.65) == pytest.approx(0.5, abs=0.05)
    assert "200 molecules" in found.source
    assert from_replicates(keys[:10], values[:10]) is None


def test_the_ceiling_says_where_it_makes_no_sense() -> None:
    assert "cannot be told apart" in Ceiling(2.0, "as stated").sentence(1.0, 0.9)
    assert "smaller than stated" in Ceiling(0.8, "as stated").sentence(1.0, 0.7)
    assert "50% of the way" in Ceiling(0.5, "as stated").sentence(1.0, 0.75)
