"""The neural fingerprint against one that walks over atoms with plain loops."""

from __future__ import annotations

import numpy as np
import torch
from rdkit import Chem
from torch import Tensor

from chemdl.learn.ragged import DeviceFeatures, first_replica
from chemdl.molecules.graphs import molecular_graphs
from chemdl.molecules.nets.graph_net import GraphBatch
from chemdl.molecules.nets.neural_fingerprint import FingerprintNetwork

# Degrees 0 to 4, and 6, which shares the matrix of 5.
SMILES = ["C", "[Na+].[Cl-]", "CC(=O)Oc1ccccc1C(=O)O", "CC(C)(C)C", "FS(F)(F)(F)(F)F", "C1CC1"]


def walked(net: FingerprintNetwork, smiles: str) -> Tensor:
    """Work out one molecule's fingerprint atom by atom, by the module's equations."""
    graph = molecular_graphs([smiles])
    r = torch.tensor(np.hstack([graph["atoms"].values, graph["mass"].values])).float()
    e = torch.tensor(graph["bonds"].values).float()
    atoms = list(Chem.MolFromSmiles(smiles).GetAtoms())
    f = torch.softmax(net.write[0](r), dim=1).sum(0)
    for A, around, norm, write in zip(net.own, net.around, net.norms, net.write[1:], strict=True):
        by_degree = around.weight.chunk(6, dim=1)
        rows = []
        for v, atom in enumerate(atoms):
            H = by_degree[min(atom.GetDegree(), 5)]
            s = torch.zeros(H.shape[1])
            for bond in atom.GetBonds():
                s = s + torch.cat([r[bond.GetOtherAtomIdx(v)], e[bond.GetIdx()]])
            x = A(r[v]) + H @ s
            x = (x - norm.mean) / torch.sqrt(norm.variance + norm.eps) * norm.gain + norm.bias
            rows.append(torch.relu(x))
        r = torch.stack(rows)
        f = f + torch.softmax(write(r), dim=1).sum(0)
    return f


def test_the_fingerprint_is_the_paper_s_atom_by_atom() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        net = FingerprintNetwork(72, 13, 2, width=5, depth=3, length=7, hidden=0, dropout=0.0)
        for norm in net.norms:
            for value in (norm.mean, norm.variance, norm.gain, norm.bias):
                value.data = 0.5 + torch.rand(value.shape)
    batch = DeviceFeatures(molecular_graphs(SMILES), "cpu").take(np.arange(len(SMILES))[None])
    with torch.no_grad():
        graph = GraphBatch.read(first_replica(batch))
        found = net.eval().fingerprint(graph, torch.ones(len(SMILES)))
        expected = torch.stack([walked(net, smiles) for smiles in SMILES])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    # Every atom writes one in all at each of depth + 1 levels.
    atoms = torch.tensor([Chem.MolFromSmiles(smiles).GetNumAtoms() for smiles in SMILES])
    torch.testing.assert_close(found.sum(1), 4.0 * atoms)
