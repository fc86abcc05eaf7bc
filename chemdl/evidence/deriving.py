"""Cards derived from the store: scores, comparisons and verdicts of every recorded replica."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chemdl.evidence.card import SCHEMA_VERSION
from chemdl.evidence.judging import judged
from chemdl.evidence.metrics import METRICS, score_tasks
from chemdl.evidence.result import Predictions, write_card
from chemdl.evidence.store import NothingStoredError, Repeat, ResultStore, StoreError, chosen
from chemdl.evidence.tuning import FULL_TRIALS
from chemdl.files import data_dir


def card_content(
    header: Mapping[str, Any],
    rows: Mapping[str, np.ndarray],
    repeats: Sequence[Repeat],
    *,
    profile: str,
    command: str,
    shortfall: Sequence[str],
) -> tuple[dict[str, Any], Predictions]:
    """Return a card's content, judged, and the predictions behind it.

    Parameters
    ----------
    header, rows
        What the study is, as :mod:`chemdl.evidence.assembly` says it.
    repeats
        The replicas that count.
    profile, command, shortfall
        Of the run.
    """
    predictions = _predictions(rows, repeats)
    models = {repeat.model: dict(repeat.row) for repeat in repeats}
    scores = [row for repeat in repeats for row in _scores(header, predictions, repeat)]
    content = {
        "schema_version": SCHEMA_VERSION,
        **{key: value for key, value in header.items() if key != "tasks"},
        "profile": profile,
        "created": max(of["created"] for r in repeats for of in r.replicas.values()),
        "command": command,
        "models": list(models.values()),
        "scores": scores,
        "shortfall": list(shortfall),
        "undefined": _undefined(scores),
        "ran_under": _oldest(repeats),
    }
    return judged(content, predictions), predictions


def derive_card(
    study: str, store: ResultStore, files: Sequence[str] | None = None
) -> tuple[dict[str, Any], Predictions]:
    """Return a study's card and predictions as they follow from its replicas in the store.

    With ``files`` only these files of the study count.

    Raises
    ------
    StoreError
        If the store has no such study; ``NothingStoredError`` if it has no replica of it.
    """
    found = store.study(study)
    if found is None:
        raise StoreError(f"the store {store.folder} has no study {study!r}")
    header, rows = found
    repeats = chosen(store.repeats(study, files), header["protocol"]["folds"])
    if not repeats:
        raise NothingStoredError(f"the store {store.folder} has no replica of study {study!r}")
    return card_content(
        header,
        rows,
        repeats,
        profile="full",
        command="python -m chemdl record",
        shortfall=_shortfall(header, repeats),
    )


def stored_predictions(
    study: str, store: ResultStore, files: Sequence[str] | None = None
) -> Predictions:
    """Return the predictions of a study's replicas in the store, or in these files of it."""
    found = store.study(study)
    if found is None:
        raise StoreError(f"the store {store.folder} has no study {study!r}")
    header, rows = found
    return _predictions(rows, chosen(store.repeats(study, files), header["protocol"]["folds"]))


def write_cards(
    studies: Iterable[str] | None = None,
    store: ResultStore | None = None,
    folder: Path | None = None,
) -> list[Path]:
    """Write the cards of studies; return those that changed.

    When left out, all in the store, except for those of which nothing is whole yet: a recorder that
    is stopped in the first repeat of a study leaves one.
    """
    store = store or ResultStore()
    target = folder or data_dir() / "results" / "full"
    changed = []
    for study in store.studies() if studies is None else studies:
        # A recorder may add to the store meanwhile; the card says what it was derived from.
        files = store.files(study)
        try:
            content, _ = derive_card(study, store, files)
        except NothingStoredError:
            if studies is not None:
                raise
            continue
        digest = store.sha256(study, files)
        content["predictions"] = {
            "file": f"{study}/study.npz", "sha256": digest, "files": files
        }  # fmt: skip
        path = target / f"{study}.json"
        text = json.dumps(content, indent=1, allow_nan=False) + "\n"
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_card(content, path)
            changed.append(path)
    return changed


def _oldest(repeats: Sequence[Repeat]) -> dict[str, Any] | None:
    """Return under what the oldest replica was computed, ``None`` where one does not say."""
    if any(repeat.under is None for repeat in repeats):
        return None
    oldest = min(repeats, key=lambda r: min(of["created"] for of in r.replicas.values()))
    return dict(oldest.under or {})


def _predictions(rows: Mapping[str, np.ndarray], repeats: Iterable[Repeat]) -> Predictions:
    arrays = {name: values for name, values in rows.items() if name.startswith("test/")}
    for repeat in repeats:
        for fold, values in repeat.predictions.items():
            arrays[f"{repeat.model}/{repeat.condition}/{repeat.repeat}/{fold}"] = values
    return Predictions(rows["targets"], arrays, rows.get("units"), rows.get("clusters"))


def _scores(
    header: Mapping[str, Any], predictions: Predictions, repeat: Repeat
) -> list[dict[str, Any]]:
    rows = []
    for fold, facts in sorted(repeat.replicas.items()):
        test = predictions.arrays[f"test/{repeat.repeat}/{fold}"]
        units = None if predictions.units is None else predictions.units[test]
        values = {}
        for metric in (row["name"] for row in header["metrics"]):
            by_task = score_tasks(
                metric,
                predictions.targets[test],
                repeat.predictions[fold],
                tasks=header["tasks"],
                units=units,
            )
            values[metric] = {
                task: float(v) if np.isfinite(v) else None
                for task, v in zip(header["tasks"], by_task, strict=True)
            }
        known = [v for v in values[header["metrics"][0]["name"]].values() if v is not None]
        rows.append(
            {
                "model": repeat.model,
                "condition": repeat.condition,
                "repeat": repeat.repeat,
                "fold": fold,
                "value": float(np.mean(known)) if known else None,
                "values": values,
                **{k: v for k, v in facts.items() if k not in ("environment", "created")},
                "n_test": len(test) if units is None else len(np.unique(units)),
            }
        )
    return rows


def _shortfall(header: dict[str, Any], repeats: Iterable[Repeat]) -> list[str]:
    """Say what each model lacks of the full design."""
    every = list(repeats)
    protocol = header["protocol"]
    folds, wanted = protocol["folds"], protocol["repeats"]
    lines = []
    for model in dict.fromkeys(repeat.model for repeat in every):
        for condition in dict.fromkeys(r.condition for r in every if r.model == model):
            own = [r for r in every if (r.model, r.condition) == (model, condition)]
            done = sum(len(r.replicas) for r in own)
            if done < folds * wanted:
                which = "" if condition == "all" else f" ({condition})"
                lines.append(f"{model}{which}: {done} of {folds * wanted} replicas")
    presets = [r.model for r in every if r.edition == "preset" and r.row.get("kind") != "trivial"]
    if presets:
        lines.append(
            f"presets, not tuned in {FULL_TRIALS} trials: {', '.join(dict.fromkeys(presets))}"
        )
    return lines


def _undefined(scores: Iterable[dict[str, Any]]) -> list[str]:
    """Count, by metric and task, the replicas in which a metric is undefined."""
    counts = Counter(
        (metric, task)
        for row in scores
        for metric, values in row["values"].items()
        for task, value in values.items()
        if value is None and METRICS[metric].is_about(task)
    )
    return [
        f"{metric} of {task}: undefined in {n} replicas" for (metric, task), n in counts.items()
    ]
