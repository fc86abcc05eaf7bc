"""Nets over SMILES: convolutions and a bidirectional recurrence, variants and padding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from rdkit import Chem
from torch import Tensor, nn

import chemdl
from chemdl.evidence.metrics import METRICS
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import DeviceFeatures, Padded, first_replica
from chemdl.molecules.nets.smiles import (
    SmilesConvolution,
    SmilesConvolutionClassifier,
    SmilesConvolutionRegressor,
    SmilesRecurrence,
    SmilesRecurrentClassifier,
    SmilesRecurrentRegressor,
)
from chemdl.molecules.tokens import VOCABULARY, smiles_tokens

SMALL = {"embedding": 8, "dropout": 0.1, "batch_size": 16, "epochs": 2, "device": "cpu"}
CONVOLUTION = {**SMALL, "filters": 8}
RECURRENCE = {**SMALL, "width": 8}
REGRESSORS = {
    "convolution": SmilesConvolutionRegressor(**CONVOLUTION, variants=3),
    "convolution, one variant": SmilesConvolutionRegressor(**CONVOLUTION, variants=1),
    "recurrence, max": SmilesRecurrentRegressor(**RECURRENCE, variants=3),
    "recurrence, mean": SmilesRecurrentRegressor(**RECURRENCE, variants=2, pooling="mean"),
    "recurrence, final": SmilesRecurrentRegressor(**RECURRENCE, variants=1, pooling="final"),
}
CLASSIFIERS = {
    "convolution": SmilesConvolutionClassifier(**CONVOLUTION),
    "recurrence": SmilesRecurrentClassifier(**RECURRENCE),
}
POOLINGS = ("max", "mean", "final")
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


def convolution(**changes: Any) -> SmilesConvolution:
    torch.manual_seed(0)
    return SmilesConvolution(
        **{"n_tasks": 2, "embedding": 5, "filters": 6, "widths": (1, 3, 7), "dropout": 0.0}
        | changes
    )


def recurrence(pooling: Any = "max") -> SmilesRecurrence:
    torch.manual_seed(0)
    return SmilesRecurrence(n_tasks=2, embedding=5, width=7, pooling=pooling, dropout=0.0)


NETWORKS = {"convolution": convolution} | {
    f"recurrence, {pooling}": (lambda pooling=pooling: recurrence(pooling)) for pooling in POOLINGS
}


def strings(*lengths: int) -> Tensor:
    """Tokens of strings of these lengths, side by side: (B, L)."""
    rng = torch.Generator().manual_seed(1)
    rows = torch.zeros(len(lengths), max(lengths), dtype=torch.long)
    for row, length in zip(rows, lengths, strict=True):
        row[:length] = torch.randint(1, len(VOCABULARY), (length,), generator=rng)
    return rows


def batch_of(smiles: list[str], variants: int) -> dict:
    features = DeviceFeatures({"tokens": smiles_tokens(smiles, variants=variants)}, "cpu")
    return first_replica(features.take(np.arange(len(smiles))[None]))


# --- the networks ---------------------------------------------------------------------------------


def test_the_recurrence_is_torchs() -> None:
    net, theirs = recurrence(), nn.GRU(5, 7, bidirectional=True, batch_first=True)
    state = {}
    for direction, suffix in enumerate(("", "_reverse")):
        state[f"weight_ih_l0{suffix}"] = net.W[direction].T
        state[f"weight_hh_l0{suffix}"] = net.U[direction].T
        state[f"bias_ih_l0{suffix}"] = net.b[direction, 0]
        # Only the bias within the reset gate is one of its own; the others are added to b.
        state[f"bias_hh_l0{suffix}"] = torch.cat([torch.zeros(14), net.b_h[direction, 0]])
    theirs.load_state_dict({name: value.detach() for name, value in state.items()})
    lengths = (9, 1, 23, 4)
    tokens = strings(*lengths)
    packed = nn.utils.rnn.pack_padded_sequence(
        net.embedded(tokens), torch.tensor(lengths), batch_first=True, enforce_sorted=False
    )
    answers, last = theirs(packed)
    expected, _ = nn.utils.rnn.pad_packed_sequence(answers, batch_first=True)
    forth = tokens.T
    states = net.states(torch.stack([forth, forth.flip(0)]))
    found = torch.cat([states[0], states[1].flip(0)], dim=2).transpose(0, 1)
    real = (tokens != 0)[..., None]
    torch.testing.assert_close(found * real, expected * real)
    torch.testing.assert_close(states[:, -1], last)
    pooled = {
        "final": torch.cat([*last], dim=1),
        "mean": expected.sum(1) / torch.tensor(lengths)[:, None],
        "max": torch.where(real, expected, -2.0).amax(1),
    }
    for pooling, vector in pooled.items():
        torch.testing.assert_close(recurrence(pooling).encode(tokens), vector)


def test_the_convolution_is_torchs() -> None:
    net, tokens = convolution(), strings(11, 2, 30)
    x = net.embedded(tokens).transpose(1, 2)
    expected = []
    for layer, width in zip(net.filters, net.widths, strict=True):
        weight = layer.weight.unflatten(1, (width, 5)).transpose(1, 2)
        answers = nn.functional.conv1d(x, weight, layer.bias, padding=width // 2)
        answers = torch.where((tokens != 0)[:, None], answers, -torch.inf)
        expected.append(torch.relu(answers.amax(2)))
    torch.testing.assert_close(net.encode(tokens), torch.cat(expected, dim=1))


@pytest.mark.parametrize("name", NETWORKS)
def test_padding_never_leaks(name: str) -> None:
    net, lengths = NETWORKS[name](), (9, 1, 23, 4)
    tokens = strings(*lengths)
    alone = torch.cat([net.encode(row[None, :n]) for row, n in zip(tokens, lengths, strict=True)])
    torch.testing.assert_close(net.encode(tokens), alone)
    wider = nn.functional.pad(tokens, (0, 40))
    torch.testing.assert_close(net.encode(wider), alone)
    # Padding's own vector is never read, nor is anything learned of it.
    net.encode(wider).sum().backward()
    assert not net.embedding.grad[0].any()


@pytest.mark.parametrize("name", NETWORKS)
def test_what_stands_in_the_string_does_matter(name: str) -> None:
    net, tokens = NETWORKS[name](), strings(5)
    before = net.encode(tokens)
    for place in (0, 2, 4):
        changed = tokens.clone()
        changed[0, place] = (changed[0, place] + 5) % len(VOCABULARY)
        assert not torch.allclose(net.encode(changed), before)
    assert not torch.allclose(net.encode(tokens.flip(1)), before)


@pytest.mark.parametrize("name", NETWORKS)
def test_training_reads_one_variant_drawn_by_noise_and_prediction_all(name: str) -> None:
    net, rows, weight = NETWORKS[name](), 64, torch.ones(64)
    values = strings(23, 17, 9, 20).T.expand(rows, -1, -1)
    mask = torch.ones(rows, 23, dtype=torch.bool)
    batch = {"tokens": Padded(values, mask)}
    each = [net({"tokens": Padded(values[:, :, [v]], mask)}, None, weight) for v in range(4)]
    torch.testing.assert_close(net(batch, None, weight), torch.stack(each).mean(0))
    noise = Noise(torch.tensor(5, dtype=torch.int32))
    drawn = net(batch, noise, weight)
    matches = torch.stack([torch.isclose(drawn, one).all(1) for one in each])
    # Every row is one of its variants', and each of them gets its share of 64 rows.
    assert (matches.sum(0) == 1).all()
    assert (matches.sum(1) >= 5).all()
    torch.testing.assert_close(net(batch, noise, weight), drawn)
    other = Noise(torch.tensor(6, dtype=torch.int32))
    assert not torch.allclose(net(batch, other, weight), drawn)


def test_one_variant_needs_no_noise() -> None:
    net, batch = convolution(), batch_of(["CCO", "c1ccccc1"], 1)
    noise = Noise(torch.tensor(5, dtype=torch.int32))
    weight = torch.ones(2)
    assert torch.equal(net(batch, noise, weight), net(batch, None, weight))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"odd width, so that it has a middle, not \(3, 4\)"):
        convolution(widths=(3, 4))
    with pytest.raises(ValueError, match=r"unknown pooling 'maxx'. Did you mean 'max'"):
        recurrence("maxx")


# --- the estimators -------------------------------------------------------------------------------


@pytest.mark.parametrize("odd", ODD)
def test_odd_molecules_get_a_number(fitted, odd: str) -> None:
    assert np.isfinite(fitted.predict(ODD[odd])).all()


def test_isotopes_and_unseen_elements_differ(fitted) -> None:
    values = fitted.predict(["C", "[13CH4]", "[U]", "[Lr]"])
    assert len(np.unique(values)) == 4


def test_the_spelling_of_a_molecule_does_not_matter(fitted) -> None:
    smiles = "CC(=O)Nc1ccc(OCC(F)(F)F)cc1S(=O)(=O)N1CCOCC1"
    molecule = Chem.MolFromSmiles(smiles)
    orders = [np.random.default_rng(i).permutation(molecule.GetNumAtoms()) for i in range(8)]
    texts = [
        Chem.MolToSmiles(Chem.RenumberAtoms(molecule, order.tolist()), canonical=False)
        for order in orders
    ]
    assert len(set(texts)) > 4
    np.testing.assert_allclose(fitted.predict(texts), fitted.predict([smiles])[0], atol=1e-5)


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
    """The members' batches have other longest strings, so that they are padded unequally."""
    smiles, y = molecules
    smiles, y = np.append(smiles, "C" * 40), np.append(y, 40.0)
    rows = [
        (np.arange(0, 30), np.arange(30, 40)),
        (np.arange(15, 45), np.arange(5, 15)),
        (np.arange(19, 49), np.arange(0, 3)),
    ]
    fits = {}
    for stack in (True, False):
        stacks = REGRESSORS[name].fit_replicas(smiles, y, rows, [1, 2, 3], stack=stack)
        trained = sorted((t for s in stacks for t in s), key=lambda t: t.position)
        assert {t.stack_size for t in trained} == {3 if stack else 1}
        fits[stack] = [t.estimator.predict(smiles[:-1]) for t in trained]
    np.testing.assert_allclose(fits[True], fits[False], atol=1e-4)
    assert not np.allclose(fits[True][0], fits[True][1], atol=1e-2)


