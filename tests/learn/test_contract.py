"""One contract for all registered models: words, numbers, rows, labels, seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier, StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline

from chemdl.learn.contract import check_labels, check_parameters, fitted_targets, seeded
from chemdl.learn.models import BASELINES, NETS
from chemdl.learn.ragged import Ragged
from chemdl.molecules import baselines
from chemdl.molecules.baselines import MoleculeClassifier
from chemdl.molecules.fingerprints import ECFP
from chemdl.molecules.nets.multitask import Multitask

EVERY = [
    pytest.param(info, kind, id=f"{name}-{kind}")
    for name, info in (*NETS.items(), *BASELINES.items())
    for kind in info.learns
]
# Names of data sets, which the registry of data sets looks up.
FREE_TEXT = {"source", "without"}


@pytest.mark.parametrize(("info", "kind"), EVERY)
def test_a_misspelt_word_is_refused_whatever_the_parameter(info: Any, kind: str) -> None:
    model = info.estimator(kind)
    given = model.get_params(deep=False)
    for name in [n for n, v in given.items() if isinstance(v, str) and n not in FREE_TEXT]:
        for wrong in (given[name].upper(), f"{given[name]}s", "", 3):
            with pytest.raises(ValueError, match=rf"unknown {name} of {type(model).__name__}"):
                check_parameters(clone(model).set_params(**{name: wrong}))


@pytest.mark.parametrize(("info", "kind"), EVERY)
def test_numbers_that_cannot_be_are_refused_and_presets_are_not(info: Any, kind: str) -> None:
    model = info.estimator(kind)
    check_parameters(model)
    for name, value in model.get_params(deep=False).items():
        wrong: tuple[Any, ...] = ()
        if isinstance(value, bool):
            wrong = ("yes", 2)
        elif isinstance(value, int):
            wrong = (1.5, np.nan, "3", True) + (-1, 0) * (name in ("epochs", "batch_size"))
        elif isinstance(value, float):
            wrong = (np.nan, np.inf, "0.1")
        for one in wrong:
            with pytest.raises(ValueError, match=f"{name} of {type(model).__name__} is"):
                check_parameters(clone(model).set_params(**{name: one}))


def test_an_estimator_inside_checks_its_own_parameters() -> None:
    model = baselines.regressor("ridge").set_params(estimator__alpha=float("nan"))
    with pytest.raises(ValueError, match="'alpha' parameter of Ridge"):
        check_parameters(model)


@pytest.mark.parametrize(("info", "kind"), EVERY)
def test_targets_of_another_length_are_refused_before_anything_is_read(
    info: Any, kind: str
) -> None:
    model = info.estimator(kind)
    if type(model).__name__ in ("VinaScore",):
        pytest.skip("it learns nothing, and looks at no label")
    y: Any = np.zeros(2)
    if kind == "labelling":
        y = Ragged.of([np.zeros((3, 2)), np.zeros((3, 2))], "padded")
    with pytest.raises(ValueError, match="3 inputs and 2 rows of targets"):
        model.fit(np.array(["no input", "no input", "no input"], dtype=object), y)


labels = st.lists(st.sampled_from([0.0, 1.0, np.nan]), min_size=1, max_size=30)
strange = st.floats(allow_nan=False).filter(lambda value: value not in (0.0, 1.0))


@given(labels, strange, st.data())
def test_a_label_that_is_no_class_is_named_with_its_row(
    y: list[float], wrong: float, data: st.DataObject
) -> None:
    check_labels(np.array(y)[:, None], classes=True)
    row = data.draw(st.integers(0, len(y)))
    y.insert(row, wrong)
    with pytest.raises(ValueError, match=rf"at row {row}, task 0 \(1 such\): classes are 0, 1"):
        fitted_targets(y, y, classes=True)


@pytest.mark.parametrize("model", [
    baselines.classifier("random_forest", trees=3),
    baselines.classifier("svm_tanimoto"),
    Multitask.Classifier(hidden=(4,), dropout=(0.0, 0.0), epochs=1, device="cpu"),
], ids=["forest", "kernel machine", "net"])  # fmt: skip
@pytest.mark.parametrize("wrong", [[-1, 1], [1, 2], [0, 2], [0.0, 0.5], [0, np.inf], ["a", "b"]])
def test_both_sides_refuse_the_same_labels(model: Any, wrong: list, smiles: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"classes are 0, 1 or NaN|targets must be numbers"):
        clone(model).fit(smiles[:20], np.array(wrong * 10))


@pytest.mark.parametrize("model", [
    baselines.regressor("ridge"),
    Multitask.Regressor(hidden=(4,), dropout=(0.0, 0.0), epochs=1, device="cpu"),
], ids=["baseline", "net"])  # fmt: skip
def test_an_infinite_value_is_refused_on_both_sides(model: Any, smiles: np.ndarray) -> None:
    with pytest.raises(ValueError, match="target -inf at row 19"):
        model.fit(smiles[:20], np.r_[np.arange(19.0), -np.inf])


# rows that stop the training


def test_a_mask_of_valid_rows_holds_out_the_rows_that_it_names(smiles: np.ndarray) -> None:
    y, mask = (np.arange(100) % 3 == 0).astype(float), np.arange(100) >= 90
    net = Multitask.Classifier(hidden=(4,), dropout=(0.0, 0.0), epochs=2, device="cpu")
    by_mask, by_rows = (
        clone(net).fit(smiles, y, valid=valid).members_[0].valid_losses
        for valid in (mask, np.flatnonzero(mask))
    )
    assert by_mask == by_rows


@pytest.mark.parametrize("valid", [[-1], [1.7], [100], [1, 1], np.zeros(99, bool), [[1]], ["a"]])
def test_other_valid_rows_are_refused(valid: Any, smiles: np.ndarray) -> None:
    with pytest.raises(ValueError, match="valid: "):
        Multitask.Classifier(device="cpu").fit(smiles, np.arange(100) % 2, valid=valid)


@pytest.mark.parametrize("rows", [([-1], [2]), ([0, 0], [2]), ([0], [100]), ([0.5], [2])])
def test_rows_of_replicas_exist_once(rows: Any, smiles: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"^(train|valid): row"):
        list(Multitask.Regressor(device="cpu").fit_replicas(smiles, np.arange(100.0), [rows], [0]))


# seeds


class Drawing(BaseEstimator):
    """An estimator that holds what draws, of whatever kind."""

    def __init__(self, inner: Any = None, seed: int | None = None) -> None:
        self.inner, self.seed = inner, seed


def drawing_models() -> st.SearchStrategy[Any]:
    leaves = st.sampled_from(
        [RandomForestClassifier(3), LogisticRegression(), KFold(3, shuffle=True)]
    )
    estimators = st.sampled_from([RandomForestClassifier(3), LogisticRegression()])
    deeper = st.recursive(
        estimators,
        lambda inner: st.one_of(
            inner.map(lambda model: BaggingClassifier(model)),
            inner.map(lambda model: CalibratedClassifierCV(model, cv=KFold(2, shuffle=True))),
            inner.map(lambda model: make_pipeline(ECFP(), model)),
            inner.map(lambda model: StackingClassifier([("a", model)], model)),
            inner.map(lambda model: MoleculeClassifier(model, "bits")),
        ),
        max_leaves=3,
    )
    return st.one_of(deeper, leaves, deeper).map(Drawing)


def seeds_in(value: Any) -> list[Any]:
    """Return every seed in a model, as far down as there are parts."""
    if isinstance(value, list | tuple):
        return [seed for part in value for seed in seeds_in(part)]
    if not hasattr(value, "get_params"):
        return [value.random_state] if "random_state" in getattr(value, "__dict__", ()) else []
    own = value.get_params(deep=False)
    found = [own[name] for name in ("seed", "random_state") if name in own]
    return found + [seed for part in own.values() for seed in seeds_in(part)]


@settings(max_examples=60)
@given(drawing_models(), st.integers(0, 2**31 - 1))
def test_a_seed_reaches_everything_that_draws(model: Drawing, seed: int) -> None:
    one, again, other = seeded(model, seed), seeded(model, seed), seeded(model, seed ^ 1)
    assert one.seed == seed
    assert None not in seeds_in(one)
    assert seeds_in(one) == seeds_in(again)
    assert all(a != b for a, b in zip(seeds_in(one), seeds_in(other), strict=True))
    assert model.seed is None


def test_a_forest_in_a_classifier_of_molecules_is_the_same_each_time(smiles: np.ndarray) -> None:
    y = np.arange(100) % 3 == 0
    inner = CalibratedClassifierCV(RandomForestClassifier(5), cv=KFold(2, shuffle=True))
    one, again = (
        MoleculeClassifier(inner, "bits", seed=4).fit(smiles, y).predict_proba(smiles)
        for _ in range(2)
    )
    np.testing.assert_array_equal(one, again)
