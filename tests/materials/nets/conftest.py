"""Small nets over materials, and crystals to fit them on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chemdl
from chemdl.learn.models import make_net

SMALL: dict[str, dict[str, Any]] = {
    "elemnet": {"width": 64, "dropout": 0.0, "learning_rate": 3e-3},
    "descriptor_net": {"width": 32, "dropout": 0.0, "learning_rate": 1e-2},
    "attention": {"width": 16, "blocks": 1, "heads": 2, "dropout": 0.0, "learning_rate": 1e-2},
    "crystal_net": {"width": 16, "depth": 2, "learning_rate": 1e-2},
}
QUICK = {"epochs": 3, "batch_size": 8, "device": "cpu"}


@pytest.fixture(scope="package")
def crystals() -> tuple[np.ndarray, np.ndarray]:
    """Forty-eight crystals and their energies."""
    data = chemdl.load("flla")
    return data.inputs[:48], data.targets[:48, 0]


@pytest.fixture(scope="package")
def small_net() -> Callable[..., Any]:
    """A maker of nets by name, small and on the CPU, with changes to their parameters."""

    def made(name: str, kind: str = "regression", **changes: Any) -> Any:
        return make_net(name, kind, **{**SMALL[name], **QUICK, **changes})

    return made


@pytest.fixture(scope="package")
def fitted(crystals, small_net) -> dict[str, Any]:
    """Each of the nets after three epochs."""
    return {name: small_net(name, seed=5).fit(*crystals) for name in SMALL}
