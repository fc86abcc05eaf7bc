"""Classical models of docked complexes: Vina's score, and forests that see the pose or do not."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier

from chemdl.learn.classification import BinaryClassifier, logistic
from chemdl.learn.models import baseline
from chemdl.learn.taskwise import TaskwiseClassifier
from chemdl.registry import UnknownNameError
from chemdl.screening.complex_features import ligand_features, rf_score_features, vina_scores

CLASSIFIERS = ("vina", "random_forest", "ligand_forest", "properties_only", "trivial")
# In kcal/mol: the score that counts as one half, and how far from it the odds change by e.
_MIDDLE, _SCALE = -8.0, 2.0


class VinaScore(BinaryClassifier, BaseEstimator):
    """Vina's score as it is: nothing is learned, and ``fit`` looks at no label.

    The probability is a logistic function of the score, 1/2 at -8 kcal/mol. It gives the same
    ranking as the score and is not calibrated.
    """

    revision: ClassVar[int] = 1

    def fit(self, X: Sequence[str], y: Any = None) -> Self:
        """Learn nothing."""
        self.n_tasks_, self.classes_ = 1, np.array([0, 1])
        return self

    def probabilities(self, X: Sequence[str]) -> np.ndarray:
        """Return (n, 1), rising as the score of a complex falls; complexes have to be docked."""
        return logistic((_MIDDLE - vina_scores(X)[:, None]) / _SCALE)


class ComplexClassifier(TaskwiseClassifier):
    """Binary classification of complexes (``"akt1 CCO"``), one estimator per task.

    ``representation`` is ``contacts`` (RF-Score's 36 counts), ``ecfp`` or ``properties`` (of the
    ligand alone), or ``none``.
    """

    representation: Literal["contacts", "ecfp", "properties", "none"]
    revision: ClassVar[int] = 1

    def features(self, X: Sequence[str]) -> np.ndarray:
        """Return the representation of n complexes: (n, columns)."""
        if self.representation == "none":
            return np.zeros((len(X), 1))
        if self.representation == "contacts":
            return rf_score_features(X)
        return ligand_features(X, self.representation)


def classifier(name: str, *, trees: int = 500, seed: int = 0) -> Any:
    """Return the classical model ``name`` of complexes; forests have ``trees`` trees.

    Raises
    ------
    ValueError
        For an unknown name; the message lists similar names.
    """
    if name == "vina":
        return VinaScore()
    if name == "trivial":
        prior = DummyClassifier(strategy="prior")
        return ComplexClassifier(prior, "none", space={}, kind="trivial", seed=seed)
    representations = {
        "random_forest": "contacts",
        "ligand_forest": "ecfp",
        "properties_only": "properties",
    }
    if name not in representations:
        raise UnknownNameError("baseline", name, CLASSIFIERS)
    forest = RandomForestClassifier(trees, max_features="sqrt", n_jobs=1)
    space: dict[str, list[Any]] = {
        "max_features": ["sqrt", 0.3, 1.0],
        "min_samples_leaf": [1, 2, 5],
    }
    return ComplexClassifier(forest, representations[name], space=space, seed=seed)


for _name, _family, _reads, _method, _paper in (
    ("vina", "equation", "docked complex", "Vina's score, nothing is learned",
     "Trott and Olson 2010, doi:10.1002/jcc.21334"),
    ("random_forest", "forest", "contacts of the pose (RF-Score's 36 counts)", "random forest",
     "Ballester and Mitchell 2010, doi:10.1093/bioinformatics/btq112"),
    ("ligand_forest", "forest", "ECFP4 bits of the ligand, no protein", "random forest",
     "Breiman 2001"),
    ("properties_only", "forest", "six properties of the ligand, no protein", "random forest",
     "as Sieg et al. 2019, doi:10.1021/acs.jcim.8b00712"),
    ("trivial", "constant", "nothing", "share of actives in the train rows", ""),
):  # fmt: skip
    _makers = {"classification": functools.partial(classifier, _name)}
    baseline(_name, _family, _reads, _method, _paper, inputs=("complex",), makers=_makers)
