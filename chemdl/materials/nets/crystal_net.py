"""Crystal graph convolutions, CGCNN (Xie and Grossman 2018, doi:10.1103/PhysRevLett.120.145301).

A site i starts as the properties of its element. It receives from each neighbour j at a distance
d::

    z_ij = [v_i, v_j, g(d_ij)],
    v_i ← softplus(v_i + N(Σ_j σ(W_f z_ij + b_f) ⊙ softplus(W_s z_ij + b_s))),

g being Gaussians of the distance and N batch normalisation. The crystal is the mean of its sites,
read by one hidden layer; so the size of the cell, the order of its atoms and its origin do not
matter. Here the elements start from the table of :mod:`chemdl.materials.compositions` and a learned
vector, and both gates share one normalisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from chemdl.learn.estimator import Feature, NeuralEstimator
from chemdl.learn.graphs import Readout, mean_into, rows_at, sum_into, weight_of
from chemdl.learn.layers import Dropout, RunningNorm
from chemdl.learn.models import net
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch, Packed, column
from chemdl.materials.crystals import RADIUS, crystal_graphs
from chemdl.materials.nets.element_table import ElementTable

# A Gaussian every 0.4 Å, as wide as they stand apart.
_STEP = 0.4


class CrystalBatch(NamedTuple):
    """B crystals as one graph of P sites and Q edges, padding included.

    Attributes
    ----------
    numbers
        Atomic number of each site, (P,); 0 for padding.
    crystal
        Number of the crystal that each site belongs to, (P,); B for padding.
    distance, centre, other
        Distance in Å of each edge, and the two sites that it joins, (Q,) each; padding joins a
        padding site to itself.
    size
        Number of crystals, B.
    """

    numbers: Tensor
    crystal: Tensor
    distance: Tensor
    centre: Tensor
    other: Tensor
    size: int

    @classmethod
    def read(cls, batch: Batch) -> CrystalBatch:
        """Number the sites through the batch."""
        sites, edges = (column(batch, name, Packed) for name in ("sites", "edges"))
        first = torch.gather(sites.start, 0, edges.row)
        ends = edges.values[:, 1:].long() + first[:, None]
        return cls(
            sites.values.long(),
            sites.row,
            edges.values[:, 0],
            ends[:, 0],
            ends[:, 1],
            len(sites.start) - 1,
        )


class CrystalConvolution(nn.Module):
    """One convolution of sites (P, width); see the module."""

    def __init__(self, width: int, n_gaussians: int) -> None:
        super().__init__()
        # W_f and W_s z in parts: the products are over sites, not over their neighbours.
        self.of_centre = nn.Linear(width, 2 * width)
        self.of_other = nn.Linear(width, 2 * width, bias=False)
        self.of_distance = nn.Linear(n_gaussians, 2 * width, bias=False)
        self.gates, self.norm = RunningNorm(2 * width), RunningNorm(width)

    def forward(self, sites: Tensor, near: Tensor, graph: CrystalBatch, of_site: Tensor) -> Tensor:
        z = (
            rows_at(self.of_centre(sites), graph.centre)
            + rows_at(self.of_other(sites), graph.other)
            + self.of_distance(near)
        )
        of_edge = torch.gather(of_site, 0, graph.centre)
        gate, core = self.gates(z, of_edge).chunk(2, dim=1)
        message = torch.sigmoid(gate) * nn.functional.softplus(core) * of_edge[:, None]
        arrived = sum_into(message, graph.centre, len(sites))
        return nn.functional.softplus(sites + self.norm(arrived, of_site))


class CrystalNetwork(nn.Module):
    """Graphs of B crystals → (B, tasks) by ``depth`` convolutions of sites ``width`` wide."""

    def __init__(self, n_tasks: int, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        centres = torch.arange(0.0, RADIUS + _STEP, _STEP)
        self.centres = nn.Buffer(centres)
        self.table = ElementTable(width)
        self.convolutions = nn.ModuleList(
            CrystalConvolution(width, len(centres)) for _ in range(depth)
        )
        self.readout = Readout(width, 2 * width, n_tasks, Dropout(dropout, 0))

    def forward(self, batch: Batch, noise: Noise | None, weight: Tensor) -> Tensor:
        """Return the tasks' logits or values: (B, tasks)."""
        graph = CrystalBatch.read(batch)
        near = torch.exp(-(((graph.distance[:, None] - self.centres) / _STEP) ** 2))
        of_site = weight_of(graph.crystal, weight)
        sites = self.table(graph.numbers)
        for convolution in self.convolutions:
            sites = convolution(sites, near, graph, of_site)
        crystals = mean_into(sites, graph.crystal, graph.size + 1)[:-1]
        return self.readout(crystals, noise)


@net(
    "crystal_net",
    family="graph net",
    reads="crystal",
    method="crystal graph convolutions (CGCNN)",
    paper="Xie and Grossman 2018, doi:10.1103/PhysRevLett.120.145301",
    inputs=("crystal",),
)
class CrystalNet(NeuralEstimator):
    """Crystal graph convolutions; see :class:`CrystalNetwork`.

    Sites 64 wide and three convolutions as in the paper; twenty-one Gaussians instead of forty-one,
    and Adam with a rising and falling rate instead of stochastic gradient descent, which needed
    hundreds of epochs.
    """

    network = CrystalNetwork
    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [3e-4, 1e-3, 3e-3],
        "width": [32, 64, 96],
        "depth": [2, 3, 4],
    }
    # Real targets by their absolute error, by which Matbench scores them.
    _loss: ClassVar[Any] = "mae"

    width: int = 64
    depth: int = 3
    dropout: float = 0.0
    epochs: int = 60
    batch_size: int = 64
    learning_rate: float = 2e-3
    warmup: float = 2.0
    decay: float = 0.02
    weight_decay: float = 1e-6
    clip: float | None = 1.0
    patience: int = 30

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return the graphs of crystals; see :func:`chemdl.materials.crystals.crystal_graphs`."""
        return dict(crystal_graphs(inputs))
