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


def gains(noise: float, a: float = 5.0, c: float = 0.3, seeds: int = 40):
    """Return the gains that curves with noise promise, and the true one of 1,000 molecules."""
    true = a * SIZES**-0.3 + c
    drawn = [np.random.default_rng(seed).normal(size=(5, 4)) for seed in range(seeds)]
    truth = (a * 2000**-0.3 + c) / true[-1] - 1
    return [expected_gain(SIZES, true * (1 + noise * one)) for one in drawn], truth


@pytest.mark.parametrize("noise", [0.005, 0.02])
def test_the_interval_of_the_gain_holds_the_truth(noise: float) -> None:
    found, truth = gains(noise)
    assert np.mean([gain.low <= truth <= gain.high for gain in found]) > 0.85


def test_a_steep_curve_is_told_and_noise_is_not() -> None:
    (steep, *_), _ = gains(0.005)
    assert steep.high < 0 and steep.sentence.startswith("1,000 more molecules: -1")
    flat, _ = gains(0.2, a=0.0, c=1.0)
    assert np.mean(["cannot be told" in gain.sentence for gain in flat]) > 0.8


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
