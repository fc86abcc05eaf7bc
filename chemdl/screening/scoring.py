"""The rivals over docked complexes: Vina's score, a forest over contacts, ligand-only forests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier

from chemdl.molecules.baselines import BaselineClassifier
from chemdl.registry import UnknownNameError
from chemdl.screening.contacts import counts, scores
from chemdl.screening.nets.ligands import ligand_features

CLASSIFIERS = ("vina", "random_forest", "ligand_forest", "properties_only", "trivial")
# In kcal/mol: the score that counts as one half, and how far from it the odds change by e.
_MIDDLE, _SCALE = -8.0, 2.0


class VinaScore(ClassifierMixin, BaseEstimator):
    """Vina's score as it is: nothing is learned, and ``fit`` looks at no label.

    The probability is a logistic function of the score, which ranks as the score does and is not
    calibrated.
    """

    kind: ClassVar[str] = "other"
    stackable: ClassVar[bool] = False
    search_space: ClassVar[dict[str, list[Any]]] = {}

    def fit(self, X: Sequence[str], y: Any = None) -> Self:
        """Learn nothing."""
        self.n_tasks_, self.classes_ = 1, np.array([0, 1])
        return self

    def predict_proba(self, X: Sequence[str]) -> np.ndarray:
        """Return (n, 2), the second column rising as the score of a complex falls.

        Raises
        ------
        chemdl.screening.errors.MissingPoseError
            for a complex that was not docked.
        """
        positive = 0.5 * (1.0 - np.tanh(0.5 * (scores(X) - _MIDDLE) / _SCALE))
        return np.column_stack([1.0 - positive, positive])

    def predict(self, X: Sequence[str]) -> np.ndarray:
        """Return classes (n,): 1 below -8 kcal/mol."""
        return (self.predict_proba(X)[:, 1] >= 0.5).astype(int)


class ComplexBaseline(BaselineClassifier):
    """One scikit-learn estimator over complexes (``"akt1 CCO"``).

    ``representation`` is ``contacts`` (RF-Score's 36 counts), ``ecfp`` or ``properties`` (of the
    ligand alone), or ``none``.
    """

    def _features(self, X: Sequence[str]) -> Any:
        name: str = self.representation
        if name == "none":
            return np.zeros((len(X), 1))
        return counts(X) if name == "contacts" else ligand_features(X, name)


def classifier(name: str, *, trees: int = 500, seed: int = 0) -> Any:
    """Return the rival ``name`` with its stated settings.

    ==================== ====================== =============================================
    name                 sees                   settings
    ==================== ====================== =============================================
    vina                 Vina's score           none, nothing is learned
    random_forest        contacts of the pose   ``trees`` trees (Ballester and Mitchell 2010)
    ligand_forest        ECFP4 of the ligand    ``trees`` trees, no protein
    properties_only      six properties         ``trees`` trees, no protein
    trivial              nothing                share of actives in the train rows
    ==================== ====================== =============================================

    Raises
    ------
    ValueError
        for an unknown name, with the near misses.
    """
    if name == "vina":
        return VinaScore()
    seen = {
        "random_forest": "contacts",
        "ligand_forest": "ecfp",
        "properties_only": "properties",
        "trivial": "none",
    }
    if name not in seen:
        raise UnknownNameError("baseline", name, CLASSIFIERS)
    forest = RandomForestClassifier(trees, max_features="sqrt", n_jobs=1)
    space: dict[str, list[Any]] = {
        "max_features": ["sqrt", 0.3, 1.0],
        "min_samples_leaf": [1, 2, 5],
    }
    trivial = name == "trivial"
    representation: Any = seen[name]
    return ComplexBaseline(
        DummyClassifier(strategy="prior") if trivial else forest,
        representation,
        space={} if trivial else space,
        kind="trivial" if trivial else "other",
        seed=seed,
    )
