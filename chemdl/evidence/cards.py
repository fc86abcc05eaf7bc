"""The record of a study that ran: one JSON card and its predictions file, checked both ways."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chemdl.evidence.verdicts import MEANING
from chemdl.files import data_dir, write_atomically
from chemdl.registry import UnknownNameError
from chemdl.settings import PROFILES

SCHEMA_VERSION = 1
# Cards that kept the schema in this process, by the hash of their text: checking a card of 27 tasks
# takes longer than reading it ten times.
_VALID: set[str] = set()


class CardError(ValueError):
    """A card that does not keep its schema, or whose predictions are not its own."""


@dataclass(frozen=True)
class Predictions:
    """Test predictions of a study, the source of every figure of errors.

    Attributes
    ----------
    targets : (n, tasks), NaN = not measured; (sites, tasks) where a row has several.
    arrays : ``test/<repeat>/<fold>`` → lines of ``targets`` in test (m,), and
        ``<model>/<condition>/<repeat>/<fold>`` → predictions (m, tasks).
    units : the dataset's row that each line of ``targets`` belongs to, where a row has several.
    """

    targets: np.ndarray
    arrays: Mapping[str, np.ndarray]
    units: np.ndarray | None = None

    def pooled(self, model: str, condition: str = "all", repeat: int = 0) -> np.ndarray:
        """Join a repeat's folds: (n, tasks), NaN for rows that were in no test side.

        Raises
        ------
        KeyError
            if the model has no predictions under this condition and repeat.
        """
        out = np.full(self.targets.shape, np.nan)
        parts = [k for k in self.arrays if k.startswith(f"{model}/{condition}/{repeat}/")]
        if not parts:
            models = {k.split("/")[0] for k in self.arrays if not k.startswith("test/")}
            raise KeyError(str(UnknownNameError("model with predictions", model, models)))
        for key in parts:
            out[self.arrays[f"test/{repeat}/{key.rsplit('/', 1)[1]}"]] = self.arrays[key]
        return out


def write(card: Mapping[str, Any], predictions: Predictions, folder: Path) -> Path:
    """Write ``<study>.npz`` and then ``<study>.json`` into ``folder``; return the card's path.

    The card carries the hash of the predictions, and is written last: a run that is killed
    between the two leaves the old pair or a pair that :func:`read` refuses, never a wrong one.

    Raises
    ------
    CardError
        if the card does not keep its schema.
    """
    folder = Path(folder)
    file = f"{card['study']}.npz"
    with write_atomically(folder / file) as temporary:
        arrays: dict[str, Any] = {"targets": predictions.targets, **predictions.arrays}
        if predictions.units is not None:
            arrays["units"] = predictions.units
        np.savez_compressed(temporary, **arrays)
        digest = _sha256(temporary)
        complete = {**card, "predictions": {"file": file, "sha256": digest}}
        validate(complete)
        text = json.dumps(complete, indent=1, allow_nan=False) + "\n"
    path = folder / f"{card['study']}.json"
    with write_atomically(path) as temporary:
        temporary.write_text(text)
    _VALID.add(_digest(text))
    return path


def read(path: Path) -> dict[str, Any]:
    """Read a card and check its schema.

    Raises
    ------
    FileNotFoundError
        if there is no such card.
    CardError
        if it is no JSON or does not keep its schema.
    """
    path = Path(path)
    text = path.read_text()
    try:
        card = json.loads(text)
    except json.JSONDecodeError as error:
        raise CardError(f"{path.name} is not JSON ({error}); run its chapter again") from error
    if _digest(text) not in _VALID:
        validate(card, path.name)
        _VALID.add(_digest(text))
    return card


def read_predictions(path: Path) -> Predictions:
    """Read the predictions that belong to the card at ``path``, checked by their hash."""
    card = read(path)
    file = Path(path).parent / card["predictions"]["file"]
    digest = _sha256(file)
    if digest != card["predictions"]["sha256"]:
        raise CardError(
            f"{file.name} has sha256 {digest[:12]}…, its card says "
            f"{card['predictions']['sha256'][:12]}…; run the chapter again"
        )
    with np.load(file) as stored:
        arrays = {name: stored[name] for name in stored.files}
    return Predictions(arrays.pop("targets"), arrays, arrays.pop("units", None))


def validate(card: Any, name: str = "card") -> None:
    """Check a card against its schema; a CardError names the field that breaks it."""
    error = next(iter(sorted(_validator().iter_errors(card), key=lambda e: list(e.path))), None)
    if error is not None:
        where = "/".join(map(str, error.absolute_path)) or "top level"
        raise CardError(f"{name}: {where}: {error.message[:300]}")
    known = {model["name"] for model in card["models"]}
    if stray := {row["model"] for row in card["scores"]} - known:
        raise CardError(f"{name}: scores: models {sorted(stray)} are not among its models")


def recorded(study: str, profile: str | None = None) -> Path | None:
    """Return the recorded card of a study: of this profile, or of the largest recorded one."""
    wanted = [profile] if profile else list(reversed(PROFILES))
    paths = (data_dir() / "results" / p / f"{study}.json" for p in wanted)
    return next((path for path in paths if path.is_file()), None)


def all_recorded() -> dict[str, Path]:
    """Return the best recorded card of every study that has one, by study."""
    found = sorted({p.stem for p in (data_dir() / "results").glob("*/[!.]*.json")})
    paths = {study: recorded(study) for study in found}
    return {study: path for study, path in paths.items() if path is not None}


def largest(study: str, folder: Path | None = None) -> tuple[dict[str, Any], Predictions]:
    """Return card and predictions of a study's largest profile: recorded, or in ``folder``.

    Where both are of one profile, the run's own counts.

    Raises
    ------
    FileNotFoundError
        if the study neither ran nor was recorded.
    """
    own = Path(folder or "") / f"{study}.json"
    paths = [path for path in (recorded(study), own if folder else None) if path and path.is_file()]
    if not paths:
        raise FileNotFoundError(f"study {study} neither ran nor was recorded; run its chapter")
    found = max(paths, key=lambda path: (PROFILES.index(read(path)["profile"]), path == own))
    return read(found), read_predictions(found)


def record(source: Path, profile: str) -> list[Path]:
    """Copy the validated cards and predictions of a run into data/results/<profile>/.

    Raises
    ------
    CardError
        if a card is invalid, of another profile, or its predictions are not its own.
    FileNotFoundError
        if ``source`` has no cards.
    """
    if profile not in PROFILES:
        raise CardError(str(UnknownNameError("profile", profile, PROFILES)))
    cards = sorted((Path(source) / "cards").glob("[!.]*.json"))
    if not cards:
        raise FileNotFoundError(f"no cards in {source}/cards; run a chapter first")
    for path in cards:
        read_predictions(path)
        if (own := read(path)["profile"]) != profile:
            raise CardError(f"{path.name} is of profile {own}, not {profile}")
    target = data_dir() / "results" / profile
    copied = []
    for path in cards:
        for file in (path.with_suffix(".npz"), path):
            with write_atomically(target / file.name) as temporary:
                shutil.copyfile(file, temporary)
        copied.append(target / path.name)
    return copied


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@functools.cache
def _validator() -> Any:
    import jsonschema

    plain = jsonschema.Draft202012Validator
    number = plain.TYPE_CHECKER.redefine("number", _is_finite)
    return jsonschema.validators.extend(plain, type_checker=number)(SCHEMA)


def _is_finite(_checker: Any, value: Any) -> bool:
    """NaN is no JSON: an undefined score is null."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


