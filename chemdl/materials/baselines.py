"""Classical models of materials, over the same descriptors that the descriptor net reads.

They are Magpie's statistics (Ward et al. 2016) and the shares of the elements; of a crystal they
describe the composition only. Targets are (n,) or (n, tasks) with NaN where nothing was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
from sklearn import ensemble
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.svm import SVC

from chemdl.learn.models import baseline
from chemdl.learn.taskwise import TaskwiseBaseline, TaskwiseClassifier, TaskwiseRegressor
from chemdl.materials.compositions import descriptors_and_fractions
from chemdl.registry import UnknownNameError

_BOOSTING_SPACE: dict[str, list[Any]] = {
    "learning_rate": [0.02, 0.05, 0.1],
    "max_iter": [200, 400, 800],
    "max_leaf_nodes": [15, 31, 63],
    "min_samples_leaf": [5, 20, 50],
    "l2_regularization": [0.0, 1.0, 10.0],
}


class _OverCompositions(TaskwiseBaseline):
    """What a classical model sees of a material: ``descriptors``, or ``none``."""

    representation: Literal["descriptors", "none"]

    def features(self, X: Sequence[str]) -> np.ndarray:
        """Return Magpie's statistics and the shares of the elements: (n, descriptors + 103)."""
        if self.representation == "none":
            return np.zeros((len(X), 1))
        return descriptors_and_fractions(X)


class MaterialClassifier(_OverCompositions, TaskwiseClassifier):
    """Binary classification of formulas or crystals, one estimator per task."""

    revision: ClassVar[int] = 1


class MaterialRegressor(_OverCompositions, TaskwiseRegressor):
    """Regression over formulas or crystals, one estimator per task, on scaled targets."""

    revision: ClassVar[int] = 1


def regressor(
    name: str, *, trees: int = 300, rounds: int = 500, seed: int = 0
) -> MaterialRegressor:
    """Return the regression baseline ``name`` with its stated settings.

    They hold for columns and targets in units of their standard deviations. ``trees`` is the size
    of a forest, ``rounds`` that of gradient boosting.

    Raises
    ------
    UnknownNameError
        For an unknown name; the message lists similar names.
    """
    settings: dict[str, tuple[Any, dict[str, list[Any]]]] = {
        "random_forest": (
            ensemble.RandomForestRegressor(trees, max_features=1 / 3, n_jobs=1),
            {"max_features": [0.1, 1 / 3, 1.0], "min_samples_leaf": [1, 2, 5]},
        ),
        "extra_trees": (
            ensemble.ExtraTreesRegressor(trees, max_features=1 / 3, n_jobs=1),
            {"max_features": [0.1, 1 / 3, 1.0], "min_samples_leaf": [1, 2, 5]},
        ),
        "gradient_boosting": (
            # Early stopping would set rows aside beyond 10,000, and bend a learning curve there.
            ensemble.HistGradientBoostingRegressor(
                learning_rate=0.05, max_iter=rounds, early_stopping=False
            ),
            _BOOSTING_SPACE,
        ),
        "kernel_ridge": (
            KernelRidge(kernel="laplacian", gamma=0.01, alpha=0.01),
            {"gamma": [0.003, 0.01, 0.02], "alpha": [1e-3, 1e-2, 1e-1]},
        ),
        "ridge": (Ridge(alpha=10.0), {"alpha": [0.1, 1.0, 10.0, 100.0]}),
        "knn": (KNeighborsRegressor(5, weights="distance"), {"n_neighbors": [3, 5, 10, 15]}),
        "trivial": (DummyRegressor(strategy="mean"), {}),
    }
    return _baseline(MaterialRegressor, name, settings, seed)


def classifier(name: str, *, trees: int = 300, seed: int = 0) -> MaterialClassifier:
    """Return the classification baseline ``name`` with its stated settings.

    ``trees`` is the size of a forest.

    Raises
    ------
    UnknownNameError
        For an unknown name; the message lists similar names.
    """
    settings: dict[str, tuple[Any, dict[str, list[Any]]]] = {
        "random_forest": (
            ensemble.RandomForestClassifier(trees, max_features="sqrt", n_jobs=1),
            {"max_features": ["sqrt", 0.1, 1 / 3], "min_samples_leaf": [1, 2, 5]},
        ),
        "extra_trees": (
            ensemble.ExtraTreesClassifier(trees, max_features="sqrt", n_jobs=1),
            {"max_features": ["sqrt", 0.1, 1 / 3], "min_samples_leaf": [1, 2, 5]},
        ),
        "gradient_boosting": (
            ensemble.HistGradientBoostingClassifier(learning_rate=0.05, max_iter=300),
            _BOOSTING_SPACE,
        ),
        "svm_rbf": (SVC(C=10.0, cache_size=500), {"C": [1.0, 3.0, 10.0, 30.0]}),
        "logistic": (LogisticRegression(C=0.3, max_iter=2000), {"C": [0.03, 0.1, 0.3, 1.0, 3.0]}),
        "knn": (KNeighborsClassifier(10, weights="distance"), {"n_neighbors": [3, 5, 10, 15]}),
        "trivial": (DummyClassifier(strategy="prior"), {}),
    }
    return _baseline(MaterialClassifier, name, settings, seed)


def _baseline(cls: Any, name: str, settings: dict[str, Any], seed: int) -> Any:
    if name not in settings:
        raise UnknownNameError("baseline", name, settings)
    estimator, space = settings[name]
    kind = "trivial" if name == "trivial" else "classical"
    representation = "none" if name == "trivial" else "descriptors"
    return cls(estimator, representation, space=space, kind=kind, seed=seed, standardised=True)


_MAKERS: dict[str, Callable[..., Any]] = {"classification": classifier, "regression": regressor}
_BOTH = tuple(_MAKERS)
_MODELS = (
    ("random_forest", "forest", "300 trees", "Breiman 2001", _BOTH),
    ("extra_trees", "forest", "300 trees with random cuts", "Geurts et al. 2006", _BOTH),
    ("gradient_boosting", "boosting", "histograms", "", _BOTH),
    ("kernel_ridge", "kernel machine", "ridge regression, Laplacian kernel", "", _BOTH[1:]),
    ("svm_rbf", "kernel machine", "support vector machine, Gaussian kernel", "", _BOTH[:1]),
    ("ridge", "linear model", "ridge regression", "", _BOTH[1:]),
    ("logistic", "linear model", "logistic regression, L2", "", _BOTH[:1]),
    ("knn", "neighbours", "nearest neighbours by 1 / distance", "", _BOTH),
    ("trivial", "constant", "share of positives, or mean, of the train rows", "", _BOTH),
)
CLASSIFIERS, REGRESSORS = (
    tuple(name for name, *_, learns in _MODELS if kind in learns) for kind in _BOTH
)
for _name, _family, _method, _paper, _learns in _MODELS:
    baseline(
        _name,
        _family,
        "nothing" if _name == "trivial" else "descriptors of the elements",
        _method,
        _paper,
        inputs=("formula", "crystal"),
        makers={kind: partial(_MAKERS[kind], _name) for kind in _learns},
    )
