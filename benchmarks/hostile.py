"""Feed the readers hostile inputs, and count what they read, refuse in words, or fail at.

``python -m benchmarks.hostile [--count N] [KIND …]`` draws inputs of each kind by number: good
ones, altered in bytes or in structure. They are read in a process of its own, which may take
2 GB more than the package itself, and which is ended after ten seconds of work on one input. A
fault is an exception that does not come from this package in one line of words, a process that
dies, or a file written where none belongs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.hostile_inputs import KINDS

# Of work on one input, and in all: on a shared machine work waits.
SECONDS, LONGEST = 10, 60
MOST_MEMORY = 2 << 30
# Faults that are told apart by their last line; so many are shown of each kind.
SHOWN = 20


def outcome(kind: str, number: int, folder: Path) -> tuple[str, str]:
    """Read one input; return ``read``, ``refused`` or ``fault``, and what was said."""
    make, read = KINDS[kind]
    rng = np.random.default_rng([list(KINDS).index(kind), number])
    here = folder / "inner" / str(number)
    here.mkdir(parents=True)
    given = make(rng, here)
    before = _files(folder)
    signal.alarm(LONGEST)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read(given)
        found = ("read", "")
    except Exception as error:
        found = ("refused", str(error)) if _in_words(error) else ("fault", _where(error))
    finally:
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
    stray = _files(folder) - before - ({f"inner/{number}/out"} if found[0] == "read" else set())
    shutil.rmtree(here)
    return ("fault", f"wrote {min(stray)}") if stray else found


def _files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def _in_words(error: Exception) -> bool:
    """Say whether the package raised it: an error of its own, or a ValueError, in one line."""
    own = type(error).__module__.startswith("chemdl.")
    raised = traceback.extract_tb(error.__traceback__)[-1].filename
    meant = own or (type(error) is ValueError and f"{os.sep}chemdl{os.sep}" in raised)
    return meant and len(str(error)) > 15 and "\n" not in str(error)


def _where(error: Exception) -> str:
    places = traceback.extract_tb(error.__traceback__)
    ours = [p for p in places if f"{os.sep}chemdl{os.sep}" in p.filename]
    place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
    return f"{type(error).__name__} at {place}: {' '.join(str(error).split())[:200]}"


def serve(kind: str, first: int, last: int) -> None:
    """Read the inputs of these numbers, and print a line of JSON for each."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CHEMDL_CACHE"] = f"{folder}/cache"
        place = Path(folder) / "place"
        outcome(kind, 0, place)  # what is imported now is no memory of an input
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + MOST_MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        for number in range(first, last):
            print(json.dumps([number, *outcome(kind, number, place)]), flush=True)


def _lines(kind: str, first: int, last: int) -> list[Any]:
    """Let a process read these inputs; the last line tells of the input that ended it, if any."""
    command = [sys.executable, "-m", "benchmarks.hostile", "--serve", kind, str(first), str(last)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert child.stdout is not None
    lines: list[Any] = []
    while first + len(lines) < last:
        # Its own alarm ends it; this is for a machine on which that does not come.
        if not select.select([child.stdout], [], [], 120)[0]:
            child.kill()
        line = child.stdout.readline()
        if not line:
            status = child.wait()
            name = signal.Signals(-status).name if status < 0 else f"exit status {status}"
            lines.append([first + len(lines), "fault", f"the process ended by {name}"])
            break
        lines.append(json.loads(line))
    child.stdout.close()
    child.wait()
    return lines


def hostile(kind: str, count: int) -> dict[str, Any]:
    """Return how many inputs of a kind were read, refused in words, or faults, and which."""
    found: Counter[str] = Counter(read=0, refused=0, fault=0)
    faults: dict[str, str] = {}
    done = 0
    while done < count:
        lines = _lines(kind, done, count)
        done += len(lines)
        for number, result, text in lines:
            found[result] += 1
            if result == "fault" and len(faults) < SHOWN:
                faults.setdefault(text.split(": ")[0], f"{number}: {text}")
    for text in faults.values():
        print(f"{kind} {text}", file=sys.stderr)
    return {"inputs": count, "read": found["read"], "refused": found["refused"],
            "faults": found["fault"]}  # fmt: skip


def main() -> int:
    """Read the inputs of all kinds, or those named; exit 1 where there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--count", type=int, default=10_000, help="inputs of each kind")
    parser.add_argument("--serve", nargs=3, metavar=("KIND", "FIRST", "LAST"))
    options = parser.parse_args()
    if options.serve:
        serve(options.serve[0], int(options.serve[1]), int(options.serve[2]))
        return 0
    results = {kind: hostile(kind, options.count) for kind in options.kinds or KINDS}
    print(json.dumps(results, indent=1))
    return int(any(result["faults"] for result in results.values()))


if __name__ == "__main__":
    raise SystemExit(main())
