"""ElemNet: seventeen layers over the shares of the elements in a composition.

Jha et al. 2018 (doi:10.1038/s41598-018-35934-y): h_l = relu(W_l h_(l-1) + b_l), halving in width,
with dropout where the width changes. The net is not told which elements are similar; it must learn
this from the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from chemdl.learn.estimator import Feature, NeuralEstimator
from chemdl.learn.layers import Dropout
from chemdl.learn.models import net
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch, column
from chemdl.materials.compositions import element_fractions
from chemdl.materials.formulas import LAST_ELEMENT

# By which number the first width is divided, in how many layers, and the dropout behind the last.
_LAYERS = ((1, 4, 0.2), (2, 3, 0.1), (4, 3, 0.3), (8, 3, 0.2), (16, 2, 0.0), (32, 1, 0.0))


class ElementLayers(nn.Module):
    """Shares (B, 103) → (B, tasks) through sixteen hidden layers, ``width`` wide at first.

    ``dropout`` scales the paper's rates.
    """

    def __init__(self, n_tasks: int, width: int, dropout: float) -> None:
        super().__init__()
        sizes, rates = [LAST_ELEMENT], []
        for divisor, count, rate in _LAYERS:
            sizes += [max(1, width // divisor)] * count
            rates += [0.0] * (count - 1) + [rate * dropout]
        layers = [nn.Linear(a, b) for a, b in pairwise(sizes)]
        # With PyTorch's default weights the signal shrinks in each layer, and vanishes in sixteen.
        for layer in layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        self.hidden = nn.ModuleList(layers)
        self.dropouts = nn.ModuleList(Dropout(rate, layer) for layer, rate in enumerate(rates))
        self.output = nn.Linear(sizes[-1], n_tasks)

    def forward(self, batch: Batch, noise: Noise | None, weight: Tensor) -> Tensor:
        """Return the tasks' logits or values: (B, tasks)."""
        h = column(batch, "shares", Tensor)
        for layer, dropout in zip(self.hidden, self.dropouts, strict=True):
            h = dropout(torch.relu(layer(h)), noise)
        return self.output(h)


@net(
    "elemnet",
    family="net on vectors",
    reads="shares of the elements",
    method="seventeen layers (ElemNet)",
    paper="Jha et al. 2018, doi:10.1038/s41598-018-35934-y",
    inputs=("formula", "crystal"),
)
class ElemNet(NeuralEstimator):
    """ElemNet over formulas or crystals; see :class:`ElementLayers`.

    The defaults are the paper's: 1,024 units at first, batches of 32, Adam at 1e-4 without decay.
    """

    network = ElementLayers
    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [1e-4, 3e-4, 1e-3],
        "width": [256, 512, 1024],
        "dropout": [0.0, 0.5, 1.0],
    }
    # Real targets by their absolute error, by which Matbench scores them.
    _loss: ClassVar[Any] = "mae"

    width: int = 1024
    dropout: float = 1.0
    epochs: int = 200
    batch_size: int = 32
    learning_rate: float = 1e-4
    clip: float | None = 1.0
    patience: int = 40

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return the share of each element: (n, 103)."""
        return {"shares": element_fractions(inputs)}
