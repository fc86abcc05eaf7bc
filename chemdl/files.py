"""Where the project's files are, and how a file is written so that no reader sees half of it."""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Hidden, so that no glob for results takes one; the name tells whose they are.
_TEMPORARY = ".chemdl-"
_SWEPT_AFTER = 24 * 3600.0


# Records of this project nest eight deep; a loader's own stack ends at some thousands. A name that
# stands for several names, again and again, is a short text of any length.
_DEEPEST, _MOST_ALIASES = 100, 20

_NO_HOME = (
    "this user has no home folder, and so no cache; let CHEMDL_CACHE name a folder that you may "
    "write, without ~"
)


class RecordFileError(ValueError):
    """A file of records that cannot be read as what it is meant to be."""


class NoHomeError(OSError):
    """There is no home folder to keep a cache in."""


def cache_dir() -> Path:
    """Return the cache folder: ``CHEMDL_CACHE``, or the user's cache folder.

    Raises
    ------
    NoHomeError
        For a user without a home folder, where ``CHEMDL_CACHE`` names none.
    """
    import platformdirs

    try:
        if named := os.environ.get("CHEMDL_CACHE"):
            return Path(named).expanduser()
        folder = Path(platformdirs.user_cache_dir("chemdl"))
    except (RuntimeError, KeyError) as error:
        raise NoHomeError(_NO_HOME) from error
    if not folder.is_absolute():
        raise NoHomeError(_NO_HOME)
    return folder


def project_root() -> Path | None:
    """Return the checkout that holds the working folder or this file, or ``None``."""
    here = Path.cwd()
    candidates = [here, *here.parents, Path(__file__).resolve().parents[1]]
    return next((c for c in candidates if (c / "chapters").is_dir() and _is_ours(c)), None)


def clone() -> Path | None:
    """Return the checkout that this package is used from, or ``None`` where it was installed."""
    beside = Path(__file__).resolve().parents[1]
    return beside if _is_ours(beside) else None


def data_dir() -> Path:
    """Return the folder with datasets.yml, claims.yml, embedded/ and results/."""
    beside = clone()
    return beside / "data" if beside else Path(__file__).with_name("_data")


def chapters_dir() -> Path:
    """Return the folder with the notebooks: the checkout's chapters/, else the package's own copy.

    Nothing is ever written there.
    """
    root = project_root()
    return root / "chapters" if root else Path(__file__).with_name("_chapters")


def check_file_name(kind: str, name: str) -> None:
    """Refuse a name that cannot be a file's everywhere, or that would leave its folder.

    Raises
    ------
    ValueError
        Naming the kind of thing, its name and what is allowed.
    """
    plain = name.isprintable() and not set(name) & set('/\\:*?"<>|')
    if not plain or not name.strip() or name.startswith(".") or len(name.encode()) > 200:
        raise ValueError(
            f"{kind} {name!r} is to be part of a file's name: use letters, digits, - and _, "
            "without a dot at the beginning"
        )


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; move it to ``path`` if the block ends without error.

    A reader sees the old file or the whole new one; an error or a kill leaves no half file under
    the name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_TEMPORARY, suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes private files; results are as open to others as the user's other files.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what killed processes left half-written below a folder, a day ago or more."""
    for path in folder.rglob(f"{_TEMPORARY}*"):
        with contextlib.suppress(OSError):
            if path.is_file() and time.time() - path.stat().st_mtime > _SWEPT_AFTER:
                path.unlink()


@functools.cache
def _umask() -> int:
    # It can only be read by setting it.
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def read_yaml(path: Path) -> Any:
    """Read a YAML file in which each name of a mapping stands once.

    Raises
    ------
    RecordFileError
        For text that is not YAML, nested without end or full of aliases, and a name that stands
        twice, of which YAML would keep the last.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        loader = _loader_of_unique_names()
        _check_extent(path.name, yaml.parse(text, Loader=loader))
        return yaml.load(text, Loader=loader)
    # ValueError: a number or a date that Python cannot hold.
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, RecordFileError):
            raise
        reason = " ".join(str(error).split())
        raise RecordFileError(f"{path.name}: {reason}; mend the file") from error


def _check_extent(name: str, events: Iterable[Any]) -> None:
    """Refuse what a loader would follow until its stack or the memory ends."""
    import yaml

    depth = aliases = 0
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        aliases += isinstance(event, yaml.AliasEvent)
        if depth > _DEEPEST or aliases > _MOST_ALIASES:
            what = f"aliases (*name), more than {_MOST_ALIASES}"
            what = f"parts nested deeper than {_DEEPEST}" if depth > _DEEPEST else what
            line = event.start_mark.line + 1
            raise RecordFileError(f"{name} line {line}: {what}; write them out plainly")


@functools.cache
def _loader_of_unique_names() -> Any:
    import yaml

    class UniqueNames(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[str] = set()
            for key, _ in node.value:
                if isinstance(key.value, str) and key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{key.value!r} stands twice in one mapping", key.start_mark
                    )
                # Lists and mappings are no names, and several mappings may be merged in.
                if isinstance(key.value, str) and key.value != "<<":
                    seen.add(key.value)
            return super().construct_mapping(node, deep)

    return UniqueNames


def read_arrays(path: Path) -> dict[str, Any] | None:
    """Read a file that ``numpy.savez`` wrote; ``None`` where it is absent, cut off or altered.

    The checksums of the zip's members tell an altered file.
    """
    import numpy as np

    try:
        # Opened here, because np.load leaves the file open where it is no whole archive.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error):
        return None


def _is_ours(folder: Path) -> bool:
    pyproject = folder / "pyproject.toml"
    return pyproject.is_file() and 'name = "chemdl"' in pyproject.read_text(encoding="utf-8")
