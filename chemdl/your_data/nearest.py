"""Similarity to the nearest molecule of a table, in blocks, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from chemdl.molecules.fingerprints import ECFP
from chemdl.molecules.similarity import tanimoto

# Cells of one block of similarities: 16 MB of float32.
_BLOCK_CELLS = 4_000_000


@dataclass(frozen=True)
class Nearest:
    """ECFP4 bits of the molecules of a table, packed: uint8 (n, 256)."""

    packed: np.ndarray

    @classmethod
    def of(cls, smiles: Sequence[str]) -> Nearest:
        """Take the molecules of a table, SMILES that parse."""
        return cls(ECFP(packed=True).transform(smiles))

    def similarity(self, smiles: Sequence[str]) -> np.ndarray:
        """Return the Tanimoto similarity of each molecule to its nearest here, (m,)."""
        return self.of_packed(ECFP(packed=True).transform(smiles))

    def of_packed(self, packed: np.ndarray) -> np.ndarray:
        """Return the same for packed bits (m, 256)."""
        return np.concatenate([block.max(axis=1) for block in self._blocks(packed)])

    def within(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the similarity of each molecule here to its nearest other, and its row, (n,)."""
        start, similarity, rows = 0, [], []
        for block in self._blocks(self.packed):
            block[np.arange(len(block)), start + np.arange(len(block))] = -1
            rows.append(block.argmax(axis=1))
            similarity.append(block.max(axis=1))
            start += len(block)
        return np.concatenate(similarity), np.concatenate(rows)

    def _blocks(self, packed: np.ndarray) -> Iterator[np.ndarray]:
        rows = _unpacked(self.packed)
        step = max(1, _BLOCK_CELLS // len(rows))
        for start in range(0, len(packed), step):
            yield tanimoto(_unpacked(packed[start : start + step]), rows)


def _unpacked(packed: np.ndarray) -> np.ndarray:
    return np.unpackbits(packed, axis=1, bitorder="little")


def tanimoto_to(smiles: Sequence[str], others: Sequence[str]) -> np.ndarray:
    """Return the similarities of m molecules to n others, float32 (m, n)."""
    return tanimoto(ECFP().transform(smiles), ECFP().transform(others))
