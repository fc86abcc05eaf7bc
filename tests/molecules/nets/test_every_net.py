"""What holds for every net over graphs, strings and depictions, whatever its layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from rdkit import Chem
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

import chemdl
from chemdl.molecules.nets.dmpnn import DMPNN
from chemdl.molecules.nets.multitask import Multitask
from chemdl.molecules.nets.neural_fingerprint import NeuralFingerprint
from chemdl.molecules.nets.picture_cnn import PictureCNN
from chemdl.molecules.nets.smiles_cnn import SmilesCNN
from chemdl.molecules.nets.smiles_gru import SmilesGRU
from chemdl.molecules.nets.ugrnn import UGRNN
from chemdl.molecules.nets.weave import Weave

SMALL: dict[str, Any] = {"batch_size": 16, "epochs": 2, "device": "cpu"}
FINGERPRINT = {**SMALL, "width": 12, "length": 16}
WEAVE = {**SMALL, "width": 10, "length": 6}
STRING = {**SMALL, "embedding": 8}
REGRESSORS = {
    "dmpnn": DMPNN.Regressor(**SMALL, width=24, dropout=0.1),
    "dmpnn, norm": DMPNN.Regressor(**SMALL, width=24, aggregation="norm"),
    "neural_fingerprint": NeuralFingerprint.Regressor(**FINGERPRINT, hidden=10, dropout=0.1),
    "neural_fingerprint, linear": NeuralFingerprint.Regressor(**FINGERPRINT, hidden=0),
    "weave": Weave.Regressor(**WEAVE, hidden=(12,), dropout=0.1),
    "weave, sum": Weave.Regressor(**WEAVE, hidden=(), histogram=False, modules=3, max_distance=3),
    "ugrnn": UGRNN.Regressor(**SMALL, width=8, hidden=12, dropout=0.1),
    "smiles_cnn": SmilesCNN.Regressor(**STRING, filters=8, variants=3),
    "smiles_cnn, one variant": SmilesCNN.Regressor(**STRING, filters=8, variants=1),
    "smiles_gru, max": SmilesGRU.Regressor(**STRING, width=8, variants=3),
    "smiles_gru, mean": SmilesGRU.Regressor(**STRING, width=8, variants=2, pooling="mean"),
    "smiles_gru, final": SmilesGRU.Regressor(**STRING, width=8, variants=1, pooling="final"),
    "picture_cnn": PictureCNN.Regressor(**SMALL, width=6, size=32),
    "picture_cnn, two blocks": PictureCNN.Regressor(
        **SMALL, width=6, size=24, blocks=2, resolution=0.8
    ),
}
# A depiction does not show an isotope.
READ_ISOTOPES = [name for name in REGRESSORS if not name.startswith("picture")]
ODD = [
    *("C", "[Na+]", "[He]"),  # one atom
    *("[H][H]", "[H+]"),
    *("CC(=O)[O-].[Na+]", "[NH4+].[Cl-]", "CCO.c1ccccc1.O"),  # salts and a mixture
    *("C[N+](C)(C)C", "[O-2]", "[Fe+3]"),  # charges
    *("[13CH4]", "[2H]O[2H]"),  # isotopes
    *("[U]", "C[Se]C", "[Lr]", "F[Xe]F", "*CC*"),  # rare elements and no element
    *("FS(F)(F)(F)(F)F", "F[P-](F)(F)(F)(F)F"),  # many neighbours
    "[NH3]->[Pt](Cl)Cl",  # a dative bond
    *("C" * 250, "C1" + "C" * 120 + "1"),
]


def seeded(model: Any, seed: int) -> Any:
    return clone(model).set_params(seed=seed)


@pytest.fixture(scope="module", params=REGRESSORS)
def fitted(request: pytest.FixtureRequest, chains_and_rings) -> Any:
    return seeded(REGRESSORS[request.param], 3).fit(*chains_and_rings)


def test_odd_molecules_get_a_number(fitted) -> None:
    values = fitted.predict(ODD)
    assert [text for text, value in zip(ODD, values, strict=True) if not np.isfinite(value)] == []


@pytest.mark.parametrize("fitted", READ_ISOTOPES, indirect=True)
def test_isotopes_and_elements_differ(fitted) -> None:
    values = fitted.predict(["C", "[14CH4]", "[U]", "[Lr]"])
    assert len(np.unique(values)) == 4


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


def test_the_rest_of_the_batch_does_not_matter(fitted, chains_and_rings) -> None:
    smiles, _ = chains_and_rings
    # More rows than any net predicts at once.
    batch = fitted.predict([*smiles, "C" * 90, "[Na+].[Cl-]", *smiles])
    one_by_one = np.concatenate([fitted.predict([text]) for text in smiles])
    for part in (batch[:48], batch[-48:]):
        np.testing.assert_allclose(part, one_by_one, rtol=1e-5, atol=1e-5)


def test_an_unreadable_smiles_is_named(fitted) -> None:
    with pytest.raises(ValueError, match=r"row 1: .*'C1CC'"):
        fitted.predict(["CC", "C1CC"])


@pytest.mark.parametrize("name", REGRESSORS)
def test_a_stack_equals_its_replicas_alone(name: str, chains_and_rings) -> None:
    """Members' last batches hold 14, 14 and 2 rows of 16, and one has the longest molecule."""
    smiles, y = chains_and_rings
    smiles, y = np.append(smiles, "C" * 40), np.append(y, 40.0)
    rows = [
        (np.arange(0, 30), np.arange(30, 40)),
        (np.arange(15, 45), np.arange(5, 15)),
        (np.arange(31, 49), np.arange(0, 3)),
    ]
    predictions = {}
    for stack in (True, False):
        stacks = REGRESSORS[name].fit_replicas(smiles, y, rows, [1, 2, 3], stack=stack)
        trained = sorted((t for s in stacks for t in s), key=lambda t: t.position)
        assert {t.stack_size for t in trained} == {3 if stack else 1}
        predictions[stack] = [t.estimator.predict(smiles[:-1]) for t in trained]
    # Targets spread over 2.5; Adam's first steps follow the sign of a gradient, rounding included.
    atol = 3e-3 if name.startswith(("dmpnn", "neural_fingerprint")) else 1e-4
    np.testing.assert_allclose(predictions[True], predictions[False], rtol=1e-4, atol=atol)
    assert not np.allclose(predictions[True][0], predictions[True][1], atol=1e-2)


