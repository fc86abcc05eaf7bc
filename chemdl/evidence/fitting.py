"""Fit one replica and predict its test rows, on threads or processes side by side."""

from __future__ import annotations

import functools
import platform
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib import metadata
from typing import Any

import joblib
import numpy as np
from sklearn.base import clone

from chemdl.data import Dataset
from chemdl.evidence import metrics
from chemdl.evidence.replicas import Replica
from chemdl.learn.precision import stored_dtype
from chemdl.learn.ragged import Ragged
from chemdl.threads import bounded

# Float32 keeps 24 bits of a probability; 12 rank as well, and compress to half the size.
_DROPPED_BITS = 11


def side_by_side(calls: list[tuple[Any, ...]]) -> Iterator[tuple[int, Replica]]:
    """Run the calls through joblib and yield results as they end.

    Threads are only the default: inside ``joblib.parallel_config(backend="dask")`` or ``"ray"`` the
    replicas run on that cluster.
    """
    backend, n_jobs = joblib.parallel.get_active_backend(prefer="threads")
    streams = getattr(backend, "supports_return_generator", False)
    workers = joblib.Parallel(
        n_jobs=n_jobs if n_jobs not in (None, 1) else joblib.cpu_count(),
        prefer="threads",
        return_as="generator_unordered" if streams else "list",
    )
    yield from workers(joblib.delayed(_numbered)(i, *call) for i, call in enumerate(calls))


def _numbered(i: int, *call: Any) -> tuple[int, Replica]:
    return i, fit_and_predict(*call)


def by_row(data: Dataset, targets: np.ndarray | None = None) -> np.ndarray | Ragged:
    """Return targets (by default the dataset's) so that they can be taken by row.

    That is the array itself; where rows have several sites, :class:`chemdl.learn.ragged.Ragged`.
    """
    values = data.targets if targets is None else targets
    return values if data.lengths is None else Ragged(values, data.offsets, "padded")


