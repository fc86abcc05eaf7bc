"""Torsion angles of a chain's residues, predicted as points of a circle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from chemdl.learn.estimator import NeuralEstimator
from chemdl.learn.losses import Loss, masked_mean
from chemdl.learn.models import net
from chemdl.learn.ragged import Ragged
from chemdl.proteins.nets.chain_net import RESIDUES
from chemdl.proteins.nets.dilated_cnn import DilatedCNN


def circle_loss(output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the mean squared distance of two outputs an angle from (cos, sin) of the target.

    Targets are in degrees. A regression on the angle itself would treat -179° and 179° as far
    apart.
    """
    angle = torch.deg2rad(target)
    points = torch.stack([angle.cos(), angle.sin()], dim=-1)
    away = (output.unflatten(-1, (-1, 2)) - points).square().sum(-1)
    return masked_mean(away, weight)


@net(
    "torsion_net",
    **RESIDUES,
    method="residual blocks of dilated convolutions; φ and ψ as points of a circle",
    paper="as SPIDER: Lyons et al. 2014, doi:10.1002/jcc.23718",
)
class TorsionNet(DilatedCNN):
    """φ and ψ of every residue by residual blocks with dilation.

    ``classes`` is not used here, because both tasks are angles.
    """

    _loss: ClassVar[Any] = Loss(circle_loss)

    def sizes(self, features: dict[str, Any], n_tasks: int) -> dict[str, Any]:
        """Return the number of outputs: two for each angle."""
        return {"n_scores": 2 * n_tasks}

    def check_targets(self, targets: np.ndarray | Ragged) -> None:
        """Take any angles that are finite; ``classes`` says nothing of them."""
        NeuralEstimator.check_targets(self, targets)

    def predict(self, X: Sequence[Any]) -> np.ndarray:
        """Return angles in degrees: (sites, tasks)."""
        points = self.outputs(X).reshape(-1, self.n_tasks_, 2)
        return np.degrees(np.arctan2(points[..., 1], points[..., 0]))
