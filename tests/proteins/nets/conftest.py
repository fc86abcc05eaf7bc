"""Chains of random residues with states, and small nets to label them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chemdl.learn.models import make_net
from chemdl.learn.ragged import Ragged

SMALL: dict[str, dict[str, Any]] = {
    "window_net": {},
    "window_net_deep": {"width": 16},
    "window_net_pretrained": {"width": 16},
    "two_stage_net": {},
    "deep_cnn": {"width": 16, "depth": 3},
    "deepcnf": {"width": 16, "depth": 3},
    "gru": {"width": 16},
    "dilated_cnn": {"width": 16},
}


@pytest.fixture(autouse=True)
def _short_pretraining(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pre-train window nets for thirty steps, not fifteen hundred."""
    monkeypatch.setattr("chemdl.proteins.nets.window_net._PRETRAINING_STEPS", 30)


@pytest.fixture(scope="package")
def small_net() -> Callable[..., Any]:
    """A maker of nets by name, small and on the CPU, with changes to their parameters."""

    def made(name: str, **changes: Any) -> Any:
        return make_net(name, "labelling", device="cpu", **{**SMALL[name], **changes})

    return made


@pytest.fixture(scope="package")
def random_chains() -> Callable[..., list[str]]:
    """A maker of chains of 1 to ``longest`` - 1 residues."""

    def made(count: int, seed: int = 0, longest: int = 30) -> list[str]:
        rng = np.random.default_rng(seed)
        letters = list("ACDEFGHIKLMNPQRSTVWYX")
        return ["".join(rng.choice(letters, size=rng.integers(1, longest))) for _ in range(count)]

    return made


@pytest.fixture(scope="package")
def random_states() -> Callable[..., Ragged]:
    """A maker of three and eight states of chains, in runs, one in ten not measured."""

    def made(inputs: list[str], seed: int = 1) -> Ragged:
        rng = np.random.default_rng(seed)
        rows = []
        for chain in inputs:
            eight = np.repeat(rng.integers(0, 8, size=len(chain)), 4)[: len(chain)].astype(float)
            both = np.column_stack([np.array([0, 0, 0, 1, 1, 2, 2, 2])[eight.astype(int)], eight])
            both[rng.random(len(chain)) < 0.1] = np.nan
            rows.append(both)
        return Ragged.of(rows, layout="padded")

    return made
