"""Sentences with a measured result in them, written by code from the result itself."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chemdl.evidence import metrics
from chemdl.evidence.card import ComparisonRow
from chemdl.evidence.comparisons import (
    SEVERAL,
    Evidence,
    Place,
    compare,
    fold_differences,
    replica_means,
    task_differences,
    task_intervals,
)
from chemdl.evidence.ledger import number
from chemdl.evidence.metrics import METRICS
from chemdl.evidence.result import Result, find_results
from chemdl.evidence.verdicts import FEWEST_SEEDS
from chemdl.learn.models import every_name
from chemdl.registry import UnknownNameError
from chemdl.show.tables import metric_name, target_unit, with_unit

_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def finding(
    study: str | Result,
    a: str,
    b: str | None = None,
    *,
    metric: str | None = None,
    condition: str | Sequence[str] = "all",
    each: str = "",
    folder: Path | None = None,
) -> None:
    """Show what a study found: Markdown, a sentence or two that :func:`sentence` makes.

    Parameters
    ----------
    study
        A result, or the name of a study, whose largest result is looked up.
    a, b
        Two models to compare; without ``b``, the mean of ``a`` and its place among all models.
    metric
        One of the study's metrics; its first by default.
    condition
        Of the study, such as the size of the training side in a learning curve. Of several, which
        need two models, both means and who is better are said in one line.
    each
        What the study's tasks are, in the plural (``"targets"``), to have it said as well on how
        many of them ``a`` is ahead of ``b``.
    folder
        Folder with the cards of a run, which count beside the recorded ones.

    Raises
    ------
    UnknownNameError
        If the metric is none of the study's, or a name is that of no model.
    ValueError
        If the study's tasks have different units, so that a mean over them says nothing, or if
        there are several conditions and one model.
    """
    from IPython.display import Markdown, display

    if isinstance(study, str):
        found = find_results([study], folder).get(study)
        if found is None:
            display(Markdown(f"**{study}**: no result is on record yet."))
            return
        study = found
    display(Markdown(sentence(study, a, b, metric=metric, condition=condition, each=each)))


def sentence(
    result: Result,
    a: str,
    b: str | None = None,
    *,
    metric: str | None = None,
    condition: str | Sequence[str] = "all",
    each: str = "",
) -> str:
    """Return what :func:`finding` shows of a result, as Markdown.

    Of two models it says both means, who is better and by how much with the 95 % interval *on this
    data set*, or that this is not decided; whether another sample of this size would say the same;
    and what of the design is missing. From less than one whole repeat, or fewer than three seeds
    on a fixed test set, it gives the means and no interval.
    """
    name = _checked(result, metric)
    models = [a] if b is None else [a, b]
    if not isinstance(condition, str):
        if b is None:
            raise ValueError(f"{result.study}: several conditions need two models, not {a!r} alone")
        return f"**{result.study}**: {_along(result, a, b, name, condition)}"
    where = f"**{result.study}**" + ("" if condition == "all" else f", condition `{condition}`")
    if absent := _absent(result, models, condition):
        has = "has" if len(absent) == 1 else "have"
        return f"{where}: {_listed(absent)} {has} not run yet."
    if b is None:
        said = _of_one(result, a, name, condition)
    else:
        said = _of_two(result, a, b, name, condition)
        said += _counted(result, a, b, name, condition, each) if each else ""
    return f"{where}: {said} *{_shortfall(result, models, condition)}*"


def _checked(result: Result, metric: str | None) -> str:
    """Return the metric to speak of, if a mean over the study's tasks says something."""
    name = metric or result.metric
    if name not in result.metrics:
        raise UnknownNameError(f"metric of {result.study}", name, result.metrics)
    if "," in (unit := _unit(result, name)):
        raise ValueError(
            f"{result.study}: {metric_name(name)} has several units ({unit}), so a mean over tasks "
            "says nothing; show a table with a row for each task"
        )
    return name


def _absent(result: Result, models: Sequence[str], condition: str) -> list[str]:
    """Return which of the models have no replica."""
    absent = [model for model in models if not result.replicas(model, condition)]
    known = {*every_name(), *result.models}
    if stray := [model for model in absent if model not in known]:
        raise UnknownNameError("model", stray[0], known)
    return absent


def _along(result: Result, a: str, b: str, metric: str, conditions: Sequence[str]) -> str:
    """Say in one line how two models stand under each of several conditions."""
    ran = [one for one in conditions if not _absent(result, [a, b], one)]
    parts = [
        f"`{one}`: {_at(result, a, b, metric, one) if one in ran else 'not run yet'}"
        for one in conditions
    ]
    text = f"`{a}` against `{b}`, {with_unit(metric_name(metric), _unit(result, metric))}, with "
    text += "; ".join(parts)
    text += ". Without an interval nothing is decided." if "no interval" in text else "."
    lacks = dict.fromkeys(_shortfall(result, [a, b], one) for one in ran)
    return f"{text} *{' '.join(lacks)}*" if lacks else text


