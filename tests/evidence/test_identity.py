"""An edited model never gets the scores that were stored of it before: bugs.md, F1 and F21.

Each edit is made as a notebook makes it: a cell defines the same names anew, with another content.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.interpolate import interp1d
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from chemdl.data import Dataset
from chemdl.evidence import splits
from chemdl.evidence.identity import identity, without_revision
from chemdl.evidence.replicas import replica_key
from chemdl.evidence.result import Result
from chemdl.evidence.study import Study
from chemdl.learn.models import BASELINES, NETS
from chemdl.molecules.baselines import MoleculeClassifier
from chemdl.molecules.fingerprints import ECFP
from chemdl.molecules.nets.multitask import Multitask
from chemdl.settings import Settings

SHA = "0" * 64


def key(model: Any) -> str | None:
    rows = (np.arange(3), np.arange(3, 4), np.arange(4, 5))
    return replica_key(model, content_sha256=SHA, rows=rows, seed=0, condition="all")


def cell(text: str, name: str = "Mine") -> Any:
    """Run a cell as a notebook does, where nothing has a file; return what it calls ``name``."""
    space = {
        "__name__": "__main__",
        "BaseEstimator": BaseEstimator,
        "ClassifierMixin": ClassifierMixin,
        "Multitask": Multitask,
        "functools": functools,
        "np": np,
    }
    exec(text, space)
    return space[name]


OWN = "class Mine(ClassifierMixin, BaseEstimator):\n"
FIT = "    def fit(self, X, y):\n        self.w_ = {}\n        return self\n"
# What is edited in a class of one's own: the text of its cell, with {} where it is edited.
EDITS = {
    "its code": OWN + FIT,
    "a constant of its module": "WIDTH = {}\n" + OWN + FIT.format("WIDTH"),
    "an attribute of its class": OWN + "    width = {}\n" + FIT.format("self.width"),
    "a helper": "def f(x):\n    return {} * x\n" + OWN + FIT.format("[f(x) for x in y]"),
    "a helper's helper": "def g(x):\n    return {} * x\ndef f(x):\n    return g(x)\n" + OWN
    + FIT.format("f(y)"),
    "a default": OWN + "    def fit(self, X, y, w={}):\n        self.w_ = w\n        return self\n",
    "a property": OWN + "    @property\n    def w(self):\n        return {}\n"
    + FIT.format("self.w"),
    "a static method": OWN + "    @staticmethod\n    def w():\n        return {}\n"
    + FIT.format("self.w()"),
    "a class method": OWN + "    @classmethod\n    def w(cls):\n        return {}\n"
    + FIT.format("self.w()"),
    "a lambda": "f = lambda x: {} * x\n" + OWN + FIT.format("f(y)"),
    "a closure": "def make(w):\n    def f(x):\n        return w * x\n    return f\nf = make({})\n"
    + OWN + FIT.format("f(y)"),
    "a class that it derives from": "class Parent(ClassifierMixin, BaseEstimator):\n" + FIT
    + "class Mine(Parent):\n    pass\n",
    "a net on top of ours": "class Mine(Multitask.Classifier):\n"
    "    def featurize(self, inputs):\n        return super().featurize(inputs[:{}])\n",
}  # fmt: skip
HOLDERS: dict[str, Callable[[Any], Any]] = {
    "alone": lambda model: model,
    "in ours": MoleculeClassifier,
    "in a pipeline": lambda model: make_pipeline(ECFP(), model),
    "in a search": lambda model: GridSearchCV(model, {}),
    "in a pipeline in ours": lambda model: MoleculeClassifier(make_pipeline(model)),
}


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("edited", EDITS)
def test_an_edited_class_is_never_taken_from_the_store(edited: str, holder: str) -> None:
    for value in (8, 64):
        model = HOLDERS[holder](cell(EDITS[edited].format(value))())
        assert key(model) is None
        assert without_revision(model) == ["class Mine"]


@pytest.mark.parametrize("edited", EDITS)
def test_a_class_that_names_its_revision_is_stored_by_it(edited: str) -> None:
    """Whoever names a revision says himself when predictions change."""
    text = EDITS[edited].format(8)
    head, _, body = text.rpartition("class Mine")
    first, rest = body.split("\n", 1)
    revisions = [f"{head}class Mine{first}\n    revision = {i}\n{rest}" for i in (1, 1, 2)]
    keys = [key(MoleculeClassifier(cell(text)())) for text in revisions]
    assert None not in keys
    assert keys[0] == keys[1] != keys[2]


def test_a_revision_is_not_inherited() -> None:
    text = OWN + "    revision = 1\n" + FIT.format(1) + "class Further(Mine):\n    pass\n"
    assert key(cell(text)()) is not None
    assert key(cell(text, "Further")()) is None
    assert key(type("Sub", (Multitask.Classifier,), {"__module__": __name__})()) is None
    # Nor does a class become ours that calls itself so.
    assert key(type("Sub", (Multitask.Classifier,), {"__module__": "chemdl.settings"})()) is None


def test_a_net_from_outside_names_its_revision_itself() -> None:
    text = (
        "from chemdl.learn.models import net\n"
        "@net('outsider', family='net on vectors', reads='bits', method='mine')\n"
        "class Mine(Multitask):\n    pass\n"
    )
    try:
        assert key(cell(text).Classifier()) is None
    finally:
        NETS._values.pop("outsider", None)


def test_a_class_of_a_notebook_is_from_outside() -> None:
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    lines = "from sklearn.base import BaseEstimator\nclass Own(BaseEstimator):\n    size = {}\n"
    for value in (1, 2):
        assert shell.run_cell(lines.format(value)).success
        assert key(MoleculeClassifier(shell.user_ns["Own"]())) is None


# --- functions and callable objects ---------------------------------------------------------------

FUNCTIONS: dict[str, Callable[[int], Any]] = {
    "a lambda": lambda w: lambda x: w * x,
    "a function": lambda w: cell(f"def f(x):\n    return {w} * x\n", "f"),
    "a partial of a function": lambda w: functools.partial(
        cell(f"def f(y, x):\n    return {w} * x\n", "f"), 2
    ),
    "a partial of a partial": lambda w: functools.partial(functools.partial(lambda x: w * x)),
    "a partial of a function with another": lambda w: functools.partial(np.apply_along_axis,
                                                                       lambda x: w * x),
    "a callable object": lambda w: cell(
        f"class F:\n    def __call__(self, x):\n        return {w} * x\nf = F()\n", "f"
    ),
    "a cached function": lambda w: functools.lru_cache(lambda x: w * x),
    "a class": lambda w: cell(f"class F:\n    def __new__(cls, x):\n        return {w} * x\n", "F"),
    # Known packages make functions too, with a state that their names do not tell.
    "a polynomial": lambda w: np.poly1d([w, 1]),
    "a vectorised function": lambda w: np.vectorize(lambda x: w * x),
    "a ufunc of a function": lambda w: np.frompyfunc(
        cell(f"def power(x):\n    return {w} * x\n", "power"), 1, 1
    ),
    "an interpolation": lambda w: interp1d([0, 1], [0, w]),
    "a method of what was fitted": lambda w: StandardScaler().fit([[0], [w]]).transform,
    "a method of a random state": lambda w: np.random.default_rng(w).normal,
}  # fmt: skip
HOLDERS_OF_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "a transformer": lambda f: make_pipeline(FunctionTransformer(f), LogisticRegression()),
    "weights": lambda f: MoleculeClassifier(KNeighborsClassifier(weights=f)),
    "a list": lambda f: KNeighborsClassifier(metric_params={"parts": [1, (f,)]}),
    "a score": lambda f: GridSearchCV(Ridge(), {"alpha": [1.0]}, scoring=f),
}


@pytest.mark.parametrize("holder", HOLDERS_OF_FUNCTIONS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_edited_function_is_never_taken_from_the_store(function: str, holder: str) -> None:
    for value in (8, 64):
        model = HOLDERS_OF_FUNCTIONS[holder](FUNCTIONS[function](value))
        assert key(model) is None
        (part,) = without_revision(model)
        assert part.startswith("function ")


def test_a_scorer_of_ones_own_is_seen() -> None:
    scorer = make_scorer(lambda y, p: 0.0)
    assert key(GridSearchCV(Ridge(), {"alpha": [1.0]}, scoring=scorer)) is None


@pytest.mark.parametrize(
    "function",
    [
        np.log1p,
        np.power,
        expit,
        np.linalg.norm,
        np.where,
        np.float32,
        float,
        len,
        ECFP,
        functools.partial(np.power, 2),
        functools.partial(functools.partial(np.power, 2), dtype=np.float64),
    ],
    ids=lambda value: getattr(value, "__name__", "partial"),
)
def test_functions_of_known_packages_keep_a_key(function: Any) -> None:
    models = [
        make_pipeline(FunctionTransformer(function), Ridge()),
        KNeighborsClassifier(weights=function),
        GridSearchCV(Ridge(), {"alpha": [1.0]}, scoring=function),
    ]
    for model in models:
        assert without_revision(model) == []
        assert key(model) == key(model) is not None
        json.dumps(identity(model), allow_nan=False)


def test_partials_differ_by_function_arguments_and_keywords() -> None:
    partial = functools.partial
    parts = [
        np.power, partial(np.power), partial(np.power, 2), partial(np.power, 3),
        partial(np.power, 2, where=True), partial(np.add, 2), partial(np.power, [2]),
    ]  # fmt: skip
    keys = {key(KNeighborsClassifier(weights=part)) for part in parts}
    assert None not in keys and len(keys) == len(parts)


# --- values ---------------------------------------------------------------------------------------


class Named(BaseEstimator):
    """A model from outside that names its revision, over one parameter."""

    revision = 1

    def __init__(self, w: Any = None, n_jobs: int = 1, seed: int = 0) -> None:
        self.w, self.n_jobs, self.seed = w, n_jobs, seed


def almost_equal_arrays() -> list[np.ndarray]:
    """Arrays that print alike, or whose bytes are alike."""
    zeros = np.zeros(5000)
    one = zeros.copy()
    one[2500] = 1.0
    tiny = zeros.copy()
    tiny[2500] = 1e-300
    return [zeros, one, tiny, zeros.astype(np.float32), zeros.reshape(50, 100), zeros[:2500]]


def test_arrays_count_by_content_type_and_shape() -> None:
    keys = [key(Named(array)) for array in almost_equal_arrays()]
    assert None not in keys and len(set(keys)) == len(keys)
    assert key(Named(np.asfortranarray(np.eye(3)))) == key(Named(np.eye(3)))
    assert key(Named(np.arange(10)[::2])) == key(Named(np.array([0, 2, 4, 6, 8])))


@pytest.mark.parametrize(
    "value",
    [
        np.random.RandomState(0),
        np.random.default_rng(0),
        np.array([Ridge(), None], dtype=object),
        sparse.csr_matrix(np.eye(3)),
        object(),
        iter([1, 2]),
        range(3),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("nested", [False, True])
def test_a_value_without_a_text_of_its_own_has_no_key(value: Any, nested: bool) -> None:
    model = Named([{"deep": (value,)}]) if nested else Named(value)
    assert key(model) is None
    assert without_revision(model) == [f"value of class {type(value).__name__}"]


def test_a_random_state_of_its_own_has_no_key() -> None:
    forest = RandomForestClassifier(random_state=np.random.RandomState(0))
    assert key(forest) is None
    assert key(MoleculeClassifier(forest)) is None


def test_plain_values_tell_models_apart() -> None:
    values = [
        None, True, 1, 1.5, "1", "None", (1,), (1, 2), [[1], 2], {"a": 1}, {"a": 2}, {"b": 1},
        {5, 6}, {5, 7}, float("nan"), float("inf"), slice(0, 3), slice(0, 4), np.float32(0.1),
        np.float64(0.1), np.dtype("f4"), np.dtype("f8"), b"ab", 1j, Ridge(), Ridge(2.0), Ridge,
    ]  # fmt: skip
    keys = [key(Named(value)) for value in values]
    assert None not in keys and len(set(keys)) == len(keys)
    assert key(Named([1, 2])) == key(Named((1, 2))) == key(Named((np.int64(1), 2)))
    assert key(Named({3, 2, 1})) == key(Named({1, 2, 3}))


def test_seeds_inside_a_model_count_and_its_own_do_not() -> None:
    """A replica's own seed stands beside its model; what a pipeline holds is the user's."""
    inside = [make_pipeline(ECFP(), RandomForestClassifier(random_state=i)) for i in (1, 2)]
    assert key(inside[0]) != key(inside[1])
    assert key(RandomForestClassifier(random_state=1)) == key(RandomForestClassifier())
    assert key(Named(seed=1)) == key(Named(seed=2))
    assert key(Named(n_jobs=1)) == key(Named(n_jobs=2))
    assert key(MoleculeClassifier(Named(n_jobs=1))) == key(MoleculeClassifier(Named(n_jobs=2)))


def test_what_clones_keep_beside_parameters_has_no_key() -> None:
    frozen = FrozenEstimator(StandardScaler().fit([[0.0], [1.0]]))
    assert key(make_pipeline(frozen, LogisticRegression())) is None


# --- what is ours, and scikit-learn's -------------------------------------------------------------


def test_estimators_of_scikit_learn_inside_ours_keep_a_key() -> None:
    models = [
        MoleculeClassifier(LogisticRegression(), "bits"),
        MoleculeClassifier(LogisticRegression(C=2.0), "bits"),
        MoleculeClassifier(LogisticRegression(), "counts"),
        MoleculeClassifier(HistGradientBoostingClassifier(), "bits"),
        MoleculeClassifier(make_pipeline(StandardScaler(), LogisticRegression()), "bits"),
        MoleculeClassifier(GridSearchCV(LogisticRegression(), {"C": [1.0]}), "bits"),
        MoleculeClassifier(GridSearchCV(LogisticRegression(), {"C": [2.0]}), "bits"),
        make_pipeline(ECFP(), LogisticRegression()),
        make_pipeline(ECFP(radius=3), LogisticRegression()),
    ]
    keys = [key(model) for model in models]
    assert None not in keys and len(set(keys)) == len(keys)


def every_registered_model() -> list[Any]:
    registered = (*NETS.values(), *BASELINES.values())
    return [info.estimator(kind) for info in registered for kind in info.learns]


def test_every_registered_model_has_a_revision_and_a_key() -> None:
    models = every_registered_model()
    assert len(models) > 60
    for model in models:
        assert isinstance(vars(type(model)).get("revision"), int), type(model)
        assert key(model) is not None, type(model)
        assert json.loads(json.dumps(identity(model), allow_nan=False)) == identity(model)


def test_what_tells_models_apart_can_be_written_as_json() -> None:
    """Some libraries mark missing values by NaN, which JSON has not."""
    found = identity(RandomForestClassifier(np.int64(3), max_features=float("nan")))
    assert json.loads(json.dumps(found, allow_nan=False))["n_estimators"] == 3
    assert found["class"] == "RandomForestClassifier"
    assert "random_state" not in found and "n_jobs" not in found
    assert identity(Multitask.Classifier())["revision"] == 1


# --- a whole study --------------------------------------------------------------------------------

LEVEL = """
class Mine(ClassifierMixin, BaseEstimator):{revision}
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        p = np.full(len(X), {level})
        return np.c_[1 - p, p]
