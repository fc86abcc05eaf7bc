"""What holds for every net over molecular graphs, whatever its layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from rdkit import Chem

import chemdl
from chemdl.evidence.metrics import METRICS
from chemdl.molecules.nets.dmpnn import (
    DirectedMessagePassingClassifier,
    DirectedMessagePassingRegressor,
)
from chemdl.molecules.nets.neural_fingerprint import (
    NeuralFingerprintClassifier,
    NeuralFingerprintRegressor,
)

DMPNN = {"width": 24, "batch_size": 16, "epochs": 2, "device": "cpu"}
FINGERPRINT = {"width": 12, "length": 16, "hidden": 10, "batch_size": 16, "epochs": 2} | {
    "device": "cpu"
}
REGRESSORS = {
    "dmpnn": DirectedMessagePassingRegressor(**DMPNN, dropout=0.1),
    "dmpnn norm": DirectedMessagePassingRegressor(**DMPNN, aggregation="norm"),
    "neural_fingerprint": NeuralFingerprintRegressor(**FINGERPRINT, dropout=0.1),
    "neural_fingerprint linear": NeuralFingerprintRegressor(**{**FINGERPRINT, "hidden": 0}),
}
CLASSIFIERS = {
    "dmpnn": DirectedMessagePassingClassifier(**DMPNN),
    "neural_fingerprint": NeuralFingerprintClassifier(**FINGERPRINT),
}
ODD = {
    "one atom": ["C", "[Na+]", "[He]"],
    "hydrogen": ["[H][H]", "[H+]"],
    "salt": ["CC(=O)[O-].[Na+]", "[NH4+].[Cl-]"],
    "mixture": ["CCO.c1ccccc1.O"],
    "charged": ["C[N+](C)(C)C", "[O-2]", "[Fe+3]"],
    "isotopes": ["[13CH4]", "[2H]O[2H]"],
    "other elements": ["[U]", "C[Se]C", "[Lr]", "F[Xe]F"],
    "many neighbours": ["FS(F)(F)(F)(F)F", "F[P-](F)(F)(F)(F)F"],
    "dative bond": ["[NH3]->[Pt](Cl)Cl"],
    "large": ["C" * 250, "C1" + "C" * 120 + "1"],
}


@pytest.fixture(scope="module")
def molecules() -> tuple[np.ndarray, np.ndarray]:
    """Small chains and rings with a target that the atoms decide."""
    ends = ["", "O", "N", "Cl", "c1ccccc1", "C(=O)O"]
    smiles = [("C" * n + end) for n in range(1, 9) for end in ends]
    y = np.array([n + 2.0 * ("O" in end) for n in range(1, 9) for end in ends])
    return np.array(smiles, dtype=object), y


@pytest.fixture(scope="module", params=REGRESSORS)
def fitted(request: pytest.FixtureRequest, molecules) -> Any:
    smiles, y = molecules
    return chemdl.evidence.replicas.seeded(REGRESSORS[request.param], 3).fit(smiles, y)


@pytest.mark.parametrize("odd", ODD)
def test_odd_molecules_get_a_number(fitted, odd: str) -> None:
    assert np.isfinite(fitted.predict(ODD[odd])).all()


def test_isotopes_differ_by_their_mass(fitted) -> None:
    light, heavy = fitted.predict(["C", "[14CH4]"])
    assert light != heavy


def test_the_order_of_atoms_does_not_matter(fitted) -> None:
    smiles = "CC(=O)Nc1ccc(OCC(F)(F)F)cc1S(=O)(=O)N1CCOCC1"
    molecule = Chem.MolFromSmiles(smiles)
    # Renumbered at random, written as it stands, and read again.
    orders = [np.random.default_rng(i).permutation(molecule.GetNumAtoms()) for i in range(8)]
    texts = [
        Chem.MolToSmiles(Chem.RenumberAtoms(molecule, order.tolist()), canonical=False)
        for order in orders
    ]
    assert len(set(texts)) > 4
    values = fitted.predict(texts)
    np.testing.assert_allclose(values, fitted.predict([smiles])[0], rtol=1e-5, atol=1e-5)


def test_the_rest_of_the_batch_does_not_matter(fitted, molecules) -> None:
    smiles, _ = molecules
    together = fitted.predict([*smiles, "C" * 250, "[Na+].[Cl-]"])
    alone = np.concatenate([fitted.predict([text]) for text in smiles])
    np.testing.assert_allclose(together[: len(smiles)], alone, rtol=1e-5, atol=1e-5)


def test_an_unreadable_smiles_is_named(fitted) -> None:
    with pytest.raises(ValueError, match=r"row 1: .*'C1CC'"):
        fitted.predict(["CC", "C1CC"])


@pytest.mark.parametrize("name", REGRESSORS)
def test_a_stack_equals_its_replicas_alone(name: str, molecules) -> None:
    """Batches of the stack differ in their atoms, so that they are padded unequally."""
    smiles, y = molecules
    rows = [
        (np.arange(0, 30), np.arange(30, 40)),
        (np.arange(15, 45), np.arange(5, 15)),
        (np.arange(18, 48), np.arange(0, 3)),
    ]
    fits = {}
    for stack in (True, False):
        stacks = REGRESSORS[name].fit_replicas(smiles, y, rows, [1, 2, 3], stack=stack)
        trained = sorted((t for s in stacks for t in s), key=lambda t: t.position)
        assert {t.stack_size for t in trained} == {3 if stack else 1}
        fits[stack] = [t.estimator.predict(smiles) for t in trained]
    # Targets spread over 2.5; Adam's first steps follow the sign of a gradient, rounding included.
    np.testing.assert_allclose(fits[True], fits[False], atol=3e-3)
    assert not np.allclose(fits[True][0], fits[True][1], atol=1e-2)


@pytest.mark.parametrize("name", REGRESSORS)
def test_inputs_and_targets_stay_as_they_were(name: str, molecules) -> None:
    smiles, y = (array.copy() for array in molecules)
    before = chemdl.molecules.graphs.molecular_graphs(smiles)
    kept = {k: v.values.copy() for k, v in before.items()}
    chemdl.evidence.replicas.seeded(REGRESSORS[name], 0).fit(smiles, y)
    np.testing.assert_array_equal(smiles, molecules[0])
    np.testing.assert_array_equal(y, molecules[1])
    after = chemdl.molecules.graphs.molecular_graphs(smiles)
    assert all((after[k].values == kept[k]).all() for k in kept)


@pytest.mark.parametrize(
    "model",
    [
        DirectedMessagePassingRegressor(
            width=64, epochs=200, learning_rate=3e-3, decay=1.0, device="cpu"
        ),
        NeuralFingerprintRegressor(
            width=32, length=64, epochs=250, learning_rate=5e-3, device="cpu"
        ),
    ],
    ids=["dmpnn", "neural_fingerprint"],
)
def test_32_molecules_are_learned_by_heart(model) -> None:
    data = chemdl.load("esol")
    rows = np.random.default_rng(0).permutation(len(data))[:32]
    smiles, y = data.inputs[rows], data.targets[rows, 0]
    model = chemdl.evidence.replicas.seeded(model, 0).set_params(batch_size=16, patience=1000)
    # Its own rows stop the training: the question is what the net can hold.
    stacks = model.fit_replicas(smiles, y, [(np.arange(32), np.arange(32))], [0])
    (trained,) = next(iter(stacks))
    error = trained.estimator.predict(smiles) - y
    assert np.sqrt(np.mean(error**2)) < 0.1 * y.std()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_tell_acids_from_the_rest(name: str, molecules) -> None:
    smiles, _ = molecules
    labels = np.array([text.endswith("C(=O)O") for text in smiles], dtype=float)
    model = chemdl.evidence.replicas.seeded(CLASSIFIERS[name], 1)
    model.set_params(epochs=60, learning_rate=5e-3, patience=60)
    proba = model.fit(smiles, labels, valid=np.arange(0, 48, 7)).predict_proba(smiles)
    assert proba.shape == (48, 2)
    assert METRICS["roc_auc"].function(labels, proba[:, 1]) > 0.95


def test_an_unknown_aggregation_is_refused() -> None:
    with pytest.raises(ValueError, match="Did you mean 'mean'"):
        DirectedMessagePassingRegressor(aggregation="maen").fit(["C", "CC", "CCC"], np.arange(3.0))


def test_rounded_products_give_nearly_the_same(molecules) -> None:
    smiles, y = molecules
    model = chemdl.evidence.replicas.seeded(REGRESSORS["dmpnn"], 0).set_params(epochs=20)
    exact = model.fit(smiles, y).predict(smiles)
    rounded = model.set_params(precision="bfloat16").fit(smiles, y).predict(smiles)
    assert 0 < np.abs(exact - rounded).max() < 0.1 * y.std()


def test_models_leave_the_global_random_state_alone(molecules) -> None:
    smiles, y = molecules
    state = torch.get_rng_state()
    chemdl.evidence.replicas.seeded(REGRESSORS["dmpnn"], 0).fit(smiles, y)
    assert torch.equal(torch.get_rng_state(), state)