def _at(result: Result, a: str, b: str, metric: str, condition: str) -> str:
    """Return both means and who is better: ``0.41 against 0.31 (undecided)``."""
    pair = _pair(result, a, b, metric, condition)
    if pair is None:
        return "no fold in common yet"
    means, _, row = pair
    margin = metrics.margin(metric, means[1])
    if row is None:
        word = "no interval"
    elif row.low <= 0 <= row.high:
        word = "level" if _is_level(row, margin) else "undecided"
    else:
        word = f"`{row.a if row.low > 0 else row.b}` is better"
    return f"{number(means[0])} against {number(means[1])} ({word})"


def _pair(
    result: Result, a: str, b: str, metric: str, condition: str
) -> tuple[list[float], str, ComparisonRow | None] | None:
    """Return both means, why there is no interval, and the comparison if there is one.

    ``None`` if no replica is common to both models.
    """
    evidence = _evidence(result)
    places = evidence.common(a, b, condition=condition)
    shared = sorted(set.intersection(*(set(evidence.replicas(m, condition)) for m in (a, b))))
    if not shared:
        return None
    means = [_mean(result, m, metric, condition, places or shared) for m in (a, b)]
    missing = _missing(evidence, places, shared, result.card.protocol.repeats)
    return means, missing, None if missing else _compared(result, a, b, metric, condition)


def _of_two(result: Result, a: str, b: str, metric: str, condition: str) -> str:
    pair = _pair(result, a, b, metric, condition)
    if pair is None:
        return f"`{a}` and `{b}` have no fold in common yet."
    means, missing, row = pair
    if missing:
        values = _values(result, metric, means)
        return f"`{a}` against `{b}` has {missing}. So far {values}."
    if row is None:
        return f"no interval can be had for `{a}` and `{b}`; {_values(result, metric, means)}."
    margin = metrics.margin(metric, means[1])
    # Over several data sets the estimate is a median of pairwise means (Hodges and Lehmann's).
    noun = "a median difference" if result.card.unit == "task" else "a difference"
    if row.low <= 0 <= row.high:
        return _not_apart(row, f"{_values(result, metric, means)}, {noun}", margin)
    if row.high < 0:
        means.reverse()
    return _apart(row, f"{_values(result, metric, means)}, {noun}", margin)


def _apart(row: ComparisonRow, values: str, margin: float) -> str:
    sign = 1.0 if row.low > 0 else -1.0
    better, worse = (row.a, row.b) if sign > 0 else (row.b, row.a)
    low, high = sorted((sign * row.low, sign * row.high))
    text = (
        f"`{better}` is better than `{worse}`: {values} of "
        f"{number(sign * row.difference)} with the 95 % interval {number(low)} to {number(high)}."
    )
    if high < margin:
        text += f" All of it is within the margin of {number(margin)}, too small to matter."
    # Of targets left out in turn there is one interval, which stands for both questions.
    if row.methods is not None and (row.methods.low, row.methods.high) != (row.low, row.high):
        low, high = sorted((sign * row.methods.low, sign * row.methods.high))
        interval = f"({number(low)} to {number(high)})"
        text += (
            f" The sign holds for another sample of this size too {interval}."
            if low > 0
            else f" It holds for this sample only; for another of this size it is open {interval}."
        )
    return text


def _not_apart(row: ComparisonRow, values: str, margin: float) -> str:
    found = (
        f"{values} of {number(row.difference, signed=True)} with the 95 % interval "
        f"{number(row.low, signed=True)} to {number(row.high, signed=True)}"
    )
    if _is_level(row, margin):
        return (
            f"`{row.a}` and `{row.b}` are level: {found}, all of it within the margin of "
            f"{number(margin)}."
        )
    return (
        f"`{row.a}` against `{row.b}` is undecided: {found} (plus favours `{row.a}`). The interval "
        f"holds zero and reaches beyond the margin of {number(margin)}."
    )


def _is_level(row: ComparisonRow, margin: float) -> bool:
    return -margin < row.low and row.high < margin


def _counted(result: Result, a: str, b: str, metric: str, condition: str, each: str) -> str:
    """Say on how many tasks, or targets left out, ``a`` is ahead of ``b``."""
    evidence = _evidence(result)
    differences: list[float]
    if evidence.unit == "target":
        differences = list(fold_differences(evidence, a, b, metric, condition).values())
    else:
        differences = list(task_differences(evidence, a, b, metric, condition).values())
    if not differences:
        return ""
    ahead = sum(difference > 0 for difference in differences)
    text = f" One by one, `{a}` has the better mean on {ahead} of {len(differences)} {each}"
    places = evidence.common(a, b, condition=condition)
    if evidence.unit == "target" or len(places) < FEWEST_SEEDS:
        return f"{text}."
    intervals = task_intervals(evidence, a, b, metric, condition).values()
    above, below = sum(one.low > 0 for one in intervals), sum(one.high < 0 for one in intervals)
    return f"{text}; the interval of a single one is above zero on {above}, below it on {below}."


