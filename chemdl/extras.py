"""What each part of chemdl needs, what of it is missing, and the command that installs it.

chemdl itself is not on a package index, so ``pip install chemdl[run]`` does not work. The packages
of such an extra are on the index; a clone or the installed metadata list them.
"""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
import tomllib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from chemdl.files import clone


def advice(extra: str) -> str:
    """Return a sentence that says what to do if packages of an extra are missing.

    ``extra`` is one of pyproject.toml's (``run``, ``book``, …). The command works from any folder,
    for whoever has a wheel, a clone, or a copy of the package alone.
    """
    read = requirements()
    if read and not read.get(extra):
        return f"It has no release for Python {platform.python_version()}."
    command = install_command(extra)
    return f"To install it: {command}" if command else "Install the package that is named."


def requirements() -> dict[str, list[Requirement]]:
    """Return what chemdl asks for on this Python, by optional part; "" is what it always needs.

    A clone's own pyproject.toml counts, since the record of an editable installation may be older;
    elsewhere it is what the installed package says of itself. Empty where neither is there.
    """
    if root := clone():
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        parts = {"": project["dependencies"], **project["optional-dependencies"]}
    else:
        try:
            installed = metadata.distribution("chemdl")
        except metadata.PackageNotFoundError:
            return {}
        # Each line names its part in its marker: `papermill>=2.6; extra == "run"`.
        names = ["", *(installed.metadata.get_all("Provides-Extra") or [])]
        parts = {name: installed.requires or [] for name in names}
    read = {name: [Requirement(line) for line in lines] for name, lines in parts.items()}
    always = {str(one) for one in _applying("", read)}
    return {
        name: [one for one in _applying(name, read) if not name or str(one) not in always]
        for name in read
    }


def install_command(extra: str = "") -> str:
    """Return what to type so that an optional part, or with "" what chemdl always needs, is here.

    In a clone it is an editable installation. Elsewhere the packages are named one by one, those
    that are missing, or all where none is: chemdl is on no package index, so that pip could not
    find it by its own name. "" where no record says what is needed.
    """
    if root := clone():
        here = "." if Path.cwd() == root else str(root)
        return f"{pip_install()} -e {_quoted(f'{here}[{extra}]' if extra else here)}"
    wanted = requirements().get(extra, [])
    named = [_plain(one) for one in wanted if _fault(one)] or [_plain(one) for one in wanted]
    return " ".join([pip_install(), *map(_quoted, named)]) if named else ""


def _applying(part: str, read: Mapping[str, Sequence[Requirement]]) -> Iterator[Requirement]:
    """Yield the part's requirements that apply to this Python; `chemdl[run]` stands for those."""
    for one in read.get(part, ()):
        if one.marker and not one.marker.evaluate({"extra": part}):
            continue
        if one.name == "chemdl":
            for other in sorted(one.extras):
                yield from _applying(other, read)
        else:
            yield one


def _fault(requirement: Requirement) -> str:
    """Say what is wrong with a required package: absent, or of another version; "" if nothing."""
    found = installed_version(requirement.name)
    if found is None:
        return requirement.name
    try:
        fits = requirement.specifier.contains(found, prereleases=True)
    except ValueError:
        fits = False
    return "" if fits else f"{requirement.name}{requirement.specifier} (here is {found})"


def installed_version(package: str) -> str | None:
    """Return a package's version, or ``None`` where it is absent or its record is damaged."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return metadata.version(package) or None
    except (metadata.PackageNotFoundError, KeyError):
        return None


def _plain(requirement: Requirement) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}{requirement.specifier}"


def pip_install() -> str:
    """Return how pip is called for the Python that runs, which need not be the first on PATH."""
    running = Path(sys.executable)
    if shutil.which("python") == str(running):
        python = "python"
    else:
        inside = running.is_relative_to(Path.cwd())
        python = _quoted(str(running.relative_to(Path.cwd()) if inside else running))
    # Environments that uv made have no pip.
    if importlib.util.find_spec("pip") is None and shutil.which("uv"):
        return f"uv pip install --python {python}"
    return f"{python} -m pip install"


def unmet(needed: Sequence[Requirement]) -> list[str]:
    """Name the requirements that are absent here, or here in another version."""
    return [fault for one in needed if (fault := _fault(one))]


def _quoted(word: str) -> str:
    """Return a word of a command as every shell understands it."""
    return f'"{word}"' if set(word) & set(" <>[]=,!~()") else word
