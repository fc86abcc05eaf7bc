"""A multilayer net on randomly sorted, binarised Coulomb matrices (Montavon et al. 2012).

A molecule has a Coulomb matrix for each order of its atoms. Rows are sorted by their norm plus
normal noise, drawn anew each time that the molecule is read. Each entry c becomes several soft
steps, because a sigmoid layer works best with numbers near one::

    x = tanh((c - θ_k) / w_k),  k = 1 … levels
    E = Σ_i a_Z(i) + s W_3 σ(W_2 σ(W_1 x))

The source spaces the thresholds θ by one hartree, which makes 1,800 inputs; here each entry has the
same number of them, at quantiles of the train rows' entries. A prediction is the mean over several
fixed orders. The source does not fit the composition's part Σ_i a_Z(i) beforehand, as all nets of
:mod:`chemdl.quantum.nets` do.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from chemdl.learn.estimator import Feature
from chemdl.learn.losses import Loss, masked_mean
from chemdl.learn.models import net
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch, Padded, column
from chemdl.quantum.coulomb import coulomb_matrices, most_atoms
from chemdl.quantum.geometries import geometries
from chemdl.quantum.nets.energies import AtomicSum, GeometryNet, PaddedAtoms

_TINY = 1e-7
# Thresholds are quantiles of so many train molecules at most.
_FITTED_ROWS = 2000
# The scale s is one atom's part; a molecule's is some four times as large.
_SPREAD = 4.0


def _scaled_absolute_error(output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the absolute error; of several tasks each in units of its deviation in the batch."""
    error = (output - target).abs()
    if target.shape[-1] > 1:
        measured = weight.sum(-2, keepdim=True).clamp(min=1.0)
        mean = (target * weight).sum(-2, keepdim=True) / measured
        spread = ((target - mean).square() * weight).sum(-2, keepdim=True) / measured
        error = error / spread.sqrt().clamp(min=1e-6)
    return masked_mean(error, weight)


class CoulombNetwork(nn.Module):
    """Sorted Coulomb matrices of B molecules → (B, tasks); see the module for the equations.

    ``size`` is the width of the matrices, ``hidden`` the layers' widths, ``levels`` the number of
    thresholds for an entry, ``noise`` the deviation of the random orders (hartree), ``orders`` how
    many orders make a prediction.
    """

    needs_targets = True

    def __init__(
        self, size: int, n_tasks: int, hidden: Sequence[int], levels: int, noise: float, orders: int
    ) -> None:
        super().__init__()
        self.levels, self.noise = levels, noise
        entries = size * (size + 1) // 2
        shifts = noise * np.random.default_rng(0).standard_normal((orders, size))
        self.orders = nn.Buffer(torch.tensor(shifts, dtype=torch.float32))
        self.thresholds = nn.Buffer(torch.zeros(entries, levels))
        self.widths = nn.Buffer(torch.ones(entries, levels))
        self.present = nn.Buffer(torch.zeros(entries, levels))
        first, second = np.tril_indices(size)
        self.first = nn.Buffer(torch.as_tensor(first))
        self.second = nn.Buffer(torch.as_tensor(second))
        sizes = [entries * levels, *hidden, n_tasks]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.total = AtomicSum(n_tasks)

    def fit_scaling(self, batch: Batch, targets: Tensor) -> None:
        """Fit composition, scale and thresholds to the train rows of a replica."""
        self.total.fit(column(batch, "numbers", Padded).values, targets)
        some = column(batch, "matrices", Tensor)[:_FITTED_ROWS]
        entries = torch.cat([self.entries(some, shift) for shift in self.orders[:2]])
        levels = self.levels
        points = torch.linspace(0.5 / levels, 1 - 0.5 / levels, levels, device=some.device)
        thresholds = torch.quantile(entries, points, dim=0).T
        spread = entries.std(0)[:, None] / levels
        gaps = torch.gradient(thresholds, dim=1)[0] if levels > 1 else torch.ones_like(thresholds)
        self.thresholds.copy_(thresholds)
        self.widths.copy_(torch.maximum(gaps, spread).clamp(min=0.05))
        self.present.copy_((entries.std(0) > _TINY)[:, None].expand(-1, levels).float())

    def entries(self, matrices: Tensor, shift: Tensor) -> Tensor:
        """Sort rows by norm plus ``shift``, (B, size) or (size,); return the lower triangles."""
        norms = matrices.square().sum(-1)
        # Absent atoms, whose norm is zero, stay behind all others.
        key = torch.where(norms > 0, norms.clamp(min=_TINY).sqrt() + shift, norms - 1e6)
        order = key.argsort(dim=-1, descending=True)
        rows = order[:, self.first] * matrices.shape[-1] + order[:, self.second]
        return matrices.flatten(1).gather(1, rows)

    def forward(self, batch: Batch, noise: Noise | None, weight: Tensor) -> Tensor:
        """Return values (B, tasks): of one random order in training, else the mean over some."""
        matrices, atoms = column(batch, "matrices", Tensor), PaddedAtoms.read(batch)
        if noise is not None:
            uniform = noise.uniform(0, matrices.shape[:2])
            shift = self.noise * torch.special.ndtri(uniform.clamp(1e-6, 1 - 1e-6))
            each = self._read(self.entries(matrices, shift))
        else:
            each = torch.stack([self._read(self.entries(matrices, s)) for s in self.orders]).mean(0)
        composition = self.total(each.new_zeros(*atoms.numbers.shape, each.shape[-1]), atoms)
        return composition + self.total.scale * each

    def _read(self, entries: Tensor) -> Tensor:
        steps = torch.tanh((entries[..., None] - self.thresholds) / self.widths) * self.present
        x = steps.flatten(1)
        for layer in self.layers[:-1]:
            x = nn.functional.silu(layer(x))
        return self.layers[-1](x) * _SPREAD


@net(
    "coulomb_net",
    family="net on vectors",
    reads="Coulomb matrix",
    method="two layers, random orders of the atoms",
    paper="Montavon et al. 2012, NIPS 25",
    inputs=("geometry",),
    learns=("regression",),
)
class CoulombNet(GeometryNet):
    """Multilayer net on Coulomb matrices; see :class:`CoulombNetwork`.

    Two hidden layers of 400 and 100 units are the source's; batches, optimiser and the number of
    thresholds are not.
    """

    network = CoulombNetwork
    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [5e-4, 1e-3, 2e-3],
        "hidden": [(400, 100), (600, 200), (800, 400)],
        "levels": [6, 10, 16],
        "noise": [0.25, 0.5, 1.0],
        "batch_size": [25, 64, 128],
    }
    _loss: ClassVar[Any] = Loss(_scaled_absolute_error, any_unit=True)

    hidden: tuple[int, ...] = (400, 100)
    levels: int = 10
    noise: float = 0.5
    orders: int = 4
    epochs: int = 150
    batch_size: int = 64
    # The matrices are all of one size.
    bucketed: bool = False

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return sorted Coulomb matrices (n, size, size), atomic numbers and positions."""
        fitted = getattr(self, "feature_shapes_", None)
        size = most_atoms(inputs) if fitted is None else fitted["matrices"].shape[1]
        return {**geometries(inputs, "padded"), "matrices": coulomb_matrices(inputs, size)}

    def sizes(self, features: dict[str, Feature], n_tasks: int) -> dict[str, Any]:
        """Return the width of the matrices, and the number of tasks."""
        return {"size": features["matrices"].shape[1], "n_tasks": n_tasks}
