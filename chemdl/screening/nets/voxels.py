"""A net of 3D convolutions over the densities of a docked ligand and of the pocket around it.

The idea is AtomNet's (Wallach, Dzamba and Heifets 2015, arXiv:1510.02855): the complex lies in a
box of small cells, and layers of local filters find what makes a good contact wherever it is in the
box.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from chemdl.learn.estimator import Feature, NeuralEstimator
from chemdl.learn.layers import Dropout, RunningNorm
from chemdl.learn.models import net
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch, Padded, Ragged, column
from chemdl.screening.complex_features import poses_in_pockets
from chemdl.screening.receptors import Atoms

# Streams of random numbers: how a complex is turned, and which units of its vector are kept.
_TURN, _DROPOUT = range(2)
_ELEMENTS = ("C", "N", "O")
# Ligand C, N, O and other, then the protein's.
CHANNELS = 2 * (len(_ELEMENTS) + 1)
_CORNERS = tuple(itertools.product((0, 1), repeat=3))
# Turns whose mean is a prediction: they are the same for every complex and every net.
VIEWS = 4


class VoxelConvolution(nn.Module):
    """Atoms (B, L, 4), three coordinates in Å and a channel → (B, tasks).

    Each atom's unit mass is shared by the eight cells nearest to it, in proportion to how near
    their middles are, in one of eight channels (ligand C, N, O, other; the same for the protein).
    Over this grid x (8, S, S, S), * being a convolution of 3 × 3 × 3 cells with padding::

        h = relu(W_1 * x), every second cell          (width, S/2 …),
        h = relu(W_2 * h), every second cell          (2 width, S/4 …),
        h = relu(W_3 * h)                             (2 width, S/4 …),
        r = N([mean over cells of h, max over cells of h]),
        y = W_4 r + b.

    A complex has no upright position. In training each row is turned about the ligand's centre by
    a rotation drawn anew at every step (uniform over all, Shoemake 1992); a prediction is the
    mean over four fixed ones, so that it depends on the frame of the coordinates a little.
    """

    def __init__(
        self, n_tasks: int, width: int, size: int, resolution: float, dropout: float
    ) -> None:
        super().__init__()
        self.size, self.resolution = size, resolution
        self.first = nn.Conv3d(CHANNELS, width, 3, stride=2, padding=1)
        self.second = nn.Conv3d(width, 2 * width, 3, stride=2, padding=1)
        self.third = nn.Conv3d(2 * width, 2 * width, 3, padding=1)
        self.norm = RunningNorm(4 * width, momentum=0.3)
        self.dropout = Dropout(dropout, _DROPOUT)
        self.output = nn.Linear(4 * width, n_tasks)
        for layer in (self.first, self.second, self.third):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, batch: Batch, noise: Noise | None, weight: Tensor) -> Tensor:
        """Return the tasks' logits or values: (B, tasks)."""
        atoms = column(batch, "atoms", Padded)
        if noise is not None:
            turns = rotations(noise.uniform(_TURN, (len(atoms.values), 3)))
            return self._read(atoms, turns, noise, weight)
        each = [self._read(atoms, turn, None, weight) for turn in _fixed_turns(atoms.values)]
        return torch.stack(each).mean(0)

    def _read(self, atoms: Padded, turns: Tensor, noise: Noise | None, weight: Tensor) -> Tensor:
        x = self.densities(atoms, turns)
        h = torch.relu(self.first(x))
        h = torch.relu(self.third(torch.relu(self.second(h)))).flatten(2)
        pooled = self.norm(torch.cat([h.mean(2), h.amax(2)], dim=1), weight)
        return self.output(self.dropout(pooled, noise))

    def densities(self, atoms: Padded, turns: Tensor) -> Tensor:
        """Return the atoms' masses on the grid, turned by (B or 1, 3, 3): (B, 8, S, S, S)."""
        xyz = atoms.values[..., :3] @ turns.transpose(1, 2)
        # Cell k has its middle at k + 1/2 of the grid.
        place = xyz / self.resolution + (self.size - 1) / 2
        lower = place.floor()
        share = place - lower
        channel = atoms.values[..., 3]
        index, mass = [], []
        for corner in _CORNERS:
            step = torch.tensor(corner, dtype=place.dtype, device=place.device)
            cell = lower + step
            inside = ((cell >= 0) & (cell < self.size)).all(-1) & atoms.mask
            mass.append((1.0 - (share - step).abs()).prod(-1) * inside)
            cell = cell.clamp(0, self.size - 1)
            flat = ((channel * self.size + cell[..., 0]) * self.size + cell[..., 1]) * self.size
            index.append((flat + cell[..., 2]).long())
        rows = len(atoms.values)
        empty = torch.zeros(rows, CHANNELS * self.size**3, device=place.device)
        filled = empty.scatter_add(1, torch.cat(index, 1), torch.cat(mass, 1))
        return filled.reshape(rows, CHANNELS, self.size, self.size, self.size)


