"""DeepChem's own multitask net and ours score alike."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import chemdl
from chemdl.evidence import metrics, splits
from chemdl.evidence import statistics as stats
from chemdl.learn.models import make_net
from chemdl.molecules.nets.deepchem import DeepChemMultitask


@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",  # of packages that DeepChem imports
    "ignore:Converting a tensor with requires_grad=True:UserWarning",  # in DeepChem's own loop
)
def test_the_net_agrees_with_deepchems(caplog, deepchem) -> None:
    """Same shapes, features, splits and epochs, both at their best epoch: no difference."""
    caplog.set_level(logging.ERROR, logger="deepchem")
    data = chemdl.load("tox21").sample(2500, seed=0)
    protocol = splits.random(data, repeats=2, folds=3, seed=0)
    shape = {"hidden": (128,), "epochs": 8, "batch_size": 64}
    ours = make_net("multitask", "classification", dropout=(0.0, 0.25), device="cpu", **shape)
    theirs = DeepChemMultitask(dropout=0.25, **shape)
    scores = []
    for seed, split in enumerate(protocol.splits):
        rows = np.concatenate([split.train, split.valid])
        for model in (ours, theirs):
            model.set_params(seed=seed).fit(data.inputs[rows], data.targets[rows])
            p = model.predict_proba(data.inputs[split.test])
            scores.append(np.nanmean(metrics.score_tasks("roc_auc", data.targets[split.test], p)))
    a, b = np.reshape(scores, (-1, 2)).T
    parameters = sum(p.numel() for p in theirs.model_.model.parameters())
    # DeepChem has two logits a task, this package one.
    assert parameters - ours.n_parameters_ == 12 * (128 + 1)
    assert min(a.mean(), b.mean()) > 0.68, "neither may be broken for the comparison to count"
    found = stats.corrected_interval(a - b, [split.ratio for split in protocol.splits])
    assert found.low < 0 < found.high
    assert found.detectable < 0.06
    assert abs(found.difference) < 0.03
