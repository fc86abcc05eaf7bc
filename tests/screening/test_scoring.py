"""Classical models of docked complexes."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

import chemdl
from chemdl.data import Dataset
from chemdl.evidence import splits
from chemdl.evidence.metrics import METRICS
from chemdl.learn.models import BASELINES, make_net
from chemdl.screening import scoring
from chemdl.screening.complex_features import vina_scores
from chemdl.screening.poses import MissingPoseError
from chemdl.settings import Settings


@pytest.mark.parametrize("name", scoring.CLASSIFIERS)
def test_every_model_keeps_the_contract(workbench, name: str) -> None:
    inputs, labels = workbench.complexes(16)
    model = clone(scoring.classifier(name, trees=20, seed=1)).fit(inputs, labels)
    proba = model.predict_proba(inputs)
    assert proba.shape == (16, 2)
    np.testing.assert_allclose(proba.sum(1), 1.0)
    assert vars(type(model))["revision"] == 1
    registered = BASELINES[f"complex/{name}"].estimator("classification", trees=20, seed=1)
    again = registered.fit(inputs, labels)
    np.testing.assert_array_equal(again.predict_proba(inputs), proba)
    auc = METRICS["roc_auc"].function(labels, proba[:, 1])
    if name == "trivial":
        assert auc == 0.5
    elif name != "vina":
        assert auc == 1.0


def test_vina_ranks_by_its_score_and_learns_nothing(workbench) -> None:
    inputs, labels = workbench.complexes(12)
    found = scoring.classifier("vina").fit(inputs, labels).predict_proba(inputs)[:, 1]
    assert (np.argsort(-found) == np.argsort(vina_scores(inputs))).all()
    other = scoring.classifier("vina").fit(inputs, 1.0 - labels).predict_proba(inputs)[:, 1]
    np.testing.assert_array_equal(other, found)


def test_ligand_forests_need_no_pose_and_the_others_do(workbench) -> None:
    inputs, labels = workbench.complexes(12)
    for name in ("ligand_forest", "properties_only", "random_forest", "vina"):
        model = scoring.classifier(name, trees=5).fit(inputs, labels)
        if name in ("ligand_forest", "properties_only"):
            # The same ligand in either protein is the same to them.
            pair = model.predict_proba(["left c1ccccc1CO", "right c1ccccc1CO"])
            np.testing.assert_array_equal(pair[0], pair[1])
        else:
            with pytest.raises(MissingPoseError):
                model.predict_proba(["left c1ccccc1CO"])


def test_an_unknown_name_lists_near_misses() -> None:
    with pytest.raises(ValueError, match="Did you mean 'vina'"):
        scoring.classifier("vyna")


def test_docked_complexes_run_through_a_study(workbench, tmp_path) -> None:
    inputs, labels = workbench.complexes(18)
    groups = np.array(["left", "right", "third"])[np.arange(18) % 3]
    data = Dataset(
        "docked",
        inputs,
        labels[:, None],
        ("active",),
        "classification",
        "active (1) or decoy (0)",
        {"title": "by hand", "input": "complex", "cleaning": {"raw": 18, "kept": 18}},
        {"target": groups},
    )
    study = chemdl.Study(
        "dude_docking",
        chapter="virtual-screening",
        dataset=data,
        models={
            "contact_net": make_net("contact_net", "classification", width=8, epochs=2),
            "random_forest": scoring.classifier("random_forest", trees=5),
            "vina": scoring.classifier("vina"),
        },
        protocol=splits.leave_group_out(data),
        metrics=["roc_auc"],
        settings=Settings("quick", 0, "cpu", tmp_path),
    )
    result = study.run()
    assert len(result.scores) == 9 and result.card.protocol.name == "leave_group_out"
    kinds = {name: result.kind(name) for name in result.models}
    assert kinds == {"contact_net": "deep", "random_forest": "classical", "vina": "classical"}
