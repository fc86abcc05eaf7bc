"""Attention over elements: their places in a set do not matter."""

from __future__ import annotations

import numpy as np
import torch


def test_it_is_indifferent_to_the_places_of_a_set(small_net) -> None:
    net = small_net("attention")
    features = net.featurize(["BaTiO3", "La1.85Sr0.15CuO4"])
    network = net.build(features, 1).eval()
    order = np.array([2, 0, 3, 1])
    batch = {name: torch.tensor(value) for name, value in features.items()}
    turned = {name: torch.tensor(value[:, order]) for name, value in features.items()}
    with torch.no_grad():
        a, b = (network(x, None, torch.ones(2)) for x in (batch, turned))
    torch.testing.assert_close(a, b)
