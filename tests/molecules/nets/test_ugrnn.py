"""The recursive net against one that walks from each root with plain loops."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from rdkit import Chem
from torch import Tensor

import chemdl
from chemdl.evidence.metrics import METRICS
from chemdl.molecules.nets.graphs import GraphBatch
from chemdl.learn.ragged import DeviceFeatures, first_replica
from chemdl.molecules.graphs import molecular_graphs
from chemdl.molecules.nets.ugrnn import RecursiveNet, UGRNNClassifier, UGRNNRegressor
from chemdl.molecules.pairs import directed_graphs

SMALL = {"width": 8, "hidden": 12, "batch_size": 16, "epochs": 2, "device": "cpu"}
SMILES = [
    "C",
    "CCO",
    "C1CC1",
    "CC(=O)[O-].[Na+]",
    "CC(=O)Oc1ccccc1C(=O)O",
    "c1ccc2c(c1)ccc1c2cccc1CC1CC1",
    "C1CC2CCC1C2",
    "C12C3C4C1C5C2C3C45",
    "C1CC[NH2]->[Cu]<-[NH2]1",
]
ODD = {
    "one atom": ["C", "[Na+]", "[H][H]"],
    "salt": ["CC(=O)[O-].[Na+]", "[NH4+].[Cl-]"],
    "isotopes": ["[13CH4]", "[2H]O[2H]"],
    "other elements": ["[U]", "C[Se]C", "[Lr]"],
    "large": ["C" * 250, "C1" + "C" * 120 + "1"],
}


@pytest.fixture(scope="module")
def molecules() -> tuple[np.ndarray, np.ndarray]:
    """Small chains and rings with a target that the atoms decide."""
    ends = ["", "O", "N", "Cl", "c1ccccc1", "C1CC1"]
    smiles = [("C" * n + end) for n in range(1, 9) for end in ends]
    y = np.array([n + 2.0 * ("O" in end) for n in range(1, 9) for end in ends])
    return np.array(smiles, dtype=object), y


@pytest.fixture(scope="module")
def fitted(molecules) -> Any:
    smiles, y = molecules
    return chemdl.evidence.replicas.seeded(UGRNNRegressor(**SMALL, dropout=0.1), 3).fit(smiles, y)


def network(smiles: list[str]) -> tuple[RecursiveNet, dict[str, Any]]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        net = RecursiveNet(72, 13, 2, width=5, hidden=7, dropout=0.0)
    features = {**molecular_graphs(smiles), **directed_graphs(smiles)}
    batch = DeviceFeatures(features, "cpu").take(np.arange(len(smiles))[None])
    return net, first_replica(batch)


def walked(net: RecursiveNet, smiles: str) -> Tensor:
    """Work out one molecule's outputs from each root on its own, from leaves to root."""
    graph = molecular_graphs([smiles])
    x = torch.tensor(np.hstack([graph["atoms"].values, graph["mass"].values])).float()
    e = torch.tensor(graph["bonds"].values).float()
    molecule = Chem.MolFromSmiles(smiles)
    distance = Chem.GetDistanceMatrix(molecule)
    total = torch.zeros(net.W_o.out_features)
    for root in range(len(x)):
        reached = [int(v) for v in np.argsort(-distance[root]) if distance[root, v] < 1e6]
        h: dict[int, Tensor] = {}
        for v in reached:
            inner = net.W_x(x[v])
            for bond in molecule.GetAtomWithIdx(v).GetBonds():
                u = bond.GetOtherAtomIdx(v)
                if distance[root, u] > distance[root, v]:
                    inner = inner + net.W_h(h[u]) + net.W_c(e[bond.GetIdx()])
                elif distance[root, u] == distance[root, v]:
                    inner = inner + net.W_s(e[bond.GetIdx()])
            h[v] = torch.tanh(net.W_o(torch.relu(inner)))
        total = total + h[root]
    return net.readout(total[None], None)[0]


def test_sharing_and_batching_change_nothing() -> None:
    net, batch = network(SMILES)
    with torch.no_grad():
        found = net(batch, None, torch.ones(len(SMILES)))
        expected = torch.stack([walked(net, smiles) for smiles in SMILES])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert expected.std() > 1e-2


def test_ethanol_by_hand() -> None:
    """A state counts what hangs below it when every weight is one and nothing saturates."""
    net, batch = network(["CCO"])
    small = 1e-3
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        # Element 6 stands in column 5, element 8 in column 7: carbon is 1 and oxygen 4.
        net.W_x.weight[0, [5, 7]] = torch.tensor([1.0, 4.0])
        net.W_h.weight[0, 0] = 1 / small
        net.W_c.weight[0, 0] = 10.0  # a single bond
        net.W_o.weight[0, 0] = small
        states = net.roots(GraphBatch.read(batch), batch)[:3, 0] / small
    # Every root sees the whole chain: 1 + 1 + 4 and two bonds.
    np.testing.assert_allclose(states, [26.0, 26.0, 26.0], rtol=2e-3)


