"""Weave: states of atoms and of pairs of atoms, each fed by the other (Kearnes et al. 2016).

doi:10.1007/s10822-016-9938-8. Pairs reach as far as ``max_distance`` bonds, 2 in the paper's best
model. With A_v the state of atom v and P_vw = P_wv that of a pair, one module gives::

    A'_v  = f_A([f_AA(A_v), sum over w of f_PA(P_vw)])
    P'_vw = f_P([f_AP([A_v, A_w]) + f_AP([A_w, A_v]), f_PP(P_vw)])

with layers f(x) = relu(norm(W x)), whatever the order of atoms. The pairs of the last module are
left out, because nothing reads them. A last layer of atoms, x_v = norm(W A_v), follows, and a
molecule is the fuzzy histogram of each of its columns: with eleven Gaussians (μ_k, σ_k) that cut a
standard normal variable into parts of about equal weight::

    m_k(x) = exp(-(x - μ_k)² / 2σ_k²) / sum over j of exp(-(x - μ_j)² / 2σ_j²)
    f      = [sum over v of m_k(x_v), k = 1 … 11]

or, with ``histogram=False``, the sum of relu(x_v). Dense layers read f.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from chemdl.learn.estimator import Feature, NeuralEstimator
from chemdl.learn.graphs import rows_at, sum_into, weight_of
from chemdl.learn.layers import BatchNorm, Dropout
from chemdl.learn.models import net
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch, Packed, column
from chemdl.molecules.graphs import molecular_graphs
from chemdl.molecules.nets.graph_net import GraphBatch
from chemdl.molecules.pairs import atom_pairs

# Means and deviations of the memberships, as DeepChem's WeaveGather has them; those below zero
# mirror these.
_MEANS = (0.0, 0.228, 0.468, 0.739, 1.080, 1.645)
_DEVIATIONS = (0.114, 0.114, 0.118, 0.134, 0.170, 0.283)


class _Layer(nn.Module):
    """x (rows, n_in) → relu(norm(W x)) (rows, n_out); rows of weight zero enter no statistics."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.W = nn.Linear(n_in, n_out, bias=False)
        self.norm = BatchNorm(n_out)

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.activate(self.W(x), weight)

    def activate(self, product: Tensor, weight: Tensor) -> Tensor:
        return torch.relu(self.norm(product, weight))


