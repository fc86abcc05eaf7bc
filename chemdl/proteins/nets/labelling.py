"""What the networks over protein chains share: input, tasks, loss, and the estimator around them.

A network reads residues (one-hot, with a profile beside them where it is told to) and gives scores
for every residue: for a task of c classes c scores, for a task of values one number, side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from chemdl.learn.estimator import Feature, NeuralEstimator
from chemdl.learn.layers import Dropout
from chemdl.learn.losses import Loss
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch, Padded, Ragged
from chemdl.proteins.residues import KINDS, chain_residues, sequence_of


def scores_of(classes: Sequence[int]) -> list[int]:
    """Return how many scores each task takes: one for each class, or one for a value."""
    return [max(1, count) for count in classes]


class ResidueDropout(Dropout):
    """Dropout over (B, C, L) whose random numbers do not depend on how long the padding is.

    So a batch learns the same beside longer chains, as in a stack of replicas.
    """

    def forward(self, x: Tensor, noise: Noise | None) -> Tensor:
        return super().forward(x.permute(2, 0, 1), noise).permute(1, 2, 0)


class ChainNet(nn.Module):
    """Residues (B, L, 1 or 21) → scores (B, L, k); a subclass gives :meth:`encode`.

    ``profile`` says whether the profile is read as well. Padding is zero for every layer.
    """

    # Its output has one row for each site of this feature.
    sites = "residues"

    def __init__(self, n_scores: int, width: int, profile: bool) -> None:
        super().__init__()
        self.profile = profile
        self.n_inputs = KINDS + 20 * profile
        self.output = nn.Conv1d(width, n_scores, 1)

    def forward(self, batch: Batch, noise: Noise | None, weight: Tensor) -> Tensor:
        """Return the scores of every residue, those of padding included: (B, L, k)."""
        column = batch[self.sites]
        assert isinstance(column, Padded)
        mask = column.mask[:, None, :].float()
        return self.read(self.inputs(column) * mask, mask, noise).mT

    def inputs(self, column: Padded) -> Tensor:
        """Return the one-hot residues, and the profile where it is read: (B, inputs, L)."""
        kinds = torch.arange(KINDS, device=column.values.device)
        residues = (column.values[:, :, :1] == kinds).float()
        if self.profile:
            residues = torch.cat([residues, column.values[:, :, 1:].float() / 255.0], dim=2)
        return residues.mT

    def read(self, x: Tensor, mask: Tensor, noise: Noise | None) -> Tensor:
        """Return the scores (B, k, L) of inputs (B, inputs, L)."""
        return self.output(self.encode(x, mask, noise))

    def encode(self, x: Tensor, mask: Tensor, noise: Noise | None) -> Tensor:
        """Return what stands for each residue: (B, width, L)."""
        raise NotImplementedError


def labelling_loss(classes: Sequence[int]) -> Loss:
    """Return the loss of tasks side by side: the sum of their means over measured sites.

    Cross-entropy for a task of classes, squared error for one of values. A network that gives the
    scores more than once (a second stage on a first) is held to all of them.
    """
    widths = scores_of(classes)

    def total(output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        output, target, weight = (part.flatten(1, -2) for part in (output, target, weight))
        losses = []
        for start in range(0, output.shape[2], sum(widths)):
            stage = output[:, :, start : start + sum(widths)].split(widths, dim=2)
            for task, (scores, count) in enumerate(zip(stage, classes, strict=True)):
                each = _site_losses(scores, target[:, :, task], count)
                own = weight[:, :, task]
                losses.append((each * own).sum(1) / own.sum(1).clamp(min=1.0))
        return torch.stack(losses).sum(0)

    return Loss(total=total, scaled=False)


def _site_losses(scores: Tensor, target: Tensor, count: int) -> Tensor:
    """Return the loss of each site of one task: (replicas, sites)."""
    if not count:
        return (scores[:, :, 0] - target).square()
    chosen = scores.gather(2, target.long()[:, :, None])[:, :, 0]
    return scores.logsumexp(2) - chosen


class ChainLabeller(NeuralEstimator):
    """Labels of every residue of a chain: classes or values, several tasks side by side.

    Parameters
    ----------
    classes : of each task the number of its classes, 0 for a task of values.
    profile : whether profiles are read beside the residues.
    """

    classes: Sequence[int]
    profile: bool
    search_space: ClassVar[dict[str, list[Any]]] = {}

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return the residues of the chains, padded rows."""
        return {"residues": chain_residues(inputs, profile=self.profile)}

    @property
    def n_scores(self) -> int:
        """How many scores the network gives a residue."""
        return sum(scores_of(self.classes))

    @property
    def _loss(self) -> Loss:
        return labelling_loss(self.classes)

    def _check_targets(self, targets: np.ndarray | Ragged) -> None:
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
        """Return the likeliest class, or the value, of every site: (sites, tasks)."""
        columns = []
        for scores, count in zip(self.site_scores(X), self.classes, strict=True):
            columns.append(scores.argmax(1) if count else scores[:, 0])
        return np.column_stack(columns).astype(np.float64)

    def site_scores(self, X: Sequence[Any]) -> list[np.ndarray]:
        """Return each task's scores of every site: (sites, classes), or (sites, 1) for values."""
        ends = np.cumsum(scores_of(self.classes))
        return np.split(self.outputs(X)[:, : ends[-1]], ends[:-1], axis=1)


def chain_lengths(X: Sequence[Any]) -> np.ndarray:
    """Return the number of residues of each chain."""
    return np.array([len(sequence_of(chain)) for chain in X], dtype=np.int64)
