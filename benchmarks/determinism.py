"""Run one small study in processes that differ in what must not matter, and compare predictions.

``python -m benchmarks.determinism`` runs it over hash seeds (``PYTHONHASHSEED`` 0, 1, random), one
thread and two, and with its replicas one after the other or side by side in processes of their own.
Models of scikit-learn have to agree bit for bit; nets to ``TOLERANCE``, since sums of other numbers
of threads are rounded in another order.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

# Of probabilities: what rounding in float32 may grow to in a few epochs of training.
TOLERANCE = 1e-4
STUDY = "determinism"
SOURCE = f"""\
import contextlib
import sys
from functools import partial
from pathlib import Path
import joblib
import chemdl
from chemdl.evidence import splits
from chemdl.learn.models import make_baseline, make_net
from chemdl.settings import Settings

data = chemdl.load("dili").sample(150)
models = {{"net": make_net("multitask", data.kind, epochs=5)}}
models |= {{name: make_baseline(name, data) for name in ("random_forest", "logistic", "trivial")}}

workers = {{"1": contextlib.nullcontext, "2": partial(joblib.parallel_config, "loky", n_jobs=2)}}
with workers[sys.argv[2]]():
    chemdl.Study(
        "{STUDY}", chapter="small", dataset=data, models=models,
        protocol=splits.random(data, repeats=1, folds=3), metrics=["roc_auc"],
        settings=Settings("smoke", 0, "cpu", Path(sys.argv[1])),
    ).run()
"""


def places(*, short: bool) -> list[tuple[str, str, str]]:
    """Return hash seed, threads and processes of each run; the first is what others must equal."""
    every = list(itertools.product(("0", "1", "random"), ("1", "2"), ("1", "2")))
    return [every[0], every[-1]] if short else every


def predictions(folder: Path, hash_seed: str, threads: str, processes: str) -> dict[str, Any]:
    """Run the study in a process of its own; return its predictions by model and fold."""
    from chemdl.evidence.result import read_result

    counts = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    variables = dict.fromkeys(counts, threads)
    done = subprocess.run(
        [sys.executable, "-c", SOURCE, str(folder), processes],
        env={**os.environ, **variables, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    arrays = read_result(folder / "cards" / f"{STUDY}.json").predictions.arrays
    return {name: values for name, values in arrays.items() if not name.startswith("test/")}


def campaign(folder: Path, *, short: bool = False) -> dict[str, Any]:
    """Return how many runs there were, and how far their predictions are from the first's."""
    runs = [predictions(folder / str(i), *place) for i, place in enumerate(places(short=short))]
    first = runs[0]
    exact = [all(np.array_equal(run[n], first[n]) for n in first if not n.startswith("net/"))
             for run in runs]  # fmt: skip
    far = [max(float(np.abs(run[n] - first[n]).max()) for n in first) for run in runs]
    return {"runs": len(runs), "replicas": len(first), "bit_for_bit_but_nets": sum(exact),
            "within_tolerance": sum(distance <= TOLERANCE for distance in far),
            "tolerance": TOLERANCE, "farthest": max(far)}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="two runs in the place of twelve")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("CHEMDL_CACHE", f"{folder}/cache")
        found = campaign(Path(folder) / "runs", short=options.short)
    print(json.dumps(found))
    return int(found["runs"] > min(found["bit_for_bit_but_nets"], found["within_tolerance"]))


if __name__ == "__main__":
    raise SystemExit(main())
