"""The rivals: classical models over the same raw inputs, with strong, stated settings.

Every baseline keeps scikit-learn's contract, takes SMILES and targets (n,) or (n, tasks) with NaN
where nothing was measured, and fits one model per task on the rows measured for it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.utils.validation import check_is_fitted

from chemdl.molecules.descriptors import Descriptors2D
from chemdl.molecules.fingerprints import ECFP
from chemdl.molecules.similarity import TanimotoGram
from chemdl.molecules.tabulated import Tabulated
from chemdl.registry import unknown
from chemdl.settings import spawn

Representation = Literal[
    "bits",
    "counts",
    "descriptors",
    "tabulated",
    "tanimoto",
    "tanimoto_counts",
    "tanimoto_tabulated",
    "none",
]
# What stands in for each where the data set brings its descriptors instead of SMILES.
_TABULATED: dict[Representation, Representation] = {
    "bits": "tabulated",
    "counts": "tabulated",
    "descriptors": "tabulated",
    "tanimoto": "tanimoto_tabulated",
    "tanimoto_counts": "tanimoto_tabulated",
}


class TaskwiseBaseline(BaseEstimator):
    """One scikit-learn estimator per task over one representation of the molecules.

    Parameters
    ----------
    estimator : fitted anew for each task; its ``random_state``, if any, is spawned from ``seed``.
    representation : ``bits`` or ``counts`` (ECFP4, 2,048), ``descriptors`` (RDKit's 2D set),
        ``tanimoto`` or ``tanimoto_counts`` (the Gram matrix of bits or counts, for estimators with
        a precomputed kernel or distance), ``tabulated`` or ``tanimoto_tabulated`` (the counts that
        the data set brings, as log(1 + x) for machines that are no trees) or ``none``.
    space : values to draw from when the model is tuned, by parameter of ``estimator``.
    standardised : centre and scale each column by the rows that are fitted, not its logarithm; for
        dense columns of unequal size. Trees and similarities do without.
    """

    kind: str = "other"
    stackable: ClassVar[bool] = False

    def __init__(
        self,
        estimator: BaseEstimator,
        representation: Representation = "bits",
        space: dict[str, list[Any]] | None = None,
        kind: str = "other",
        seed: int = 0,
        standardised: bool = False,
    ) -> None:
        self.estimator = estimator
        self.representation = representation
        self.standardised = standardised
        self.space = space
        self.kind = kind
        self.seed = seed

    @property
    def search_space(self) -> dict[str, list[Any]]:
        """What tuning may draw, by this model's parameter names."""
        return {f"estimator__{name}": values for name, values in (self.space or {}).items()}

    def prepare(self, X: Sequence[str]) -> None:
        """Compute what all replicas share once: features, or the one Gram matrix."""
        if self._pairwise:
            gram = self._gram()
            # Above that many molecules each task computes the block of its own rows.
            if len(gram.distinct(X)) <= gram.most:
                gram.prepare(X)
        else:
            self._features(X)

    def fit(self, X: Sequence[str], y: np.ndarray) -> Self:
        """Fit each task on the rows that were measured for it.

        Raises
        ------
        ValueError
            if a task has no measured row at all.
        """
        targets = np.asarray(y, dtype=np.float64)
        targets = targets[:, None] if targets.ndim == 1 else targets
        self.n_tasks_ = targets.shape[1]
        self.inputs_ = np.asarray(X, dtype=object)
        features = None if self._pairwise else self._scaled(self._features(X), fit=True)
        self.measured_ = [np.flatnonzero(np.isfinite(column)) for column in targets.T]
        self.estimators_ = []
        for task, rows in enumerate(self.measured_):
            if len(rows) == 0:
                raise ValueError(
                    f"task {task} has no measured target in {len(targets)} train rows; "
                    "drop the task or change the split"
                )
            block = self._pairs(self.inputs_[rows], rows) if features is None else features[rows]
            self.estimators_.append(self._fit_task(task, block, targets[rows, task]))
        return self

    def _fit_task(self, task: int, features: Any, target: np.ndarray) -> BaseEstimator:
        estimator = clone(self.estimator)
        if "random_state" in estimator.get_params():
            estimator.set_params(random_state=spawn(self.seed, "task", task))
        if self._is_classifier and len(np.unique(target)) == 1:
            # A fold may hold one class only: say so with a constant, the metric will be NaN.
            estimator = DummyClassifier(strategy="prior")
        if estimator.get_params().get("n_neighbors", 0) > len(target):
            # A task may have fewer measured molecules than kNN asks for: then all are neighbours.
            estimator.set_params(n_neighbors=len(target))
        return estimator.fit(features, target)

    def _outputs(self, X: Sequence[str], of: Callable[[Any, Any], np.ndarray]) -> np.ndarray:
        """Return (n, tasks) by applying ``of(estimator, features)`` to each task."""
        check_is_fitted(self, "estimators_")
        features = None if self._pairwise else self._scaled(self._features(X))
        columns = [
            of(estimator, self._pairs(X, rows) if features is None else features)
            for estimator, rows in zip(self.estimators_, self.measured_, strict=True)
        ]
        return np.column_stack(columns)

    def _scaled(self, features: Any, fit: bool = False) -> Any:
        if not self.standardised or self._is_tree:
            return features
        if fit:
            self.scaler_ = StandardScaler().fit(features)
        return self.scaler_.transform(features)

    @property
    def _pairwise(self) -> bool:
        return self.representation.startswith("tanimoto")

    def _gram(self) -> TanimotoGram:
        return _shared_gram(self.representation)

    def _pairs(self, X: Any, rows: np.ndarray) -> np.ndarray:
        """Return similarities, or distances for neighbours, to these rows of the fitted inputs."""
        similarity = self._gram().rows(X, self.inputs_[rows])
        return 1.0 - similarity if self._needs_distances else similarity

    @property
    def _is_classifier(self) -> bool:
        return isinstance(self, ClassifierMixin)

    def _features(self, X: Sequence[str]) -> Any:
        if self.representation == "none":
            return np.zeros((len(X), 1))
        if self.representation == "tabulated":
            given = Tabulated().transform(X)
            return given if self._is_tree or self.standardised else np.log1p(given)
        if self.representation == "descriptors":
            return Descriptors2D(missing="keep").transform(X)
        ecfp = ECFP(counts=self.representation == "counts").transform(X)
        # The trees read bytes; the others gain an order of magnitude from sparse rows.
        return sparse.csr_matrix(ecfp, dtype=np.float32) if self._takes_sparse_rows else ecfp

    @property
    def _is_tree(self) -> bool:
        return isinstance(
            self.estimator,
            RandomForestClassifier
            | RandomForestRegressor
            | HistGradientBoostingClassifier
            | HistGradientBoostingRegressor,
        )

    @property
    def _takes_sparse_rows(self) -> bool:
        return isinstance(self.estimator, LogisticRegression | LinearSVC | Ridge | SVR)

    @property
    def _needs_distances(self) -> bool:
        return isinstance(self.estimator, KNeighborsClassifier | KNeighborsRegressor)


class BaselineClassifier(ClassifierMixin, TaskwiseBaseline):
    """Binary classification, one estimator per task."""

    def fit(self, X: Sequence[str], y: np.ndarray) -> Self:
        """Fit each task; see :meth:`TaskwiseBaseline.fit`."""
        super().fit(X, y)
        self.classes_ = np.array([0, 1])
        return self

    def probabilities(self, X: Sequence[str]) -> np.ndarray:
        """Return the score of the positive class: (n, tasks).

        Margin classifiers have no probability: theirs is the logistic function of the margin,
        which ranks as the margin does and is not calibrated.
        """
        return self._outputs(X, _positive_score)

    def predict_proba(self, X: Sequence[str]) -> np.ndarray:
        """Return (n, 2) for one task as scikit-learn does, else (n, tasks) of the positives."""
        positive = self.probabilities(X)
        if self.n_tasks_ == 1:
            return np.column_stack([1.0 - positive[:, 0], positive[:, 0]])
        return positive

    def predict(self, X: Sequence[str]) -> np.ndarray:
        """Return classes: (n,) for one task, (n, tasks) else."""
        labels = (self.probabilities(X) >= 0.5).astype(int)
        return labels[:, 0] if self.n_tasks_ == 1 else labels


class BaselineRegressor(RegressorMixin, TaskwiseBaseline):
    """Regression, one estimator per task, on targets scaled by the rows that it is fitted on.

    So one setting of a penalty or of a margin means the same for kelvin and for log units.
    """

    def fit(self, X: Sequence[str], y: np.ndarray) -> Self:
        """Fit each task; see :meth:`TaskwiseBaseline.fit`."""
        self.scales_: list[tuple[float, float]] = []
        return super().fit(X, y)

    def _fit_task(self, task: int, features: Any, target: np.ndarray) -> BaseEstimator:
        mean, spread = float(target.mean()), float(target.std()) or 1.0
        self.scales_.append((mean, spread))
        return super()._fit_task(task, features, (target - mean) / spread)

    def predict(self, X: Sequence[str]) -> np.ndarray:
        """Return values: (n,) for one task, (n, tasks) else."""
        scaled = self._outputs(X, lambda estimator, features: estimator.predict(features))
        mean, spread = np.transpose(self.scales_)
        values = scaled * spread + mean
        return values[:, 0] if self.n_tasks_ == 1 else values


CLASSIFIERS = (
    "random_forest",
    "svm_tanimoto",
    "svm_linear",
    "logistic",
    "knn",
    "gradient_boosting",
    "trivial",
)


def classifier(name: str, *, trees: int = 500, seed: int = 0) -> BaselineClassifier:
    """Return the classification baseline ``name`` with its stated settings.

    ==================== ================ ==================================================
    name                 representation   settings
    ==================== ================ ==================================================
    random_forest        ECFP4 bits       ``trees`` trees, √p bits a split (Breiman 2001)
    svm_tanimoto         Tanimoto kernel  C = 1, balanced classes (Ralaivola et al. 2005)
    svm_linear           ECFP4 bits       C = 0.01, balanced classes
    logistic             ECFP4 bits       L2, C = 0.1, balanced classes
    knn                  Tanimoto         15 neighbours weighted by 1 / distance
    gradient_boosting    2D descriptors   histograms, 200 rounds at rate 0.05
    trivial              none             share of actives in the train rows
    ==================== ================ ==================================================

    Raises
    ------
    ValueError
        for an unknown name, with the near misses.
    """
    settings: dict[str, tuple[Any, Representation, dict[str, list[Any]]]] = {
        "random_forest": (
            RandomForestClassifier(trees, max_features="sqrt", n_jobs=1),
            "bits",
            {
                "max_features": ["sqrt", 0.1, 0.3],
                "min_samples_leaf": [1, 2, 5],
                "class_weight": [None, "balanced_subsample"],
            },
        ),
        "svm_tanimoto": (
            SVC(kernel="precomputed", C=1.0, class_weight="balanced", cache_size=500),
            "tanimoto",
            {"C": [0.1, 0.3, 1.0, 3.0, 10.0], "class_weight": [None, "balanced"]},
        ),
        "svm_linear": (
            LinearSVC(C=0.01, class_weight="balanced"),
            "bits",
            {"C": [1e-3, 3e-3, 1e-2, 3e-2, 0.1, 1.0], "class_weight": [None, "balanced"]},
        ),
        "logistic": (
            LogisticRegression(C=0.1, class_weight="balanced", solver="liblinear"),
            "bits",
            {"C": [1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0], "class_weight": [None, "balanced"]},
        ),
        "knn": (
            KNeighborsClassifier(15, metric="precomputed", weights=_inverse_distance),
            "tanimoto",
            {"n_neighbors": [3, 5, 10, 15, 25, 50]},
        ),
        "gradient_boosting": (
            HistGradientBoostingClassifier(learning_rate=0.05, max_iter=200),
            "descriptors",
            _BOOSTING_SPACE,
        ),
        "trivial": (DummyClassifier(strategy="prior"), "none", {}),
    }
    return _baseline(BaselineClassifier, name, settings, seed)


REGRESSORS = (
    "random_forest",
    "svm_tanimoto",
    "svm_rbf",
    "ridge",
    "knn",
    "gradient_boosting",
    "trivial",
)


def regressor(
    name: str,
    *,
    trees: int = 500,
    tabulated: bool = False,
    standardised: bool = False,
    seed: int = 0,
) -> BaselineRegressor:
    """Return the regression baseline ``name`` with its stated settings.

    ==================== ================ ==================================================
    name                 representation   settings, in standard deviations of the targets
    ==================== ================ ==================================================
    random_forest        ECFP4 bits       ``trees`` trees, a third of the bits a split
    svm_tanimoto         count Tanimoto   C = 10, ε = 0.1 (Ralaivola et al. 2005)
    svm_rbf              ECFP4 bits       Gaussian kernel, C = 10, ε = 0.1
    ridge                ECFP4 counts     α = 10
    knn                  count Tanimoto   5 neighbours weighted by 1 / distance
    gradient_boosting    2D descriptors   histograms, 300 rounds at rate 0.05
    trivial              none             mean of the train rows
    ==================== ================ ==================================================

    With ``tabulated`` all of them read the descriptors that the data set brings, ``standardised``
    where they are dense columns of unequal size.

    Raises
    ------
    ValueError
        for an unknown name, with the near misses.
    """
    settings: dict[str, tuple[Any, Representation, dict[str, list[Any]]]] = {
        "random_forest": (
            RandomForestRegressor(trees, max_features=1 / 3, n_jobs=1),
            "bits",
            {"max_features": ["sqrt", 0.1, 1 / 3], "min_samples_leaf": [1, 2, 5]},
        ),
        "svm_tanimoto": (
            SVR(kernel="precomputed", C=10.0, epsilon=0.1, cache_size=500),
            "tanimoto_counts",
            {"C": [0.3, 1.0, 3.0, 10.0, 30.0], "epsilon": [0.01, 0.03, 0.1, 0.2]},
        ),
        "svm_rbf": (
            SVR(kernel="rbf", C=10.0, epsilon=0.1, cache_size=500),
            "bits",
            {
                "C": [0.3, 1.0, 3.0, 10.0, 30.0],
                "epsilon": [0.01, 0.03, 0.1, 0.2],
                "gamma": ["scale", 0.003, 0.01, 0.03],
            },
        ),
        "ridge": (Ridge(alpha=10.0), "counts", {"alpha": [0.1, 1.0, 10.0, 100.0]}),
        "knn": (
            KNeighborsRegressor(5, metric="precomputed", weights=_inverse_distance),
            "tanimoto_counts",
            {"n_neighbors": [3, 5, 10, 15]},
        ),
        "gradient_boosting": (
            HistGradientBoostingRegressor(learning_rate=0.05, max_iter=300),
            "descriptors",
            _BOOSTING_SPACE,
        ),
        "trivial": (DummyRegressor(strategy="mean"), "none", {}),
    }
    model = _baseline(BaselineRegressor, name, settings, seed)
    if tabulated:
        model.representation = _TABULATED.get(model.representation, model.representation)
    return model.set_params(standardised=standardised)


_BOOSTING_SPACE: dict[str, list[Any]] = {
    "learning_rate": [0.02, 0.05, 0.1],
    "max_iter": [100, 200, 400],
    "max_leaf_nodes": [15, 31, 63],
    "min_samples_leaf": [5, 20, 50],
    "l2_regularization": [0.0, 1.0, 10.0],
}


def _baseline(cls: Any, name: str, settings: dict[str, Any], seed: int) -> Any:
    if name not in settings:
        raise ValueError(unknown("baseline", name, settings))
    estimator, representation, space = settings[name]
    kind = "trivial" if name == "trivial" else "other"
    return cls(estimator, representation, space=space, kind=kind, seed=seed)


def _inverse_distance(distances: np.ndarray) -> np.ndarray:
    """Weigh neighbours by 1 / distance; a copy of the query counts a thousandfold."""
    return 1.0 / np.maximum(distances, 1e-3)


def _positive_score(estimator: Any, features: Any) -> np.ndarray:
    if hasattr(estimator, "predict_proba"):
        proba = estimator.predict_proba(features)
        # Trained on one class only, the estimator has one column: all or nothing.
        both = proba.shape[1] == 2
        return proba[:, 1] if both else np.full(len(proba), float(estimator.classes_[0]))
    return 0.5 * (1.0 + np.tanh(0.5 * estimator.decision_function(features)))


@functools.cache
def _shared_gram(representation: Representation) -> TanimotoGram:
    """One Gram matrix serves all tasks, folds and kernel models of the dataset at hand."""
    return TanimotoGram(
        counts=representation == "tanimoto_counts",
        tabulated=representation == "tanimoto_tabulated",
    )
