"""Labelling of sites: classes or values of every residue of a chain, several tasks side by side.

A network gives scores for every site, side by side for all tasks: c scores for a task with c
classes, one number for a task with real values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chemdl.learn.estimator import NeuralEstimator
from chemdl.learn.losses import Loss, masked_mean
from chemdl.learn.ragged import Ragged


def scores_of(classes: Sequence[int]) -> list[int]:
    """Return how many scores each task takes: one for each class, or one for a value."""
    return [max(1, count) for count in classes]


def labelling_loss(classes: Sequence[int]) -> Loss:
    """Return the loss of tasks side by side: the sum of their means over measured sites.

    Cross-entropy for a task of classes, squared error for one of values. If a network gives the
    scores more than once (a second stage on a first), each of them enters the loss.
    """
    widths = scores_of(classes)

    def total(output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        output, target, weight = (part.flatten(1, -2) for part in (output, target, weight))
        losses = []
        for start in range(0, output.shape[2], sum(widths)):
            stage = output[:, :, start : start + sum(widths)].split(widths, dim=2)
            for task, (scores, count) in enumerate(zip(stage, classes, strict=True)):
                each = _site_losses(scores, target[:, :, task], count)
                losses.append(masked_mean(each, weight[:, :, task]))
        return torch.stack(losses).sum(0)

    return Loss(total=total, scaled=False)


def _site_losses(scores: Tensor, target: Tensor, count: int) -> Tensor:
    """Return the loss of each site of one task: (replicas, sites)."""
    if not count:
        return (scores[:, :, 0] - target).square()
    chosen = scores.gather(2, target.long()[:, :, None])[:, :, 0]
    return scores.logsumexp(2) - chosen


class NeuralLabeller(NeuralEstimator):
    """Labels of every site of a row; ``classes`` is a parameter of the net.

    It holds the number of classes of each task, 0 for a task with real values.
    """

    classes: Sequence[int]

    @property
    def _loss(self) -> Loss:
        return labelling_loss(self.classes)

    def check_targets(self, targets: np.ndarray | Ragged) -> None:
        super().check_targets(targets)
        values = targets.values if isinstance(targets, Ragged) else targets
        if targets.shape[1] != len(self.classes):
            raise ValueError(
                f"classes={tuple(self.classes)} speaks of {len(self.classes)} tasks, the targets "
                f"have {targets.shape[1]}"
            )
        for task, count in enumerate(self.classes):
            own = values[:, task]
            if count and not np.isin(own[np.isfinite(own)], np.arange(count)).all():
                raise ValueError(f"task {task} has classes 0 to {count - 1}, or NaN, alone")

    def predict(self, X: Sequence[Any]) -> np.ndarray:
        """Return the most probable class, or the value, of every site: (sites, tasks)."""
        columns = []
        for scores, count in zip(self.site_scores(X), self.classes, strict=True):
            columns.append(scores.argmax(1) if count else scores[:, 0])
        return np.column_stack(columns).astype(np.float64)

    def site_scores(self, X: Sequence[Any]) -> list[np.ndarray]:
        """Return each task's scores of every site: (sites, classes), or (sites, 1) for values."""
        ends = np.cumsum(scores_of(self.classes))
        return np.split(self.outputs(X)[:, : ends[-1]], ends[:-1], axis=1)
