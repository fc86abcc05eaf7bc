"""The minutes that a comparison may take, and what is cut to keep them.

Cut in this order: repeats down to one, tuning trials down to none, then the family that takes
longest, and so on (never the mean, the linear model and the quickest net, nor one that takes next
to nothing). Scores are never looked at.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chemdl.data.dataset import Dataset
from chemdl.data.feature_cache import uncached
from chemdl.evidence.fitting import on_device, prepare
from chemdl.evidence.splits import Split
from chemdl.threads import bounded
from chemdl.your_data.families import NETS

# Parts of the budget: until when tuning may last, and until when repeats begin.
TUNING_ENDS, REPEATS_END = 0.4, 0.8
# Equal numbers of trials that tuning may stop at.
TRIALS = (3, 6, 10, 20)
# Seconds of the last steps (models that are kept, similarities, figures), and for each molecule.
_LAST_STEPS, _LAST_STEPS_EACH = 10.0, 0.003
# The least that any comparison has, with the quickest net.
_KEPT_ALWAYS = {"trivial", "any_input_linear"}
# Part of the budget that is not worth a cut.
_NOTHING = 0.02
_PILOT_ROWS, _PILOT_ROWS_A_TASK, _PILOT_EPOCHS = 300, 20, 2
_FEATURED = 50
# Models of similarity hold a matrix of all molecules by all; more would not fit into memory.
_MOST_PAIRWISE = 10_000
_PAIRWISE = ("any_input_kernel", "any_input_neighbours")
# Fits of classical models grow faster than their rows.
_POWER = {"any_input_kernel": 2.0}


@dataclass
class Budget:
    """A clock that began with the command.

    Attributes
    ----------
    minutes
        What may be spent in all.
    cuts
        What was left out to keep it, one sentence each.
    untried
        Names of the families that were left out.
    reserved
        Seconds that are kept for the last steps.
    """

    minutes: float
    cuts: list[str] = field(default_factory=list)
    untried: list[str] = field(default_factory=list)
    reserved: float = _LAST_STEPS
    _begun: float = field(default_factory=time.monotonic)

    def reserve_for(self, molecules: int) -> None:
        """Keep time for the last steps, which grow with the number of molecules."""
        self.reserved = _LAST_STEPS + _LAST_STEPS_EACH * molecules

    def spent(self) -> float:
        """Return the seconds since the begin."""
        return time.monotonic() - self._begun

    def until(self, part: float) -> float:
        """Return the seconds that are left until this part of the budget is spent."""
        return part * 60 * self.minutes - self.reserved - self.spent()


def fit_seconds(models: dict[str, Any], dataset: Dataset, split: Split) -> dict[str, float]:
    """Estimate the seconds of one fit on all train rows, from a fit on a few of them."""
    rows = _pilot_rows(dataset, split)
    few = dataset.subset(rows)
    found = {}
    for name, model in models.items():
        epochs = getattr(model, "epochs", None)
        # Which input will be chosen is not known yet, and one may take far longer than another.
        inputs = getattr(model, "search_space", {}).get("representation", [None])
        seconds = float(np.mean([_pilot_seconds(model, few, one) for one in inputs]))
        grown = max(1.0, len(split.train) / len(rows)) ** _POWER.get(name, 1.0)
        found[name] = seconds * grown * (1.0 if epochs is None else epochs / _PILOT_EPOCHS)
    return found


def _pilot_seconds(model: Any, few: Dataset, representation: str | None) -> float:
    """Return the seconds of one fit on a few molecules; of a net, for a few epochs."""
    small = on_device(model, getattr(model, "device", "cpu"))
    if representation is not None:
        small.set_params(representation=representation)
    prepare(small, few)
    is_net = hasattr(small, "epochs")
    if is_net:
        small.set_params(epochs=_PILOT_EPOCHS, refit=False)
        # The first fit of a net compiles and reads what later ones find ready.
        small.fit(few.inputs, few.targets)
    with bounded(None if is_net else 1):
        begun = time.monotonic()
        small.fit(few.inputs, few.targets)
        return time.monotonic() - begun


def _pilot_rows(dataset: Dataset, split: Split) -> np.ndarray:
    """Return a few train rows, some of them measured for each target."""
    train = split.train
    measured = np.isfinite(dataset.targets[train])
    some = [train[np.flatnonzero(column)[:_PILOT_ROWS_A_TASK]] for column in measured.T]
    return np.unique(np.concatenate([train[:_PILOT_ROWS], *some]))


def feature_seconds(models: dict[str, Any], dataset: Dataset) -> dict[str, float]:
    """Estimate the seconds that each classical model's features of all molecules take."""
    rows = np.linspace(0, len(dataset) - 1, min(len(dataset), _FEATURED)).astype(int)
    few = dataset.subset(np.unique(rows))
    found = {}
    for name, model in models.items():
        begun = time.monotonic()
        with uncached():
            prepare(model, few)
        found[name] = (time.monotonic() - begun) * len(dataset) / len(few)
    return found


def small_enough(names: Sequence[str], molecules: int, budget: Budget) -> tuple[str, ...]:
    """Return the families that can hold so many molecules; the others are named as cut."""
    if molecules <= _MOST_PAIRWISE:
        return tuple(names)
    for name in (name for name in names if name in _PAIRWISE):
        budget.untried.append(name)
        budget.cuts.append(f"{name} was left out: it takes {_MOST_PAIRWISE:,} molecules at most")
    return tuple(name for name in names if name not in _PAIRWISE)


def kept_families(
    seconds: dict[str, float],
    folds: int,
    budget: Budget,
    cores: int,
    features: dict[str, float] | None = None,
) -> tuple[str, ...]:
    """Return the families whose one repeat fits into the budget; the others are named as cut.

    A net's fit counts for 1.2: it is stopped early, and then fitted again on all rows.
    """
    cost = {
        name: folds * (1.2 * one if name in NETS else one / cores) + (features or {}).get(name, 0.0)
        for name, one in seconds.items()
    }
    kept, nets = list(seconds), [name for name in seconds if name in NETS]
    always = _KEPT_ALWAYS | {min(nets, key=lambda name: cost[name], default="")}
    while sum(cost[name] for name in kept) > budget.until(REPEATS_END):
        least = _NOTHING * 60 * budget.minutes
        others = [name for name in kept if name not in always and cost[name] > least]
        if not others:
            break
        dropped = max(others, key=lambda name: cost[name])
        kept.remove(dropped)
        budget.untried.append(dropped)
        budget.cuts.append(
            f"{dropped} was left out: a repeat of it takes about {np.ceil(cost[dropped]):.0f} s"
        )
    return tuple(kept)
