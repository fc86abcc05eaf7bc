"""Read a named member out of an archive, or out of an archive inside it, without unpacking."""

from __future__ import annotations

import errno
import fnmatch
import io
import lzma
import struct
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
# What is packed by more than this, beyond some bytes, is no table but a bomb. Registered archives
# unpack to forty times their size at most.
_MOST_UNPACKED, _SMALL = 200, 1 << 26
_DAMAGES = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error,
    # Of the standard library, at sizes, names and packings that were altered or are unknown.
    NotImplementedError, RuntimeError, TypeError, ValueError, OverflowError,
)  # fmt: skip


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
        If there is no such member, if the archive is damaged, or if it unpacks to far more than a
        table does.
    """
    most = _SMALL + _MOST_UNPACKED * archive.stat().st_size
    with write_atomically(target) as temporary:
        try:
            with archive.open("rb") as stream, temporary.open("wb") as out:
                for content in _contents(stream, archive.name, path, most):
                    for part in _parts(content, archive.name, most - out.tell()):
                        out.write(part)
        except DatasetError:
            raise
        except OSError as error:
            # Those of the system have a file or a full disk to tell of.
            if error.errno not in (None, errno.EINVAL):
                raise
            raise _damaged(archive, error) from error
        except _DAMAGES as error:
            raise _damaged(archive, error) from error
        require_sha256(temporary, sha256, " in ".join([*reversed(path), archive.name]))
    return target


def _damaged(archive: Path, error: Exception) -> DatasetError:
    reason = " ".join(str(error).split())
    return DatasetError(
        f"{archive.name} is damaged ({reason}): delete it from the cache and fetch it again"
    )


def _parts(content: IO[bytes], name: str, most: int) -> Iterator[bytes]:
    """Yield a member part by part, and refuse one of more than so many bytes."""
    while part := content.read(CHUNK):
        most -= len(part)
        if most < 0:
            raise UnsafeArchiveError(
                f"{name} unpacks to more than {_MOST_UNPACKED} times its size, as no table does; "
                "nothing was kept. Fetch it again from where its owner keeps it"
            )
        yield part


def _contents(stream: IO[bytes], name: str, path: Sequence[str], most: int) -> Iterator[IO[bytes]]:
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
                content = io.BytesIO(b"".join(_parts(content, name, most)))
            yield from _contents(content, wanted, inner, most) if inner else [content]
            return
        if "*" in wanted and is_file and fnmatch.fnmatchcase(member, wanted):
            matching[member] = b"".join(_parts(opened(), name, most))
            most -= len(matching[member])
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
