"""DeepChem's multitask net behind this package's interface, for comparison with ours."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator

from chemdl.learn.classification import BinaryClassifier
from chemdl.learn.contract import check_parameters, fitted_targets
from chemdl.molecules.fingerprints import ECFP
from chemdl.settings import spawn


class DeepChemMultitask(BinaryClassifier, BaseEstimator):
    """DeepChem's own ``MultitaskClassifier`` over the fingerprints that our nets read.

    Its best epoch is chosen, as in our nets, by the loss on a tenth of the rows, drawn by seed. It
    needs the package deepchem; a missing label has weight zero in the loss.
    """

    kind: ClassVar[str] = "deep"
    stackable: ClassVar[bool] = False
    revision: ClassVar[int] = 1
    # DeepChem draws from the global random states, which replicas side by side would share.
    alone: ClassVar[bool] = True

    def __init__(
        self,
        hidden: Sequence[int] = (2000, 100),
        dropout: float = 0.25,
        epochs: int = 50,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        patience: int = 10,
        seed: int = 0,
    ) -> None:
        self.hidden, self.dropout, self.epochs = hidden, dropout, epochs
        self.batch_size, self.learning_rate = batch_size, learning_rate
        self.patience, self.seed = patience, seed

    def fit(self, X: Sequence[str], y: np.ndarray) -> Self:
        """Train on SMILES (n,) and labels (n, tasks), NaN = not measured."""
        check_parameters(self)
        targets = fitted_targets(X, y, classes=True)
        self.n_tasks_, self.classes_ = targets.shape[1], np.array([0, 1])
        order = np.random.default_rng(spawn(self.seed, "valid")).permutation(len(targets))
        valid, train = order[: len(order) // 10], order[len(order) // 10 :]
        bits = ECFP().transform(X)
        with _deepchem(self.seed) as deepchem, tempfile.TemporaryDirectory() as folder:
            data = _dataset(deepchem, bits, targets, train)
            held_out = _dataset(deepchem, bits, targets, valid)
            model = deepchem.models.MultitaskClassifier(
                n_tasks=self.n_tasks_,
                n_features=bits.shape[1],
                layer_sizes=list(self.hidden),
                dropouts=self.dropout,
                weight_decay_penalty=0.0,
                batch_size=self.batch_size,
                learning_rate=self.learning_rate,
                model_dir=folder,
            )
            self._best_epoch(model, data, held_out)
        self.model_ = model
        return self

    def _best_epoch(self, model: Any, data: Any, held_out: Any) -> None:
        """Train epoch by epoch and restore the state with the lowest loss on the held-out rows."""
        best, waited, state = np.inf, 0, None
        for _ in range(self.epochs):
            model.fit(data, nb_epoch=1, checkpoint_interval=0)
            loss = _cross_entropy(model.predict(held_out)[:, :, 1], held_out.y, held_out.w)
            if loss < best:
                best, waited = loss, 0
                state = {k: v.clone() for k, v in model.model.state_dict().items()}
            elif (waited := waited + 1) >= self.patience:
                break
        if state is not None:
            model.model.load_state_dict(state)

    def probabilities(self, X: Sequence[str]) -> np.ndarray:
        """Return the probability of the positive class: (n, tasks)."""
        bits = ECFP().transform(X)
        with _deepchem(self.seed) as deepchem:
            # Its generator wants labels of the right shape even where it only predicts.
            nothing = np.zeros((len(bits), self.n_tasks_))
            data = _dataset(deepchem, bits, nothing, np.arange(len(bits)))
            return self.model_.predict(data)[:, :, 1]


def _dataset(deepchem: Any, bits: np.ndarray, targets: np.ndarray, rows: np.ndarray) -> Any:
    measured = np.isfinite(targets[rows])
    labels = np.nan_to_num(targets[rows])
    return deepchem.data.NumpyDataset(bits[rows].astype(np.float32), labels, measured.astype(float))


def _cross_entropy(p: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    q = np.clip(p, 1e-7, 1 - 1e-7)
    return float(-(w * (y * np.log(q) + (1 - y) * np.log(1 - q))).sum() / w.sum())


@contextmanager
def _deepchem(seed: int) -> Iterator[Any]:
    """Import DeepChem without its notices; seed the global states and give them back after."""
    import torch

    logger = logging.getLogger("deepchem")
    level, state = logger.level, np.random.get_state()  # noqa: NPY002  # DeepChem draws from it
    logger.setLevel(logging.ERROR)
    try:
        import deepchem

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            yield deepchem
    finally:
        np.random.set_state(state)  # noqa: NPY002
        logger.setLevel(level)
