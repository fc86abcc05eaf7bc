"""Every model, fitted tiny, predicts what is stored: else its revision has to be raised.

A stored replica is found again by its model's revision. Whoever changes what a model computes
raises the revision, and stores the new predictions: ``STORE_PREDICTIONS=1 pytest`` on this file.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chemdl
from chemdl.learn.models import BASELINES, NETS
from chemdl.learn.ragged import Ragged
from chemdl.proteins.profiles import profile_text
from chemdl.threads import bounded

EXPECTED = Path(__file__).parent / "expected" / "predictions.json"
# Fits of the same model on other machines and releases differ in the last bits alone.
TOLERANCE = {"rtol": 2e-3, "atol": 2e-4}
# In degrees: where cosine and sine are both small, the angle makes much of a last bit.
TOLERANCES = {"torsion_net": {"atol": 1.0}}
# Chains whose targets are drawn, since no embedded set has them: pairs in contact, and angles.
PAIRS, ANGLES = ("contact_net_deep", "contact_net_shallow"), ("torsion_net",)
TARGETS = {
    **dict.fromkeys((*PAIRS, "separation_only"), "pairs"),
    "pair_boosting": "pairs_with_profiles",
    **dict.fromkeys((*ANGLES, "residue_angles", "mean_angles"), "angles"),
}
SMALL = {
    "random_forest": {"trees": 10},
    "extra_trees": {"trees": 10},
    "ligand_forest": {"trees": 10},
    "properties_only": {"trees": 10},
}


def _sample(name: str, rows: int) -> tuple[np.ndarray, np.ndarray]:
    data = chemdl.load(name).sample(rows, seed=0)
    return data.inputs, data.targets


@functools.cache
def _chains() -> Any:
    data = chemdl.load("proteinnet")
    shortest = np.argsort(data.lengths, kind="stable")[200:216]
    return data.subset(np.sort(shortest))


@functools.cache
def tables(kind: str) -> dict[str, tuple[np.ndarray, Any]]:
    """Return small inputs of one kind with targets, by the kind of the targets."""
    if kind == "smiles":
        return {"classification": _sample("bace", 60), "regression": _sample("esol", 60)}
    if kind == "formula":
        metals, gaps = _sample("expt_is_metal", 60), _sample("expt_gap", 60)
        return {"classification": metals, "regression": gaps}
    if kind == "crystal":
        inputs, energy = _sample("flla", 40)
        classes = (energy > np.median(energy)).astype(float)
        return {"classification": (inputs, classes), "regression": (inputs, energy)}
    if kind == "geometry":
        data = chemdl.load("qm7", tasks=["pbe0"])
        data = data.subset(np.flatnonzero(["S " not in text for text in data.inputs]))
        data = data.sample(60, seed=0)
        return {"regression": (data.inputs, data.targets)}
    data, rng = _chains(), np.random.default_rng(0)
    angles = rng.uniform(-180, 180, (len(data.targets), 2))
    longest = data.lengths - 24
    ends = np.concatenate([[0], np.cumsum(longest * (longest + 1) // 2)])
    contacts = Ragged((rng.random((ends[-1], 1)) < 0.1).astype(float), ends, "padded")
    profiles = [profile_text(rng.random((length, 20))) for length in data.lengths]
    with_profiles = np.array([f"{s} {p}" for s, p in zip(data.inputs, profiles, strict=True)])
    return {
        "labelling": (data.inputs, Ragged(data.targets, data.offsets, "padded")),
        "angles": (data.inputs, Ragged(angles, data.offsets, "padded")),
        "pairs": (data.inputs, contacts),
        "pairs_with_profiles": (with_profiles, contacts),
    }


def complexes(workbench: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return docked complexes made by hand, as :func:`tables` does for other inputs."""
    rng = np.random.default_rng(0)
    rng.uniform(-180, 180, (len(_chains().targets), 2))
    longest = _chains().lengths - 24
    rng.random((int((longest * (longest + 1) // 2).sum()), 1))
    inputs, labels = workbench.complexes(40)
    noise = rng.normal(size=len(labels))
    return {"classification": (inputs, labels), "regression": (inputs, labels * 1.5 + noise)}


def fits() -> list[tuple[str, str, str]]:
    """Return every (input, model, kind of targets) that a registered model learns."""
    both = ("smiles", "complex", "sequence", "geometry", "formula", "crystal")
    found = []
    for name, info in NETS.items():
        first = next(kind for kind in both if kind in info.inputs)
        found += [(first, name, kind) for kind in info.learns]
    for key, info in BASELINES.items():
        kind_of_input, name = key.split("/")
        if kind_of_input in both and kind_of_input != "crystal":
            found += [(kind_of_input, name, kind) for kind in info.learns]
    return sorted(found)


def predictions(
    kind_of_input: str, name: str, kind: str, data: Callable[[str], Any]
) -> list[float]:
    """Fit a model on four fifths of its small table and return what it says of the rest."""
    info = NETS[name] if name in NETS else BASELINES[f"{kind_of_input}/{name}"]
    small = {"epochs": 2} if name in NETS else SMALL.get(name, {})
    if name in PAIRS:
        small["profile"] = False
    if (kind_of_input, name) == ("formula", "gradient_boosting") and kind == "regression":
        small = {"rounds": 20}
    model = info.estimator(kind, **small)
    inputs, targets = data(kind_of_input)[TARGETS.get(name, kind)]
    cut = len(inputs) * 4 // 5
    model.fit(inputs[:cut], targets[np.arange(cut)])
    said = (model.predict_proba if hasattr(model, "predict_proba") else model.predict)(inputs[cut:])
    if hasattr(model, "site_scores") and name not in TARGETS:
        return np.asarray(model.site_scores(inputs[cut:])[0]).ravel()[:12].tolist()
    first = 200 if kind_of_input == "sequence" and name not in TARGETS else 12
    return np.asarray(said, dtype=float).ravel()[:first].tolist()


@pytest.mark.parametrize(("kind_of_input", "name", "kind"), fits())
def test_a_model_predicts_what_its_revision_predicted(
    kind_of_input: str,
    name: str,
    kind: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Its 1,500 steps a layer would take longer than the fits of all other nets.
    monkeypatch.setattr("chemdl.proteins.nets.window_net._PRETRAINING_STEPS", 30)
    data = tables
    if kind_of_input == "complex":
        workbench = request.getfixturevalue("workbench")
        data = lambda _kind: complexes(workbench)  # noqa: E731
    stored = json.loads(EXPECTED.read_text(encoding="utf-8"))
    group = TARGETS.get(name, kind_of_input)
    key = f"{group}/{name}/{kind}"
    # More threads sum in another order, and training makes much of a last bit.
    with bounded(1):
        now = predictions(kind_of_input, name, kind, data)
    if os.environ.get("STORE_PREDICTIONS"):
        text = json.dumps(dict(sorted((stored | {key: now}).items())), indent=0)
        EXPECTED.write_text(text + "\n", encoding="utf-8")
        return
    assert key in stored, f"store the first predictions of {name}, as the module says"
    np.testing.assert_allclose(
        now,
        stored[key],
        **TOLERANCES.get(name, TOLERANCE),
        err_msg=f"{name} predicts something else: raise its revision and store the new predictions",
    )
