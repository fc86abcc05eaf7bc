"""Read a named member out of an archive, or out of an archive inside it, without unpacking."""

from __future__ import annotations

import fnmatch
import io
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

from chemdl.data.errors import DatasetError, UnsafeArchiveError
from chemdl.data.transfer import CHUNK, require_sha256
from chemdl.files import write_atomically

_ZIPS = (".zip", ".whl")


def extract(archive: Path, path: Sequence[str], target: Path, sha256: str) -> Path:
    """Write one member to ``target`` if it is complete and has this SHA-256; else write nothing.

    ``path`` names the member; of several names each but the last is an archive in the one before. A
    name with ``*`` stands for all members that match, sorted by name and joined back to back. No
    other member is written, and the paths inside the archive never decide where a file is written.

    Raises
    ------
    UnsafeArchiveError
        If the path of the member, or of one before it in the archive, contains ``..`` or is
        absolute, or if the member is not a plain file.
    HashMismatchError
        If the member does not have the registered SHA-256.
    DatasetError
        If there is no such member, or if the archive is damaged.
    """
    with write_atomically(target) as temporary:
        try:
            with archive.open("rb") as stream, temporary.open("wb") as out:
                for content in _contents(stream, archive.name, path):
                    shutil.copyfileobj(content, out, CHUNK)
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise DatasetError(
                f"{archive.name} is damaged ({error}): delete it from the cache and fetch it again"
            ) from error
        require_sha256(temporary, sha256, " in ".join([*reversed(path), archive.name]))
    return target


def _contents(stream: IO[bytes], name: str, path: Sequence[str]) -> Iterator[IO[bytes]]:
    """Yield what ``path`` names in the archive ``name``, open for reading, part by part."""
    wanted, *inner = path
    matching: dict[str, bytes] = {}
    for member, is_file, opened in _members(stream, name):
        parts = PurePosixPath(member)
        if parts.is_absolute() or ".." in parts.parts or "\\" in member or ":" in member[:3]:
            raise UnsafeArchiveError(
                f"{name} holds the member {member!r}, whose path leads out of the archive; "
                "nothing was read from it"
            )
        if member == wanted:
            if not is_file:
                raise UnsafeArchiveError(
                    f"{wanted!r} in {name} is a link or a folder, not a plain file"
                )
            content = opened()
            if inner and wanted.endswith(_ZIPS):
                # A zip is read from its end, and a stream out of an archive cannot go there.
                content = io.BytesIO(content.read())
            yield from _contents(content, wanted, inner) if inner else [content]
            return
        if "*" in wanted and is_file and fnmatch.fnmatchcase(member, wanted):
            matching[member] = opened().read()
    if not matching:
        raise DatasetError(f"{name} has no member {wanted!r}: check the path in datasets.yml")
    yield from (io.BytesIO(matching[member]) for member in sorted(matching))


def _members(stream: IO[bytes], name: str) -> Iterator[tuple[str, bool, Callable[[], Any]]]:
    """Yield each member's name, whether it is a plain file, and what opens it."""
    if name.endswith(_ZIPS):
        with zipfile.ZipFile(stream) as archive:
            for entry in archive.infolist():
                yield entry.filename, not entry.is_dir(), partial(archive.open, entry)
    else:
        # Read once from the front, so that a tar inside another archive needs no copy.
        with tarfile.open(fileobj=stream, mode="r|*") as tar:
            for member in tar:
                yield member.name, member.isreg(), partial(tar.extractfile, member)
