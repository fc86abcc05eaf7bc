"""Every net has one name, which claims and chapters use."""

from __future__ import annotations

import numpy as np
import pytest

from chemdl.data import Dataset
from chemdl.evidence import claims
from chemdl.learn import catalogue


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name in catalogue.NETS for kind in catalogue.kinds(name)]
)
def test_each_name_gives_an_unfitted_net(name: str, kind: str) -> None:
    net = catalogue.net(name, kind, epochs=3, seed=4)
    assert (net.epochs, net.seed, net.kind) == (3, 4, "deep")
    assert net.search_space
    assert hasattr(net, "predict_proba") == (kind == "classification")


def test_unknown_names_and_kinds_list_the_near_misses() -> None:
    with pytest.raises(ValueError, match="Did you mean 'dmpnn'"):
        catalogue.net("dmppn", "regression")
    with pytest.raises(ValueError, match="Did you mean 'regression'"):
        catalogue.net("dmpnn", "regresion")
    with pytest.raises(ValueError, match="kind of dataset for dtnn 'classification'"):
        catalogue.net("dtnn", "classification")


def test_claims_on_molecules_name_nets_that_exist() -> None:
    tests = [
        c.test
        for c in claims.load_claims().values()
        if c.test and c.chapter in ("toxicity", "property-prediction")
    ]
    deep = {test.a for test in tests} & {"weave", "ugrnn", "dmpnn", "smiles_gru"}
    assert deep and deep <= set(catalogue.NETS)


def test_a_budget_of_batches_counts_each_tasks_own_molecules() -> None:
    targets = np.full((100, 4), np.nan)
    for task in range(4):
        targets[25 * task : 25 * task + 25, task] = 1.0
    smiles = np.array(["C" * (i + 1) for i in range(100)], object)
    data = Dataset("tiny", smiles, targets, tuple("abcd"), "regression", "", {})
    asked = {name: {"batch_size": 10, "epochs": 500} for name in ("multitask", "single_task")}
    found = catalogue.nets(asked, data, batches=1000)
    # 100 molecules are 10 batches an epoch, the 25 of one task 2.5.
    assert found["multitask"].epochs == 100
    assert found["single_task"].epochs == 400
    assert not found["single_task"].shared
    assert catalogue.net("multitask_ma_bn", "regression").batch_norm
