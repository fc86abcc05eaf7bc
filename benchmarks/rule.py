"""The proof of the rule: how often its intervals err, by refits on many small benchmarks.

Disjoint benchmarks of 1,000 molecules are drawn from a large set, whose other molecules stand for
the population. On each, pairs of models are compared as a study does it, in repeated
cross-validation, and their intervals are held against the truth:

- *on this data set*: the mean difference of these fitted models on molecules outside the benchmark;
- *of the methods*: that difference, averaged over all other benchmarks of the set.

A ``fixed`` pair is one learner on two halves of the fingerprint's bits, drawn once for each set. In
a ``swapped`` pair chance decides in each fit which half is whose, so that the two methods are the
same and their difference is exactly 0. A ``known`` pair is all bits against the first half.

Truths are estimates themselves, so a half-width h is compared as √(h² + z²·e²) with the truth's
standard error e.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

import chemdl
from benchmarks.options import Options
from benchmarks.rule_learners import LEARNERS, Learner
from chemdl.evidence.folds import AtRandom, Grouped, Rule
from chemdl.evidence.influence import FoldDifference, contributions, deletions, pooled_interval
from chemdl.evidence.intervals import Interval
from chemdl.evidence.metrics import METRICS
from chemdl.evidence.statistics import corrected_interval
from chemdl.files import data_dir, write_atomically
from chemdl.molecules.fingerprints import ECFP
from chemdl.molecules.smiles import scaffold_keys
from chemdl.settings import spawn

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

SETS = ("hiv", "cep", "cyp_veith")
SIZE, BITS = 1000, 1024
REPEATS, FOLDS, VALID = 3, 5, 0.1
# Benchmarks of one set that a learner is fitted on, at most: forests and nets cost most.
MOST = {"ridge": 40, "neighbours": 40, "forest": 8, "net": 12}
# Scaffolds of more molecules than this would fill half a fold; they are left out.
LARGEST_SCAFFOLD = 100
# Rows outside a benchmark that are predicted: positives and negatives, or all of a regression.
POSITIVES, NEGATIVES, OUTSIDE = 1500, 2500, 4000
# Fewer benchmarks do not tell the truth of the methods, unless it is 0 by construction.
FEWEST = 8
METRICS_OF = {"classification": ("roc_auc",), "regression": ("rmse", "r2")}
PAIRS = {"fixed": (0, 1), "swapped": (0, 1), "known": (2, 0)}
COLUMNS = ["protocol", "data", "learner", "metric", "pair", "estimand", "interval"]


@dataclass(frozen=True, eq=False)
class Population:
    """A large set: bits (n, d), targets (n,), and groups (n,) that a protocol keeps together."""

    name: str
    x: NDArray[Any]
    y: Floats
    kind: str
    groups: Rows | None = None

    @property
    def protocol(self) -> str:
        return "random" if self.groups is None else "scaffold_balanced"


def run(options: Options) -> list[dict[str, Any]]:
    """Fit what is not stored, and write the table of errors to ``data/rule/simulation.csv``."""
    until = time.monotonic() + 60 * options.minutes if options.minutes is not None else np.inf
    most = 2 if options.quick else None
    for _ in simulate(populations(options.sets or SETS), options.store, most):
        if time.monotonic() > until:
            break
    table = summary(intervals(read_fits(options.store)))
    path = options.store / "simulation.csv" if options.quick else data_dir() / "rule/simulation.csv"
    with write_atomically(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
    return [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]


def populations(names: Sequence[str]) -> Iterator[Population]:
    """Yield each task of each set, then those of classification again in whole scaffolds."""
    grouped = []
    for name in names:
        data = chemdl.load(name)
        x = ECFP(size=BITS).transform(data.inputs)
        for column, task in enumerate(data.tasks):
            y = data.targets[:, column]
            known = np.flatnonzero(np.isfinite(y))
            title = name if len(data.tasks) == 1 else f"{name} {task}"
            yield Population(title, x[known], y[known], data.kind)
            if data.kind == "classification" and column == len(data.tasks) - 1:
                keys = np.concatenate([scaffold_keys(data.inputs[known]), scaffold_keys(["C"])])
                codes = np.unique(keys, return_inverse=True)[1]
                small = np.bincount(codes)[codes[:-1]] <= LARGEST_SCAFFOLD
                kept = known[small & (codes[:-1] != codes[-1])]
                grouped.append(
                    Population(title, x[kept], y[kept], data.kind, codes[:-1][np.isin(known, kept)])
                )
    yield from grouped


def simulate(every: Iterator[Population], store: Path, most: int | None = None) -> Iterator[Path]:
    """Fit every learner on every benchmark, in turn over the sets; yield each file."""
    store.mkdir(parents=True, exist_ok=True)
    sets = [(population, benchmarks(population)) for population in every]
    plan = []
    for population, rows in sets:
        for name in LEARNERS:
            count = min(len(rows), MOST[name])
            chosen = range(min(count, most or count))
            plan += [(number / count, population, rows[number], name, number) for number in chosen]
    # A stop leaves every learner and every set with the same share of its benchmarks.
    for _, population, rows, name, number in sorted(plan, key=lambda one: one[0]):
        place = [population.protocol, population.name, name, population.kind, str(number)]
        path = store / f"{'-'.join(place).replace(' ', '-')}.npz"
        if not path.exists():
            fits = fit(population, rows, LEARNERS[name], spawn(0, *place))
            with write_atomically(path) as temporary:
                np.savez_compressed(temporary, place=place, **fits)
        yield path


def benchmarks(population: Population, size: int = SIZE) -> list[Rows]:
    """Return the rows of disjoint benchmarks, in whole groups where there are some."""
    generator = np.random.default_rng(spawn(0, population.name, "benchmarks"))
    groups = np.arange(len(population.y)) if population.groups is None else population.groups
    names, code = np.unique(groups, return_inverse=True)
    rank = generator.permutation(len(names))[code]
    order = np.argsort(rank, kind="stable")
    if population.groups is None:
        return [np.sort(order[i : i + size]) for i in range(0, len(order) - size + 1, size)]
    bounds = np.flatnonzero(np.diff(rank[order], append=-1)) + 1
    found, start = [], 0
    for bound in bounds:
        if bound - start >= size:
            found.append(np.sort(order[start:bound]))
            start = int(bound)
    return found


def fit(population: Population, rows: Rows, learner: Learner, seed: int) -> dict[str, Any]:
    """Fit the models of one benchmark: predictions of its test rows, and the true differences.

    Returns
    -------
    dict
        ``y`` (n,), ``groups`` (n,), ``test`` (fits, n) which rows each fit is tested on, ``train``
        (fits,) how many it learns from, ``predicted`` (models, fits, n), ``signs`` (fits,) of the
        swapped pair, and ``truth`` (pairs, metrics, 2): each difference and its standard error.
    """
    generator = np.random.default_rng(seed)
    groups = None if population.groups is None else population.groups[rows]
    splits = _splits(len(rows), groups, generator)
    trains = [train for train, _ in splits]
    outside = _outside(population, rows, generator)
    half = population.x.shape[1] // 2
    bits = np.random.default_rng(spawn(0, population.name, "halves")).permutation(2 * half)
    inside, beyond = [], []
    for model, chosen in enumerate((bits[:half], bits[half:], bits)):
        x, new = (population.x[np.ix_(r, chosen)].astype(np.float32) for r in (rows, outside))
        own, other = learner(x, population.y[rows], trains, new, spawn(seed, "model", model))
        inside.append(own)
        beyond.append(other)
    signs = generator.choice([-1.0, 1.0], len(splits))
    clusters = np.arange(len(outside)) if population.groups is None else population.groups[outside]
    test = np.zeros((len(splits), len(rows)), dtype=bool)
    for number, (_, tested) in enumerate(splits):
        test[number, tested] = True
    predicted = np.where(test, np.stack(inside), 0).astype(np.float32)
    y = population.y[outside]
    truth = np.zeros((len(PAIRS), len(METRICS_OF[population.kind]), 2))
    for m, metric in enumerate(METRICS_OF[population.kind]):
        scored = [_scored(metric, y, model) for model in beyond]
        for p, (pair, (a, b)) in enumerate(PAIRS.items()):
            side = signs if pair == "swapped" else np.ones(len(signs))
            (ours, moved), (theirs, moved_too) = scored[a], scored[b]
            sums = np.bincount(clusters, side @ (moved - moved_too) / len(side))
            truth[p, m] = (side * (ours - theirs)).mean(), np.sqrt((sums**2).sum())
    return {
        "y": population.y[rows],
        "groups": np.arange(len(rows)) if groups is None else groups,
        "test": test,
        "train": np.array([len(train) for train in trains]),
        "predicted": predicted,
        "signs": signs,
        "truth": truth,
    }


def _splits(n: int, groups: Rows | None, generator: Any) -> list[tuple[Rows, Rows]]:
    rule: Rule = AtRandom() if groups is None else Grouped(groups, "groups")
    rows, found = np.arange(n), []
    for _ in range(REPEATS):
        dealt = rule.deal(rows, FOLDS, generator)
        for fold in range(FOLDS):
            rest = rows[dealt != fold]
            train = np.setdiff1d(rest, rule.cut(rest, VALID, generator))
            found.append((train, rows[dealt == fold]))
    return found


def _outside(population: Population, rows: Rows, generator: Any) -> Rows:
    """Draw from the rows outside the benchmark; AUC does not mind the share of positives."""
    rest = generator.permutation(np.setdiff1d(np.arange(len(population.y)), rows))
    if population.kind == "regression":
        return rest[:OUTSIDE]
    positive = population.y[rest] == 1
    return np.concatenate([rest[positive][:POSITIVES], rest[~positive][:NEGATIVES]])


def _scored(metric: str, y: Floats, predictions: Floats) -> tuple[Floats, Floats]:
    """Return each fit's metric, higher for better (fits,), and what each row adds (fits, n)."""
    orient = 1.0 if METRICS[metric].higher_is_better else -1.0
    values = np.array([METRICS[metric].function(y, p, None) for p in predictions])
    moved = np.stack([contributions(metric, y, p) for p in predictions])
    return orient * values, orient * moved


