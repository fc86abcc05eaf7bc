"""Molecules scored a second by the multitask pyramid: ours and DeepChem's, two starting points.

From SMILES, with nothing computed before, and from features that lie ready: for us packed rows in
the cache on disk, for DeepChem its own array in memory. The nets have the same layers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.caches import cache_in, empty_cache
from benchmarks.molecules import random_smiles
from benchmarks.options import Options
from benchmarks.timing import medians, peer
from chemdl.learn.models import make_net
from chemdl.molecules.fingerprints import ECFP

SIZE, QUICK_SIZE = 20_000, 500
TASKS = 12
# DeepChem's featuriser takes a tenth, and its rate stands for the whole.
_PART = 10


def run(options: Options) -> list[dict[str, Any]]:
    """Return molecules per second for each side and starting point, and DeepChem's share."""
    smiles, values = random_smiles(QUICK_SIZE if options.quick else SIZE)
    labels = np.repeat(values > np.median(values), TASKS, axis=1).astype(float)
    first = slice(0, 500)
    with empty_cache():
        net = make_net("multitask", "classification", epochs=1, device=options.device)
        net.fit(smiles[first], labels[first])
    sizes = {"SMILES": len(smiles), "features": len(smiles)}
    sides: dict[str, Callable[[], Any]] = {"SMILES": lambda: _fresh(net, smiles)}
    with tempfile.TemporaryDirectory() as folder, cache_in(folder):
        ECFP(packed=True).transform(smiles)
        sides["features"] = lambda: _ready(net, smiles, folder)
        if peer("deepchem"):
            theirs = _deepchem_sides(smiles, labels, first)
            sides |= theirs
            sizes |= {"SMILES, DeepChem": len(smiles[::_PART]), "features, DeepChem": len(smiles)}
        seconds = medians(sides, rounds=3)
    rates = {name: sizes[name] / taken for name, taken in seconds.items()}
    return [
        {
            "from": name.partition(",")[0],
            "side": "deepchem" if "DeepChem" in name else "chemdl",
            "molecules/s": rate,
            "of ours": rate / rates[name.partition(",")[0]],
        }
        for name, rate in rates.items()
    ]


def _fresh(net: Any, smiles: list[str]) -> None:
    with empty_cache():
        net.predict_proba(smiles)


def _ready(net: Any, smiles: list[str], folder: str) -> None:
    with cache_in(folder):
        net.predict_proba(smiles)


def _deepchem_sides(
    smiles: list[str], labels: np.ndarray, first: slice
) -> dict[str, Callable[[], Any]]:
    import deepchem
    from deepchem.feat import CircularFingerprint
    from rdkit import rdBase

    featurise = CircularFingerprint(radius=2, size=2048).featurize
    model = deepchem.models.MultitaskClassifier(
        n_tasks=TASKS, n_features=2048, layer_sizes=[2000, 100], dropouts=0.25, batch_size=128
    )
    bits = ECFP().transform(smiles).astype(np.float32)
    model.fit(deepchem.data.NumpyDataset(bits[first], labels[first]), nb_epoch=1)
    nothing = np.zeros((len(smiles), TASKS))
    ready = deepchem.data.NumpyDataset(bits, nothing)
    part = smiles[::_PART]

    def from_smiles() -> None:
        # DeepChem calls a function that RDKit deprecates, once a molecule.
        with rdBase.BlockLogs():
            rows = featurise(part)
        model.predict(deepchem.data.NumpyDataset(rows, nothing[: len(part)]))

    return {"SMILES, DeepChem": from_smiles, "features, DeepChem": lambda: model.predict(ready)}
