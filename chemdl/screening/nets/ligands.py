"""The control beside every net over complexes: a net that sees the ligand and no protein.

On DUD-E it does about as well as nets that see both (Chen et al. 2019,
doi:10.1371/journal.pone.0220113): what they learn is how actives differ from decoys, not how a
ligand fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from chemdl.learn.estimator import Feature, NeuralClassifier, NeuralEstimator, NeuralRegressor
from chemdl.learn.layers import Dropout, RunningNorm
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch
from chemdl.molecules.fingerprints import ECFP
from chemdl.registry import UnknownNameError
from chemdl.screening.poses import split_input
from chemdl.screening.properties import physical_properties

Representation = Literal["ecfp", "properties"]
REPRESENTATIONS = ("ecfp", "properties")


def ligand_features(inputs: Sequence[Any], representation: str) -> np.ndarray:
    """Return what is seen of the ligands of n complexes: ECFP4 bits (n, 2048), or (n, 6).

    Raises
    ------
    ValueError
        for an unknown representation, or text that is no complex.
    """
    if representation not in REPRESENTATIONS:
        raise UnknownNameError("representation", representation, REPRESENTATIONS)
    smiles = [split_input(text)[1] for text in inputs]
    return ECFP().transform(smiles) if representation == "ecfp" else physical_properties(smiles)


class LigandLayers(nn.Module):
    """One hidden layer over a ligand's features (B, F) → (B, tasks).

    y = W_2 dropout(relu(W_1 N(x) + b_1)) + b_2, with N the normalisation of each column where the
    features have units. Bits pass as they are: a rare one would be blown up.
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
        x = batch["ligand"]
        assert isinstance(x, Tensor)
        x = x.float() if self.norm is None else self.norm(x.float(), weight)
        h = torch.relu(self.hidden(x))
        return self.output(self.dropout(h, noise))


class _Ligand(NeuralEstimator):
    """Shared by the classifier and the regressor: parameters, features and the network."""

    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [3e-4, 1e-3, 3e-3],
        "width": [32, 64, 128],
        "dropout": [0.0, 0.2, 0.4],
        "weight_decay": [0.0, 1e-4, 1e-3],
    }

    def __init__(
        self,
        representation: Representation = "ecfp",
        width: int = 64,
        dropout: float = 0.2,
        epochs: int = 60,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
        clip: float | None = None,
        patience: int = 15,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.representation, self.width, self.dropout = representation, width, dropout
        self.epochs, self.batch_size, self.learning_rate = epochs, batch_size, learning_rate
        self.weight_decay, self.clip, self.patience = weight_decay, clip, patience
        self.seed, self.device = seed, device

    @classmethod
    def preset(cls, name: Representation, **changes: Any) -> Self:
        """Return the net over ``ecfp`` or ``properties``, with ``changes`` to it."""
        return cls(**{"representation": name, **changes})

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return the ligands' fingerprints, or their six properties; the target is not read."""
        return {"ligand": ligand_features(inputs, self.representation)}

    def build(self, features: dict[str, Feature], n_tasks: int) -> nn.Module:
        """Make the network for features of this width."""
        return LigandLayers(
            features["ligand"].shape[-1],
            n_tasks,
            self.width,
            self.dropout,
            normalise=self.representation == "properties",
        )


class LigandClassifier(NeuralClassifier, _Ligand):
    """A net over ligands of complexes (``"akt1 CCO"``), actives against decoys."""


class LigandRegressor(NeuralRegressor, _Ligand):
    """A net over ligands of complexes, real targets."""
