"""Measure the distribution of a chapter's numbers over many seeds; refuse uninformative ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from chemdl.book import regression
from chemdl.book.regression import FEWEST_SEEDS, MOST_NUMBERS, NumberError
from chemdl.book.run import chapter_name, find_chapter, run_chapters, versions
from chemdl.evidence.result import Result, read_result
from chemdl.files import project_root, read_yaml, write_atomically

_PROFILE = "smoke"
_SEEDS = 20  # ten would do, but t with 9 degrees of freedom makes intervals a third wider
_SHUFFLED_SEEDS = 3


class CalibrationError(RuntimeError):
    """Numbers that cannot be calibrated; the message names each with the reason."""


def calibrate(chapter: str | Path, seeds: int = _SEEDS, folder: Path | None = None) -> Path:
    """Run a chapter in smoke over ``seeds`` seeds and write ``<folder>/<chapter>.json``.

    The numbers are those that ``<folder>/numbers.yml`` lists for the chapter; ``folder`` is
    ``tests/expected`` of the checkout. Seed 0 is left out, because the tests run it. The chapter
    also runs with shuffled training labels. Runs are kept, so that a calibration that was stopped
    can continue.

    Raises
    ------
    CalibrationError
        For fewer than ten seeds, or a number whose interval contains zero, the value of the trivial
        model or the value with shuffled labels. Nothing is written then.
    """
    path = find_chapter(chapter)
    name = chapter_name(path)
    root = project_root() or Path.cwd()
    folder = folder or root / "tests" / "expected"
    numbers = chosen_numbers(folder, name)
    if seeds < FEWEST_SEEDS:
        raise CalibrationError(f"{seeds} seeds are too few: at least {FEWEST_SEEDS} are needed")
    build = root / "_build" / "calibration" / name
    plain = [_run(path, seed, build / f"seed-{seed}") for seed in range(1, seeds + 1)]
    shuffled = [
        _run(path, seed, build / "shuffled" / f"seed-{seed}", shuffled=True)
        for seed in range(1, _SHUFFLED_SEEDS + 1)
    ]
    expected = distribution(name, numbers, plain, shuffled)
    expected["seeds"] = list(range(1, seeds + 1))
    target = folder / f"{name}.json"
    with write_atomically(target) as written:
        written.write_text(json.dumps(expected, indent=1) + "\n", encoding="utf-8")
    return target


def chosen_numbers(folder: Path, chapter: str) -> list[str]:
    """Return the numbers that ``numbers.yml`` lists for a chapter.

    Raises
    ------
    CalibrationError
        For a chapter with no numbers, or with more than ten.
    """
    listed = read_yaml(folder / "numbers.yml") or {}
    numbers = listed.get(chapter) or []
    if not 0 < len(numbers) <= MOST_NUMBERS:
        raise CalibrationError(
            f"numbers.yml lists {len(numbers)} numbers for chapter {chapter!r}; "
            f"1 to {MOST_NUMBERS} are needed, each as study/model/metric"
        )
    return list(numbers)


def distribution(
    chapter: str, numbers: Sequence[str], plain: Sequence[Path], shuffled: Sequence[Path]
) -> dict[str, Any]:
    """Return the content of an expected file from folders of cards.

    ``plain`` has one folder for each seed, ``shuffled`` one for each seed with shuffled training
    labels.

    Raises
    ------
    CalibrationError
        For numbers whose interval a model that learned nothing would also meet.
    """
    studies = sorted({regression.parse(number)[0] for number in numbers})
    read, permuted = (
        [{study: read_result(folder / f"{study}.json") for study in studies} for folder in folders]
        for folders in (plain, shuffled)
    )
    expected = {
        "schema_version": 1,
        "chapter": chapter,
        "profile": _PROFILE,
        "created": datetime.now(UTC).date().isoformat(),
        "versions": versions(),
        "family_error": regression.FAMILY_ERROR,
        "datasets": {study: _one_dataset(study, read) for study in studies},
        "numbers": {number: _distribution(number, read, permuted) for number in numbers},
    }
    if reasons := _refusals(expected):
        raise CalibrationError("these numbers cannot be held:\n" + "\n".join(reasons))
    return expected


def _run(path: Path, seed: int, output: Path, *, shuffled: bool = False) -> Path:
    run_chapters(
        [path],
        profile=_PROFILE,
        seed=seed,
        device="cpu",
        output=output,
        skip_unchanged=True,
        shuffled=shuffled,
    )
    return output / "cards"


def _one_dataset(study: str, read: Sequence[Mapping[str, Result]]) -> dict[str, Any]:
    """Return the dataset that all seeds of a study share."""
    found = {results[study].card.dataset.content_sha256 for results in read}
    if len(found) > 1:
        raise CalibrationError(
            f"study {study} ran on {len(found)} different data: its subset must not depend on "
            "the seed, else a card from other data could not be told"
        )
    dataset = read[0][study].card.dataset
    return dataset.model_dump(include={"name", "content_sha256", "n"})


def _distribution(
    number: str, read: Sequence[Mapping[str, Result]], permuted: Sequence[Mapping[str, Result]]
) -> dict[str, Any]:
    study, _, metric = regression.parse(number)
    values = [regression.value_of(results[study], number) for results in read]
    trivial = [regression.trivial_value(results[study], metric) for results in read]
    shuffled = [regression.value_of(results[study], number) for results in permuted]
    return {
        "values": values,
        "mean": float(np.mean(values)),
        "sd": float(np.std(values, ddof=1)),
        "n": len(values),
        "trivial": float(np.mean(trivial)),
        "shuffled": float(np.mean(shuffled)),
    }


def _refusals(expected: Mapping[str, Any]) -> list[str]:
    """Name the numbers that a broken model could keep, each with the reason."""
    reasons = []
    for name, stored in expected["numbers"].items():
        try:
            low, high = regression.interval(stored["values"], len(expected["numbers"]))
        except (NumberError, ValueError) as error:
            reasons.append(f"{name}: {error}")
            continue
        span = f"its interval [{low:.3f}, {high:.3f}] contains"
        if not stored["sd"] > 0:
            reasons.append(f"{name}: does not vary with the seed, so nothing was measured")
        for what in ("trivial", "shuffled"):
            # Written so that a NaN is refused.
            if not (stored[what] < low or stored[what] > high):
                reasons.append(f"{name}: {span} the {what} value {stored[what]:.3f}")
        if low <= 0 <= high:
            reasons.append(f"{name}: {span} zero")
    return reasons
