"""One scikit-learn estimator for each task, over whatever features a domain gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.svm import LinearSVC

from chemdl.learn.taskwise import TaskwiseClassifier, TaskwiseRegressor


class _Lengths:
    """Features of texts: length and number of O's, in columns of unequal size."""

    def features(self, X: Any) -> np.ndarray:
        return np.array([[1000.0 * len(text), text.count("O")] for text in X])


class Classifier(_Lengths, TaskwiseClassifier):
    revision = 1


class Regressor(_Lengths, TaskwiseRegressor):
    revision = 1


TEXTS = np.array(["C" * n + "O" * (n % 3) for n in range(1, 31)], dtype=object)
VALUES = np.array([[text.count("O"), len(text)] for text in TEXTS], float)


def test_each_task_learns_from_the_rows_measured_for_it() -> None:
    y = VALUES.copy()
    y[:10, 0] = np.nan
    model = Regressor(Ridge(1e-6), standardised=True).fit(TEXTS, y)
    alone = Regressor(Ridge(1e-6), standardised=True).fit(TEXTS, y[:, 1])
    np.testing.assert_allclose(model.predict(TEXTS), VALUES, atol=1e-3)
    np.testing.assert_allclose(model.predict(TEXTS)[:, 1], alone.predict(TEXTS))
    assert alone.predict(TEXTS).shape == (30,)
    assert [len(rows) for rows in model.measured_] == [20, 30]


def test_a_task_without_a_measured_row_is_named() -> None:
    y = VALUES.copy()
    y[:, 1] = np.nan
    with pytest.raises(ValueError, match="task 1 has no measured target in 30 train rows"):
        Regressor(Ridge()).fit(TEXTS, y)


def test_probabilities_have_scikit_learns_shapes() -> None:
    y = (VALUES > [0.5, 15]).astype(float)
    both = Classifier(LogisticRegression(), standardised=True).fit(TEXTS, y)
    one = Classifier(LogisticRegression(), standardised=True).fit(TEXTS, y[:, 0])
    assert both.predict_proba(TEXTS).shape == (30, 2) and both.predict(TEXTS).shape == (30, 2)
    np.testing.assert_allclose(one.predict_proba(TEXTS).sum(axis=1), 1.0)
    np.testing.assert_allclose(one.predict_proba(TEXTS)[:, 1], both.predict_proba(TEXTS)[:, 0])
    assert one.predict(TEXTS).tolist() == (one.predict_proba(TEXTS)[:, 1] >= 0.5).tolist()
    assert one.classes_.tolist() == [0, 1]
    assert is_classifier(one) and is_regressor(Regressor(Ridge()))


def test_a_margin_is_a_score_that_ranks_alike() -> None:
    y = (VALUES[:, 0] > 0).astype(float)
    model = Classifier(LinearSVC(), standardised=True).fit(TEXTS, y)
    margin = model.estimators_[0].decision_function(model.scaler_.transform(model.features(TEXTS)))
    score = model.predict_proba(TEXTS)[:, 1]
    np.testing.assert_allclose(score, 1 / (1 + np.exp(-margin)))


def test_one_class_alone_is_a_constant() -> None:
    model = Classifier(LogisticRegression()).fit(TEXTS, np.ones((30, 1)))
    np.testing.assert_array_equal(model.predict_proba(TEXTS)[:, 1], 1.0)


def test_no_more_neighbours_are_asked_for_than_there_are() -> None:
    y = VALUES[:, :1].copy()
    y[3:] = np.nan
    model = Regressor(KNeighborsRegressor(15)).fit(TEXTS, y)
    np.testing.assert_allclose(model.predict(TEXTS), y[:3].mean())


def test_targets_are_scaled_so_that_a_penalty_means_the_same_in_every_unit() -> None:
    small, large = (
        Regressor(Ridge(5.0), standardised=True).fit(TEXTS, factor * VALUES[:, 1] + shift)
        for factor, shift in ((1.0, 0.0), (1e4, 273.15))
    )
    np.testing.assert_allclose(large.predict(TEXTS), 1e4 * small.predict(TEXTS) + 273.15)


def test_trees_need_no_scaling_and_get_seeds_of_their_own() -> None:
    forest = Regressor(RandomForestRegressor(3), standardised=True, seed=5)
    assert forest.is_tree
    forest.fit(TEXTS, VALUES)
    assert not hasattr(forest, "scaler_")
    seeds = [estimator.random_state for estimator in forest.estimators_]
    assert len(set(seeds)) == 2
    assert clone(forest).fit(TEXTS, VALUES).predict(TEXTS).tolist() == (
        forest.predict(TEXTS).tolist()
    )


def test_what_tuning_may_draw_are_parameters_of_the_model() -> None:
    model = Regressor(Ridge(), space={"alpha": [0.1, 1.0]})
    assert model.search_space == {"estimator__alpha": [0.1, 1.0]}
    assert model.set_params(estimator__alpha=0.1).estimator.alpha == 0.1
    assert Regressor(Ridge()).search_space == {}


def test_before_fit_it_says_so() -> None:
    with pytest.raises(NotFittedError):
        Regressor(Ridge()).predict(TEXTS)
