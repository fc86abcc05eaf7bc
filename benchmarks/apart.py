"""Measure in a process of its own: peak memory is a process's, and a limit of time can end one."""

from __future__ import annotations

import contextlib
import multiprocessing
import re
import resource
import sys
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

Stages = Callable[..., Iterator[dict[str, float]]]
# Importing torch and the peers from a cold disk, and building molecules.
_UNTIL_READY = 600.0


def measured_apart(
    stages: Stages, *arguments: Any, limit: float | None = None
) -> tuple[dict[str, float], bool]:
    """Run a generator of measurements in a fresh process; join what it yields.

    ``stages`` is a function of a module. It yields once, whatever, when it has made ready; from
    then on each step to its next yield may take ``limit`` seconds. Returns what came in time, and
    whether that was all.

    Raises
    ------
    RuntimeError
        where the process ended by an error, which it printed, or was killed.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(theirs, stages, arguments))
    process.start()
    theirs.close()
    found: dict[str, float] = {}
    patience: float | None = _UNTIL_READY
    try:
        while ours.poll(patience):
            part = ours.recv()
            if part is None:
                return found, True
            found |= part
            patience = limit
        return found, False
    except EOFError:
        process.join()
        raise RuntimeError(
            f"{stages.__module__}.{stages.__name__} ended with exit code {process.exitcode}"
        ) from None
    finally:
        process.kill()
        process.join()


def _send(connection: Connection, stages: Stages, arguments: tuple[Any, ...]) -> None:
    for part in stages(*arguments):
        connection.send(part)
    connection.send(None)


class PeakMemory:
    """How far memory rises from now on, at its highest: that of the device, or what is resident."""

    def __init__(self, device: str) -> None:
        self.device, self.before = device, 0
        if device == "cuda":
            import torch

            torch.cuda.reset_peak_memory_stats()
        else:
            # Imports may have taken more for a moment than they hold; Linux forgets that peak.
            with contextlib.suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5")
            self.before = peak_resident()

    def megabytes(self) -> float:
        """Return the rise so far, in units of 10⁶ bytes."""
        if self.device == "cuda":
            import torch

            return torch.cuda.max_memory_allocated() / 1e6
        return (peak_resident() - self.before) / 1e6


def peak_resident() -> int:
    """Return the most bytes that this process ever had in memory."""
    # A process that Linux starts takes over its parent's ru_maxrss, but not its parent's VmHWM.
    status = Path("/proc/self/status")
    if status.is_file() and (found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        return 1024 * int(found[1])
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
