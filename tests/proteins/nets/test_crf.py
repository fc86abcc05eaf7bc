"""Chain fields against brute force over every labelling of short chains."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch

from chemdl.proteins.nets.crf import log_likelihood, log_partition, marginals

STATES = 3


def everything(scores: torch.Tensor, steps: torch.Tensor) -> dict[tuple[int, ...], float]:
    """Score every labelling of one chain (L, S)."""
    return {
        path: float(
            sum(scores[t, s] for t, s in enumerate(path))
            + sum(steps[a, b] for a, b in pairwise(path))
        )
        for path in product(range(STATES), repeat=len(scores))
    }


@pytest.fixture
def field() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[int]]:
    generator = torch.Generator().manual_seed(0)
    lengths = [4, 1, 3]
    scores = torch.randn(2, 3, 4, STATES, generator=generator, dtype=torch.float64)
    steps = torch.randn(2, STATES, STATES, generator=generator, dtype=torch.float64)
    mask = torch.arange(4) < torch.tensor(lengths)[:, None]
    return scores, steps, mask, lengths


def test_the_partition_sums_every_labelling(field) -> None:
    scores, steps, mask, lengths = field
    found = log_partition(scores, steps, mask)
    for g, n in product(range(2), range(3)):
        paths = everything(scores[g, n, : lengths[n]], steps[g])
        expected = torch.tensor(list(paths.values())).logsumexp(0)
        assert float(found[g, n]) == pytest.approx(float(expected))


def test_marginals_are_shares_of_the_labellings(field) -> None:
    scores, steps, mask, lengths = field
    found = marginals(scores, steps, mask)
    for g, n in product(range(2), range(3)):
        paths = everything(scores[g, n, : lengths[n]], steps[g])
        weights = torch.tensor(list(paths.values())).softmax(0)
        for t, s in product(range(lengths[n]), range(STATES)):
            share = sum(float(w) for w, path in zip(weights, paths, strict=True) if path[t] == s)
            assert float(found[g, n, t, s]) == pytest.approx(share)


def test_labels_that_are_not_known_are_summed_over(field) -> None:
    scores, steps, mask, _ = field
    labels = torch.tensor([[[0, -1, 2, 1], [2, -1, -1, -1], [-1, -1, -1, -1]]] * 2)
    found = log_likelihood(scores, steps, labels, mask)
    for g in range(2):
        paths = everything(scores[g, 0], steps[g])
        weights = torch.tensor(list(paths.values())).log_softmax(0)
        fits = [path[0] == 0 and path[2:] == (2, 1) for path in paths]
        expected = weights[torch.tensor(fits)].logsumexp(0)
        assert float(found[g, 0]) == pytest.approx(float(expected))
    assert found[:, 2].abs().max() < 1e-9  # nothing known, nothing lost


def test_a_long_chain_neither_overflows_nor_vanishes() -> None:
    scores = torch.full((1, 1, 3000, STATES), 50.0)
    steps, mask = torch.zeros(1, STATES, STATES), torch.ones(1, 3000, dtype=torch.bool)
    scores.requires_grad_(True)
    total = log_partition(scores, steps, mask)
    total.sum().backward()
    assert torch.isfinite(total).all() and torch.isfinite(scores.grad).all()
    assert float(scores.grad.sum()) == pytest.approx(3000, rel=1e-3)
