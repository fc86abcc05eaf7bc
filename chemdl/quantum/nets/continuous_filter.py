"""A continuous-filter net over atoms and their distances, of the SchNet kind.

Schütt et al. 2017 (arXiv:1706.08566). Every layer adds to each atom's features x_i a message from
its neighbours, passed through a filter that depends on the distance::

    g_k(d)  = exp(-(d - μ_k)² / 2δ²) (cos(π d / cutoff) + 1) / 2
    m_i     = Σ_j W(d_ij) V x_j,   W(d) = Σ_k g_k(d) W_k
    x_i    += U silu(m_i + b)
    e_i     = readout(x_i)

In SchNet W(d) is diagonal, and the output of a small net for each pair of atoms; here W is a full
matrix and linear in the Gaussians, like the edge network of Gilmer et al. 2017 (arXiv:1704.01212).
Then the sums Σ_j g_k(d_ij) V x_j of all atoms and Gaussians are one batched product, several times
faster than a hidden layer on every pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from chemdl.learn.estimator import Feature
from chemdl.learn.losses import Loss
from chemdl.learn.models import net
from chemdl.learn.ragged import Batch
from chemdl.learn.training import predict
from chemdl.quantum.geometries import geometries
from chemdl.quantum.nets.energies import (
    ABSOLUTE_ERROR,
    MOST_ELEMENTS,
    EnergyNetwork,
    Gaussians,
    GeometryNet,
    PaddedAtoms,
    Pairs,
    energy_and_forces,
)
from chemdl.settings import resolve_device

# Å, where the Gaussians begin: no two atoms of a stable molecule are nearer.
_FIRST = 0.6


class Filter(nn.Module):
    """One layer: x (B, L, width), g (B, L K, L) → (B, L, width); see the module."""

    def __init__(self, width: int, channels: int, gaussians: int) -> None:
        super().__init__()
        self.V = nn.Linear(width, channels, bias=False)
        self.W = nn.Linear(gaussians * channels, width)
        self.U = nn.Linear(width, width)

    def forward(self, x: Tensor, g: Tensor) -> Tensor:
        arriving = torch.bmm(g, self.V(x))  # (B, L K, channels)
        message = self.W(arriving.reshape(*x.shape[:2], -1))
        return x + self.U(nn.functional.silu(message))


class ContinuousFilterNetwork(EnergyNetwork):
    """Geometries of B molecules → energies (B, tasks); see the module for the equations.

    ``width`` is the size of x, ``channels`` that of V x, ``layers`` their number, ``cutoff`` in Å.
    """

    def __init__(
        self,
        n_tasks: int,
        width: int,
        channels: int,
        gaussians: int,
        layers: int,
        cutoff: float,
        n_forces: int = 0,
    ) -> None:
        super().__init__(n_tasks, n_forces)
        self.cutoff = cutoff
        self.embedding = nn.Embedding(MOST_ELEMENTS + 1, width)
        self.gaussians = Gaussians(gaussians, _FIRST, cutoff)
        self.layers = nn.ModuleList(Filter(width, channels, gaussians) for _ in range(layers))
        self.hidden = nn.Linear(width, width // 2)
        self.readout = nn.Linear(width // 2, n_tasks)

    def atomic_energies(self, atoms: PaddedAtoms, batch: Batch) -> Tensor:
        """Return each atom's part, scaled: (B, L, tasks)."""
        pairs = Pairs.of(atoms, self.cutoff)
        g = self.gaussians(pairs.distance) * pairs.near[..., None]  # (B, i, j, K)
        g = g.permute(0, 1, 3, 2).flatten(1, 2)  # (B, i K, j)
        x = self.embedding(atoms.numbers)
        for layer in self.layers:
            x = layer(x, g)
        return self.readout(nn.functional.silu(self.hidden(x)))


@net(
    "continuous_filter",
    family="graph net",
    reads="geometry",
    method="continuous filters, as SchNet",
    paper="Schütt et al. 2017, arXiv:1706.08566",
    inputs=("geometry",),
    learns=("regression",),
)
class ContinuousFilter(GeometryNet):
    """Continuous-filter net over geometries; see :class:`ContinuousFilterNetwork`.

    ``forces`` is the weight of the forces in the loss, in Å. Where it is not zero, the targets are
    the energy and the forces of frames of one molecule.
    """

    network = ContinuousFilterNetwork
    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [1e-3, 2e-3, 4e-3],
        "width": [48, 64, 96, 128],
        "channels": [12, 16, 24, 32],
        "layers": [2, 3, 4],
        "batch_size": [16, 32, 64],
    }

    width: int = 64
    channels: int = 16
    gaussians: int = 24
    layers: int = 3
    cutoff: float = 5.0
    forces: float = 0.0
    batch_size: int = 16
    learning_rate: float = 1.5e-3

    @property
    def _loss(self) -> Loss:
        return energy_and_forces(self.forces) if self.forces else ABSOLUTE_ERROR

    def sizes(self, features: dict[str, Feature], n_tasks: int) -> dict[str, Any]:
        """Return the number of energies; with forces the first target is one, the others forces."""
        n_forces = n_tasks - 1 if self.forces else 0
        return {"n_tasks": n_tasks - n_forces, "n_forces": n_forces}

    def energies_and_forces(self, X: Sequence[Any]) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return energies (n,), and by differentiation the forces (atoms, 3) on each molecule.

        They are those of the first task, in its unit and that unit per Å, whether or not the net
        was trained on forces.
        """
        check_is_fitted(self, "members_")
        molecules = geometries(X)
        lengths = np.diff(molecules["numbers"].offsets)
        fitted, device = self.members_[0], resolve_device(self.device)
        network = self._network()
        assert isinstance(network, EnergyNetwork)
        network.n_forces = 3 * int(lengths.max())
        outputs = predict(network, fitted, self.featurize(X), device=device)
        padded = outputs[:, -network.n_forces :].reshape(len(outputs), -1, 3)
        forces = [rows[:length] for rows, length in zip(padded, lengths, strict=True)]
        return outputs[:, 0], forces
