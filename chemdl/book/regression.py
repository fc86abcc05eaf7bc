"""Compare a chapter's numbers with their distribution over many seeds, to detect changes.

A number is named ``study/model/metric``: the mean over the replicas of a card, each the mean over
its defined tasks. Its distribution over seeds, in profile smoke, is stored in
``tests/expected/<chapter>.json``; a run passes when each number lies inside the t prediction
interval for one further seed. The intervals of a chapter share a family-wise error of 0.1 %.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chemdl.evidence import metrics
from chemdl.evidence import statistics as stats
from chemdl.evidence.card import ScoreRow
from chemdl.evidence.metrics import METRICS
from chemdl.evidence.replicas import replica_seed
from chemdl.evidence.result import Predictions, Result, read_result
from chemdl.registry import UnknownNameError

FAMILY_ERROR = 0.001
MOST_NUMBERS = 10
FEWEST_SEEDS = 10


class RegressionError(RuntimeError):
    """A run whose numbers are not what was calibrated; the message is the whole report."""


class NumberError(ValueError):
    """A number that a card does not have, or a name that is not ``study/model/metric``."""


@dataclass(frozen=True)
class Outcome:
    """One thing that was checked: a number with its interval, or a card (without numbers)."""

    name: str
    passed: bool
    message: str
    value: float | None = None
    low: float | None = None
    high: float | None = None


def check_run(cards_dir: Path, expected: Path | Mapping[str, Any]) -> list[Outcome]:
    """Compare the cards of a smoke run with what was calibrated.

    ``expected`` is a file of ``tests/expected`` or its content. A card passes when it is there,
    valid, of the calibrated profile and data, and when its scores follow from its predictions; a
    number when it is finite and inside its interval.

    Raises
    ------
    RegressionError
        If any number or card fails; the message reports all outcomes.
    """
    stored = read_expected(expected) if isinstance(expected, Path) else expected
    outcomes: list[Outcome] = []
    loaded: dict[str, Result] = {}
    for study, dataset in stored["datasets"].items():
        path = Path(cards_dir) / f"{study}.json"
        try:
            loaded[study] = trusted_result(path, stored["profile"], dataset)
        except (FileNotFoundError, ValueError) as error:
            outcomes.append(Outcome(study, False, str(error)))
        else:
            outcomes.append(Outcome(study, True, "card, data and predictions agree"))
    for name in stored["numbers"]:
        study = parse(name)[0]
        if study in loaded:
            outcomes.append(check_number(name, loaded[study], stored))
        else:
            outcomes.append(Outcome(name, False, f"no card of {study} to take it from"))
    if not outcomes or not all(outcome.passed for outcome in outcomes):
        raise RegressionError(report(stored["chapter"], outcomes))
    return outcomes


def read_expected(path: Path) -> dict[str, Any]:
    """Read a file of ``tests/expected``."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def check_number(name: str, result: Result, expected: Mapping[str, Any]) -> Outcome:
    """Compare one number of a result with its interval; what is not finite never passes."""
    stored = expected["numbers"][name]
    low, high = interval(stored["values"], len(expected["numbers"]))
    try:
        value = value_of(result, name)
    except NumberError as error:
        return Outcome(name, False, str(error), None, low, high)
    # Written so that a NaN on any side fails.
    passed = bool(math.isfinite(value) and low <= value <= high)
    message = "inside" if passed else "outside"
    return Outcome(name, passed, message, value, low, high)


