"""Row caches of a benchmark's own, so that what was computed before does not count."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from chemdl.data import feature_cache as cache


@contextmanager
def cache_in(folder: str) -> Iterator[None]:
    """Keep the package's cache in ``folder`` meanwhile."""
    before = os.environ.get("CHEMDL_CACHE")
    os.environ["CHEMDL_CACHE"] = folder
    cache.forget()
    try:
        yield
    finally:
        os.environ.pop("CHEMDL_CACHE")
        if before is not None:
            os.environ["CHEMDL_CACHE"] = before
        cache.forget()


@contextmanager
def empty_cache() -> Iterator[None]:
    """Begin with nothing, and leave nothing behind."""
    with tempfile.TemporaryDirectory() as folder, cache_in(folder):
        yield
