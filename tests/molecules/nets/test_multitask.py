"""The fully connected net: published recipes, single-task nets, ensembles, forms of input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from chemdl.learn.models import NETS
from chemdl.learn.training import ReplicaRows, predict, train
from chemdl.molecules.fingerprints import ECFP
from chemdl.molecules.nets.multitask import FullyConnected, Multitask

SMALL = {
    "hidden": (16, 8),
    "dropout": (0.0, 0.2),
    "size": 128,
    "epochs": 4,
    "batch_size": 32,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def labels(smiles: np.ndarray) -> np.ndarray:
    """Oxygen, nitrogen, length; each measured for other rows."""
    y = np.array([["O" in s, "N" in s, len(s) > 12] for s in smiles], dtype=float)
    y[::4, 0] = np.nan
    y[1::3, 1] = np.nan
    y[80:, 2] = np.nan
    return y


def fitted_one(model, smiles, labels, rows, seed: int):
    """Fit one replica on (train rows, valid rows) and return its estimator."""
    stacks = model.fit_replicas(smiles, labels, [rows], [seed])
    (found,) = [trained.estimator for stack in stacks for trained in stack]
    return found


def member_outputs(fitted, smiles) -> list[np.ndarray]:
    """Return the outputs of each of the estimator's networks."""
    features = fitted.featurize(smiles)
    build = fitted.build
    return [predict(build(features, fitted.n_tasks_), m, features) for m in fitted.members_]


# --- the network ----------------------------------------------------------------------------------


def layer_sizes(network: FullyConnected) -> list[int]:
    return [network.hidden[0].in_features, *(layer.out_features for layer in network.hidden)]


def test_recipes_are_as_published() -> None:
    models = [
        NETS[name].estimator("classification")
        for name in ("multitask", "multitask_ma", "sigmoid", "fingerprint_net")
    ]
    networks = [model.build(model.featurize(["CCO"]), 12) for model in models]
    assert [layer_sizes(network) for network in networks] == [
        [2048, 2000, 100],
        [2048, 4000, 2000, 1000, 1000],
        [2048, 32],
        [2048, 100],
    ]
    assert all(network.output.out_features == 12 for network in networks)
    rates = [[dropout.rate for dropout in network.dropouts] for network in networks]
    assert rates == [[0.0, 0.25, 0.25], [0.0, 0.25, 0.25, 0.25, 0.1], [0.0, 0.0], [0.0, 0.0]]
    activations = [network.activation for network in networks]
    assert activations == [torch.relu, torch.relu, torch.sigmoid, torch.relu]
    ma = models[1]
    assert (ma.optimizer, ma.momentum, ma.epochs) == ("sgd", 0.9, 30)
    # 0.05 on a tenth of half the squared error's gradient.
    assert ma.learning_rate == pytest.approx(0.05 * 0.1 / 2)
    assert (ma.batch_size, ma.counts) == (128, True)
    assert set(networks[0].hidden[0].bias.tolist()) == {1.0}
    assert [model.batch_norm for model in models] == [False, False, False, True]


def test_variants_differ_from_their_recipe_in_one_thing() -> None:
    for variant, recipe, difference in (
        ("single_task", "multitask", {"shared": False}),
        ("ensemble", "multitask", {"networks": 5}),
        ("multitask_ma_bn", "multitask_ma", {"batch_norm": True}),
    ):
        one, other = (NETS[name].estimator("regression") for name in (variant, recipe))
        assert one.get_params() == {**other.get_params(), **difference}


def test_the_network_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="each of 2 hidden layers: 3 numbers, not 4"):
        FullyConnected(8, 1, hidden=(4, 4), dropout=(0, 0, 0, 0))
    with pytest.raises(ValueError, match=r"unknown activation 'rely'. Did you mean 'relu'"):
        FullyConnected(8, 1, hidden=(4,), dropout=(0, 0), activation="rely")


