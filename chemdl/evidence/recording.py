"""The recorder: it computes what claims lack in the fixed design, whole repeats, cheapest first.

It never looks at a score: what comes next follows from which replicas are there and from how long
such replicas took. Several recorders share one store: a model of a study is locked while one of
them works on it, and a lock goes with its process, however that ends.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from chemdl.evidence import assembly
from chemdl.evidence.claims import Claim, load_claims
from chemdl.evidence.replicas import Job, Replica
from chemdl.evidence.result import find_results
from chemdl.evidence.store import FAILED, Repeat, ResultStore
from chemdl.evidence.study import Study
from chemdl.evidence.tuning import FULL_TRIALS
from chemdl.evidence.verdicts import TALLY_FIDELITY
from chemdl.files import write_atomically
from chemdl.learn.training import DivergedError

# A trial is fitted on a third of the rows, and every second one then on all of them.
_FITS_OF_A_TRIAL = 1 / 3 + 1 / 2
_UNKNOWN_SECONDS = 600.0


class TimeIsUpError(Exception):
    """The recorder's minutes are over; what is done is stored."""


@dataclass(frozen=True)
class Need:
    """A model of a study, under one condition, whose design is not whole, and for which claims."""

    study: str
    chapter: str
    model: str
    condition: str
    done: int
    wanted: int
    hours: float
    claims: tuple[str, ...] = ()


@dataclass
class Recorder:
    """Computes needs and puts them into the store.

    Parameters
    ----------
    studies
        Returns the full studies of a chapter, by name.
    store
        Where whole repeats go.
    work
        Folder of replicas and trials that belong to no whole repeat yet.
    deadline
        In seconds of :func:`time.monotonic`; no replica is begun after it.
    """

    studies: Callable[[str], Mapping[str, Study]]
    store: ResultStore
    work: Path
    deadline: float = float("inf")
    say: Callable[[str], None] = print
    _known: dict[str, Mapping[str, Study]] = field(default_factory=dict)

    def run(self, claims: Sequence[str] = ()) -> list[str]:
        """Work through all needs until none is left or time is up; return the studies touched."""
        touched: list[str] = []
        passed: set[tuple[str, str, str]] = set()
        try:
            while need := self._next(claims, passed):
                passed.add((need.study, need.model, need.condition))
                if self._under_lock(need):
                    touched.append(need.study)
        except TimeIsUpError:
            self.say("the time is up; what is done is stored")
        return list(dict.fromkeys(touched))

    def _next(self, claims: Sequence[str], passed: set[tuple[str, str, str]]) -> Need | None:
        for need in needs(self.store, claims):
            if (need.study, need.model, need.condition) not in passed:
                return need
        return None

    def _under_lock(self, need: Need) -> bool:
        from filelock import FileLock, Timeout

        # In the store: recorders of two checkouts that share it must not do the same work.
        folder = self.store.folder / ".locks" / need.study
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(folder / f"{need.model}.lock", timeout=0):
                return self.record(need)
        except Timeout:
            return False  # another recorder is at it

    def record(self, need: Need) -> bool:
        """Tune a model and compute the repeats that its design lacks; say whether it could."""
        if time.monotonic() > self.deadline:
            raise TimeIsUpError
        if need.chapter not in self._known:
            # One chapter's data at a time.
            self._known = {need.chapter: self.studies(need.chapter)}
        study = self._known[need.chapter].get(need.study)
        if study is None or need.model not in study.models:
            self.say(
                f"{need.study}: chapter {need.chapter} runs no model {need.model}; passed over"
            )
            return False
        self.say(f"{need.study} {need.model}: about {60 * need.hours:.0f} min")
        study = study.alone(need.model, self.work)
        protocol = study.full_protocol
        description = assembly.description(study, protocol)
        self.store.put_study(study.name, description, assembly.rows(study, protocol))
        missing = [
            r for r in range(protocol.repeats) if not _is_done(self.store, need, r, protocol.folds)
        ]
        try:
            study.tune(self._check_time)
        except DivergedError as error:
            # The preset itself cannot be trained, and so no replica.
            for repeat in missing:
                folds = [job.split.fold for job in study.jobs(need.condition, repeat)]
                self._put_failures(need, repeat, dict.fromkeys(folds, f"in tuning: {error}"))
            return True
        for repeat in missing:
            self._repeat(study, need, repeat)
        return True

    def _repeat(self, study: Study, need: Need, repeat: int) -> None:
        replicas: dict[Job, Replica] = {}
        failed = _reasons(self.store, need, repeat)
        for job in study.jobs(need.condition, repeat):
            if job.split.fold in failed:
                continue
            self._check_time()
            try:
                replicas[job] = study.replica(job)
            except DivergedError as error:
                failed[job.split.fold] = str(error)
        if failed:
            self._put_failures(need, repeat, failed)
        if replicas:
            self.store.put(assembly.repeat(study, replicas))

    def _put_failures(self, need: Need, repeat: int, reasons: Mapping[int, str]) -> None:
        """Write which folds of a repeat diverged, and why; it is not tried again."""
        with write_atomically(self.store.folder / _failures(need, repeat)) as temporary:
            temporary.write_text(json.dumps(reasons, indent=1), encoding="utf-8")

    def _check_time(self) -> None:
        if time.monotonic() > self.deadline:
            raise TimeIsUpError


