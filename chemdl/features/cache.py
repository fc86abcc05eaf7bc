"""Feature rows computed once per molecule: in memory by input, on disk by content."""

from __future__ import annotations

import hashlib
import json
import threading
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import rdkit
from numpy.typing import NDArray
from tqdm import tqdm

from chemdl.profiles import cache_dir, write_atomically

# What one kind of row may take in memory: two million fingerprints of 2,048 packed bits.
MEMORY_BOUND = 512 * 2**20
# So many new rows are computed at once and kept as one file: after a stop the next are computed.
BLOCK_ROWS = 20_000
# Fewer rows than this are quicker to compute again than to keep as a file.
FEWEST_ON_DISK = 64

Compute = Callable[[Sequence[str]], NDArray[Any]]


class RowCache:
    """One growing matrix with one row per input string that was ever asked for.

    Parameters
    ----------
    name, parameters : what the rows are; with RDKit's version and the inputs they make the name of
        a file in ``cache_dir()/features``.
    compute : maps m input strings to an array whose first axis is m. Rows must not depend on the
        other inputs.
    bound : bytes that the matrix may take. Rows beyond it are computed (or read from disk) at each
        call and not kept in memory.
    """

    def __init__(
        self, name: str, parameters: Mapping[str, Any], compute: Compute, bound: int = MEMORY_BOUND
    ) -> None:
        self.name = name
        self.parameters = dict(parameters)
        self.compute = compute
        self.bound = bound
        self._places: dict[str, int] = {}
        self._matrix: NDArray[Any] | None = None
        self._lock = threading.Lock()

    def rows(self, inputs: Sequence[str]) -> NDArray[Any]:
        """Return the rows of ``inputs`` in their order; a copy that the caller may change."""
        with self._lock:
            missing = list(dict.fromkeys(text for text in inputs if text not in self._places))
            if not missing:
                return self._kept(inputs)
            fresh = self._load_or_compute(missing, inputs)
            if self._keep(missing, fresh):
                return self._kept(inputs)
            return self._mixed(inputs, missing, fresh)

    def path(self, inputs: Sequence[str]) -> Path:
        """Return the file that holds the rows of exactly these inputs, in this order."""
        digest = hashlib.sha256(
            json.dumps([self.name, self.parameters, rdkit.__version__], sort_keys=True).encode()
        )
        digest.update("\0".join(inputs).encode())
        return cache_dir() / "features" / f"{self.name}-{digest.hexdigest()[:32]}.npz"

    def _load_or_compute(self, missing: list[str], inputs: Sequence[str]) -> NDArray[Any]:
        if len(missing) <= BLOCK_ROWS:
            return self._block(missing, inputs)
        starts = range(0, len(missing), BLOCK_ROWS)
        fresh: NDArray[Any] | None = None
        with tqdm(total=len(missing), desc=self.name, unit="row", leave=False) as bar:
            for start in starts:
                block = self._block(missing[start : start + BLOCK_ROWS], inputs)
                if fresh is None:
                    # One array for all: joining blocks at the end would hold them twice.
                    fresh = np.empty((len(missing), *block.shape[1:]), block.dtype)
                fresh[start : start + len(block)] = block
                bar.update(len(block))
        assert fresh is not None
        return fresh

    def _block(self, missing: list[str], inputs: Sequence[str]) -> NDArray[Any]:
        path = self.path(missing)
        stored = read_rows(path, len(missing))
        if stored is not None:
            return stored
        try:
            fresh = self.compute(missing)
        except ValueError:
            # Name the row where the caller has it, not where it stands among the missing.
            self.compute(inputs)
            raise
        if len(missing) >= FEWEST_ON_DISK:
            write_rows(path, fresh)
        return fresh

    def _kept(self, inputs: Sequence[str]) -> NDArray[Any]:
        assert self._matrix is not None
        places = np.fromiter((self._places[text] for text in inputs), np.int64, len(inputs))
        return self._matrix[places]

    def _keep(self, missing: list[str], fresh: NDArray[Any]) -> bool:
        used = len(self._places)
        needed = used + len(missing)
        row_bytes = fresh.nbytes // len(fresh)
        if needed * row_bytes > self.bound:
            return False
        if self._matrix is None:
            self._matrix = fresh
        else:
            if len(self._matrix) < needed:
                # Growth by half again keeps the copying linear.
                room = min(max(needed, used + used // 2), self.bound // row_bytes)
                grown = np.empty((room, *fresh.shape[1:]), fresh.dtype)
                grown[:used] = self._matrix[:used]
                self._matrix = grown
            self._matrix[used:needed] = fresh
        self._places.update(zip(missing, range(used, needed), strict=True))
        return True

    def _mixed(
        self, inputs: Sequence[str], missing: list[str], fresh: NDArray[Any]
    ) -> NDArray[Any]:
        new = dict(zip(missing, range(len(missing)), strict=True))
        result = np.empty((len(inputs), *fresh.shape[1:]), fresh.dtype)
        for row, text in enumerate(inputs):
            place = new.get(text)
            if place is not None:
                result[row] = fresh[place]
            else:
                assert self._matrix is not None
                result[row] = self._matrix[self._places[text]]
        return result


_caches: dict[str, RowCache] = {}
_caches_lock = threading.Lock()


def cached_rows(
    name: str, parameters: Mapping[str, Any], inputs: Sequence[str], compute: Compute
) -> NDArray[Any]:
    """Return ``compute(inputs)``, each row computed once for this name and these parameters.

    All clones of an estimator share one :class:`RowCache`, so that the rows of a fold are a lookup
    once the whole set was seen.
    """
    key = json.dumps([name, dict(parameters)], sort_keys=True)
    with _caches_lock:
        cache = _caches.setdefault(key, RowCache(name, parameters, compute))
    return cache.rows(inputs)


def forget() -> None:
    """Drop every row held in memory; the files on disk stay."""
    with _caches_lock:
        _caches.clear()


def read_rows(path: Path, count: int) -> NDArray[Any] | None:
    """Read a cached file of ``count`` rows; ``None`` where it is absent, cut off or altered.

    The zip member's checksum tells an altered file.
    """
    try:
        # Opened here, because np.load leaves the file open where it is no whole archive.
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as stored:
            rows = stored["rows"]
    except (OSError, EOFError, KeyError, ValueError, BadZipFile, zlib.error):
        return None
    return rows if len(rows) == count else None


def write_rows(path: Path, rows: NDArray[Any]) -> None:
    """Write rows whole or not at all; a cache folder that takes no file is a warning only."""
    try:
        with write_atomically(path) as temporary, temporary.open("wb") as handle:
            np.savez_compressed(handle, rows=rows)
    except OSError as error:
        warnings.warn(
            f"features are not kept on disk: {error}; point CHEMDL_CACHE at a writable folder",
            RuntimeWarning,
            stacklevel=2,
        )
