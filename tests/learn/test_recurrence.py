"""The gated recurrence beside PyTorch's, and what padding does to it."""

from __future__ import annotations

import torch

from chemdl.learn.recurrence import GatedRecurrence, both_ways


def states(layer: GatedRecurrence, x: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Return the states of steps (L, B, inputs), those of the way back in the order of steps."""
    forth, back = layer(both_ways(x), both_ways(real))
    return torch.cat([forth, back.flip(0)], dim=2)


def test_the_recurrence_is_torchs_in_both_directions() -> None:
    torch.manual_seed(0)
    ours, theirs = GatedRecurrence(5, 4), torch.nn.GRU(5, 4, bidirectional=True)
    state = {}
    for way, ending in enumerate(("", "_reverse")):
        state |= {
            f"weight_ih_l0{ending}": ours.W[way].T,
            f"weight_hh_l0{ending}": ours.U[way].T,
            f"bias_ih_l0{ending}": ours.b[way, 0],
            f"bias_hh_l0{ending}": torch.cat([torch.zeros(8), ours.b_h[way, 0]]),
        }
    theirs.load_state_dict(state)
    x = torch.randn(7, 3, 5)
    found = states(ours, x, torch.ones(7, 3, dtype=torch.bool))
    torch.testing.assert_close(found, theirs(x)[0])


def test_padding_is_not_read_and_changes_no_state() -> None:
    torch.manual_seed(0)
    layer, x = GatedRecurrence(5, 4), torch.randn(7, 1, 5)
    real = torch.arange(7)[:, None] < 4
    alone = states(layer, x[:4], real[:4])
    padded = states(layer, x, real)
    torch.testing.assert_close(padded[:4], alone)
    torch.testing.assert_close(padded[6, :, :4], alone[3, :, :4])
