"""What a study writes down of itself and of its replicas, for cards and for the store."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from chemdl.evidence.fitting import stored_as
from chemdl.evidence.identity import identity
from chemdl.evidence.judging import provenance
from chemdl.evidence.metrics import METRICS
from chemdl.evidence.replicas import Job, Replica
from chemdl.evidence.splits import Protocol
from chemdl.evidence.store import Repeat

if TYPE_CHECKING:
    from chemdl.evidence.study import Study


def description(study: Study, protocol: Protocol) -> dict[str, Any]:
    """Return what a card says of a study itself, run under this protocol, and its tasks."""
    data = study.dataset
    return {
        "study": study.name,
        "chapter": study.chapter,
        "dataset": {
            "name": data.name,
            "n": len(data),
            **{key: data.card[key] for key in ("content_sha256", "cleaning")},
        },
        "protocol": {
            "name": protocol.name,
            "repeats": protocol.repeats,
            "folds": protocol.folds,
            "seed": protocol.seed,
            "index_sha256": protocol.index_sha256,
            "duplicates": dict(protocol.duplicates),
            **{k: v for k, v in protocol.parameters.items() if k == "groups"},
        },
        "metrics": [
            {
                "name": m.name,
                "unit": data.unit if m.unit == "target" else m.unit,
                "higher_is_better": m.higher_is_better,
            }
            for m in (METRICS[name] for name in study.metrics)
        ],
        "unit": study.unit,
        "reference": study.reference,
        "tasks": list(data.tasks),
    }


def rows(study: Study, protocol: Protocol) -> dict[str, np.ndarray]:
    """Return a study's labels, and the test rows of each of its splits.

    Returns
    -------
    dict
        ``targets`` (n, tasks), ``test/<repeat>/<fold>`` (m,), and, where there are such, the
        ``units`` and ``clusters`` of the lines of ``targets`` (n,).
    """
    data, clusters = study.dataset, protocol.clusters
    arrays = {
        f"test/{s.repeat}/{s.fold}": data.sites(s.test).astype(np.int32) for s in protocol.splits
    }
    arrays["targets"] = data.targets.astype(stored_as(data))
    if data.lengths is not None:
        arrays["units"] = data.row_of_site().astype(np.int32)
    if clusters is not None:
        codes = np.asarray(clusters, np.int32)
        arrays["clusters"] = codes if data.lengths is None else codes[data.row_of_site()]
    return arrays


def repeat(study: Study, replicas: Mapping[Job, Replica], edition: str = "design") -> Repeat:
    """Return the replicas of one model under one condition in one repeat, as they are stored."""
    job, first = next(iter(replicas.items()))
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return Repeat(
        study=study.name,
        edition=edition,
        model=job.model,
        condition=job.condition.name,
        repeat=job.split.repeat,
        row=_model_row(study, job.model, first),
        replicas={
            job.split.fold: {
                "seed": job.seed,
                "n_train": len(study.applied(job)[0].train),
                "fit_seconds": replica.fit_seconds,
                "predict_seconds": replica.predict_seconds,
                "stack_size": replica.stack_size,
                "best_epoch": replica.best_epoch,
                "epochs": replica.epochs,
                "environment": replica.environment,
                "created": created,
            }
            for job, replica in replicas.items()
        },
        predictions={
            job.split.fold: _storable(study, job, replica) for job, replica in replicas.items()
        },
        under=provenance(study.name),
    )


def command(study: Study) -> str:
    """Return the command line that repeats a study's run."""
    chosen = study.settings
    parts = [f"python -m chemdl run {study.chapter} --profile {chosen.profile}"]
    if chosen.models != ("all",):
        parts.append("--models " + " ".join(chosen.models))
    given = {"repeats": chosen.repeats, "trials": chosen.trials}
    parts += [f"--{option} {value}" for option, value in given.items() if value is not None]
    return " ".join([*parts, f"--seed {chosen.seed} --device {chosen.device}"])


def _model_row(study: Study, name: str, replica: Replica) -> dict[str, Any]:
    model = study.models[name]
    return {
        "name": name,
        "kind": getattr(model, "kind", "classical"),
        "hyperparameters": identity(model),
        "parameters": replica.parameters,
        "tuning_trials": study.tuned.get(name, 0),
        "environment": replica.environment,
    }


def _storable(study: Study, job: Job, replica: Replica) -> np.ndarray:
    """Return a replica's predictions, 0 where nothing was measured: zeros pack small."""
    data = study.dataset
    measured = np.isfinite(data.targets[data.sites(job.split.test)])
    return np.where(measured, replica.predictions, 0)
