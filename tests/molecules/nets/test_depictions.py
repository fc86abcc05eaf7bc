"""The net over drawings: its symmetries, its norms, and what holds for every net."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from rdkit import Chem
from torch import nn

import chemdl
from chemdl.evidence.metrics import METRICS
from chemdl.learn import stacking
from chemdl.learn.noise import Noise
from chemdl.molecules.nets.depictions import (
    ChannelNorm,
    PictureClassifier,
    PictureConvolution,
    PictureRegressor,
    symmetries,
    turned,
)

SMALL = {"width": 6, "size": 32, "batch_size": 16, "epochs": 2, "device": "cpu"}
REGRESSORS = {
    "one block": PictureRegressor(**SMALL),
    "two blocks": PictureRegressor(**{**SMALL, "size": 24}, blocks=2, resolution=0.8),
}
ODD = {
    "one atom": ["C", "[Na+]", "[He]"],
    "hydrogen": ["[H][H]", "[H+]"],
    "salt": ["CC(=O)[O-].[Na+]", "[NH4+].[Cl-]"],
    "mixture": ["CCO.c1ccccc1.O"],
    "charged": ["C[N+](C)(C)C", "[O-2]", "[Fe+3]"],
    "isotopes": ["[13CH4]", "[2H]O[2H]"],
    "other elements": ["[U]", "C[Se]C", "[Lr]", "F[Xe]F"],
    "any atom": ["*CC*"],
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


def network(width: int = 5, blocks: int = 1) -> PictureConvolution:
    """A network whose every layer has a say, in the state for predictions."""
    torch.manual_seed(0)
    net = PictureConvolution(2, width, blocks, 0.0).eval()
    for value in (*net.parameters(), net.stem_norm.mean, net.pooled_norm.mean):
        nn.init.normal_(value, std=0.3)
    return net


def some_pictures(count: int, size: int = 20) -> torch.Tensor:
    rng = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 4, size, size), generator=rng, dtype=torch.uint8)


def noise(key: int = 5) -> Noise:
    return Noise(torch.tensor(key, dtype=torch.int32))


# --- the network ----------------------------------------------------------------------------------


def test_there_are_eight_symmetries() -> None:
    x = some_pictures(1)
    found = list(symmetries(x))
    expected = [torch.rot90(y, quarters, (2, 3)) for y in (x, x.flip(3)) for quarters in range(4)]
    assert len(found) == 8
    assert all(sum(torch.equal(one, other) for one in found) == 1 for other in expected)


def test_a_prediction_is_the_same_for_a_turned_or_mirrored_picture() -> None:
    # More rows than are predicted at once.
    net, x, weight = network(), some_pictures(70, size=12), torch.ones(70)
    values = net({"picture": x}, None, weight)
    for one in symmetries(x):
        torch.testing.assert_close(
            net({"picture": one.contiguous()}, None, weight), values, rtol=1e-5, atol=1e-5
        )
    assert values.std() > 1e-2
    moved = net({"picture": x.roll(5, dims=2)}, None, weight)
    assert not torch.allclose(moved, values, atol=1e-3)


def test_training_sees_each_picture_in_one_of_eight_ways() -> None:
    x = some_pictures(1).expand(400, -1, -1, -1)
    found = turned(x, noise())
    which = torch.stack([(found == one).flatten(1).all(1) for one in symmetries(x)])
    assert (which.sum(0) == 1).all()
    assert (which.sum(1) > 400 / 8 / 2).all()
    assert torch.equal(turned(x, noise()), found)
    assert not torch.equal(turned(x, noise(6)), found)
    # The net reads what was drawn, and nothing else, in training.
    net, weight = network(), torch.ones(8)
    each = torch.cat([net._read((one[:1] - net.empty) / 64, None, torch.ones(1))
                      for one in symmetries(x.float())])  # fmt: skip
    outputs = net({"picture": x[:8]}, noise(), weight)
    assert all(torch.isclose(row, each, atol=1e-5).all(1).any() for row in outputs)


def test_where_the_drawing_lies_and_what_is_empty_around_it_do_not_matter() -> None:
    net, weight = network(), torch.ones(3)
    drawn = some_pictures(3, size=12)
    values = []
    for size, row, column in ((48, 16, 16), (48, 20, 12), (64, 24, 24)):
        x = net.empty.byte().expand(3, 4, size, size).clone()
        x[:, :, row : row + 12, column : column + 12] = drawn
        # A mean over all cells: sixteen pixels to a cell.
        nn.init.zeros_(net.pooled_norm.mean)
        net.pooled_norm.bias.data.zero_()
        offset = net.output.bias
        values.append((net({"picture": x}, None, weight) - offset) * size**2)
    assert values[0].abs().min() > 1.0
    torch.testing.assert_close(values[1], values[0], rtol=1e-4, atol=1e-2)
    torch.testing.assert_close(values[2], values[0], rtol=1e-4, atol=1e-2)
    nothing = net({"picture": net.empty.byte().expand(1, 4, 48, 48)}, None, torch.ones(1))
    torch.testing.assert_close(nothing[0], net.output.bias)


def test_channels_are_normalised_as_torch_does_by_the_cells_that_count() -> None:
    x = torch.randn(6, 3, 4, 5, generator=torch.Generator().manual_seed(2)) * 3 + 1
    weight = torch.ones(6, 1, 4, 5)
    weight[[2, 5]] = 0
    weight[:, :, 1:3, :2] = 0
    cells = x.movedim(1, 3)[weight[:, 0] > 0]
    ours, theirs = ChannelNorm(3), nn.BatchNorm1d(3)
    torch.testing.assert_close(ours(x, weight).movedim(1, 3)[weight[:, 0] > 0], theirs(cells))
    # A prediction after one batch goes by that batch; torch's goes by a tenth of it.
    last = nn.BatchNorm1d(3, momentum=1.0)
    last(cells)
    found = ours.eval()(x, weight).movedim(1, 3)[weight[:, 0] > 0]
    torch.testing.assert_close(found, last.eval()(cells))
    # After many they are the same.
    ours.train()
    for _ in range(150):
        ours(x, weight)
        theirs(cells)
    found = ours.eval()(x, weight).movedim(1, 3)[weight[:, 0] > 0]
    torch.testing.assert_close(found, theirs.eval()(cells))


def test_rows_of_weight_zero_change_no_other() -> None:
    net, x = network().train(), some_pictures(8)
    weight = torch.tensor([1.0, 1, 1, 1, 1, 0, 0, 0])
    kept = net({"picture": x}, noise(), weight)[:5]
    x[5:] = 255
    torch.testing.assert_close(net({"picture": x}, noise(), weight)[:5], kept)


# --- the estimators -------------------------------------------------------------------------------


@pytest.mark.parametrize("odd", ODD)
def test_odd_molecules_get_a_number(fitted, odd: str) -> None:
    assert np.isfinite(fitted.predict(ODD[odd])).all()


def test_the_spelling_of_a_molecule_does_not_matter(fitted) -> None:
    smiles = "CC(=O)Nc1ccc(OCC(F)(F)F)cc1S(=O)(=O)N1CCOCC1"
    texts = Chem.MolToRandomSmilesVect(Chem.MolFromSmiles(smiles), 8, randomSeed=1)
    assert len(set(texts)) > 4
    np.testing.assert_allclose(fitted.predict(texts), fitted.predict([smiles])[0], atol=1e-5)


def test_the_rest_of_the_batch_does_not_matter(fitted, molecules) -> None:
    smiles, _ = molecules
    together = fitted.predict([*smiles, *ODD["large"], "[Na+].[Cl-]", *smiles])
    alone = np.concatenate([fitted.predict([text]) for text in smiles])
    for part in (together[:48], together[-48:]):
        np.testing.assert_allclose(part, alone, rtol=1e-5, atol=1e-5)


def test_an_unreadable_smiles_is_named(fitted) -> None:
    with pytest.raises(ValueError, match=r"row 1: .*'C1CC'"):
        fitted.predict(["CC", "C1CC"])


@pytest.mark.parametrize("name", REGRESSORS)
def test_a_stack_equals_its_replicas_alone(name: str, molecules) -> None:
    """Their last batches hold 14, 14 and 2 rows of 16, so that they are padded unequally."""
    smiles, y = molecules
    rows = [
        (np.arange(0, 30), np.arange(30, 40)),
        (np.arange(15, 45), np.arange(5, 15)),
        (np.arange(30, 48), np.arange(0, 3)),
    ]
    fits = {}
    for stack in (True, False):
        stacks = REGRESSORS[name].fit_replicas(smiles, y, rows, [1, 2, 3], stack=stack)
        trained = sorted((t for s in stacks for t in s), key=lambda t: t.position)
        assert {t.stack_size for t in trained} == {3 if stack else 1}
        fits[stack] = [t.estimator.predict(smiles) for t in trained]
    np.testing.assert_allclose(fits[True], fits[False], atol=1e-4)
    assert not np.allclose(fits[True][0], fits[True][1], atol=1e-2)


def test_inputs_and_targets_stay_as_they_were(molecules) -> None:
    smiles, y = (array.copy() for array in molecules)
    model = REGRESSORS["one block"]
    kept, state = model.featurize(smiles)["picture"].copy(), torch.get_rng_state()
    chemdl.evidence.replicas.seeded(model, 0).fit(smiles, y)
    np.testing.assert_array_equal(smiles, molecules[0])
    np.testing.assert_array_equal(y, molecules[1])
    np.testing.assert_array_equal(model.featurize(smiles)["picture"], kept)
    assert torch.equal(torch.get_rng_state(), state)


def test_32_molecules_are_learned_by_heart() -> None:
    data = chemdl.load("esol")
    rows = np.random.default_rng(0).permutation(len(data))[:32]
    smiles, y = data.inputs[rows], data.targets[rows, 0]
    model = PictureRegressor(
        width=16, size=32, dropout=0.0, batch_size=8, epochs=50, patience=1000, device="cpu"
    )
    # Its own rows stop the training: the question is what the net can hold.
    stacks = model.fit_replicas(smiles, y, [(np.arange(32), np.arange(32))], [0])
    (trained,) = next(iter(stacks))
    error = trained.estimator.predict(smiles) - y
    assert np.sqrt(np.mean(error**2)) < 0.2 * y.std()


def test_classifiers_tell_rings_from_chains(molecules) -> None:
    smiles, _ = molecules
    labels = np.array(["c1" in text for text in smiles], dtype=float)
    model = PictureClassifier(
        **{**SMALL, "epochs": 20, "batch_size": 8, "learning_rate": 1e-2}, seed=1
    )
    proba = model.fit(smiles, labels, valid=np.arange(0, 48, 5)).predict_proba(smiles)
    assert proba.shape == (48, 2)
    assert METRICS["roc_auc"].function(labels, proba[:, 1]) > 0.95


def test_every_drawn_configuration_can_be_built() -> None:
    model = PictureClassifier()
    assert model.search_space.keys() <= model.get_params().keys()
    rng = np.random.default_rng(0)
    for _ in range(5):
        drawn = {k: v[rng.integers(len(v))] for k, v in model.search_space.items()}
        net = model.set_params(**drawn).build(model.featurize(["CCO"]), 3)
        assert net.output.out_features == 3
        # Fewer would be stacked on a CPU, where that takes twice the time.
        assert sum(p.numel() for p in net.parameters()) > stacking.CPU_STACK_PARAMETERS


def test_labels_not_measured_are_masked(molecules) -> None:
    smiles, y = molecules
    targets = np.column_stack([y, -y])
    targets[::2, 1] = np.nan
    model = chemdl.evidence.replicas.seeded(REGRESSORS["one block"], 0).fit(smiles, targets)
    assert np.isfinite(model.predict(smiles)).all() and model.predict(smiles).shape == (48, 2)