class WeaveModule(nn.Module):
    """Atoms (P, n_atom) and pairs (Q, n_pair) → atoms (P, width) and pairs (Q, width).

    Without ``to_pairs`` the pairs are left out, which is what the last module does.
    """

    def __init__(self, n_atom: int, n_pair: int, width: int, to_pairs: bool) -> None:
        super().__init__()
        self.to_pairs = to_pairs
        self.AA, self.PA, self.A = (_Layer(n, width) for n in (n_atom, n_pair, 2 * width))
        if to_pairs:
            self.AP, self.PP, self.P = (_Layer(n, width) for n in (2 * n_atom, n_pair, 2 * width))

    def forward(
        self, atoms: Tensor, pairs: Tensor, graph: GraphBatch, weights: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """``graph`` joins atoms by pairs; ``weights`` (P,), (Q,) are zero for padding."""
        return self._atoms(atoms, pairs, graph, weights), (
            self._pairs(atoms, pairs, graph, weights[1]) if self.to_pairs else pairs
        )

    def _atoms(
        self, atoms: Tensor, pairs: Tensor, graph: GraphBatch, weights: tuple[Tensor, Tensor]
    ) -> Tensor:
        _, target = graph.directed()
        gathered = sum_into(self.PA(pairs, weights[1]).repeat(2, 1), target, len(atoms))
        return self.A(torch.cat([self.AA(atoms, weights[0]), gathered], dim=1), weights[0])

    def _pairs(self, atoms: Tensor, pairs: Tensor, graph: GraphBatch, weight: Tensor) -> Tensor:
        # W [A_v, A_w] in parts: the products are over atoms, which are fewer than pairs.
        first, second = (nn.functional.linear(atoms, W) for W in self.AP.W.weight.chunk(2, dim=1))
        source, target = graph.directed()
        ordered = self.AP.activate(
            rows_at(first, source) + rows_at(second, target), weight.repeat(2)
        )
        forth, back = ordered.chunk(2)
        return self.P(torch.cat([forth + back, self.PP(pairs, weight)], dim=1), weight)


class WeaveNet(nn.Module):
    """Atoms and pairs of B molecules → (B, tasks); see the module for the equations.

    ``modules`` of ``width``, a last layer of atoms of ``length``, and dense layers of the sizes
    in ``hidden``, each with batch normalisation, ReLU and dropout. Bits are read as their
    difference from the value that most of the train rows have.
    """

    def __init__(
        self,
        n_atom_features: int,
        n_pair_features: int,
        n_tasks: int,
        width: int,
        modules: int,
        length: int,
        histogram: bool,
        hidden: Sequence[int],
        dropout: float,
    ) -> None:
        super().__init__()
        if modules < 1:
            raise ValueError(f"Weave has one module or more, not {modules}")
        self.weave = nn.ModuleList(
            WeaveModule(
                n_atom_features if i == 0 else width,
                n_pair_features if i == 0 else width,
                width,
                to_pairs=i < modules - 1,
            )
            for i in range(modules)
        )
        self.common_atom = nn.Buffer(torch.zeros(n_atom_features))
        self.common_pair = nn.Buffer(torch.zeros(n_pair_features))
        self.last, self.norm = nn.Linear(width, length, bias=False), BatchNorm(length)
        self.histogram = histogram
        sizes = [length * (2 * len(_MEANS) - 1) if histogram else length, *hidden]
        self.dense = nn.ModuleList(_Layer(a, b) for a, b in pairwise(sizes))
        self.dropouts = nn.ModuleList(Dropout(dropout, i) for i in range(len(hidden)))
        self.output = nn.Linear(sizes[-1], n_tasks)

    def forward(self, batch: Batch, noise: Noise | None, weight: Tensor) -> Tensor:
        """Return the tasks' logits or values: (B, tasks)."""
        x = self.molecules(batch, weight)
        for dense, dropout in zip(self.dense, self.dropouts, strict=True):
            x = dropout(dense(x, weight), noise)
        return self.output(x)

    def fit_scaling(self, batch: Batch) -> None:
        """Take the most common value of each bit from the train rows.

        A bit that is one in all rows would act as a bias. Normalisation makes the gradient of a
        bias zero except for rounding errors, which Adam would turn into full steps.
        """
        graph = _read(batch)
        atoms, pairs = (column(batch, name, Packed).start[-1] for name in ("atoms", "pairs"))
        self.common_atom.copy_(graph.atoms.sum(0) > 0.5 * atoms)
        self.common_pair.copy_(graph.bonds.sum(0) > 0.5 * pairs)

    def molecules(self, batch: Batch, weight: Tensor) -> Tensor:
        """Return what the dense layers read: (B, 11 length), or (B, length) without histogram."""
        graph = _read(batch)
        of_atom = weight_of(graph.molecule, weight)
        # A pair's weight is its atoms'; padding joins a padding atom to itself.
        weights = of_atom, torch.gather(of_atom, 0, graph.begin)
        atoms, pairs = graph.atoms - self.common_atom, graph.bonds - self.common_pair
        for module in self.weave:
            atoms, pairs = module(atoms, pairs, graph, weights)
        x = self.norm(self.last(atoms), of_atom)
        return graph.sum_atoms(memberships(x) if self.histogram else torch.relu(x))


def _read(batch: Batch) -> GraphBatch:
    """Return the batch as a graph whose bonds are the pairs, so that one numbering serves."""
    return GraphBatch.read({**batch, "bonds": batch["pairs"], "ends": batch["pair_ends"]})


def memberships(x: Tensor) -> Tensor:
    """Return how far each value belongs to each of eleven Gaussians: (P, n) → (P, 11 n).

    The memberships of a value sum to one; far from all Gaussians it belongs to the outermost.
    """
    means = [-m for m in _MEANS[:0:-1]] + list(_MEANS)
    deviations = [*_DEVIATIONS[:0:-1], *_DEVIATIONS]
    mean, deviation = x.new_tensor(means)[:, None], x.new_tensor(deviations)[:, None]
    scaled = (x[:, None, :] - mean) / deviation
    return torch.softmax(-0.5 * scaled.square(), dim=1).flatten(1)


@net(
    "weave",
    family="graph net",
    reads="molecular graph, pairs of atoms",
    method="states of atoms and of pairs of atoms, each fed by the other",
    paper="Kearnes et al. 2016, doi:10.1007/s10822-016-9938-8",
)
class Weave(NeuralEstimator):
    """Weave over SMILES; see :class:`WeaveNet`.

    Two modules of 50 with pairs up to two bonds apart and dropout of 0.25 are the paper's W2N2; its
    last layer of 128 and dense layers of 2000 and 100 are scaled down to 64, 200 and 100: a
    fifteenth of the weights, in half the time on a CPU.

    Parameters
    ----------
    width, modules, length, histogram, hidden, dropout
        As in :class:`WeaveNet`.
    max_distance
        Largest number of bonds between the atoms of a pair.
    """

    network = WeaveNet
    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [3e-4, 1e-3, 2e-3],
        "width": [30, 50, 100],
        "modules": [1, 2, 3],
        "length": [32, 64, 128],
        "max_distance": [1, 2, 3],
        "histogram": [True, False],
        "dropout": [0.0, 0.1, 0.25],
    }

    width: int = 50
    modules: int = 2
    max_distance: int = 2
    length: int = 64
    histogram: bool = True
    hidden: tuple[int, ...] = (200, 100)
    dropout: float = 0.25
    epochs: int = 80
    batch_size: int = 50
    decay: float = 0.1
    patience: int = 20

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return atoms and mass as in graphs, and the pairs of atoms that Weave looks at."""
        graphs = molecular_graphs(inputs)
        atoms: dict[str, Feature] = {name: graphs[name] for name in ("atoms", "mass")}
        return {**atoms, **atom_pairs(inputs, self.max_distance)}

    def sizes(self, features: dict[str, Feature], n_tasks: int) -> dict[str, Any]:
        """Return the number of features of an atom, its mass included, and of a pair."""
        atoms, mass, pairs = (features[name].shape[-1] for name in ("atoms", "mass", "pairs"))
        return {"n_atom_features": atoms + mass, "n_pair_features": pairs, "n_tasks": n_tasks}
