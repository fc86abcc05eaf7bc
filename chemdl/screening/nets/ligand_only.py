"""The control beside every net over complexes: a net that sees the ligand and no protein.

On DUD-E such a net is about as good as nets that see both (Chen et al. 2019,
doi:10.1371/journal.pone.0220113), because these learn how actives differ from decoys, not how a
ligand fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from chemdl.learn.estimator import Feature, NeuralEstimator
from chemdl.learn.layers import Dropout, RunningNorm
from chemdl.learn.models import net
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch, column
from chemdl.screening.complex_features import ligand_features


class LigandLayers(nn.Module):
    """One hidden layer over a ligand's features (B, F) → (B, tasks).

    y = W_2 dropout(relu(W_1 N(x) + b_1)) + b_2, with N the normalisation of each column if the
    features have units. Bits are not normalised, because rare ones would become very large.
    """

    def __init__(
        self, n_features: int, n_tasks: int, width: int, dropout: float, normalise: bool
    ) -> None:
        super().__init__()
        self.norm = RunningNorm(n_features) if normalise else None
        self.hidden = nn.Linear(n_features, width)
        self.dropout = Dropout(dropout, 0)
        self.output = nn.Linear(width, n_tasks)

    def forward(self, batch: Batch, noise: Noise | None, weight: Tensor) -> Tensor:
        """Return the tasks' logits or values: (B, tasks)."""
        x = column(batch, "ligand", Tensor).float()
        x = x if self.norm is None else self.norm(x, weight)
        h = torch.relu(self.hidden(x))
        return self.output(self.dropout(h, noise))


@net(
    "ligand_net",
    family="net on vectors",
    reads="ECFP4 bits of the ligand, no protein",
    method="one hidden layer",
    inputs=("complex",),
)
@net(
    "properties_net",
    family="net on vectors",
    reads="six properties of the ligand, no protein",
    method="one hidden layer",
    inputs=("complex",),
    representation="properties",
)
class LigandOnly(NeuralEstimator):
    """A net over the ligands of complexes (``"akt1 CCO"``), which need not be docked.

    Parameters
    ----------
    representation
        Name of the representation, ``ecfp`` or ``properties``, as in
        :func:`~chemdl.screening.complex_features.ligand_features`.
    width
        Number of units of the hidden layer.
    dropout
        Dropout rate after the hidden layer.
    """

    network = LigandLayers
    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [3e-4, 1e-3, 3e-3],
        "width": [32, 64, 128],
        "dropout": [0.0, 0.2, 0.4],
        "weight_decay": [0.0, 1e-4, 1e-3],
    }

    representation: Literal["ecfp", "properties"] = "ecfp"
    width: int = 64
    dropout: float = 0.2
    epochs: int = 60
    batch_size: int = 64
    weight_decay: float = 1e-4
    patience: int = 15

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return the ligands' fingerprints (n, 2048), or their six properties (n, 6)."""
        return {"ligand": ligand_features(inputs, self.representation)}

    def sizes(self, features: dict[str, Feature], n_tasks: int) -> dict[str, Any]:
        """Return the width of the features, and whether they have units to be normalised."""
        normalise = self.representation == "properties"
        width = features["ligand"].shape[-1]
        return {"n_features": width, "n_tasks": n_tasks, "normalise": normalise}
