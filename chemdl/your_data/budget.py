"""The minutes that a comparison may take, and what is cut to keep them.

Cut in this order: repeats down to one, tuning trials down to none, then the family that takes
longest, and so on (never those of ``KEPT_ALWAYS``, nor one that takes next to nothing). Scores are
never looked at.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chemdl.data.dataset import Dataset
from chemdl.evidence.fitting import on_device, prepare
from chemdl.evidence.splits import Split
from chemdl.threads import bounded

# Parts of the budget: until when tuning may last, and until when repeats begin.
TUNING_ENDS, REPEATS_END = 0.4, 0.8
# Equal numbers of trials that tuning may stop at.
TRIALS = (3, 6, 10, 20)
# The least that any comparison has.
KEPT_ALWAYS = ("trivial", "ridge", "logistic", "single_task")
# Part of the budget that is not worth a cut.
_NOTHING = 0.02
_PILOT_ROWS, _PILOT_EPOCHS = 300, 2
# Fits of classical models grow faster than their rows.
_POWER = {"svm_tanimoto": 2.0}


@dataclass
class Budget:
    """A clock that began with the command.

    Attributes
    ----------
    minutes
        What may be spent in all.
    cuts
        What was left out to keep it, one sentence each.
    """

    minutes: float
    cuts: list[str] = field(default_factory=list)
    _begun: float = field(default_factory=time.monotonic)

    def spent(self) -> float:
        """Return the seconds since the begin."""
        return time.monotonic() - self._begun

    def until(self, part: float) -> float:
        """Return the seconds that are left until this part of the budget is spent."""
        return part * 60 * self.minutes - self.spent()


def fit_seconds(models: dict[str, Any], dataset: Dataset, split: Split) -> dict[str, float]:
    """Estimate the seconds of one fit on all train rows, from a fit on a few of them."""
    rows = split.train[: min(len(split.train), _PILOT_ROWS)]
    found = {}
    for name, model in models.items():
        prepare(model, dataset)
        small = on_device(model, getattr(model, "device", "cpu"))
        epochs = getattr(small, "epochs", None)
        if epochs is not None:
            small.set_params(epochs=_PILOT_EPOCHS, refit=False)
            # The first fit of a net compiles and reads what later ones find ready.
            small.fit(dataset.inputs[rows], dataset.targets[rows])
        with bounded(None if epochs is not None else 1):
            begun = time.monotonic()
            small.fit(dataset.inputs[rows], dataset.targets[rows])
            seconds = time.monotonic() - begun
        grown = (len(split.train) / len(rows)) ** _POWER.get(name, 1.0)
        found[name] = seconds * grown * (1.0 if epochs is None else epochs / _PILOT_EPOCHS)
    return found


def kept_families(
    seconds: dict[str, float], folds: int, budget: Budget, cores: int
) -> tuple[str, ...]:
    """Return the families whose one repeat fits into the budget; the others are named as cut.

    A net's fit counts for 1.2: it is stopped early, and then fitted again on all rows.
    """
    cost = {
        name: folds * (1.2 * one if name in ("single_task", "multitask", "dmpnn") else one / cores)
        for name, one in seconds.items()
    }
    kept = list(seconds)
    while sum(cost[name] for name in kept) > budget.until(REPEATS_END):
        least = _NOTHING * 60 * budget.minutes
        others = [name for name in kept if name not in KEPT_ALWAYS and cost[name] > least]
        if not others:
            break
        dropped = max(others, key=lambda name: cost[name])
        kept.remove(dropped)
        budget.cuts.append(
            f"{dropped} was left out: a repeat of it takes about {np.ceil(cost[dropped]):.0f} s"
        )
    return tuple(kept)
