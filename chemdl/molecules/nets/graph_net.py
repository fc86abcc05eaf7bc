"""What all graph nets share: a batch of molecules as one graph, and how it is featurized."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from chemdl.learn.estimator import Feature, NeuralEstimator
from chemdl.learn.graphs import mean_into, sum_into
from chemdl.learn.ragged import Batch, Packed, column
from chemdl.molecules.graphs import molecular_graphs


class GraphBatch(NamedTuple):
    """A batch of B molecules as one graph of P atoms and Q bonds, padding included.

    Attributes
    ----------
    atoms, bonds
        Features of atoms, (P, 72), and of bonds, (Q, 13).
    begin, end
        The two atoms that each bond joins, (Q,) each. Padding bonds join a padding atom to itself.
    molecule
        Number of the molecule that each atom belongs to, (P,); B for padding.
    size
        Number of molecules, B.
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
        names = ("atoms", "mass", "bonds", "ends")
        atoms, mass, bonds, ends = (column(batch, name, Packed) for name in names)
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

    def sum_atoms(self, values: Tensor) -> Tensor:
        """Sum values (P, h) over the atoms of each molecule: (B, h)."""
        return sum_into(values, self.molecule, self.size + 1)[:-1]

    def mean_atoms(self, values: Tensor) -> Tensor:
        """Average values (P, h) over the atoms of each molecule: (B, h)."""
        return mean_into(values, self.molecule, self.size + 1)[:-1]


class GraphEstimator(NeuralEstimator):
    """An estimator over SMILES whose network reads molecular graphs."""

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return the graphs of SMILES; see :func:`chemdl.molecules.graphs.molecular_graphs`."""
        return dict(molecular_graphs(inputs))

    def sizes(self, features: dict[str, Feature], n_tasks: int) -> dict[str, Any]:
        """Return the number of features of an atom, its mass included, and of a bond."""
        atoms, mass, bonds = (features[name].shape[-1] for name in ("atoms", "mass", "bonds"))
        return {"n_atom_features": atoms + mass, "n_bond_features": bonds, "n_tasks": n_tasks}
