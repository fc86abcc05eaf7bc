"""Nets that read SMILES: one-dimensional convolutions and a bidirectional recurrence.

Both read learned vectors of the tokens, as SMILES2vec does (Goh et al. 2017, arXiv:1712.02034),
and end in one vector for the string, which a linear layer reads. A molecule has many SMILES. In
training each row reads one of its ``variants``, drawn anew at every step (Bjerrum 2017,
arXiv:1703.07076); a prediction is the mean over all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from chemdl.learn.estimator import Feature, NeuralClassifier, NeuralEstimator, NeuralRegressor
from chemdl.learn.layers import Dropout
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch, Padded
from chemdl.molecules.tokens import PADDING, VOCABULARY, smiles_tokens
from chemdl.registry import UnknownNameError

Pooling = Literal["max", "mean", "final"]
# Streams of random numbers: which variant is read, and which units of its vector are kept.
_VARIANT, _DROPOUT = range(2)
# σ of this is one, whatever a state adds to it.
_ALWAYS = 1e4


class SmilesNet(nn.Module):
    """Tokens (B, L, variants) → (B, tasks); a subclass makes one vector of a string.

    ``embedding`` numbers stand for a token, ``width`` for a string.
    """

    def __init__(self, n_tasks: int, embedding: int, width: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(len(VOCABULARY), embedding))
        self.dropout = Dropout(dropout, _DROPOUT)
        self.output = nn.Linear(width, n_tasks)

    def forward(self, batch: Batch, noise: Noise | None, weight: Tensor) -> Tensor:
        """Return the tasks' logits or values: (B, tasks)."""
        column = batch["tokens"]
        assert isinstance(column, Padded)
        variants = column.values.long()
        if noise is not None:
            return self._read(_one_variant(variants, noise), noise)
        # In turn and not side by side: a block of predictions is large as it is.
        outputs = [self._read(tokens, None) for tokens in variants.unbind(2)]
        return torch.stack(outputs).mean(0)

    def _read(self, tokens: Tensor, noise: Noise | None) -> Tensor:
        return self.output(self.dropout(self.encode(tokens), noise))

    def encode(self, tokens: Tensor) -> Tensor:
        """Return one vector for each row of tokens (B, L): (B, width)."""
        raise NotImplementedError

    def embedded(self, tokens: Tensor) -> Tensor:
        """Return the tokens' vectors (…, embedding), zero for padding."""
        size = self.embedding.shape[1]
        place = tokens.reshape(-1, 1).expand(-1, size)
        vectors = torch.gather(self.embedding, 0, place).reshape(*tokens.shape, size)
        return vectors * (tokens != PADDING)[..., None]


def _one_variant(variants: Tensor, noise: Noise) -> Tensor:
    """Draw for each row which of its variants (B, L, V) is read: (B, L)."""
    rows, length, count = variants.shape
    if count == 1:
        return variants[:, :, 0]
    drawn = (noise.uniform(_VARIANT, (rows,)) * count).long()
    return torch.gather(variants, 2, drawn[:, None, None].expand(-1, length, 1))[:, :, 0]


class SmilesConvolution(SmilesNet):
    """Filters of several widths over the string, each read at its maximum.

    With x_t the vector of token t and w an odd width of ``widths``,

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


class SmilesRecurrence(SmilesNet):
    """A gated recurrence over the string from both ends (Cho et al. 2014, arXiv:1406.1078).

    With x_t the vector of token t, and h = 0 before the first,

        r   = σ(W_r x_t + U_r h + b_r)                 what of the past enters the new state
        z   = σ(W_z x_t + U_z h + b_z)                 how much of the past stays
        n   = tanh(W_n x_t + b_n + r (U_n h + b_h))    the new state
        h_t = (1 - z) n + z h,

    r applied behind the product as in ``torch.nn.GRU`` (Cho et al.: before it), so that a step is
    one product for all gates and both directions. Padding leaves the state as it is: the way back
    begins at each string's own end. The string's vector, (2 width,), is the ``pooling`` of the
    states: their maximum, mean, or the final state, of each direction.
    """

    def __init__(
        self, n_tasks: int, embedding: int, width: int, pooling: Pooling, dropout: float
    ) -> None:
        super().__init__(n_tasks, embedding, 2 * width, dropout)
        if pooling not in _POOLINGS:
            raise UnknownNameError("pooling", pooling, _POOLINGS)
        self.pooling = pooling
        bound = width**-0.5

        def start(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))

        # A leading axis of 2 for the directions; gates r, z and n side by side.
        self.W, self.b = start(2, embedding, 3 * width), start(2, 1, 3 * width)
        self.U, self.b_h = start(2, width, 3 * width), start(2, 1, width)

    def encode(self, tokens: Tensor) -> Tensor:
        """Return the pooled states of both directions: (B, 2 width)."""
        forth = tokens.T
        both = torch.stack([forth, forth.flip(0)])
        real = (both != PADDING)[..., None]
        pooled = _POOLINGS[self.pooling](self.states(both), real)
        return torch.cat(pooled.unbind(0), dim=1)

    def states(self, tokens: Tensor) -> Tensor:
        """Return the states after each token (2, L, B) of both directions: (2, L, B, width)."""
        inputs = torch.baddbmm(self.b, self.embedded(tokens).flatten(1, 2), self.W)
        inputs = inputs.unflatten(1, tokens.shape[1:])
        width = self.U.shape[1]
        # z = 1 carries h through padding unchanged.
        inputs[..., width : 2 * width].masked_fill_((tokens == PADDING)[..., None], _ALWAYS)
        x_gates, x_new = (part.unbind(1) for part in inputs.split([2 * width, width], dim=3))
        h = inputs.new_zeros(2, tokens.shape[2], width)
        states = []
        for x_rz, x in zip(x_gates, x_new, strict=True):
            past_rz, past = torch.bmm(h, self.U).split([2 * width, width], dim=2)
            r, z = torch.sigmoid(x_rz + past_rz).chunk(2, dim=2)
            n = torch.tanh(x + r * (past + self.b_h))
            h = torch.lerp(n, h, z)  # (1 - z) n + z h
            states.append(h)
        return torch.stack(states, dim=1)


def _max(states: Tensor, real: Tensor) -> Tensor:
    return torch.where(real, states, -1.0).amax(1)  # no state is less


def _mean(states: Tensor, real: Tensor) -> Tensor:
    return (states * real).sum(1) / real.sum(1).clamp(min=1)


def _final(states: Tensor, real: Tensor) -> Tensor:
    return states[:, -1]


_POOLINGS = {"max": _max, "mean": _mean, "final": _final}


class _SmilesEstimator(NeuralEstimator):
    """Shared by the estimators over strings: the features."""

    variants: int

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return the tokens of SMILES, (length, variants) uint8 each.

        The variants do not depend on the estimator's seed: replicas share them.
        """
        return {"tokens": smiles_tokens(inputs, variants=self.variants)}


