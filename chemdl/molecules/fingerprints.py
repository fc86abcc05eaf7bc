"""Extended-connectivity fingerprints, in bulk."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator
from sklearn.base import BaseEstimator, TransformerMixin

from chemdl.data.feature_cache import cached_rows
from chemdl.molecules.smiles import as_smiles, in_processes, parsed_blocks

# Below this many molecules (a few seconds of work) starting worker processes does not pay. Larger
# sets are computed in blocks of as many, so that each block has its processes.
FEWEST_IN_PARALLEL = 50_000


class ECFP(TransformerMixin, BaseEstimator):
    """Extended-connectivity (Morgan) fingerprints of SMILES.

    Every atom's neighbourhood up to ``radius`` bonds is hashed into one of ``size`` columns
    (Rogers and Hahn, J. Chem. Inf. Model. 50, 742, 2010); ``radius=2`` is ECFP4. Equal, bit for
    bit, to RDKit's Morgan generator without chirality, and so to DeepChem's
    ``CircularFingerprint(radius=2, size=2048)``.

    Parameters
    ----------
    radius
        Largest number of bonds from the central atom.
    size
        Number of columns, a multiple of 8.
    counts
        Whether to count how often a neighbourhood occurs, at most 255, instead of whether it
        occurs.
    packed
        Whether to return eight bits in a byte, the first column in the lowest bit. This takes an
        eighth of the memory (112 MB for 437,929 molecules); :func:`unpacked` opens one batch at a
        time.
    n_jobs
        Number of worker processes. Starting them takes seconds, so ``None`` uses them for 50,000
        new molecules or more.

    Examples
    --------
    >>> ECFP().transform(["CCO", "c1ccccc1"]).shape
    (2, 2048)
    """

    def __init__(
        self,
        radius: int = 2,
        size: int = 2048,
        counts: bool = False,
        packed: bool = False,
        n_jobs: int | None = None,
    ) -> None:
        self.radius = radius
        self.size = size
        self.counts = counts
        self.packed = packed
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn nothing; fingerprints depend on the molecule alone."""
        return self

    def transform(self, X: Any) -> NDArray[np.uint8]:
        """Return the fingerprints of SMILES ``X`` (n,) as uint8, shape (n, size). Cached.

        Packed bits have shape (n, size / 8) and are read-only, because they may share the memory of
        the cache, which stores all bits packed.

        Raises
        ------
        ValueError
            For an empty set, or SMILES that RDKit cannot read; the message names row and text.
        """
        if self.radius < 0 or self.size < 8 or self.size % 8:
            raise ValueError(
                f"radius={self.radius}, size={self.size}: the radius must be at least 0 and the "
                "size a positive multiple of 8"
            )
        if self.packed and self.counts:
            raise ValueError("counts do not fit into bits; pass packed=True or counts=True alone")
        parameters: dict[str, Any] = {"radius": self.radius, "size": self.size}
        parameters["counts"] = bool(self.counts)
        compute = partial(fingerprints, **parameters, n_jobs=self.n_jobs)
        # Older caches hold bits of this name one to a byte.
        key = {**parameters, "packed": not self.counts}
        rows = cached_rows(
            "ecfp", key, as_smiles(X), compute, block=FEWEST_IN_PARALLEL, own=self.counts
        )
        return rows if self.counts or self.packed else unpacked(rows)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return ``ecfp4_0``, ``ecfp4_1``, … (shape (size,)); of bytes ``ecfp4_byte_0``, …"""
        kind, columns = ("_byte", self.size // 8) if self.packed else ("", self.size)
        return np.array([f"ecfp{2 * self.radius}{kind}_{i}" for i in range(columns)], dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return True


def fingerprints(
    smiles: Sequence[str],
    *,
    radius: int = 2,
    size: int = 2048,
    counts: bool = False,
    n_jobs: int | None = None,
) -> NDArray[np.uint8]:
    """Compute fingerprints without any cache: counts (n, size), or packed bits (n, size / 8).

    All threads work after parsing.
    """
    if n_jobs is None:
        n_jobs = -1 if len(smiles) >= FEWEST_IN_PARALLEL else 1
    compute = partial(_encoded, radius=radius, size=size, counts=counts)
    return compute(smiles) if n_jobs == 1 else in_processes(compute, smiles, n_jobs)


def unpacked(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Open packed bits (n, size / 8) into one byte each, (n, size)."""
    return np.unpackbits(rows, axis=1, bitorder="little")


def _encoded(smiles: Sequence[str], *, radius: int, size: int, counts: bool) -> NDArray[np.uint8]:
    """Return counts (n, size), or bits packed by eight (n, size / 8): quick to hand on."""
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=radius, fpSize=size)
    encode = partial(_counts if counts else _bits, generator, size)
    # RDKit's bulk calls release the interpreter's lock: a block is encoded while the next is read.
    # Two blocks of molecules are held at most, however slow the encoding.
    waiting: list[Future[NDArray[np.uint8]]] = []
    rows = []
    with ThreadPoolExecutor(max_workers=1) as worker:
        for molecules in parsed_blocks(smiles, flat=True):
            rows += [done.result() for done in waiting]
            waiting = [worker.submit(encode, molecules)]
        rows += [done.result() for done in waiting]
    return np.concatenate(rows)


def _bits(generator: Any, size: int, molecules: list[Chem.Mol]) -> NDArray[np.uint8]:
    vectors = generator.GetFingerprints(molecules, numThreads=0)
    packed = b"".join(map(DataStructs.BitVectToBinaryText, vectors))
    return np.frombuffer(packed, np.uint8).reshape(len(vectors), size // 8)


def _counts(generator: Any, size: int, molecules: list[Chem.Mol]) -> NDArray[np.uint8]:
    vectors = generator.GetCountFingerprints(molecules, numThreads=0)
    rows = np.zeros((len(vectors), size), np.uint8)
    for row, vector in zip(rows, vectors, strict=True):
        elements = vector.GetNonzeroElements()
        row[list(elements)] = np.minimum(list(elements.values()), 255)
    return rows
