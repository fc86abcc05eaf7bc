"""The rivals over docked complexes."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from chemdl import metrics, replicas, scoring
from chemdl.docking.contacts import scores
from chemdl.docking.errors import MissingPoseError


@pytest.mark.parametrize("name", scoring.CLASSIFIERS)
def test_each_rival_keeps_the_contract(workbench, name: str) -> None:
    inputs, labels = workbench.complexes(16)
    model = replicas.seeded(clone(scoring.classifier(name, trees=20)), 1).fit(inputs, labels)
    proba = model.predict_proba(inputs)
    assert proba.shape == (16, 2) and model.kind == ("trivial" if name == "trivial" else "other")
    np.testing.assert_allclose(proba.sum(1), 1.0)
    again = replicas.seeded(scoring.classifier(name, trees=20), 1).fit(inputs, labels)
    np.testing.assert_array_equal(again.predict_proba(inputs), proba)
    auc = metrics.get("roc_auc").function(labels, proba[:, 1])
    if name == "trivial":
        assert auc == 0.5
    elif name != "vina":
        assert auc == 1.0


def test_vina_ranks_by_its_score_and_learns_nothing(workbench) -> None:
    inputs, labels = workbench.complexes(12)
    found = scoring.classifier("vina").fit(inputs, labels).predict_proba(inputs)[:, 1]
    assert (np.argsort(-found) == np.argsort(scores(inputs))).all()
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


def test_an_unknown_rival_lists_near_misses() -> None:
    with pytest.raises(ValueError, match="Did you mean 'vina'"):
        scoring.classifier("vyna")
