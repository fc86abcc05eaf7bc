"""Networks under a linear-chain field: layer, loss, probabilities, and the estimator around them.

The mathematics is in :mod:`chemdl.proteins.nets.crf`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chemdl.learn.losses import Loss
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch, Ragged
from chemdl.proteins.nets.chain_net import ChainLabeller
from chemdl.proteins.nets.crf import FORBIDDEN, log_likelihood, marginals
from chemdl.proteins.residues import chain_lengths


class FieldNetwork(nn.Module):
    """A network under a linear-chain field, one for each task (DeepCNF, Wang et al. 2016).

    Gives (B, L, k + Σ classes²): the network's scores, then each task's scores of a step from one
    state to the next, the same at every residue.
    """

    sites = "residues"

    def __init__(self, scoring: nn.Module, classes: Sequence[int]) -> None:
        super().__init__()
        self.scoring = scoring
        self.steps = nn.ParameterList(nn.Parameter(torch.zeros(c, c)) for c in classes)

    def forward(self, batch: Batch, noise: Noise | None, weight: Tensor) -> Tensor:
        """Return scores and steps of every residue: (B, L, k + Σ classes²)."""
        scores = self.scoring(batch, noise, weight)
        steps = torch.cat([step.flatten() for step in self.steps])
        return torch.cat([scores, steps.expand(*scores.shape[:2], -1)], dim=2)


def field_loss(classes: Sequence[int]) -> Loss:
    """Return the negative log-likelihood of the labels of whole chains, per measured site.

    It is summed over the states of sites without a label, and over the tasks, as
    :func:`chemdl.learn.labelling.labelling_loss` does.
    """

    def total(output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        scores, steps = split_by_task(output, classes)
        labels = torch.where(weight > 0, target, -1.0).permute(3, 0, 1, 2).long()
        mask = _sites(weight).expand(len(classes), -1, -1, -1)
        # A field for each task and replica: every replica has steps of its own.
        likelihood = log_likelihood(
            scores.flatten(0, 1), steps.flatten(0, 1), labels.flatten(0, 1), mask.flatten(0, 1)
        ).unflatten(0, steps.shape[:2])
        measured = weight.permute(3, 0, 1, 2).sum((2, 3))
        return -(likelihood.sum(2) / measured.clamp(min=1.0)).sum(0)

    return Loss(total=total, scaled=False)


def _sites(weight: Tensor) -> Tensor:
    """Return the mask (replicas, rows, L) up to each row's last measured site.

    Unmeasured sites before that site are needed for the steps; those after it do not change the
    likelihood.
    """
    measured = (weight > 0).any(3)
    return measured.flip(2).cumsum(2).flip(2) > 0


def split_by_task(output: Tensor, classes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Split what a :class:`FieldNetwork` gives for replicas, (replicas, rows, L, …), by task.

    Returns scores (tasks, replicas, rows, L, S) and steps (tasks, replicas, S, S), with S the
    number of states of the task that has most; the scores of states that a task has not forbid
    them.
    """
    most, at = max(classes), sum(classes)
    start, scores, steps = 0, [], []
    for count in classes:
        missing = most - count
        of_task = output[..., start : start + count]
        step = output[:, 0, 0, at : at + count**2].unflatten(1, (count, count))
        scores.append(nn.functional.pad(of_task, (0, missing), value=FORBIDDEN))
        steps.append(nn.functional.pad(step, (0, missing, 0, missing)))
        start, at = start + count, at + count**2
    return torch.stack(scores), torch.stack(steps)


@torch.no_grad()
def field_probabilities(
    outputs: np.ndarray, lengths: np.ndarray, classes: Sequence[int], block: int = 64
) -> list[np.ndarray]:
    """Return p(state | chain) of every site, (sites, classes) for each task.

    Parameters
    ----------
    outputs
        Outputs of a :class:`FieldNetwork`, (sites, k + Σ classes²), chain after chain.
    lengths
        Number of sites of each chain.
    block
        Number of chains that are padded to one length and computed together.
    """
    chains = np.split(outputs, np.cumsum(lengths)[:-1])
    probabilities: list[list[np.ndarray]] = [[] for _ in classes]
    for first in range(0, len(chains), block):
        rows = [torch.as_tensor(chain) for chain in chains[first : first + block]]
        padded = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        of_block = torch.as_tensor(lengths[first : first + block])
        mask = torch.arange(padded.shape[1]) < of_block[:, None]
        scores, steps = split_by_task(padded[None], classes)
        p = marginals(scores[:, 0], steps[:, 0], mask)
        for task, count in enumerate(classes):
            probabilities[task].append(p[task][mask][:, :count].numpy())
    return [np.concatenate(parts) for parts in probabilities]


class FieldLabeller(ChainLabeller):
    """Labels of residues by a network, under a linear-chain field if ``field`` is set."""

    field: bool

    def build(self, features: dict[str, Any], n_tasks: int) -> nn.Module:
        """Make the network that gives the scores, and the field on it."""
        scoring = super().build(features, n_tasks)
        return FieldNetwork(scoring, self.classes) if self.field else scoring

    def check_targets(self, targets: np.ndarray | Ragged) -> None:
        super().check_targets(targets)
        if self.field and not all(self.classes):
            raise ValueError(f"a field needs classes in every task, not {tuple(self.classes)}")

    @property
    def _loss(self) -> Loss:
        return field_loss(self.classes) if self.field else super()._loss

    def site_scores(self, X: Sequence[Any]) -> list[np.ndarray]:
        """Return each task's scores; under a field the probabilities that it gives each site."""
        if not self.field:
            return super().site_scores(X)
        return field_probabilities(self.outputs(X), chain_lengths(X), self.classes)
