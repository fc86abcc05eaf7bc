"""The names of all classical models, whatever they read."""

from __future__ import annotations

from importlib import import_module

_NAMED = {
    "proteins.baselines": ("BASELINES",),
    "quantum.baselines": ("REGRESSORS",),
    "materials.baselines": ("CLASSIFIERS", "REGRESSORS"),
    "molecules.baselines": ("CLASSIFIERS", "REGRESSORS"),
    "screening.scoring": ("CLASSIFIERS",),
    "screening.baselines": ("CLASSIFIERS",),
}


def every_name() -> frozenset[str]:
    """Return the names of all classical models."""
    return frozenset(
        name
        for module, lists in _NAMED.items()
        for one in lists
        for name in getattr(import_module(f"chemdl.{module}"), one)
    )
