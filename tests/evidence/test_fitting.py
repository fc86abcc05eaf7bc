"""One replica: seeded, fitted, predicted with one line a site, and rounded before it is scored."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from chemdl.data import Dataset
from chemdl.evidence import fitting, metrics
from chemdl.evidence.fitting import storable
from chemdl.learn.ragged import Ragged
from chemdl.molecules import baselines
from chemdl.molecules.fingerprints import ECFP
from chemdl.molecules.nets.multitask import Multitask

# --- rounding -------------------------------------------------------------------------------------


def test_rounding_is_idempotent_and_close() -> None:
    p = np.random.default_rng(0).random((200, 3))
    out = storable(p, "classification")
    assert out.dtype == np.float32
    assert np.abs(out / p - 1).max() < 2.0**-12
    np.testing.assert_array_equal(storable(out, "classification"), out)
    assert storable(np.array([[0.0, 1.0, 0.5]]), "classification").tolist() == [[0.0, 1.0, 0.5]]


def test_rounding_keeps_the_ranks_of_sure_predictions() -> None:
    """Most molecules of ClinTox are positive: what nets say of them lies close to one."""
    rng = np.random.default_rng(0)
    logits = rng.normal(9.0, 1.5, (400, 1))
    y = (logits + rng.normal(0, 1.5, logits.shape) > 8.0).astype(float)
    for sign in (1, -1):
        p = 1 / (1 + np.exp(-sign * logits))
        labels = y if sign == 1 else 1 - y
        exact, kept = (
            metrics.score_tasks("roc_auc", labels, q)[0] for q in (p, storable(p, "classification"))
        )
        assert kept == pytest.approx(exact, abs=2e-4)


def test_values_are_kept_as_float32() -> None:
    values = np.random.default_rng(0).normal(size=(50, 1))
    np.testing.assert_array_equal(storable(values, "regression"), values.astype(np.float32))


# --- predictions ----------------------------------------------------------------------------------


class Constant(BaseEstimator):
    """Predicts what it is told, in scikit-learn's shapes."""

    def __init__(self, value: float = 0.5, columns: int = 2) -> None:
        self.value, self.columns = value, columns

    def predict_proba(self, X):
        out = np.full((len(X), self.columns), 0.25)
        out[3 % len(X)] = self.value
        return out

    def predict(self, X):
        return self.predict_proba(X)[:, 0]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_predictions_that_are_not_finite_are_refused(value: float, kind: str) -> None:
    inputs = np.array([f"{'C' * n}O" for n in range(1, 7)], dtype=object)
    with pytest.raises(ValueError, match=r"Constant predicts (nan|inf) for input 'CCCCO', task 0"):
        fitting.predict_matrix(Constant(value), inputs, kind, (6, 1))


def test_predictions_become_a_column_per_task() -> None:
    inputs = np.array(["C", "CC", "CCC", "CCCC"], dtype=object)
    one = fitting.predict_matrix(Constant(0.75), inputs, "classification", (4, 1))
    assert one.tolist() == [[0.25], [0.25], [0.25], [0.75]]
    several = Constant(0.75, columns=2)
    assert fitting.predict_matrix(several, inputs, "classification", (4, 2)).shape == (4, 2)
    assert fitting.predict_matrix(Constant(), inputs, "regression", (4, 1)).shape == (4, 1)


def test_a_model_that_saw_one_class_is_sure_of_that_class() -> None:
    inputs = np.array(["C", "CC", "CCC"], dtype=object)
    for label in (0.0, 1.0):
        model = DummyClassifier(strategy="prior").fit(inputs, np.full(3, label))
        assert (
            fitting.predict_matrix(model, inputs, "classification", (3, 1)).tolist()
            == [[label]] * 3
        )


