"""Packages that not every reader needs: what is missing, and the command that brings it.

chemdl itself is on no package index, so that ``pip install chemdl[run]`` helps nobody; the packages
that such an extra stands for are, and the installed metadata name them.
"""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement


def advice(extra: str) -> str:
    """Return what to do where packages of ``extra`` (``run``, ``book``, …) are missing.

    It works from any folder and for whoever installed a wheel, a clone, or nothing at all.
    """
    pip = f"{_quoted(sys.executable)} -m pip install"
    try:
        always, own = _requirements(""), _requirements(extra)
    except metadata.PackageNotFoundError:
        # A checkout on Python's path that is not installed: only its pyproject.toml knows.
        checkout = Path(__file__).resolve().parents[1]
        return f"To install it: {pip} -e {_quoted(f'{checkout}[{extra}]')}"
    if len(own) == len(always):
        return f"It has no release for Python {platform.python_version()}."
    # Where all are there, one of them is broken or lacks its own packages: name them all again.
    missing = [requirement for requirement in own if not _is_met(requirement)] or own
    packages = sorted(_quoted(f"{package.name}{package.specifier}") for package in missing)
    return f"To install it: {pip} {' '.join(packages)}"


def _requirements(extra: str) -> list[Requirement]:
    """Return what chemdl with this extra requires on this machine."""
    lines = map(Requirement, metadata.requires("chemdl") or [])
    return [line for line in lines if not line.marker or line.marker.evaluate({"extra": extra})]


def _is_met(requirement: Requirement) -> bool:
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return False
    return requirement.specifier.contains(version, prereleases=True)


def _quoted(word: str) -> str:
    """Return a word of a command as every shell understands it."""
    return f'"{word}"' if set(word) & set(" <>[]=,!~()") else word
