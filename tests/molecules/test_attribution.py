"""Attributions sum to the prediction, and depend on the molecule alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from rdkit import Chem
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from torch import nn

import chemdl
from chemdl.learn.ragged import Ragged
from chemdl.learn.training import predict
from chemdl.molecules.attribution import attributions
from chemdl.molecules.nets.dmpnn import DMPNN
from chemdl.molecules.nets.graph_net import GraphBatch
from chemdl.molecules.nets.multitask import Multitask
from chemdl.molecules.nets.neural_fingerprint import NeuralFingerprint

TRAINING = {"batch_size": 16, "epochs": 25, "learning_rate": 5e-3, "device": "cpu"}
NETS = {
    "dmpnn": DMPNN.Regressor(width=24, **TRAINING),
    "neural_fingerprint": NeuralFingerprint.Regressor(width=12, length=16, hidden=10, **TRAINING),
}
DRUG = "CC(=O)Nc1ccc(OCC(F)(F)F)cc1S(=O)(=O)N1CCOCC1"


@pytest.fixture(scope="module")
def molecules() -> tuple[np.ndarray, np.ndarray]:
    data = chemdl.load("esol")
    return data.inputs[:60], data.targets[:60, 0]


@pytest.fixture(scope="module", params=NETS)
def fitted(request: pytest.FixtureRequest, molecules) -> Any:
    return clone(NETS[request.param]).set_params(seed=1).fit(*molecules)


def without_features(model: Any, smiles: list[str]) -> np.ndarray:
    """Predict molecules whose atoms have no features."""
    features = model.featurize(smiles)
    for name in ("atoms", "mass"):
        features[name] = Ragged(np.zeros_like(features[name].values), features[name].offsets)
    return predict(model._network(), model.members_[0], features)


def test_they_sum_to_what_the_features_add(fitted, molecules) -> None:
    smiles = [*molecules[0], DRUG]
    found = attributions(fitted, smiles, steps=64)
    expected = fitted.outputs(smiles)[:, 0] - without_features(fitted, smiles)[:, 0]
    sums = np.array([weights.sum() for weights in found])
    np.testing.assert_allclose(sums, expected, rtol=0.01, atol=0.01 * np.abs(expected).max())
    assert np.ptp(expected) > 0.5


def test_there_is_one_for_each_atom(fitted, molecules) -> None:
    smiles = molecules[0]
    found = attributions(fitted, smiles, steps=2)
    assert [len(weights) for weights in found] == [
        Chem.MolFromSmiles(text).GetNumAtoms() for text in smiles
    ]


def test_a_linear_net_has_them_exactly() -> None:
    """F = w · sum of x_v over atoms: each adds w · x_v, by any number of steps."""

    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Linear(72, 2, bias=False)

        def forward(self, batch, noise, weight):
            graph = GraphBatch.read(batch)
            return self.w(graph.sum_atoms(graph.atoms))

    class Model(DMPNN.Regressor):
        def build(self, features, n_tasks):
            return Sum()

    smiles = np.array(["C" * n for n in range(1, 13)], dtype=object)
    y = np.column_stack([np.arange(12.0), 3 - 2 * np.arange(12.0)])
    model = Model(epochs=3, batch_size=4, device="cpu").fit(smiles, y)
    w = model.members_[0].state["w.weight"].numpy()[1]
    features = model.featurize([DRUG])
    x = np.hstack([features["atoms"].values, features["mass"].values])
    expected = x @ w * model.members_[0].target_scale[1]
    for steps in (1, 5):
        (found,) = attributions(model, [DRUG], steps=steps, task=1)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_the_order_of_atoms_moves_them_along(fitted) -> None:
    molecule = Chem.MolFromSmiles(DRUG)
    (expected,) = attributions(fitted, [DRUG])
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(molecule.GetNumAtoms())
        renumbered = Chem.RenumberAtoms(molecule, order.tolist())
        text = Chem.MolToSmiles(renumbered, canonical=False)
        written = np.array(list(renumbered.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"]))
        (found,) = attributions(fitted, [text])
        np.testing.assert_allclose(found, expected[order[written]], atol=1e-5)


def test_atoms_that_symmetry_makes_alike_have_the_same(fitted) -> None:
    smiles = "Cc1cc(C)cc(C)c1"
    (found,) = attributions(fitted, [smiles])
    alike = np.array(Chem.CanonicalRankAtoms(Chem.MolFromSmiles(smiles), breakTies=False))
    groups = [found[alike == rank] for rank in np.unique(alike)]
    assert sorted(map(len, groups)) == [3, 3, 3]
    for group in groups:
        np.testing.assert_allclose(group, group[0], atol=1e-5)
    means = [group.mean() for group in groups]
    assert np.ptp(means) > 1e-3


def test_alone_or_in_any_batch(fitted, molecules) -> None:
    smiles = [*molecules[0], DRUG, *molecules[0]]
    together = attributions(fitted, smiles, steps=4)
    for i in (0, 60, 70, 120):
        (alone,) = attributions(fitted, [smiles[i]], steps=4)
        np.testing.assert_allclose(together[i], alone, atol=1e-5)


def test_odd_molecules_get_numbers(fitted) -> None:
    odd = ["C", "[Na+]", "[H][H]", "[Lr]", "CC(=O)[O-].[Na+]", "[2H]O[2H]", "C" * 120]
    assert all(np.isfinite(weights).all() for weights in attributions(fitted, odd, steps=2))


def test_classifiers_give_logits(molecules) -> None:
    smiles, y = molecules
    model = DMPNN.Classifier(width=12, batch_size=16, epochs=3, device="cpu")
    model.fit(smiles, (y > np.median(y)).astype(float))
    (found,) = attributions(model, [DRUG], steps=64)
    expected = model.outputs([DRUG])[0, 0] - without_features(model, [DRUG])[0, 0]
    assert found.sum() == pytest.approx(expected, rel=0.02, abs=1e-4)


def test_an_ensemble_is_averaged(fitted, molecules) -> None:
    class Ensemble(type(fitted)):  # type: ignore[misc]
        def combine(self, outputs):
            return np.mean(outputs, axis=0)

    other = clone(fitted).set_params(seed=7).fit(*molecules)
    both = Ensemble(**fitted.get_params())
    both.__dict__.update(fitted.__dict__)
    both.members_ = [*fitted.members_, *other.members_]
    each = [attributions(model, [DRUG], steps=4)[0] for model in (fitted, other, both)]
    np.testing.assert_allclose(each[2], (each[0] + each[1]) / 2, atol=1e-6)
    assert not np.allclose(each[0], each[1], atol=1e-3)


def test_models_without_graphs_are_refused(molecules) -> None:
    smiles, y = molecules
    net = Multitask.Regressor(hidden=(4,), dropout=(0.0, 0.0), epochs=1, device="cpu").fit(
        smiles, y
    )
    with pytest.raises(TypeError, match=r"MultitaskRegressor reads .*no molecular graphs"):
        attributions(net, smiles)
    with pytest.raises(TypeError, match="Ridge is no net, and reads no molecular graphs"):
        attributions(Ridge(), smiles)


def test_what_is_asked_for_must_be_there(fitted) -> None:
    with pytest.raises(NotFittedError):
        attributions(NETS["dmpnn"], [DRUG])
    with pytest.raises(ValueError, match="task 1 is none of the model's 1"):
        attributions(fitted, [DRUG], task=1)
    with pytest.raises(ValueError, match="steps=0"):
        attributions(fitted, [DRUG], steps=0)
    with pytest.raises(ValueError, match=r"row 1: .*'C1CC'"):
        attributions(fitted, ["CC", "C1CC"])
