"""Small nets over geometries, and molecules to fit them on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chemdl
from chemdl.learn.models import make_net

SMALL: dict[str, dict[str, Any]] = {
    "coulomb_net": {"hidden": (32, 16), "levels": 4},
    "continuous_filter": {"width": 32, "channels": 8, "layers": 2},
    "dtnn": {"width": 16, "factors": 24, "passes": 2},
    "behler_parrinello": {"hidden": (24, 12)},
}


@pytest.fixture(scope="package")
def data() -> tuple[np.ndarray, np.ndarray]:
    """Seventy-nine molecules of QM7 and their energies."""
    qm7 = chemdl.load("qm7", tasks=["pbe0"])
    rows = np.arange(60, 7101, 90)
    return qm7.inputs[rows], qm7.targets[rows, 0]


@pytest.fixture(scope="package")
def small_net() -> Callable[..., Any]:
    """A maker of nets by name, small and on the CPU, with changes to their parameters."""

    def made(name: str, **changes: Any) -> Any:
        return make_net(name, "regression", **{**SMALL[name], "device": "cpu", **changes})

    return made


@pytest.fixture(scope="package")
def fitted(data, small_net) -> dict[str, Any]:
    """Each of the nets after three epochs."""
    return {name: small_net(name, epochs=3, batch_size=8).fit(*data) for name in SMALL}
