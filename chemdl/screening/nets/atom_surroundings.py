"""A net over the atoms of a docked ligand and what surrounds each of them.

In the spirit of DeepVS (Pereira, Caffarena and dos Santos 2016, doi:10.1021/acs.jcim.6b00355): the
same layers read every ligand atom together with the protein and ligand atoms near it. Each unit
then keeps the largest value that any atom of the ligand has there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from chemdl.learn.estimator import Feature, NeuralEstimator
from chemdl.learn.layers import Dropout, RunningNorm
from chemdl.learn.models import net
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch, Padded, Ragged, column
from chemdl.screening.complex_features import poses_in_pockets, surroundings


class PooledAtoms(nn.Module):
    """Surroundings of ligand atoms (B, L, F) → (B, tasks), whatever the order of the atoms.

    With N the normalisation of each column over all atoms of the batch, for atom i with
    surroundings x_i (see :func:`chemdl.screening.complex_features.surroundings`)::

        h_i = relu(W_2 relu(W_1 N(x_i) + b_1) + b_2)     (width),
        r   = max over i of h_i                          (width),
        y   = W_4 relu(W_3 r + b_3) + b_4,               hidden layer of the same width.

    DeepVS embeds types, charges and distances of the six nearest ligand and two nearest protein
    atoms; here Gaussians count the atoms by distance instead, up to about 12 Å.
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
        atoms = column(batch, "atoms", Padded)
        present = atoms.mask * weight[:, None]
        x = self.norm(atoms.values.reshape(-1, atoms.values.shape[-1]), present.reshape(-1))
        h = torch.relu(self.first(x.reshape(atoms.values.shape)))
        h = torch.relu(self.second(self.atom_dropout(h, noise)))
        # relu gives nothing below zero, so that padding at zero is never the only maximum.
        pooled = (h * atoms.mask[..., None]).amax(1)
        return self.output(self.dropout(torch.relu(self.hidden(pooled)), noise))


@net(
    "contact_net",
    family="graph net",
    reads="atoms of the docked ligand and what surrounds each",
    method="the same layers over each atom, then the largest value over atoms",
    paper="as Pereira et al. 2016, doi:10.1021/acs.jcim.6b00355",
    inputs=("complex",),
)
class AtomSurroundings(NeuralEstimator):
    """The net over surroundings of ligand atoms; see :class:`PooledAtoms`.

    Inputs are complexes (``"akt1 CCO"``) that were docked. The defaults were set before any result
    and not tuned.

    Parameters
    ----------
    width
        Number of units of each layer.
    dropout
        Dropout rate after the first layer over atoms and after the hidden layer.
    """

    network = PooledAtoms
    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [3e-4, 1e-3, 3e-3],
        "width": [32, 64, 128],
        "dropout": [0.0, 0.2, 0.4],
        "weight_decay": [0.0, 1e-4, 1e-3],
    }

    width: int = 64
    dropout: float = 0.2
    epochs: int = 60
    batch_size: int = 64
    weight_decay: float = 1e-4
    patience: int = 15

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return the surroundings of each complex's ligand atoms: n rows of (atoms, F)."""
        rows = [surroundings(pose.atoms, protein) for pose, protein in poses_in_pockets(inputs)]
        return {"atoms": Ragged.of(rows, layout="padded")}

    def sizes(self, features: dict[str, Feature], n_tasks: int) -> dict[str, Any]:
        """Return the width of the surroundings, and the number of tasks."""
        return {"n_features": features["atoms"].shape[-1], "n_tasks": n_tasks}
