"""A study that cannot run to its end is refused before it begins, and writes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from chemdl.evidence import splits
from chemdl.evidence.conditions import Condition
from chemdl.evidence.design import check_protocol
from chemdl.files import check_file_name
from chemdl.molecules import baselines
from chemdl.molecules.baselines import MoleculeClassifier
from chemdl.molecules.fingerprints import ECFP
from chemdl.molecules.nets.multitask import Multitask


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrics": "roc_auc"}, r"give metrics as a list, \['roc_auc'\]"),
        ({"metrics": []}, "name one or more, each once"),
        ({"metrics": ["roc_auc", "roc_auc"]}, "name one or more, each once"),
        ({"metrics": ["rmse"]}, "rmse is a metric of regression, 'tiny' a set of classification"),
        ({"metrics": ["roc_auc", "q3"]}, "q3 is a metric of labelling"),
        ({"unit": "molecule"}, "unit 'molecule' asks for one fixed test set"),
        ({"unit": "folds"}, "unit 'folds' .*; use one of fold, task, target"),
        ({"unit": "target"}, "unit 'target' asks for the protocol leave_group_out, not 'random'"),
        ({"name": "../../x"}, r"study '../../x' is to be part of a file's name"),
        ({"name": "solubility/esol"}, "study 'solubility/esol' is to be part of a file's name"),
        ({"name": ""}, "study '' is to be"),
        ({"conditions": [Condition("a/b")]}, "condition 'a/b' is to be part"),
        ({"conditions": []}, "it has no conditions"),
        ({"untuned": ["oxigen"]}, "unknown untuned model 'oxigen'. Did you mean 'oxygen'"),
        ({"asked": ("oxygen", "tivial")}, "unknown model 'tivial'. Did you mean 'trivial'"),
    ],
)
def test_what_cannot_be_is_refused_at_once(
    data, tmp_path, make_study, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_study(data, tmp_path / "run", **changes)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Ridge(), "has no predict_proba"),
        (make_pipeline(ECFP(), SVC()), "has no predict_proba"),
        (Multitask.Regressor(), "has no predict_proba"),
        (Multitask.Classifier(optimizer="Adam"), "unknown optimizer of MultitaskClassifier 'Adam'"),
        (Multitask.Classifier(learning_rate=float("nan")), "learning_rate .* give a finite number"),
        (Multitask.Classifier(epochs=0), "epochs of MultitaskClassifier is 0; give 1 or more"),
        (MoleculeClassifier(LogisticRegression(C=float("nan")), "bits"), "'C' parameter of Logis"),
        (MoleculeClassifier(LogisticRegression(), "bit"), "Did you mean 'bits'"),
        (
            MoleculeClassifier(LogisticRegression(), "bits", space={"c": [1.0]}),
            "search_space names 'estimator__c', no parameter of it",
        ),
    ],
)
def test_a_model_that_cannot_run_is_refused_at_once(
    data, tmp_path, make_study, model: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=rf"study tiny_random: model m.*{message}"):
        make_study(data, tmp_path, {"m": model})


def test_a_classifier_is_refused_for_values(data, tmp_path, make_study, tiny_set) -> None:
    values = tiny_set(data.targets * 2.5, kind="regression")
    with pytest.raises(ValueError, match="model m is a classifier, 'tiny' is a set of values"):
        make_study(values, tmp_path, {"m": baselines.classifier("knn")}, metrics=["r2"])


def test_a_unit_of_a_fixed_test_set_is_taken_there(data, tmp_path, make_study) -> None:
    sides = np.array(["train", "valid", "test", "train"] * 20)
    fixed = data.with_column("set", sides)
    protocol = splits.published(fixed, repeats=2)
    assert make_study(fixed, tmp_path, protocol=protocol, unit="molecule").unit == "molecule"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(draw=st.data())
def test_a_protocol_divides_its_own_set_alone(data, draw: st.DataObject) -> None:
    """Whichever part was taken and whichever was divided: only equal sets fit."""
    parts = [data, data.sample(40, seed=0), data.sample(40, seed=1), data.subset(range(40, 80))]
    divided, studied = (draw.draw(st.sampled_from(range(len(parts)))) for _ in range(2))
    protocol = splits.random(parts[divided], repeats=1, folds=2)
    if divided == studied:
        check_protocol(protocol.head(1), parts[studied].with_column("x", parts[studied].inputs))
    else:
        with pytest.raises(ValueError, match="divides another set than 'tiny'"):
            check_protocol(protocol.head(1), parts[studied])


def test_rows_of_a_protocol_by_hand_exist(data) -> None:
    by_hand = splits.assemble("mine", data, [splits.Split([0], [1], [79])], 1, 1, None, {})
    check_protocol(by_hand, data)
    with pytest.raises(ValueError, match="has row 79, 'tiny' 40 rows"):
        check_protocol(replace(by_hand, content_sha256=""), data.sample(40))


@given(st.text(max_size=30))
def test_a_name_that_is_taken_stays_in_its_folder(name: str) -> None:
    try:
        check_file_name("study", name)
    except ValueError as error:
        assert repr(name) in str(error) and "\n" not in str(error)
    else:
        folder = Path("/a/b")
        assert (folder / f"{name}.json").parent == folder and not name.startswith(".")


@pytest.mark.parametrize(
    ("scale", "offset"), [(1e-30, 0.0), (1e30, 0.0), (1.0, 1e8), (1e-24, -1e8)]
)
def test_scores_depend_on_no_unit_and_no_origin(
    tmp_path, make_study, tiny_set, scale: float, offset: float
) -> None:
    plain = np.array([[len(s) / 10 + ("O" in s)] for s in tiny_set(np.zeros((80, 1))).inputs])
    found = []
    for folder, values in (("plain", plain), ("moved", (plain + offset) * scale)):
        models = {
            "ridge": baselines.regressor("ridge"),
            "net": Multitask.Regressor(hidden=(8,), dropout=(0.0, 0.0), epochs=3),
            "trivial": baselines.regressor("trivial"),
        }
        data, more = tiny_set(values, kind="regression"), {"metrics": ["r2", "rmse", "mae"]}
        result = make_study(data, tmp_path / folder, models, reference="trivial", **more).run()
        found.append(
            {m: result.scores.query("metric == @m")["value"].to_numpy() for m in more["metrics"]}
        )
    np.testing.assert_allclose(found[1]["r2"], found[0]["r2"], atol=0.01)
    for error in ("rmse", "mae"):
        np.testing.assert_allclose(found[1][error] / scale, found[0][error], rtol=0.01)


def test_targets_that_nothing_holds_are_named(data, tmp_path, make_study, tiny_set) -> None:
    values = tiny_set(data.targets * 1e200, kind="regression")
    with pytest.raises(ValueError, match="targets of task 'oxygen' reach 1e\\+200"):
        make_study(values, tmp_path, {"m": baselines.regressor("ridge")}, metrics=["r2"])
