"""Copy one file from an address or a folder, only if complete and of the registered SHA-256."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from chemdl.data.errors import HashMismatchError, UnavailableError
from chemdl.files import write_atomically

CHUNK = 1 << 18
TIMEOUT = 30.0
# Seconds before the second and the third attempt.
WAITS = (0.5, 1.0)
# Small files stay silent.
_BAR: dict[str, Any] = {"unit": "B", "unit_scale": True, "leave": False, "delay": 0.5}


def sha256_of(path: Path) -> str:
    """Return a file's sha256."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_whole(path: Path, sha256: str) -> bool:
    """Tell whether the file is there with these bytes; a cut-off one is not."""
    return path.is_file() and sha256_of(path) == sha256


def require_sha256(path: Path, sha256: str, name: str) -> None:
    """Raise :class:`HashMismatchError`, which calls the file ``name``, where its bytes differ."""
    found = sha256_of(path)
    if found != sha256:
        raise HashMismatchError(
            f"{name} has sha256 {found}, registered is {sha256}; nothing was kept. It was altered "
            "there or on the way: fetch it again, or correct datasets.yml if the new one is meant"
        )


def mirrored(folder: str, file: str) -> str | None:
    """Return where ``CHEMDL_MIRROR``, a folder or an address, would hold ``folder/file``."""
    mirror = os.environ.get("CHEMDL_MIRROR", "")
    if "://" in mirror:
        return f"{mirror.rstrip('/')}/{quote(f'{folder}/{file}')}"
    return str(Path(mirror).expanduser() / folder / file) if mirror else None


def local_path(location: str) -> Path | None:
    """Return the path that a location names; ``None`` for an address on the network."""
    from urllib.request import url2pathname

    if location.startswith("file:"):
        return Path(url2pathname(urlsplit(location).path))
    return None if "://" in location else Path(location).expanduser().absolute()


def split_credentials(address: str) -> tuple[str, tuple[str, str] | None]:
    """Return an address as it may be shown, and the (user, password) that it held, or ``None``."""
    given, at, _ = urlsplit(address).netloc.rpartition("@")
    user, _, password = given.partition(":")
    credentials = (unquote(user), unquote(password)) if at else None
    return address.replace(given + at, "", 1), credentials


def certificates() -> str | bool:
    """Return what requests must verify by: its own variables, SSL_CERT_FILE, or the system's."""
    import ssl

    named = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    paths = ssl.get_default_verify_paths()
    return named or paths.cafile or paths.capath or True


def bring(location: str, target: Path, sha256: str, progress: bool = True, **options: Any) -> None:
    """Copy the file at an address or a path to ``target``; ``options`` go to ``requests.get``.

    Two processes may bring the same file: each writes its own and moves it, whole, to the name.

    Raises
    ------
    UnavailableError
        If the file does not exist, cannot be reached, or if three transfers were cut off.
    HashMismatchError
        If the file has another SHA-256. Nothing is written in either case.
    """
    path = local_path(location)
    address, credentials = split_credentials(location)
    options = {"auth": credentials, "verify": certificates(), **options}
    for wait in (*WAITS, None):
        try:
            with write_atomically(target) as temporary:
                if path is None:
                    _download(address, temporary, target.name, progress, options)
                elif os.access(path, os.R_OK) and path.is_file():
                    shutil.copyfile(path, temporary)
                else:
                    raise UnavailableError(f"{path} cannot be reached: no file that may be read")
                require_sha256(temporary, sha256, f"{target.name} from {address}")
            return
        except UnavailableError as error:
            if wait is None or not error.passing:
                raise
            time.sleep(wait)


def _download(
    address: str, target: Path, name: str, progress: bool, options: dict[str, Any]
) -> None:
    import requests
    import urllib3
    from tqdm import tqdm

    # Bytes as they lie there: some servers call a .gz file's packing an encoding to be undone.
    headers = {"User-Agent": "chemdl", "Accept-Encoding": "identity"}
    options |= {"headers": headers, "stream": True, "timeout": TIMEOUT}
    try:
        with requests.get(address, **options) as response, target.open("wb") as out:
            if not response.ok:
                raise UnavailableError(
                    f"{address} answers {response.status_code} {response.reason}"
                )
            response.raw.enforce_content_length = True
            size = int(response.headers.get("Content-Length", 0)) or None
            with tqdm(total=size, desc=name, disable=not progress, **_BAR) as bar:
                for chunk in response.raw.stream(CHUNK, decode_content=False):
                    out.write(chunk)
                    bar.update(len(chunk))
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise UnavailableError(
            f"{address} cannot be reached or broke off: {error}", passing=True
        ) from error
