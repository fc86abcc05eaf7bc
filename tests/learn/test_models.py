"""Every model has one name, which claims and chapters use, and says what it is."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.model_selection import GridSearchCV
from torch import nn

from chemdl.data import Dataset
from chemdl.evidence import claims
from chemdl.learn import models
from chemdl.learn.estimator import NeuralEstimator
from chemdl.learn.models import BASELINES, FAMILIES, NETS, make_net, make_nets, net
from chemdl.registry import UnknownNameError


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name, info in NETS.items() for kind in info.learns]
)
def test_each_name_gives_an_unfitted_net(name: str, kind: str) -> None:
    net = make_net(name, kind, epochs=3, seed=4)
    assert (net.epochs, net.seed, net.kind) == (3, 4, "deep")
    assert net.search_space
    assert hasattr(net, "predict_proba") == (kind == "classification")


def test_unknown_names_and_kinds_list_the_near_misses() -> None:
    with pytest.raises(ValueError, match="Did you mean 'dmpnn'"):
        make_net("dmppn", "regression")
    with pytest.raises(ValueError, match="Did you mean 'regression'"):
        make_net("dmpnn", "regresion")
    with pytest.raises(ValueError, match="kind of dataset for dtnn 'classification'"):
        make_net("dtnn", "classification")


def test_claims_on_molecules_name_nets_that_exist() -> None:
    tests = [
        c.test
        for c in claims.load_claims().values()
        if c.test and c.chapter in ("toxicity", "property-prediction")
    ]
    deep = {test.a for test in tests} & {"weave", "ugrnn", "dmpnn", "smiles_gru"}
    assert deep and deep <= set(NETS)


def test_a_budget_of_batches_counts_each_tasks_own_molecules() -> None:
    targets = np.full((100, 4), np.nan)
    for task in range(4):
        targets[25 * task : 25 * task + 25, task] = 1.0
    smiles = np.array(["C" * (i + 1) for i in range(100)], object)
    data = Dataset("tiny", smiles, targets, tuple("abcd"), "regression", "", {})
    asked = {name: {"batch_size": 10, "epochs": 500} for name in ("multitask", "single_task")}
    nets = make_nets(asked, data, batches=1000)
    # 100 molecules are 10 batches an epoch, the 25 of one task 2.5.
    assert nets["multitask"].epochs == 100
    assert nets["single_task"].epochs == 400
    assert not nets["single_task"].shared
    assert make_net("multitask_ma_bn", "regression").batch_norm


def test_every_model_says_what_it_is() -> None:
    for info in [*NETS.values(), *BASELINES.values()]:
        assert info.family in FAMILIES and info.reads and info.method and info.inputs, info.name
        assert set(info.learns) <= {"classification", "regression", "labelling"}
    with pytest.raises(UnknownNameError, match="Did you mean 'forest'"):
        models.ModelInfo("wood", "forst", "bits", "trees", "", {"regression": dict})


def test_a_classical_model_is_found_by_its_input_and_name() -> None:
    tiny = {"kind": "regression", "unit": "", "tasks": ("a",), "targets": np.zeros((2, 1))}
    formulas = Dataset(
        "tiny", np.array(["Fe2O3", "GaAs"], object), card={"input": "formula"}, **tiny
    )
    smiles = Dataset("tiny", np.array(["C", "CC"], object), card={"input": "smiles"}, **tiny)
    made = [models.make_baseline("random_forest", data, trees=3) for data in (formulas, smiles)]
    assert [type(model).__name__ for model in made] == ["MaterialRegressor", "MoleculeRegressor"]
    with pytest.raises(UnknownNameError, match="Did you mean 'formula/random_forest'"):
        models.make_baseline("random_forst", formulas)
    assert models.find_model("ridge", "formula") is not models.find_model("ridge", "smiles")
    assert models.find_model("dmpnn", "smiles") is NETS["dmpnn"]
    with pytest.raises(UnknownNameError, match="unknown model 'krr_bonds'"):
        models.find_model("krr_bonds", "smiles")


# --- a net by its decorator -----------------------------------------------------------------------

WORDS = {"family": "net on vectors", "reads": "lengths", "method": "a line"}


class Line(nn.Module):
    def __init__(self, width: int, tasks: int) -> None:
        super().__init__()
        self.weigh = nn.Linear(width, tasks)

    def forward(self, batch, noise, weight):
        return self.weigh(batch["x"])


class Lengths(NeuralEstimator):
    """A line through the lengths of the inputs."""

    width: int = 2
    epochs: int = 3

    def featurize(self, inputs):
        return {"x": np.array([[len(text)] * self.width for text in inputs], np.float32)}

    def build(self, features, n_tasks):
        return Line(self.width, n_tasks)


@pytest.fixture
def own_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    monkeypatch.setattr(NETS, "_values", dict(NETS))


def defined(decorate: Callable[[type], type], **changes: Any) -> Any:
    """Define the class anew, as a notebook's cell does."""
    body = {k: v for k, v in vars(Lengths).items() if k not in ("__dict__", "__weakref__")}
    body["__annotations__"] = dict(Lengths.__annotations__)
    return decorate(type("Lengths", (NeuralEstimator,), {**body, **changes}))


