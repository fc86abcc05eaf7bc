"""Deep convolutions along a protein chain: plain, with dilation, and under a chain field."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from chemdl.learn.losses import Loss
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Ragged
from chemdl.proteins.nets.crf import FORBIDDEN, log_likelihood, marginals
from chemdl.proteins.nets.labelling import ChainLabeller, ChainNet, ResidueDropout, chain_lengths


class ResidueNorm(nn.Module):
    """Layer normalisation (Ba et al. 2016) of each residue over its channels, (B, C, L).

    A residue's result depends on no other and on no batch, so that padding cannot leak.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.gain = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        shape = self.gain.shape
        return nn.functional.layer_norm(x.mT, shape, self.gain, self.bias, self.eps).mT


class DeepConvolution(ChainNet):
    """Convolutions one on another along the chain (as in DeepCNF, Wang et al. 2016).

        h^0 = W^0 ∗ x + b^0,    h^i = W^i ∗ dropout(relu(norm(h^(i-1)))) + b^i,

    each with a kernel of ``kernel`` residues, so that the last layer sees depth × (kernel - 1) + 1
    of them. Shapes: (B, L, inputs) → (B, L, k).
    """

    def __init__(
        self, n_scores: int, width: int, depth: int, kernel: int, dropout: float, profile: bool
    ) -> None:
        super().__init__(n_scores, width, profile)
        sizes = [self.n_inputs, *[width] * depth]
        self.layers = nn.ModuleList(
            nn.Conv1d(n_in, n_out, kernel, padding=kernel // 2) for n_in, n_out in pairwise(sizes)
        )
        self.norms = nn.ModuleList(ResidueNorm(width) for _ in range(depth))
        self.dropouts = nn.ModuleList(ResidueDropout(dropout, layer=i) for i in range(depth))

    def encode(self, x: Tensor, mask: Tensor, noise: Noise | None) -> Tensor:
        """Return the last layer, normalised and rectified: (B, width, L)."""
        for layer, norm, dropout in zip(self.layers, self.norms, self.dropouts, strict=True):
            x = dropout(torch.relu(norm(layer(x))), noise) * mask
        return x


class DilatedResidual(ChainNet):
    """Residual blocks whose kernels reach ever further (He et al. 2016, Yu and Koltun 2016).

        h^0 = W^0 ∗ x + b^0,    h^i = h^(i-1) + W^i ∗_d dropout(relu(norm(h^(i-1)))) + b^i,

    with ``∗_d`` a convolution that takes every d-th residue, d from ``dilations``.
    """

    def __init__(
        self,
        n_scores: int,
        width: int,
        dilations: Sequence[int],
        kernel: int,
        dropout: float,
        profile: bool,
    ) -> None:
        super().__init__(n_scores, width, profile)
        self.first = nn.Conv1d(self.n_inputs, width, kernel, padding=kernel // 2)
        self.layers = nn.ModuleList(
            nn.Conv1d(width, width, kernel, padding=kernel // 2 * d, dilation=d) for d in dilations
        )
        count = len(self.layers) + 1
        self.norms = nn.ModuleList(ResidueNorm(width) for _ in range(count))
        self.dropouts = nn.ModuleList(ResidueDropout(dropout, layer=i) for i in range(count))

    def encode(self, x: Tensor, mask: Tensor, noise: Noise | None) -> Tensor:
        """Return the last block's sum, normalised and rectified: (B, width, L)."""
        h = self.first(x) * mask
        for layer, norm, dropout in zip(self.layers, self.norms, self.dropouts, strict=False):
            h = h + layer(dropout(torch.relu(norm(h)), noise) * mask) * mask
        return self.dropouts[-1](torch.relu(self.norms[-1](h)), noise)


class FieldNet(ChainNet):
    """A network under a linear-chain field, one for each task (DeepCNF, Wang et al. 2016).

    Gives (B, L, k + Σ classes²): the network's scores, then each task's scores of a step from one
    state to the next, the same at every residue.
    """

    def __init__(self, inner: ChainNet, classes: Sequence[int]) -> None:
        super().__init__(1, 1, inner.profile)
        del self.output
        self.inner = inner
        self.steps = nn.ParameterList(nn.Parameter(torch.zeros(c, c)) for c in classes)

    def read(self, x: Tensor, mask: Tensor, noise: Noise | None) -> Tensor:
        """Return scores and steps: (B, k + Σ classes², L)."""
        scores = self.inner.read(x, mask, noise)
        flat = torch.cat([step.flatten() for step in self.steps])
        steps = flat[None, :, None].expand(len(scores), -1, scores.shape[2])
        return torch.cat([scores, steps], dim=1)


def field_loss(classes: Sequence[int]) -> Loss:
    """Return the negative log-likelihood of the labels of whole chains, per measured site.

    Sites without a label are summed over. Summed over the tasks, as
    :func:`chemdl.proteins.nets.labelling.labelling_loss` does.
    """

    def total(output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        scores, steps = side_by_side(output, classes)
        labels = torch.where(weight > 0, target, -1.0).permute(3, 0, 1, 2).long()
        mask = _sites(weight).expand(len(classes), -1, -1, -1)
        # A field for each task and replica: every replica has steps of its own.
        likelihood = log_likelihood(
            scores.flatten(0, 1), steps.flatten(0, 1), labels.flatten(0, 1), mask.flatten(0, 1)
        ).unflatten(0, steps.shape[:2])
        own = weight.permute(3, 0, 1, 2).sum((2, 3))
        return -(likelihood.sum(2) / own.clamp(min=1.0)).sum(0)

    return Loss(total=total, scaled=False)


def _sites(weight: Tensor) -> Tensor:
    """Return the mask (replicas, rows, L) up to each row's last measured site.

    Unmeasured sites before it lie on the way; those after it change no likelihood.
    """
    measured = (weight > 0).any(3)
    return measured.flip(2).cumsum(2).flip(2) > 0


def side_by_side(output: Tensor, classes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return what a :class:`FieldNet` gives for replicas (replicas, rows, L, …), task by task.

    That is scores (tasks, replicas, rows, L, S) and steps (tasks, replicas, S, S).
    """
    most, at = max(classes), sum(classes)
    start, scores, steps = 0, [], []
    for count in classes:
        missing = most - count
        own = output[..., start : start + count]
        step = output[:, 0, 0, at : at + count**2].unflatten(1, (count, count))
        scores.append(nn.functional.pad(own, (0, missing), value=FORBIDDEN))
        steps.append(nn.functional.pad(step, (0, missing, 0, missing)))
        start, at = start + count, at + count**2
    return torch.stack(scores), torch.stack(steps)


class ConvolutionLabeller(ChainLabeller):
    """Deep convolutions along the chain; see :class:`DeepConvolution`.

    ``field`` puts a linear-chain field on top (:class:`FieldNet`). The defaults were chosen on
    train and valid chains of ProteinNet, see the chapter.
    """

    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [1e-3, 2e-3, 4e-3],
        "dropout": [0.1, 0.2, 0.3, 0.5],
    }

    def __init__(
        self,
        classes: Sequence[int] = (3, 8),
        width: int = 96,
        depth: int = 5,
        kernel: int = 9,
        dropout: float = 0.3,
        profile: bool = False,
        field: bool = False,
        epochs: int = 12,
        batch_size: int = 16,
        learning_rate: float = 2e-3,
        decay: float = 0.02,
        weight_decay: float = 0.0,
        clip: float | None = 1.0,
        warmup: float = 1.0,
        patience: int = 20,
        bucketed: bool = True,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.classes, self.width, self.depth, self.kernel = classes, width, depth, kernel
        self.dropout, self.profile, self.field = dropout, profile, field
        self.epochs, self.batch_size, self.learning_rate = epochs, batch_size, learning_rate
        self.decay, self.weight_decay, self.clip = decay, weight_decay, clip
        self.warmup, self.patience, self.bucketed = warmup, patience, bucketed
        self.seed, self.device = seed, device

    def build(self, features: dict[str, Any], n_tasks: int) -> nn.Module:
        """Make the network; the alphabet is fixed, so features do not matter."""
        network = self.encoder()
        return FieldNet(network, self.classes) if self.field else network

    def encoder(self) -> ChainNet:
        """Make the network without a field."""
        return DeepConvolution(
            self.n_scores, self.width, self.depth, self.kernel, self.dropout, self.profile
        )

    def _check_targets(self, targets: np.ndarray | Ragged) -> None:
        super()._check_targets(targets)
        if self.field and not all(self.classes):
            raise ValueError(f"a field needs classes in every task, not {tuple(self.classes)}")

    @property
    def _loss(self) -> Loss:
        return field_loss(self.classes) if self.field else super()._loss

    def site_scores(self, X: Sequence[Any]) -> list[np.ndarray]:
        """Return each task's scores; under a field the probabilities that it gives each site."""
        if not self.field:
            return super().site_scores(X)
        return field_probabilities(self.outputs(X), chain_lengths(X), self.classes)


@torch.no_grad()
def field_probabilities(
    outputs: np.ndarray, lengths: np.ndarray, classes: Sequence[int], block: int = 64
) -> list[np.ndarray]:
    """Return p(state | chain) of every site, (sites, classes) for each task."""
    ends = np.cumsum(lengths)
    found: list[list[np.ndarray]] = [[] for _ in classes]
    for first in range(0, len(lengths), block):
        own = lengths[first : first + block]
        begun = ends[first] - own[0]
        parts = np.split(outputs[begun : begun + own.sum()], np.cumsum(own)[:-1])
        padded = nn.utils.rnn.pad_sequence([torch.as_tensor(p) for p in parts], batch_first=True)
        mask = torch.arange(padded.shape[1]) < torch.as_tensor(own)[:, None]
        scores, steps = side_by_side(padded[None], classes)
        p = marginals(scores[:, 0], steps[:, 0], mask)
        for task, count in enumerate(classes):
            found[task].append(p[task][mask][:, :count].numpy())
    return [np.concatenate(parts) for parts in found]


class DilatedLabeller(ChainLabeller):
    """Residual blocks with dilation; see :class:`DilatedResidual`."""

    search_space: ClassVar[dict[str, list[Any]]] = ConvolutionLabeller.search_space

    def __init__(
        self,
        classes: Sequence[int] = (3, 8),
        width: int = 96,
        dilations: Sequence[int] = (1, 2, 4, 8, 1, 2),
        kernel: int = 5,
        dropout: float = 0.2,
        profile: bool = False,
        epochs: int = 12,
        batch_size: int = 16,
        learning_rate: float = 2e-3,
        decay: float = 0.02,
        weight_decay: float = 0.0,
        clip: float | None = 1.0,
        warmup: float = 1.0,
        patience: int = 20,
        bucketed: bool = True,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.classes, self.width, self.dilations = classes, width, dilations
        self.kernel, self.dropout, self.profile = kernel, dropout, profile
        self.epochs, self.batch_size, self.learning_rate = epochs, batch_size, learning_rate
        self.decay, self.weight_decay, self.clip = decay, weight_decay, clip
        self.warmup, self.patience, self.bucketed = warmup, patience, bucketed
        self.seed, self.device = seed, device

    def build(self, features: dict[str, Any], n_tasks: int) -> nn.Module:
        """Make the network; the alphabet is fixed, so features do not matter."""
        return DilatedResidual(
            self.n_scores, self.width, self.dilations, self.kernel, self.dropout, self.profile
        )
