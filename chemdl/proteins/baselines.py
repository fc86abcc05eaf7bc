"""Classical models of the states of residues, with strong settings.

Every one takes chains (see :mod:`chemdl.proteins.data`) and targets by chain with NaN where
nothing was measured, and predicts numbers of classes (sites, tasks).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from chemdl.learn import models
from chemdl.learn.contract import Kind, check_lengths, check_parameters, check_sites, seeded
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Ragged
from chemdl.proteins.nets.chain_net import ChainNetwork
from chemdl.proteins.nets.crf_layer import FieldLabeller
from chemdl.proteins.residues import KINDS, one_hot_windows, window_places, window_profiles
from chemdl.registry import UnknownNameError
from chemdl.settings import spawn


class SiteBaseline(BaseEstimator):
    """One classifier for each task over the sites of chains.

    A subclass gives features of the sites, and how a task is fitted and predicted from them.
    """

    kind: Kind = "classical"
    stackable: ClassVar[bool] = False

    def fit(self, X: Sequence[str], y: Ragged) -> Self:
        """Fit each task on its measured sites; y holds classes (sites, tasks) by chain."""
        check_parameters(self)
        check_lengths(X, y)
        features = self._features(X)
        check_sites(features.shape[0], y)
        self.tasks_ = []
        for task, target in enumerate(y.values.T):
            rows = np.flatnonzero(np.isfinite(target))
            self.tasks_.append(self._fit_task(task, features, rows, target[rows].astype(int)))
        return self

    def predict(self, X: Sequence[str]) -> np.ndarray:
        """Return the class of every site: (sites, tasks)."""
        check_is_fitted(self, "tasks_")
        features = self._features(X)
        columns = [self._predict_task(fitted, features) for fitted in self.tasks_]
        return np.column_stack(columns).astype(np.float64)

    def _features(self, X: Sequence[str]) -> Any:
        """Return what a model reads of the sites: (sites, …)."""
        raise NotImplementedError

    def _fit_task(self, task: int, features: Any, rows: np.ndarray, target: np.ndarray) -> Any:
        """Return what is learned from ``features[rows]`` and their classes, ``target``."""
        raise NotImplementedError

    def _predict_task(self, fitted: Any, features: Any) -> np.ndarray:
        """Return the class of every site, (sites,), by what :meth:`_fit_task` returned."""
        raise NotImplementedError


class MajorityState(SiteBaseline):
    """The most frequent state of all residues, or of each kind of residue."""

    revision: ClassVar[int] = 1

    def __init__(self, by_residue: bool = False, kind: Kind = "trivial") -> None:
        self.by_residue, self.kind = by_residue, kind

    def _features(self, X: Sequence[str]) -> np.ndarray:
        return window_places(X, 1)[:, 0] * int(self.by_residue)

    def _fit_task(
        self, task: int, features: np.ndarray, rows: np.ndarray, target: np.ndarray
    ) -> np.ndarray:
        counts = _counts(features[rows], target, KINDS)
        # A kind that no train chain has takes the commonest state of all.
        return (counts + 1e-6 * counts.sum(axis=0)).argmax(axis=1)

    def _predict_task(self, fitted: np.ndarray, features: np.ndarray) -> np.ndarray:
        return fitted[features]


class GOR(SiteBaseline):
    """GOR IV: what pairs of residues around a site say about its state (information theory).

    With R_m the residue m places on, -8 ≤ m ≤ 8, and S against every other state S'::

        I(S) = 2/17 Σ_(m<n) log P(S, R_m, R_n) / P(S', R_m, R_n)
             - 15/17 Σ_m log P(S, R_m) / P(S', R_m),

    counted in the train chains (Garnier, Gibrat and Robson 1996). ``pseudocount`` is added to each
    count of a pair in the proportions that its two residues give alone. Sequences are read, not
    profiles.
    """

    revision: ClassVar[int] = 1
    search_space: ClassVar[dict[str, list[Any]]] = {
        "window": [13, 15, 17, 19, 21],
        "pseudocount": [1.0, 5.0, 20.0, 80.0],
    }

    def __init__(self, window: int = 17, pseudocount: float = 20.0) -> None:
        self.window, self.pseudocount = window, pseudocount

    def _features(self, X: Sequence[str]) -> np.ndarray:
        return window_places(X, self.window).astype(np.int64)

    def _fit_task(
        self, task: int, features: np.ndarray, rows: np.ndarray, target: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        windows, size = features[rows], KINDS + 1
        # A state that no train chain has, of those below the last, is never divided by.
        prior = (np.bincount(target) + 1e-9) / len(target)
        singles = [_counts(windows[:, m], target, size) + prior for m in range(self.window)]
        shares = [counts / counts.sum(axis=1, keepdims=True) for counts in singles]
        pairs = []
        for m, n in self._pairs_of_places():
            counts = _counts(windows[:, m] * size + windows[:, n], target, size**2)
            expected = shares[m][:, None] * shares[n][None] / prior
            expected = (expected / expected.sum(axis=2, keepdims=True)).reshape(size**2, -1)
            pairs.append(_log_odds(counts + self.pseudocount * expected))
        return np.array([_log_odds(counts) for counts in singles]), np.array(pairs)

    def _predict_task(
        self, fitted: tuple[np.ndarray, np.ndarray], features: np.ndarray
    ) -> np.ndarray:
        singles, pairs = fitted
        size, width = KINDS + 1, self.window
        of_singles = sum(singles[m][features[:, m]] for m in range(width))
        of_pairs = sum(
            pairs[i][features[:, m] * size + features[:, n]]
            for i, (m, n) in enumerate(self._pairs_of_places())
        )
        return np.argmax(2 / width * of_pairs - (width - 2) / width * of_singles, axis=1)

    def _pairs_of_places(self) -> Iterator[tuple[int, int]]:
        """Return every pair of places in the window, m < n."""
        return itertools.combinations(range(self.window), 2)


def _counts(codes: np.ndarray, target: np.ndarray, size: int) -> np.ndarray:
    """Count each state beside each code: (size, states)."""
    states = int(target.max()) + 1
    flat = np.bincount(codes.astype(np.int64) * states + target, minlength=size * states)
    return flat.reshape(size, states).astype(np.float64)


def _log_odds(counts: np.ndarray) -> np.ndarray:
    """Return log P(S, ·) / P(S', ·) of every state."""
    others = counts.sum(axis=-1, keepdims=True) - counts
    return np.log(np.maximum(counts, 1e-9)) - np.log(np.maximum(others, 1e-9))


_LINEAR_SPACE: dict[str, list[Any]] = {"C": [0.003, 0.01, 0.03, 0.1, 0.3, 1.0]}
_BOOSTING_SPACE: dict[str, list[Any]] = {
    "learning_rate": [0.05, 0.1, 0.2],
    "max_iter": [100, 200, 400],
    "max_leaf_nodes": [15, 31, 63],
    "l2_regularization": [0.0, 1.0, 10.0],
}


class WindowBaseline(SiteBaseline):
    """A classifier over the residues around each site, with a profile's columns where told to.

    Linear models read one-hot residues (and profiles as numbers); trees read the kinds as
    categories.

    Parameters
    ----------
    estimator
        Classifier of scikit-learn, fitted anew for each task.
    window
        Number of residues in the window around a site, odd.
    profile
        Whether profiles are read beside the residues.
    most
        Largest number of sites to fit on; if there are more, they are chosen at random by ``seed``.
    """

    revision: ClassVar[int] = 1

    def __init__(
        self,
        estimator: BaseEstimator,
        window: int = 17,
        profile: bool = False,
        most: int | None = None,
        seed: int = 0,
    ) -> None:
        self.estimator, self.window, self.profile = estimator, window, profile
        self.most, self.seed = most, seed

    @property
    def search_space(self) -> dict[str, list[Any]]:
        """What tuning may draw, by this model's parameter names."""
        own = _BOOSTING_SPACE if self._reads_categories else _LINEAR_SPACE
        return {"window": [9, 13, 17, 21], **{f"estimator__{k}": v for k, v in own.items()}}

    @property
    def _reads_categories(self) -> bool:
        return isinstance(self.estimator, HistGradientBoostingClassifier)

    def _features(self, X: Sequence[str]) -> Any:
        if self._reads_categories:
            places = window_places(X, self.window)
            return np.hstack([places, window_profiles(X, self.window)]) if self.profile else places
        hot = one_hot_windows(X, self.window)
        if not self.profile:
            return hot
        # Around zero and about as wide as the ones: the optimiser then takes half the steps.
        levels = (window_profiles(X, self.window).astype(np.float32) / 255.0 - 0.5) * 4.0
        return sparse.hstack([hot, sparse.csr_matrix(levels)], format="csr")

    def _fit_task(self, task: int, features: Any, rows: np.ndarray, target: np.ndarray) -> Any:
        if self.most is not None and len(rows) > self.most:
            rng = np.random.default_rng(spawn(self.seed, "sites", task))
            kept = np.sort(rng.choice(len(rows), self.most, replace=False))
            rows, target = rows[kept], target[kept]
        estimator = seeded(self.estimator, spawn(self.seed, "task", task))
        if "categorical_features" in estimator.get_params():
            categories = np.arange(features.shape[1]) < self.window
            estimator.set_params(categorical_features=categories)
        return estimator.fit(features[rows], target)

    def _predict_task(self, fitted: Any, features: Any) -> np.ndarray:
        return np.asarray(fitted.predict(features))


class LinearScores(ChainNetwork):
    """Scores that are linear in a window of inputs: (B, L, inputs) → (B, L, k)."""

    def __init__(self, n_scores: int, window: int, profile: bool) -> None:
        super().__init__(n_scores, 1, profile)
        self.output = nn.Conv1d(self.n_inputs, n_scores, window, padding=window // 2)

    def encode(self, x: Tensor, mask: Tensor, noise: Noise | None) -> Tensor:
        """Return the inputs as they are."""
        return x


@dataclass(kw_only=True, eq=False, repr=False)
class LinearField(FieldLabeller):
    """A linear-chain conditional random field: linear scores of a window, and steps of states.

    No hidden layer; the likelihood is convex in its weights (Lafferty et al. 2001), and gradient
    steps take it near its maximum.

    Parameters
    ----------
    window
        Number of residues in the window around a site, odd.
    """

    revision: ClassVar[int] = 1
    kind: ClassVar[str] = "classical"
    network = LinearScores
    search_space: ClassVar[dict[str, list[Any]]] = {
        "window": [9, 13, 17, 21],
        "epochs": [8, 16],
        "learning_rate": [3e-3, 1e-2, 3e-2],
        "decay": [0.02, 0.2],
    }

    window: int = 17
    epochs: int = 8
    learning_rate: float = 1e-2
    decay: float = 0.02
    # No parameter: without its field this would be logistic regression.
    field: bool = field(default=True, init=False)


def baseline(
    name: str,
    *,
    classes: Sequence[int] = (3, 8),
    profile: bool = False,
    rounds: int = 200,
    most: int | None = None,
    **changes: Any,
) -> BaseEstimator:
    """Return the classical model ``name`` of states with its stated settings.

    Parameters
    ----------
    classes, profile
        As in :class:`~chemdl.proteins.nets.chain_net.ChainLabeller`; ``gor`` and the majority
        models read no profile.
    rounds, most
        Number of trees of ``gradient_boosting``, and largest number of sites that it is fitted on.
    changes
        New values for other parameters of the model.

    Raises
    ------
    ValueError
        For an unknown name; the message lists similar names.
    """
    if name == "logistic":
        linear = LogisticRegression(C=0.1, max_iter=1000, tol=3e-3)
        return WindowBaseline(linear, profile=profile, **changes)
    if name == "gradient_boosting":
        trees = HistGradientBoostingClassifier(max_iter=rounds, learning_rate=0.1,
                                               early_stopping=False)  # fmt: skip
        window = 9 if profile else 17
        return WindowBaseline(trees, window=window, profile=profile, most=most, **changes)
    if name == "crf":
        return LinearField(classes=classes, profile=profile, **changes)
    simple = {
        "gor": GOR(),
        "residue_majority": MajorityState(by_residue=True, kind="classical"),
        "trivial": MajorityState(),
    }
    if name not in simple:
        raise UnknownNameError("baseline", name, BASELINES)
    return simple[name].set_params(**changes)


_MODELS = (
    ("logistic", "linear model", "window of 17 residues", "logistic regression, L2", ""),
    ("gradient_boosting", "boosting", "window of 17 residues, 9 with profiles",
     "histograms, 31 leaves", ""),
    ("crf", "linear model", "window of 17 residues", "linear-chain conditional random field",
     "Lafferty et al. 2001"),
    ("gor", "linear model", "window of 17 residues, no profile", "information theory, GOR IV",
     "Garnier et al. 1996, doi:10.1016/S0076-6879(96)66034-0"),
    ("residue_majority", "constant", "the residue", "commonest state of its kind", ""),
    ("trivial", "constant", "nothing", "commonest state", ""),
)  # fmt: skip
BASELINES = tuple(_name for _name, *_ in _MODELS)
for _name, _family, _reads, _method, _paper in _MODELS:
    _makers = {"labelling": functools.partial(baseline, _name)}
    models.baseline(_name, _family, _reads, _method, _paper, inputs=("sequence",), makers=_makers)
