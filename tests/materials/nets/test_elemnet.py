"""ElemNet: as deep and as large as its paper's."""

from __future__ import annotations

import pytest
import torch

from chemdl.learn.models import make_net


def test_it_has_seventeen_layers_and_the_papers_size() -> None:
    net = make_net("elemnet", "regression")
    network = net.build(net.featurize(["Si"]), 1)
    layers = [m for m in network.modules() if isinstance(m, torch.nn.Linear)]
    assert len(layers) == 17
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(4.6e6, rel=0.1)
