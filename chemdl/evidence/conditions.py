"""What is changed for a whole set of replicas; the test rows always stay the same."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import numpy as np

from chemdl.data import Dataset
from chemdl.evidence.splits import Split


@dataclass(frozen=True)
class Condition:
    """What is changed for a whole set of replicas: fewer train rows, or shuffled train labels."""

    name: str = "all"
    train_size: int | None = None
    shuffled: bool = False

    def __post_init__(self) -> None:
        size = self.train_size
        if size is not None and (not isinstance(size, Integral) or size < 1):
            raise ValueError(f"condition {self.name!r}: {size!r} train rows; give 1 or more")

    @property
    def keeps_all(self) -> bool:
        """Whether every train row is kept with its own label."""
        return self.train_size is None and not self.shuffled

    def apply(self, split: Split, data: Dataset, seed: int) -> tuple[Split, np.ndarray]:
        """Return the split and the targets to fit under this condition; test rows stay."""
        targets = data.targets
        rng = np.random.default_rng(seed)
        if self.train_size is not None and self.train_size < len(split.train):
            # Valid shrinks alike: the baselines learn from it too, and would all be well fed.
            n_valid = max(1, round(len(split.valid) * self.train_size / len(split.train)))
            train = rng.choice(split.train, self.train_size, replace=False)
            valid = rng.choice(split.valid, n_valid, replace=False)
            split = Split(train, valid, split.test, split.repeat, split.fold)
        if self.shuffled:
            fitted = data.sites(np.concatenate([split.train, split.valid]))
            targets = targets.copy()
            targets[fitted] = targets[rng.permutation(fitted)]
        return split, targets
