"""Feature rows computed once per molecule: in memory by input, on disk by content.

Rows are computed in blocks. Each block is written to a file when it is finished, so that a long
featurisation that was stopped continues after its last complete block; a bar shows the progress.
"""

from __future__ import annotations

import hashlib
import json
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chemdl.files import cache_dir, read_arrays, write_atomically

# What one kind of row may take in memory: 2,097,152 fingerprints of 2,048 packed bits, or 262,144
# of 2,048 counts.
MEMORY_BOUND = 512 * 2**20
# Fewer rows than this are quicker to compute again than to keep as a file.
FEWEST_ON_DISK = 64
# Rows computed at once: all that a stop can lose.
BLOCK_ROWS = 10_000

Compute = Callable[[Sequence[str]], NDArray[Any]]


class RowCache:
    """A growing matrix with one row for each input string that was requested so far.

    Parameters
    ----------
    name, parameters
        What the rows are. The name of a file in ``cache_dir()/features`` is made from them, RDKit's
        version and the inputs of the block.
    compute
        Function from m input strings to an array whose first axis has length m. A row must not
        depend on the other inputs.
    bound
        Largest size of the matrix in bytes. Rows beyond it are computed (or read from disk) at each
        call and not kept in memory.
    block
        Number of rows that are computed, and stored in one file, at once.
    """

    def __init__(
        self,
        name: str,
        parameters: Mapping[str, Any],
        compute: Compute,
        bound: int = MEMORY_BOUND,
        block: int = BLOCK_ROWS,
    ) -> None:
        self.name = name
        self.parameters = dict(parameters)
        self.compute = compute
        self.bound = bound
        self.block = block
        self._places: dict[str, int] = {}
        self._matrix: NDArray[Any] | None = None
        self._lock = threading.Lock()

    def rows(self, inputs: Sequence[str], *, own: bool = True) -> NDArray[Any]:
        """Return the rows of ``inputs`` in their order.

        The result is a copy that the caller may change. With ``own=False`` it is read-only, and is
        the cache's own memory if the inputs are exactly those in the cache in the same order; a set
        of 437,929 fingerprints is then in memory once.
        """
        with self._lock:
            missing = list(dict.fromkeys(text for text in inputs if text not in self._places))
            fresh = self._fresh(missing, inputs) if missing else None
            if fresh is None or self._keep(missing, fresh):
                found = self._kept(inputs, own)
            else:
                found = self._mixed(inputs, missing, fresh)
        found.flags.writeable = own
        return found

    def path(self, inputs: Sequence[str]) -> Path:
        """Return the file that holds the rows of exactly these inputs, in this order."""
        digest = hashlib.sha256(
            json.dumps(
                [self.name, self.parameters, metadata.version("rdkit")], sort_keys=True
            ).encode()
        )
        digest.update("\0".join(inputs).encode())
        return cache_dir() / "features" / f"{self.name}-{digest.hexdigest()[:32]}.npz"

    def _fresh(self, missing: list[str], inputs: Sequence[str]) -> NDArray[Any]:
        """Return the missing rows, block by block from disk or computed."""
        fresh: NDArray[Any] | None = None
        with ExitStack() as stack:
            progress = None
            for start in range(0, len(missing), self.block):
                texts = missing[start : start + self.block]
                path = self.path(texts)
                rows = read_rows(path, len(texts))
                if rows is None and progress is None and len(missing) > self.block:
                    # What lies on disk takes no time: a bar is for what has to be computed.
                    progress = stack.enter_context(_progress(self.name, len(missing), start))
                if rows is None:
                    rows = self._computed(texts, inputs)
                    if len(missing) >= FEWEST_ON_DISK:
                        write_rows(path, rows)
                if fresh is None:
                    fresh = np.empty((len(missing), *rows.shape[1:]), rows.dtype)
                fresh[start : start + len(rows)] = rows
                if progress is not None:
                    progress.advance("", len(texts))
        assert fresh is not None
        return fresh

    def _computed(self, texts: list[str], inputs: Sequence[str]) -> NDArray[Any]:
        try:
            return self.compute(texts)
        except ValueError:
            # Name the row where the caller has it, not where it stands among the missing.
            self.compute(inputs)
            raise

    def _kept(self, inputs: Sequence[str], own: bool) -> NDArray[Any]:
        assert self._matrix is not None
        places = np.fromiter((self._places[text] for text in inputs), np.int64, len(inputs))
        first = int(places[0]) if len(places) else 0
        if not own and np.array_equal(places, np.arange(first, first + len(places))):
            return self._matrix[first : first + len(places)]
        return self._matrix[places]

    def _keep(self, missing: list[str], fresh: NDArray[Any]) -> bool:
        """Put the missing rows into the matrix; ``False`` where that would go beyond the bound."""
        used = len(self._places)
        needed, row_bytes = used + len(missing), fresh.nbytes // len(fresh)
        if needed * row_bytes > self.bound:
            return False
        if self._matrix is None:
            self._matrix = fresh  # no copy: a large set is in memory once
        elif len(self._matrix) < needed:
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


# What is held inside ``uncached``, and nowhere else.
_PASSING: ContextVar[dict[Any, NDArray[Any]] | None] = ContextVar("passing", default=None)
_caches: dict[str, RowCache] = {}
_caches_lock = threading.Lock()


def cached_rows(
    name: str,
    parameters: Mapping[str, Any],
    inputs: Sequence[str],
    compute: Compute,
    *,
    block: int = BLOCK_ROWS,
    own: bool = True,
) -> NDArray[Any]:
    """Return ``compute(inputs)``, each row computed once for this name and these parameters.

    All clones of an estimator share one :class:`RowCache`, so that after the first pass over the
    data set the rows of a fold are only looked up. ``block`` and ``own`` are as in
    :class:`RowCache`.
    """
    key = json.dumps([name, dict(parameters)], sort_keys=True)
    if (held := _PASSING.get()) is not None:
        place = (key, tuple(inputs))
        if place not in held:
            held[place] = compute(inputs)
        return held[place].copy() if own else held[place]
    with _caches_lock:
        cache = _caches.setdefault(key, RowCache(name, parameters, compute, block=block))
    return cache.rows(inputs, own=own)


@contextmanager
def uncached() -> Iterator[None]:
    """Keep rows until the end of the block alone: for a stream of inputs that come once."""
    token = _PASSING.set({})
    try:
        yield
    finally:
        _PASSING.reset(token)


def forget() -> None:
    """Drop every row held in memory; the files on disk stay."""
    with _caches_lock:
        _caches.clear()


def read_rows(path: Path, count: int) -> NDArray[Any] | None:
    """Read a cached file of ``count`` rows; ``None`` where it is absent, cut off or altered."""
    rows = (read_arrays(path) or {}).get("rows")
    return rows if rows is not None and len(rows) == count else None


def write_rows(path: Path, rows: NDArray[Any]) -> None:
    """Write the rows completely or not at all; an unwritable cache folder only gives a warning."""
    try:
        with write_atomically(path) as temporary, temporary.open("wb") as handle:
            np.savez_compressed(handle, rows=rows)
    except OSError as error:
        warnings.warn(
            f"features are not kept on disk: {error}; point CHEMDL_CACHE at a writable folder",
            RuntimeWarning,
            stacklevel=2,
        )


def _progress(name: str, total: int, done: int) -> Any:
    # Only long work pays for importing the bar.
    from chemdl.progress import Progress

    return Progress(f"features {name}", total, done, unit="row")