@pytest.mark.parametrize("name", ["convolution", "recurrence, max"])
def test_inputs_and_targets_stay_as_they_were(name: str, molecules) -> None:
    smiles, y = (array.copy() for array in molecules)
    features = REGRESSORS[name].featurize(smiles)
    kept, state = features["tokens"].values.copy(), torch.get_rng_state()
    chemdl.evidence.replicas.seeded(REGRESSORS[name], 0).fit(smiles, y)
    np.testing.assert_array_equal(smiles, molecules[0])
    np.testing.assert_array_equal(y, molecules[1])
    np.testing.assert_array_equal(REGRESSORS[name].featurize(smiles)["tokens"].values, kept)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "model",
    [
        SmilesConvolutionRegressor(
            filters=32, variants=1, dropout=0.0, epochs=60, learning_rate=5e-3, device="cpu"
        ),
        SmilesRecurrentRegressor(
            width=32, variants=1, dropout=0.0, epochs=50, learning_rate=1e-2, device="cpu"
        ),
    ],
    ids=["convolution", "recurrence"],
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
    model = chemdl.evidence.replicas.seeded(CLASSIFIERS[name], 1).set_params(
        epochs=20, learning_rate=1e-2
    )
    proba = model.fit(smiles, labels, valid=np.arange(0, 48, 7)).predict_proba(smiles)
    assert proba.shape == (48, 2)
    assert METRICS["roc_auc"].function(labels, proba[:, 1]) > 0.95


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_drawn_configuration_can_be_built(name: str) -> None:
    model = chemdl.evidence.replicas.seeded(CLASSIFIERS[name], 0)
    assert model.search_space.keys() <= model.get_params().keys()
    rng = np.random.default_rng(0)
    for _ in range(5):
        drawn = {k: v[rng.integers(len(v))] for k, v in model.search_space.items()}
        model.set_params(**drawn)
        net = model.build(model.featurize(["CCO"]), 3)
        assert net.output.out_features == 3


def test_labels_not_measured_are_masked(molecules) -> None:
    smiles, y = molecules
    targets = np.column_stack([y, -y])
    targets[::2, 1] = np.nan
    model = chemdl.evidence.replicas.seeded(REGRESSORS["convolution"], 0).fit(smiles, targets)
    assert np.isfinite(model.predict(smiles)).all() and model.predict(smiles).shape == (48, 2)
