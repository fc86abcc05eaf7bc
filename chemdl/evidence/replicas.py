"""The unit that is computed, stored and resumed: one (split, seed) of a model under a condition."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chemdl.evidence.conditions import Condition
from chemdl.evidence.identity import identity, without_revision
from chemdl.evidence.splits import Split
from chemdl.files import write_atomically
from chemdl.settings import spawn

_DAMAGED = (zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Replica:
    """A computed replica: test predictions (m, tasks) and what a card says of it.

    ``best_epoch`` and ``epochs`` are those of a net: the epoch whose state was kept (of several
    networks the latest), and the number of epochs that it might have trained.
    """

    predictions: np.ndarray
    fit_seconds: float
    predict_seconds: float
    stack_size: int
    parameters: int | None
    environment: dict[str, Any]
    best_epoch: int | None = None
    epochs: int | None = None


@dataclass(frozen=True)
class Job:
    """One replica to compute: which model, what it fits, and under which key it is stored.

    ``key`` is ``None`` for a model that is never stored.
    """

    model: str
    condition: Condition
    split: Split
    seed: int
    key: str | None

    @property
    def place(self) -> str:
        """Name of its predictions, ``<model>/<condition>/<repeat>/<fold>``."""
        return f"{self.model}/{self.condition.name}/{self.split.repeat}/{self.split.fold}"


class ReplicaStore:
    """Replicas as files, one each, named by their key; a damaged file counts as absent."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def get(self, key: str | None) -> Replica | None:
        """Return the stored replica; ``None`` where there is none, or no key."""
        if key is None:
            return None
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


def replica_seed(seed: int, study: str, model: str, repeat: int, fold: int) -> int:
    """Return the seed of one replica, which follows from the study's by its place."""
    return spawn(seed, study, model, repeat, fold)


def replica_key(
    model: Any, *, content_sha256: str, rows: tuple[np.ndarray, ...], seed: int, condition: str
) -> str | None:
    """Name a replica by everything that its predictions depend on.

    That is the model's class with its revision and parameters
    (:func:`chemdl.evidence.identity.identity`), the data, the split's rows, the seed and the
    condition. The key is ``None`` for a model with a part that could be edited without notice; its
    replicas are never stored.
    """
    if without_revision(model):
        return None
    text = json.dumps(
        {
            "model": identity(model),
            "data": content_sha256,
            "rows": [hashlib.sha256(np.asarray(r, np.int64).tobytes()).hexdigest() for r in rows],
            "seed": seed,
            "condition": condition,
        },
        sort_keys=True,
    )
    return hashlib.sha256(text.encode()).hexdigest()[:32]
