"""Random search: the same number of configurations for every family of models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chemdl.data import Dataset
from chemdl.evidence.fitting import (
    by_row,
    environment,
    net_replica,
    on_device,
    prepare,
    score,
    seeded,
    side_by_side,
)
from chemdl.evidence.metrics import METRICS
from chemdl.evidence.replicas import Replica, ReplicaStore, replica_key
from chemdl.evidence.splits import Split
from chemdl.learn.training import DivergedError
from chemdl.progress import Progress
from chemdl.settings import Settings, spawn
from chemdl.threads import bounded

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
        """Return the best configuration of a model, or ``None`` if the preset is kept.

        With ``run``, missing trials are computed. Without it (another machine computes this part)
        only stored trials are used, and the preset is kept until all trials are stored.
        """
        space = getattr(preset, "search_space", {})
        if not self.trials or not space:
            return None
        rng = np.random.default_rng(spawn(self.settings.seed, "tuning", name))
        drawn = [{}, *(_draw(space, rng) for _ in range(self.trials - 1))]
        models = [on_device(preset, self.settings.device).set_params(**d) for d in drawn]
        keys = [self._key(model, name) for model in models]
        computed = self._run(name, models, keys) if run else {}
        trials = [computed.get(i) or self.store.get(key) for i, key in enumerate(keys)]
        scores = [self._score(trial.predictions) for trial in trials if trial is not None]
        # Where the metric is undefined on the valid rows there is nothing to choose by.
        if len(scores) < len(models) or np.isnan(scores).all():
            return None
        return models[int(np.nanargmax(scores))]

    def _seed(self, name: str) -> int:
        return spawn(self.settings.seed, self.study, name, "tuning")

    def _key(self, model: Any, name: str) -> str | None:
        return replica_key(
            model,
            content_sha256=self.dataset.card["content_sha256"],
            rows=(self.split.train, self.split.valid, self.split.valid),
            seed=self._seed(name),
            condition="tuning",
        )

    def _run(
        self, name: str, models: Sequence[Any], keys: Sequence[str | None]
    ) -> dict[int, Replica]:
        """Fit the configurations that are not stored yet; return them by their place."""
        split, data, seed = self.split, self.dataset, self._seed(name)
        first_with = {key: i for i, key in reversed(list(enumerate(keys)))}
        # Where one configuration was drawn twice it is fitted once.
        missing = [
            i
            for i, key in enumerate(keys)
            if key is None or (first_with[key] == i and self.store.get(key) is None)
        ]
        computed: dict[int, Replica] = {}
        with Progress(f"{self.study}: tuning {name}", len(models), len(models) - len(missing)) as p:
            for i, replica in self._fitted(missing, [seeded(m, seed) for m in models], split, data):
                computed[i] = replica
                if (key := keys[i]) is not None:
                    self.store.put(key, replica)
                p.advance(name)
        return computed

    def _fitted(
        self, places: Sequence[int], models: Sequence[Any], split: Split, data: Dataset
    ) -> Iterator[tuple[int, Replica]]:
        """Yield each configuration's replica when it ends: nets in turn, others side by side."""
        if getattr(models[0], "stackable", False):
            for i in places:
                yield i, self._trial(models[i], models[i].seed)
            return
        prepare(models[0], data)
        fit = (data, split.train, by_row(data)[split.train], split.valid)
        for done, replica in side_by_side([(models[i], *fit) for i in places]):
            yield places[done], replica

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
        metric = METRICS[self.metric]
        scores = score(metric.name, self.dataset, self.split.valid, predictions)
        mean = float(np.nanmean(scores)) if np.isfinite(scores).any() else float("nan")
        return mean if metric.higher_is_better else -mean


def _draw(space: Mapping[str, list[Any]], rng: np.random.Generator) -> dict[str, Any]:
    return {name: values[int(rng.integers(len(values)))] for name, values in space.items()}
