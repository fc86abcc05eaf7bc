"""Kill a recorder at random moments, and hold its store against that of an undisturbed one.

::

    python -m benchmarks.kill_recorder --kills 50

Recorders work on a made-up campaign of two studies, and each is killed (SIGKILL) at a moment drawn
by chance; the next goes on where it was. When one lives long enough to finish, its store must
equal the undisturbed one, but for seconds and environment, and a new round begins in an empty
folder, until there were as many kills as asked for. The last line printed is JSON:

``kills``, ``rounds``
    How often a recorder at work was killed, and in how many rounds.
``in_tuning``, ``in_writing``
    How many kills came before the first repeat was stored, and how many left a temporary file.
``lost``
    Files that were there before a kill, and not, or with other bytes, afterwards.
``half_files``
    Files under a name of their own that cannot be read.
``computed_twice``
    Fits beyond those of the undisturbed run and one for each kill, which is the replica in hand.
``shared``
    Whether two recorders side by side, undisturbed, did every fit once.
``stores_equal``
    Rounds whose store equals the undisturbed one; all of them, or the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from benchmarks.kills import Kills, ended, files, kill_process
from chemdl.data import Dataset
from chemdl.evidence import judging, recording, splits
from chemdl.evidence.claims import Test, load_claims
from chemdl.evidence.recording import Recorder
from chemdl.evidence.store import ResultStore, StoreError
from chemdl.evidence.study import Study
from chemdl.settings import Settings

PARTS = ("store", "work")
STUDIES, MODELS = ("first", "second"), ("tuned", "plain")
REPEATS, FOLDS, TRIALS = 3, 3, 6
# Rows of predictions: so many that writing them takes a while.
ENDS = [
    "",
    "O",
    "N",
    "Cl",
    "F",
    "Br",
    "S",
    "C#N",
    "C=O",
    "C(=O)O",
    "C(N)=O",
    "C=C",
    "OC",
    "NC",
    "I",
]
ROWS, TASKS = 40 * len(ENDS), 12


class Plain(ClassifierMixin, BaseEstimator):
    """Predicts by its seed, and notes each fit in a file before it begins."""

    revision = 1

    def __init__(self, log: str = "", strength: float = 1.0, seed: int = 0) -> None:
        self.log, self.strength, self.seed = log, strength, seed

    def fit(self, X: np.ndarray, y: np.ndarray) -> Plain:
        with Path(os.environ["FITS"]).open("a", encoding="utf-8") as file:
            file.write(f"{type(self).__name__} {self.strength} {self.seed} {len(X)}\n")
        time.sleep(0.005)
        self.n_tasks_ = y.shape[1]
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return np.random.default_rng(self.seed).random((len(X), self.n_tasks_))


class Tuned(Plain):
    """The same with something to tune; its trials differ in their strength."""

    revision = 1
    search_space: ClassVar[dict[str, list[Any]]] = {"strength": [0.2, 0.4, 0.6, 0.8, 1.0, 1.2]}


def studies(output: Path) -> dict[str, Study]:
    """Return the full studies of the campaign."""
    rng = np.random.default_rng(0)
    data = Dataset(
        name="made up",
        inputs=np.array(["C" * (i % 40 + 1) + ENDS[i // 40] for i in range(ROWS)], dtype=object),
        targets=rng.integers(0, 2, (ROWS, TASKS)).astype(float),
        tasks=[f"t{i}" for i in range(TASKS)],
        kind="classification",
        unit="",
        card={"cleaning": {}, "content_sha256": "0" * 64},
    )
    settings = Settings("full", 0, "cpu", output, trials=TRIALS)
    return {
        name: Study(
            name, chapter="made up", dataset=data, models={"tuned": Tuned(), "plain": Plain()},
            protocol=splits.random(data, repeats=REPEATS, folds=FOLDS, seed=0),
            metrics=["roc_auc"], settings=settings,
        )
        for name in STUDIES
    }  # fmt: skip


def make_claims() -> None:
    """Let one claim on each study stand in place of the project's."""
    some = next(iter(load_claims().values()))
    claims = {
        name: some.model_copy(update={"id": name, "chapter": "made up", "test": Test(
            study=name, a="tuned", b="plain", metric="roc_auc", unit="fold", fidelity="exact"
        )})
        for name in STUDIES
    }  # fmt: skip
    recording.load_claims = lambda: claims
    recording._seconds = dict
    judging.for_study = lambda _study: []


def start(folder: Path, planned: dict[str, Study]) -> int:
    """Start a recorder in a process of its own, a copy of this one; return its number."""
    if child := os.fork():
        return child
    status = 1
    try:
        os.environ["FITS"] = str(folder / "fits.txt")
        said = os.open(folder / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(said, 1)
        os.dup2(said, 2)
        Recorder(lambda _chapter: planned, ResultStore(folder / "store"), folder / "work").run()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def fits(folder: Path) -> Counter[str]:
    return Counter((folder / "fits.txt").read_text(encoding="utf-8").splitlines())


def equal(one: Path, other: Path) -> bool:
    """Say whether two rounds' stores have the same files, each with the same content."""
    try:
        return not (ResultStore(one / "store").merge(other / "store")
                    or ResultStore(other / "store").merge(one / "store"))  # fmt: skip
    except StoreError as error:
        print(error, file=sys.stderr)
        return False


def count_tuning(here: Path, found: Counter[str]) -> None:
    """Count a kill that came before the first repeat was stored."""
    found["in_tuning"] += not any("design" in name for name in files(here, PARTS))


def campaign(folder: Path, kills: int, seed: int) -> dict[str, Any]:
    """Run it; return what the last line says."""
    os.environ["CHEMDL_CACHE"] = str(folder / "cache")
    make_claims()
    planned = studies(folder / "runs")
    draw = random.Random(seed)
    for name in ("whole", "shared"):
        (folder / name).mkdir(parents=True)
    begun = time.monotonic()
    ended(start(folder / "whole", planned), folder / "whole")
    length = time.monotonic() - begun
    both = [start(folder / "shared", planned) for _ in range(2)]
    for child in both:
        ended(child, folder / "shared")
    whole, expected = folder / "whole", fits(folder / "whole")
    recorders = Kills(kills, lambda here: start(here, planned), PARTS, length / 3, draw)
    found = recorders.found
    found.update(rounds=0, stores_equal=0, computed_twice=0, in_tuning=0)
    while found["kills"] < kills or found["stores_equal"] < found["rounds"]:
        here = folder / f"round-{found['rounds']}"
        here.mkdir()
        found["rounds"] += 1
        killed = recorders.until_finished(here, kill_process, partial(count_tuning, here, found))
        again = sum((fits(here) - expected).values())
        found["computed_twice"] += max(0, again - killed)
        if not (equal(here, whole) and not expected - fits(here)):
            break
        found["stores_equal"] += 1
    shared = fits(folder / "shared") == expected and equal(folder / "shared", whole)
    return {**found, "shared": shared, "fits": sum(expected.values()), "seconds": round(length, 2)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="an empty folder to work in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = (options.folder or Path(temporary)) / "campaign"
        found = campaign(place, options.kills, options.seed)
    print(json.dumps(found))
    bad = found["lost"] + found["half_files"] + found["computed_twice"]
    return int(bad > 0 or found["stores_equal"] < found["rounds"] or not found["shared"])


if __name__ == "__main__":
    # Each copy of this process has one thread, so that it may be copied.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    raise SystemExit(main())
