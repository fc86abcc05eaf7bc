"""Classical models and nets under scikit-learn's own checks of an estimator.

What the checks ask of parameters is asked of every registered model as it is. The others bring
matrices of numbers and labels of any kind: a thin adapter writes rows as the text of descriptors,
and numbers the classes, for the models that read such text.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import ensemble
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import SVR, LinearSVC
from sklearn.utils import estimator_checks as checks
from sklearn.utils.validation import check_is_fitted, validate_data

from chemdl.learn.models import BASELINES, NETS
from chemdl.molecules.baselines import MoleculeClassifier, MoleculeRegressor
from chemdl.molecules.nets.multitask import Multitask

OF_PARAMETERS = (
    checks.check_estimator_cloneable,
    checks.check_estimator_repr,
    checks.check_get_params_invariance,
    checks.check_no_attributes_set_in_init,
    checks.check_set_params,
)
EVERY = [
    pytest.param(info, kind, id=f"{name}-{kind}")
    for name, info in (*NETS.items(), *BASELINES.items())
    for kind in info.learns
]


@pytest.mark.parametrize(("info", "kind"), EVERY)
def test_parameters_are_kept_as_scikit_learn_has_it(info: Any, kind: str) -> None:
    model = info.estimator(kind)
    for check in OF_PARAMETERS:
        check(type(model).__name__, clone(model))


# They learn nothing, and so can always answer.
FITTED_ALREADY = {"vina", "esol_equation"}


@pytest.mark.parametrize(("info", "kind"), EVERY)
def test_before_fit_a_model_says_that_it_is_not_fitted(info: Any, kind: str) -> None:
    if info.name in FITTED_ALREADY:
        pytest.skip("it learns nothing")
    with pytest.raises(NotFittedError, match=r"not fitted yet|is not fitted"):
        info.estimator(kind).predict(np.array(["C"], dtype=object))


def as_text(X: np.ndarray) -> np.ndarray:
    """Write rows of numbers as the text of descriptors."""
    rows = [" ".join(f"{i}:{v!r}" for i, v in enumerate(row.tolist())) for row in X]
    return np.array([f"{X.shape[1]} {row}" for row in rows], dtype=object)


class _Adapter(BaseEstimator):
    def __init__(self, model: Any = None) -> None:
        self.model = model

    def fit(self, X: Any, y: Any) -> Any:
        X, y = validate_data(self, X, y, y_numeric=isinstance(self, RegressorMixin))
        self.model_ = clone(self.model).fit(as_text(X), self._targets(y))
        return self

    def _text(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return as_text(validate_data(self, X, reset=False))


class OfNumbers(RegressorMixin, _Adapter):
    """A regressor over numbers."""

    def _targets(self, y: np.ndarray) -> np.ndarray:
        return y

    def predict(self, X: Any) -> np.ndarray:
        text = self._text(X)
        return self.model_.predict(text)


class OfClasses(ClassifierMixin, _Adapter):
    """A classifier of two classes over numbers."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def _targets(self, y: np.ndarray) -> np.ndarray:
        from sklearn.utils.multiclass import check_classification_targets

        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) > 2:
            raise ValueError("Only binary classification is supported. The type of the target "
                             "is multiclass.")  # fmt: skip
        return codes

    def predict_proba(self, X: Any) -> np.ndarray:
        text = self._text(X)
        return self.model_.predict_proba(text)

    def predict(self, X: Any) -> np.ndarray:
        second = self.predict_proba(X).argmax(axis=1)
        return self.classes_[second if len(self.classes_) > 1 else 0 * second]


def over(model: type, estimator: Any) -> Any:
    return model(estimator, "tabulated", standardised=True)


SMALL = {"hidden": (32,), "dropout": (0.0, 0.0), "epochs": 60, "learning_rate": 0.02,
         "batch_size": 16, "tabulated": True, "standardised": True, "device": "cpu"}  # fmt: skip
ADAPTED = {
    "forest": OfClasses(over(MoleculeClassifier, ensemble.RandomForestClassifier(10))),
    "logistic": OfClasses(over(MoleculeClassifier, LogisticRegression())),
    "linear machine": OfClasses(over(MoleculeClassifier, LinearSVC())),
    "net": OfClasses(Multitask.Classifier(**SMALL)),
    "forest of values": OfNumbers(over(MoleculeRegressor, ensemble.RandomForestRegressor(10))),
    "ridge": OfNumbers(over(MoleculeRegressor, Ridge())),
    "support vectors": OfNumbers(over(MoleculeRegressor, SVR())),
    "net of values": OfNumbers(Multitask.Regressor(**SMALL)),
}


@pytest.mark.parametrize("name", ADAPTED)
def test_models_pass_scikit_learns_checks(name: str) -> None:
    """None is left out but those that scikit-learn skips itself, for want of pandas or polars."""
    failed, passed = {}, 0
    for estimator, check in checks.estimator_checks_generator(ADAPTED[name]):
        try:
            check(estimator)
            passed += 1
        except checks.SkipTest:
            continue
        except Exception as error:
            called = getattr(check, "func", check).__name__
            failed[called] = f"{type(error).__name__}: {str(error)[:200]}"
    assert failed == {} and passed > 40
