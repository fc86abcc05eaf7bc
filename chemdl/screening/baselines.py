"""Classical models of a screen over SMILES; two are simple: the nearest active, six properties."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier
from sklearn.utils.validation import check_is_fitted

from chemdl.learn.classification import BinaryClassifier
from chemdl.learn.contract import fitted_targets
from chemdl.learn.models import baseline
from chemdl.learn.taskwise import TaskwiseClassifier
from chemdl.molecules import baselines as molecules
from chemdl.molecules.fingerprints import ECFP
from chemdl.molecules.similarity import tanimoto
from chemdl.screening.properties import physical_properties

# Molecules compared at once: with a thousand actives they make a matrix of 16 MB.
_BLOCK = 4096


class NearestActive(BinaryClassifier, BaseEstimator):
    """Rank molecules by their similarity to the nearest active of the train rows.

    The score of x is the maximum of ``|x ∧ a| / |x ∨ a|`` over the actives a of the task, the
    Tanimoto similarity of ECFP4 bits (2,048). A chemist would do the same without any model.
    Inactives are not used.
    """

    revision: ClassVar[int] = 1

    def fit(self, X: Sequence[str], y: np.ndarray) -> Self:
        """Keep the fingerprints of each task's actives; y is (n,) or (n, tasks), NaN unmeasured."""
        targets = fitted_targets(X, y, classes=True)
        smiles = np.asarray(X, dtype=object)
        self.n_tasks_, self.classes_ = targets.shape[1], np.array([0, 1])
        rows = np.flatnonzero((targets == 1).any(axis=1))
        self.actives_ = ECFP().transform(smiles[rows]) if len(rows) else np.zeros((0, 2048))
        self.is_active_ = targets[rows] == 1
        return self

    def probabilities(self, X: Sequence[str]) -> np.ndarray:
        """Return similarities (n, tasks), 0 to 1; 0 for a task without an active to compare."""
        check_is_fitted(self, "actives_")
        bits = ECFP().transform(X)
        nearest = np.zeros((len(bits), self.n_tasks_))
        for start in range(0, len(bits), _BLOCK) if len(self.actives_) else ():
            block = slice(start, start + _BLOCK)
            similarity = tanimoto(bits[block], self.actives_)
            for task, is_active in enumerate(self.is_active_.T):
                nearest[block, task] = similarity[:, is_active].max(axis=1, initial=0.0)
        return nearest


class SixProperties(TaskwiseClassifier):
    """A random forest that sees six physical properties of a molecule and no structure."""

    # It reads the one thing.
    representation: Literal["none"]
    revision: ClassVar[int] = 1

    def features(self, X: Sequence[str]) -> np.ndarray:
        """Return the properties: (n, 6)."""
        return physical_properties(X)


def classifier(name: str, *, trees: int = 500, seed: int = 0) -> Any:
    """Return the classical model ``name`` of a screen.

    ``similarity`` is :class:`NearestActive`, ``properties_only`` a forest of ``trees`` trees over
    :func:`~chemdl.screening.properties.physical_properties`; every other name is that of
    :func:`chemdl.molecules.baselines.classifier`.

    Raises
    ------
    ValueError
        For an unknown name; the message lists similar names.
    """
    if name == "similarity":
        return NearestActive()
    if name == "properties_only":
        forest = RandomForestClassifier(trees, max_features="sqrt", min_samples_leaf=5, n_jobs=1)
        space: dict[str, list[Any]] = {
            "min_samples_leaf": [1, 2, 5, 10, 20],
            "max_features": ["sqrt", 1.0],
            "class_weight": [None, "balanced_subsample"],
        }
        return SixProperties(forest, space=space, seed=seed)
    return molecules.classifier(name, trees=trees, seed=seed)


for _name, _family, _reads, _method, _paper in (
    ("similarity", "neighbours", "ECFP4 bits", "Tanimoto similarity to the nearest active", ""),
    ("properties_only", "forest", "six physical properties", "random forest",
     "as Sieg et al. 2019, doi:10.1021/acs.jcim.8b00712"),
):  # fmt: skip
    _makers = {"classification": functools.partial(classifier, _name)}
    baseline(_name, _family, _reads, _method, _paper, inputs=("smiles",), makers=_makers)
