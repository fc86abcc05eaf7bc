"""The recursive net against one that walks from each root with plain loops."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from rdkit import Chem
from torch import Tensor

from chemdl.learn.ragged import DeviceFeatures, first_replica
from chemdl.molecules.directed import directed_graphs
from chemdl.molecules.graphs import molecular_graphs
from chemdl.molecules.nets.graph_net import GraphBatch
from chemdl.molecules.nets.ugrnn import UGRNN, RecursiveNet

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


def test_an_ensemble_averages_its_networks(chains_and_rings) -> None:
    smiles, y = chains_and_rings
    small = {"width": 8, "hidden": 12, "batch_size": 16, "epochs": 2, "device": "cpu"}
    model = UGRNN.Regressor(**small, networks=3).fit(smiles, y)
    whole = model.predict(smiles)
    members, alone = model.members_, []
    for member in members:
        model.members_ = [member]
        alone.append(model.predict(smiles))
    assert all(not np.allclose(a, b, atol=1e-3) for a, b in pairwise(alone))
    np.testing.assert_allclose(whole, np.mean(alone, axis=0), rtol=1e-5, atol=1e-6)
