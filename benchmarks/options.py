"""What a run of the benchmarks was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """The device, and what a single benchmark may be told; ``None`` leaves its own default.

    quick : little enough to see within a minute that everything runs; the numbers mean nothing.
    epochs, folds, sets : of message_passing; folds are those of 5 × 5, in their order.
    nets, sizes, limit : of network_costs; ``limit`` is in seconds, for each thing measured.
        ``sizes`` of featurisation_rate too.
    store, minutes : of rule; the folder of its fits, which are not done twice, and the time after
        which it stops fitting and sums up what is stored. ``sets`` of rule too.
    """

    device: str = "cpu"
    quick: bool = False
    epochs: int | None = None
    folds: int | None = None
    sets: Sequence[str] | None = None
    nets: Sequence[str] | None = None
    sizes: Sequence[int] | None = None
    limit: float = 120.0
    store: Path = Path("_build/rule")
    minutes: float | None = None
