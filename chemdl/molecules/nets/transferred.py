"""A net trained on one data set that predicts another, through a fitted straight line.

There are many computed efficiencies of solar cells and few measured ones. These models test whether
a net that learned the computed values helps to predict the measured ones.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted

import chemdl
from chemdl.learn.contract import fitted_targets
from chemdl.molecules.smiles import inchikeys


class Transferred(RegressorMixin, BaseEstimator):
    """y = a + b f(x), with f a net trained on another set and not changed afterwards.

    Parameters
    ----------
    net
        Unfitted net. It learns the molecules of ``source`` that are not in ``without``.
    source
        Name of the data set that the net learns from.
    without
        Name of the data set that is predicted; the net does not learn from its molecules.
    """

    kind: ClassVar[str] = "deep"
    stackable: ClassVar[bool] = False
    revision: ClassVar[int] = 1
    # Trained once, for all replicas.
    fixed_parts: ClassVar[tuple[str, ...]] = ("net",)

    def __init__(self, net: Any, source: str, without: str, seed: int = 0) -> None:
        self.net, self.source, self.without, self.seed = net, source, without, seed

    def prepare(self, X: Sequence[str]) -> None:
        """Train the net before its replicas run side by side."""
        self._teacher()

    def fit(self, X: Sequence[str], y: np.ndarray) -> Self:
        """Fit the line; with equal predictions for all rows it is their mean."""
        (target,) = fitted_targets(X, y).T
        predicted = self._teacher().predict(X)
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
        return _trained(_HashedNet(self.net), self.source, self.without)


class _HashedNet:
    """An unfitted net as a key of a cache: equal where class and parameters are equal."""

    def __init__(self, net: Any) -> None:
        self.net = net
        self.name = f"{type(net).__name__} {sorted(net.get_params().items())}"

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _HashedNet) and other.name == self.name


@functools.lru_cache(maxsize=4)
def _trained(net: _HashedNet, source: str, without: str) -> Any:
    dataset = chemdl.load(source)
    left_out = set(inchikeys(chemdl.load(without).inputs))
    rows = np.flatnonzero([key not in left_out for key in inchikeys(dataset.inputs)])
    return clone(net.net).fit(dataset.inputs[rows], dataset.targets[rows])