def _of_one(result: Result, model: str, metric: str, condition: str) -> str:
    evidence = _evidence(result)
    places = {name: evidence.common(name, condition=condition) for name in result.models}
    if not places[model]:
        ran = sorted(evidence.replicas(model, condition))
        value = _values(result, metric, [_mean(result, model, metric, condition, ran)])
        folds = f"{_count(len(ran))} of the {_count(evidence.folds)} folds of a repeat"
        return f"`{model}` has {value} on {folds}."
    means = {m: _mean(result, m, metric, condition, rows) for m, rows in places.items() if rows}
    means = {m: mean for m, mean in means.items() if np.isfinite(mean)}
    sign = 1.0 if METRICS[metric].higher_is_better else -1.0
    ahead = sum(sign * (mean - means[model]) > 0 for mean in means.values())
    place = f"number {ahead + 1} by the mean" if ahead else "the best mean"
    whole = " with a whole repeat" if evidence.folds > 1 else ""
    value = _values(result, metric, [means[model]])
    return f"`{model}` has {value}, {place} of the {len(means)} models{whole}."


def _missing(
    evidence: Evidence, places: Sequence[Place], shared: Sequence[Place], repeats: int
) -> str:
    """Say that there is no interval and why, or nothing."""
    undecided = "so nothing is decided:"
    if evidence.folds > 1 and not places:
        folds = f"{_count(len(shared))} of the {_count(evidence.folds)} folds of a repeat"
        return f"no interval yet, {undecided} {folds} ran for both"
    if evidence.folds > 1 or evidence.unit in SEVERAL or len(places) >= FEWEST_SEEDS:
        return ""
    takes = f"and it takes {_count(FEWEST_SEEDS)}"
    if repeats < FEWEST_SEEDS:
        return f"no interval, {undecided} the design has {_seeds(repeats)}, {takes}"
    has = "has" if len(places) == 1 else "have"
    return f"no interval yet, {undecided} {_seeds(len(places))} {has} run for both, {takes}"


def _shortfall(result: Result, models: Sequence[str], condition: str) -> str:
    """Say what of the design these models lack."""
    evidence, design = _evidence(result), result.card.protocol
    parts = []
    whole = len({repeat for repeat, _ in evidence.common(*models, condition=condition)})
    if not whole:
        parts.append("not one whole repeat yet")
    elif whole < design.repeats:
        kind = "seeds" if evidence.folds == 1 else "repeats"
        parts.append(f"{_count(whole)} of {_count(design.repeats)} {kind}")
    presets = {
        name
        for line in result.shortfall
        if line.startswith("presets")
        for name in line.partition(": ")[2].split(", ")
    }
    untuned = [name for name in dict.fromkeys(models) if name in presets]
    if untuned:
        everyone = len(untuned) == len(models)
        parts.append("presets, not tuned" if everyone else f"{_listed(untuned)} not tuned")
    if not parts:
        return f"Profile {result.profile}."
    return f"Of profile {result.profile}: {'; '.join(parts)}."


@functools.lru_cache(maxsize=16)
def _evidence(result: Result) -> Evidence:
    rows = [row.model_dump() for row in result.card.scores]
    return Evidence(rows, result.predictions, result.card.unit, result.card.protocol.folds)


@functools.lru_cache(maxsize=256)
def _compared(result: Result, a: str, b: str, metric: str, condition: str) -> ComparisonRow | None:
    row = compare(_evidence(result), a, b, metric, condition)
    return None if row is None else ComparisonRow.model_validate(row)


def _mean(
    result: Result, model: str, metric: str, condition: str, places: Sequence[Place]
) -> float:
    rows = _evidence(result).replicas(model, condition)
    values = replica_means([rows[place] for place in places], metric)
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _values(result: Result, metric: str, means: Sequence[float]) -> str:
    """Return a metric's values with its unit: ``RMSE 0.648 against 0.632 log₁₀ mol/L``."""
    unit = _unit(result, metric).replace("log10", "log₁₀")
    unit = f"in {unit} unit" if unit.startswith("the ") else unit  # "the assay's own"
    numbers = " against ".join(map(number, means))
    return f"{metric_name(metric)} {numbers} {unit}".strip()


def _unit(result: Result, metric: str) -> str:
    unit = METRICS[metric].unit
    return target_unit(result) if unit == "target" else unit


def _listed(models: Sequence[str]) -> str:
    return " and ".join(f"`{model}`" for model in models)


def _seeds(n: int) -> str:
    return f"{_count(n)} seed{'' if n == 1 else 's'}"


def _count(n: int) -> str:
    return _WORDS[n] if n < len(_WORDS) else str(n)