def rotations(uniform: Tensor) -> Tensor:
    """Turn uniform numbers (B, 3) into rotations (B, 3, 3), uniform over all of them."""
    a, b, c = uniform.unbind(-1)
    near, far = (1.0 - a).sqrt(), a.sqrt()
    b, c = 2 * math.pi * b, 2 * math.pi * c
    x, y, z, w = near * b.sin(), near * b.cos(), far * c.sin(), far * c.cos()
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def _fixed_turns(like: Tensor) -> Tensor:
    """Return the rotations of a prediction: (VIEWS, 1, 3, 3)."""
    drawn = np.random.default_rng(0).random((VIEWS, 3))
    uniform = torch.tensor(drawn, dtype=torch.float32, device=like.device)
    return rotations(uniform)[:, None]


def atoms_in_ball(ligand: Atoms, protein: Atoms, radius: float) -> np.ndarray:
    """Return the atoms within ``radius`` Å of the ligand's centre: (atoms, 4) float32.

    Three coordinates in Å from that centre, and the channel. In a ball a complex has the same atoms
    however it is turned.
    """
    centre = ligand.xyz.mean(axis=0)
    parts = []
    for side, atoms in enumerate((ligand, protein)):
        channel = [
            side * (len(_ELEMENTS) + 1) + (_ELEMENTS.index(e) if e in _ELEMENTS else 3)
            for e in atoms.elements
        ]
        parts.append(np.column_stack([atoms.xyz - centre, channel]))
    rows = np.concatenate(parts).astype(np.float32)
    return rows[(rows[:, :3] ** 2).sum(1) < radius**2]


@net(
    "cnn3d",
    family="image net",
    reads="atoms of the docked complex in a box of cells",
    method="3D convolutions",
    paper="as Wallach et al. 2015, arXiv:1510.02855",
    inputs=("complex",),
)
class Voxels(NeuralEstimator):
    """3D convolutions over a docked complex; see :class:`VoxelConvolution`.

    Inputs are complexes (``"akt1 CCO"``) that were docked. The defaults were set before any result
    and not tuned.

    Parameters
    ----------
    width
        Number of channels of the first convolution; the others have twice as many.
    size
        Number of cells along each side of the box.
    resolution
        Length of a cell's side in Å.
    dropout
        Dropout rate before the output.
    """

    network = VoxelConvolution
    # Wide enough that replicas train one after another on a CPU: stacked, that is with
    # grouped convolutions, they take longer there.
    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [3e-4, 1e-3, 3e-3],
        "width": [16, 24],
        "dropout": [0.0, 0.2, 0.4],
        "weight_decay": [0.0, 1e-4, 1e-3],
    }

    width: int = 16
    size: int = 24
    resolution: float = 1.0
    dropout: float = 0.2
    epochs: int = 30
    batch_size: int = 32
    weight_decay: float = 1e-4
    patience: int = 8

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return each complex's atoms in the ball that fits the grid: n rows of (atoms, 4)."""
        radius = self.size * self.resolution / 2
        pairs = poses_in_pockets(inputs)
        rows = [atoms_in_ball(pose.atoms, protein, radius) for pose, protein in pairs]
        return {"atoms": Ragged.of(rows, layout="padded")}
