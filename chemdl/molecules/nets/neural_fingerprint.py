"""Neural graph fingerprints (Duvenaud et al. 2015, arXiv:1509.09292).

This is a differentiable circular fingerprint: a layer replaces the hash of a neighbourhood, and a
softmax replaces setting a bit. With r_v^0 the features of atom v, e_uv those of a bond, and N(v)
the neighbours of v::

    s_v^l = sum over u in N(v) of [r_u^(l-1), e_uv]
    r_v^l = relu(norm(A_l r_v^(l-1) + H_l^|N(v)| s_v^l)),    one matrix H_l for each degree |N(v)|
    f     = sum over l = 0 … depth and over v of softmax(W_l r_v^l)

and one hidden layer, or none, reads f.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from chemdl.learn.graphs import Readout, rows_at, sum_into, weight_of
from chemdl.learn.layers import BatchNorm, Dropout, Precision, Product
from chemdl.learn.models import net
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch
from chemdl.molecules.nets.graph_net import GraphBatch, GraphEstimator

# Carbon has four neighbours; sulfur or phosphorus may have six, and share the matrix of five.
_DEGREES = 6


class FingerprintNetwork(nn.Module):
    """Graphs of B molecules → fingerprints (B, length) → (B, tasks).

    ``width`` is the size of an atom's state, ``depth`` the number of layers, each of which adds
    to the fingerprint of ``length``; ``hidden`` units read it, or none if zero.
    """

    def __init__(
        self,
        n_atom_features: int,
        n_bond_features: int,
        n_tasks: int,
        width: int,
        depth: int,
        length: int,
        hidden: int,
        dropout: float,
        precision: Precision = "float32",
    ) -> None:
        super().__init__()
        widths = [n_atom_features, *[width] * depth]
        # A bias before batch normalisation has no gradient but rounding, which Adam would follow.
        self.own = nn.ModuleList(nn.Linear(n, width, bias=False) for n in widths[:-1])
        self.around = nn.ModuleList(
            Product(_DEGREES * (n + n_bond_features), width, bias=False, precision=precision)
            for n in widths[:-1]
        )
        self.norms = nn.ModuleList(BatchNorm(width) for _ in range(depth))
        self.write = nn.ModuleList(Product(n, length, precision=precision) for n in widths)
        self.dropout = Dropout(dropout, 0)
        self.readout = (
            Readout(length, hidden, n_tasks, Dropout(dropout, 1))
            if hidden
            else nn.Linear(length, n_tasks)
        )

    def forward(self, batch: Batch, noise: Noise | None, weight: Tensor) -> Tensor:
        """Return the tasks' logits or values: (B, tasks)."""
        graph = GraphBatch.read(batch)
        fingerprint = self.dropout(self.fingerprint(graph, weight), noise)
        if isinstance(self.readout, Readout):
            return self.readout(fingerprint, noise)
        return self.readout(fingerprint)

    def fingerprint(self, graph: GraphBatch, weight: Tensor) -> Tensor:
        """Return the molecules' fingerprints: (B, length)."""
        source, target = graph.directed()
        n_atoms, atom_weight = len(graph.atoms), weight_of(graph.molecule, weight)
        bonds = sum_into(graph.bonds.repeat(2, 1), target, n_atoms)
        degree = sum_into(graph.atoms.new_ones(len(target), 1), target, n_atoms)
        places = torch.arange(_DEGREES, device=degree.device)
        has_degree = (degree.clamp(max=_DEGREES - 1) == places).float()
        r = graph.atoms
        written = torch.softmax(self.write[0](r), dim=1)
        for layer, (own, around, norm) in enumerate(
            zip(self.own, self.around, self.norms, strict=True)
        ):
            neighbours = sum_into(rows_at(r, source), target, n_atoms)
            sums = torch.cat([neighbours, bonds], dim=1)
            # One product for all degrees: each atom's sums stand in the columns of its degree.
            by_degree = (has_degree[:, :, None] * sums[:, None, :]).flatten(1)
            r = torch.relu(norm(own(r) + around(by_degree), atom_weight))
            written = written + torch.softmax(self.write[layer + 1](r), dim=1)
        return graph.sum_atoms(written)


@net(
    "neural_fingerprint",
    family="graph net",
    reads="molecular graph",
    method="a circular fingerprint whose every step is a layer",
    paper="Duvenaud et al. 2015, arXiv:1509.09292",
)
class NeuralFingerprint(GraphEstimator):
    """Neural fingerprint over SMILES; see :class:`FingerprintNetwork`.

    ReLU, batch normalisation, Adam and batches of 100 are the paper's; width, depth and length
    were searched for there, within the ranges of ``search_space``.
    """

    network = FingerprintNetwork
    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [5e-4, 1e-3, 2e-3],
        "width": [20, 50, 100],
        "depth": [2, 3, 4, 5],
        "length": [50, 128, 256, 512],
        "dropout": [0.0, 0.1, 0.2],
        "weight_decay": [0.0, 1e-5, 1e-4],
    }

    width: int = 50
    depth: int = 4
    length: int = 256
    hidden: int = 100
    dropout: float = 0.0
    precision: Precision = "float32"
    epochs: int = 100
    batch_size: int = 100
    learning_rate: float = 2e-3
    decay: float = 0.1
    patience: int = 25