def test_gradients_reach_the_farthest_atom() -> None:
    net, batch = network(["CCCCCCCCCO"])
    graph = GraphBatch.read(batch)
    atoms = graph.atoms.clone().requires_grad_(True)
    net.roots(graph._replace(atoms=atoms), batch)[0].sum().backward()
    assert atoms.grad is not None
    assert (atoms.grad[:10].abs().sum(1) > 0).all()
    assert (atoms.grad[10:] == 0).all()


@pytest.mark.parametrize("odd", ODD)
def test_odd_molecules_get_a_number(fitted, odd: str) -> None:
    assert np.isfinite(fitted.predict(ODD[odd])).all()


def test_the_order_of_atoms_does_not_matter(fitted) -> None:
    molecule = Chem.MolFromSmiles("CC(=O)Nc1ccc(OCC(F)(F)F)cc1S(=O)(=O)N1CCOC1")
    orders = [np.random.default_rng(i).permutation(molecule.GetNumAtoms()) for i in range(6)]
    texts = [
        Chem.MolToSmiles(Chem.RenumberAtoms(molecule, order.tolist()), canonical=False)
        for order in orders
    ]
    assert len(set(texts)) > 3
    values = fitted.predict(texts)
    np.testing.assert_allclose(values, values[0], rtol=1e-5, atol=1e-5)


def test_the_rest_of_the_batch_does_not_matter(fitted, molecules) -> None:
    smiles, _ = molecules
    together = fitted.predict([*smiles, "C" * 90, "[Na+].[Cl-]"])
    alone = np.concatenate([fitted.predict([text]) for text in smiles])
    np.testing.assert_allclose(together[: len(smiles)], alone, rtol=1e-5, atol=1e-5)


def test_an_unreadable_smiles_is_named(fitted) -> None:
    with pytest.raises(ValueError, match=r"row 1: .*'C1CC'"):
        fitted.predict(["CC", "C1CC"])


def test_a_stack_equals_its_replicas_alone(molecules) -> None:
    """Batches of the stack differ in their parts, so that they are padded unequally."""
    smiles, y = molecules
    kept = smiles.copy(), y.copy()
    rows = [
        (np.arange(0, 30), np.arange(30, 40)),
        (np.arange(15, 45), np.arange(5, 15)),
        (np.arange(18, 48), np.arange(0, 3)),
    ]
    fits = {}
    for stack in (True, False):
        model = UGRNNRegressor(**SMALL, dropout=0.1)
        stacks = model.fit_replicas(smiles, y, rows, [1, 2, 3], stack=stack)
        trained = sorted((t for s in stacks for t in s), key=lambda t: t.position)
        assert {t.stack_size for t in trained} == {3 if stack else 1}
        fits[stack] = [t.estimator.predict(smiles) for t in trained]
    np.testing.assert_allclose(fits[True], fits[False], rtol=1e-4, atol=1e-4)
    assert not np.allclose(fits[True][0], fits[True][1], atol=1e-2)
    np.testing.assert_array_equal(smiles, kept[0])
    np.testing.assert_array_equal(y, kept[1])


def test_32_molecules_are_learned_by_heart() -> None:
    data = chemdl.load("esol")
    rows = np.flatnonzero([len(text) <= 10 for text in data.inputs])[:32]
    smiles, y = data.inputs[rows], data.targets[rows, 0]
    model = UGRNNRegressor(
        epochs=80, batch_size=16, learning_rate=1e-2, patience=1000, device="cpu"
    )
    # Its own rows stop the training: the question is what the net can hold.
    stacks = model.fit_replicas(smiles, y, [(np.arange(32), np.arange(32))], [0])
    (trained,) = next(iter(stacks))
    error = trained.estimator.predict(smiles) - y
    assert np.sqrt(np.mean(error**2)) < 0.1 * y.std()


def test_an_ensemble_averages_its_networks(molecules) -> None:
    smiles, y = molecules
    model = UGRNNRegressor(**SMALL, networks=3).fit(smiles, y)
    whole = model.predict(smiles)
    members, alone = model.members_, []
    for member in members:
        model.members_ = [member]
        alone.append(model.predict(smiles))
    assert all(not np.allclose(a, b, atol=1e-3) for a, b in pairwise(alone))
    np.testing.assert_allclose(whole, np.mean(alone, axis=0), rtol=1e-5, atol=1e-6)


def test_the_classifier_tells_alcohols_from_the_rest(molecules) -> None:
    smiles, _ = molecules
    labels = np.array([text.endswith("O") for text in smiles], dtype=float)
    model = UGRNNClassifier(**{**SMALL, "epochs": 25}, learning_rate=2e-2)
    proba = model.fit(smiles, labels, valid=np.arange(0, 48, 7)).predict_proba(smiles)
    assert proba.shape == (48, 2)
    assert METRICS["roc_auc"].function(labels, proba[:, 1]) > 0.95