def read_fits(store: Path) -> Iterator[dict[str, Any]]:
    """Yield what was stored of every benchmark."""
    for path in sorted(store.glob("*.npz")):
        with np.load(path) as arrays:
            yield dict(arrays)


def intervals(fits: Iterator[dict[str, Any]]) -> pd.DataFrame:
    """Return one row for each benchmark, pair, metric and interval."""
    found = []
    for stored in fits:
        protocol, data, learner, kind, number = stored["place"].tolist()
        for p, pair in enumerate(PAIRS):
            for m, metric in enumerate(METRICS_OF[kind]):
                truth, error = stored["truth"][p, m]
                for name, interval in _intervals(stored, pair, metric).items():
                    found.append({
                        "protocol": protocol, "data": data, "learner": learner, "metric": metric,
                        "pair": pair, "number": int(number), "interval": name, "truth": truth,
                        "error": error, "difference": interval.difference,
                        "half": (interval.high - interval.low) / 2,
                    })  # fmt: skip
    return pd.DataFrame(found)


def fold_differences(stored: dict[str, Any], pair: str, metric: str) -> list[FoldDifference]:
    """Return the difference of a pair in every fold, with what its test rows add."""
    a, b = PAIRS[pair]
    orient = 1.0 if METRICS[metric].higher_is_better else -1.0
    found = []
    for number, test in enumerate(stored["test"]):
        sign = orient * (stored["signs"][number] if pair == "swapped" else 1.0)
        y, groups = stored["y"][test], stored["groups"][test]
        ours, theirs = (stored["predicted"][i, number, test].astype(np.float64) for i in (a, b))
        score = METRICS[metric].function
        value = sign * (score(y, ours, None) - score(y, theirs, None))
        lost, lost_too = (deletions(metric, y, p, None, groups) for p in (ours, theirs))
        if np.isfinite(value):
            ratio = float(test.sum() / stored["train"][number])
            found.append(FoldDifference(float(value), sign * (lost - lost_too), groups, ratio))
    return found


