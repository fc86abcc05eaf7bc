"""What nets over molecular graphs share: the batch as one graph, sums over neighbours, readout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from chemdl.learn.estimator import Feature, NeuralEstimator
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch, Packed
from chemdl.molecules.graphs import molecular_graphs


class GraphBatch(NamedTuple):
    """A batch of B molecules as one graph of P atoms and Q bonds, padding included.

    atoms : (P, 72) features; bonds : (Q, 13) features.
    begin, end : (Q,) the atoms that a bond joins. Padding bonds join a padding atom to itself.
    molecule : (P,) the molecule in the batch that an atom belongs to; B for padding.
    size : B.
    """

    atoms: Tensor
    bonds: Tensor
    begin: Tensor
    end: Tensor
    molecule: Tensor
    size: int

    @classmethod
    def read(cls, batch: Batch) -> GraphBatch:
        """Number the atoms through the batch and join the features of each."""
        atoms, mass, bonds, ends = (batch[n] for n in ("atoms", "mass", "bonds", "ends"))
        assert isinstance(atoms, Packed) and isinstance(bonds, Packed)
        assert isinstance(mass, Packed) and isinstance(ends, Packed)
        first = torch.gather(atoms.start, 0, bonds.row)
        joined = ends.values.long() + first[:, None]
        return cls(
            torch.cat([atoms.values.float(), mass.values], dim=1),
            bonds.values.float(),
            joined[:, 0],
            joined[:, 1],
            atoms.row,
            len(atoms.start) - 1,
        )

    def directed(self) -> tuple[Tensor, Tensor]:
        """Return source and target (2 Q,) of the directed edges; i and Q + i are reverse."""
        return torch.cat([self.begin, self.end]), torch.cat([self.end, self.begin])

    def atom_weight(self, weight: Tensor) -> Tensor:
        """Return each atom's weight (P,): its molecule's, zero for padding."""
        return torch.gather(torch.cat([weight, weight.new_zeros(1)]), 0, self.molecule)

    def sum_atoms(self, values: Tensor) -> Tensor:
        """Sum values (P, h) over the atoms of each molecule: (B, h)."""
        return sum_into(values, self.molecule, self.size + 1)[:-1]

    def mean_atoms(self, values: Tensor) -> Tensor:
        """Average values (P, h) over the atoms of each molecule: (B, h)."""
        count = sum_into(torch.ones_like(values[:, :1]), self.molecule, self.size + 1)[:-1]
        return self.sum_atoms(values) / count.clamp(min=1.0)


def sum_into(values: Tensor, index: Tensor, size: int) -> Tensor:
    """Sum the rows of values (m, h) that share an index: (size, h).

    A scatter with an expanded index: its gradient is a gather, twenty times faster on a CPU than
    that of indexing, and both have batching rules.
    """
    wide = index[:, None].expand(-1, values.shape[1])
    return values.new_zeros(size, values.shape[1]).scatter_add(0, wide, values)


def rows_at(values: Tensor, index: Tensor) -> Tensor:
    """Return the rows of values (m, h) at an index (k,): (k, h)."""
    return torch.gather(values, 0, index[:, None].expand(-1, values.shape[1]))


class Readout(nn.Module):
    """One hidden layer and the outputs: x (B, h) → relu(W x + b) (B, hidden) → (B, tasks)."""

    def __init__(self, n_features: int, hidden: int, n_tasks: int, dropout: nn.Module) -> None:
        super().__init__()
        self.hidden = nn.Linear(n_features, hidden)
        self.output = nn.Linear(hidden, n_tasks)
        self.dropout = dropout

    def forward(self, x: Tensor, noise: Noise | None) -> Tensor:
        return self.output(self.dropout(torch.relu(self.hidden(x)), noise))


class GraphEstimator(NeuralEstimator):
    """An estimator whose network reads molecular graphs."""

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return the graphs of SMILES; see :func:`chemdl.molecules.graphs.molecular_graphs`."""
        return dict(molecular_graphs(inputs))
