"""The store of recorded replicas: files that are written once, from which cards are derived.

::

    <study>/study.npz                                    labels, test rows, what the study is
    <study>/<design|preset>/<model>/<condition>-<repeat>.npz   the replicas of one repeat
    <study>/design/<model>/<condition>-<repeat>.failed.json    which folds diverged, and why

Nothing in the store is ever changed. Two stores are merged by copying files; the same file with
another content is an error. A model's replicas of the full design count where a whole repeat of
them is there, else those of its preset.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from chemdl.files import data_dir, write_atomically

EDITIONS = ("design", "preset")
FAILED = ".failed.json"
# What two machines may differ in where they computed the same replica.
_OF_THE_MACHINE = (
    "fit_seconds", "predict_seconds", "stack_size", "environment", "created", "cleaning",
)  # fmt: skip
_ROWS = ("targets", "units", "clusters")


class StoreError(ValueError):
    """A file of the store that is damaged, or that two stores hold with another content."""


class NothingStoredError(StoreError):
    """A study that the store describes, and of which it has no replicas that count."""


@dataclass(frozen=True)
class Repeat:
    """The replicas of one model under one condition in one repeat of a study's protocol.

    Attributes
    ----------
    study, edition, model, condition, repeat
        Where it stands; the edition is ``design`` (tuned as stated) or ``preset``.
    row
        What a card says of the model.
    replicas
        For each fold what a card's row of scores has beside the scores: seed, numbers of rows,
        seconds, best epoch, environment.
    predictions
        For each fold the test predictions, shape (rows or sites, tasks).
    under
        Under which rule and records of claims they were computed; ``None`` of those that were
        recorded before this was noted.
    """

    study: str
    edition: str
    model: str
    condition: str
    repeat: int
    row: Mapping[str, Any]
    replicas: Mapping[int, Mapping[str, Any]]
    predictions: Mapping[int, np.ndarray] = field(repr=False)
    under: Mapping[str, Any] | None = None

    @property
    def file(self) -> Path:
        """Its file, below the store's folder."""
        place = Path(self.study) / self.edition / self.model
        return place / f"{self.condition}-{self.repeat}.npz"


