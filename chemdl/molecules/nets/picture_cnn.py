"""A convolutional net over depictions of molecules.

The idea is Chemception's (Goh et al. 2017, arXiv:1706.06689): a net made for photographs reads a
drawing of the structure and gets no chemical information except the pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from chemdl.learn.estimator import Feature, NeuralEstimator
from chemdl.learn.layers import Dropout, RunningNorm
from chemdl.learn.models import net
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch, column
from chemdl.molecules.depictions import EMPTY, RESOLUTION, SIZE, depictions

# Streams of random numbers: how a depiction is turned, and which units of its vector are kept.
_TURN, _DROPOUT = range(2)
# Levels of a pixel, 0 … 255, that count as one.
_UNIT = 64.0
# Depictions predicted at once: more leave the processor's cache and take twice the time.
_BLOCK = 64


class DepictionConvolution(nn.Module):
    """Residual convolutions over depictions (B, 4, S, S) → (B, tasks).

    With N batch normalisation (Ioffe and Szegedy 2015) of each channel, * a convolution with
    padding, and x the levels of the depiction above those of an empty one::

        h = relu(N(W_s * x))        5 × 5 pixels, every second:           (width, S/2, S/2)
        h = relu(h + W_b * relu(W_a * h))      3 × 3, ``blocks`` times,
        h = relu(N(W_r * h))        3 × 3 cells, every second:            (2 width, S/4, S/4)
        h = relu(h + W_b * relu(W_a * h))      3 × 3, ``blocks`` times,
        y = W N(mean(h)) + b        the mean over all cells.

    Cells that see nothing but empty pixels are zero in every layer and enter no norm: the mean
    over all cells grows with the molecule, as a sum over its atoms would, and does not depend on
    where in the depiction it lies, by steps of four pixels. Chemception has inception blocks where
    these are residual (He et al. 2016, arXiv:1512.03385), which with so few channels are quicker
    on a CPU.

    A depiction may be turned by quarters and mirrored. In training each row is seen in one of
    these eight ways, drawn anew at every step; a prediction is the mean over all of them and
    hence the same for each.
    """

    def __init__(self, n_tasks: int, width: int, blocks: int, dropout: float) -> None:
        super().__init__()
        self.empty = nn.Buffer(torch.tensor(EMPTY, dtype=torch.float32)[:, None, None])
        # A bias before batch normalisation has no gradient but rounding.
        self.stem = nn.Conv2d(len(EMPTY), width, 5, stride=2, padding=2, bias=False)
        self.stem_norm = PixelNorm(width)
        self.fine = nn.ModuleList(Residual(width) for _ in range(blocks))
        self.reduction = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False)
        self.reduction_norm = PixelNorm(2 * width)
        self.coarse = nn.ModuleList(Residual(2 * width) for _ in range(blocks))
        # Most cells are empty and their mean is small: without this the loss falls far slower.
        # All features grow together while the net learns, which the statistics must follow.
        self.pooled_norm = RunningNorm(2 * width, momentum=0.3)
        self.dropout = Dropout(dropout, _DROPOUT)
        self.output = nn.Linear(2 * width, n_tasks)
        for layer in (self.stem, self.reduction):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, batch: Batch, noise: Noise | None, weight: Tensor) -> Tensor:
        """Return the tasks' logits or values: (B, tasks)."""
        x = (column(batch, "depiction", Tensor).float() - self.empty) / _UNIT
        if noise is not None:
            return self._read(turned(x, noise), noise, weight)
        parts = zip(x.split(_BLOCK), weight.split(_BLOCK), strict=True)
        return torch.cat(
            [
                torch.stack([self._read(one, None, rows) for one in symmetries(part)]).mean(0)
                for part, rows in parts
            ]
        )

    def _read(self, x: Tensor, noise: Noise | None, weight: Tensor) -> Tensor:
        rows = weight[:, None, None, None]
        seen = nn.functional.max_pool2d((x != 0).any(1, keepdim=True).float(), 5, 2, padding=2)
        h = torch.relu(self.stem_norm(self.stem(x), rows * seen)) * seen
        for block in self.fine:
            h = block(h) * seen
        seen = nn.functional.max_pool2d(seen, 3, 2, padding=1)
        h = torch.relu(self.reduction_norm(self.reduction(h), rows * seen)) * seen
        for block in self.coarse:
            h = block(h) * seen
        pooled = self.pooled_norm(h.mean((2, 3)), weight)
        return self.output(self.dropout(pooled, noise))


class Residual(nn.Module):
    """relu(x + W_b * relu(W_a * x)), with W_b zero at the start: then it changes nothing."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(width, width, 3, padding=1)
        self.leave = nn.Conv2d(width, width, 3, padding=1)
        nn.init.kaiming_normal_(self.enter.weight, nonlinearity="relu")
        for start in self.leave.parameters():
            nn.init.zeros_(start)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.leave(torch.relu(self.enter(x))))


class PixelNorm(RunningNorm):
    """Batch normalisation of each channel of x (B, channels, H, W), cells weighted (B, 1, H, W)."""

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        cells = x.movedim(1, 3)
        flat = super().forward(cells.reshape(-1, x.shape[1]), weight.reshape(-1))
        return flat.reshape(cells.shape).movedim(3, 1)


def symmetries(x: Tensor) -> Iterator[Tensor]:
    """Yield depictions (B, C, S, S) turned by quarters, each also mirrored: eight in all."""
    for one in (x, x.transpose(2, 3)):
        yield from (one, one.flip(2), one.flip(3), one.flip(2, 3))


def turned(x: Tensor, noise: Noise) -> Tensor:
    """Draw for each depiction of x (B, C, S, S) one of its eight symmetries."""
    transposed, upside_down, mirrored = noise.uniform(_TURN, (3, len(x), 1, 1, 1)) < 0.5
    x = torch.where(transposed, x.transpose(2, 3), x)
    x = torch.where(upside_down, x.flip(2), x)
    return torch.where(mirrored, x.flip(3), x)


@net(
    "picture_cnn",
    family="image net",
    reads="2D depiction",
    method="residual convolutions over pixels",
    paper="as Goh et al. 2017, arXiv:1706.06689",
)
class PictureCNN(NeuralEstimator):
    """Convolutions over depictions of SMILES; see :class:`DepictionConvolution`.

    The defaults were chosen in a few short trials on train and valid rows of one split of ESOL.

    Parameters
    ----------
    width, blocks, dropout
        As in :class:`DepictionConvolution`: channels, residual layers, dropout rate.
    size, resolution
        Pixels on each side of the depictions, and size of a pixel in Å.
    """

    network = DepictionConvolution
    # Above 40,000 parameters replicas train one after another on a CPU: stacked, that is with
    # grouped convolutions, they take twice the time there. Hence no width below 20.
    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [1e-3, 2e-3, 4e-3],
        "width": [20, 24, 32],
        "blocks": [1, 2],
        "dropout": [0.0, 0.1, 0.25],
        "weight_decay": [0.0, 1e-5, 1e-4],
    }

    width: int = 24
    blocks: int = 1
    dropout: float = 0.1
    size: int = SIZE
    resolution: float = RESOLUTION
    epochs: int = 80
    batch_size: int = 32
    learning_rate: float = 2e-3
    decay: float = 0.1
    patience: int = 15

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return the depictions of SMILES, uint8 (n, 4, size, size)."""
        return {"depiction": depictions(inputs, size=self.size, resolution=self.resolution)}
