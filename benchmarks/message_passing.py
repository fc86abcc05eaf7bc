"""Directed-edge message passing: ours, ours with rounded products, and chemprop's.

The same splits, width, depth, readout, epochs, batch size and learning rates; each goes back to its
best validation epoch, and has its graphs built once before. A time of training is that of the
whole ``fit``, with what each does after every epoch to find the best one.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import chemdl
from benchmarks import chemprop_mpnn
from benchmarks.apart import PeakMemory, measured_apart
from benchmarks.options import Options
from benchmarks.timing import medians, peer
from chemdl.evidence import metrics, splits
from chemdl.evidence.intervals import Interval
from chemdl.evidence.splits import Split
from chemdl.evidence.statistics import corrected_interval
from chemdl.learn.layers import Precision
from chemdl.molecules.graphs import molecular_graph, molecular_graphs
from chemdl.molecules.nets.dmpnn import DMPNN

SETS, EPOCHS, FOLDS = ("esol", "lipophilicity"), 30, 5
QUICK_SETS, QUICK_EPOCHS, QUICK_FOLDS, QUICK_ROWS = ("esol",), 3, 2, 200
OURS: dict[str, Precision] = {"chemdl float32": "float32", "chemdl native": "native"}


@dataclass
class _Measured:
    """Times and errors of one side in each fold, in their order."""

    fit_seconds: list[float] = field(default_factory=list)
    predict_seconds: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)


def run(options: Options) -> list[dict[str, Any]]:
    """Return speed, error and memory of each side on each set."""
    quick = options.quick
    epochs = options.epochs or (QUICK_EPOCHS if quick else EPOCHS)
    folds = options.folds or (QUICK_FOLDS if quick else FOLDS)
    rows = []
    for name in options.sets or (QUICK_SETS if quick else SETS):
        data = chemdl.load(name)
        data = data.sample(QUICK_ROWS, seed=0) if quick else data
        rows += _compare(data, epochs, folds, options.device)
    return rows


def _compare(data: Any, epochs: int, folds: int, device: str) -> list[dict[str, Any]]:
    every = splits.random(data, repeats=5, folds=5, seed=0).splits
    chosen, names = every[:folds], _sides()
    rates = _featurisation(data, names)
    found = _in_turn(data, chosen, names, epochs, device)
    train = statistics.mean(len(split.train) for split in chosen)
    return [
        {
            "set": data.name,
            "molecules": len(data),
            "side": name,
            "device": device,
            "epochs": epochs,
            "replicas": len(chosen),
            "featurised per second": rates[_package(name)],
            "trained per second": train * epochs / statistics.median(found[name].fit_seconds),
            "predicted per second": len(data) / statistics.median(found[name].predict_seconds),
            "seconds per replica": statistics.median(found[name].fit_seconds),
            **_gain(found, name),
            **_stacked(data, every, name, epochs, device),
            **_errors(found, name, chosen),
            "MB in training": _memory(data, chosen[0], name, device),
        }
        for name in names
    ]


def _gain(found: dict[str, _Measured], name: str) -> dict[str, float]:
    """Return how many times chemprop's speed a side has, in training and in prediction."""
    if name == "chemprop" or "chemprop" not in found:
        return {}
    ours, theirs = found[name], found["chemprop"]
    pairs = {
        "times chemprop's training": (theirs.fit_seconds, ours.fit_seconds),
        "times chemprop's prediction": (theirs.predict_seconds, ours.predict_seconds),
    }
    return {key: statistics.median(t) / statistics.median(o) for key, (t, o) in pairs.items()}


def _sides() -> list[str]:
    return [*OURS, *(["chemprop"] if peer("chemprop") else [])]


def _package(side: str) -> str:
    return side.split()[0]


def _model(side: str, epochs: int, device: str, seed: int = 0) -> Any:
    if side == "chemprop":
        return chemprop_mpnn.ChempropRegressor(epochs=epochs, device=device, seed=seed)
    return DMPNN.Regressor(
        precision=OURS[side], epochs=epochs, patience=epochs, device=device, seed=seed
    )