def _intervals(stored: dict[str, Any], pair: str, metric: str) -> dict[str, Interval]:
    folds = fold_differences(stored, pair, metric)
    values = [fold.value for fold in folds]
    ratio = stored["test"].sum(axis=1) / stored["train"]
    return {
        "pooled": pooled_interval(folds),
        "corrected": corrected_interval(values, ratio),
        "corrected, one repeat": corrected_interval(values[:FOLDS], ratio[:FOLDS]),
    }


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Count, for each interval and estimand, how often the truth lies outside.

    ``errors`` counts intervals without the truth, ``found`` those without 0; ``width`` is the
    median.
    """
    cells = [column for column in COLUMNS if column != "estimand"]
    rows = []
    for key, cell in table.groupby(cells, sort=False):
        truths = {"data set": (cell["truth"].to_numpy(), cell["error"].to_numpy())}
        if cell["pair"].iloc[0] == "swapped":
            truths["methods"] = np.zeros(len(cell)), np.zeros(len(cell))
        elif len(cell) >= FEWEST:
            truths["methods"] = _of_the_others(cell["truth"].to_numpy())
        for estimand, (value, error) in truths.items():
            wide = np.hypot(cell["half"], stats.norm.ppf(0.975) * error)
            rows.append({
                **dict(zip(cells, key, strict=True)),
                "estimand": estimand,
                "n": len(cell),
                "errors": int((np.abs(cell["difference"] - value) > wide).sum()),
                "found": int((np.abs(cell["difference"]) > cell["half"]).sum()),
                "width": float(2 * cell["half"].median()),
            })  # fmt: skip
    return pd.DataFrame(rows)[[*COLUMNS, "n", "errors", "found", "width"]]


def _of_the_others(truth: Floats) -> tuple[Floats, Floats]:
    """Return the mean of all others for each of n values, and its standard error: (n,) each."""
    n = len(truth)
    mean = (truth.sum() - truth) / (n - 1)
    squares = (truth**2).sum() - truth**2 - (n - 1) * mean**2
    return mean, np.sqrt(squares / (n - 2) / (n - 1))
