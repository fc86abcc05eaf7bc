"""A window net on the output of another window net, as in PSIPRED."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from chemdl.learn.labelling import scores_of
from chemdl.learn.models import net
from chemdl.learn.noise import Noise
from chemdl.proteins.nets.chain_net import RESIDUES, ChainLabeller, ChainNetwork, ResidueDropout
from chemdl.proteins.nets.window_net import WindowNetwork


class TwoStageNetwork(ChainNetwork):
    """A window net over the inputs, and a second over what the first says (Jones 1999, PSIPRED).

    The second net reads the first's probabilities in its own window, so that it can correct states
    that no real chain has, such as a helix of one residue. Each stage has its own loss; no gradient
    runs from the second into the first, as if they were trained one after the other. Shapes: (B, L,
    inputs) → (B, L, 2 k), the second stage's scores before the first's. ``widths`` says how many
    scores each task has, Σ widths = k.
    """

    def __init__(
        self,
        n_scores: int,
        widths: Sequence[int],
        windows: tuple[int, int],
        hidden: tuple[int, int],
        dropout: float,
        profile: bool,
    ) -> None:
        super().__init__(n_scores, hidden[1], profile)
        self.widths = list(widths)
        self.first = WindowNetwork(n_scores, windows[0], hidden[0], 1, dropout, profile)
        self.second = nn.Conv1d(n_scores + 1, hidden[1], windows[1], padding=windows[1] // 2)
        self.dropout = ResidueDropout(dropout, layer=2)

    def read(self, x: Tensor, mask: Tensor, noise: Noise | None) -> Tensor:
        """Return the scores of both stages: (B, 2 k, L)."""
        first = self.first.read(x, mask, noise)
        parts = first.detach().split(self.widths, dim=1)
        outputs = [part.softmax(1) if part.shape[1] > 1 else part for part in parts]
        # The mask tells the second stage where the chain ends.
        hidden = torch.sigmoid(self.second(torch.cat([*outputs, mask], dim=1) * mask))
        return torch.cat([self.output(self.dropout(hidden, noise)), first], dim=1)


@net(
    "two_stage_net",
    **RESIDUES,
    method="a window net on the output of a window net",
    paper="as PSIPRED: Jones 1999, doi:10.1006/jmbi.1999.3091",
)
class TwoStageNet(ChainLabeller):
    """A window net on top of a window net; see :class:`TwoStageNetwork`.

    Parameters
    ----------
    windows, hidden
        Number of residues in the window of each stage, and number of hidden units of each stage.
    dropout
        Dropout rate of the hidden units of both stages.
    """

    network = TwoStageNetwork
    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [1e-3, 3e-3, 1e-2],
        "dropout": [0.0, 0.1, 0.2],
    }

    windows: tuple[int, int] = (15, 15)
    hidden: tuple[int, int] = (75, 60)
    dropout: float = 0.0
    learning_rate: float = 1e-2
    decay: float = 0.05

    def sizes(self, features: dict[str, Any], n_tasks: int) -> dict[str, Any]:
        """Return how many scores the network gives a residue, in all and for each task."""
        return {**super().sizes(features, n_tasks), "widths": scores_of(self.classes)}