def _list(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


_TEXT = {"type": "string", "minLength": 1}
_COUNT = {"type": "integer", "minimum": 0}
_NUMBER = {"type": "number"}
_MAYBE = {"type": ["number", "null"]}
_HASH = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_FREE = {"type": "object"}
_ENVIRONMENT = _object(
    {
        "python": _TEXT,
        "torch": _TEXT,
        "rdkit": _TEXT,
        "numpy": _TEXT,
        "sklearn": _TEXT,
        "device": _TEXT,
        "threads": _COUNT,
    }
)
COMPARISON = _object(
    {
        "a": _TEXT,
        "b": _TEXT,
        "metric": _TEXT,
        "condition": _TEXT,
        "difference": _NUMBER,
        "low": _NUMBER,
        "high": _NUMBER,
        "detectable": _MAYBE,
        "method": _TEXT,
    },
    p=_MAYBE,
    p_holm=_MAYBE,
)
SCHEMA: dict[str, Any] = _object(
    {
        "schema_version": {"const": SCHEMA_VERSION},
        "study": _TEXT,
        "chapter": _TEXT,
        "profile": {"enum": list(PROFILES)},
        "created": _TEXT,
        "command": _TEXT,
        "dataset": _object(
            {"name": _TEXT, "content_sha256": _HASH, "n": _COUNT, "cleaning": _FREE}
        ),
        "protocol": _object(
            {
                "name": _TEXT,
                "repeats": _COUNT,
                "folds": _COUNT,
                "seed": {"type": ["integer", "null"]},
                "index_sha256": _HASH,
                "duplicates": _FREE,
            },
            # The target that each fold leaves out, where it leaves one out.
            groups=_list(_TEXT),
        ),
        "metrics": _list(
            _object(
                {"name": _TEXT, "unit": {"type": "string"}, "higher_is_better": {"type": "boolean"}}
            )
        ),
        "models": _list(
            _object(
                {
                    "name": _TEXT,
                    "kind": {"enum": ["deep", "other", "trivial"]},
                    "hyperparameters": _FREE,
                    "parameters": {"type": ["integer", "null"]},
                    "tuning_trials": _COUNT,
                    "environment": _ENVIRONMENT,
                }
            )
        ),
        "scores": _list(
            _object(
                {
                    "model": _TEXT,
                    "condition": _TEXT,
                    "repeat": _COUNT,
                    "fold": _COUNT,
                    "seed": _COUNT,
                    "n_train": _COUNT,
                    "n_test": _COUNT,
                    "value": _MAYBE,
                    "values": {
                        "type": "object",
                        "additionalProperties": {"type": "object", "additionalProperties": _MAYBE},
                    },
                    "fit_seconds": _NUMBER,
                    "predict_seconds": _NUMBER,
                    "stack_size": _COUNT,
                }
            )
        ),
        "comparisons": _list(COMPARISON),
        "verdicts": _list(
            _object(
                {
                    "claim": _TEXT,
                    "verdict": {"enum": list(MEANING)},
                    "reason": {"type": "string"},
                    "fidelity": {"enum": ["exact", "near", "stand-in", ""]},
                    "provisional": {"type": "boolean"},
                    "estimate": {
                        "anyOf": [
                            {"type": "null"},
                            _object(
                                {"value": _NUMBER, "low": _NUMBER, "high": _NUMBER, "method": _TEXT}
                            ),
                        ]
                    },
                }
            )
        ),
        "predictions": _object({"file": _TEXT, "sha256": _HASH}),
        "shortfall": _list(_TEXT),
        "undefined": _list(_TEXT),
    }
)
