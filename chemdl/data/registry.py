"""The registry of datasets: what data/datasets.yml says, checked when it is read."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from chemdl.data.dataset import KINDS
from chemdl.data.errors import RegistryError, UnknownDatasetError
from chemdl.data.inputs import DEFAULT_INPUT, INPUTS
from chemdl.data.readers import READERS
from chemdl.files import data_dir, read_yaml
from chemdl.registry import UnknownNameError

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class File:
    """One file of a source: its name within the set, its sha256, and where it lies.

    ``address`` is set for a file with an official address; ``path`` for an archive's member: the
    member, or the members to open one inside the other.
    """

    name: str
    sha256: str
    address: str = ""
    path: tuple[str, ...] = ()
    size: int | None = None


@dataclass(frozen=True)
class Release:
    """One release file of a package: data to read, never a package to install."""

    requirement: str
    file: str
    sha256: str
    size: int | None = None


@dataclass(frozen=True)
class Source:
    """Where a set can be had: ``kind`` is embedded, archive or url; ``read`` its reader's options.

    ``folder`` is the set's folder in a mirror.
    """

    kind: str
    files: tuple[File, ...]
    read: Mapping[str, Any]
    folder: str
    release: Release | None = None

    def __str__(self) -> str:
        if self.kind == "embedded":
            return f"embedded {self.files[0].name}"
        if self.release is not None:
            return f"archive {self.release.requirement}"
        others = len(self.files) - 1
        more = f" and {others} more file{'s' * (others > 1)}" if others else ""
        return f"url {self.files[0].address}{more}"


@dataclass(frozen=True)
class Entry:
    """One set of the registry."""

    name: str
    title: str
    about: str
    domain: str
    kind: str
    unit: str
    tasks: tuple[str, ...]
    rows: int
    licence: Mapping[str, str]
    citation: str
    collection: str | None
    sources: tuple[Source, ...]
    input: str = DEFAULT_INPUT
    reader: str = "table"
    tolerance: float = 0.0
    read: Mapping[str, Any] = field(default_factory=dict)


def names() -> list[str]:
    """Return the names of all registered sets, sorted."""
    return sorted(_registry())


def entry(name: str) -> Entry:
    """Return a set's entry.

    Raises
    ------
    UnknownDatasetError
        For an unknown name; the message lists similar names.
    RegistryError
        For an entry with a missing or invalid field.
    """
    registry = _registry()
    if name not in registry:
        raise UnknownDatasetError(str(UnknownNameError("dataset", name, registry)))
    return registry[name]


def _registry() -> Mapping[str, Entry]:
    path = data_dir() / "datasets.yml"
    return _parsed(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _parsed(path: Path, _changed: int) -> Mapping[str, Entry]:
    document = read_yaml(path)
    releases = {
        name: Release(
            requirement=str(raw["requirement"]),
            file=str(raw["file"]),
            sha256=_hash(name, raw),
            size=raw.get("bytes"),
        )
        for name, raw in document.get("archives", {}).items()
    }
    return {name: _entry(name, raw, releases) for name, raw in document["datasets"].items()}


def _entry(name: str, raw: Mapping[str, Any], releases: Mapping[str, Release]) -> Entry:
    record = f"dataset {name!r}"
    if not _NAME.fullmatch(name):
        raise RegistryError(f"{record}: a name is lower case letters, digits and underscores")
    required = ("title", "about", "domain", "kind", "unit", "rows", "licence", "citation", "read")
    for needed in (*required, "sources"):
        if needed not in raw:
            raise RegistryError(f"{record} has no field {needed!r}")
    known = {*required, "sources", "collection", "input", "reader", "tolerance"}
    for given in raw:
        if given not in known:
            raise RegistryError(f"{record}: {UnknownNameError('field', given, known)}")
    _one_of(record, "kind", raw["kind"], KINDS)
    _one_of(record, "input", raw.get("input", DEFAULT_INPUT), INPUTS)
    _one_of(record, "reader", raw.get("reader", "table"), READERS)
    if "name" not in raw["licence"]:
        raise RegistryError(f"{record}: field 'licence' needs a 'name'")
    if not raw["sources"]:
        raise RegistryError(f"{record}: field 'sources' is empty; name at least one source")
    scalars = {
        key: raw[key] for key in known - {"read", "sources", "licence", "collection"} if key in raw
    }
    return Entry(
        **{**scalars, "name": name, "tolerance": float(raw.get("tolerance", 0.0))},
        tasks=tuple(raw["read"]["targets"]),
        licence=dict(raw["licence"]),
        collection=raw.get("collection"),
        read=raw["read"],
        sources=tuple(_source(record, name, s, raw["read"], releases) for s in raw["sources"]),
    )


def _source(
    record: str,
    name: str,
    raw: Mapping[str, Any],
    read: Mapping[str, Any],
    releases: Mapping[str, Release],
) -> Source:
    options = {**read, **raw.get("read", {})}
    folder = str(raw.get("folder", name))
    if "embedded" in raw:
        stored = str(raw.get("sha256", ""))
        file = File(_safe(record, str(raw["embedded"])), stored)
        if stored and not _SHA256.fullmatch(stored):
            raise RegistryError(f"{record}, {file.name}: {stored!r} is no sha256")
        return Source("embedded", (file,), options, folder)
    if "archive" in raw:
        _one_of(record, "archive", raw["archive"], releases)
        files = tuple(
            File(
                name=_safe(record, member),
                sha256=_hash(f"{name} {member}", fields),
                path=tuple(_safe(record, part) for part in _listed(fields["path"])),
            )
            for member, fields in raw["members"].items()
        )
        return Source("archive", files, options, folder, releases[raw["archive"]])
    if "url" in raw:
        files = tuple(
            File(
                name=_safe(record, file),
                sha256=_hash(f"{name} {file}", fields),
                address=str(fields.get("url", raw["url"] + file)),
                size=fields.get("bytes"),
            )
            for file, fields in raw["files"].items()
        )
        return Source("url", files, options, folder)
    raise RegistryError(f"{record}: a source names one of embedded, archive or url, not {raw}")


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _hash(record: str, raw: Mapping[str, Any]) -> str:
    given = str(raw.get("sha256", ""))
    if not _SHA256.fullmatch(given):
        raise RegistryError(f"{record}: field 'sha256' needs 64 hexadecimal digits, not {given!r}")
    return given


def _safe(record: str, path: str) -> str:
    """Refuse a path that could leave the folder it is meant for."""
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or "\\" in path or not parts.parts:
        raise RegistryError(f"{record}: {path!r} is no relative path inside its folder")
    return path


def _one_of(record: str, what: str, value: str, known: Any) -> None:
    if value not in known:
        raise RegistryError(f"{record}: {UnknownNameError(what, str(value), known)}")
