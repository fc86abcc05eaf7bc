"""Kill a chapter's run at random moments, and hold its result against an undisturbed one.

``python -m benchmarks.kill_chapter [--kills N]`` runs a small chapter of two models and twelve
replicas in the profile ``smoke``. Each run is killed (SIGKILL), with its kernel or without it, and
run again in the same folder, until one lives to its end. Then its scores and predictions must equal
the undisturbed ones, and a new round begins. The last line printed is JSON, with the fields of
:mod:`benchmarks.kill_recorder`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.kills import Kills, ended
from chemdl.evidence.result import read_result

STUDY = "small_chapter"
SOURCE = f"""\
import chemdl
from chemdl.evidence import splits
from chemdl.learn.models import make_baseline, make_net

settings = chemdl.read_settings(globals())
data = chemdl.load("dili").sample(150)
net = make_net("multitask", data.kind, epochs=8)
chemdl.Study(
    "{STUDY}", chapter="small", dataset=data,
    models={{"net": net, "forest": make_baseline("random_forest", data)}},
    protocol=splits.random(data, repeats=2, folds=3), metrics=["roc_auc"], settings=settings,
).run()
"""
PARAMETERS = 'profile = "smoke"\nseed = 0\ndevice = "cpu"\noutput = ""\nrepeats = 2\n'


def write_chapter(path: Path) -> Path:
    """Write the notebook of the small chapter."""
    import nbformat

    cells = [
        nbformat.v4.new_markdown_cell("# A small chapter"),
        nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(SOURCE),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata["kernelspec"] = kernel
    nbformat.write(notebook, path)
    return path


def start(chapter: Path, folder: Path) -> int:
    """Start a run of the chapter in a process of its own; return its number."""
    said = str(folder / "said.txt")
    command = [sys.executable, "-m", "chemdl", "run", str(chapter), "--profile", "smoke",
               "--device", "cpu", "--output", str(folder / "run")]  # fmt: skip
    how = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    opened = [(os.POSIX_SPAWN_OPEN, number, said, how, 0o600) for number in (1, 2)]
    return os.posix_spawn(sys.executable, command, os.environ, file_actions=opened)


def kernels(child: int) -> list[int]:
    """Return the numbers of the processes that a process started."""
    with contextlib.suppress(OSError):
        return [int(n) for n in Path(f"/proc/{child}/task/{child}/children").read_text().split()]
    return []


def different(one: Path, other: Path) -> list[str]:
    """Name what two runs' results differ in, their seconds apart."""
    ours, theirs = (read_result(f / "run" / "cards" / f"{STUDY}.json") for f in (one, other))
    seconds = ["fit_seconds", "predict_seconds"]
    same = ours.scores.drop(columns=seconds).equals(theirs.scores.drop(columns=seconds))
    found = [] if same else ["scores"]
    a, b = ours.predictions.arrays, theirs.predictions.arrays
    if a.keys() != b.keys():
        return [*found, "replicas"]
    return found + [name for name in a if not np.array_equal(a[name], b[name], equal_nan=True)]


def campaign(folder: Path, kills: int, seed: int = 0) -> dict[str, Any]:
    """Kill runs of the chapter so often; return what the last line says."""
    os.environ["CHEMDL_CACHE"] = str(folder / "cache")
    whole = folder / "whole"
    whole.mkdir(parents=True)
    chapter = write_chapter(folder / "small.ipynb")
    begun = time.monotonic()
    ended(start(chapter, whole), whole)
    length = time.monotonic() - begun
    replicas = len(read_result(whole / "run" / "cards" / f"{STUDY}.json").card.scores)
    draw = random.Random(seed)

    def kill(child: int) -> None:
        both = kernels(child) if draw.random() < 0.5 else []
        for process in (child, *both):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    runs = Kills(kills, lambda here: start(chapter, here), ("run/replicas",), length, draw)
    rounds = equal = 0
    while runs.found["kills"] < kills and equal == rounds:
        here = folder / f"round-{rounds}"
        here.mkdir()
        runs.until_finished(here, kill)
        rounds += 1
        unlike = different(here, whole)
        print(", ".join(unlike), file=sys.stderr, end="\n" if unlike else "")
        equal += not unlike
    return {**runs.found, "rounds": rounds, "results_equal": equal, "replicas": replicas,
            "seconds": round(length, 2)}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    # A kernel that outlives its command may still write for a moment.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        found = campaign(Path(folder) / "campaign", options.kills, options.seed)
    print(json.dumps(found))
    bad = found["lost"] + found["half_files"] + found["rounds"] - found["results_equal"]
    return int(bad > 0)


if __name__ == "__main__":
    raise SystemExit(main())
