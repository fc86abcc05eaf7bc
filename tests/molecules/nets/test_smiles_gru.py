"""A recurrence over SMILES against torch's own, by each way to pool its states."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from chemdl.molecules.nets.smiles_gru import SmilesRecurrence


def network(pooling: str = "max") -> SmilesRecurrence:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SmilesRecurrence(n_tasks=2, embedding=5, width=7, pooling=pooling, dropout=0.0)


def test_the_pooled_states_are_torchs(strings) -> None:
    net, theirs = network(), nn.GRU(5, 7, bidirectional=True, batch_first=True)
    ours, state = net.recurrence, {}
    for direction, suffix in enumerate(("", "_reverse")):
        state[f"weight_ih_l0{suffix}"] = ours.W[direction].T
        state[f"weight_hh_l0{suffix}"] = ours.U[direction].T
        state[f"bias_ih_l0{suffix}"] = ours.b[direction, 0]
        # Only the bias within the reset gate is one of its own; the others are added to b.
        state[f"bias_hh_l0{suffix}"] = torch.cat([torch.zeros(14), ours.b_h[direction, 0]])
    theirs.load_state_dict({name: value.detach() for name, value in state.items()})
    lengths = (9, 1, 23, 4)
    tokens = strings(*lengths)
    packed = nn.utils.rnn.pack_padded_sequence(
        net.embedded(tokens), torch.tensor(lengths), batch_first=True, enforce_sorted=False
    )
    answers, last = theirs(packed)
    states, _ = nn.utils.rnn.pad_packed_sequence(answers, batch_first=True)
    real = (tokens != 0)[..., None]
    pooled = {
        "final": torch.cat([*last], dim=1),
        "mean": states.sum(1) / torch.tensor(lengths)[:, None],
        "max": torch.where(real, states, -2.0).amax(1),
    }
    for pooling, expected in pooled.items():
        torch.testing.assert_close(network(pooling).encode(tokens), expected)


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown pooling 'maxx'. Did you mean 'max'"):
        network("maxx")
