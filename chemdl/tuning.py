"""Random search: the same number of configurations for every family of models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chemdl import metrics
from chemdl.datasets import Dataset
from chemdl.profiles import Settings, spawn
from chemdl.progress import Progress
from chemdl.replicas import (
    Replica,
    ReplicaStore,
    by_row,
    environment,
    net_replica,
    on_device,
    prepare,
    replica_key,
    score,
    seeded,
    side_by_side,
)
from chemdl.splits import Split
from chemdl.threads import bounded
from chemdl.training import DivergedError

FULL_TRIALS = 20


@dataclass(frozen=True)
class RandomSearch:
    """Random search on one split's train and valid rows; it never sees a test row.

    The preset is the first configuration, so tuning starts from the published recipe; the others
    are drawn from the model's ``search_space`` by seed. Each trial is stored like a replica.
    """

    study: str
    dataset: Dataset
    split: Split
    metric: str
    trials: int
    settings: Settings
    store: ReplicaStore

    @bounded()
    def best(self, name: str, preset: Any, *, run: bool) -> Any | None:
        """Return the best configuration of a model, or ``None`` where the preset stands.

        With ``run`` missing trials are computed. Without it (a part that another machine computes)
        stored trials are taken, and the preset stands until all are there.
        """
        space = getattr(preset, "search_space", {})
        if not self.trials or not space:
            return None
        rng = np.random.default_rng(spawn(self.settings.seed, "tuning", name))
        drawn = [{}, *(_draw(space, rng) for _ in range(self.trials - 1))]
        models = [on_device(preset, self.settings.device).set_params(**d) for d in drawn]
        keys = [self._key(model, name) for model in models]
        if run:
            self._run(name, dict(zip(keys, models, strict=True)))
        stored = [self.store.get(key) for key in keys]
        scores = [self._score(trial.predictions) for trial in stored if trial is not None]
        # Where the metric is undefined on the valid rows there is nothing to choose by.
        if len(scores) < len(models) or np.isnan(scores).all():
            return None
        return models[int(np.nanargmax(scores))]

    def _seed(self, name: str) -> int:
        return spawn(self.settings.seed, self.study, name, "tuning")

    def _key(self, model: Any, name: str) -> str:
        return replica_key(
            model,
            content_sha256=self.dataset.card["content_sha256"],
            rows=(self.split.train, self.split.valid, self.split.valid),
            seed=self._seed(name),
            condition="tuning",
        )

    def _run(self, name: str, models: Mapping[str, Any]) -> None:
        """Fit the configurations that are not stored yet."""
        split, data, seed = self.split, self.dataset, self._seed(name)
        missing = {k: seeded(m, seed) for k, m in models.items() if self.store.get(k) is None}
        done = len(models) - len(missing)
        with Progress(f"{self.study}: tuning {name}", len(models), done) as progress:
            if getattr(next(iter(models.values())), "stackable", False):
                for key, model in missing.items():
                    self.store.put(key, self._trial(model, seed))
                    progress.advance(name)
                return
            prepare(next(iter(models.values())), data)
            fit = (data, split.train, by_row(data)[split.train], split.valid)
            keys = list(missing)
            for i, replica in side_by_side([(missing[key], *fit) for key in keys]):
                self.store.put(keys[i], replica)
                progress.advance(name)

    def _trial(self, net: Any, seed: int) -> Replica:
        """Train one configuration of a net; one that diverges is a trial like others, the worst."""
        split, data = self.split, self.dataset
        rows = [(split.train, split.valid)]
        try:
            ((trained,),) = net.fit_replicas(data.inputs, by_row(data), rows, [seed])
        except DivergedError:
            nothing = np.full((len(data.sites(split.valid)), len(data.tasks)), np.nan)
            return Replica(nothing, 0.0, 0.0, 1, None, environment(self.settings.device))
        return net_replica(trained, data, split.valid, self.settings.device)

    def _score(self, predictions: np.ndarray) -> float:
        """Return the metric's mean over tasks on the valid rows, higher is better."""
        if np.isnan(predictions).all():
            return -np.inf
        metric = metrics.get(self.metric)
        scores = score(metric.name, self.dataset, self.split.valid, predictions)
        mean = float(np.nanmean(scores)) if np.isfinite(scores).any() else float("nan")
        return mean if metric.higher_is_better else -mean


def _draw(space: Mapping[str, list[Any]], rng: np.random.Generator) -> dict[str, Any]:
    return {name: values[int(rng.integers(len(values)))] for name, values in space.items()}
