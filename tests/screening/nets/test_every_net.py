"""What holds for every net over docked complexes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chemdl.evidence.metrics import METRICS
from chemdl.learn.models import NETS as EVERY_NET
from chemdl.learn.models import make_net
from chemdl.screening.poses import MissingPoseError

NETS: dict[str, dict[str, Any]] = {
    "contact_net": {"width": 8},
    "cnn3d": {"width": 4, "size": 12, "resolution": 1.5},
    "ligand_net": {"width": 8},
    "properties_net": {"width": 8},
}


def small(name: str, **changes: Any) -> Any:
    plain = {"epochs": 2, "batch_size": 4, "device": "cpu"}
    return make_net(name, "classification", **{**plain, **NETS[name], **changes})


def test_every_net_over_complexes_is_tested_here() -> None:
    assert {name for name, info in EVERY_NET.items() if "complex" in info.inputs} == set(NETS)


@pytest.mark.parametrize("name", NETS)
def test_sixteen_complexes_are_learned_by_heart(workbench, name: str) -> None:
    inputs, labels = workbench.complexes(16)
    model = small(name, dropout=0.0, patience=1000, learning_rate=1e-2, epochs=60)
    stacks = model.fit_replicas(inputs, labels, [(np.arange(16), np.arange(16))], [0])
    (trained,) = next(iter(stacks))
    proba = trained.estimator.predict_proba(inputs)
    assert proba.shape == (16, 2)
    assert METRICS["roc_auc"].function(labels, proba[:, 1]) > 0.99
    assert ((proba[:, 1] > 0.5) == labels).mean() > 0.9


@pytest.mark.parametrize("name", NETS)
def test_a_stack_equals_its_replicas_alone(workbench, name: str) -> None:
    """Their last batches hold 2, 3 and 1 rows of 4, so that they are padded unequally."""
    inputs, labels = workbench.complexes(16)
    rows = [
        (np.arange(0, 10), np.arange(10, 14)),
        (np.arange(5, 16), np.arange(0, 5)),
        (np.arange(7, 16), np.arange(0, 3)),
    ]
    fits = {}
    for stack in (True, False):
        stacks = small(name).fit_replicas(inputs, labels, rows, [1, 2, 3], stack=stack)
        trained = sorted((t for s in stacks for t in s), key=lambda t: t.position)
        assert {t.stack_size for t in trained} == {3 if stack else 1}
        fits[stack] = [t.estimator.predict_proba(inputs)[:, 1] for t in trained]
    np.testing.assert_allclose(fits[True], fits[False], atol=1e-4)
    assert not np.allclose(fits[True][0], fits[True][1], atol=1e-3)


@pytest.mark.parametrize("name", ["contact_net", "cnn3d"])
def test_a_complex_that_was_not_docked_is_named(workbench, name: str) -> None:
    inputs, labels = workbench.complexes(12)
    fitted = small(name).fit(inputs, labels)
    with pytest.raises(MissingPoseError, match=r"'c1ccccc1' in right.*chemdl dock right"):
        fitted.predict([*inputs, "right c1ccccc1"])


@pytest.mark.parametrize("name", NETS)
def test_every_drawn_configuration_can_be_built(workbench, name: str) -> None:
    inputs, _ = workbench.complexes(4)
    model = make_net(name, "classification")
    assert model.search_space.keys() <= model.get_params().keys()
    rng = np.random.default_rng(0)
    for _ in range(3):
        drawn = {k: v[rng.integers(len(v))] for k, v in model.search_space.items()}
        net = model.set_params(**drawn).build(model.featurize(inputs), 3)
        assert net.output.out_features == 3
