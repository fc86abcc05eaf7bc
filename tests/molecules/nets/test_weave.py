"""Weave against one that walks over atoms and pairs with plain loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from chemdl.learn.noise import Noise
from chemdl.learn.ragged import DeviceFeatures, first_replica
from chemdl.molecules.graphs import molecular_graphs
from chemdl.molecules.nets.weave import Weave, WeaveNet, memberships
from chemdl.molecules.pairs import atom_pairs, molecule_pairs

SMILES = ["C", "CCO", "C1CC1", "CC(=O)[O-].[Na+]", "CC(=O)Oc1ccccc1C(=O)O", "C1CC2CCC1C2"]


def network(histogram: bool = True, modules: int = 3) -> WeaveNet:
    """Return a net whose normalisation has means, deviations and gains of its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        net = WeaveNet(72, 16, 2, 5, modules, 4, histogram, (6,), 0.0).eval()
        for name, value in [*net.named_buffers(), *net.named_parameters()]:
            if "norm" in name:
                value.data = 0.5 + torch.rand(value.shape)
        net.common_atom = (torch.rand(72) < 0.3).float()
        net.common_pair = (torch.rand(16) < 0.3).float()
    return net


def batch_of(smiles: list[str], padding: int = 0) -> dict[str, Any]:
    """Return a batch of these molecules, then of padding rows, which repeat the first."""
    features = {**molecular_graphs(smiles), **atom_pairs(smiles)}
    rows = np.array([*range(len(smiles)), *[0] * padding])
    return first_replica(DeviceFeatures(features, "cpu").take(rows[None]))


def walked(net: WeaveNet, smiles: str) -> Tensor:
    """Work out one molecule's outputs atom by atom and pair by pair."""
    graph = molecular_graphs([smiles])
    atoms = torch.tensor(np.hstack([graph["atoms"].values, graph["mass"].values])).float()
    atoms = atoms - net.common_atom
    found = molecule_pairs(smiles, 2)
    pairs = {
        (int(i), int(j)): torch.tensor(bits) - net.common_pair
        for bits, (i, j) in zip(*found, strict=True)
    }
    a = list(atoms)
    for module in net.weave:
        both = pairs | {(j, i): p for (i, j), p in pairs.items()}
        new_a = []
        for v in range(len(a)):
            around = torch.zeros(5)
            for (i, _), p in both.items():
                if i == v:
                    around = around + layer(module.PA, p)
            new_a.append(layer(module.A, torch.cat([layer(module.AA, a[v]), around])))
        if module.to_pairs:
            for (v, w), p in pairs.items():
                forth = layer(module.AP, torch.cat([a[v], a[w]]))
                back = layer(module.AP, torch.cat([a[w], a[v]]))
                pairs[v, w] = layer(module.P, torch.cat([forth + back, layer(module.PP, p)]))
        a = new_a
    x = torch.stack([normalised(net.norm, net.last(state)) for state in a])
    f = (memberships(x) if net.histogram else torch.relu(x)).sum(0)
    for dense in net.dense:
        f = layer(dense, f)
    return net.output(f)


def layer(module: Any, x: Tensor) -> Tensor:
    return torch.relu(normalised(module.norm, module.W(x)))


def normalised(norm: Any, x: Tensor) -> Tensor:
    return (x - norm.mean) / torch.sqrt(norm.variance + norm.eps) * norm.gain + norm.bias


@pytest.mark.parametrize("histogram", [True, False])
def test_the_net_is_the_paper_s_atom_by_atom(histogram: bool) -> None:
    net = network(histogram)
    with torch.no_grad():
        found = net(batch_of(SMILES), None, torch.ones(len(SMILES)))
        expected = torch.stack([walked(net, smiles) for smiles in SMILES])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert expected.std() > 1e-2


def test_memberships_are_those_of_eleven_gaussians() -> None:
    """At 0.228: peak of the sixth neighbour, exp(-(0.228 / 0.114)² / 2) of the middle one."""
    at = memberships(torch.tensor([[0.228]]))[0]
    deviations = np.array([0.283, 0.170, 0.134, 0.118, 0.114, 0.114])
    deviations = np.concatenate([deviations, deviations[-2::-1]])
    means = [-1.645, -1.080, -0.739, -0.468, -0.228, 0.0, 0.228, 0.468, 0.739, 1.080, 1.645]
    gaussians = zip(means, deviations, strict=True)
    raw = [math.exp(-((0.228 - m) ** 2) / (2 * s**2)) for m, s in gaussians]
    np.testing.assert_allclose(at, np.array(raw) / sum(raw), rtol=1e-5, atol=1e-7)


def test_memberships_sum_to_one_wherever_the_value_lies() -> None:
    x = torch.tensor([[-1e3, -2.0, 0.0], [0.5, 9.0, 1e3]])
    parts = memberships(x).reshape(2, 11, 3)
    torch.testing.assert_close(parts.sum(1), torch.ones(2, 3))
    assert parts[1, -1, 2] == 1.0
    assert parts[0, 0, 0] == 1.0


def test_padding_molecules_enter_no_statistics() -> None:
    """Trained alone or beside padding, outputs and running means are the same."""
    outputs, states = [], []
    for padding in (0, 5):
        net = network().train()
        weight = torch.cat([torch.ones(len(SMILES)), torch.zeros(padding)])
        noise = Noise(torch.tensor(3, dtype=torch.int32))
        outputs.append(net(batch_of(SMILES, padding), noise, weight)[: len(SMILES)].detach())
        states.append(torch.cat([value.flatten() for value in net.buffers()]))
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(states[0], states[1], rtol=1e-4, atol=1e-4)


def test_the_common_value_of_each_bit_is_that_of_most_rows() -> None:
    net = network()
    smiles = ["CCO", "CCN", "CC", "C"]
    net.fit_scaling(batch_of(smiles))
    bits = np.concatenate([molecular_graphs([text])["atoms"].values for text in smiles])
    np.testing.assert_array_equal(net.common_atom[:-1], bits.mean(axis=0) > 0.5)
    assert net.common_atom[-1] == 0  # the mass is no bit
    # Of seven pairs five are single bonds, and all are at most two bonds apart.
    assert net.common_pair.nonzero().flatten().tolist() == [0, 6, 13, 14]
    # Where no row has a pair there is none to count.
    net.fit_scaling(batch_of(["C", "N"]))
    assert not net.common_pair.any()


def test_pairs_carry_news_beyond_their_own_atoms() -> None:
    """One module sees two bonds far, the second four: not the fifth."""
    net = network(histogram=False, modules=2)
    batch = batch_of(["CCCCCCCO"])
    atoms = batch["atoms"]
    values = atoms.values.float().requires_grad_(True)
    seen: list[Tensor] = []
    hook = net.last.register_forward_hook(lambda _m, _i, out: seen.append(out))
    net.molecules({**batch, "atoms": atoms._replace(values=values)}, torch.ones(1))
    hook.remove()
    seen[0][0].sum().backward()
    assert values.grad is not None
    reached = values.grad.abs().sum(1)[:8] > 0
    assert reached[0] and reached[2]
    assert not reached[5:].any()


def test_no_module_is_refused() -> None:
    with pytest.raises(ValueError, match="one module or more, not 0"):
        Weave.Regressor(modules=0, device="cpu").fit(["C", "CC", "CCC"], np.arange(3.0))
