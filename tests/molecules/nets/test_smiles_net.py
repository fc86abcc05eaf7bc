"""What both networks over SMILES share: padding is not read, and variants take turns."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from chemdl.learn.ragged import DeviceFeatures, Padded, first_replica
from chemdl.molecules.nets.smiles_cnn import SmilesConvolution
from chemdl.molecules.nets.smiles_gru import SmilesRecurrence
from chemdl.molecules.nets.smiles_net import SmilesNet
from chemdl.molecules.tokens import VOCABULARY, smiles_tokens


def network(cls: type[SmilesNet], **arguments: object) -> SmilesNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return cls(n_tasks=2, embedding=5, dropout=0.0, **arguments)


NETWORKS = {"convolution": partial(network, SmilesConvolution, filters=6, widths=(1, 3, 7))} | {
    f"recurrence, {pooling}": partial(network, SmilesRecurrence, width=7, pooling=pooling)
    for pooling in ("max", "mean", "final")
}


@pytest.mark.parametrize("name", NETWORKS)
def test_padding_never_leaks(name: str, strings) -> None:
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
def test_what_stands_in_the_string_does_matter(name: str, strings) -> None:
    net, tokens = NETWORKS[name](), strings(5)
    before = net.encode(tokens)
    for place in (0, 2, 4):
        changed = tokens.clone()
        changed[0, place] = (changed[0, place] + 5) % len(VOCABULARY)
        assert not torch.allclose(net.encode(changed), before)
    assert not torch.allclose(net.encode(tokens.flip(1)), before)


@pytest.mark.parametrize("name", NETWORKS)
def test_training_reads_one_variant_drawn_by_noise_and_prediction_all(name, strings, noise) -> None:
    net, rows, weight = NETWORKS[name](), 64, torch.ones(64)
    values = strings(23, 17, 9, 20).T.expand(rows, -1, -1)
    mask = torch.ones(rows, 23, dtype=torch.bool)
    batch = {"tokens": Padded(values, mask)}
    each = [net({"tokens": Padded(values[:, :, [v]], mask)}, None, weight) for v in range(4)]
    torch.testing.assert_close(net(batch, None, weight), torch.stack(each).mean(0))
    read = net(batch, noise(), weight)
    matches = torch.stack([torch.isclose(read, one).all(1) for one in each])
    # Every row is one of its variants', and each of them gets its share of 64 rows.
    assert (matches.sum(0) == 1).all()
    assert (matches.sum(1) >= 5).all()
    torch.testing.assert_close(net(batch, noise(), weight), read)
    assert not torch.allclose(net(batch, noise(6), weight), read)


def test_one_variant_needs_no_noise(noise) -> None:
    features = DeviceFeatures({"tokens": smiles_tokens(["CCO", "c1ccccc1"], variants=1)}, "cpu")
    net, batch = NETWORKS["convolution"](), first_replica(features.take(np.arange(2)[None]))
    weight = torch.ones(2)
    assert torch.equal(net(batch, noise(), weight), net(batch, None, weight))
