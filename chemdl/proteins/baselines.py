"""The rivals over protein chains: what predicted structure before nets did, with strong settings.

Every one takes chains (see :mod:`chemdl.proteins.data`) and targets by chain with NaN where
nothing was seen, and predicts (sites, tasks): numbers of classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Ragged
from chemdl.proteins.nets.convolutions import ConvolutionLabeller
from chemdl.proteins.nets.labelling import ChainNet
from chemdl.proteins.residues import KINDS, one_hot_windows, window_places, window_profiles
from chemdl.registry import UnknownNameError
from chemdl.settings import spawn


class SiteBaseline(BaseEstimator):
    """One classifier for each task over the sites of chains; a subclass gives the two steps."""

    kind: str = "other"
    stackable: ClassVar[bool] = False

    def fit(self, X: Sequence[str], y: Ragged) -> Self:
        """Fit each task on the sites where it was seen; y holds (sites, tasks) by chain."""
        features = self._features(X)
        self.tasks_ = []
        for task, target in enumerate(y.values.T):
            seen = np.flatnonzero(np.isfinite(target))
            self.tasks_.append(self._fit_task(task, features, seen, target[seen].astype(int)))
        return self

    def predict(self, X: Sequence[str]) -> np.ndarray:
        """Return the class of every site: (sites, tasks)."""
        features = self._features(X)
        columns = [self._predict_task(fitted, features) for fitted in self.tasks_]
        return np.column_stack(columns).astype(np.float64)

    def _features(self, X: Sequence[str]) -> Any:
        raise NotImplementedError

    def _fit_task(self, task: int, features: Any, seen: np.ndarray, target: np.ndarray) -> Any:
        raise NotImplementedError

    def _predict_task(self, fitted: Any, features: Any) -> np.ndarray:
        raise NotImplementedError


class MajorityState(SiteBaseline):
    """The commonest state: of all residues, or of each kind of residue."""

    def __init__(self, by_residue: bool = False, kind: str = "trivial") -> None:
        self.by_residue, self.kind = by_residue, kind

    def _features(self, X: Sequence[str]) -> np.ndarray:
        return window_places(X, 1)[:, 0] * int(self.by_residue)

    def _fit_task(
        self, task: int, features: np.ndarray, seen: np.ndarray, target: np.ndarray
    ) -> np.ndarray:
        counts = _counts(features[seen], target, KINDS)
        # A kind that was not seen takes the commonest state of all.
        return (counts + 1e-6 * counts.sum(axis=0)).argmax(axis=1)

    def _predict_task(self, fitted: np.ndarray, features: np.ndarray) -> np.ndarray:
        return fitted[features]


class GOR(SiteBaseline):
    """Information theory: what pairs of residues around a site say of its state (GOR IV).

    With R_m the residue m places on, -8 ≤ m ≤ 8, and S against every other state S',

        I(S) = 2/17 Σ_(m<n) log P(S, R_m, R_n) / P(S', R_m, R_n)
             - 15/17 Σ_m log P(S, R_m) / P(S', R_m),

    counted in the train chains (Garnier, Gibrat and Robson 1996). ``pseudocount`` is added to each
    count of a pair in the proportions that its two residues give alone. Sequences are read, not
    profiles.
    """

    def __init__(self, window: int = 17, pseudocount: float = 20.0) -> None:
        self.window, self.pseudocount = window, pseudocount

    def _features(self, X: Sequence[str]) -> np.ndarray:
        return window_places(X, self.window).astype(np.int64)

    def _fit_task(
        self, task: int, features: np.ndarray, seen: np.ndarray, target: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        own, size = features[seen], KINDS + 1
        # A state that no train chain has, of those below the last, is never divided by.
        prior = (np.bincount(target) + 1e-9) / len(target)
        singles = [_counts(own[:, m], target, size) + prior for m in range(self.window)]
        shares = [counts / counts.sum(axis=1, keepdims=True) for counts in singles]
        pairs = []
        for m, n in zip(*np.triu_indices(self.window, 1), strict=True):
            counts = _counts(own[:, m] * size + own[:, n], target, size**2)
            expected = shares[m][:, None] * shares[n][None] / prior
            expected = (expected / expected.sum(axis=2, keepdims=True)).reshape(size**2, -1)
            pairs.append(_log_odds(counts + self.pseudocount * expected))
        return np.array([_log_odds(counts) for counts in singles]), np.array(pairs)

    def _predict_task(
        self, fitted: tuple[np.ndarray, np.ndarray], features: np.ndarray
    ) -> np.ndarray:
        singles, pairs = fitted
        size, width = KINDS + 1, self.window
        alone = sum(singles[m][features[:, m]] for m in range(width))
        together = sum(
            pairs[i][features[:, m] * size + features[:, n]]
            for i, (m, n) in enumerate(zip(*np.triu_indices(width, 1), strict=True))
        )
        return np.argmax(2 / width * together - (width - 2) / width * alone, axis=1)


def _counts(codes: np.ndarray, target: np.ndarray, size: int) -> np.ndarray:
    """Count each state beside each code: (size, states)."""
    states = int(target.max()) + 1
    flat = np.bincount(codes.astype(np.int64) * states + target, minlength=size * states)
    return flat.reshape(size, states).astype(np.float64)


def _log_odds(counts: np.ndarray) -> np.ndarray:
    """Return log P(S, ·) / P(S', ·) of every state."""
    others = counts.sum(axis=-1, keepdims=True) - counts
    return np.log(np.maximum(counts, 1e-9)) - np.log(np.maximum(others, 1e-9))


class WindowBaseline(SiteBaseline):
    """A classifier over the residues around each site, with a profile's columns where told to.

    Linear models read one-hot residues (and profiles as numbers); trees read the kinds as
    categories. ``most`` sites are drawn by seed where there are more.
    """

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

    def _features(self, X: Sequence[str]) -> Any:
        if isinstance(self.estimator, HistGradientBoostingClassifier):
            places = window_places(X, self.window)
            return np.hstack([places, window_profiles(X, self.window)]) if self.profile else places
        hot = one_hot_windows(X, self.window)
        if not self.profile:
            return hot
        # Around zero and about as wide as the ones: the optimiser then takes half the steps.
        levels = (window_profiles(X, self.window).astype(np.float32) / 255.0 - 0.5) * 4.0
        return sparse.hstack([hot, sparse.csr_matrix(levels)], format="csr")

    def _fit_task(self, task: int, features: Any, seen: np.ndarray, target: np.ndarray) -> Any:
        if self.most is not None and len(seen) > self.most:
            rng = np.random.default_rng(spawn(self.seed, "sites", task))
            kept = np.sort(rng.choice(len(seen), self.most, replace=False))
            seen, target = seen[kept], target[kept]
        estimator = clone(self.estimator)
        names = estimator.get_params()
        if "random_state" in names:
            estimator.set_params(random_state=spawn(self.seed, "task", task))
        if "categorical_features" in names:
            categories = np.arange(features.shape[1]) < self.window
            estimator.set_params(categorical_features=categories)
        return estimator.fit(features[seen], target)

    def _predict_task(self, fitted: Any, features: Any) -> np.ndarray:
        return np.asarray(fitted.predict(features))


class LinearScores(ChainNet):
    """Scores that are linear in a window of inputs: (B, L, inputs) → (B, L, k)."""

    def __init__(self, n_scores: int, window: int, profile: bool) -> None:
        super().__init__(n_scores, 1, profile)
        self.output = nn.Conv1d(self.n_inputs, n_scores, window, padding=window // 2)

    def encode(self, x: Tensor, mask: Tensor, noise: Noise | None) -> Tensor:
        """Return the inputs as they are."""
        return x


class ChainField(ConvolutionLabeller):
    """A linear-chain conditional random field: linear scores of a window, and steps of states.

    No hidden layer; the likelihood is convex in its weights (Lafferty et al. 2001), and gradient
    steps take it near its maximum.
    """

    kind: ClassVar[str] = "other"
    search_space: ClassVar[dict[str, list[Any]]] = {}

    def __init__(
        self,
        classes: Sequence[int] = (3, 8),
        window: int = 17,
        profile: bool = False,
        epochs: int = 8,
        batch_size: int = 16,
        learning_rate: float = 1e-2,
        decay: float = 0.02,
        weight_decay: float = 0.0,
        clip: float | None = 1.0,
        patience: int = 20,
        bucketed: bool = True,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        self.classes, self.window, self.profile = classes, window, profile
        self.epochs, self.batch_size, self.learning_rate = epochs, batch_size, learning_rate
        self.decay, self.weight_decay, self.clip = decay, weight_decay, clip
        self.patience, self.bucketed, self.seed, self.device = patience, bucketed, seed, device
        self.field = True

    def encoder(self) -> ChainNet:
        """Make the linear scores."""
        return LinearScores(self.n_scores, self.window, self.profile)


BASELINES = ("logistic", "gradient_boosting", "crf", "gor", "residue_majority", "trivial")


def baseline(
    name: str,
    *,
    classes: Sequence[int] = (3, 8),
    profile: bool = False,
    rounds: int = 200,
    most: int | None = None,
    **changes: Any,
) -> BaseEstimator:
    """Return the rival ``name`` with its stated settings.

    ================== =========================== ============================================
    name               reads                       settings
    ================== =========================== ============================================
    logistic           window of 17                L2, C = 0.1
    gradient_boosting  window of 17 (9 profiles)   histograms, ``rounds`` at rate 0.1, 31 leaves
    crf                window of 17                linear-chain field, by gradient steps
    gor                window of 17, no profile    GOR IV
    residue_majority   the residue                 commonest state of its kind
    trivial            nothing                     commonest state
    ================== =========================== ============================================

    ``classes`` as the nets have them; ``most`` sites at most for ``gradient_boosting``.

    Raises
    ------
    ValueError
        for an unknown name, with the near misses.
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
        return ChainField(classes=classes, profile=profile, **changes)
    simple = {
        "gor": GOR(),
        "residue_majority": MajorityState(by_residue=True, kind="other"),
        "trivial": MajorityState(),
    }
    if name not in simple:
        raise UnknownNameError("baseline", name, BASELINES)
    return simple[name].set_params(**changes)
