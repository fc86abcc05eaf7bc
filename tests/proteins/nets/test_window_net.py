"""Nets over a window: its width, and pre-training without labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from chemdl.learn.ragged import Ragged


def test_a_window_has_a_middle(small_net) -> None:
    with pytest.raises(ValueError, match="a window has an odd width"):
        small_net("window_net", window=12).build({}, 2)


def test_pretraining_depends_on_the_seed_alone_and_sees_no_labels(
    small_net, random_chains, random_states
) -> None:
    inputs = random_chains(12)
    one = small_net("window_net_pretrained", epochs=1, learning_rate=1e-9, seed=3)
    y = random_states(inputs)
    other = Ragged(np.where(np.isnan(y.values), np.nan, 0.0), y.offsets, "padded")
    states = [one.fit(inputs, t, valid=np.arange(2)).members_[0].state for t in (y, other, y)]
    torch.testing.assert_close(states[0], states[2])
    for name in ("layers.0.weight", "layers.2.bias"):
        torch.testing.assert_close(states[0][name], states[1][name], atol=1e-5, rtol=0)
    plain = small_net("window_net_deep", epochs=1, learning_rate=1e-9, seed=3)
    untouched = plain.fit(inputs, y, valid=np.arange(2)).members_[0].state
    assert not torch.allclose(states[0]["layers.0.weight"], untouched["layers.0.weight"])
