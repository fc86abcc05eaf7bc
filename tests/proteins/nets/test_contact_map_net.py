"""Nets over pairs of residues."""

from __future__ import annotations

import numpy as np
import pytest

from chemdl.learn.models import make_net


@pytest.mark.parametrize("name", ["contact_net_deep", "contact_net_shallow"])
def test_contact_nets_learn_and_ignore_padding(name: str, long_chains, touching) -> None:
    inputs, y = long_chains[:12], touching[np.arange(12)]
    net = make_net(name, "labelling", width=12, epochs=60, learning_rate=0.02, dropout=0.0,
                   decay=0.5, device="cpu")  # fmt: skip
    net.fit(inputs, y, valid=np.arange(0))
    predicted = net.predict(inputs)
    assert ((predicted > 0.5) == y.values).mean() > 0.95
    alone = np.concatenate([net.outputs([chain]) for chain in inputs])
    np.testing.assert_allclose(net.outputs(inputs), alone, atol=1e-3)
    np.testing.assert_array_equal(net.site_scores(inputs)[0], net.outputs(inputs))
