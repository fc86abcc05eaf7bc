"""A study that ran: its card, scores, predictions, comparisons and verdicts as one object."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from chemdl.evidence.card import (
    Card,
    CardError,
    ComparisonRow,
    ModelRow,
    ScoreRow,
    VerdictRow,
    parse_card,
)
from chemdl.files import data_dir, write_atomically
from chemdl.registry import UnknownNameError
from chemdl.settings import PROFILES

SCORE_COLUMNS = (
    "model", "condition", "repeat", "fold", "seed", "n_train", "n_test", "metric", "task", "value",
    "fit_seconds", "predict_seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Predictions:
    """Test predictions of a study, from which all figures of errors are drawn.

    Attributes
    ----------
    targets
        (n, tasks), NaN = not measured; (sites, tasks) where a row has several.
    arrays
        ``test/<repeat>/<fold>`` → lines of ``targets`` in test (m,), and
        ``<model>/<condition>/<repeat>/<fold>`` → predictions (m, tasks).
    units
        The dataset's row that each line of ``targets`` belongs to, where a row has several.
    clusters
        Number of the cluster (scaffold, family, formula) of each line of ``targets``, where the
        protocol keeps clusters together.
    """

    targets: np.ndarray
    arrays: Mapping[str, np.ndarray]
    units: np.ndarray | None = None
    clusters: np.ndarray | None = None

    def pooled(self, model: str, condition: str = "all", repeat: int = 0) -> np.ndarray:
        """Join a repeat's folds: (n, tasks), NaN for rows that were in no test side.

        Raises
        ------
        UnknownNameError
            If the model has no predictions under this condition and repeat.
        """
        out = np.full(self.targets.shape, np.nan)
        parts = [k for k in self.arrays if k.startswith(f"{model}/{condition}/{repeat}/")]
        if not parts:
            models = {k.split("/")[0] for k in self.arrays if not k.startswith("test/")}
            raise UnknownNameError("model with predictions", model, models)
        for key in parts:
            out[self.arrays[f"test/{repeat}/{key.rsplit('/', 1)[1]}"]] = self.arrays[key]
        return out


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """A study that ran.

    Attributes
    ----------
    card
        Content of the card.
    path
        File of the card. The file of predictions is in the same folder and is read when it is first
        needed.
    """

    card: Card
    path: Path

    def __repr__(self) -> str:
        """Say in one line what ran; the last line of a notebook's cell shows it."""
        size = f"{len(self.card.scores)} replicas of {len(self.models)} models"
        return f"<Result of {self.study}, profile {self.profile}: {size}>"

    @property
    def study(self) -> str:
        """The study's name."""
        return self.card.study

    @property
    def chapter(self) -> str:
        """The chapter that the study belongs to."""
        return self.card.chapter

    @property
    def profile(self) -> str:
        """Profile of the run, which sets how much work it did (smoke, quick or full)."""
        return self.card.profile

    @property
    def models(self) -> tuple[str, ...]:
        """The names of its models, in the card's order."""
        return tuple(model.name for model in self.card.models)

    @property
    def metric(self) -> str:
        """The study's first metric, which tuning and summaries use."""
        return self.card.metrics[0].name

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of all its metrics."""
        return tuple(metric.name for metric in self.card.metrics)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the tasks that were scored."""
        return tuple(self.card.scores[0].values[self.metric])

    @property
    def comparisons(self) -> list[ComparisonRow]:
        """Every comparison of two models."""
        return self.card.comparisons

    @property
    def verdicts(self) -> list[VerdictRow]:
        """What the study says about its claims."""
        return self.card.verdicts

    @property
    def shortfall(self) -> list[str]:
        """What the run leaves out of its profile, a line each."""
        return self.card.shortfall

    @property
    def leaves_targets_out(self) -> bool:
        """Whether each fold leaves a target out; folds are then data sets of their own."""
        return self.card.protocol.groups is not None

    def model(self, name: str) -> ModelRow:
        """Return what the card says about a model; unknown names raise an error."""
        for row in self.card.models:
            if row.name == name:
                return row
        raise UnknownNameError(f"model of {self.study}", name, self.models)

    def kind(self, model: str) -> str:
        """Return ``deep``, ``classical`` or ``trivial``."""
        return self.model(model).kind

    def first_of(self, *names: str) -> str:
        """Return the first of these models that the study has; an error if it has none."""
        for name in names:
            if name in self.models:
                return name
        raise UnknownNameError(f"model of {self.study}", names[0], self.models)

    @functools.cached_property
    def scores(self) -> pd.DataFrame:
        """One row for each replica, metric and task, with the columns of ``SCORE_COLUMNS``.

        ``value`` is NaN where the metric is undefined.
        """
        rows = [
            (r.model, r.condition, r.repeat, r.fold, r.seed, r.n_train, r.n_test, metric, task,
             np.nan if value is None else value, r.fit_seconds, r.predict_seconds)
            for r in self.card.scores
            for metric, by_task in r.values.items()
            for task, value in by_task.items()
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=list(SCORE_COLUMNS))

    @functools.cached_property
    def predictions(self) -> Predictions:
        """The test predictions, checked by their hash.

        Raises
        ------
        CardError
            If the file is not the one that the card was written with.
        """
        if self.card.predictions.file.endswith("/study.npz"):
            return self._of_the_store()
        file = self.path.parent / self.card.predictions.file
        digest = _sha256(file)
        if digest != self.card.predictions.sha256:
            raise CardError(
                f"{file.name} has sha256 {digest[:12]}…, its card says "
                f"{self.card.predictions.sha256[:12]}…; run the chapter again"
            )
        with np.load(file) as stored:
            arrays = {name: stored[name] for name in stored.files}
        units, clusters = arrays.pop("units", None), arrays.pop("clusters", None)
        return Predictions(arrays.pop("targets"), arrays, units, clusters)

    def _of_the_store(self) -> Predictions:
        from chemdl.evidence.deriving import stored_predictions
        from chemdl.evidence.store import ResultStore

        store = ResultStore(self.path.parent.parent / "replicas")
        files = self.card.predictions.files
        digest = store.sha256(self.study, files)
        if digest != self.card.predictions.sha256:
            raise CardError(
                f"the replicas of {self.study} have sha256 {digest[:12]}…, its card says "
                f"{self.card.predictions.sha256[:12]}…; derive it again: python -m chemdl record "
                "--minutes 0"
            )
        return stored_predictions(self.study, store, files)

    def replicas(self, model: str, condition: str = "all") -> dict[tuple[int, int], ScoreRow]:
        """Return a model's replicas by (repeat, fold)."""
        return {
            (row.repeat, row.fold): row
            for row in self.card.scores
            if row.model == model and row.condition == condition
        }

    def by_task(
        self, model: str, metric: str | None = None, condition: str = "all"
    ) -> pd.DataFrame:
        """Return a model's scores, one row for each (repeat, fold) and one column for each task.

        NaN where the metric is undefined; no row for a model that did not run so.
        """
        name = metric or self.metric
        replicas = self.replicas(model, condition)
        rows = {place: row.values[name] for place, row in sorted(replicas.items())}
        index = pd.MultiIndex.from_tuples(list(rows), names=["repeat", "fold"]) if rows else None
        return pd.DataFrame(list(rows.values()), index=index, dtype=float)

    def replica_means(
        self, model: str, metric: str | None = None, condition: str = "all"
    ) -> np.ndarray:
        """Return each replica's mean over its defined tasks; replicas without one are left out.

        Where folds leave targets out, each target's mean over its repeats.
        """
        means = self.by_task(model, metric, condition).mean(axis=1).dropna()
        if self.leaves_targets_out and len(means):
            means = means.groupby(level="fold").mean()
        return means.to_numpy(dtype=float)