def score(metric: str, data: Dataset, rows: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Return the metric of each task (tasks,) for predictions of these rows (sites, tasks)."""
    sites = data.sites(rows)
    units = None if data.lengths is None else data.row_of_site()[sites]
    return metrics.score_tasks(
        metric, data.targets[sites], predictions, tasks=data.tasks, units=units
    )


def fit_and_predict(
    model: Any, data: Dataset, fitted: np.ndarray, targets: np.ndarray | Ragged, test: np.ndarray
) -> Replica:
    """Fit a model on the rows ``fitted`` and predict the rows ``test``.

    This uses one thread, since other models are fitted at the same time, unless the model must be
    fitted alone.
    """
    # Bounded here, not by who spreads the calls: each thread and process has counts of its own.
    with bounded(None if getattr(model, "alone", False) else 1):
        begun = time.perf_counter()
        model.fit(data.inputs[fitted], as_expected(model, targets))
        seconds = time.perf_counter() - begun
        return predicted(model, data, test, seconds, stack_size=1, device="cpu")


def as_expected(model: Any, targets: np.ndarray | Ragged) -> np.ndarray | Ragged:
    """Return targets (n, 1) as (n,) for an estimator of scikit-learn, which warns of the former."""
    if not isinstance(targets, np.ndarray) or targets.shape[1:] != (1,):
        return targets
    return targets[:, 0] if type(model).__module__.startswith("sklearn.") else targets


def predicted(
    model: Any, data: Dataset, rows: np.ndarray, fit_seconds: float, stack_size: int, device: str
) -> Replica:
    """Predict these rows with a fitted model and wrap what a card says about it."""
    begun = time.perf_counter()
    shape = len(data.sites(rows)), len(data.tasks)
    predictions = predict_matrix(model, data.inputs[rows], data.kind, shape)
    return Replica(
        predictions=storable(predictions, data.kind, stored_as(data)),
        fit_seconds=fit_seconds,
        predict_seconds=time.perf_counter() - begun,
        stack_size=stack_size,
        parameters=getattr(model, "n_parameters_", None),
        environment=environment(device),
    )


def net_replica(trained: Any, data: Dataset, rows: np.ndarray, device: str) -> Replica:
    """Predict these rows with a net that a stack trained."""
    net = trained.estimator
    replica = predicted(
        net,
        data,
        rows,
        fit_seconds=trained.seconds,
        stack_size=trained.stack_size,
        device=device,
    )
    best = max(member.best_epoch for member in net.members_)
    return replace(replica, best_epoch=best, epochs=net.epochs)


def prepare(model: Any, data: Dataset) -> None:
    """Let a model compute once what all its replicas share."""
    if hasattr(model, "prepare"):
        model.prepare(data.inputs)


def on_device(model: Any, device: str) -> Any:
    """Return an unfitted copy that trains on this device, if the model has one."""
    copy = clone(model)
    return copy.set_params(device=device) if "device" in copy.get_params(deep=False) else copy


def predict_matrix(model: Any, inputs: np.ndarray, kind: str, shape: tuple[int, int]) -> np.ndarray:
    """Return predictions of this shape, (n, tasks): probabilities of the positive class, or values.

    For inputs with several sites it is (sites, tasks).

    Raises
    ------
    ValueError
        If the model predicts NaN or infinity, or another number of lines or tasks.
    """
    lines, tasks = shape
    if kind == "classification":
        out = _positives(model, np.asarray(model.predict_proba(inputs)), tasks)
    else:
        out = np.asarray(model.predict(inputs))
    if out.shape not in ((lines, tasks), (lines,) * (tasks == 1)):
        raise ValueError(
            f"{type(model).__name__} predicts an array of shape {out.shape} for {lines} lines of "
            f"{tasks} tasks"
        )
    out = out.reshape(shape)
    if not np.isfinite(out).all():
        row, task = (int(axis[0]) for axis in np.nonzero(~np.isfinite(out)))
        where = f"input {inputs[row]!r}" if lines == len(inputs) else f"site {row}"
        raise ValueError(
            f"{type(model).__name__} predicts {out[row, task]} for {where}, task {task}; check "
            "its features and its training"
        )
    return out


def _positives(model: Any, out: np.ndarray, tasks: int) -> np.ndarray:
    """Return the columns of the positive classes: of one task scikit-learn gives both classes."""
    if tasks > 1 or out.ndim != 2:
        return out
    if np.array_equal(np.ravel(getattr(model, "classes_", [0, 1])), [0]):
        # Trained on negatives alone, scikit-learn's models say that a negative is certain.
        return 1.0 - out
    return out[:, 1:] if out.shape[1] == 2 else out


def stored_as(data: Dataset) -> type[np.floating]:
    """Return the type in which targets and predictions of a set are stored."""
    return stored_dtype(data.targets) if data.kind == "regression" else np.float32


def storable(
    predictions: np.ndarray, kind: str, dtype: type[np.floating] = np.float32
) -> np.ndarray:
    """Return predictions as they are stored and scored: values in ``dtype``, probabilities rounded.

    Probabilities are rounded to 12 significant bits.

    The smaller of p and 1 - p is rounded; otherwise confident predictions of a frequent class would
    become equal. The scores are then computed from exactly the numbers in the predictions file.
    """
    out = np.ascontiguousarray(predictions, dtype=dtype)
    if kind != "classification":
        return out
    high = out > 0.5
    bits = np.where(high, 1 - out, out).view(np.uint32)
    half = np.uint32(1 << (_DROPPED_BITS - 1))
    kept = ((bits + half) >> _DROPPED_BITS << _DROPPED_BITS).view(np.float32)
    return np.where(high, 1 - kept, kept)


def environment(device: str) -> dict[str, Any]:
    """Describe where a replica was computed, for its card."""
    import torch

    name = torch.cuda.get_device_name() if device == "cuda" else platform.machine() or "cpu"
    return {
        "python": platform.python_version(),
        **{k: _version(v) for k, v in _PACKAGES.items()},
        "device": f"{device} ({name})",
        "threads": torch.get_num_threads(),
    }


_PACKAGES = {"torch": "torch", "rdkit": "rdkit", "numpy": "numpy", "sklearn": "scikit-learn"}


@functools.cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"
