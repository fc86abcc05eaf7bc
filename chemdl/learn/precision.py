"""Which targets float32 can hold, and how others are centred and scaled first, in float64."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Squares of values in between neither vanish nor overflow in float32, which has 24 bits: values of
# ten thousand times their spread keep it to a thousandth.
_SMALLEST, _LARGEST, _FURTHEST = 1e-15, 1e15, 1e4


def fits_float32(targets: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say of each task of targets (lines, tasks) whether float32 keeps its differences: (tasks,).

    NaN is not measured. A constant is held if its size is.
    """
    size, spread, _ = _moments(targets)
    held = (size == 0) | ((size >= _SMALLEST) & (size <= _LARGEST))
    return held & ((spread == 0) | ((size <= _FURTHEST * spread) & (spread >= _SMALLEST)))


def check_held(targets: NDArray[np.float64], tasks: Sequence[str]) -> None:
    """Refuse targets (lines, tasks) whose squares or differences float64 cannot hold either.

    Raises
    ------
    ValueError
        Naming the task, the size of its values and their deviation.
    """
    size, spread, _ = _moments(targets)
    too_far = (spread > 0) & ((size > 1e100) | (spread < 1e-100) | (size > 1e11 * spread))
    for task in np.flatnonzero(too_far)[:1]:
        raise ValueError(
            f"targets of task {tasks[task]!r} reach {size[task]:.3g} and spread by "
            f"{spread[task]:.3g}, which cannot be held; give them in another unit, or subtract "
            "their mean"
        )


def stored_dtype(targets: NDArray[np.float64]) -> type[np.floating]:
    """Return the type in which values of these targets are stored, so that they can be scored."""
    return np.float32 if fits_float32(targets).all() else np.float64


def origin_and_unit(
    targets: NDArray[np.float64], moves: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the origin and unit (tasks,) in which float32 can hold targets (lines, tasks).

    They are 0 and 1 where targets fit as they are. Units are powers of two, so that they cost no
    digit. Unless the origin ``moves``, it is 0 and the unit is one for all tasks.

    Raises
    ------
    ValueError
        For a task whose values are so far from 0 that only another origin would do.
    """
    size, spread, mean = _moments(targets)
    origin, unit = np.zeros_like(size), np.ones_like(size)
    fits = fits_float32(targets)
    if fits.all():
        return origin, unit
    if moves:
        origin = np.where(fits, origin, mean)
        return origin, np.where(fits, unit, _power_of_two(np.where(spread > 0, spread, size)))
    far = (spread > 0) & (size > _FURTHEST * spread)
    if far.any():
        task = int(np.flatnonzero(far)[0])
        raise ValueError(
            f"targets of task {task} reach {size[task]:.3g} and spread by {spread[task]:.3g}, "
            "which float32 cannot hold; subtract a reference from them, such as their mean"
        )
    return origin, np.full_like(unit, _power_of_two(size.max()))


def _moments(targets: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Return largest size, deviation and mean of each task, 0 where nothing is measured."""
    moments = np.zeros((3, targets.shape[1]))
    for task, column in enumerate(targets.T):
        values = column[np.isfinite(column)]
        if len(values) == 0:
            continue
        size, mean = np.abs(values).max(), values.mean()
        # Scaled before it is squared: the square of 1e-200 is 0.
        scale = np.abs(values - mean).max() or 1.0
        moments[:, task] = size, scale * np.std((values - mean) / scale), mean
        if moments[1, task] < 1e-14 * size:
            moments[1, task] = 0.0  # what rounding leaves of a constant
    return tuple(moments)


def _power_of_two(value: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp2(np.round(np.log2(np.where(value > 0, value, 1.0))))
