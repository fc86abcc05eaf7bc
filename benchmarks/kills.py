"""Kill a process at random moments, start it again, and look at what it leaves: for campaigns."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass
class Kills:
    """Kills of processes that work in a folder, and what was found after each.

    Attributes
    ----------
    kills
        How many there shall be.
    start
        Function that starts a process on a folder, and returns its number.
    parts
        Folders below it whose files, once written, neither go nor change.
    longest
        Seconds within which a kill comes.
    draw
        Draws the moments.
    moment_of_writing
        Share of kills that wait for a file to be written.
    """

    kills: int
    start: Callable[[Path], int]
    parts: tuple[str, ...]
    longest: float
    draw: random.Random
    moment_of_writing: float = 0.5
    found: Counter[str] = field(
        default_factory=lambda: Counter(kills=0, in_writing=0, lost=0, half_files=0)
    )

    def until_finished(
        self, here: Path, kill: Callable[[int], None], after: Callable[[], None] = lambda: None
    ) -> int:
        """Start, kill and start again, until a process lives to its end; return the kills."""
        killed = 0
        while True:
            before = files(here, self.parts)
            child = self.start(here)
            if self.found["kills"] < self.kills:
                seconds = self.draw.uniform(0, self.longest)
                wait(here, seconds, for_a_write=self.draw.random() < self.moment_of_writing)
                kill(child)
            if ended(child, here):
                self.found["in_writing"] += len(list(here.rglob(".*.npz")))
                return killed
            killed += 1
            self.found["kills"] += 1
            now = files(here, self.parts)
            self.found["lost"] += sum(now.get(name) != content for name, content in before.items())
            self.found["half_files"] += len(unreadable(here))
            after()


def kill_process(child: int) -> None:
    """Kill a process, and none that it started."""
    os.kill(child, signal.SIGKILL)


def wait(folder: Path, seconds: float, *, for_a_write: bool) -> None:
    """Wait so long; or, if so asked, then on until a file is about to be written."""
    time.sleep(seconds)
    known = set(folder.rglob(".*.npz"))
    deadline = time.monotonic() + 1
    while for_a_write and time.monotonic() < deadline:
        if set(folder.rglob(".*.npz")) - known:
            return


def ended(child: int, folder: Path) -> bool:
    """Wait for a process; say whether it came to its end, with what it said where that is bad."""
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise RuntimeError((folder / "said.txt").read_text(encoding="utf-8"))
    return os.WIFEXITED(status)


def files(folder: Path, parts: tuple[str, ...]) -> dict[str, bytes]:
    """Return what was written in these parts of a folder, under names that count."""
    found = [path for part in parts for path in (folder / part).rglob("[!.]*.npz")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def unreadable(folder: Path) -> list[Path]:
    """Return the files that cannot be read, though they stand under names of their own."""
    bad = []
    for path in folder.rglob("[!.]*"):
        try:
            if path.suffix in (".json", ".ipynb"):
                json.loads(path.read_text(encoding="utf-8"))
            elif path.suffix == ".npz":
                with np.load(path) as stored:
                    for part in stored.files:
                        stored[part]
        except FileNotFoundError:  # set aside meanwhile, by a kernel that outlived its command
            continue
        except Exception:
            bad.append(path)
    return bad
