"""The rivals: classical models over the same raw inputs as the nets, with strong, stated settings.

Those over molecules are exported here; other inputs, and tasks of their own, have a module each.
"""

from importlib import import_module

from chemdl.baselines.molecules import (
    CLASSIFIERS,
    REGRESSORS,
    BaselineClassifier,
    BaselineRegressor,
    TaskwiseBaseline,
    classifier,
    regressor,
)

__all__ = [
    "CLASSIFIERS",
    "REGRESSORS",
    "BaselineClassifier",
    "BaselineRegressor",
    "TaskwiseBaseline",
    "classifier",
    "every_name",
    "regressor",
]

_NAMED = {
    "chains": ("BASELINES",),
    "geometries": ("REGRESSORS",),
    "materials": ("CLASSIFIERS", "REGRESSORS"),
    "molecules": ("CLASSIFIERS", "REGRESSORS"),
    "scoring": ("CLASSIFIERS",),
    "screening": ("CLASSIFIERS",),
}


def every_name() -> frozenset[str]:
    """Return the names of all rivals, whatever they read."""
    return frozenset(
        name
        for module, lists in _NAMED.items()
        for one in lists
        for name in getattr(import_module(f"chemdl.baselines.{module}"), one)
    )
