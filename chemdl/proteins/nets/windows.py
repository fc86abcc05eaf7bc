"""Nets over a window along the chain, the form of protein structure prediction since 1988."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch, Padded
from chemdl.proteins.nets.labelling import ChainLabeller, ChainNet, ResidueDropout, scores_of

# What pre-training sees at most, in how many residues at once, and how often for each layer.
_PRETRAINING_RESIDUES, _PRETRAINING_BATCH, _PRETRAINING_STEPS = 100_000, 256, 1500
_CORRUPTION = 0.1


class WindowNet(ChainNet):
    """One hidden layer over a window (Qian and Sejnowski 1988).

    With x_t the inputs of residue t and w the odd width of the window,

        h_t = σ(W [x_(t - (w - 1) / 2), …, x_(t + (w - 1) / 2)] + b),    y_t = V h_t + c.

    ``depth`` adds hidden layers that see residue t alone. Shapes: (B, L, inputs) → (B, L, k).
    """

    def __init__(
        self,
        n_scores: int,
        window: int,
        width: int,
        depth: int,
        dropout: float,
        profile: bool,
    ) -> None:
        super().__init__(n_scores, width, profile)
        if window % 2 == 0:
            raise ValueError(f"a window has an odd width, so that it has a middle, not {window}")
        self.window = window
        first = nn.Conv1d(self.n_inputs, width, window, padding=window // 2)
        others = [nn.Conv1d(width, width, 1) for _ in range(depth - 1)]
        self.layers = nn.ModuleList([first, *others])
        self.dropout = ResidueDropout(dropout, layer=1)

    def encode(self, x: Tensor, mask: Tensor, noise: Noise | None) -> Tensor:
        """Return the last hidden layer: (B, width, L)."""
        for layer in self.layers:
            x = torch.sigmoid(layer(x))
        return self.dropout(x, noise)


class PretrainedWindowNet(WindowNet):
    """The window net with layers pre-trained as stacked autoencoders (Bengio et al. 2007).

    Before training proper, each layer in turn learns to give back its own input from its hidden
    units, h' = σ(W x̃ + b), x' = W'ᵀ h' + c, with a tenth of the inputs x̃ set to zero (Vincent et
    al. 2010), on windows of the replica's train chains; no label is seen. DNSS (Spencer et al.
    2015) and SPIDER2 (Heffernan et al. 2015) began so.
    """

    def __init__(self, *sizes: Any, **more: Any) -> None:
        super().__init__(*sizes, **more)
        # Drawn under the replica's seed, so that pre-training depends on nothing else.
        self.draw = int(torch.randint(2**31 - 1, (1,)))

    @torch.enable_grad()
    def fit_scaling(self, batch: Batch) -> None:
        """Pre-train every layer on the train chains."""
        column = batch[self.sites]
        assert isinstance(column, Padded)
        generator = torch.Generator().manual_seed(self.draw)
        x = self._windows(column, generator)
        for layer in self.layers:
            assert isinstance(layer, nn.Conv1d) and layer.bias is not None
            # A convolution's weights are (width, inputs, window), as the windows are cut.
            start = layer.weight.detach().flatten(1).cpu()
            weight, bias = _autoencoder(x, start, layer.bias.detach().cpu(), generator)
            layer.weight.data.copy_(weight.reshape(layer.weight.shape))
            layer.bias.data.copy_(bias)
            x = torch.sigmoid(x @ weight.mT + bias)

    def _windows(self, column: Padded, generator: torch.Generator) -> Tensor:
        """Return windows of residues drawn from the chains: (residues, inputs × window)."""
        rows, places = torch.nonzero(column.mask.cpu(), as_tuple=True)
        drawn = torch.randperm(len(rows), generator=generator)[:_PRETRAINING_RESIDUES]
        parts = []
        for part in drawn.split(50_000):
            at = places[part][:, None] + torch.arange(self.window) - self.window // 2
            inside = (at >= 0) & (at < column.mask.shape[1])
            at = at.clamp(0, column.mask.shape[1] - 1)
            chosen = Padded(
                column.values.cpu()[rows[part][:, None], at],
                column.mask.cpu()[rows[part][:, None], at] & inside,
            )
            parts.append((self.inputs(chosen) * chosen.mask[:, None, :]).flatten(1))
        return torch.cat(parts)


def _autoencoder(
    x: Tensor, weight: Tensor, bias: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Fit one denoising autoencoder to rows x and return its encoder's weights and biases."""
    decoder = nn.Parameter(torch.zeros(weight.shape[1], weight.shape[0]))
    encoder, own = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
    mean = nn.Parameter(x.mean(0))
    optimizer = torch.optim.Adam([encoder, own, decoder, mean], lr=1e-3)
    for _ in range(_PRETRAINING_STEPS):
        rows = x[torch.randint(len(x), (_PRETRAINING_BATCH,), generator=generator)]
        kept = torch.rand(rows.shape, generator=generator) >= _CORRUPTION
        hidden = torch.sigmoid(torch.nn.functional.linear(rows * kept, encoder, own))
        loss = (torch.nn.functional.linear(hidden, decoder, mean) - rows).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return encoder.detach(), own.detach()