def test_fields_become_parameters_of_scikit_learn(own_nets) -> None:
    cls = defined(net("lengths", **WORDS))
    model = cls.Classifier(width=3)
    assert model.get_params()["width"] == 3 and model.epochs == 3
    assert clone(model).get_params() == model.get_params()
    assert model.set_params(width=4, learning_rate=0.1).width == 4
    assert "width=4" in repr(model) and "epochs" not in repr(model)
    with pytest.raises(TypeError, match="positional"):
        cls.Classifier(3)
    with pytest.raises(TypeError, match="widht"):
        cls.Classifier(widht=3)
    assert is_classifier(model) and is_regressor(cls.Regressor())
    assert not hasattr(cls, "Labeller")


def test_a_net_fits_and_is_searched_over_a_grid(own_nets) -> None:
    cls = defined(net("lengths", **WORDS))
    x = np.array(["C" * i for i in range(1, 41)], dtype=object)
    y = np.arange(1.0, 41.0)
    model = cls.Regressor(epochs=60, batch_size=8, learning_rate=0.1, device="cpu")
    search = GridSearchCV(model, {"width": [1, 2]}, cv=2, scoring="r2").fit(x, y)
    assert search.best_params_["width"] in (1, 2)
    assert model.fit(x, y).score(x, y) > 0.9


def test_one_class_has_several_names(own_nets) -> None:
    def decorate(cls: type) -> type:
        return net("wide", **WORDS, width=9)(net("narrow", **WORDS, paper="2026")(cls))

    cls = defined(decorate)
    wide, narrow = make_net("wide", "regression"), make_net("narrow", "regression")
    assert type(wide) is type(narrow) is cls.Regressor
    assert (wide.width, narrow.width) == (9, 2)
    assert make_net("wide", "regression", width=5).width == 5
    assert (NETS["narrow"].paper, NETS["wide"].paper) == ("2026", "")
    assert NETS["wide"].learns == ("classification", "regression")


def test_a_net_that_is_defined_again_replaces_the_earlier(own_nets) -> None:
    first, second = (defined(net("lengths", **WORDS), width=w) for w in (5, 6))
    assert first is not second
    assert make_net("lengths", "regression").width == 6


def test_another_net_of_the_same_name_is_an_error(own_nets) -> None:
    defined(net("lengths", **WORDS))
    with pytest.raises(ValueError, match="net 'lengths' is registered twice"):
        defined(net("lengths", **WORDS), __qualname__="Others")
    with pytest.raises(ValueError, match="net 'dmpnn' is registered twice"):
        defined(net("dmpnn", **WORDS))


@pytest.mark.parametrize("name", sorted(NETS))
def test_every_net_is_found_again_by_pickle(name: str) -> None:
    for kind in NETS[name].learns:
        model = make_net(name, kind, epochs=7)
        again = pickle.loads(pickle.dumps(model))
        assert type(again) is type(model)
        assert again.get_params() == model.get_params()
