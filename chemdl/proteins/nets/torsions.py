"""Torsion angles of a chain's residues, as points of a circle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from chemdl.learn.losses import Loss, masked_mean
from chemdl.learn.ragged import Ragged
from chemdl.proteins.nets.convolutions import DilatedLabeller, DilatedResidual
from chemdl.proteins.residues import KINDS, window_places


def circle_loss(output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean squared distance of two outputs an angle from (cos, sin) of the target in degrees.

    A regression on the angle itself would hold -179° and 179° for far apart.
    """
    angle = torch.deg2rad(target)
    points = torch.stack([angle.cos(), angle.sin()], dim=-1)
    away = (output.unflatten(-1, (-1, 2)) - points).square().sum(-1)
    return masked_mean(away, weight)


class TorsionLabeller(DilatedLabeller):
    """φ and ψ of every residue by residual blocks with dilation (as SPIDER, Lyons et al. 2014)."""

    _loss: ClassVar[Any] = Loss(circle_loss)

    def build(self, features: dict[str, Any], n_tasks: int) -> nn.Module:
        """Make the network: two outputs for each angle."""
        return DilatedResidual(
            2 * n_tasks, self.width, self.dilations, self.kernel, self.dropout, self.profile
        )

    def _check_targets(self, targets: np.ndarray | Ragged) -> None:
        """Take any angles."""

    def predict(self, X: Sequence[Any]) -> np.ndarray:
        """Return angles in degrees: (sites, tasks)."""
        points = self.outputs(X).reshape(-1, self.n_tasks_, 2)
        return np.degrees(np.arctan2(points[..., 1], points[..., 0]))


class ResidueAngles(BaseEstimator):
    """The mean direction of the angles of each kind of residue, or of all of them."""

    stackable: ClassVar[bool] = False

    def __init__(self, by_residue: bool = True, kind: str = "other") -> None:
        self.by_residue, self.kind = by_residue, kind

    def fit(self, X: Sequence[str], y: Ragged) -> Self:
        """Add up directions by kind."""
        places = self._places(X)
        total = np.zeros((KINDS, y.values.shape[1], 2))
        for task, angle in enumerate(np.radians(y.values).T):
            seen = np.isfinite(angle)
            points = np.column_stack([np.cos(angle), np.sin(angle)])[seen]
            np.add.at(total[:, task], places[seen], points)
        # A kind that was not seen takes the direction of all.
        total += 1e-6 * total.sum(axis=0)
        self.angles_ = np.degrees(np.arctan2(total[..., 1], total[..., 0]))
        return self

    def predict(self, X: Sequence[str]) -> np.ndarray:
        """Return angles in degrees: (sites, tasks)."""
        return self.angles_[self._places(X)]

    def _places(self, X: Sequence[str]) -> np.ndarray:
        return window_places(X, 1)[:, 0] * int(self.by_residue)
