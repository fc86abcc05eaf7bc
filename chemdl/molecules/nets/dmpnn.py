"""Directed-edge message passing, D-MPNN (Yang et al. 2019, doi:10.1021/acs.jcim.9b00237).

Messages belong to directed bonds, so that no message goes straight back to the atom it came from::

    h_vw^0 = relu(W_i [x_v, e_vw])
    m_vw^t = sum over u in N(v) without w of h_uv^(t-1)
    h_vw^t = relu(W_i [x_v, e_vw] + W_h m_vw^t),  t = 1 … T - 1
    h_v    = relu(W_o [x_v, sum over w in N(v) of h_wv^(T-1)])

and a molecule is the mean of its h_v (or their sum over 100), read by one hidden layer.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from chemdl.learn.graphs import Readout, rows_at, sum_into
from chemdl.learn.layers import Dropout, Precision, Product
from chemdl.learn.models import net
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch
from chemdl.molecules.nets.graph_net import GraphBatch, GraphEstimator
from chemdl.registry import UnknownNameError

Aggregation = Literal["norm", "mean"]
_AGGREGATIONS = ("norm", "mean")
# The sum over atoms is divided by this, which keeps it near one for molecules of any set.
_NORM = 100.0


class DirectedMessagePassing(nn.Module):
    """Graphs of B molecules → (B, tasks); see the module for the equations.

    ``width`` is the size of every h, ``depth`` the T of the equations.
    """

    def __init__(
        self,
        n_atom_features: int,
        n_bond_features: int,
        n_tasks: int,
        width: int,
        depth: int,
        dropout: float,
        aggregation: Aggregation,
        precision: Precision = "float32",
    ) -> None:
        super().__init__()
        if aggregation not in _AGGREGATIONS:
            raise UnknownNameError("aggregation", aggregation, _AGGREGATIONS)
        self.depth, self.aggregation = depth, aggregation
        self.W_i = nn.Linear(n_atom_features + n_bond_features, width, bias=False)
        self.W_h = Product(width, width, bias=False, precision=precision)
        self.W_o = Product(n_atom_features + width, width, precision=precision)
        self.dropouts = nn.ModuleList(Dropout(dropout, layer) for layer in range(depth))
        self.readout = Readout(width, width, n_tasks, Dropout(dropout, depth))

    def forward(self, batch: Batch, noise: Noise | None, weight: Tensor) -> Tensor:
        """Return the tasks' logits or values: (B, tasks)."""
        graph = GraphBatch.read(batch)
        h = self._atoms(graph, noise)
        if self.aggregation == "norm":
            molecules = graph.sum_atoms(h) / _NORM
        else:
            molecules = graph.mean_atoms(h)
        return self.readout(molecules, noise)

    def _atoms(self, graph: GraphBatch, noise: Noise | None) -> Tensor:
        """Return h_v (P, width) after ``depth`` rounds of messages on the 2 Q directed bonds."""
        source, target = graph.directed()
        n_atoms = len(graph.atoms)
        # W_i [x_v, e_vw] in parts: the products are over atoms and bonds, not over both directions.
        from_atoms = self._part(graph.atoms, 0)
        from_bonds = self._part(graph.bonds, graph.atoms.shape[1])
        first = rows_at(from_atoms, source) + from_bonds.repeat(2, 1)
        h = torch.relu(first)
        for t in range(1, self.depth):
            arriving = rows_at(sum_into(h, target, n_atoms), source)
            message = self.W_h(arriving - _reverse(h))
            h = self.dropouts[t - 1](torch.relu(first + message), noise)
        messages = sum_into(h, target, n_atoms)
        joined = torch.cat([graph.atoms, messages], dim=1)
        return self.dropouts[-1](torch.relu(self.W_o(joined)), noise)

    def _part(self, features: Tensor, start: int) -> Tensor:
        columns = self.W_i.weight[:, start : start + features.shape[1]]
        return nn.functional.linear(features, columns)


def _reverse(h: Tensor) -> Tensor:
    """Swap the two directions of every bond: (2 Q, width)."""
    return torch.cat(h.chunk(2)[::-1])


@net(
    "dmpnn",
    family="graph net",
    reads="molecular graph",
    method="messages along directed bonds",
    paper="Yang et al. 2019, doi:10.1021/acs.jcim.9b00237",
)
class DMPNN(GraphEstimator):
    """D-MPNN over SMILES; see :class:`DirectedMessagePassing`.

    The defaults are those of chemprop: width 300, depth 3, batches of 50, and a learning rate that
    rises to 1e-3 in two epochs and falls to a tenth by the last; but 100 epochs instead of 50,
    after which a thousand molecules are not yet learned (train error as large as valid error).
    """

    network = DirectedMessagePassing
    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [3e-4, 1e-3, 2e-3],
        "width": [100, 200, 300, 400],
        "depth": [2, 3, 4, 5],
        "dropout": [0.0, 0.1, 0.2, 0.4],
        "aggregation": ["norm", "mean"],
    }

    width: int = 300
    depth: int = 3
    dropout: float = 0.0
    aggregation: Aggregation = "mean"
    precision: Precision = "float32"
    epochs: int = 100
    batch_size: int = 50
    warmup: float = 2.0
    decay: float = 0.1
    patience: int = 40
