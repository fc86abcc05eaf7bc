"""Which residues of a chain touch: layers over the map of all pairs of residues.

A site is a pair (i, j) of residues at least 24 apart, in the order of
:func:`chemdl.proteins.structures.long_range_pairs`; what is predicted is the probability that the
two are in contact. The network does not see coevolution, which is what made the later ones strong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from chemdl.learn.classification import logistic
from chemdl.learn.estimator import Feature
from chemdl.learn.labelling import NeuralLabeller
from chemdl.learn.models import net
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch, Padded, column
from chemdl.proteins.nets.chain_net import ResidueDropout, ResidueNorm, input_width, residue_inputs
from chemdl.proteins.pairs import DIGITS, SEPARATIONS, chain_pairs
from chemdl.proteins.residues import chain_residues


class ContactMapNetwork(nn.Module):
    """Windows along the chain, then layers over the map of its pairs.

    With h_i a hidden layer over the window around residue i and d(i, j) the class of separation::

        m^0_ij = relu(U h_i + V h_j + e_d(i, j)),
        m^k = m^(k-1) + W^k ∗_r relu(norm(m^(k-1))),    p_ij = σ(w · m^depth_ij),

    ``∗_r`` a 3 × 3 convolution that takes every r-th pair, r = 1, 2, 4, 1, 2, 4: so a pair sees
    its neighbours on the map, as contacts come in stripes along helices and ladders of strands.
    Without such layers, ``depth`` 0, it is one hidden layer over two windows. Di Lena et al.
    (2012) and Wang et al. (2017) went deep over maps. Shapes: residues (B, L, 1 or 21) and pairs
    (B, P, 2) → (B, P, 1).
    """

    sites = "pairs"

    def __init__(self, window: int, width: int, depth: int, dropout: float, profile: bool) -> None:
        super().__init__()
        self.profile = profile
        self.along = nn.Conv1d(input_width(profile), width, window, padding=window // 2)
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.separation = nn.Parameter(torch.zeros(len(SEPARATIONS) + 1, width))
        reaches = [2 ** (k % 3) for k in range(depth)]
        self.layers = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=reach, dilation=reach) for reach in reaches
        )
        self.norms = nn.ModuleList(ResidueNorm(width) for _ in reaches)
        self.dropout = ResidueDropout(dropout, layer=0)
        self.output = nn.Linear(width, 1)

    def forward(self, batch: Batch, noise: Noise | None, weight: Tensor) -> Tensor:
        """Return the logit of each pair: (B, P, 1)."""
        residues, pairs = (column(batch, name, Padded) for name in ("residues", "pairs"))
        mask = residues.mask.float()
        h = torch.relu(self.along(residue_inputs(residues, self.profile) * mask[:, None]))
        h = self.dropout(h, noise).mT * mask[..., None]
        place = torch.arange(h.shape[1], device=h.device)
        apart = (place[None] - place[:, None]).abs()
        kind = torch.bucketize(apart, torch.tensor(SEPARATIONS, device=h.device), right=True)
        together = self.first(h)[:, :, None] + self.second(h)[:, None]
        m = torch.relu(together + self.separation[kind]).permute(0, 3, 1, 2)
        both = (mask[:, :, None] * mask[:, None])[:, None]
        m = m * both
        for layer, norm in zip(self.layers, self.norms, strict=True):
            inner = norm(m.flatten(2)).unflatten(2, m.shape[2:])
            m = m + layer(torch.relu(inner) * both) * both
        scores = self.output(m.permute(0, 2, 3, 1)).flatten(1, 2)
        at = pairs.values[..., 0].long() * h.shape[1] + pairs.values[..., 1].long()
        return scores.gather(1, at[..., None])


@net(
    "contact_net_deep",
    family="image net",
    reads="pairs of residues",
    method="residual 2D convolutions over the map of pairs",
    paper="as Wang et al. 2017, doi:10.1371/journal.pcbi.1005324",
    inputs=("sequence",),
    learns=("labelling",),
)
@net(
    "contact_net_shallow",
    family="image net",
    reads="pairs of residues",
    method="one hidden layer over two windows",
    inputs=("sequence",),
    learns=("labelling",),
    depth=0,
)
class ContactMapNet(NeuralLabeller):
    """Contacts of pairs of residues; see :class:`ContactMapNetwork`."""

    network = ContactMapNetwork
    _loss: ClassVar[Any] = "bce"
    # One number for each pair: the logit of a contact.
    classes = (0,)
    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [1e-3, 2e-3, 4e-3],
        "dropout": [0.1, 0.2, 0.4],
    }

    window: int = 9
    width: int = 24
    depth: int = 6
    dropout: float = 0.2
    profile: bool = True
    epochs: int = 12
    batch_size: int = 4
    learning_rate: float = 2e-3
    decay: float = 0.05
    clip: float | None = 1.0
    patience: int = 20
    bucketed: bool = True

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return the pairs of each chain and its residues, padded rows both."""
        residues = chain_residues(inputs, profile=self.profile)
        return {"pairs": chain_pairs(inputs), "residues": residues}

    def predict(self, X: Sequence[Any]) -> np.ndarray:
        """Return the probability that each pair is in contact: (pairs, 1)."""
        return np.round(logistic(self.outputs(X)), DIGITS)
