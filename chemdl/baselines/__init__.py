"""The rivals: classical models over the same raw inputs as the nets, with strong, stated settings.

Those over molecules are exported here; other inputs, and tasks of their own, have a module each.
"""

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
    "regressor",
]