class _SmilesConvolution(_SmilesEstimator):
    """Shared by the classifier and the regressor: parameters and the network."""

    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [1e-3, 2e-3, 4e-3],
        "filters": [32, 64, 128],
        "widths": [(3, 5), (3, 5, 7), (1, 3, 5, 7), (3, 7, 11)],
        "embedding": [16, 32, 64],
        "dropout": [0.0, 0.1, 0.25, 0.5],
        "variants": [1, 5, 10],
    }

    def __init__(
        self,
        embedding: int = 32,
        filters: int = 64,
        widths: Sequence[int] = (3, 5, 7),
        dropout: float = 0.1,
        variants: int = 5,
        epochs: int = 100,
        batch_size: int = 32,
        learning_rate: float = 2e-3,
        decay: float = 0.1,
        weight_decay: float = 0.0,
        clip: float | None = None,
        patience: int = 15,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.embedding, self.filters, self.widths = embedding, filters, widths
        self.dropout, self.variants = dropout, variants
        self.epochs, self.batch_size, self.learning_rate = epochs, batch_size, learning_rate
        self.decay, self.weight_decay = decay, weight_decay
        self.clip, self.patience, self.seed, self.device = clip, patience, seed, device

    def build(self, features: dict[str, Feature], n_tasks: int) -> nn.Module:
        """Make the network; the vocabulary is fixed, so features do not matter."""
        return SmilesConvolution(n_tasks, self.embedding, self.filters, self.widths, self.dropout)


class SmilesConvolutionClassifier(NeuralClassifier, _SmilesConvolution):
    """Convolutions over SMILES, binary tasks; see :class:`SmilesConvolution`.

    The defaults were chosen in a few short trials on train and valid rows of one split of ESOL.
    """


class SmilesConvolutionRegressor(NeuralRegressor, _SmilesConvolution):
    """Convolutions over SMILES, real targets; see :class:`SmilesConvolution`."""


class _SmilesRecurrence(_SmilesEstimator):
    """Shared by the classifier and the regressor: parameters and the network."""

    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [1e-3, 2e-3, 4e-3],
        "width": [64, 96, 128],
        "embedding": [16, 32, 64],
        "pooling": ["max", "mean", "final"],
        "dropout": [0.0, 0.1, 0.25],
        "variants": [1, 5, 10],
    }

    def __init__(
        self,
        embedding: int = 32,
        width: int = 64,
        pooling: Pooling = "max",
        dropout: float = 0.1,
        variants: int = 5,
        epochs: int = 100,
        batch_size: int = 32,
        learning_rate: float = 2e-3,
        decay: float = 0.1,
        weight_decay: float = 0.0,
        clip: float | None = None,
        patience: int = 15,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.embedding, self.width, self.pooling = embedding, width, pooling
        self.dropout, self.variants = dropout, variants
        self.epochs, self.batch_size, self.learning_rate = epochs, batch_size, learning_rate
        self.decay, self.weight_decay = decay, weight_decay
        self.clip, self.patience, self.seed, self.device = clip, patience, seed, device

    def build(self, features: dict[str, Feature], n_tasks: int) -> nn.Module:
        """Make the network; the vocabulary is fixed, so features do not matter."""
        return SmilesRecurrence(n_tasks, self.embedding, self.width, self.pooling, self.dropout)


class SmilesRecurrentClassifier(NeuralClassifier, _SmilesRecurrence):
    """A gated recurrence over SMILES, binary tasks; see :class:`SmilesRecurrence`.

    The defaults were chosen in a few short trials on train and valid rows of one split of ESOL.
    """


class SmilesRecurrentRegressor(NeuralRegressor, _SmilesRecurrence):
    """A gated recurrence over SMILES, real targets; see :class:`SmilesRecurrence`."""
