"""How many threads a fit may use, so that it is fast on a busy machine and on an idle one.

Threads of OpenMP that wait for each other use full processor time (they spin), unless
``OMP_WAIT_POLICY`` was ``PASSIVE`` when the library was loaded. On a core that is also used by
something else, they take the time that the thread they wait for needs: a small net then takes two
to eight times as long on two threads as on one. On an idle machine two threads save at most a
quarter of the time. So a fit beside other fits uses one thread, and so does a fit that runs alone,
unless waiting threads sleep.

This module is separate from models and training because the number of threads is not part of a
stored replica's key.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

WAIT_POLICY = "OMP_WAIT_POLICY"


class _Bound(NamedTuple):
    """The most threads of each kind of library."""

    blas: int
    openmp: int


class _Pool(NamedTuple):
    """One library's threads: how many it had, how to set them, and which bound is meant for it."""

    before: int
    set_count: Callable[[int], None]
    kind: str


# What all threads of this process share is lowered by the first who comes and restored by the last
# who goes: fits side by side do not end in the order in which they began.
_lock = threading.Lock()
_inside: list[_Bound] = []
_shared: list[_Pool] = []


def cores() -> int:
    """Return how many cores this process may use, by affinity and container quota."""
    import joblib

    return int(joblib.cpu_count())


def waiting_threads_sleep() -> bool:
    """Return whether this process was started with ``OMP_WAIT_POLICY=PASSIVE``."""
    return os.environ.get(WAIT_POLICY, "").strip().lower() == "passive"


@contextmanager
def bounded(most: int | None = None) -> Iterator[None]:
    """Bound the threads of BLAS, OpenMP and torch inside a ``with``; restore them after it.

    Counts are only lowered: what a user has set below the bound stays. Several threads of Python
    may be inside at once, and it works as a decorator, too.

    Parameters
    ----------
    most
        Largest number of threads of each library; 1 for a fit that runs beside others. ``None``,
        for a fit that runs alone, allows every core of this process, but only one thread of OpenMP
        and torch if their waiting threads do not sleep.
    """
    if most is None:
        bound = _Bound(cores(), cores() if waiting_threads_sleep() else 1)
    else:
        bound = _Bound(most, most)
    own = _enter(bound)
    try:
        yield
    finally:
        _leave(bound, own)


def _enter(bound: _Bound) -> list[_Pool]:
    """Lower every count to the bound; return the counts that this thread of Python alone had."""
    import torch
    from threadpoolctl import ThreadpoolController

    with _lock:
        # Asked before anything is set: torch makes a new thread's count ready when first asked.
        torch_count = torch.get_num_threads()
        libraries = ThreadpoolController().lib_controllers
        if not _inside:
            _shared[:] = [
                _Pool(lib.num_threads, partial(_set_blas, lib), "blas")
                for lib in libraries
                if lib.user_api == "blas"
            ]
            _shared.append(_Pool(torch_count, torch.set_num_threads, "openmp"))
        # OpenMP keeps a count for each thread of Python: what the main thread sets, others lack.
        own = [
            _Pool(lib.num_threads, lib.set_num_threads, "openmp")
            for lib in libraries
            if lib.user_api == "openmp"
        ]
        _inside.append(bound)
        for pool in own:
            if bound.openmp < pool.before:
                pool.set_count(bound.openmp)
        _set_shared(bound)
        return own


def _leave(bound: _Bound, own: list[_Pool]) -> None:
    """Set every count to what those still inside allow, and this thread's own to what it was."""
    with _lock:
        _inside.remove(bound)
        _set_shared(bound)
        for pool in own:
            if bound.openmp < pool.before:
                pool.set_count(pool.before)


def _set_blas(library: Any, count: int) -> None:
    """Set a BLAS library's count from whichever thread of Python this is."""
    # From 3.8 on threadpoolctl lets the thread that came first set it and does nothing for others,
    # lest they undo each other's counts; here the lock and the list of bounds see to that.
    clear = getattr(library, "clear_controlling_thread", lambda force: None)
    clear(force=True)
    library.set_num_threads(count)
    clear(force=True)


def _set_shared(bound: _Bound) -> None:
    """Set the shared counts that somebody with this bound moves by coming or going."""
    for pool in _shared:
        if getattr(bound, pool.kind) < pool.before:
            allowed = (getattr(other, pool.kind) for other in _inside)
            pool.set_count(min([pool.before, *allowed]))
