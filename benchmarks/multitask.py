"""The multitask pyramid against DeepChem's MultitaskClassifier: same shapes, epochs and rows."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import chemdl
from benchmarks.options import Options
from benchmarks.timing import peer
from chemdl.evidence import metrics, splits
from chemdl.learn.models import make_net
from chemdl.molecules.nets.deepchem import DeepChemMultitask

EPOCHS = 10


def run(options: Options) -> list[dict[str, Any]]:
    """Return seconds per replica and mean ROC-AUC over one repeat of five folds."""
    data = chemdl.load("tox21")
    folds = splits.random(data, repeats=1, folds=5, seed=0).splits
    sides: dict[str, Any] = {
        "chemdl": make_net("multitask", "classification", epochs=EPOCHS, device=options.device)
    }
    if peer("deepchem"):
        sides["deepchem"] = DeepChemMultitask(epochs=EPOCHS)
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    scores: dict[str, list[float]] = {name: [] for name in sides}
    for split in folds:
        rows = np.concatenate([split.train, split.valid])
        for name, model in sides.items():
            begun = time.perf_counter()
            model.fit(data.inputs[rows], data.targets[rows])
            seconds[name].append(time.perf_counter() - begun)
            predicted = model.predict_proba(data.inputs[split.test])
            truth = data.targets[split.test]
            scores[name].append(float(np.nanmean(metrics.score_tasks("roc_auc", truth, predicted))))
    ours = float(np.median(seconds["chemdl"]))
    return [
        {
            "side": name,
            "epochs": EPOCHS,
            "seconds per replica": float(np.median(seconds[name])),
            "times ours": float(np.median(seconds[name])) / ours,
            "roc_auc": float(np.mean(scores[name])),
            "sd over folds": float(np.std(scores[name], ddof=1)),
        }
        for name in sides
    ]
