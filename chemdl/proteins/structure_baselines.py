"""Classical models of contacts between residues, and of torsion angles."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.utils.validation import check_is_fitted

from chemdl.learn.contract import Kind, check_lengths, check_parameters, check_sites
from chemdl.learn.models import baseline
from chemdl.learn.ragged import Ragged
from chemdl.proteins.pairs import DIGITS, SEPARATIONS, chain_pairs, separation_classes
from chemdl.proteins.residues import KINDS, chain_residues, window_places


class SeparationOnly(BaseEstimator):
    """The share of contacts among pairs at the same distance along the chain, in any sequence."""

    revision: ClassVar[int] = 1
    kind: ClassVar[str] = "trivial"
    stackable: ClassVar[bool] = False

    def fit(self, X: Sequence[str], y: Ragged) -> Self:
        """Count contacts by class of separation."""
        separation, count = separation_classes(X), len(SEPARATIONS) + 1
        check_lengths(X, y)
        check_sites(len(separation), y)
        pairs = np.bincount(separation, minlength=count)
        contacts = np.bincount(separation, weights=y.values[:, 0], minlength=count)
        self.shares_ = contacts / np.maximum(pairs, 1)
        return self

    def predict(self, X: Sequence[str]) -> np.ndarray:
        """Return the share of each pair's class: (pairs, 1)."""
        check_is_fitted(self, "shares_")
        return self.shares_[separation_classes(X)][:, None]


class PairBoosting(BaseEstimator):
    """Gradient boosting over both residues with their profiles, separation and chain length.

    Parameters
    ----------
    rounds
        Number of trees.
    learning_rate, leaves
        By how much a tree corrects those before it, and its largest number of leaves.
    seed
        Random seed of the trees.
    """

    revision: ClassVar[int] = 1
    kind: ClassVar[str] = "classical"
    stackable: ClassVar[bool] = False
    search_space: ClassVar[dict[str, list[Any]]] = {
        "rounds": [100, 200, 400],
        "learning_rate": [0.05, 0.1, 0.2],
        "leaves": [15, 31, 63],
    }

    def __init__(
        self, rounds: int = 100, learning_rate: float = 0.1, leaves: int = 31, seed: int = 0
    ) -> None:
        self.rounds, self.learning_rate, self.leaves = rounds, learning_rate, leaves
        self.seed = seed

    def fit(self, X: Sequence[str], y: Ragged) -> Self:
        """Fit one classifier on all pairs."""
        check_parameters(self)
        check_lengths(X, y)
        features = self._features(X)
        check_sites(len(features), y)
        trees = HistGradientBoostingClassifier(
            max_iter=self.rounds,
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.leaves,
            early_stopping=False,
            random_state=self.seed,
        )
        self.trees_ = trees.fit(features, y.values[:, 0])
        return self

    def predict(self, X: Sequence[str]) -> np.ndarray:
        """Return the probability of a contact: (pairs, 1)."""
        check_is_fitted(self, "trees_")
        return np.round(self.trees_.predict_proba(self._features(X))[:, 1:], DIGITS)

    def _features(self, X: Sequence[str]) -> np.ndarray:
        """Return both residues with their profiles, separation and length: (pairs, 44)."""
        residues, pairs = chain_residues(X, profile=True), chain_pairs(X)
        parts = []
        for row in range(len(residues)):
            chain, pair = (ragged[slice(row, row + 1)].values for ragged in (residues, pairs))
            separation = (pair[:, 1] - pair[:, 0])[:, None]
            length = np.full_like(separation, len(chain))
            parts.append(np.hstack([chain[pair[:, 0]], chain[pair[:, 1]], separation, length]))
        return np.concatenate(parts).astype(np.float32)


class ResidueAngles(BaseEstimator):
    """The mean direction of the angles of each kind of residue, or of all of them."""

    revision: ClassVar[int] = 1
    stackable: ClassVar[bool] = False

    def __init__(self, by_residue: bool = True, kind: Kind = "classical") -> None:
        self.by_residue, self.kind = by_residue, kind

    def fit(self, X: Sequence[str], y: Ragged) -> Self:
        """Add up directions by kind of residue; y are degrees (sites, tasks) by chain."""
        check_parameters(self)
        check_lengths(X, y)
        kinds = self._kinds(X)
        check_sites(len(kinds), y)
        total = np.zeros((KINDS, y.values.shape[1], 2))
        for task, angle in enumerate(np.radians(y.values).T):
            measured = np.isfinite(angle)
            points = np.column_stack([np.cos(angle), np.sin(angle)])[measured]
            np.add.at(total[:, task], kinds[measured], points)
        # A kind that no train chain has takes the direction of all.
        total += 1e-6 * total.sum(axis=0)
        self.angles_ = np.degrees(np.arctan2(total[..., 1], total[..., 0]))
        return self

    def predict(self, X: Sequence[str]) -> np.ndarray:
        """Return angles in degrees: (sites, tasks)."""
        check_is_fitted(self, "angles_")
        return self.angles_[self._kinds(X)]

    def _kinds(self, X: Sequence[str]) -> np.ndarray:
        return window_places(X, 1)[:, 0] * int(self.by_residue)


_MEAN = functools.partial(ResidueAngles, by_residue=False, kind="trivial")
for _model, _name, _family, _reads, _method in (
    (PairBoosting, "pair_boosting", "boosting",
     "both residues with profiles, separation, chain length", "histograms, 100 rounds"),
    (SeparationOnly, "separation_only", "constant", "separation along the chain",
     "share of contacts among pairs so far apart"),
    (ResidueAngles, "residue_angles", "constant", "the residue", "mean angles of its kind"),
    (_MEAN, "mean_angles", "constant", "nothing", "mean angles of all residues"),
):  # fmt: skip
    baseline(_name, _family, _reads, _method, inputs=("sequence",), makers={"labelling": _model})
