"""One-dimensional convolutions over SMILES; see :mod:`chemdl.molecules.nets.smiles_net`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from chemdl.learn.models import net
from chemdl.molecules.nets.smiles_net import SmilesEstimator, SmilesNet
from chemdl.molecules.tokens import PADDING


class SmilesConvolution(SmilesNet):
    """Filters of several widths over the string, each read at its maximum.

    With x_t the vector of token t and w an odd width of ``widths``::

        c_t^w = relu(W_w [x_(t - (w - 1) / 2), …, x_(t + (w - 1) / 2)] + b_w),   (filters,)
        s     = [max over t of c_t^w, for every w],           (filters × widths,)

    the net of Kim 2014 (arXiv:1408.5882) for sentences; Hirohara et al. 2018
    (doi:10.1186/s12859-018-2523-5) read SMILES by convolutions with global pooling.
    """

    def __init__(
        self,
        n_tasks: int,
        embedding: int,
        filters: int,
        widths: Sequence[int],
        dropout: float,
    ) -> None:
        super().__init__(n_tasks, embedding, filters * len(widths), dropout)
        if not all(width % 2 for width in widths):
            raise ValueError(f"a filter has an odd width, so that it has a middle, not {widths}")
        self.widths = tuple(widths)
        self.filters = nn.ModuleList(nn.Linear(width * embedding, filters) for width in widths)

    def encode(self, tokens: Tensor) -> Tensor:
        """Return the strongest answer of every filter: (B, filters × widths)."""
        x, real = self.embedded(tokens), (tokens != PADDING)[..., None]
        # Answers are not negative and no string is empty: zero where there is no token is no
        # maximum of its own.
        answers = [
            torch.relu(layer(_windows(x, width))) * real
            for layer, width in zip(self.filters, self.widths, strict=True)
        ]
        return torch.cat(answers, dim=2).amax(1)


def _windows(x: Tensor, width: int) -> Tensor:
    """Return for each place of x (B, L, E) what lies around it: (B, L, width × E)."""
    length, reach = x.shape[1], width // 2
    around = nn.functional.pad(x, (0, 0, reach, reach))
    return torch.cat([around[:, i : i + length] for i in range(width)], dim=2)


@net(
    "smiles_cnn",
    family="sequence net",
    reads="SMILES",
    method="convolutions over tokens, each filter read at its maximum",
    paper="as Hirohara et al. 2018, doi:10.1186/s12859-018-2523-5",
)
class SmilesCNN(SmilesEstimator):
    """Convolutions over SMILES; see :class:`SmilesConvolution`.

    Parameters
    ----------
    filters, widths
        Number of filters of each width, and the widths in tokens (odd).
    """

    network = SmilesConvolution
    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [1e-3, 2e-3, 4e-3],
        "filters": [32, 64, 128],
        "widths": [(3, 5), (3, 5, 7), (1, 3, 5, 7), (3, 7, 11)],
        "embedding": [16, 32, 64],
        "dropout": [0.0, 0.1, 0.25, 0.5],
        "variants": [1, 5, 10],
    }

    filters: int = 64
    widths: Sequence[int] = (3, 5, 7)
