"""A net for each element over atom-centred symmetry functions.

Behler and Parrinello 2007 (doi:10.1103/PhysRevLett.98.146401): e_i = net_Z(i)(G_i), E = Σ_i e_i,
with the symmetry functions G of :mod:`chemdl.quantum.symmetry`, in ANI's form. They describe the
surroundings of an atom beforehand; the other nets over geometries learn such a description.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from chemdl.learn.estimator import Feature
from chemdl.learn.layers import ColumnScale
from chemdl.learn.models import net
from chemdl.learn.ragged import Batch, Padded, column
from chemdl.quantum.geometries import geometries
from chemdl.quantum.nets.energies import EnergyNetwork, GeometryNet, PaddedAtoms
from chemdl.quantum.symmetry import SymmetryFunctions


class PerElement(nn.Module):
    """A linear layer for each element: x (B, L, n_in), kind (B, L, elements) → (B, L, n_out)."""

    def __init__(self, n_elements: int, n_in: int, n_out: int) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(n_in)
        self.weight = nn.Parameter(torch.empty(n_elements * n_out, n_in).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(n_elements * n_out).uniform_(-bound, bound))
        self.n_out = n_out

    def forward(self, x: Tensor, kind: Tensor) -> Tensor:
        # Every element's layer for every atom; its own is kept. One product, no sorting.
        each = nn.functional.linear(x, self.weight, self.bias)
        each = each.reshape(*x.shape[:2], kind.shape[-1], self.n_out)
        return (each * kind[..., None]).sum(2)


class BehlerParrinelloNetwork(EnergyNetwork):
    """Symmetry functions of B molecules → energies (B, tasks).

    ``elements`` are atomic numbers, ``width`` the number of functions, ``hidden`` the layers'.
    """

    def __init__(
        self, n_tasks: int, elements: Sequence[int], width: int, hidden: Sequence[int]
    ) -> None:
        super().__init__(n_tasks)
        self.numbers = nn.Buffer(torch.tensor(list(elements)))
        self.function_scale = ColumnScale(width, _bounded_deviation)
        sizes = [width, *hidden, n_tasks]
        self.layers = nn.ModuleList(PerElement(len(elements), a, b) for a, b in pairwise(sizes))

    def fit_scaling(self, batch: Batch, targets: Tensor) -> None:
        """Fit composition, scale, and each function's mean and deviation to the train rows."""
        super().fit_scaling(batch, targets)
        functions = column(batch, "functions", Padded)
        self.function_scale.fit(functions.values[functions.mask])

    def atomic_energies(self, atoms: PaddedAtoms, batch: Batch) -> Tensor:
        """Return each atom's part, scaled: (B, L, tasks)."""
        functions = column(batch, "functions", Padded)
        kind = (atoms.numbers[..., None] == self.numbers).to(functions.values.dtype)
        x = self.function_scale(functions.values)
        for layer in self.layers[:-1]:
            x = nn.functional.silu(layer(x, kind))
        return self.layers[-1](x, kind)


def _bounded_deviation(rows: Tensor) -> Tensor:
    """Return each function's deviation, or a tenth of their mean where that is more."""
    # A function that hardly varies among few train rows would make a test atom's huge.
    spread = rows.std(0)
    return spread.clamp(min=max(0.1 * float(spread.mean()), 1e-3))


@net(
    "behler_parrinello",
    family="net on vectors",
    reads="symmetry functions",
    method="a net for each element, summed over atoms",
    paper="Behler and Parrinello 2007, doi:10.1103/PhysRevLett.98.146401",
    inputs=("geometry",),
    learns=("regression",),
)
class BehlerParrinello(GeometryNet):
    """Nets for each element; see :class:`BehlerParrinelloNetwork`.

    ``elements`` are those that the nets are made for, as atomic numbers.
    """

    network = BehlerParrinelloNetwork
    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [3e-4, 1e-3, 2e-3],
        "hidden": [(64, 32), (96, 48), (128, 64)],
        "weight_decay": [0.0, 1e-6, 1e-5],
        "batch_size": [16, 32, 64],
    }

    elements: tuple[int, ...] = (1, 6, 7, 8, 16)
    hidden: tuple[int, ...] = (64, 32)
    batch_size: int = 32

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return atomic numbers, positions and symmetry functions, padded."""
        functions = SymmetryFunctions(tuple(self.elements))
        return {**geometries(inputs, "padded"), "functions": functions(inputs)}

    def sizes(self, features: dict[str, Feature], n_tasks: int) -> dict[str, Any]:
        """Return the number of functions, and of tasks."""
        return {"width": features["functions"].shape[-1], "n_tasks": n_tasks}
