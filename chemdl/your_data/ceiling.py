"""How good a model can get: the noise of the measurement, from replicates or as stated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Pairs of replicates below which their spread says too little.
FEWEST_REPLICATES = 10


@dataclass(frozen=True)
class Ceiling:
    """The least error that any model can have on single measurements.

    Attributes
    ----------
    error
        Standard deviation of a measurement about its true value, in the target's unit.
    source
        Where that is from, in words.
    """

    error: float
    source: str

    def closed(self, trivial: float, best: float) -> float:
        """Return the share of the way from the trivial RMSE to this that a model has gone."""
        return (trivial - best) / (trivial - self.error) if trivial > self.error else float("nan")

    def sentence(self, trivial: float, best: float) -> str:
        """Say how far the best model is from the ceiling."""
        head = f"A measurement errs by {self.error:.2g} ({self.source}): no model has a lower RMSE"
        share = self.closed(trivial, best)
        if not np.isfinite(share):
            return f"{head}, and the mean reaches that already: these values cannot be told apart."
        if share >= 1:
            return f"{head}; the best has {best:.2g}, so the noise may be smaller than stated."
        return (
            f"{head}. The best model has {best:.2g}, {share:.0%} of the way there from the mean "
            f"({trivial:.2g})."
        )


def from_replicates(keys: Sequence[str | None], values: np.ndarray) -> Ceiling | None:
    """Estimate the error from molecules that were measured more than once.

    The pooled standard deviation within molecules, √(Σ (x − x̄)² / Σ (k − 1)). Equal values count
    too, though they may be copies and no replicates. ``None`` where there are too few.
    """
    groups = defaultdict(list)
    for key, value in zip(keys, values, strict=True):
        if key is not None and np.isfinite(value):
            groups[key].append(float(value))
    several = [np.array(group) for group in groups.values() if len(group) > 1]
    freedom = sum(len(group) - 1 for group in several)
    if freedom < FEWEST_REPLICATES:
        return None
    error = np.sqrt(sum(((g - g.mean()) ** 2).sum() for g in several) / freedom)
    source = f"from {len(several)} molecules measured more than once"
    return Ceiling(float(error), source) if error > 0 else None
