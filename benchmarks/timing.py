"""Take turns: every side once a round, so that the machine's drift meets all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any


def medians(sides: Mapping[str, Callable[[], Any]], rounds: int = 5) -> dict[str, float]:
    """Return each side's median seconds over the rounds, after one that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for counted in range(-1, rounds):
        for name, work in sides.items():
            begun = time.perf_counter()
            work()
            if counted >= 0:
                seconds[name].append(time.perf_counter() - begun)
    return {name: statistics.median(values) for name, values in seconds.items()}


def peer(module: str) -> bool:
    """Say whether a peer is installed; the extra ``bench`` brings all of them."""
    from importlib.util import find_spec

    return find_spec(module) is not None