@pytest.mark.parametrize(("columns", "tasks"), [(2, 3), (3, 2), (3, 1), (4, 1)])
def test_another_number_of_tasks_is_refused(columns: int, tasks: int) -> None:
    inputs = np.array(["C", "CC", "CCC"], dtype=object)
    with pytest.raises(ValueError, match=rf"Constant predicts .* for 3 lines of {tasks} tasks"):
        fitting.predict_matrix(Constant(columns=columns), inputs, "classification", (3, tasks))


def test_predictions_have_one_line_for_each_site() -> None:
    inputs = np.array(["ACD", "CD"], dtype=object)
    with pytest.raises(ValueError, match=r"shape \(2,\) for 5 lines of 1 tasks"):
        fitting.predict_matrix(Constant(), inputs, "labelling", (5, 1))


# --- parameters of a run --------------------------------------------------------------------------


def test_devices_reach_models_that_have_one() -> None:
    model = Multitask.Classifier(device="auto")
    assert fitting.on_device(model, "cpu").device == "cpu"
    assert model.device == "auto"
    assert isinstance(fitting.on_device(LogisticRegression(), "cuda"), LogisticRegression)


def test_a_model_prepares_itself_where_it_can() -> None:
    data = Dataset("tiny", np.array(["C"], object), np.zeros((1, 1)), ("t",), "regression", "", {})
    seen = []
    fitting.prepare(Constant(), data)
    model = Constant()
    model.prepare = seen.append
    fitting.prepare(model, data)
    assert [x.tolist() for x in seen] == [["C"]]


def test_targets_are_taken_by_row() -> None:
    inputs, targets = np.array(["AC", "D"], object), np.arange(3.0)[:, None]
    lengths = np.array([2, 1])
    chains = Dataset("tiny", inputs, targets, ("t",), "labelling", "", {}, lengths=lengths)
    by_row = fitting.by_row(chains)
    assert isinstance(by_row, Ragged)
    np.testing.assert_array_equal(by_row[np.array([1])].values, [[2.0]])
    plain = Dataset("tiny", inputs, targets[:2], ("t",), "regression", "", {})
    assert fitting.by_row(plain) is plain.targets


# --- one replica ----------------------------------------------------------------------------------


def test_a_replica_is_what_its_model_predicts() -> None:
    inputs = np.array(["C" * n + end for n in range(1, 9) for end in ("", "O")], dtype=object)
    targets = np.array([[float("O" in s)] for s in inputs])
    data = Dataset("tiny", inputs, targets, ("t",), "classification", "", {})
    fitted, test = np.arange(4, 16), np.arange(4)
    model = baselines.classifier("logistic")
    replica = fitting.fit_and_predict(model, data, fitted, targets[fitted], test)
    again = baselines.classifier("logistic").fit(inputs[fitted], targets[fitted])
    expected = storable(again.predict_proba(inputs[test])[:, 1:], "classification")
    np.testing.assert_array_equal(replica.predictions, expected)
    assert replica.fit_seconds > 0 and replica.predict_seconds > 0
    assert (replica.stack_size, replica.parameters) == (1, None)
    assert fitting.score("roc_auc", data, test, replica.predictions).tolist() == [1.0]


def test_a_single_target_reaches_scikit_learn_as_it_has_one() -> None:
    """Else each replica of a pipeline would warn, and here a warning is an error."""
    smiles = np.array(["C" * n + end for n in range(1, 9) for end in "ON"], dtype=object)
    data = Dataset("d", smiles, np.tile([[0.0], [1.0]], (8, 1)), ("t",), "classification", "", {})
    model = make_pipeline(ECFP(), RandomForestClassifier(3, random_state=0))
    rows = np.arange(16)
    found = fitting.fit_and_predict(model, data, rows, data.targets, rows[:4])
    assert found.predictions.shape == (4, 1)


def test_the_environment_names_versions_device_and_threads() -> None:
    found = fitting.environment("cpu")
    assert found.keys() == {"python", "torch", "rdkit", "numpy", "sklearn", "device", "threads"}
    assert found["numpy"] == np.__version__
    assert found["device"].startswith("cpu (")
    assert found["threads"] >= 1
