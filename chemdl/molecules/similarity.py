"""Tanimoto similarity as a matrix product, and one Gram matrix for all tasks and folds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chemdl.molecules.fingerprints import ECFP
from chemdl.molecules.smiles import as_smiles
from chemdl.molecules.tabulated import read_tabulated

# 20,000 molecules make a float32 matrix of 1.6 GB.
MOST_MOLECULES = 20_000


def tanimoto(a: ArrayLike, b: ArrayLike, counts: bool = False) -> NDArray[np.float32]:
    """Return the Tanimoto similarity of the rows of a (n, d) and b (m, d), shape (n, m), float32.

    For bits this is ``|a ∧ b| / |a ∨ b|``, with ``counts`` its extension Σ min(a, b) / Σ max(a, b)
    (Ralaivola et al., Neural Netw. 18, 1093, 2005); both are positive definite. Counts are written
    in unary code, Σ min(a, b) = Σ_k [a ≥ k]·[b ≥ k], so that the work is a matrix product. Two
    empty rows have similarity 0, as in RDKit.

    Raises
    ------
    ValueError
        If the widths differ, or if a value is above 1 without ``counts``.
    """
    left, right = np.atleast_2d(np.asarray(a)), np.atleast_2d(np.asarray(b))
    if left.shape[1] != right.shape[1]:
        raise ValueError(f"rows of a have {left.shape[1]} columns, those of b {right.shape[1]}")
    if not counts and (left > 1).any() | (right > 1).any():
        raise ValueError("values above 1 are counts; pass counts=True")
    shared = _shared(left, right)
    union = left.sum(axis=1, dtype=np.float32)[:, None] + right.sum(axis=1, dtype=np.float32)
    union -= shared
    # An empty pair is 0/0; its numerator is 0, so any positive denominator gives 0.
    np.maximum(union, 1, out=union)
    return np.divide(shared, union, out=shared)


class TanimotoGram:
    """The Gram matrix of a data set, computed once and sliced for every task and fold.

    Takes 4 n² bytes: 245 MB for Tox21's 7,831 molecules, 1.6 GB at the limit of 20,000.

    Parameters
    ----------
    counts
        Of the fingerprints, see :class:`~chemdl.molecules.fingerprints.ECFP`.
    tabulated
        Inputs are rows of counts, see :func:`~chemdl.molecules.tabulated.read_tabulated`.
    most
        Number of molecules above which :meth:`prepare` refuses.
    """

    def __init__(
        self, counts: bool = False, tabulated: bool = False, most: int = MOST_MOLECULES
    ) -> None:
        self.counts = counts or tabulated
        self._encode = read_tabulated if tabulated else ECFP(counts=counts).transform
        self.most = most
        self._places: dict[str, int] = {}
        self._matrix = np.empty((0, 0), np.float32)

    def prepare(self, smiles: Any) -> TanimotoGram:
        """Compute the matrix of these SMILES (n,), unless it holds them all already.

        Raises
        ------
        ValueError
            For more than ``most`` different molecules; a linear model is the remedy.
        """
        distinct = self.distinct(smiles)
        if all(text in self._places for text in distinct):
            return self
        if len(distinct) > self.most:
            raise ValueError(self._too_large(len(distinct)))
        rows = self._encode(distinct)
        self._matrix = tanimoto(rows, rows, counts=self.counts)
        self._places = dict(zip(distinct, range(len(distinct)), strict=True))
        return self

    def rows(self, smiles_a: Any, smiles_b: Any) -> NDArray[np.float32]:
        """Return the similarities of SMILES a (n,) and b (m,), shape (n, m).

        Molecules that :meth:`prepare` has not seen are computed for this call and not kept.
        """
        a, b = as_smiles(smiles_a), as_smiles(smiles_b)
        if all(text in self._places for text in (*a, *b)):
            return self._matrix[np.ix_(self._at(a), self._at(b))]
        if len(a) * len(b) > self.most**2:
            raise ValueError(self._too_large(max(len(a), len(b))))
        left, right = self._encode(a), self._encode(b)
        return tanimoto(left, right, counts=self.counts)

    def distinct(self, smiles: Any) -> list[str]:
        """Return the different SMILES among these, in the order of first occurrence."""
        return list(dict.fromkeys(as_smiles(smiles)))

    def _too_large(self, molecules: int) -> str:
        return (
            f"a Gram matrix of {molecules} molecules takes {4e-9 * molecules**2:.1f} GB; the "
            f"limit is {self.most} molecules. Use a linear machine, or pass a larger `most`"
        )

    def _at(self, smiles: list[str]) -> NDArray[np.int64]:
        return np.fromiter((self._places[text] for text in smiles), np.int64, len(smiles))


def _shared(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float32]:
    shared = np.zeros((len(a), len(b)), np.float32)
    top_a, top_b = a.max(axis=0, initial=0), b.max(axis=0, initial=0)
    tops = np.minimum(top_a, top_b)
    for level in range(1, int(tops.max(initial=0)) + 1):
        # Few columns reach the higher levels, so the products shrink quickly.
        columns = tops >= level
        left = (a[:, columns] >= level).astype(np.float32)
        right = left if a is b else (b[:, columns] >= level).astype(np.float32)
        shared += left @ right.T
    return shared
