"""What tests of your own data share: a small set, and nets that are trained in a moment."""

from __future__ import annotations

import pytest

import chemdl
from chemdl.your_data import families

SMALL = {"hidden": (64,), "dropout": (0.0, 0.0), "epochs": 12}


@pytest.fixture(scope="session")
def esol() -> chemdl.data.Dataset:
    return chemdl.load("esol").sample(150)


@pytest.fixture(autouse=True)
def small_nets(monkeypatch: pytest.MonkeyPatch) -> dict:
    monkeypatch.setitem(families._NETS, "any_input_net", SMALL)
    return SMALL
