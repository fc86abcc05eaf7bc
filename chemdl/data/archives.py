"""Read a named member out of an archive, or out of an archive inside it, without unpacking."""

from __future__ import annotations

import fnmatch
import hashlib
import io
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from chemdl.data.errors import DatasetError, HashMismatchError, UnsafeArchiveError
from chemdl.files import write_atomically

_ZIPS = (".zip", ".whl")
_CHUNK = 1 << 20


def extract(archive: Path, path: Sequence[str], target: Path, sha256: str) -> Path:
    """Write one member to ``target``, whole and with this sha256, or not at all.

    ``path`` names the member; of several names each but the last is an archive in the one before.
    A name with ``*`` stands for all members that match, sorted by name and joined back to back.
    No other member is written, and no member's own path decides where anything is written.

    Raises
    ------
    UnsafeArchiveError
        when the member, or one that lies before it, has ``..`` or an absolute path, or when the
        member is no plain file.
    HashMismatchError
        when the member's bytes are not those registered.
    DatasetError
        when there is no such member, or the archive is damaged.
    """
    where = " in ".join([*reversed(path), archive.name])
    with write_atomically(target) as temporary, temporary.open("wb") as out:
        digest = hashlib.sha256()
        try:
            with archive.open("rb") as stream, _nested(stream, archive.name, path) as member:
                while chunk := member.read(_CHUNK):
                    out.write(chunk)
                    digest.update(chunk)
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise DatasetError(
                f"{archive.name} is damaged ({error}): delete it from the cache and fetch it again"
            ) from error
        if digest.hexdigest() != sha256:
            raise HashMismatchError(
                f"{where} has sha256 {digest.hexdigest()}, registered is {sha256}; nothing was "
                "kept. Correct datasets.yml if this member is meant"
            )
    return target


@contextmanager
def _nested(stream: IO[bytes], name: str, path: Sequence[str]) -> Iterator[IO[bytes]]:
    """Open the members of ``path``, one inside the other."""
    opened = _zip_member if name.endswith(_ZIPS) else _tar_member
    with opened(stream, name, path[0]) as member:
        if len(path) == 1:
            yield member
        elif path[0].endswith(_ZIPS):
            # A zip is read from its end, and what lies inside an archive cannot be searched.
            with tempfile.TemporaryFile() as copy:
                shutil.copyfileobj(member, copy, _CHUNK)
                with _nested(copy, path[0], path[1:]) as inner:
                    yield inner
        else:
            with _nested(member, path[0], path[1:]) as inner:
                yield inner


@contextmanager
def _tar_member(stream: IO[bytes], name: str, wanted: str) -> Iterator[IO[bytes]]:
    # A tar is read once from the front, so one inside another needs no copy.
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=stream, mode="r|*") as tar:
        for member in tar:
            _check_path(name, member.name)
            if "*" in wanted and member.isreg() and fnmatch.fnmatchcase(member.name, wanted):
                opened = tar.extractfile(member)
                found[member.name] = opened.read() if opened else b""
            if member.name == wanted:
                content = tar.extractfile(member) if member.isreg() else None
                if content is None:
                    raise UnsafeArchiveError(f"{wanted!r} in {name} is a link, not a plain file")
                yield content
                return
    if found:
        yield io.BytesIO(b"".join(found[member] for member in sorted(found)))
        return
    raise DatasetError(f"{name} has no member {wanted!r}: check the path in datasets.yml")


@contextmanager
def _zip_member(stream: IO[bytes], name: str, wanted: str) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(stream) as archive:
        for member in archive.namelist():
            _check_path(name, member)
        matching = fnmatch.filter(sorted(archive.namelist()), wanted) if "*" in wanted else []
        if matching:
            yield io.BytesIO(b"".join(archive.read(member) for member in matching))
            return
        if wanted not in archive.namelist():
            raise DatasetError(f"{name} has no member {wanted!r}: check the path in datasets.yml")
        with archive.open(wanted) as content:
            yield content


def _check_path(archive: str, member: str) -> None:
    parts = PurePosixPath(member)
    if parts.is_absolute() or ".." in parts.parts or "\\" in member or ":" in member[:3]:
        raise UnsafeArchiveError(
            f"{archive} holds the member {member!r}, whose path leads out of the archive; "
            "nothing was read from it"
        )
