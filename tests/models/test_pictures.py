"""A net over drawings does not mind how the drawing is turned."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import chemdl
from chemdl.features.pictures import pictures
from chemdl.models.pictures import PictureClassifier, PictureNet, PictureRegressor, symmetries

SMALL = {"width": 8, "batch_size": 16, "epochs": 2, "device": "cpu"}
ODD = ["C", "[H][H]", "[Na+].[Cl-]", "[U]", "[13CH4]", "C[Se]C", "C" * 250]


@pytest.fixture(scope="module")
def molecules() -> tuple[np.ndarray, np.ndarray]:
    ends = ["", "O", "N", "Cl", "c1ccccc1", "C(=O)O"]
    smiles = [("C" * n + end) for n in range(1, 9) for end in ends]
    y = np.array([n + 2.0 * ("O" in end) for n in range(1, 9) for end in ends])
    return np.array(smiles, dtype=object), y


@pytest.fixture(scope="module")
def fitted(molecules) -> PictureRegressor:
    return PictureRegressor(**SMALL, seed=1).fit(*molecules)


def test_there_are_eight_symmetries() -> None:
    x = torch.arange(9.0).reshape(1, 3, 3)
    views = symmetries(x)
    assert len({tuple(view.flatten().tolist()) for view in views}) == 8
    turned = {tuple(torch.rot90(x, k, (-2, -1)).flatten().tolist()) for k in range(4)}
    assert turned <= {tuple(view.flatten().tolist()) for view in views}


@pytest.mark.parametrize("view", range(8))
def test_a_turned_picture_gives_the_same_prediction(view: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = PictureNet(5, 2, 8, 1, 0.1).eval()
    drawn = torch.tensor(pictures(["CC(=O)Nc1ccc(O)cc1", "CCO"]))
    weight = torch.ones(2)
    with torch.no_grad():
        expected = network({"picture": drawn}, None, weight)
        turned = network({"picture": symmetries(drawn)[view]}, None, weight)
    torch.testing.assert_close(turned, expected, rtol=1e-4, atol=1e-5)


def test_odd_molecules_get_a_number(fitted) -> None:
    assert np.isfinite(fitted.predict(ODD)).all()


def test_the_rest_of_the_batch_does_not_matter(fitted, molecules) -> None:
    smiles, _ = molecules
    together = fitted.predict([*smiles, *ODD])
    alone = np.concatenate([fitted.predict([text]) for text in smiles[:6]])
    np.testing.assert_allclose(together[:6], alone, rtol=1e-4, atol=1e-4)


def test_a_stack_equals_its_replicas_alone(molecules) -> None:
    smiles, y = molecules
    rows = [(np.arange(0, 30), np.arange(30, 40)), (np.arange(15, 45), np.arange(5, 15))]
    fits = {}
    for stack in (True, False):
        stacks = PictureRegressor(**SMALL).fit_replicas(smiles, y, rows, [1, 2], stack=stack)
        trained = sorted((t for s in stacks for t in s), key=lambda t: t.position)
        assert {t.stack_size for t in trained} == {2 if stack else 1}
        fits[stack] = [t.estimator.predict(smiles) for t in trained]
    np.testing.assert_allclose(fits[True], fits[False], atol=3e-3)
    assert not np.allclose(fits[True][0], fits[True][1], atol=1e-2)


def test_inputs_and_targets_stay_as_they_were(molecules) -> None:
    smiles, y = (array.copy() for array in molecules)
    PictureRegressor(**SMALL).fit(smiles, y)
    np.testing.assert_array_equal(smiles, molecules[0])
    np.testing.assert_array_equal(y, molecules[1])


def test_32_molecules_are_learned_by_heart() -> None:
    data = chemdl.load("esol")
    rows = np.random.default_rng(0).permutation(len(data))[:32]
    smiles, y = data.inputs[rows], data.targets[rows, 0]
    model = PictureRegressor(
        width=16, dropout=0.0, epochs=120, batch_size=16, learning_rate=3e-3, decay=1.0,
        patience=1000, device="cpu",
    )  # fmt: skip
    stacks = model.fit_replicas(smiles, y, [(np.arange(32), np.arange(32))], [0])
    (trained,) = next(iter(stacks))
    error = trained.estimator.predict(smiles) - y
    assert np.sqrt(np.mean(error**2)) < 0.35 * y.std()


def test_a_classifier_tells_rings_from_chains(molecules) -> None:
    smiles, _ = molecules
    labels = np.array([float("c" in text) for text in smiles])
    model = PictureClassifier(**{**SMALL, "epochs": 30}, learning_rate=5e-3, patience=30)
    proba = model.fit(smiles, labels, valid=np.arange(0, 48, 7)).predict_proba(smiles)
    assert chemdl.metrics.get("roc_auc").function(labels, proba[:, 1]) > 0.95
