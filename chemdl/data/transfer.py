"""Bring one file from an address or a folder, checked by its sha256, whole or not at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

from chemdl.data.errors import HashMismatchError, UnavailableError
from chemdl.files import write_atomically

CHUNK = 1 << 18
TIMEOUT = 30.0
ATTEMPTS = 3
# Yields the bytes of a file in chunks; the total is None where the sender does not say it.
Opened = tuple[Iterator[bytes], int | None]
Opener = Callable[[], AbstractContextManager[Opened]]


def sha256_of(path: Path) -> str:
    """Return a file's sha256."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_whole(path: Path, sha256: str) -> bool:
    """Tell whether the file is there with these bytes; a cut-off one is not."""
    return path.is_file() and sha256_of(path) == sha256


def mirrored(folder: str, file: str) -> str | None:
    """Return where ``CHEMDL_MIRROR``, a folder or an address, would hold ``folder/file``."""
    mirror = os.environ.get("CHEMDL_MIRROR", "")
    if not mirror:
        return None
    if "://" in mirror:
        return f"{mirror.rstrip('/')}/{urllib.parse.quote(f'{folder}/{file}')}"
    return str(Path(mirror).expanduser() / folder / file)


def bring(location: str, target: Path, sha256: str, progress: bool = True) -> Path:
    """Copy the file at an address or a path to ``target``.

    Raises
    ------
    UnavailableError
        when it is not there, cannot be reached, or the transfer was cut off.
    HashMismatchError
        when its bytes are others. Nothing is written in either case.
    """
    return receive(lambda: _open(location), location, target, sha256, progress)


def receive(
    opener: Opener, location: str, target: Path, sha256: str, progress: bool = True
) -> Path:
    """Write what ``opener`` yields to ``target``; as :func:`bring`, for any way to open a file."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with write_atomically(target) as temporary, temporary.open("wb") as out:
                found = _copy(opener, out, location, target.name, progress)
                if found != sha256:
                    raise HashMismatchError(
                        f"{target.name} from {location} has sha256 {found}, registered is "
                        f"{sha256}; nothing was kept. The file there has changed or was altered "
                        "on the way: fetch it again, or correct datasets.yml if the new file is "
                        "meant"
                    )
            return target
        except UnavailableError as error:
            if attempt == ATTEMPTS or not error.passing:
                raise
            time.sleep(0.5 * attempt)
    raise AssertionError("the last attempt returns or raises")


def _copy(opener: Opener, out: IO[bytes], location: str, name: str, progress: bool) -> str:
    from tqdm import tqdm

    digest, received = hashlib.sha256(), 0
    # The delay keeps small files silent.
    with (
        opener() as (chunks, total),
        tqdm(
            total=total,
            desc=name,
            unit="B",
            unit_scale=True,
            leave=False,
            delay=0.5,
            disable=not progress,
        ) as bar,
    ):
        for chunk in chunks:
            out.write(chunk)
            digest.update(chunk)
            received += len(chunk)
            bar.update(len(chunk))
    if total is not None and received != total:
        raise UnavailableError(
            f"{location} was cut off after {received} of {total} bytes", passing=True
        )
    return digest.hexdigest()


@contextmanager
def _open(location: str) -> Iterator[Opened]:
    if "://" not in location:
        location = Path(location).absolute().as_uri()
    request = urllib.request.Request(location, headers={"User-Agent": "chemdl"})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        raise UnavailableError(f"{location} answers {error.code} {error.reason}") from error
    except OSError as error:
        raise UnavailableError(
            f"{location} cannot be reached: {getattr(error, 'reason', None) or error}",
            passing=not location.startswith("file:"),
        ) from error
    with response:
        length = response.headers.get("Content-Length")
        yield _chunks(response, location), int(length) if length else None


def _chunks(response: IO[bytes], location: str) -> Iterator[bytes]:
    try:
        while chunk := response.read(CHUNK):
            yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise UnavailableError(f"{location} broke off: {error}", passing=True) from error
