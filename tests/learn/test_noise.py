"""The noise is uniform, without pattern, and the same wherever and whenever it is drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from chemdl.learn.noise import GOLDEN, Noise, mix, signed


def noise_of(seed: int, step: int = 1) -> Noise:
    """The noise as the loop makes it from a replica's seed and the step."""
    seeds = torch.tensor([signed(seed)], dtype=torch.int32)
    return Noise(mix(seeds ^ signed(step * GOLDEN))[0])


def test_noise_is_uniform() -> None:
    u = noise_of(0).uniform(3, (1000, 1000)).numpy()
    assert u.dtype == np.float32
    assert u.min() >= 0.0
    assert u.max() < 1.0
    # Standard errors for a million numbers: .0003 of the mean, .00007 of the variance.
    assert u.mean(dtype=float) == pytest.approx(1 / 2, abs=0.0015)
    assert u.var(dtype=float) == pytest.approx(1 / 12, abs=0.0004)
    counts = np.histogram(u, bins=256, range=(0, 1))[0]
    chi_square = ((counts - 1e6 / 256) ** 2 / (1e6 / 256)).sum()
    assert 150 < chi_square < 380


def test_noise_has_no_pattern_within_a_batch() -> None:
    u = noise_of(1).uniform(0, (128, 2000)).numpy().astype(float)
    for shifted in (u[:, 1:], u[:, 2:], u[:, 32:]):
        assert abs(np.corrcoef(u[:, : shifted.shape[1]].ravel(), shifted.ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(u[1:].ravel(), u[:-1].ravel())[0, 1]) < 0.01
    assert u.mean(0).std() == pytest.approx(np.sqrt(1 / 12 / 128), rel=0.1)


def test_noise_of_layers_steps_and_seeds_is_uncorrelated() -> None:
    base = {(seed, step): noise_of(seed, step) for seed in (0, 1, 2**31 - 1) for step in (1, 2, 65)}
    drawn = np.array(
        [n.uniform(layer, (64, 512)).numpy().ravel() for n in base.values() for layer in range(4)]
    )
    correlation = np.corrcoef(drawn) - np.eye(len(drawn))
    # 630 pairs of 32,768 numbers: the standard error is .0055, its largest of 630 below 4.5 times.
    assert np.abs(correlation).max() < 0.025


def test_noise_depends_on_key_layer_and_position_alone() -> None:
    u = noise_of(5).uniform(2, (8, 16))
    noise_of(6).uniform(2, (8, 16))
    torch.manual_seed(0)
    assert torch.equal(noise_of(5).uniform(2, (8, 16)), u)
    assert torch.equal(noise_of(5).uniform(2, (4, 16)), u[:4])
    assert not torch.equal(noise_of(5).uniform(1, (8, 16)), u)


def test_noise_is_the_same_in_a_batched_pass() -> None:
    keys = torch.tensor([3, -4, 2**31 - 1], dtype=torch.int32)
    together = torch.func.vmap(lambda key: Noise(key).uniform(1, (5, 7)))(keys)
    for key, one in zip(keys, together, strict=True):
        assert torch.equal(Noise(key).uniform(1, (5, 7)), one)
