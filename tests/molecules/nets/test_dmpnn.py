"""Directed-edge message passing against chemprop's own, with the same weights."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch

import chemdl
from chemdl.learn.ragged import DeviceFeatures, first_replica
from chemdl.molecules.graphs import molecular_graphs
from chemdl.molecules.nets.dmpnn import DMPNN, DirectedMessagePassing

ODD = ["C", "[Na+].[Cl-]", "[2H]O[2H]", "F/C=C/F", "F/C=C\\F", "C[C@H](N)O", "C[Se]C", "[U]"]


@pytest.fixture(scope="module")
def smiles() -> list[str]:
    return [*chemdl.load("esol").inputs[:60], *ODD]


@pytest.mark.parametrize("aggregation", ["norm", "mean"])
@pytest.mark.parametrize("depth", [2, 3, 5])
def test_the_network_is_chemprops(chemprop, smiles, aggregation: str, depth: int) -> None:
    kinds = {"norm": chemprop.nn.NormAggregation, "mean": chemprop.nn.MeanAggregation}
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(5)
        theirs = chemprop.models.MPNN(
            chemprop.nn.BondMessagePassing(d_h=32, depth=depth),
            kinds[aggregation](),
            chemprop.nn.RegressionFFN(input_dim=32, hidden_dim=32),
        ).eval()
    ours = DirectedMessagePassing(72, 13, 1, 32, depth, 0.0, aggregation)
    copy_weights(theirs, ours)

    data = chemprop.data.MoleculeDataset(
        [chemprop.data.MoleculeDatapoint.from_smi(text) for text in smiles]
    )
    with torch.no_grad():
        expected = theirs(chemprop.data.BatchMolGraph([datum.mg for datum in data]))
        batch = DeviceFeatures(molecular_graphs(smiles), "cpu").take(np.arange(len(smiles))[None])
        found = ours(first_replica(batch), None, torch.ones(len(smiles)))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert expected.std() > 1e-3


def copy_weights(theirs: Any, ours: DirectedMessagePassing) -> None:
    """Carry chemprop's weights over; its bond features begin with a column that is always 0."""
    message, (first, last) = (
        theirs.message_passing,
        (theirs.predictor.ffn[0], theirs.predictor.ffn[1]),
    )
    with torch.no_grad():
        columns = [*range(72), *range(73, 86)]
        ours.W_i.weight.copy_(message.W_i.weight[:, columns])
        ours.W_h.weight.copy_(message.W_h.weight)
        ours.W_o.load_state_dict(message.W_o.state_dict())
        ours.readout.hidden.load_state_dict(first[-1].state_dict())
        ours.readout.output.load_state_dict(last[-1].state_dict())


def test_an_unknown_aggregation_is_refused() -> None:
    with pytest.raises(ValueError, match="Did you mean 'mean'"):
        DMPNN.Regressor(aggregation="maen").fit(["C", "CC", "CCC"], np.arange(3.0))


def test_rounded_products_give_nearly_the_same(chains_and_rings) -> None:
    smiles, y = chains_and_rings
    exact, rounded = (
        DMPNN.Regressor(width=24, batch_size=16, epochs=20, device="cpu", precision=precision)
        .fit(smiles, y)
        .predict(smiles)
        for precision in ("float32", "bfloat16")
    )
    assert 0 < np.abs(exact - rounded).max() < 0.1 * y.std()