def test_the_network_is_its_equation() -> None:
    torch.manual_seed(0)
    net = FullyConnected(6, 2, hidden=(5, 4), dropout=(0.5, 0.5, 0.5), log_counts=True).eval()
    counts = torch.tensor([[0, 1, 2, 3, 0, 255], [1, 0, 0, 0, 0, 0]], dtype=torch.uint8)
    h = torch.log(1 + counts.double())
    for layer in net.hidden:
        h = torch.clamp(h @ layer.weight.double().T + layer.bias.double(), min=0)
    expected = h @ net.output.weight.double().T + net.output.bias.double()
    found = net({"fingerprint": counts}, None, torch.ones(2))
    np.testing.assert_allclose(found.detach(), expected.detach(), rtol=1e-5, atol=1e-6)


# --- single-task nets and ensembles ---------------------------------------------------------------


def test_single_task_nets_learn_from_the_rows_of_their_task_alone(smiles, labels) -> None:
    model = Multitask.Classifier(**SMALL, shared=False)
    rows = (np.arange(10, 100), np.arange(10))
    plain = fitted_one(model, smiles, labels, rows, 1)
    assert len(plain.members_) == 3
    changed = labels.copy()
    changed[:, 1] = 1 - changed[:, 1]
    changed[80:, 2] = np.nan
    other = fitted_one(model, smiles, changed, rows, 1)
    before, after = plain.predict_proba(smiles), other.predict_proba(smiles)
    np.testing.assert_allclose(after[:, [0, 2]], before[:, [0, 2]], atol=1e-6)
    assert np.abs(after[:, 1] - before[:, 1]).max() > 1e-3
    # A shared net does feel what the other tasks say.
    shared = [
        fitted_one(Multitask.Classifier(**SMALL), smiles, y, rows, 1) for y in (labels, changed)
    ]
    first, second = (one.predict_proba(smiles)[:, 0] for one in shared)
    assert np.abs(first - second).max() > 1e-3


def test_single_task_rows_are_those_measured(labels) -> None:
    model = Multitask.Classifier(**SMALL, shared=False)
    members = model.replica_rows(labels, np.arange(10, 100), np.arange(10), seed=0)
    assert [member.tasks for member in members] == [(0,), (1,), (2,)]
    for task, member in enumerate(members):
        assert np.isfinite(labels[member.train, task]).all()
        assert np.isfinite(labels[member.valid, task]).all()
        assert len(member.train) == np.isfinite(labels[10:, task]).sum()
    assert len({member.seed for member in members}) == 3


def test_a_column_of_a_single_task_net_is_its_own_network(smiles, labels) -> None:
    """Each task alone, under the seed it has among the others, predicts the same."""
    model = Multitask.Classifier(**SMALL, shared=False, networks=2, seed=3)
    rows = (np.arange(10, 100), np.arange(10))
    together = fitted_one(model, smiles, labels, rows, 3)
    logits = together.outputs(smiles)
    raw = member_outputs(together, smiles)
    for task in range(3):
        own = [raw[task][:, task], raw[3 + task][:, task]]
        np.testing.assert_allclose(logits[:, task], np.mean(own, axis=0), atol=1e-6)


def test_an_ensemble_is_the_mean_of_its_members(smiles, labels) -> None:
    rows = (np.arange(10, 100), np.arange(10))
    ensemble = Multitask.Classifier(**SMALL, networks=3)
    fitted = fitted_one(ensemble, smiles, labels, rows, 5)
    assert len(fitted.members_) == 3
    seeds = [member.seed for member in ensemble.replica_rows(labels, *rows, 5)]
    assert len({5, *seeds}) == 4
    one = Multitask.Classifier(**SMALL)
    members = [fitted_one(one, smiles, labels, rows, seed).outputs(smiles) for seed in seeds]
    assert not np.allclose(members[0], members[1])
    np.testing.assert_allclose(fitted.outputs(smiles), np.mean(members, axis=0), atol=1e-4)
    assert fitted.n_parameters_ == 3 * one.fit(smiles, labels).n_parameters_


def test_an_ensemble_of_regressors_averages_in_the_targets_units(smiles) -> None:
    y = np.array([100.0 * len(s) for s in smiles])
    fitted = Multitask.Regressor(**SMALL, networks=2).fit(smiles, y)
    members = [fitted.combine([o]) for o in member_outputs(fitted, smiles)]
    np.testing.assert_allclose(fitted.predict(smiles), np.mean(members, axis=0)[:, 0])
    assert 300 < fitted.predict(smiles).mean() < 2500


