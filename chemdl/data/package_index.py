"""Find a release file on the package indexes that the user's pip asks, and bring it as data."""

from __future__ import annotations

import ast
import importlib.util
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from chemdl.data.errors import HashMismatchError, UnavailableError
from chemdl.data.registry import Release
from chemdl.data.transfer import CHUNK, TIMEOUT, Opened, receive

# Stands for the index that is asked where none is configured: the finder knows its address.
_DEFAULT_INDEX = ""
# pip's sections, the later above the earlier.
_SECTIONS = ("global", "install", "download", ":env:")


class Indexes(NamedTuple):
    """Where pip looks: index addresses, folders or pages of links, and how it trusts them."""

    index_urls: list[str]
    find_links: list[str]
    trusted_hosts: list[str]
    certificates: str | None


def configured_indexes() -> Indexes:
    """Read the user's pip configuration: its files, and the ``PIP_…`` variables above them."""
    options = _pip_options()
    urls = options.get("index-url", "").split() or [_DEFAULT_INDEX]
    urls += options.get("extra-index-url", "").split()
    alone = options.get("no-index", "").lower() in {"1", "true", "yes", "on"}
    return Indexes(
        index_urls=[] if alone else urls,
        find_links=options.get("find-links", "").split(),
        trusted_hosts=options.get("trusted-host", "").split(),
        certificates=options.get("cert") or None,
    )


def download(release: Release, target: Path, progress: bool = True) -> Path:
    """Bring a release's file to ``target``; it is not installed, built or imported.

    Raises
    ------
    UnavailableError
        when no configured index has the file or can be reached; the message says what each
        answered.
    HashMismatchError
        when an index lists, or sends, other bytes under the file's name.
    """
    indexes = configured_indexes()
    with _session(indexes) as session:
        url, shown = _find(release, indexes, session)

        @contextmanager
        def opener() -> Iterator[Opened]:
            with _as_unavailable(shown):
                stream = session.get_stream(url)
                response = stream.__enter__()
            try:
                with _as_unavailable(shown):
                    response.raise_for_status()
                length = response.headers.get("Content-Length")
                yield _chunks(response, shown), int(length) if length else None
            finally:
                stream.__exit__(None, None, None)

        return receive(opener, shown, target, release.sha256, progress)


def _find(release: Release, indexes: Indexes, session: Any) -> tuple[str, str]:
    """Return the address of the release's file, and the same without credentials."""
    answers = []
    for kind, location in _locations(indexes):
        try:
            links = _links(release, kind, location, indexes, session)
        except Exception as error:  # whatever one index does must not hide the others
            answers.append(f"{_without_credentials(location)}: {error}")
            continue
        for link in links:
            if link.filename == release.file:
                listed = (link.hash_option or {}).get("sha256", [release.sha256])
                if release.sha256 not in listed:
                    raise HashMismatchError(
                        f"{_without_credentials(location)} lists {release.file} with sha256 "
                        f"{', '.join(listed)}, registered is {release.sha256}; it was not fetched"
                    )
                return link.url_without_fragment, link.redacted
        answers.append(f"{_without_credentials(location)}: does not list {release.file}")
    raise UnavailableError(
        f"{release.file} ({release.requirement}) was not found on the package indexes of your "
        f"pip configuration ({'; '.join(answers) or 'none is configured'}). Check the network, "
        "or name a reachable index by PIP_INDEX_URL or in pip.conf"
    )


def _links(release: Release, kind: str, location: str, indexes: Indexes, session: Any) -> list[Any]:
    from unearth import PackageFinder

    finder = PackageFinder(
        session,
        index_urls=[location] if kind == "index" and location else [],
        find_links=[location] if kind == "links" else [],
        trusted_hosts=indexes.trusted_hosts,
        ignore_compatibility=True,
    )
    found = finder.find_matches(release.requirement, allow_yanked=True, allow_prereleases=True)
    return [package.link for package in found]


def _locations(indexes: Indexes) -> Iterator[tuple[str, str]]:
    """Yield each place to ask, and its kind: nearest first."""
    for folder in indexes.find_links:
        yield "links", folder
    for url in indexes.index_urls:
        yield "index", url


def _session(indexes: Indexes) -> Any:
    from unearth.auth import MultiDomainBasicAuth
    from unearth.fetchers import PyPIClient

    # Without an own file the session trusts what SSL_CERT_FILE or the system says.
    context = ssl.create_default_context(cafile=indexes.certificates)
    session = PyPIClient(verify=context, trusted_hosts=indexes.trusted_hosts, timeout=TIMEOUT)
    session.follow_redirects = True
    session.auth = MultiDomainBasicAuth(
        prompting=False, index_urls=list(filter(None, indexes.index_urls))
    )
    return session


def _chunks(response: Any, shown: str) -> Iterator[bytes]:
    with _as_unavailable(shown):
        yield from response.iter_bytes(CHUNK)


@contextmanager
def _as_unavailable(shown: str) -> Iterator[None]:
    # The finder's HTTP library, and so its errors, depends on the finder's release.
    try:
        yield
    except (GeneratorExit, UnavailableError):
        raise
    except Exception as error:
        raise UnavailableError(f"{shown} cannot be reached: {error}", passing=True) from error


def _pip_options() -> Mapping[str, str]:
    """Return pip's options by name; a command's section beats [global], variables beat both."""
    found: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    if importlib.util.find_spec("pip") is not None:
        command = [sys.executable, "-m", "pip", "config", "list", "--disable-pip-version-check"]
        listed = subprocess.run(command, capture_output=True, text=True, check=False)
        for line in listed.stdout.splitlines():
            name, _, value = line.partition("=")
            section, _, option = name.rpartition(".")
            if section in found and value:
                found[section][option] = str(ast.literal_eval(value))
    variables = {
        name.removeprefix("PIP_").lower().replace("_", "-"): value
        for name, value in os.environ.items()
        if name.startswith("PIP_") and value
    }
    found[":env:"] |= variables
    return {option: value for s in _SECTIONS for option, value in found[s].items()}


def _without_credentials(location: str) -> str:
    from unearth import Link

    if not location:
        return "the default index"
    return Link(location).redacted if "://" in location else location
