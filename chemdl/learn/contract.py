"""What every model checks before it learns: its parameters, its rows and labels, its seeds.

Nets and classical models keep one contract. Parameters are checked by their annotations, so that a
closed set of words is closed where it is written: ``Literal["adam", "sgd"]``.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from numbers import Integral, Real
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from sklearn.base import clone

from chemdl.learn.ragged import Ragged
from chemdl.registry import check_choice
from chemdl.settings import spawn

Kind = Literal["classical", "trivial"]
# The least that a parameter of this name can be, in whichever model.
_LEAST = {
    **dict.fromkeys(("epochs", "batch_size", "patience", "networks"), 1),
    **dict.fromkeys(("learning_rate", "momentum", "weight_decay", "clip", "warmup", "decay"), 0),
}


def check_parameters(model: Any) -> None:
    """Refuse a parameter that its annotation does not allow, before anything is learned.

    Annotations that count are ``Literal``, ``bool``, ``int`` and ``float``, each with ``| None``
    where that is meant; NaN and infinity are no parameters. An estimator of scikit-learn inside
    checks its own.

    Raises
    ------
    ValueError
        Naming the model's class, the parameter and its value.
    """
    hints = _annotations(type(model))
    for name, value in model.get_params(deep=False).items():
        if name in hints:
            where = f"{name} of {type(model).__name__}"
            _check_value(where, value, hints[name])
            if name in _LEAST and value is not None and value < (least := _LEAST[name]):
                raise ValueError(f"{where} is {value!r}; give {least} or more")
        if hasattr(value, "_parameter_constraints"):
            value._validate_params()
        elif hasattr(value, "get_params") and not isinstance(value, type):
            check_parameters(value)


def _annotations(cls: type) -> Mapping[str, Any]:
    """Return the annotations of a class's fields and of the parameters that it is made from."""
    found: dict[str, Any] = {}
    # A dataclass's own __init__ repeats the fields, as text that is read in the wrong module.
    parts = (cls,) if is_dataclass(cls) else (cls.__init__, cls)  # type: ignore[misc]
    for annotated in parts:
        try:
            found |= get_type_hints(annotated)
        except NameError:
            # A name that another package's module imports for the type checker alone.
            continue
    return found


def _check_value(where: str, value: Any, hint: Any) -> None:
    if get_origin(hint) in (Union, types.UnionType):
        hints = [one for one in get_args(hint) if one is not type(None)]
        if value is None or len(hints) > 1:
            return
        hint = hints[0]
    if get_origin(hint) is Literal:
        check_choice(where, value, get_args(hint))
    elif hint is bool and not isinstance(value, bool | np.bool_):
        raise ValueError(f"{where} is {value!r}; give True or False")
    elif hint is int and (isinstance(value, bool) or not isinstance(value, Integral)):
        raise ValueError(f"{where} is {value!r}; give a whole number")
    elif hint is float and not (isinstance(value, Real) and math.isfinite(value)):
        raise ValueError(f"{where} is {value!r}; give a finite number")


def by_task(y: Any) -> np.ndarray:
    """Return targets (n,) or (n, tasks) as float64 (n, tasks).

    Raises
    ------
    ValueError
        For text, and for more than two axes.
    """
    try:
        targets = np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"targets must be numbers, NaN where not measured: {error}") from None
    if targets.ndim not in (1, 2):
        raise ValueError(f"targets have shape {targets.shape}; give (n,) or (n, tasks)")
    return targets[:, None] if targets.ndim == 1 else targets


def fitted_targets(X: Sequence[Any], y: Any, *, classes: bool = False) -> np.ndarray:
    """Return the targets of inputs as float64 (n, tasks), NaN where not measured.

    Parameters
    ----------
    X, y
        Inputs (n,), and targets (n,) or (n, tasks).
    classes
        Whether targets are classes: 0, 1 or NaN.

    Raises
    ------
    ValueError
        For another number of targets than inputs, infinity, and a class other than 0 and 1.
    """
    targets = by_task(y)
    check_lengths(X, targets)
    check_labels(targets, classes=classes)
    return targets


def check_lengths(X: Sequence[Any], targets: np.ndarray | Ragged) -> None:
    """Refuse inputs and targets of different numbers of rows, or no rows at all."""
    if len(X) != len(targets):
        raise ValueError(
            f"{len(X)} inputs and {len(targets)} rows of targets; drop the same rows from both"
        )
    if len(X) == 0:
        raise ValueError("no rows to learn from: inputs and targets are empty")


def check_sites(count: int, targets: Ragged) -> None:
    """Refuse targets of another number of sites than the inputs have."""
    if len(targets.values) != count:
        raise ValueError(
            f"the inputs have {count} sites, the targets {len(targets.values)}; give one line of "
            "targets for each"
        )


def check_labels(targets: np.ndarray, *, classes: bool) -> None:
    """Refuse infinity, and among classes all but 0, 1 and NaN (not measured)."""
    if classes:
        bad, allowed = ~np.isnan(targets) & (targets != 0) & (targets != 1), "classes are 0, 1"
    else:
        bad, allowed = np.isinf(targets), "targets are finite numbers"
    if bad.any():
        row, task = (int(axis[0]) for axis in np.nonzero(bad))
        raise ValueError(
            f"target {targets[row, task]} at row {row}, task {task} ({int(bad.sum())} such): "
            f"{allowed} or NaN (not measured)"
        )


def seeded(model: Any, seed: int) -> Any:
    """Return an unfitted copy in which every seed follows from ``seed``.

    The model's own ``seed`` or ``random_state`` becomes ``seed`` itself. Those of what it is made
    of, however deep, and of objects without parameters (a ``KFold``), are spawned from it by name.
    Parts that a model names in ``fixed_parts`` keep their seeds.
    """
    copy = clone(model)
    fixed, values = getattr(copy, "fixed_parts", ()), {}
    for name, value in copy.get_params(deep=True).items():
        if name.partition("__")[0] in fixed:
            continue
        if name.rpartition("__")[2] in ("seed", "random_state"):
            values[name] = spawn(seed, name) if "__" in name else seed
        elif not hasattr(value, "get_params") and "random_state" in getattr(value, "__dict__", ()):
            value.random_state = spawn(seed, name)
    return copy.set_params(**values)
