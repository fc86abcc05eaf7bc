"""A net over the atoms of a docked ligand and what surrounds each of them.

In the spirit of DeepVS (Pereira, Caffarena and dos Santos 2016, doi:10.1021/acs.jcim.6b00355):
every ligand atom is read by the same layers together with the protein and ligand atoms near it, and
a complex is, in each unit, the largest value that any of its atoms has there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from chemdl.learn.estimator import Feature, NeuralClassifier, NeuralEstimator, NeuralRegressor
from chemdl.learn.layers import Dropout, RunningNorm
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch, Padded, Ragged
from chemdl.screening.contacts import complexes, surroundings


class ContactConvolution(nn.Module):
    """Surroundings of ligand atoms (B, L, F) → (B, tasks), whatever the order of the atoms.

    With N the normalisation of each column over all atoms of the batch, for atom i with
    surroundings x_i (see :func:`chemdl.screening.contacts.surroundings`)

        h_i = relu(W_2 relu(W_1 N(x_i) + b_1) + b_2)     (width),
        r   = max over i of h_i                          (width),
        y   = W_4 relu(W_3 r + b_3) + b_4,               hidden layer of the same width.

    DeepVS embeds types, charges and distances of the six nearest ligand and two nearest protein
    atoms; the distances here are smeared instead, over all atoms in reach.
    """

    def __init__(self, n_features: int, n_tasks: int, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = RunningNorm(n_features)
        self.first = nn.Linear(n_features, width)
        self.second = nn.Linear(width, width)
        self.hidden = nn.Linear(width, width)
        self.output = nn.Linear(width, n_tasks)
        self.atom_dropout, self.dropout = Dropout(dropout, 0), Dropout(dropout, 1)

    def forward(self, batch: Batch, noise: Noise | None, weight: Tensor) -> Tensor:
        """Return the tasks' logits or values: (B, tasks)."""
        atoms = batch["atoms"]
        assert isinstance(atoms, Padded)
        present = atoms.mask * weight[:, None]
        x = self.norm(atoms.values.reshape(-1, atoms.values.shape[-1]), present.reshape(-1))
        h = torch.relu(self.first(x.reshape(atoms.values.shape)))
        h = torch.relu(self.second(self.atom_dropout(h, noise)))
        # What relu leaves is never below zero, so that padding at zero is no atom's maximum.
        pooled = (h * atoms.mask[..., None]).amax(1)
        return self.output(self.dropout(torch.relu(self.hidden(pooled)), noise))


class _Contact(NeuralEstimator):
    """Shared by the classifier and the regressor: parameters, features and the network."""

    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [3e-4, 1e-3, 3e-3],
        "width": [32, 64, 128],
        "dropout": [0.0, 0.2, 0.4],
        "weight_decay": [0.0, 1e-4, 1e-3],
    }

    def __init__(
        self,
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
        self.width, self.dropout = width, dropout
        self.epochs, self.batch_size, self.learning_rate = epochs, batch_size, learning_rate
        self.weight_decay, self.clip, self.patience = weight_decay, clip, patience
        self.seed, self.device = seed, device

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return the surroundings of each complex's ligand atoms: rows of (atoms, F).

        Raises
        ------
        chemdl.screening.errors.MissingPoseError
            for a complex that was not docked, naming the command that does it.
        """
        rows = [surroundings(pose.atoms, protein) for pose, protein in complexes(inputs)]
        return {"atoms": Ragged.of(rows, layout="padded")}

    def build(self, features: dict[str, Feature], n_tasks: int) -> nn.Module:
        """Make the network for surroundings of this width."""
        return ContactConvolution(features["atoms"].shape[-1], n_tasks, self.width, self.dropout)


class ContactClassifier(NeuralClassifier, _Contact):
    """The net over contacts, actives against decoys; see :class:`ContactConvolution`.

    Inputs are complexes (``"akt1 CCO"``) that were docked. The defaults were set before any result
    and not tuned.
    """


class ContactRegressor(NeuralRegressor, _Contact):
    """The net over contacts, real targets; see :class:`ContactClassifier`."""
