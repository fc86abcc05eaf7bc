"""The unit that is computed, stored and resumed: one (split, seed) of a model under a condition."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import inspect
import json
import math
import platform
import textwrap
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import joblib
import numpy as np
from sklearn.base import clone

from chemdl import metrics
from chemdl.datasets import Dataset
from chemdl.profiles import write_atomically
from chemdl.ragged import Ragged
from chemdl.threads import bounded

# Float32 keeps 24 bits of a probability; 12 rank as well, and compress to half the size.
_DROPPED_BITS = 11
# What a model's result depends on; the rooms above (study, cards, plots) do not change it.
_SOURCES = tuple(
    f"chemdl.{room}"
    for room in ("models", "training", "ragged", "features", "docking", "baselines")
)
_DAMAGED = (zipfile.BadZipFile, zlib.error)
_NOT_IDENTITY = {"seed", "device", "random_state", "n_jobs"}


@dataclass(frozen=True)
class Replica:
    """A computed replica: test predictions (m, tasks) and what a card says of it."""

    predictions: np.ndarray
    fit_seconds: float
    predict_seconds: float
    stack_size: int
    parameters: int | None
    environment: dict[str, Any]


class ReplicaStore:
    """Replicas as files, one each, named by their key; a damaged file counts as absent."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def get(self, key: str) -> Replica | None:
        """Return the stored replica, or ``None``."""
        path = self.folder / f"{key}.npz"
        if not path.is_file():
            return None
        try:
            with path.open("rb") as file, np.load(file) as stored:
                return Replica(stored["predictions"], **json.loads(str(stored["meta"])))
        except (OSError, EOFError, ValueError, KeyError, TypeError, *_DAMAGED):
            return None

    def put(self, key: str, replica: Replica) -> None:
        """Store a replica; a kill leaves either the whole file or none."""
        fields = asdict(replica)
        predictions = fields.pop("predictions")
        with write_atomically(self.folder / f"{key}.npz") as temporary:
            np.savez_compressed(temporary, predictions=predictions, meta=json.dumps(fields))


def replica_key(
    model: Any, *, content_sha256: str, rows: tuple[np.ndarray, ...], seed: int, condition: str
) -> str:
    """Name a replica by everything that its predictions depend on.

    That is the model's source without comments and docstrings, its hyper-parameters, the data,
    the split's rows, the seed and the condition.
    """
    text = json.dumps(
        {
            "source": source_hash(model.__class__),
            "parameters": identity(model),
            "data": content_sha256,
            "rows": [hashlib.sha256(np.asarray(r, np.int64).tobytes()).hexdigest() for r in rows],
            "seed": seed,
            "condition": condition,
        },
        sort_keys=True,
    )
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def identity(model: Any) -> dict[str, Any]:
    """Return what tells a model from another: its class and parameters, without seed or device."""
    own = {name: value for name, value in model.get_params(deep=False).items()}
    return {
        "class": type(model).__qualname__,
        **{k: _plain(v) for k, v in sorted(own.items()) if k not in _NOT_IDENTITY},
    }


def _plain(value: Any) -> Any:
    """Turn a parameter into what JSON can hold, the same in every process."""
    if hasattr(value, "get_params"):
        return identity(value)
    if callable(value):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)


@functools.cache
def source_hash(cls: type) -> str:
    """Hash the source that a model class rests on, blind to comments and docstrings.

    A class of this package counts with the modules it imports from models, training, features and
    baselines; a class from elsewhere (a notebook, say) with its own definition, and with what it
    inherits from this package.
    """
    inherited = {name for base in cls.__mro__ for name in _imported(base.__module__)}
    sources = [_module_source(name) for name in sorted(inherited)]
    if not cls.__module__.startswith("chemdl."):
        sources.insert(0, _own_source(cls))
    return hashlib.sha256("\n".join(map(normalised, sources)).encode()).hexdigest()


def normalised(source: str) -> str:
    """Return Python source with comments, docstrings and layout taken out."""
    tree = ast.parse(textwrap.dedent(source))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def _own_source(cls: type) -> str:
    """Return the text of a class from elsewhere, and of what it names in its own module."""
    texts: dict[str, str] = {}
    waiting: list[Any] = [cls]
    while waiting:
        found = waiting.pop()
        if found.__qualname__ in texts:
            continue
        methods = _methods(found)
        texts[found.__qualname__] = _text(found, methods)
        named = (m.__globals__.get(n) for m in methods for n in m.__code__.co_names)
        waiting += [
            x for x in named if getattr(x, "__module__", "") == cls.__module__ and _methods(x)
        ]
    return "\n".join(texts[name] for name in sorted(texts))


def _methods(found: Any) -> list[FunctionType]:
    """Return the functions that a class defines, or the function itself."""
    if isinstance(found, FunctionType):
        return [found]
    defined = vars(found).values() if isinstance(found, type) else ()
    return [method for method in defined if isinstance(method, FunctionType)]


