"""A net trained on one set and asked about another, through a line fitted to a few values there.

Computed efficiencies of solar cells are many and measured ones few. Does what a net learned from
the first carry over to the second?
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted

import chemdl
from chemdl.molecules.smiles import inchikeys


class Transferred(RegressorMixin, BaseEstimator):
    """y = a + b f(x), with f a net trained on another set and kept as it is.

    Parameters
    ----------
    net : the unfitted net; it learns all of ``source`` that is no molecule of ``without``.
    source : the set to learn from.
    without : the set that is asked about: its molecules are left out of what is learned.
    """

    kind: ClassVar[str] = "deep"
    stackable: ClassVar[bool] = False

    def __init__(self, net: Any, source: str, without: str, seed: int = 0) -> None:
        self.net, self.source, self.without, self.seed = net, source, without, seed

    def prepare(self, X: Sequence[str]) -> None:
        """Train the net before its replicas run side by side."""
        self._teacher()

    def fit(self, X: Sequence[str], y: np.ndarray) -> Self:
        """Fit the line; with equal predictions for all rows it is their mean."""
        predicted, target = self._teacher().predict(X), np.asarray(y, dtype=np.float64).ravel()
        centred = predicted - predicted.mean()
        square = float(centred @ centred)
        self.slope_ = float(centred @ target) / square if square > 0 else 0.0
        self.intercept_ = float(target.mean() - self.slope_ * predicted.mean())
        return self

    def predict(self, X: Sequence[str]) -> np.ndarray:
        """Return values (n,)."""
        check_is_fitted(self, "slope_")
        return self.intercept_ + self.slope_ * self._teacher().predict(X)

    def _teacher(self) -> Any:
        return _trained(_Net(self.net), self.source, self.without)


class _Net:
    """A net that is told from others by its class and parameters."""

    def __init__(self, net: Any) -> None:
        self.net = net
        self.name = f"{type(net).__name__} {sorted(net.get_params().items())}"

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Net) and other.name == self.name


@functools.lru_cache(maxsize=4)
def _trained(net: _Net, source: str, without: str) -> Any:
    learned = chemdl.load(source)
    asked = set(inchikeys(chemdl.load(without).inputs))
    keys = inchikeys(learned.inputs)
    rows = np.flatnonzero([key not in asked for key in keys])
    return clone(net.net).fit(learned.inputs[rows], learned.targets[rows])