"""


def run(output: Path, level: float, revision: int | None = None, **changes: Any) -> Result:
    named = "" if revision is None else f"\n    revision = {revision}"
    mine = cell(LEVEL.format(level=level, revision=named))
    inputs = np.array([f"{'C' * i}O" for i in range(1, 19)], dtype=object)
    targets = np.array([[float(i > 8)] for i in range(1, 19)])
    data = Dataset("tiny", inputs, targets, ("t",), "classification", "", {"cleaning": {}})
    return Study(
        "tiny_random",
        chapter="tiny",
        dataset=data,
        models={"mine": MoleculeClassifier(mine(), "bits")},
        protocol=splits.stratified(data, repeats=1, folds=3),
        metrics=["brier"],
        settings=Settings(profile="smoke", device="cpu", output=output, **changes),
    ).run()


def brier(result: Result) -> list[float]:
    return result.by_task("mine")["t"].tolist()


def test_an_edited_model_gets_new_scores_and_the_study_says_so(tmp_path: Path) -> None:
    warned = (
        r"study tiny_random: the replicas of mine are computed anew in each run and not stored, "
        r"since an edit of class Mine would go unnoticed; a class attribute `revision = 1`"
    )
    with pytest.warns(UserWarning, match=warned):
        first = brier(run(tmp_path / "run", 0.9))
    with pytest.warns(UserWarning, match=warned):
        again = brier(run(tmp_path / "run", 0.1))
    with pytest.warns(UserWarning, match=warned):
        fresh = brier(run(tmp_path / "fresh", 0.1))
    assert again == fresh != first
    assert not (tmp_path / "run" / "replicas").exists()


def test_an_edited_model_is_tuned_anew(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="computed anew"):
        first = brier(run(tmp_path, 0.9, trials=2))
    with pytest.warns(UserWarning, match="computed anew"):
        assert brier(run(tmp_path, 0.1, trials=2)) != first


def test_a_model_that_names_its_revision_is_found_again(tmp_path: Path) -> None:
    first = brier(run(tmp_path, 0.9, revision=1))
    assert len(list((tmp_path / "replicas" / "tiny_random").glob("*.npz"))) == 3
    # Nothing but the revision tells: whoever edits and leaves it gets what was stored.
    assert brier(run(tmp_path, 0.1, revision=1)) == first
    assert brier(run(tmp_path, 0.1, revision=2)) != first


def test_a_model_that_was_not_asked_for_is_not_warned_of(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="none of its models"):
        run(tmp_path, 0.9, models=("deep",))
