"""Read what Colab publishes of its machines, and print the versions as constraints for pip.

    python .ci/colab_pins.py FOLDER            every package
    python .ci/colab_pins.py FOLDER --needed   only what chemdl asks for by name

FOLDER holds ``pip-freeze.txt`` and ``os-info.txt``. A line that cannot be read, a package that is
not there any more or another Python is an error: a version that silently floats would make the run
under "Colab's versions" untrue. The standard library suffices, so that it runs before anything is
installed.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Colab has these, and a chapter leans on each: itself, or its kernel.
EXPECTED = (
    "ipykernel",
    "ipython",
    "matplotlib",
    "numpy",
    "pandas",
    "requests",
    "scikit-learn",
    "scipy",
    "statsmodels",
    "torch",
)
# PyTorch names the CUDA packages that it needs itself; Colab's list has those of other libraries.
_CUDA = re.compile(r"(nvidia|cuda|triton)\b")
_PIN = re.compile(r"([A-Za-z0-9._-]+)==([0-9][A-Za-z0-9.!]*)(?:\+[A-Za-z0-9.]+)?")
_ADDRESS = re.compile(r"([A-Za-z0-9._-]+) @ (\S+)")
# A wheel's or an archive's name: package, version, perhaps a local part, then tags or the ending.
_FILE = re.compile(
    r"[A-Za-z0-9._]+-([0-9][A-Za-z0-9.!]*?)(?:\+[A-Za-z0-9.]+)?(?:-[^/]+\.whl|\.tar\.gz|\.zip)"
)


class UnreadableError(ValueError):
    """What Colab publishes has another form, or lacks something that a chapter needs."""


def read_pins(text: str) -> dict[str, str]:
    """Return versions by package from the lines of ``pip freeze``, without local parts (+cpu).

    Raises
    ------
    UnreadableError
        naming the line that is neither a pin nor an address with a version in it.
    """
    pins = {}
    for line in map(str.strip, text.splitlines()):
        if not line or line.startswith("#"):
            continue
        if match := _PIN.fullmatch(line):
            name, version = match.groups()
        elif (match := _ADDRESS.fullmatch(line)) and match[2].startswith("git+"):
            continue  # built from a commit: there is no version to ask an index for
        elif match and (file := _FILE.fullmatch(_file_name(match[2]))):
            name, version = match[1], file[1]
        else:
            raise UnreadableError(f"this line of the list cannot be read: {line}")
        pins[canonical(name)] = version
    return {name: version for name, version in pins.items() if not _CUDA.match(name)}


def read_python(text: str) -> tuple[int, int]:
    """Return Colab's Python as (3, minor) from ``os-info.txt``."""
    found = re.search(r"^Python (\d+)\.(\d+)\.", text, re.MULTILINE)
    if not found:
        raise UnreadableError("no line of os-info.txt names Python's version")
    return int(found[1]), int(found[2])


def needed(pins: Mapping[str, str], project: Mapping) -> dict[str, str]:
    """Return the pins of what chemdl requires by name, or what a chapter's kernel is.

    ``project`` is the table of pyproject.toml. What Colab does not have is the set-up cell's work.

    Raises
    ------
    UnreadableError
        naming the packages that Colab had so far.
    """
    if lost := sorted(set(EXPECTED) - set(pins)):
        raise UnreadableError(f"Colab's list has no {', '.join(lost)}")
    lines = [*project["dependencies"], *project["optional-dependencies"]["run"]]
    names = {canonical(re.split(r"[^A-Za-z0-9._-]", line)[0]) for line in lines}
    return {name: pins[name] for name in sorted(names | set(EXPECTED)) if name in pins}


def canonical(name: str) -> str:
    """Return a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _file_name(address: str) -> str:
    return unquote(urlsplit(address).path).rpartition("/")[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--needed", action="store_true")
    options = parser.parse_args()
    pyproject = Path(__file__).resolve().parents[1] / "pyproject.toml"
    project = tomllib.loads(pyproject.read_text("utf-8"))["project"]
    python = read_python((options.folder / "os-info.txt").read_text("utf-8"))
    if python != sys.version_info[:2]:
        raise UnreadableError(f"Colab has Python {python[0]}.{python[1]}, this is {sys.version}")
    pins = read_pins((options.folder / "pip-freeze.txt").read_text("utf-8"))
    chosen = needed(pins, project)
    for name, version in (chosen if options.needed else pins).items():
        print(f"{name}=={version}")


if __name__ == "__main__":
    try:
        main()
    except UnreadableError as error:
        sys.exit(f"colab_pins: {error}")