class ResultStore:
    """The replicas below a folder; the package's own ``data/results/replicas`` when left out."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = data_dir() / "results" / "replicas" if folder is None else Path(folder)

    def studies(self) -> list[str]:
        """Return the names of the studies that have an entry."""
        return sorted(path.parent.name for path in self.folder.glob("*/study.npz"))

    def study(self, name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
        """Return what a study is, as its card says it, and its labels and test rows."""
        path = self.folder / name / "study.npz"
        return _read(path) if path.is_file() else None

    def put_study(
        self, name: str, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> None:
        """Write what a study is; a second writing must say the same.

        Raises
        ------
        StoreError
            Naming both where the store has the study with another content.
        """
        self._put(Path(name) / "study.npz", content, arrays)

    def has(self, study: str, edition: str, model: str, condition: str, repeat: int) -> bool:
        """Say whether a repeat is in the store."""
        wanted = Repeat(study, edition, model, condition, repeat, {}, {}, {})
        return (self.folder / wanted.file).is_file()

    def put(self, repeat: Repeat) -> None:
        """Write a repeat; a kill leaves the whole file or none.

        Raises
        ------
        StoreError
            If the store has it with another content.
        """
        content = {
            "row": dict(repeat.row),
            "replicas": {str(fold): dict(of) for fold, of in repeat.replicas.items()},
            "under": None if repeat.under is None else dict(repeat.under),
        }
        arrays = {str(fold): values for fold, values in repeat.predictions.items()}
        self._put(repeat.file, content, arrays)

    def files(self, study: str) -> list[str]:
        """Return the names of a study's files, below its folder, in their order."""
        folder = self.folder / study
        return [p.relative_to(folder).as_posix() for p in sorted(folder.rglob("[!.]*.npz"))]

    def repeats(self, study: str, files: Iterable[str] | None = None) -> Iterator[Repeat]:
        """Yield the repeats of a study, by edition, model, condition and number.

        With ``files`` only those of these names: what a recorder adds meanwhile is left out.
        """
        for name in self.files(study) if files is None else files:
            if name.count("/") != 2:
                continue
            path = self.folder / study / name
            yield _repeat(study, path)

    def sha256(self, study: str, files: Iterable[str] | None = None) -> str:
        """Return a hash over the names and contents of a study's files, or of those given.

        Raises
        ------
        StoreError
            If a given file is not there.
        """
        digest = hashlib.sha256()
        for name in self.files(study) if files is None else files:
            path = self.folder / study / name
            if not path.is_file():
                raise StoreError(f"{path} is missing; the card of {study} was derived from it")
            digest.update(f"{study}/{name}".encode())
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def merge(self, other: Path) -> list[Path]:
        """Copy what another store has and this one lacks; return the files copied.

        Raises
        ------
        StoreError
            For a file that both have with different content, one that is damaged, and a folder that
            is no store. Nothing is copied then.
        """
        if not Path(other).is_dir():
            raise StoreError(f"there is no folder {other}; name one like {self.folder}")
        missing = []
        for file in _files(Path(other)):
            own, theirs = self.folder / file, Path(other) / file
            stored = _read(theirs)
            if own.is_file():
                _check_equal(own, _read(own), theirs, stored)
            else:
                missing.append(file)
        for file in missing:
            with write_atomically(self.folder / file) as temporary:
                shutil.copyfile(Path(other) / file, temporary)
        return missing

    def _put(
        self, file: Path, content: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> None:
        path = self.folder / file
        text = json.dumps(content, sort_keys=True, allow_nan=False)
        if path.is_file():
            _check_equal(path, _read(path), "what was computed", (json.loads(text), dict(arrays)))
            return
        with write_atomically(path) as temporary:
            stored: dict[str, Any] = {"content": text, **arrays}
            np.savez_compressed(temporary, **stored)


def chosen(repeats: Iterable[Repeat], folds: int) -> list[Repeat]:
    """Return the repeats that count: a model's of the design where one of them is whole."""
    every = list(repeats)
    whole = {
        (r.model, r.condition) for r in every if r.edition == "design" and len(r.replicas) >= folds
    }
    return [r for r in every if (r.edition == "design") == ((r.model, r.condition) in whole)]


def _repeat(study: str, path: Path) -> Repeat:
    content, arrays = _read(path)
    condition, _, number = path.stem.rpartition("-")
    try:
        read = Repeat(
            study=study,
            edition=path.parent.parent.name,
            model=path.parent.name,
            condition=condition,
            repeat=int(number),
            row=dict(content["row"]),
            replicas={int(fold): dict(of) for fold, of in content["replicas"].items()},
            predictions={int(fold): values for fold, values in arrays.items()},
            under=content["under"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(
            f"{path} does not say what a repeat does ({error}); remove it, and record it again"
        ) from error
    if read.replicas.keys() != read.predictions.keys():
        raise StoreError(
            f"{path} has replicas of folds {sorted(read.replicas)} and predictions of "
            f"{sorted(read.predictions)}; remove it, and record it again"
        )
    return read


def _files(folder: Path) -> list[Path]:
    """Return the files of a store below its folder, each checked to stand where one stands."""
    names = ("[!.]*.npz", f"[!.]*{FAILED}")
    files = sorted(path.relative_to(folder) for name in names for path in folder.rglob(name))
    for file in files:
        parts = file.parts
        if parts[1:] != ("study.npz",) and not (len(parts) == 4 and parts[1] in EDITIONS):
            raise StoreError(
                f"{folder / file} has no place in a store; name the folder of <study>/study.npz"
            )
    return files


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    try:
        if path.name.endswith(FAILED):
            return json.loads(path.read_text(encoding="utf-8")), {}
        # Opened here, because np.load leaves the file open where it is no whole archive.
        with path.open("rb") as file, np.load(file) as stored:
            arrays = {name: stored[name] for name in stored.files}
        return json.loads(str(arrays.pop("content"))), arrays
    except Exception as error:  # zipfile and numpy raise many kinds
        raise StoreError(
            f"{path} cannot be read ({error}); remove it, and record that repeat again"
        ) from error


def _check_equal(
    path: Path,
    ours: tuple[dict[str, Any], dict[str, np.ndarray]],
    other: Path | str,
    theirs: tuple[dict[str, Any], dict[str, np.ndarray]],
) -> None:
    same = _without_machine(ours[0]) == _without_machine(theirs[0])
    same = same and ours[1].keys() == theirs[1].keys()
    if not same or not all(
        np.array_equal(ours[1][k], theirs[1][k], equal_nan=True) for k in ours[1]
    ):
        raise StoreError(
            f"{path} and {other} hold different content for the same repeat; compare them: "
            "other data, another revision of a model, or another machine's rounding"
        )


def _without_machine(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_machine(v) for k, v in value.items() if k not in _OF_THE_MACHINE}
    return [_without_machine(v) for v in value] if isinstance(value, list) else value
