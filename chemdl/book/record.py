"""The command ``chemdl record``: recorders side by side, one process a core, one thread each."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from chemdl.book.planning import planned_studies
from chemdl.evidence.deriving import write_cards
from chemdl.evidence.recording import Recorder, needs, plan_text
from chemdl.evidence.store import ResultStore
from chemdl.files import project_root
from chemdl.threads import bounded, cores

# One thread for each library that reads it when it is loaded.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")


def work_folder() -> Path:
    """Return where replicas lie that belong to no whole repeat yet."""
    return (project_root() or Path.cwd()) / "_build" / "record"


def record(
    minutes: float,
    workers: int | None = None,
    only: Sequence[str] = (),
    device: str = "auto",
) -> list[str]:
    """Record what claims lack until the time is up, and derive the cards; return their studies.

    Parameters
    ----------
    minutes
        No replica is begun after so many; one that is at work is finished. With 0 the cards are
        derived, and nothing else is done.
    workers
        Number of processes; one a core when left out.
    only
        Ids of the claims to complete; all that are exact or near when left out.
    device
        ``auto``, ``cpu`` or ``cuda``.
    """
    count = cores() if workers is None else workers
    deadline = time.monotonic() + 60 * minutes
    if minutes > 0 and count > 1:
        _side_by_side(count, minutes, only, device)
    elif minutes > 0:
        work = work_folder()
        recorder = Recorder(
            lambda chapter: planned_studies(chapter, work / "runs", device=device),
            ResultStore(),
            work,
            deadline,
            say=lambda line: print(f"[{os.getpid()}] {line}", flush=True),
        )
        with bounded(1):
            recorder.run(only)
    # The first worker's parent derives the cards; a worker itself leaves that to it.
    if os.environ.get("CHEMDL_RECORD_WORKER"):
        return []
    return [path.stem for path in write_cards()]


def _side_by_side(count: int, minutes: float, only: Sequence[str], device: str) -> None:
    command = [sys.executable, "-m", "chemdl", "record", "--minutes", str(minutes)]
    command += ["--workers", "1", "--device", device]
    command += ["--only", *only] if only else []
    environment = {**os.environ, **dict.fromkeys(_ONE_THREAD, "1"), "CHEMDL_RECORD_WORKER": "1"}
    processes = [subprocess.Popen(command, env=environment) for _ in range(count)]
    # A stop loses the replicas in hand, and nothing else; nobody is left behind at work.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for process in processes:
            process.wait()
    except KeyboardInterrupt:
        for process in processes:
            process.terminate()
            process.wait()
    finally:
        signal.signal(signal.SIGTERM, before)


def plan(only: Sequence[str] = ()) -> str:
    """Return what is left to be recorded, with hours."""
    return plan_text(needs(ResultStore(), only))
