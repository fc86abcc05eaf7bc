"""The recursive net over directed molecules, UG-RNN (Lusci, Pollastri and Baldi 2013).

doi:10.1021/ci400187y. A molecule of a atoms is directed towards each atom r in turn: every bond
leads to the end that is nearer to r. From the leaves to the root, atom v gets the state::

    h_v^r = M_G(x_v, sum over children c of [h_c^r, e_cv], sum over sideways s of e_sv)

with M_G(·) = tanh(W_o relu(W_x x_v + sum of (W_h h_c + W_c e_cv) + sum of W_s e_sv)); children are
the neighbours one bond farther from r, sideways neighbours are as far as v itself. The root's
states are summed, and an output net M_O reads them::

    f = M_O(sum over r of h_r^r)

Where the paper keeps the children in an order, each with its own weights, the sum here takes any
number of them in any order. The paper directs every bond; one between two atoms of equal distance,
as in a ring of five, has no direction along a shortest path: here both atoms see its features, and
neither the other's state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from chemdl.learn.estimator import Feature
from chemdl.learn.graphs import Readout, rows_at, sum_into
from chemdl.learn.layers import Dropout
from chemdl.learn.models import net
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch, Packed, column
from chemdl.molecules.directed import directed_graphs
from chemdl.molecules.nets.graph_net import GraphBatch, GraphEstimator


class RecursiveNet(nn.Module):
    """Directed graphs of B molecules → (B, tasks); see the module for the equations.

    ``width`` is the size of a state, ``hidden`` that of M_G's hidden layer and of M_O's. Parts
    that several roots share are computed once (:class:`~chemdl.molecules.directed.DirectedParts`),
    and all parts of one height in one step, so that the steps are as many as the longest shortest
    path of the set has atoms. No weight depends on it: larger molecules only take more steps.
    """

    def __init__(
        self,
        n_atom_features: int,
        n_bond_features: int,
        n_tasks: int,
        width: int,
        hidden: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.W_x = nn.Linear(n_atom_features, hidden)
        self.W_h = nn.Linear(width, hidden, bias=False)
        self.W_c = nn.Linear(n_bond_features, hidden, bias=False)
        self.W_s = nn.Linear(n_bond_features, hidden, bias=False)
        self.W_o = nn.Linear(hidden, width)
        self.dropout = Dropout(dropout, 0)
        self.readout = Readout(width, hidden, n_tasks, Dropout(dropout, 1))

    def forward(self, batch: Batch, noise: Noise | None, weight: Tensor) -> Tensor:
        """Return the tasks' logits or values: (B, tasks)."""
        graph = GraphBatch.read(batch)
        molecules = graph.sum_atoms(self.roots(graph, batch))
        return self.readout(self.dropout(molecules, noise), noise)

    def roots(self, graph: GraphBatch, batch: Batch) -> Tensor:
        """Return the state of each atom as the root of its molecule: (P, width)."""
        heights, roots = _read(batch)
        from_atoms = self.W_x(graph.atoms)
        from_bonds = torch.cat([self.W_c(graph.bonds), self.W_s(graph.bonds)])
        sizes = [len(height.atom) for height in heights]
        # What no state enters is worked out for all heights at once.
        atoms = rows_at(from_atoms, torch.cat([height.atom for height in heights]))
        owner = torch.cat([h.owner + sum(sizes[:i]) for i, h in enumerate(heights)])
        bonds = rows_at(from_bonds, torch.cat([height.bond for height in heights]))
        inputs = (atoms + sum_into(bonds, owner, sum(sizes))).split(sizes)
        # The first row is the state of nothing, which hangs below leaves and sideways bonds.
        states = from_atoms.new_zeros(1, self.W_o.out_features)
        for height, own in zip(heights, inputs, strict=True):
            below = sum_into(rows_at(states, height.below), height.owner, len(own))
            state = torch.tanh(self.W_o(torch.relu(own + self.W_h(below))))
            states = torch.cat([states, state])
        return rows_at(states, roots)


class _Height(NamedTuple):
    """The parts of one height in a batch, and their links.

    ``atom`` (k,) is each part's atom in the batch. For each link, (m,), ``owner`` is the part of
    this height that it belongs to, ``bond`` its bond in the batch (plus Q for a sideways bond),
    and ``below`` the row of the part below among all states.
    """

    atom: Tensor
    owner: Tensor
    bond: Tensor
    below: Tensor


def _read(batch: Batch) -> tuple[list[_Height], Tensor]:
    """Number parts through the batch, by height; return them and the rows of the roots' states."""
    atoms, bonds, roots = (column(batch, name, Packed) for name in ("atoms", "bonds", "roots"))
    size = len(atoms.start)
    # Row of the state where each molecule's parts of a height begin: height 0 is the state of
    # nothing, in row 0.
    starts = [torch.zeros_like(atoms.start)]
    total = 1
    heights = []
    while (name := f"parts_{len(starts)}") in batch:
        parts, links = (column(batch, n, Packed) for n in (name, f"links_{len(starts)}"))
        owner, bond, height, place = links.values.long().unbind(1)
        first = torch.gather(torch.cat(starts), 0, height * size + links.row)
        heights.append(
            _Height(
                torch.gather(atoms.start, 0, parts.row) + parts.values[:, 0],
                torch.gather(parts.start, 0, links.row) + owner,
                torch.gather(bonds.start, 0, links.row)
                + bond
                + len(bonds.row) * (height == 0).long(),
                first + place,
            )
        )
        starts.append(parts.start + total)
        total += len(parts.row)
    height, place = roots.values.long().unbind(1)
    return heights, torch.gather(torch.cat(starts), 0, height * size + roots.row) + place


@net(
    "ugrnn",
    family="graph net",
    reads="molecular graph",
    method="recursive nets, one towards each atom",
    paper="Lusci et al. 2013, doi:10.1021/ci400187y",
)
class UGRNN(GraphEstimator):
    """UG-RNN over SMILES; see :class:`RecursiveNet`.

    The paper averages an ensemble of 20 (``networks``) and learns by plain gradient descent; here
    one net is the default, and Adam.

    Parameters
    ----------
    width, hidden, dropout
        Sizes of states and of hidden layers as in :class:`RecursiveNet`, and the dropout rate.
    networks
        Number of networks to average, each trained from its own seed.
    """

    network = RecursiveNet
    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [1e-3, 2e-3, 5e-3, 1e-2],
        "width": [8, 16, 32, 64],
        "hidden": [16, 32, 64, 128],
        "dropout": [0.0, 0.1, 0.2],
        "weight_decay": [0.0, 1e-5, 1e-4],
    }

    width: int = 32
    hidden: int = 64
    dropout: float = 0.0
    networks: int = 1
    epochs: int = 80
    batch_size: int = 50
    learning_rate: float = 5e-3
    decay: float = 0.1
    clip: float | None = 1.0
    patience: int = 20

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return the graphs of SMILES, and how each is directed towards its atoms."""
        return {**super().featurize(inputs), **directed_graphs(inputs)}