@pytest.mark.parametrize("name", REGRESSORS)
def test_fitting_masks_missing_labels_and_changes_nothing_else(name, chains_and_rings) -> None:
    smiles, y = chains_and_rings
    targets = np.column_stack([y, -y])
    targets[::2, 1] = np.nan
    model = seeded(REGRESSORS[name], 0)
    before = (
        smiles.copy(),
        targets.copy(),
        arrays(model.featurize(smiles)),
        torch.get_rng_state().numpy(),
    )
    predicted = model.fit(smiles, targets).predict(smiles)
    assert np.isfinite(predicted).all() and predicted.shape == (48, 2)
    after = smiles, targets, arrays(model.featurize(smiles)), torch.get_rng_state().numpy()
    for old, new in zip(before, after, strict=True):
        np.testing.assert_equal(new, old)


def arrays(features: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return copies of the values of features."""
    return {name: np.array(getattr(rows, "values", rows)) for name, rows in features.items()}


MEMORISING = {
    "dmpnn": DMPNN.Regressor(width=64, epochs=200, learning_rate=3e-3, decay=1.0),
    "neural_fingerprint": NeuralFingerprint.Regressor(
        width=32, length=64, epochs=250, learning_rate=5e-3
    ),
    "weave": Weave.Regressor(length=32, hidden=(50,), dropout=0.0, epochs=80, learning_rate=5e-3),
    "ugrnn": UGRNN.Regressor(epochs=80, learning_rate=1e-2),
    "smiles_cnn": SmilesCNN.Regressor(
        filters=32, variants=1, dropout=0.0, epochs=60, learning_rate=5e-3
    ),
    "smiles_gru": SmilesGRU.Regressor(
        width=32, variants=1, dropout=0.0, epochs=50, learning_rate=1e-2
    ),
    "picture_cnn": PictureCNN.Regressor(width=16, size=32, dropout=0.0, epochs=50),
}


@pytest.mark.parametrize("name", MEMORISING)
def test_16_molecules_are_learned_by_heart(name: str) -> None:
    data = chemdl.load("esol")
    rows = np.random.default_rng(0).permutation(len(data))[:16]
    if name == "ugrnn":
        # Its steps are as many as the longest molecule has atoms.
        rows = np.flatnonzero([len(text) <= 10 for text in data.inputs])[:16]
    smiles, y = data.inputs[rows], data.targets[rows, 0]
    batch_size = 8 if name == "picture_cnn" else 16
    model = seeded(MEMORISING[name], 0)
    model.set_params(batch_size=batch_size, patience=1000, device="cpu")
    # Its own rows stop the training: the question is what the net can hold.
    stacks = model.fit_replicas(smiles, y, [(np.arange(16), np.arange(16))], [0])
    (trained,) = next(iter(stacks))
    error = trained.estimator.predict(smiles) - y
    # The largest of a recurrence's states hardly tells how long a chain of carbons is.
    most = 0.2 if name in ("picture_cnn", "smiles_gru") else 0.1
    assert np.sqrt(np.mean(error**2)) < most * y.std()


CLASSIFIERS = {
    "dmpnn": DMPNN.Classifier(width=24, epochs=60, learning_rate=5e-3, patience=60),
    "neural_fingerprint": NeuralFingerprint.Classifier(
        width=12, length=16, hidden=10, epochs=60, learning_rate=5e-3, patience=60
    ),
    "weave": Weave.Classifier(width=10, length=6, hidden=(12,), epochs=25, learning_rate=1e-2),
    "ugrnn": UGRNN.Classifier(width=8, hidden=12, epochs=25, learning_rate=2e-2),
    "smiles_cnn": SmilesCNN.Classifier(embedding=8, filters=8, epochs=20, learning_rate=1e-2),
    "smiles_gru": SmilesGRU.Classifier(embedding=8, width=8, epochs=20, learning_rate=1e-2),
    "picture_cnn": PictureCNN.Classifier(width=6, size=32, epochs=20, learning_rate=1e-2),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_tell_a_group_of_atoms_from_the_rest(name: str, chains_and_rings) -> None:
    smiles, _ = chains_and_rings
    # A ring is what a depiction shows best.
    group, batch_size = ("c1ccccc1", 8) if name == "picture_cnn" else ("C(=O)O", 16)
    labels = np.array([text.endswith(group) for text in smiles], dtype=float)
    model = seeded(CLASSIFIERS[name], 1).set_params(batch_size=batch_size, device="cpu")
    proba = model.fit(smiles, labels, valid=np.arange(0, 48, 7)).predict_proba(smiles)
    assert proba.shape == (48, 2)
    assert roc_auc_score(labels, proba[:, 1]) > 0.95


@pytest.mark.parametrize("name", [*CLASSIFIERS, "multitask"])
def test_every_setting_that_tuning_may_draw_can_be_built(name: str) -> None:
    model = {**CLASSIFIERS, "multitask": Multitask.Classifier()}[name]
    assert model.search_space.keys() <= model.get_params().keys()
    rng = np.random.default_rng(0)
    for _ in range(5):
        setting = {k: v[rng.integers(len(v))] for k, v in model.search_space.items()}
        changed = type(model)(**{**model.get_params(), **setting})
        network = changed.build(changed.featurize(["CCO"]), 3)
        outputs = [m.out_features for m in network.modules() if isinstance(m, torch.nn.Linear)]
        assert 3 in outputs
