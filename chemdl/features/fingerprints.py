"""Extended-connectivity fingerprints, in bulk."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator
from sklearn.base import BaseEstimator, TransformerMixin

from chemdl.features.cache import cached_rows
from chemdl.features.molecules import as_smiles, parsed_blocks


class ECFP(TransformerMixin, BaseEstimator):
    """Extended-connectivity (Morgan) fingerprints of SMILES.

    Every atom's neighbourhood up to ``radius`` bonds is hashed into one of ``size`` columns
    (Rogers and Hahn, J. Chem. Inf. Model. 50, 742, 2010); ``radius=2`` is ECFP4. Equal, bit for
    bit, to RDKit's Morgan generator without chirality, and so to DeepChem's
    ``CircularFingerprint(radius=2, size=2048)``.

    Parameters
    ----------
    radius : bonds around each atom.
    size : number of columns, a multiple of 8.
    counts : how often a neighbourhood occurs instead of whether it does; counts above 255 read 255.

    Examples
    --------
    >>> ECFP().transform(["CCO", "c1ccccc1"]).shape
    (2, 2048)
    """

    def __init__(self, radius: int = 2, size: int = 2048, counts: bool = False) -> None:
        self.radius = radius
        self.size = size
        self.counts = counts

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn nothing; fingerprints depend on the molecule alone."""
        return self

    def transform(self, X: Any) -> NDArray[np.uint8]:
        """Return the fingerprints of SMILES ``X`` (n,) as uint8, shape (n, size). Cached.

        Raises
        ------
        ValueError
            for an empty set, or an unparsable SMILES (row and text are named).
        """
        if self.radius < 0 or self.size < 8 or self.size % 8:
            raise ValueError(
                f"radius={self.radius}, size={self.size}: the radius must be at least 0 and the "
                "size a positive multiple of 8"
            )
        parameters: dict[str, Any] = {"radius": self.radius, "size": self.size}
        parameters["counts"] = bool(self.counts)
        return cached_rows("ecfp", parameters, as_smiles(X), partial(fingerprints, **parameters))

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return ``ecfp4_0``, ``ecfp4_1``, … (shape (size,))."""
        return np.array([f"ecfp{2 * self.radius}_{i}" for i in range(self.size)], dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return True


def fingerprints(
    smiles: Sequence[str], *, radius: int = 2, size: int = 2048, counts: bool = False
) -> NDArray[np.uint8]:
    """Compute fingerprints without any cache, shape (n, size); all threads after parsing."""
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=radius, fpSize=size)
    encode = _counts if counts else _bits
    blocks = [encode(generator, block, size) for block in parsed_blocks(smiles)]
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _bits(generator: Any, molecules: list[Chem.Mol], size: int) -> NDArray[np.uint8]:
    vectors = generator.GetFingerprints(molecules, numThreads=0)
    packed = b"".join(map(DataStructs.BitVectToBinaryText, vectors))
    rows = np.frombuffer(packed, np.uint8).reshape(len(vectors), size // 8)
    return np.unpackbits(rows, axis=1, bitorder="little")


def _counts(generator: Any, molecules: list[Chem.Mol], size: int) -> NDArray[np.uint8]:
    vectors = generator.GetCountFingerprints(molecules, numThreads=0)
    rows = np.zeros((len(vectors), size), np.uint8)
    for row, vector in zip(rows, vectors, strict=True):
        found = vector.GetNonzeroElements()
        row[list(found)] = np.minimum(list(found.values()), 255)
    return rows
