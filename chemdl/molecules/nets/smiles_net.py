"""What both nets over SMILES share: variants of a string, vectors of tokens, and the recipe.

They read learned vectors of the tokens, as SMILES2vec does (Goh et al. 2017, arXiv:1712.02034), and
end in one vector for the string, which a linear layer reads. A molecule has many SMILES. In
training each row reads one of its ``variants``, drawn anew at every step (Bjerrum 2017,
arXiv:1703.07076); a prediction is the mean over all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from chemdl.learn.estimator import Feature, NeuralEstimator
from chemdl.learn.layers import Dropout
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch, Padded, column
from chemdl.molecules.tokens import PADDING, VOCABULARY, smiles_tokens

# Streams of random numbers: which variant is read, and which units of its vector are kept.
_VARIANT, _DROPOUT = range(2)


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
        variants = column(batch, "tokens", Padded).values.long()
        if noise is not None:
            return self._read(_one_variant(variants, noise), noise)
        # One variant at a time: a block of predictions is large enough already.
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


@dataclass(kw_only=True, eq=False, repr=False)
class SmilesEstimator(NeuralEstimator):
    """An estimator whose network reads tokens of SMILES.

    Its defaults were chosen in a few short trials on train and valid rows of one split of ESOL.

    Parameters
    ----------
    embedding
        Size of the vector of a token.
    dropout
        Dropout rate of the string's vector.
    variants
        Number of different SMILES of each molecule.
    """

    embedding: int = 32
    dropout: float = 0.1
    variants: int = 5
    epochs: int = 100
    batch_size: int = 32
    learning_rate: float = 2e-3
    decay: float = 0.1
    patience: int = 15

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return the tokens of SMILES, (length, variants) uint8 each.

        The variants do not depend on the estimator's seed: replicas share them.
        """
        return {"tokens": smiles_tokens(inputs, variants=self.variants)}
