"""The rivals over compositions: classical models on the elements' descriptors.

They read what the descriptor net reads: Magpie's statistics (Ward et al. 2016) and the shares of
the elements. Of a crystal they see its composition. Targets are (n,) or (n, tasks) with NaN where
nothing was measured, one model per task, as in :mod:`chemdl.molecules.baselines`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.svm import SVC

from chemdl.materials.compositions import composition_descriptors, element_fractions
from chemdl.molecules.baselines import BaselineClassifier, BaselineRegressor, TaskwiseBaseline
from chemdl.registry import UnknownNameError

_TREES = (
    RandomForestRegressor,
    RandomForestClassifier,
    ExtraTreesRegressor,
    ExtraTreesClassifier,
    HistGradientBoostingRegressor,
    HistGradientBoostingClassifier,
)
_BOOSTING_SPACE: dict[str, list[Any]] = {
    "learning_rate": [0.02, 0.05, 0.1],
    "max_iter": [200, 400, 800],
    "max_leaf_nodes": [15, 31, 63],
    "min_samples_leaf": [5, 20, 50],
    "l2_regularization": [0.0, 1.0, 10.0],
}


class _OverCompositions(TaskwiseBaseline):
    """What a rival sees; columns are standardised by the fitted rows, but for trees."""

    def _features(self, X: Sequence[str]) -> np.ndarray:
        if self.representation == "none":
            return np.zeros((len(X), 1))
        return np.hstack([composition_descriptors(X), element_fractions(X)])

    @property
    def _is_tree(self) -> bool:
        return isinstance(self.estimator, _TREES)


class MaterialClassifier(_OverCompositions, BaselineClassifier):
    """Binary classification of formulas or crystals, one estimator per task."""


class MaterialRegressor(_OverCompositions, BaselineRegressor):
    """Regression over formulas or crystals, one estimator per task, on scaled targets."""


REGRESSORS = (
    "random_forest",
    "extra_trees",
    "gradient_boosting",
    "kernel_ridge",
    "ridge",
    "knn",
    "trivial",
)
CLASSIFIERS = ("random_forest", "extra_trees", "gradient_boosting", "svm_rbf", "logistic", "knn",
               "trivial")  # fmt: skip


def regressor(
    name: str, *, trees: int = 300, rounds: int = 500, seed: int = 0
) -> MaterialRegressor:
    """Return the regression rival ``name`` with its stated settings.

    ================== ==========================================================================
    name               settings, in standard deviations of columns and targets
    ================== ==========================================================================
    random_forest      ``trees`` trees, a third of the columns a split (Breiman 2001)
    extra_trees        the same with cuts drawn at random (Geurts et al. 2006)
    gradient_boosting  histograms, ``rounds`` rounds at rate 0.05, all of them
    kernel_ridge       Laplacian kernel, γ = 0.01, α = 0.01
    ridge              α = 10
    knn                5 neighbours weighted by 1 / distance
    trivial            mean of the train rows
    ================== ==========================================================================

    Raises
    ------
    ValueError
        for an unknown name, with the near misses.
    """
    settings: dict[str, tuple[Any, dict[str, list[Any]]]] = {
        "random_forest": (
            RandomForestRegressor(trees, max_features=1 / 3, n_jobs=1),
            {"max_features": [0.1, 1 / 3, 1.0], "min_samples_leaf": [1, 2, 5]},
        ),
        "extra_trees": (
            ExtraTreesRegressor(trees, max_features=1 / 3, n_jobs=1),
            {"max_features": [0.1, 1 / 3, 1.0], "min_samples_leaf": [1, 2, 5]},
        ),
        "gradient_boosting": (
            # Early stopping would set rows aside beyond 10,000, and bend a learning curve there.
            HistGradientBoostingRegressor(
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
    return _rival(MaterialRegressor, name, settings, seed)


def classifier(name: str, *, trees: int = 300, seed: int = 0) -> MaterialClassifier:
    """Return the classification rival ``name`` with its stated settings.

    ================== ==========================================================================
    name               settings
    ================== ==========================================================================
    random_forest      ``trees`` trees, √p columns a split (Breiman 2001)
    extra_trees        the same with cuts drawn at random (Geurts et al. 2006)
    gradient_boosting  histograms, 300 rounds at rate 0.05
    svm_rbf            Gaussian kernel, C = 10
    logistic           L2, C = 0.3
    knn                10 neighbours weighted by 1 / distance
    trivial            share of positives in the train rows
    ================== ==========================================================================

    Raises
    ------
    ValueError
        for an unknown name, with the near misses.
    """
    settings: dict[str, tuple[Any, dict[str, list[Any]]]] = {
        "random_forest": (
            RandomForestClassifier(trees, max_features="sqrt", n_jobs=1),
            {"max_features": ["sqrt", 0.1, 1 / 3], "min_samples_leaf": [1, 2, 5]},
        ),
        "extra_trees": (
            ExtraTreesClassifier(trees, max_features="sqrt", n_jobs=1),
            {"max_features": ["sqrt", 0.1, 1 / 3], "min_samples_leaf": [1, 2, 5]},
        ),
        "gradient_boosting": (
            HistGradientBoostingClassifier(learning_rate=0.05, max_iter=300),
            _BOOSTING_SPACE,
        ),
        "svm_rbf": (SVC(C=10.0, cache_size=500), {"C": [1.0, 3.0, 10.0, 30.0]}),
        "logistic": (LogisticRegression(C=0.3, max_iter=2000), {"C": [0.03, 0.1, 0.3, 1.0, 3.0]}),
        "knn": (KNeighborsClassifier(10, weights="distance"), {"n_neighbors": [3, 5, 10, 15]}),
        "trivial": (DummyClassifier(strategy="prior"), {}),
    }
    return _rival(MaterialClassifier, name, settings, seed)


def _rival(cls: Any, name: str, settings: dict[str, Any], seed: int) -> Any:
    if name not in settings:
        raise UnknownNameError("rival", name, settings)
    estimator, space = settings[name]
    kind = "trivial" if name == "trivial" else "other"
    representation = "none" if name == "trivial" else "descriptors"
    return cls(estimator, representation, space=space, kind=kind, seed=seed, standardised=True)
