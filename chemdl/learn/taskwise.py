"""Classical models, one scikit-learn estimator for each task, over features of raw inputs.

A domain's subclass says what the features are. Targets are (n,) or (n, tasks) with NaN where
nothing was measured; each task is fitted on the rows measured for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from chemdl.learn.classification import BinaryClassifier, logistic
from chemdl.learn.contract import Kind, check_parameters, fitted_targets, seeded
from chemdl.settings import spawn


class TaskwiseBaseline(BaseEstimator):
    """One scikit-learn estimator per task over one representation of the inputs.

    A subclass gives :meth:`features`.

    Parameters
    ----------
    estimator
        Estimator of scikit-learn, fitted anew for each task; every ``random_state`` in it is
        derived from ``seed``.
    representation
        Name of the representation that the estimator reads; the subclass defines the names.
    space
        For each parameter of ``estimator`` to tune, or for ``representation``, the values to draw
        from.
    kind
        Kind of the model, ``classical`` or ``trivial``.
    standardised
        Whether to centre and scale each column by the fitted rows, for dense columns of unequal
        size. Trees do not need it.
    """

    kind: Kind = "classical"
    stackable: ClassVar[bool] = False

    def __init__(
        self,
        estimator: BaseEstimator,
        representation: str = "none",
        space: dict[str, list[Any]] | None = None,
        kind: Kind = "classical",
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
        return {
            name if name == "representation" else f"estimator__{name}": values
            for name, values in (self.space or {}).items()
        }

    def features(self, X: Sequence[Any]) -> Any:
        """Return what the estimators read of inputs (n,): (n, columns)."""
        raise NotImplementedError

    def prepare(self, X: Sequence[Any]) -> None:
        """Compute what all replicas share once."""
        self.features(X)

    def fit(self, X: Sequence[Any], y: np.ndarray) -> Self:
        """Fit each task on the rows that were measured for it.

        Raises
        ------
        ValueError
            If a task has no measured row, and for a parameter, a number of targets or a target
            that the model cannot take.
        """
        check_parameters(self)
        targets = fitted_targets(X, y, classes=isinstance(self, ClassifierMixin))
        self.n_tasks_ = targets.shape[1]
        self.measured_ = [np.flatnonzero(np.isfinite(column)) for column in targets.T]
        for task, rows in enumerate(self.measured_):
            if len(rows) == 0:
                raise ValueError(
                    f"task {task} has no measured target in {len(targets)} train rows; "
                    "drop the task or change the split"
                )
        block_of = self._fitted_blocks(X)
        self.estimators_ = [
            self._fit_task(task, block_of(rows), targets[rows, task])
            for task, rows in enumerate(self.measured_)
        ]
        return self

    def _fitted_blocks(self, X: Sequence[Any]) -> Callable[[np.ndarray], Any]:
        """Return what gives the features of some of the fitted rows."""
        features = self._scaled(self.features(X), fit=True)
        return lambda rows: features[rows]

    def _blocks(self, X: Sequence[Any]) -> Callable[[np.ndarray], Any]:
        """Return what gives the features of new inputs to a task fitted on some rows."""
        features = self._scaled(self.features(X))
        return lambda rows: features

    def _fit_task(self, task: int, features: Any, target: np.ndarray) -> BaseEstimator:
        estimator = seeded(self._unfitted(), spawn(self.seed, "task", task))
        if isinstance(self, ClassifierMixin) and len(np.unique(target)) == 1:
            # A fold may hold one class only: say so with a constant, the metric will be NaN.
            estimator = DummyClassifier(strategy="prior")
        if estimator.get_params().get("n_neighbors", 0) > len(target):
            # A task may have fewer measured rows than kNN asks for: then all are neighbours.
            estimator.set_params(n_neighbors=len(target))
        return estimator.fit(features, target)

    def _unfitted(self) -> BaseEstimator:
        """Return an estimator for one task."""
        return clone(self.estimator)

    def _outputs(self, X: Sequence[Any], of: Callable[[Any, Any], np.ndarray]) -> np.ndarray:
        """Return (n, tasks) by applying ``of(estimator, features)`` to each task."""
        check_is_fitted(self, "estimators_")
        block_of = self._blocks(X)
        columns = [
            of(estimator, block_of(rows))
            for estimator, rows in zip(self.estimators_, self.measured_, strict=True)
        ]
        return np.column_stack(columns)

    def _scaled(self, features: Any, fit: bool = False) -> Any:
        if not self.standardised or self.is_tree:
            return features
        if fit:
            self.scaler_ = StandardScaler().fit(features)
        return self.scaler_.transform(features)

    @property
    def is_tree(self) -> bool:
        """Whether the estimator is a forest or boosted trees, which need no scaling."""
        return "max_leaf_nodes" in self.estimator.get_params()


class TaskwiseClassifier(BinaryClassifier, TaskwiseBaseline):
    """Binary classification, one estimator per task."""

    def fit(self, X: Sequence[Any], y: np.ndarray) -> Self:
        """Fit each task; see :meth:`TaskwiseBaseline.fit`."""
        super().fit(X, y)
        self.classes_ = np.array([0, 1])
        return self

    def probabilities(self, X: Sequence[Any]) -> np.ndarray:
        """Return the score of the positive class: (n, tasks).

        Margin classifiers have no probability. For them this is the logistic function of the
        margin, which gives the same ranking and is not calibrated.
        """
        return self._outputs(X, _positive_score)


class TaskwiseRegressor(RegressorMixin, TaskwiseBaseline):
    """Regression, one estimator per task, on targets scaled by the rows that it is fitted on.

    With scaled targets a penalty or a margin means the same in kelvin and in log units.
    """

    def fit(self, X: Sequence[Any], y: np.ndarray) -> Self:
        """Fit each task; see :meth:`TaskwiseBaseline.fit`."""
        self.scales_: list[tuple[float, float]] = []
        return super().fit(X, y)

    def _fit_task(self, task: int, features: Any, target: np.ndarray) -> BaseEstimator:
        mean, spread = float(target.mean()), float(target.std()) or 1.0
        self.scales_.append((mean, spread))
        return super()._fit_task(task, features, (target - mean) / spread)

    def predict(self, X: Sequence[Any]) -> np.ndarray:
        """Return values: (n,) for one task, (n, tasks) else."""
        scaled = self._outputs(X, lambda estimator, features: estimator.predict(features))
        mean, spread = np.transpose(self.scales_)
        values = scaled * spread + mean
        return values[:, 0] if self.n_tasks_ == 1 else values


def _positive_score(estimator: Any, features: Any) -> np.ndarray:
    if hasattr(estimator, "predict_proba"):
        proba = estimator.predict_proba(features)
        # Trained on one class only, the estimator has one column: all or nothing.
        both = proba.shape[1] == 2
        return proba[:, 1] if both else np.full(len(proba), float(estimator.classes_[0]))
    return logistic(estimator.decision_function(features))
