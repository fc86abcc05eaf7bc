"""The claims of the review *Deep Learning for Computational Chemistry*, tested.

The usual order of work: ``load`` a dataset, split it by a protocol, choose models, run a study,
read its card, draw a figure, judge the claims. Importing this package imports none of the modules
behind these steps: a name is looked up when it is first used.
"""

from __future__ import annotations

import pkgutil
from typing import Any

__version__ = "0.1.0"

# The rooms, and the names that a chapter needs before all others: where each is found.
_LAZY = {
    "book": "chemdl.book",
    "data": "chemdl.data",
    "evidence": "chemdl.evidence",
    "learn": "chemdl.learn",
    "materials": "chemdl.materials",
    "molecules": "chemdl.molecules",
    "proteins": "chemdl.proteins",
    "quantum": "chemdl.quantum",
    "screening": "chemdl.screening",
    "settings": "chemdl.settings",
    "show": "chemdl.show",
    "threads": "chemdl.threads",
    "your_data": "chemdl.your_data",
    "Condition": "chemdl.evidence.conditions:Condition",
    "Study": "chemdl.evidence.study:Study",
    "find_result": "chemdl.evidence.result:find_result",
    "find_results": "chemdl.evidence.result:find_results",
    "load": "chemdl.data:load",
    "load_claims": "chemdl.evidence.claims:load_claims",
    "read_settings": "chemdl.settings:read_settings",
}

__all__ = ["__version__", *_LAZY]


def __getattr__(name: str) -> Any:
    """Import a subpackage, or one of the names that chapters use, when it is first used."""
    if name in _LAZY:
        return pkgutil.resolve_name(_LAZY[name])
    raise AttributeError(f"module 'chemdl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