def _text(found: Any, methods: list[FunctionType]) -> str:
    """Return the source of a class or function, or what stands in for one that has none."""
    try:
        return textwrap.dedent(inspect.getsource(found))
    except (OSError, TypeError):
        # A notebook's class has no file, but its methods know their cell; a console's know neither.
        if methods and not isinstance(found, FunctionType):
            return "\n".join(_text(method, []) for method in methods)
        if isinstance(found, FunctionType):
            return repr(_code(found.__code__))
        # scikit-learn's compiled classes and the like: their version stands in for the source.
        package = found.__module__.split(".")[0]
        return repr(f"{found.__module__}.{found.__qualname__} {_version(package)}")


def _code(code: CodeType) -> tuple[Any, ...]:
    """Return what a function does, without the lines where it stands."""
    constants = [_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return code.co_code.hex(), code.co_names, tuple(constants)


def _imported(module: str) -> set[str]:
    """Return ``module`` and what it imports of this package, directly or not."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or not name.startswith(_SOURCES):
            continue
        found.add(name)
        for node in ast.walk(ast.parse(_module_source(name))):
            if isinstance(node, ast.ImportFrom) and node.module:
                waiting.append(node.module)
            elif isinstance(node, ast.Import):
                waiting.extend(alias.name for alias in node.names)
    return found


@functools.cache
def _module_source(module: str) -> str:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ImportError(f"no source for {module}")
    return Path(spec.origin).read_text(encoding="utf-8")


def side_by_side(calls: list[tuple[Any, ...]]) -> Iterator[tuple[int, Replica]]:
    """Run the calls through joblib and yield results as they end.

    Threads are a hint only: inside ``joblib.parallel_config(backend="dask")`` or ``"ray"`` the
    replicas go to that cluster.
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

    That is the array itself, or, where rows have several sites, :class:`chemdl.ragged.Ragged`.
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

    On one thread, since others are fitted beside it, unless the model is one to be fitted alone.
    """
    # Bounded here, not by who spreads the calls: each thread and process has counts of its own.
    with bounded(None if getattr(model, "alone", False) else 1):
        begun = time.perf_counter()
        model.fit(data.inputs[fitted], targets)
        seconds = time.perf_counter() - begun
        return predicted(model, data, test, seconds, stack_size=1, device="cpu")


def predicted(
    model: Any, data: Dataset, rows: np.ndarray, fit_seconds: float, stack_size: int, device: str
) -> Replica:
    """Predict these rows with a fitted model and wrap what a card says of it."""
    begun = time.perf_counter()
    predictions = predict_matrix(model, data.inputs[rows], data.kind, len(data.sites(rows)))
    return Replica(
        predictions=storable(predictions, data.kind),
        fit_seconds=fit_seconds,
        predict_seconds=time.perf_counter() - begun,
        stack_size=stack_size,
        parameters=getattr(model, "n_parameters_", None),
        environment=environment(device),
    )


def net_replica(trained: Any, data: Dataset, rows: np.ndarray, device: str) -> Replica:
    """Predict these rows with a net that a stack trained."""
    return predicted(
        trained.estimator,
        data,
        rows,
        fit_seconds=trained.seconds,
        stack_size=trained.stack_size,
        device=device,
    )


def prepare(model: Any, data: Dataset) -> None:
    """Let a model compute once what all its replicas share."""
    if hasattr(model, "prepare"):
        model.prepare(data.inputs)


def on_device(model: Any, device: str) -> Any:
    """Return an unfitted copy that trains on this device, if the model has one."""
    copy = clone(model)
    return copy.set_params(device=device) if "device" in copy.get_params(deep=False) else copy


def seeded(model: Any, seed: int) -> Any:
    """Return an unfitted copy with this seed, under whichever name the model has it."""
    copy = clone(model)
    names = copy.get_params(deep=False)
    if "seed" in names:
        return copy.set_params(seed=seed)
    return copy.set_params(random_state=seed) if "random_state" in names else copy


def predict_matrix(
    model: Any, inputs: np.ndarray, kind: str, sites: int | None = None
) -> np.ndarray:
    """Return predictions as (n, tasks): probabilities of the positive class, or values.

    For inputs with several sites, ``sites`` in all, they are (sites, tasks).

    Raises
    ------
    ValueError
        if the model predicts NaN or infinity, or not one line for each site.
    """
    if kind == "classification":
        out = np.asarray(model.predict_proba(inputs))
        # One task has scikit-learn's two columns, several tasks one column each.
        if getattr(model, "n_tasks_", 1) == 1 and out.shape[1] == 2:
            out = out[:, 1:]
    else:
        out = np.asarray(model.predict(inputs))
    lines = len(inputs) if sites is None else sites
    if len(out) != lines:
        raise ValueError(f"{type(model).__name__} predicts {len(out)} lines for {lines} sites")
    out = out.reshape(lines, -1)
    if not np.isfinite(out).all():
        row, task = (int(axis[0]) for axis in np.nonzero(~np.isfinite(out)))
        where = f"input {inputs[row]!r}" if lines == len(inputs) else f"site {row}"
        raise ValueError(
            f"{type(model).__name__} predicts {out[row, task]} for {where}, task {task}; check "
            "its features and its training"
        )
    return out


def storable(predictions: np.ndarray, kind: str) -> np.ndarray:
    """Round probabilities to 12 significant bits before anything is scored.

    The bits are those of p or 1 - p, whichever is less: else sure predictions of a frequent class
    would tie. What is scored is then exactly what the predictions file holds.
    """
    out = np.ascontiguousarray(predictions, dtype=np.float32)
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
