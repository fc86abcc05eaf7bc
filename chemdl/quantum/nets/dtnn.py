"""The deep tensor net of Schütt et al. 2017 (doi:10.1038/ncomms13890).

Atoms begin as a vector for their element, and T times each receives what the others send it::

    c_i^(0) = c_Z(i)
    v_ij    = tanh(W_fc ((W_cf c_j + b_1) ∘ (W_df g(d_ij) + b_2)))
    c_i^(t) = c_i^(t-1) + Σ_{j ≠ i} v_ij
    e_i     = W_2 tanh(W_1 c_i + b) + b'

with g(d) Gaussians and ∘ the product of factors, a tensor layer of low rank. The same weights serve
all T passes. The paper has no cutoff; nor has this net.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from chemdl.learn.models import net
from chemdl.learn.ragged import Batch
from chemdl.quantum.nets.energies import (
    MOST_ELEMENTS,
    EnergyNetwork,
    Gaussians,
    GeometryNet,
    PaddedAtoms,
    Pairs,
)

_FIRST, _LAST = 0.6, 9.0


class DeepTensorNetwork(EnergyNetwork):
    """Geometries of B molecules → energies (B, tasks); see the module for the equations.

    ``width`` is the size of c, ``factors`` that of the product, ``passes`` is T.
    """

    def __init__(self, n_tasks: int, width: int, factors: int, gaussians: int, passes: int) -> None:
        super().__init__(n_tasks)
        self.passes = passes
        self.embedding = nn.Embedding(MOST_ELEMENTS + 1, width)
        self.gaussians = Gaussians(gaussians, _FIRST, _LAST)
        self.W_cf = nn.Linear(width, factors)
        self.W_df = nn.Linear(gaussians, factors)
        self.W_fc = nn.Linear(factors, width, bias=False)
        self.W_1 = nn.Linear(width, width)
        self.W_2 = nn.Linear(width, n_tasks)
        # Only two or three of the Gaussians are not zero: with smaller weights, as they usually
        # are, the atoms would hardly act on each other at first.
        nn.init.normal_(self.W_df.weight)

    def atomic_energies(self, atoms: PaddedAtoms, batch: Batch) -> Tensor:
        """Return each atom's part, scaled: (B, L, tasks)."""
        c = self.passed(atoms)
        return self.W_2(torch.tanh(self.W_1(c)))

    def passed(self, atoms: PaddedAtoms) -> Tensor:
        """Return c after all passes: (B, L, width)."""
        # Without cutoff a pair counts as one or, for padding and an atom with itself, as none.
        distance = Pairs.of(atoms, _LAST).distance
        pair = atoms.real[:, :, None] * atoms.real[:, None]
        pair = pair * (1.0 - torch.eye(pair.shape[-1], device=pair.device))
        of_distance = self.W_df(self.gaussians(distance))  # (B, i, j, factors)
        c = self.embedding(atoms.numbers)
        for _ in range(self.passes):
            of_atom = self.W_cf(c)[:, None]  # (B, 1, j, factors)
            v = torch.tanh(self.W_fc(of_atom * of_distance))
            c = c + (v * pair[..., None]).sum(2)
        return c


@net(
    "dtnn",
    family="graph net",
    reads="geometry",
    method="deep tensor net",
    paper="Schütt et al. 2017, doi:10.1038/ncomms13890",
    inputs=("geometry",),
    learns=("regression",),
)
class DeepTensorNet(GeometryNet):
    """Deep tensor net over geometries; see :class:`DeepTensorNetwork`.

    Widths are those of the paper (30 features, 60 factors), with 40 Gaussians.
    """

    network = DeepTensorNetwork
    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [5e-4, 1e-3, 2e-3, 4e-3],
        "width": [20, 30, 40],
        "factors": [40, 60, 80],
        "passes": [2, 3],
        "batch_size": [16, 32, 64],
    }

    width: int = 30
    factors: int = 60
    gaussians: int = 40
    passes: int = 3
    batch_size: int = 16
    learning_rate: float = 4e-3
