"""What tells one model from another: its class, the class's revision, and its parameters.

Stored replicas are found again by this identity. A class of this package or of scikit-learn is
identified by its name and revision. A class, function or lambda from elsewhere (for example a
notebook) may be edited without notice, so its replicas are stored only if it defines a
``revision``.
"""

from __future__ import annotations

import functools
import hashlib
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

# These change no prediction.
_NOT_IDENTITY = {"device", "n_jobs"}
# A replica has its seed beside its model.
_SEEDS = {"seed", "random_state"}
_KNOWN_PACKAGES = ("builtins", "chemdl", "sklearn", "numpy", "scipy", "xgboost")


def identity(model: Any) -> dict[str, Any]:
    """Return a model's class, revision and parameters, without its seed and device, for JSON."""
    return _described(model, _NOT_IDENTITY | _SEEDS)


def _described(model: Any, left_out: Set[str]) -> dict[str, Any]:
    cls = type(model)
    described: dict[str, Any] = {"class": cls.__qualname__}
    if (revision := _revision(cls)) is not None:
        described["revision"] = revision
    parameters = model.get_params(deep=False)
    return described | {
        name: _plain(value) for name, value in sorted(parameters.items()) if name not in left_out
    }


def without_revision(model: Any) -> list[str]:
    """Name the parts of a model that could be edited without notice; empty if there are none.

    These are classes from other packages without their own revision, functions and lambdas from
    outside or with a state, and values that cannot be written as text, anywhere in the model.
    """
    return list(dict.fromkeys(_unknown_parts(model)))


def _unknown_parts(value: Any) -> Iterator[str]:
    if _is_estimator(value):
        cls = type(value)
        if _revision(cls) is None and (not _is_known(cls) or _copies_state(cls)):
            yield f"class {cls.__qualname__}"
    elif callable(value) and not isinstance(value, functools.partial):
        if not _is_known(value):
            yield f"function {_name(value)}"
    elif not _holds_others(value) and not _is_text(value):
        yield f"value of class {type(value).__qualname__}"
    for part in _parts(value):
        yield from _unknown_parts(part)


def _parts(value: Any) -> Iterable[Any]:
    """Return the values that a value is made of."""
    if _is_estimator(value):
        return value.get_params(deep=False).values()
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, Mapping):
        return value.values()
    return value if _holds_others(value) else ()


def _holds_others(value: Any) -> bool:
    return isinstance(value, functools.partial | Mapping | list | tuple | Set)


def _is_estimator(value: Any) -> bool:
    return hasattr(value, "get_params") and not isinstance(value, type)


def _name(value: Any) -> str:
    """Return the full name of a function or class."""
    return ".".join(_module_and_name(value))


def _module_and_name(value: Any) -> tuple[str, str]:
    if isinstance(value, np.ufunc):
        return "numpy", value.__name__
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return getattr(value, "__module__", None) or "", name


def _is_known(value: Any) -> bool:
    """Say whether a known package has this function or class under its name.

    This is not so for those made while the program runs: closures, methods of an object, and
    callable objects with a state.
    """
    module, name = _module_and_name(value)
    modules = ("numpy", "scipy.special") if isinstance(value, np.ufunc) else (module,)
    if module.partition(".")[0] not in _KNOWN_PACKAGES:
        return False
    return any(_found(sys.modules.get(place), name) is value for place in modules)


def _found(module: Any, name: str) -> Any:
    return functools.reduce(lambda part, step: getattr(part, step, None), name.split("."), module)


def _copies_state(cls: type) -> bool:
    """Say whether clones of a class keep more than its parameters, such as what was fitted."""
    own = getattr(cls, "__sklearn_clone__", None)
    return own is not None and own is not BaseEstimator.__sklearn_clone__


def _is_text(value: Any) -> bool:
    plain = bool | int | float | complex | str | bytes | np.generic | np.dtype | slice
    arrays = isinstance(value, np.ndarray) and value.dtype != object
    return value is None or arrays or isinstance(value, plain)


def _revision(cls: type) -> int | None:
    """Return the revision that a class defines itself; an inherited one does not count."""
    return vars(cls).get("revision")


def _plain(value: Any) -> Any:
    """Turn a parameter into what JSON can hold, the same in every process."""
    if _is_estimator(value):
        return _described(value, _NOT_IDENTITY)
    if isinstance(value, functools.partial):
        return {"partial": _plain(value.func), "args": _plain(value.args),
                "keywords": _plain(value.keywords)}  # fmt: skip
    if callable(value):
        return _name(value)
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, Set):
        return sorted((_plain(v) for v in value), key=repr)
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return f"array {value.dtype} {value.shape} {digest}"
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)