class TwoStageNet(ChainNet):
    """A window net over the inputs, and a second over what the first says (Jones 1999, PSIPRED).

    The second reads the first's probabilities in a window of its own, so that it can mend what no
    real chain has, such as a helix of one residue. Each stage has its own loss; no gradient runs
    from the second into the first, as if they were trained one after the other. Shapes:
    (B, L, inputs) → (B, L, 2 k), the second stage's scores before the first's.
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
        self.first = WindowNet(n_scores, windows[0], hidden[0], 1, dropout, profile)
        self.second = nn.Conv1d(n_scores + 1, hidden[1], windows[1], padding=windows[1] // 2)
        self.dropout = ResidueDropout(dropout, layer=2)

    def read(self, x: Tensor, mask: Tensor, noise: Noise | None) -> Tensor:
        """Return the scores of both stages: (B, 2 k, L)."""
        first = self.first.read(x, mask, noise)
        parts = first.detach().split(self.widths, dim=1)
        said = [part.softmax(1) if part.shape[1] > 1 else part for part in parts]
        # The mask tells the second stage where the chain ends.
        hidden = torch.sigmoid(self.second(torch.cat([*said, mask], dim=1) * mask))
        return torch.cat([self.output(self.dropout(hidden, noise)), first], dim=1)


class WindowLabeller(ChainLabeller):
    """One or more hidden layers over a window; see :class:`WindowNet`."""

    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [1e-3, 3e-3, 1e-2],
        "window": [13, 17, 21],
        "width": [40, 75, 150],
    }

    def __init__(
        self,
        classes: Sequence[int] = (3, 8),
        window: int = 13,
        width: int = 40,
        depth: int = 1,
        dropout: float = 0.0,
        profile: bool = False,
        pretrained: bool = False,
        epochs: int = 12,
        batch_size: int = 16,
        learning_rate: float = 1e-2,
        decay: float = 0.05,
        weight_decay: float = 0.0,
        clip: float | None = 1.0,
        patience: int = 20,
        bucketed: bool = True,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.classes, self.window, self.width, self.depth = classes, window, width, depth
        self.dropout, self.profile, self.pretrained = dropout, profile, pretrained
        self.epochs, self.batch_size, self.learning_rate = epochs, batch_size, learning_rate
        self.decay, self.weight_decay, self.clip = decay, weight_decay, clip
        self.patience, self.bucketed, self.seed, self.device = patience, bucketed, seed, device

    def build(self, features: dict[str, Any], n_tasks: int) -> nn.Module:
        """Make the network; the alphabet is fixed, so features do not matter."""
        network = PretrainedWindowNet if self.pretrained else WindowNet
        return network(
            self.n_scores, self.window, self.width, self.depth, self.dropout, profile=self.profile
        )


class TwoStageLabeller(ChainLabeller):
    """A window net on top of a window net; see :class:`TwoStageNet`."""

    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [1e-3, 3e-3, 1e-2],
        "dropout": [0.0, 0.1, 0.2],
    }

    def __init__(
        self,
        classes: Sequence[int] = (3, 8),
        windows: tuple[int, int] = (15, 15),
        hidden: tuple[int, int] = (75, 60),
        dropout: float = 0.0,
        profile: bool = False,
        epochs: int = 12,
        batch_size: int = 16,
        learning_rate: float = 1e-2,
        decay: float = 0.05,
        weight_decay: float = 0.0,
        clip: float | None = 1.0,
        patience: int = 20,
        bucketed: bool = True,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.classes, self.windows, self.hidden = classes, windows, hidden
        self.dropout, self.profile = dropout, profile
        self.epochs, self.batch_size, self.learning_rate = epochs, batch_size, learning_rate
        self.decay, self.weight_decay, self.clip = decay, weight_decay, clip
        self.patience, self.bucketed, self.seed, self.device = patience, bucketed, seed, device

    def build(self, features: dict[str, Any], n_tasks: int) -> nn.Module:
        """Make the network; the alphabet is fixed, so features do not matter."""
        return TwoStageNet(
            self.n_scores,
            scores_of(self.classes),
            self.windows,
            self.hidden,
            self.dropout,
            self.profile,
        )
