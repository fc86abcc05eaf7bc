"""The claims of the review *Deep Learning for Computational Chemistry*, tested.

One way through: ``load`` a dataset, split it by a protocol, take models, run a study, read its
card, draw a figure, judge the claims. Importing this package loads none of that: names are
resolved when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_MODULES = (
    "book",
    "data",
    "evidence",
    "learn",
    "materials",
    "molecules",
    "proteins",
    "quantum",
    "screening",
    "settings",
    "show",
    "threads",
)
# The names a chapter needs before all others, and the module that holds each.
_NAMES = {
    "Condition": "evidence.conditions",
    "Study": "evidence.study",
    "find_result": "evidence.result",
    "find_results": "evidence.result",
    "load": "data",
    "load_claims": "evidence.claims",
    "read_settings": "settings",
}

__all__ = ["__version__", *_MODULES, *_NAMES]


def __getattr__(name: str) -> Any:
    """Import a module or one of the chapter's names when it is first used."""
    if name in _MODULES:
        return import_module(f"chemdl.{name}")
    if name in _NAMES:
        return getattr(import_module(f"chemdl.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'chemdl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