def trusted_result(path: Path, profile: str, dataset: Mapping[str, Any]) -> Result:
    """Read a result whose every score can be computed again from its predictions.

    Raises
    ------
    FileNotFoundError
        For a missing card or predictions file.
    ValueError
        For a card that has an invalid form, belongs to another profile or other data, or whose
        scores do not follow from its predictions.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is missing: the study wrote no card")
    result = read_result(path)
    if result.profile != profile:
        raise ValueError(f"{path.name} is of profile {result.profile}, not {profile}")
    own = result.card.dataset
    if own.content_sha256 != dataset["content_sha256"]:
        raise ValueError(
            f"{path.name} is from other data: {own.name} with content "
            f"{own.content_sha256[:12]}…, calibrated on {dataset['name']} with "
            f"{dataset['content_sha256'][:12]}…"
        )
    whole = result.card.protocol.repeats * result.card.protocol.folds
    for model in result.models:
        for condition in {row.condition for row in result.card.scores}:
            if (count := len(result.replicas(model, condition))) != whole:
                raise ValueError(
                    f"{path.name} has {count} replicas of {model} ({condition}), its protocol "
                    f"{whole}: folds are missing"
                )
    seed = result.card.protocol.seed or 0
    for row in result.card.scores:
        if row.seed != replica_seed(seed, result.study, row.model, row.repeat, row.fold):
            raise ValueError(
                f"{path.name}: {row.model} {row.repeat}/{row.fold} has seed {row.seed}, which does "
                f"not follow from the study's, {seed}"
            )
        _compare_with_predictions(path.name, row, result.predictions)
    return result


def value_of(result: Result, name: str) -> float:
    """Return a number of a result; NaN where a replica has no defined task.

    Raises
    ------
    NumberError
        For a model or metric that the result does not have; the message lists similar names.
    """
    _, model, metric = parse(name)
    if not result.replicas(model):
        models = {row.model for row in result.card.scores}
        raise NumberError(f"{result.study}: {UnknownNameError('model', model, models)}")
    if metric not in result.metrics:
        raise NumberError(f"{result.study}: {UnknownNameError('metric', metric, result.metrics)}")
    return float(result.by_task(model, metric).mean(axis=1).mean(skipna=False))


def trivial_value(result: Result, metric: str) -> float:
    """Return the metric of the study's trivial model.

    Raises
    ------
    NumberError
        If the study has no trivial model, so that there is nothing to compare a number with.
    """
    names = [model for model in result.models if result.kind(model) == "trivial"]
    if not names:
        raise NumberError(f"study {result.study} has no trivial model to compare with")
    return value_of(result, f"{result.study}/{names[0]}/{metric}")


def interval(values: Sequence[float], numbers: int) -> tuple[float, float]:
    """Return the t prediction interval of one further seed, at its share of the family's error.

    With k values of mean x̄ and deviation s: x̄ ± t(1 − α/2m; k − 1) · s · √(1 + 1/k), for m
    numbers that fail together in a share α = 0.1 % of all good runs at most (Bonferroni).
    """
    return stats.prediction_interval(values, new=1, confidence=1 - FAMILY_ERROR / numbers)


def parse(name: str) -> tuple[str, str, str]:
    """Split ``study/model/metric``."""
    parts = name.split("/")
    if len(parts) != 3 or not all(parts):
        raise NumberError(f"{name!r} is not of the form study/model/metric")
    METRICS[parts[2]]
    return parts[0], parts[1], parts[2]


def report(chapter: str, outcomes: Iterable[Outcome]) -> str:
    """Return what was checked, one line each, failures first."""
    ordered = sorted(outcomes, key=lambda outcome: outcome.passed)
    failed = sum(not outcome.passed for outcome in ordered)
    lines = [f"chapter {chapter!r}: {failed} of {len(ordered)} checks failed"]
    for outcome in ordered:
        text = f"{'ok  ' if outcome.passed else 'FAIL'}  {outcome.name}: {outcome.message}"
        if outcome.value is not None:
            text += f" ({outcome.value:.4f} in [{outcome.low:.4f}, {outcome.high:.4f}])"
        lines.append(text)
    return "\n".join(lines)


def _compare_with_predictions(file: str, row: ScoreRow, predictions: Predictions) -> None:
    place = f"{row.model}/{row.condition}/{row.repeat}/{row.fold}"
    rows = predictions.arrays.get(f"test/{row.repeat}/{row.fold}")
    predicted = predictions.arrays.get(place)
    if rows is None or predicted is None:
        raise ValueError(f"{file}: no predictions of {place}")
    for metric, by_task in row.values.items():
        # Predictions that are not finite are refused by score_tasks, with row and column.
        units = None if predictions.units is None else predictions.units[rows]
        computed = metrics.score_tasks(
            metric, predictions.targets[rows], predicted, tasks=list(by_task), units=units
        )
        said = np.array([np.nan if v is None else v for v in by_task.values()], float)
        if not np.allclose(computed, said, rtol=1e-4, atol=1e-6, equal_nan=True):
            raise ValueError(
                f"{file}: {metric} of {place} is {_short(said)}, its predictions give "
                f"{_short(computed)}"
            )


def _short(values: np.ndarray) -> str:
    shown = ", ".join(f"{value:.4f}" for value in values[:4])
    return f"{shown}, …" if len(values) > 4 else shown
