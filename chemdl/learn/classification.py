"""Binary classification of one or several tasks as scikit-learn has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin


def logistic(x: np.ndarray) -> np.ndarray:
    """Return the logistic function, from 0 to 1."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


class BinaryClassifier(ClassifierMixin):
    """``predict_proba`` and ``predict`` of a model that has :meth:`probabilities`.

    A fitted model has ``n_tasks_``, and ``classes_`` 0 and 1.
    """

    n_tasks_: int

    def probabilities(self, X: Sequence[Any]) -> np.ndarray:
        """Return the probability, or a score from 0 to 1, of the positive class: (n, tasks)."""
        raise NotImplementedError

    def predict_proba(self, X: Sequence[Any]) -> np.ndarray:
        """Return (n, 2) for one task as scikit-learn does, else (n, tasks) of the positives."""
        positive = self.probabilities(X)
        if self.n_tasks_ == 1:
            return np.column_stack([1.0 - positive[:, 0], positive[:, 0]])
        return positive

    def predict(self, X: Sequence[Any]) -> np.ndarray:
        """Return classes: (n,) for one task, (n, tasks) else."""
        labels = (self.probabilities(X) >= 0.5).astype(int)
        return labels[:, 0] if self.n_tasks_ == 1 else labels
