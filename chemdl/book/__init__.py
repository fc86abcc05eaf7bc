"""Run the chapters, hold their numbers to what was calibrated, and assemble the book.

``run`` executes chapters through papermill; ``regression`` compares their numbers with the stored
distributions that ``calibration`` measured; ``pages`` writes what is made from records; ``site``
assembles and builds the book, and ``check`` looks at what was built.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "build_book": "site",
    "calibrate": "calibration",
    "check_book": "check",
    "check_run": "regression",
    "chapter_files": "run",
    "run_chapters": "run",
    "write_address": "site",
    "write_readme": "readme",
}
_MODULES = ("calibration", "check", "pages", "readme", "regression", "run", "site")

__all__ = [*_MODULES, *_NAMES]


def __getattr__(name: str) -> Any:
    """Import a module, or the module of one of the names above, when it is first used."""
    if name in _MODULES:
        return import_module(f"chemdl.book.{name}")
    if name in _NAMES:
        return getattr(import_module(f"chemdl.book.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'chemdl.book' has no attribute {name!r}")
