"""Tuning: the same number of trials for every family of models, by one search and one rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chemdl.data import Dataset
from chemdl.evidence.fitting import (
    by_row,
    environment,
    fit_and_predict,
    net_replica,
    on_device,
    prepare,
    score,
)
from chemdl.evidence.metrics import METRICS
from chemdl.evidence.replicas import Replica, ReplicaStore, replica_key
from chemdl.evidence.splits import Split
from chemdl.learn.contract import seeded
from chemdl.learn.training import DivergedError
from chemdl.progress import Progress
from chemdl.settings import Settings, spawn
from chemdl.threads import bounded

FULL_TRIALS = 20
# Trials are drawn by chance before the search looks at their scores, and before any is stopped.
_DRAWN_FIRST, _NEVER_STOPPED = 10, 4
# Each trial is first fitted on a third of the train rows, unless that leaves fewer than this.
_FEWEST_ROWS = 100


@dataclass(frozen=True)
class Search:
    """Search for the best configuration on one split's train and valid rows, never on a test row.

    The preset is the first trial, so that tuning starts from the published recipe. Where the choice
    of the input (``representation``) belongs to the search, the preset is tried with each. The
    others are Optuna's (Akiba et al., KDD 2019): ten drawn by chance from the model's
    ``search_space``, then by the tree-structured Parzen estimator (Bergstra et al., NIPS 2011).
    Each of these is first fitted on a third of the train rows and stopped there if it scores below
    the median of those before it: the same rung for nets and for all others. What was fitted is
    stored like a replica, so that a search that was stopped goes on where it was.
    """

    study: str
    dataset: Dataset
    split: Split
    metric: str
    trials: int
    settings: Settings
    store: ReplicaStore
    between: Callable[[], None] = lambda: None

    @bounded()
    def best(self, name: str, preset: Any, *, run: bool) -> Any | None:
        """Return the best configuration of a model, or ``None`` if the preset is kept.

        With ``run``, missing trials are computed. Without it (another machine computes this part)
        only stored trials are used, and the preset is kept until all trials are stored.
        """
        space = getattr(preset, "search_space", {})
        if not self.trials or not space:
            return None
        trial = _Trials(self, name, preset, run)
        try:
            with Progress(f"{self.study}: tuning {name}", self.trials, 0) as progress:
                scores, models = [], []
                for chosen in self._first(preset, space):
                    scores.append(trial.score(chosen, whole=True))
                    models.append(trial.model(chosen))
                    progress.advance(name)
                study = self._optuna(name)
                for _ in range(self.trials - len(scores)):
                    asked = study.ask()
                    chosen = {
                        key: values[asked.suggest_int(key, 0, len(values) - 1)]
                        if len(values) > 1
                        else values[0]
                        for key, values in space.items()
                    }
                    scores.append(self._tried(study, asked, trial, chosen))
                    models.append(trial.model(chosen))
                    progress.advance(name)
        except _NotStoredError:
            return None
        # Where the metric is undefined on the valid rows there is nothing to choose by.
        if np.isnan(scores).all():
            return None
        return models[int(np.nanargmax(scores))]

    def _first(self, preset: Any, space: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the preset, as it is and with each other input that may be chosen."""
        inputs = [v for v in space.get("representation", ()) if v != preset.representation]
        return [{}, *({"representation": value} for value in inputs)][: self.trials]

    def _optuna(self, name: str) -> Any:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        seed = spawn(self.settings.seed, "tuning", name)
        return optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(n_startup_trials=_DRAWN_FIRST, seed=seed),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_NEVER_STOPPED),
        )

    def _tried(self, study: Any, asked: Any, trial: _Trials, chosen: Mapping[str, Any]) -> float:
        """Return the trial's score, NaN where it was stopped at the rung."""
        from optuna.trial import TrialState

        if len(self.rung()) >= _FEWEST_ROWS:
            asked.report(trial.score(chosen, whole=False), 1)
            if asked.should_prune():
                study.tell(asked, state=TrialState.PRUNED)
                return float("nan")
        value = trial.score(chosen, whole=True)
        study.tell(asked, None if np.isnan(value) else value,
                   state=TrialState.FAIL if np.isnan(value) else None)  # fmt: skip
        return value

    def rung(self) -> np.ndarray:
        """Return the third of the train rows that every trial is fitted on first."""
        train = self.split.train
        rng = np.random.default_rng(spawn(self.settings.seed, self.study, "rung"))
        return np.sort(rng.choice(train, max(1, len(train) // 3), replace=False))


class _NotStoredError(Exception):
    """A trial that is not stored, and was not to be computed."""


@dataclass(frozen=True)
class _Trials:
    """The trials of one model."""

    search: Search
    name: str
    preset: Any
    run: bool

    def model(self, chosen: Mapping[str, Any]) -> Any:
        """Return the unfitted configuration."""
        return on_device(self.preset, self.search.settings.device).set_params(**chosen)

    def score(self, chosen: Mapping[str, Any], *, whole: bool) -> float:
        """Return the metric's mean over tasks on the valid rows; higher is better.

        One that diverged scores −∞, NaN where the metric is undefined.
        """
        search, model = self.search, self.model(chosen)
        if getattr(model, "refit", False):
            # Trials are scored on the valid rows, which a net that is trained anew has learned.
            model.set_params(refit=False)
        train = search.split.train if whole else search.rung()
        key = self._key(model, train)
        replica = search.store.get(key)
        if replica is None:
            if not self.run:
                raise _NotStoredError
            search.between()
            replica = self._fitted(seeded(model, self._seed), train, diverges=bool(chosen))
            if key is not None:
                search.store.put(key, replica)
        if np.isnan(replica.predictions).all():
            return -np.inf
        metric = METRICS[search.metric]
        scores = score(metric.name, search.dataset, search.split.valid, replica.predictions)
        mean = float(np.nanmean(scores)) if np.isfinite(scores).any() else float("nan")
        return mean if metric.higher_is_better else -mean

    @property
    def _seed(self) -> int:
        return spawn(self.search.settings.seed, self.search.study, self.name, "tuning")

    def _key(self, model: Any, train: np.ndarray) -> str | None:
        split = self.search.split
        return replica_key(
            model,
            content_sha256=self.search.dataset.card["content_sha256"],
            rows=(train, split.valid, split.valid),
            seed=self._seed,
            condition="tuning",
        )

    def _fitted(self, model: Any, train: np.ndarray, *, diverges: bool) -> Replica:
        """Fit a configuration; a drawn one that diverges is a trial like others, the worst."""
        data, valid = self.search.dataset, self.search.split.valid
        if not getattr(model, "stackable", False):
            prepare(model, data)
            return fit_and_predict(model, data, train, by_row(data)[train], valid)
        device = self.search.settings.device
        try:
            # A net for each task ends in several stacks; the last of them brings the replica.
            stacks = model.fit_replicas(data.inputs, by_row(data), [(train, valid)], [model.seed])
            (trained,) = (one for stack in stacks for one in stack)
        except DivergedError:
            if not diverges:
                raise
            nothing = np.full((len(data.sites(valid)), len(data.tasks)), np.nan)
            return Replica(nothing, 0.0, 0.0, 1, None, environment(device))
        return net_replica(trained, data, valid, device)
