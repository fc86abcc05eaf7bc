"""What the nets over protein chains share: input, layers, and the estimator around them.

A network reads residues (one-hot, with a profile beside them where it is told to) and gives scores
for every residue: for a task of c classes c scores, for a task of values one number, side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from chemdl.learn.estimator import Feature
from chemdl.learn.labelling import NeuralLabeller, scores_of
from chemdl.learn.layers import Dropout
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch, Padded, column
from chemdl.proteins.residues import KINDS, chain_residues

# What the registry says of every net over residues.
RESIDUES: dict[str, Any] = {
    "family": "sequence net",
    "reads": "residues",
    "inputs": ("sequence",),
    "learns": ("labelling",),
}


class ResidueDropout(Dropout):
    """Dropout over (B, channels, L) whose random numbers do not depend on the padding's length.

    The result of a batch is then the same when longer chains are beside it, as in a stack of
    replicas.
    """

    def forward(self, x: Tensor, noise: Noise | None) -> Tensor:
        return super().forward(x.permute(2, 0, 1), noise).permute(1, 2, 0)


class ResidueNorm(nn.LayerNorm):
    """Layer normalisation (Ba et al. 2016) of each residue over its channels, (B, channels, L).

    The result for a residue does not depend on other residues or on the batch, so padding has no
    effect.
    """

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.mT).mT


def input_width(profile: bool) -> int:
    """Return how many numbers stand for a residue, with its profile or without."""
    return KINDS + 20 * profile


def residue_inputs(residues: Padded, profile: bool) -> Tensor:
    """Return residues (B, L, 1 or 21) one-hot, with the profile if asked for: (B, inputs, L)."""
    kinds = torch.arange(KINDS, device=residues.values.device)
    inputs = (residues.values[:, :, :1] == kinds).float()
    if profile:
        inputs = torch.cat([inputs, residues.values[:, :, 1:].float() / 255.0], dim=2)
    return inputs.mT


class ChainNetwork(nn.Module):
    """Residues (B, L, 1 or 21) → scores (B, L, k); a subclass gives :meth:`encode`.

    ``profile`` says whether the profile is read as well. Padding is zero for every layer.
    """

    # Its output has one row for each site of this feature.
    sites = "residues"

    def __init__(self, n_scores: int, width: int, profile: bool) -> None:
        super().__init__()
        self.profile = profile
        self.n_inputs = input_width(profile)
        self.output = nn.Conv1d(width, n_scores, 1)

    def forward(self, batch: Batch, noise: Noise | None, weight: Tensor) -> Tensor:
        """Return the scores of every residue, those of padding included: (B, L, k)."""
        residues = column(batch, "residues", Padded)
        mask = residues.mask[:, None, :].float()
        return self.read(residue_inputs(residues, self.profile) * mask, mask, noise).mT

    def read(self, x: Tensor, mask: Tensor, noise: Noise | None) -> Tensor:
        """Return the scores (B, k, L) of inputs (B, inputs, L)."""
        return self.output(self.encode(x, mask, noise))

    def encode(self, x: Tensor, mask: Tensor, noise: Noise | None) -> Tensor:
        """Return the hidden vector of each residue: (B, width, L)."""
        raise NotImplementedError


@dataclass(kw_only=True, eq=False, repr=False)
class ChainLabeller(NeuralLabeller):
    """Labels of every residue of a chain: classes or values, several tasks side by side.

    Parameters
    ----------
    classes
        Number of classes of each task, 0 for a task with real values.
    profile
        Whether profiles are read beside the residues.
    """

    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [1e-3, 2e-3, 4e-3],
        "dropout": [0.1, 0.2, 0.3, 0.5],
    }

    classes: Sequence[int] = (3, 8)
    profile: bool = False
    epochs: int = 12
    batch_size: int = 16
    clip: float | None = 1.0
    patience: int = 20
    bucketed: bool = True

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return the residues of the chains, padded rows."""
        return {"residues": chain_residues(inputs, profile=self.profile)}

    def sizes(self, features: dict[str, Feature], n_tasks: int) -> dict[str, Any]:
        """Return how many scores the network gives a residue; the alphabet is fixed."""
        return {"n_scores": sum(scores_of(self.classes))}