def write_result(content: Mapping[str, Any], predictions: Predictions, folder: Path) -> Result:
    """Write ``<study>.npz`` and then ``<study>.json`` into ``folder``.

    The card contains the hash of the predictions and is written last. A run that is killed between
    the two leaves either the old pair or a pair that is refused when it is read.

    Raises
    ------
    CardError
        If the form of the card is invalid.
    """
    folder = Path(folder)
    file = f"{content['study']}.npz"
    path = folder / f"{content['study']}.json"
    with write_atomically(folder / file) as temporary:
        arrays: dict[str, Any] = {"targets": predictions.targets, **predictions.arrays}
        for name in ("units", "clusters"):
            if (known := getattr(predictions, name)) is not None:
                arrays[name] = known
        np.savez_compressed(temporary, **arrays)
        complete = {**content, "predictions": {"file": file, "sha256": _sha256(temporary)}}
        parse_card(complete)
    return write_card(complete, path)


def write_card(content: Mapping[str, Any], path: Path) -> Result:
    """Write a whole card's content, checked; the predictions that it names lie there already."""
    card = parse_card(content)
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", "utf-8")
    return Result(card, path)


def read_result(path: Path) -> Result:
    """Read a card file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CardError
        If the file is not JSON or its form is invalid.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CardError(f"{path.name} is not JSON ({error}); run its chapter again") from error
    return Result(parse_card(content, path.name), path)


def find_results(
    studies: Sequence[str] | None = None, folder: Path | None = None
) -> dict[str, Result]:
    """Return the largest result of each study: recorded, or of the run in ``folder``.

    Where both are of one profile, the run's own counts. Studies without any are left out.

    Parameters
    ----------
    studies
        Names of the studies; by default all that have a result.
    folder
        Folder with the cards of a run.
    """
    paths = [(data_dir() / "results" / profile) for profile in PROFILES]
    files = [file for place in paths for file in sorted(place.glob("[!.]*.json"))]
    files += sorted(Path(folder).glob("[!.]*.json")) if folder else []
    wanted = None if studies is None else set(studies)
    largest: dict[str, Result] = {}
    for file in files:
        if wanted is not None and file.stem not in wanted:
            continue
        result = _read_once(file, _version(file))
        known = largest.get(result.study)
        if known is None or _size(result) >= _size(known):
            largest[result.study] = result
    order = sorted(largest) if studies is None else [name for name in studies if name in largest]
    return {name: largest[name] for name in order}


def find_result(study: str, folder: Path | None = None) -> Result:
    """Return a study's largest result; see :func:`find_results`.

    Raises
    ------
    FileNotFoundError
        If there is no result of the study, neither from this run nor recorded.
    """
    results = find_results([study], folder)
    if study not in results:
        raise FileNotFoundError(f"study {study} neither ran nor was recorded; run its chapter")
    return results[study]


def _version(path: Path) -> tuple[int, int, int]:
    # Times alone are coarse: two writes may fall into one tick.
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


@functools.lru_cache(maxsize=256)
def _read_once(path: Path, _version: tuple[int, int, int]) -> Result:
    return read_result(path)


def _size(result: Result) -> int:
    return PROFILES.index(result.profile)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
