"""Find a release file on the package indexes that the user's pip uses, and download it as data."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from chemdl.data.errors import HashMismatchError, UnavailableError
from chemdl.data.registry import Release
from chemdl.data.transfer import TIMEOUT, bring, certificates, local_path, split_credentials

_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1")
_TRUE = {"1", "true", "t", "yes", "y", "on"}


def pip_options() -> dict[str, str]:
    """Return the user's pip options by name: of its files, and the ``PIP_…`` variables above them.

    As in pip, the section of a command takes precedence over ``[global]``.
    """
    command = [sys.executable, "-m", "pip", "config", "list", "--disable-pip-version-check"]
    # Where pip is not installed this lists nothing, and the variables are all there is.
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    options = {}
    for section in ("global.", "install.", "download."):
        for name, _, value in (line.partition("=") for line in lines):
            if name.startswith(section):
                options[name.removeprefix(section)] = str(ast.literal_eval(value))
    return options | {
        name.removeprefix("PIP_").lower().replace("_", "-"): value
        for name, value in os.environ.items()
        if name.startswith("PIP_") and value
    }


def download(release: Release, target: Path, progress: bool = True) -> None:
    """Download a release's file to ``target``; it is not installed, built or imported.

    Raises
    ------
    UnavailableError
        If no configured index has the file or can be reached; the message lists their answers.
    HashMismatchError
        If an index lists or sends a file of this name with another SHA-256.
    """
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    pip = pip_options()
    project = re.sub(r"[-_.]+", "-", release.requirement.partition("==")[0]).lower()
    # Each place to ask, and where it lists the project's files.
    places = {place: place for place in pip.get("find-links", "").split()}
    if pip.get("no-index", "").lower() not in _TRUE:
        default = pip.get("index-url") or PYPI_SIMPLE_ENDPOINT
        urls = f"{default} {pip.get('extra-index-url', '')}".split()
        places |= {url: f"{url.rstrip('/')}/{project}/" for url in urls}
    answers = []
    for place, page in places.items():
        shown, _ = split_credentials(place)
        try:
            links = _links(page, project, pip)
            found = next((link for link in links if _file_name(link[0]) == release.file), None)
        except Exception as error:  # whatever one index does must not hide the others
            answers.append(f"{shown}: {error}")
            continue
        if found is None:
            answers.append(f"{shown}: does not list {release.file}")
            continue
        address, listed = found
        if listed not in (None, release.sha256):
            raise HashMismatchError(
                f"{shown} lists {release.file} with sha256 {listed}, registered is "
                f"{release.sha256}; it was not fetched"
            )
        return bring(address, target, release.sha256, progress, **_options(address, pip))
    raise UnavailableError(
        f"{release.file} ({release.requirement}) was not found on the package indexes of your "
        f"pip configuration ({'; '.join(answers) or 'none is configured'}). Check the network, "
        "or name a reachable index by PIP_INDEX_URL or in pip.conf"
    )


def _links(page: str, project: str, pip: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    """Yield the address and the listed sha256 of each file on a page, or in a folder."""
    import requests
    from pypi_simple import ACCEPT_ANY, ProjectPage

    path, options = local_path(page), _options(page, pip)
    if path is not None and path.is_dir():
        for file in sorted(path.iterdir()):
            yield file.as_uri(), None
            if file.suffix in {".html", ".htm"}:
                yield from _links(file.as_uri(), project, pip)
        return
    yield page, None  # to pip, a place for links may be the file itself
    if path is not None:
        listed = ProjectPage.from_html(project, path.read_bytes(), path.as_uri())
    elif urlsplit(page).scheme == "https" or not options["verify"] or _is_loopback(page):
        headers = {"Accept": ACCEPT_ANY}
        address, _ = split_credentials(page)
        response = requests.get(address, headers=headers, timeout=TIMEOUT, **options)
        response.raise_for_status()
        listed = ProjectPage.from_response(response, project)
    else:
        raise UnavailableError("not asked without HTTPS: name its host as pip's trusted-host")
    for package in listed.packages:
        yield package.url, package.digests.get("sha256")


def _options(address: str, pip: Mapping[str, str]) -> dict[str, Any]:
    """Return what requests must be told to get an address: credentials, and what to verify by."""
    plain, credentials = split_credentials(address)
    host = urlsplit(plain)
    for option in ("index-url", "extra-index-url", "find-links"):
        for place, known in map(split_credentials, pip.get(option, "").split()):
            if urlsplit(place).netloc == host.netloc:
                credentials = credentials or known
    trusted = {host.hostname, host.netloc} & {*pip.get("trusted-host", "").split()}
    verify = not trusted and (pip.get("cert") or certificates())
    return {"auth": credentials, "verify": verify}


def _is_loopback(address: str) -> bool:
    return _LOOPBACK.fullmatch(urlsplit(address).hostname or "") is not None


def _file_name(address: str) -> str:
    return PurePosixPath(unquote(urlsplit(address).path)).name