# --- packed and standardised inputs ---------------------------------------------------------------


def test_packed_bits_are_the_same_fingerprint_to_the_network() -> None:
    smiles = ["CCO", "c1ccccc1C(=O)O", "CC(=O)Nc1ccc(O)cc1", "[Na+].[Cl-]"]
    packed, plain = (
        torch.as_tensor(ECFP(packed=packed).transform(smiles).copy()) for packed in (True, False)
    )
    assert packed.shape == (4, 256)
    net = FullyConnected(2048, 3, (16,), (0.0, 0.0), packed=True).eval()
    bare = FullyConnected(2048, 3, (16,), (0.0, 0.0)).eval()
    bare.load_state_dict(net.state_dict())
    weight = torch.ones(4)
    expected = bare({"fingerprint": plain}, None, weight)
    assert torch.equal(net({"fingerprint": packed}, None, weight), expected)
    # Several replicas at once see the same bits.
    states = {k: torch.stack([v, v]) for k, v in net.state_dict().items()}
    arguments = ({"fingerprint": packed}, None, weight)
    stacked = torch.func.vmap(lambda s: torch.func.functional_call(net, s, arguments))(states)
    torch.testing.assert_close(stacked[1], expected)


@pytest.mark.parametrize("stack", [False, True])
def test_packed_bits_train_and_predict_exactly_as_the_bits_do(smiles, labels, stack: bool) -> None:
    recipe = Multitask.Classifier(**SMALL)
    rows = np.arange(len(smiles))
    replicas = [ReplicaRows(rows[seed + 10 :], rows[: seed + 10], seed) for seed in range(2)]
    results = []
    for packed in (True, False):
        features = {"fingerprint": ECFP(size=128, packed=packed).transform(smiles)}

        def build(packed: bool = packed) -> FullyConnected:
            return FullyConnected(128, 3, (16, 8), (0.1, 0.2, 0.2), packed=packed)

        stacks = train(build, features, labels, replicas, loss="bce", recipe=recipe, stack=stack)
        fitted = [one for positions in stacks for _, one in positions]
        assert {one.stack_size for one in fitted} == {2 if stack else 1}
        states = [value for one in fitted for value in one.state.values()]
        outputs = [torch.as_tensor(predict(build(), one, features)) for one in fitted]
        results.append(states + outputs)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    assert results[0][-1].std() > 0.01


def test_standardised_inputs_are_scaled_by_the_train_rows_alone() -> None:
    counts = np.column_stack([np.arange(40) % 5, 1000 + 37 * np.arange(40), np.full(40, 3)])
    rows = [f"3 0:{a} 1:{b} 2:{c}" for a, b, c in counts]
    y = (counts[:, 0] + counts[:, 1] / 500).astype(float)
    model = Multitask.Regressor(
        hidden=(8,), dropout=(0.0, 0.0), tabulated=True, standardised=True, epochs=4, device="cpu"
    )
    valid = np.arange(0, 40, 5)
    fitted = model.fit(rows, y, valid=valid)
    state = fitted.members_[0].state
    train = np.delete(counts, valid, axis=0)
    np.testing.assert_allclose(state["scale.centre"], train.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(state["scale.spread"][:2], train.std(axis=0)[:2], rtol=1e-4)
    assert state["scale.spread"][2] == 1.0
    plain = Multitask.Regressor(hidden=(8,), dropout=(0.0, 0.0), tabulated=True, epochs=4)
    assert "scale.centre" not in plain.fit(rows, y, valid=valid).members_[0].state


def test_the_size_of_a_standardised_input_does_not_matter() -> None:
    x = torch.rand(20, 3) * torch.tensor([1.0, 100.0, 10.0])
    outputs = []
    for scale in (1.0, 50.0):
        torch.manual_seed(0)
        network = FullyConnected(3, 1, (6,), (0.0, 0.0), standardised=True)
        network.fit_scaling({"fingerprint": x * scale})
        outputs.append(network({"fingerprint": x * scale}, None, torch.ones(20)))
    torch.testing.assert_close(outputs[0], outputs[1])