def _featurisation(data: Any, names: Sequence[str]) -> dict[str, float]:
    """Return molecules per second from SMILES to graphs, of each package."""

    def ours() -> None:
        molecular_graph.cache_clear()
        molecular_graphs(data.inputs)

    work = {"chemdl": ours, "chemprop": lambda: chemprop_mpnn.featurize(data.inputs)}
    packages = dict.fromkeys(map(_package, names))
    times = medians({package: work[package] for package in packages}, rounds=3)
    return {package: len(data) / seconds for package, seconds in times.items()}


def _in_turn(
    data: Any, chosen: Sequence[Split], names: Sequence[str], epochs: int, device: str
) -> dict[str, _Measured]:
    """Let every side train on each fold before the next; another begins each time."""
    found = {name: _Measured() for name in names}
    for name in names:
        # Caches its graphs and loads what a first call loads, of libraries and kernels.
        _fit(_model(name, 3, device), data, chosen[0], rows=100).predict(data.inputs)
    for fold, split in enumerate(chosen):
        first = fold % len(names)
        for name in [*names[first:], *names[:first]]:
            begun = time.perf_counter()
            model = _fit(_model(name, epochs, device, seed=fold), data, split)
            fitted = time.perf_counter()
            predicted = model.predict(data.inputs)
            found[name].predict_seconds.append(time.perf_counter() - fitted)
            found[name].fit_seconds.append(fitted - begun)
            truth = data.targets[split.test]
            error = metrics.score_tasks("rmse", truth, predicted[split.test, None])
            found[name].errors.append(float(error[0]))
    return found


def _fit(model: Any, data: Any, split: Split, rows: int | None = None) -> Any:
    """Train a model on the train rows and stop it by the valid rows, or the first of each."""
    train = split.train[:rows]
    both = np.concatenate([train, split.valid[:rows]])
    valid = np.arange(len(train), len(both))
    return model.fit(data.inputs[both], data.targets[both], valid=valid)


def _stacked(
    data: Any, every: Sequence[Split], name: str, epochs: int, device: str
) -> dict[str, Any]:
    """Time all replicas of 5 × 5 side by side, which ours does on a GPU."""
    if device == "cpu" or name == "chemprop":
        return {}
    begun = time.perf_counter()
    rows = [(split.train, split.valid) for split in every]
    model = _model(name, epochs, device)
    stacks = list(model.fit_replicas(data.inputs, data.targets, rows, range(len(rows))))
    return {
        "seconds per replica stacked": (time.perf_counter() - begun) / len(rows),
        "stack": max(len(stack) for stack in stacks),
    }


def _errors(found: dict[str, _Measured], name: str, chosen: Sequence[Split]) -> dict[str, float]:
    """Return the error with its interval, and how much lower it is than chemprop's."""
    ratio = [split.ratio for split in chosen]
    numbers = _interval("rmse", corrected_interval(found[name].errors, ratio))
    if name != "chemprop" and "chemprop" in found:
        paired = np.subtract(found["chemprop"].errors, found[name].errors)
        numbers |= _interval("below chemprop's by", corrected_interval(paired, ratio))
    return numbers


def _interval(name: str, interval: Interval) -> dict[str, float]:
    return {
        name: interval.difference,
        f"{name}, low": interval.low,
        f"{name}, high": interval.high,
    }


def _memory(data: Any, split: Split, name: str, device: str) -> float:
    """Return the peak of three epochs in a process of its own, beyond what libraries take."""
    found, _ = measured_apart(_training, data, split, name, device)
    return found["MB"]


def _training(data: Any, split: Split, name: str, device: str) -> Iterator[dict[str, float]]:
    # Both import on their first call what they need.
    _fit(_model(name, 3, device), data, split, rows=5)
    memory = PeakMemory(device)
    yield {}
    _fit(_model(name, 3, device), data, split)
    yield {"MB": memory.megabytes()}
