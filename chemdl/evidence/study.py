"""A study: dataset × models × protocol × conditions × metrics, run replica by replica.

Each replica is stored when it ends, so that a stopped run can continue; the card is assembled from
the stored replicas. To join parts from several machines, copy their replicas into one folder.
"""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from chemdl.data import Dataset
from chemdl.evidence import assembly
from chemdl.evidence.conditions import Condition
from chemdl.evidence.deriving import card_content
from chemdl.evidence.design import check_study
from chemdl.evidence.fitting import (
    by_row,
    net_replica,
    on_device,
    prepare,
    side_by_side,
)
from chemdl.evidence.identity import without_revision
from chemdl.evidence.replicas import Job, Replica, ReplicaStore, replica_key, replica_seed
from chemdl.evidence.result import Result, find_result, write_result
from chemdl.evidence.splits import Protocol, Split
from chemdl.evidence.tuning import FULL_TRIALS, Search
from chemdl.learn.contract import seeded
from chemdl.progress import Progress
from chemdl.settings import Settings, spawn
from chemdl.threads import bounded

# The studies that a chapter would run, while it is only read for them.
_PLANNED: ContextVar[list[Study] | None] = ContextVar("planned", default=None)


class Study:
    """The experiment behind one or more claims.

    Parameters
    ----------
    name, chapter
        Name of the study, to which claims refer, and its chapter; by default that of ``settings``.
    dataset, protocol, settings
        The data set, its splits, and the run's settings, which name the models to compute now.
    models, reference, untuned
        Estimators by name (``classical`` if they have no attribute ``kind``); the name of the one
        that all others are compared with; names of those that keep their published settings.
    metrics
        Names of the metrics; tuning and the card's ``value`` use the first.
    conditions
        Every model runs under each of these.
    unit
        ``fold`` (resampled folds), ``task`` (one difference per task), ``target`` (each fold leaves
        one target out), or the unit of a fixed test set (``molecule``).

    Raises
    ------
    ValueError
        For whatever could not run to its end; see :func:`chemdl.evidence.design.check_study`.
    """

    def __init__(
        self,
        name: str,
        *,
        dataset: Dataset,
        models: Mapping[str, Any],
        protocol: Protocol,
        metrics: Sequence[str],
        settings: Settings,
        conditions: Sequence[Condition] = (Condition(),),
        reference: str | None = None,
        unit: str = "fold",
        untuned: Sequence[str] = (),
        chapter: str = "",
    ) -> None:
        self.name, self.chapter, self.unit = name, chapter or settings.chapter, unit
        self.untuned = tuple(untuned)
        self.dataset, self.settings = dataset, settings
        # A control: whatever the chapter's studies are, they learn from permuted labels.
        self.conditions = tuple(
            replace(condition, shuffled=condition.shuffled or settings.shuffled)
            for condition in conditions
        )
        self.full_protocol = protocol
        # A chapter's studies may have different numbers of repeats: each runs what it has.
        self.protocol = protocol.head(min(settings.repeats or protocol.repeats, protocol.repeats))
        if isinstance(metrics, str):
            raise ValueError(f"study {name}: give metrics as a list, [{metrics!r}]")
        self.metrics, self.reference = tuple(metrics), reference
        self.models = {name: self._prepared(name, model) for name, model in models.items()}
        self.store = ReplicaStore(settings.output / "replicas" / name)
        self._computed: dict[str, Replica] = {}
        self.test_openings: Counter[str] = Counter()
        self.tuned: dict[str, int] = {}
        check_study(self)

    def _prepared(self, name: str, model: Any) -> Any:
        """Return an unfitted copy on the run's device; a full run refits nets on their valid rows.

        The other models learn from the valid rows as well. A recipe as published stays as it is.
        """
        copied = on_device(model, self.settings.device)
        refits = self.settings.profile == "full" and name not in self.untuned
        if refits and "refit" in copied.get_params(deep=False):
            copied.set_params(refit=True)
        return copied

    @property
    def card_path(self) -> Path:
        """Where the card of this run lies."""
        return self.settings.cards / f"{self.name}.json"

    @bounded()
    def run(self) -> Result:
        """Compute the missing replicas, write the card, and return the result.

        Warns
        -----
        UserWarning
            If a model from outside this package has no revision; its replicas are not stored.

        Raises
        ------
        RuntimeError
            If no replica is stored and none is to be computed.
        """
        if (planned := _PLANNED.get()) is not None:
            planned.append(self)
            return self.largest()
        self._say_what_is_not_stored()
        self.tune()
        jobs = self._jobs()
        asked = [job for job in jobs if job.model in self._asked()]
        missing = [job for job in asked if self._stored(job) is None]
        for job in missing:
            # What an interrupted run opened and did not keep is computed anew.
            self.test_openings.pop(job.place, None)
        with Progress(self.name, len(asked), len(asked) - len(missing)) as progress:
            for job, replica in self._compute(missing):
                self._keep(job, replica)
                progress.advance(job.model)
        return self._assemble(jobs)

    def largest(self) -> Result:
        """Return the result of the largest profile: of this run, or recorded."""
        return find_result(self.name, self.settings.cards)

    def alone(self, model: str, work: Path) -> Study:
        """Return this study with one of its models and its whole protocol, for the recorder.

        Replicas and trials are kept below ``work``.
        """
        other = copy.copy(self)
        other.models = {model: self.models[model]}
        other.protocol = self.full_protocol
        other.store = ReplicaStore(work / self.name)
        other._computed, other.test_openings, other.tuned = {}, Counter(), {}
        return other

    def jobs(self, condition: str, repeat: int) -> list[Job]:
        """Return the replicas of one repeat under a condition."""
        every = self._jobs()
        return [j for j in every if (j.condition.name, j.split.repeat) == (condition, repeat)]

    def replica(self, job: Job) -> Replica:
        """Return a replica, computed unless it is stored."""
        if (stored := self._stored(job)) is not None:
            return stored
        ((_, replica),) = self._compute([job])
        self._keep(job, replica)
        return replica

    def _stored(self, job: Job) -> Replica | None:
        return self._computed.get(job.place) if job.key is None else self.store.get(job.key)

    def _keep(self, job: Job, replica: Replica) -> None:
        if job.key is None:
            self._computed[job.place] = replica
        else:
            self.store.put(job.key, replica)

    def _say_what_is_not_stored(self) -> None:
        for name in self._asked():
            if parts := without_revision(self.models[name]):
                warnings.warn(
                    f"study {self.name}: the replicas of {name} are computed anew in each run and "
                    f"not stored, since an edit of {', '.join(parts)} would go unnoticed; a class "
                    "attribute `revision = 1`, raised with each change, has them stored",
                    stacklevel=3,
                )

    def tune(self, between: Callable[[], None] = lambda: None) -> None:
        """Freeze every model's configuration before any test row is seen.

        ``between`` is called before each fit; what it raises stops the search.
        """
        trials = self.settings.trials
        if trials is None:
            trials = FULL_TRIALS if self.settings.profile == "full" else 0
        search = Search(
            study=self.name,
            dataset=self.dataset,
            split=self.protocol.splits[0],
            metric=self.metrics[0],
            trials=trials,
            settings=self.settings,
            store=self.store,
            between=between,
        )
        for name, model in self.models.items():
            if not self._wants_tuning(name):
                continue
            found = search.best(name, model, run=name in self._asked())
            if found is not None:
                self.models[name], self.tuned[name] = found, trials

    def _wants_tuning(self, name: str) -> bool:
        space = getattr(self.models[name], "search_space", {})
        return bool(space) and name not in self.untuned

    def _asked(self) -> list[str]:
        chosen = set(self.settings.models)
        return [n for n, m in self.models.items() if chosen & {"all", n, kind_of(m)}]

    def _jobs(self) -> list[Job]:
        return [
            self._job(name, condition, split)
            for condition in self.conditions
            for split in self.protocol.splits
            for name in self.models
        ]

    def _job(self, name: str, condition: Condition, split: Split) -> Job:
        seed = replica_seed(self.settings.seed, self.name, name, split.repeat, split.fold)
        drawn = "" if condition.keeps_all else f", drawn by {self._draw_seed(condition, split)}"
        key = replica_key(
            self.models[name],
            content_sha256=self.dataset.card["content_sha256"],
            rows=(split.train, split.valid, split.test),
            seed=seed,
            condition=f"{condition!r}{drawn}",
        )
        return Job(name, condition, split, seed, key)

    def _compute(self, jobs: list[Job]) -> Iterator[tuple[Job, Replica]]:
        """Yield replicas as they end: nets stacked or in turn, the others side by side."""
        nets = [job for job in jobs if getattr(self.models[job.model], "stackable", False)]
        others = [job for job in jobs if not getattr(self.models[job.model], "stackable", False)]
        yield from self._compute_others(others)
        for name, condition in dict.fromkeys((job.model, job.condition) for job in nets):
            group = [j for j in nets if (j.model, j.condition) == (name, condition)]
            yield from self._compute_nets(name, condition, group)

    def _compute_nets(
        self, name: str, condition: Condition, jobs: list[Job]
    ) -> Iterator[tuple[Job, Replica]]:
        """Train replicas of one net together; those whose targets differ train apart."""
        batches = [[job] for job in jobs] if condition.shuffled else [jobs]
        for batch in batches:
            applied = [self.applied(job) for job in batch]
            targets = applied[0][1]
            rows = [(split.train, split.valid) for split, _ in applied]
            model = self.models[name]
            for stack in model.fit_replicas(
                self.dataset.inputs, by_row(self.dataset, targets), rows, [j.seed for j in batch]
            ):
                for trained in stack:
                    job = batch[trained.position]
                    self._open_test(job)
                    yield (
                        job,
                        net_replica(trained, self.dataset, job.split.test, self.settings.device),
                    )

    def _compute_others(self, jobs: list[Job]) -> Iterator[tuple[Job, Replica]]:
        for name in dict.fromkeys(job.model for job in jobs):
            prepare(self.models[name], self.dataset)
        alone = [job for job in jobs if getattr(self.models[job.model], "alone", False)]
        together = [job for job in jobs if not getattr(self.models[job.model], "alone", False)]
        for batch in (together, *([job] for job in alone)):
            calls = [self._call(job) for job in batch]
            for i, replica in side_by_side(calls):
                yield batch[i], replica

    def _call(self, job: Job) -> tuple[Any, ...]:
        """Return what :func:`chemdl.evidence.fitting.fit_and_predict` takes for this replica."""
        self._open_test(job)
        split, targets = self.applied(job)
        # Models that do not stop early learn from the valid rows as well.
        fitted = np.concatenate([split.train, split.valid])
        model = seeded(self.models[job.model], job.seed)
        return model, self.dataset, fitted, by_row(self.dataset, targets)[fitted], split.test

    def applied(self, job: Job) -> tuple[Split, np.ndarray]:
        """Return the split and the targets that a replica learns from, under its condition."""
        seed = self._draw_seed(job.condition, job.split)
        return job.condition.apply(job.split, self.dataset, seed)

    def _draw_seed(self, condition: Condition, split: Split) -> int:
        """Return the seed by which a condition draws rows or labels: the same for every model."""
        place = (condition.name, split.repeat, split.fold)
        return spawn(self.settings.seed, self.name, "condition", *place)

    def _open_test(self, job: Job) -> None:
        """Count the opening of a replica's test rows; a second one is an error."""
        self.test_openings[job.place] += 1
        if self.test_openings[job.place] > 1:
            raise RuntimeError(
                f"the test rows of {job.model} {job.split.repeat}/{job.split.fold} "
                "were opened twice; a replica may see them once"
            )

    def _assemble(self, jobs: list[Job]) -> Result:
        """Write the card from the stored replicas."""
        stored = {job: replica for job in jobs if (replica := self._stored(job)) is not None}
        if not stored:
            raise RuntimeError(
                f"study {self.name} has no stored replica and none of its models "
                f"({', '.join(self.models)}) was asked for: models={','.join(self.settings.models)}"
            )
        places = dict.fromkeys((j.model, j.condition.name, j.split.repeat) for j in stored)
        repeats = [
            assembly.repeat(self, {j: r for j, r in stored.items() if _place(j) == place})
            for place in places
        ]
        header = assembly.description(self, self.protocol)
        if self.reference not in {repeat.model for repeat in repeats}:
            header["reference"] = None
        content, predictions = card_content(
            header,
            assembly.rows(self, self.protocol),
            repeats,
            profile=self.settings.profile,
            command=assembly.command(self),
            shortfall=self._shortfall(jobs, stored),
        )
        return write_result(content, predictions, self.card_path.parent)

    def _shortfall(self, jobs: list[Job], stored: dict[Job, Replica]) -> list[str]:
        """Say what this run leaves out of its profile."""
        lines = []
        if self.protocol.repeats < self.full_protocol.repeats:
            lines.append(f"{self.protocol.repeats} of {self.full_protocol.repeats} repeats")
        trials = self.settings.trials
        if self.settings.profile == "full" and trials is not None and trials < FULL_TRIALS:
            lines.append(f"{trials} of {FULL_TRIALS} tuning trials")
        presets = [n for n in self.models if self._wants_tuning(n) and n not in self.tuned]
        if trials != 0 and self.settings.profile == "full" and presets:
            lines.append(f"presets, not tuned: {', '.join(presets)}")
        for name in self.models:
            own = [job for job in jobs if job.model == name]
            done = sum(job in stored for job in own)
            if done < len(own):
                lines.append(f"{name}: {done} of {len(own)} replicas")
        return lines


@contextmanager
def planning() -> Iterator[list[Study]]:
    """Collect the studies that are run inside, without running them.

    ``run`` then returns the largest result on record, or raises ``FileNotFoundError``.
    """
    studies: list[Study] = []
    token = _PLANNED.set(studies)
    try:
        yield studies
    finally:
        _PLANNED.reset(token)


def _place(job: Job) -> tuple[str, str, int]:
    return job.model, job.condition.name, job.split.repeat


def kind_of(model: Any) -> str:
    return getattr(model, "kind", "classical")
