"""ECFP4 of Tox21 from SMILES: ours, scikit-fingerprints', DeepChem's; the bits are equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import chemdl
from benchmarks.options import Options
from benchmarks.timing import medians, peer
from chemdl.molecules.fingerprints import fingerprints


def run(options: Options) -> list[dict[str, Any]]:
    """Time fingerprints without any cache; DeepChem on a tenth of the molecules, scaled."""
    smiles = list(chemdl.load("tox21").inputs)
    sides: dict[str, Callable[[], Any]] = {"chemdl": lambda: _ours(smiles)}
    if peer("skfp"):
        from skfp.fingerprints import ECFPFingerprint

        sides["scikit-fingerprints"] = lambda: ECFPFingerprint(n_jobs=2).transform(smiles)
    seconds = medians(sides)
    if peer("deepchem"):
        seconds["deepchem"] = 10 * medians({"": lambda: _deepchem(smiles[::10])}, rounds=3)[""]
    return [
        {
            "side": name,
            "molecules": len(smiles),
            "seconds": value,
            "times ours": value / seconds["chemdl"],
        }
        for name, value in seconds.items()
    ]


def _ours(smiles: list[str]) -> np.ndarray:
    return fingerprints(smiles, radius=2, size=2048)


def _deepchem(smiles: list[str]) -> Any:
    from deepchem.feat import CircularFingerprint
    from rdkit import rdBase

    # DeepChem calls a function that RDKit deprecates, once a molecule.
    with rdBase.BlockLogs():
        return CircularFingerprint(radius=2, size=2048).featurize(smiles)