def needs(store: ResultStore, claims: Sequence[str] = ()) -> list[Need]:
    """Return what is missing for claims, the claim that is cheapest to complete first.

    Parameters
    ----------
    store
        Of whole repeats.
    claims
        The ids of those to be completed; all that are exact or near when left out.
    """
    seconds = _seconds()
    by_claim: list[tuple[float, Claim, list[Need]]] = []
    for claim in load_claims().values():
        if claim.test is None or not _is_wanted(claim, claims):
            continue
        own = [need for model in _models(claim) if (need := _need(claim, model, store, seconds))]
        by_claim.append((sum(need.hours for need in own), claim, own))
    by_claim.sort(key=lambda part: (part[0], part[1].id))
    first: dict[tuple[str, str, str], Need] = {}
    for _, claim, own in by_claim:
        for need in own:
            place = (need.study, need.model, need.condition)
            known = first.get(place, need)
            first[place] = replace(known, claims=(*known.claims, claim.id))
    return list(first.values())


def _is_wanted(claim: Claim, claims: Sequence[str]) -> bool:
    assert claim.test is not None
    return claim.id in claims if claims else claim.test.fidelity in TALLY_FIDELITY


def _models(claim: Claim) -> list[str]:
    assert claim.test is not None
    return [name for name in (claim.test.a, claim.test.b) if name is not None]


def _need(
    claim: Claim, model: str, store: ResultStore, seconds: Mapping[tuple[str, str], float]
) -> Need | None:
    test = claim.test
    assert test is not None
    known = store.study(test.study)
    protocol = known[0]["protocol"] if known else {"repeats": 3, "folds": 5}
    repeats, folds = protocol["repeats"], protocol["folds"]
    need = Need(test.study, claim.chapter, model, test.condition, 0, repeats, 0.0)
    done = sum(_is_done(store, need, repeat, folds) for repeat in range(repeats))
    if done == repeats:
        return None
    each = seconds.get((test.study, model), _UNKNOWN_SECONDS)
    tuning = 0.0 if done else FULL_TRIALS * _FITS_OF_A_TRIAL
    hours = each * (tuning + (repeats - done) * folds) / 3600
    return replace(need, done=done, hours=hours)


def _is_done(store: ResultStore, need: Need, repeat: int, folds: int) -> bool:
    """Say whether a repeat is stored, or is known to have diverged in all its folds."""
    stored = store.has(need.study, "design", need.model, need.condition, repeat)
    return stored or len(_reasons(store, need, repeat)) >= folds


def _reasons(store: ResultStore, need: Need, repeat: int) -> dict[int, str]:
    """Return why folds of a repeat diverged, as it was recorded."""
    path = store.folder / _failures(need, repeat)
    if not path.is_file():
        return {}
    reasons = json.loads(path.read_text(encoding="utf-8"))
    return {int(fold): str(reason) for fold, reason in reasons.items()}


def _failures(need: Need, repeat: int) -> Path:
    """Return the file, below the store's folder, that says which folds of a repeat diverged."""
    file = Repeat(need.study, "design", need.model, need.condition, repeat, {}, {}, {}).file
    return file.with_suffix(FAILED)


def _seconds() -> dict[tuple[str, str], float]:
    """Return the mean seconds of a fit with its predictions, by study and model, as recorded."""
    found: dict[tuple[str, str], list[float]] = {}
    for result in find_results().values():
        for row in result.card.scores:
            place = (result.study, row.model)
            found.setdefault(place, []).append(row.fit_seconds + row.predict_seconds)
    return {place: float(np.mean(values)) for place, values in found.items()}


def plan_text(planned: Iterable[Need]) -> str:
    """Return what is left as a table: study, model, what is done, hours, for which claims."""
    rows = list(planned)
    if not rows:
        return "Nothing is left: every claim that is exact or near has its whole design."
    lines = [f"{'study':28} {'model':22} {'repeats':>8} {'hours':>7}  claims"]
    lines += [
        f"{need.study:28} {need.model:22} {need.done:>4}/{need.wanted:<3} {need.hours:7.2f}  "
        f"{', '.join(need.claims)}"
        for need in rows
    ]
    total = sum(need.hours for need in rows)
    return "\n".join([*lines, f"{total:.1f} hours on one core in all, as recorded before"])
