"""A net over descriptors of a composition: what a random forest reads as well.

They are Magpie's statistics of the elements and the elements' shares (Ward et al. 2016,
doi:10.1038/npjcompumats.2016.28).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from chemdl.learn.estimator import Feature, NeuralEstimator
from chemdl.learn.layers import BatchNorm, ColumnScale, Dropout, deviation_or_one
from chemdl.learn.models import net
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch, column
from chemdl.materials.compositions import descriptors_and_fractions


class DescriptorLayers(nn.Module):
    """Descriptors (B, F) → (B, tasks) through layers with batch normalisation."""

    def __init__(
        self, n_features: int, n_tasks: int, hidden: Sequence[int], dropout: float
    ) -> None:
        super().__init__()
        self.scale = ColumnScale(n_features, deviation_or_one(least=1e-6))
        sizes = [n_features, *hidden]
        self.hidden = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in pairwise(sizes))
        self.norms = nn.ModuleList(BatchNorm(size) for size in hidden)
        self.dropouts = nn.ModuleList(Dropout(dropout, layer) for layer in range(len(hidden)))
        self.output = nn.Linear(sizes[-1], n_tasks)

    def fit_scaling(self, batch: Batch) -> None:
        """Take centre and spread of each column from the train rows; constant ones stay."""
        self.scale.fit(column(batch, "descriptors", Tensor))

    def forward(self, batch: Batch, noise: Noise | None, weight: Tensor) -> Tensor:
        """Return the tasks' logits or values: (B, tasks)."""
        x = column(batch, "descriptors", Tensor)
        # A column that hardly varies in train may lie far out in a test row.
        h = self.scale(x).clamp(-10.0, 10.0)
        for layer, norm, dropout in zip(self.hidden, self.norms, self.dropouts, strict=True):
            h = dropout(torch.relu(norm(layer(h), weight)), noise)
        return self.output(h)


@net(
    "descriptor_net",
    family="net on vectors",
    reads="descriptors of the elements",
    method="three layers with batch normalisation",
    paper="descriptors of Ward et al. 2016, doi:10.1038/npjcompumats.2016.28",
    inputs=("formula", "crystal"),
)
class DescriptorNet(NeuralEstimator):
    """A net over element descriptors of formulas or crystals; see :class:`DescriptorLayers`.

    The first two hidden layers are ``width`` wide, the third is half as wide.
    """

    network = DescriptorLayers
    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [3e-4, 1e-3, 3e-3],
        "width": [128, 256, 512],
        "dropout": [0.0, 0.1, 0.3],
        "weight_decay": [0.0, 1e-5, 1e-4],
    }
    # Real targets by their absolute error, by which Matbench scores them.
    _loss: ClassVar[Any] = "mae"

    width: int = 256
    dropout: float = 0.1
    epochs: int = 100
    batch_size: int = 64
    warmup: float = 2.0
    decay: float = 0.03
    weight_decay: float = 1e-5
    patience: int = 30

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return Magpie's statistics and the shares of the elements: (n, descriptors + 103)."""
        return {"descriptors": descriptors_and_fractions(inputs)}

    def sizes(self, features: dict[str, Feature], n_tasks: int) -> dict[str, Any]:
        """Return the number of descriptors, and the widths of the layers."""
        hidden = (self.width, self.width, self.width // 2)
        width = features["descriptors"].shape[-1]
        return {"n_features": width, "n_tasks": n_tasks, "hidden": hidden}
