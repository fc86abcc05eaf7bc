"""Nets that predict angles."""

from __future__ import annotations

import numpy as np

from chemdl.learn.models import make_net


def test_angles_are_learned_across_the_seam(long_chains, angles) -> None:
    inputs, y = long_chains[:12], angles[np.arange(12)]
    net = make_net("torsion_net", "labelling", width=16, epochs=60, learning_rate=0.01, dropout=0.0,
                   batch_size=4, device="cpu")  # fmt: skip
    predicted = net.fit(inputs, y, valid=np.arange(0)).predict(inputs)
    away = np.abs((predicted - y.values + 180) % 360 - 180)
    assert np.nanmean(away) < 10
