"""Classical models of molecules: over SMILES, or over the descriptors that a data set brings."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from scipy import sparse
from sklearn import ensemble
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.svm import SVC, SVR, LinearSVC

from chemdl.learn.models import baseline
from chemdl.learn.taskwise import TaskwiseBaseline, TaskwiseClassifier, TaskwiseRegressor
from chemdl.molecules.descriptors import Descriptors2D, DescriptorScaler
from chemdl.molecules.fingerprints import ECFP
from chemdl.molecules.similarity import TanimotoGram
from chemdl.molecules.tabulated import read_tabulated
from chemdl.registry import UnknownNameError

# Representations that are a matrix of similarities, one row for each molecule of the train side.
PAIRWISE = ("tanimoto", "tanimoto_counts", "tanimoto_tabulated")
Representation = Literal[
    "bits", "counts", "descriptors", "tabulated",
    "tanimoto", "tanimoto_counts", "tanimoto_tabulated", "none",
]  # fmt: skip
REPRESENTATIONS = get_args(Representation)
# What replaces each where the data set brings its descriptors instead of SMILES.
_TABULATED = {
    "bits": "tabulated",
    "counts": "tabulated",
    "descriptors": "tabulated",
    "tanimoto": "tanimoto_tabulated",
    "tanimoto_counts": "tanimoto_tabulated",
}


class _OverMolecules(TaskwiseBaseline):
    """What a classical model reads of a molecule.

    ``representation`` is ``bits`` or ``counts`` (ECFP4, 2,048), ``descriptors`` (RDKit's 2D set),
    ``tanimoto`` or ``tanimoto_counts`` (the Gram matrix of bits or counts, for estimators with a
    precomputed kernel or distance), ``tabulated`` or ``tanimoto_tabulated`` (the counts that the
    data set brings, as log(1 + x) unless the estimator is a tree), or ``none``, for models that
    read nothing of their input.
    """

    representation: Representation

    def prepare(self, X: Sequence[str]) -> None:
        """Compute what all replicas share once: features, or the one Gram matrix."""
        if not self._is_pairwise:
            self.features(X)
        # Above that many molecules each task computes the block of its own rows.
        elif len((gram := self._gram()).distinct(X)) <= gram.most:
            gram.prepare(X)

    def features(self, X: Sequence[str]) -> Any:
        """Return the representation of SMILES: (n, columns), sparse where that is faster.

        Raises
        ------
        ValueError
            For ``none`` if the estimator reads its input.
        """
        if self.representation == "none":
            if not isinstance(self.estimator, DummyClassifier | DummyRegressor):
                name = type(self.estimator).__name__
                raise ValueError(
                    f"representation='none' leaves {name} nothing to read; choose one of "
                    f"{', '.join(REPRESENTATIONS[:-1])}"
                )
            return np.zeros((len(X), 1))
        if self.representation == "tabulated":
            given = read_tabulated(X)
            return given if self.is_tree or self.standardised else np.log1p(given)
        if self.representation == "descriptors":
            return Descriptors2D(missing="keep").transform(X)
        ecfp = ECFP(counts=self.representation == "counts").transform(X)
        # A forest of classes finds the same splits in sparse columns, seven times as fast, and
        # linear models gain as much. A forest of values breaks ties otherwise there, and boosting
        # needs dense rows; both read bytes.
        return sparse.csr_matrix(ecfp, dtype=np.float32) if self._takes_sparse_rows else ecfp

    def _unfitted(self) -> Any:
        """Return an estimator that measures descriptors itself, where it took similarities."""
        estimator = super()._unfitted()
        if not self._is_pairwise:
            for name, measure in (("kernel", "rbf"), ("metric", "euclidean")):
                if estimator.get_params().get(name) == "precomputed":
                    estimator.set_params(**{name: measure})
        return estimator

    def _scaled(self, features: Any, fit: bool = False) -> Any:
        if self.representation != "descriptors" or self.is_tree:
            return super()._scaled(features, fit)
        if fit:
            self.scaler_ = DescriptorScaler().fit(features)
        return self.scaler_.transform(features)

    def _fitted_blocks(self, X: Sequence[str]) -> Callable[[np.ndarray], Any]:
        self.inputs_ = np.asarray(X, dtype=object)
        if self._is_pairwise:
            return lambda rows: self._pairs(self.inputs_[rows], rows)
        return super()._fitted_blocks(X)

    def _blocks(self, X: Sequence[str]) -> Callable[[np.ndarray], Any]:
        if self._is_pairwise:
            return lambda rows: self._pairs(X, rows)
        return super()._blocks(X)

    @property
    def _is_pairwise(self) -> bool:
        return self.representation in PAIRWISE

    def _gram(self) -> TanimotoGram:
        return _shared_gram(self.representation)

    def _pairs(self, X: Any, rows: np.ndarray) -> np.ndarray:
        """Return similarities, or distances for neighbours, to these rows of the fitted inputs."""
        similarity = self._gram().rows(X, self.inputs_[rows])
        needs_distances = isinstance(self.estimator, KNeighborsClassifier | KNeighborsRegressor)
        return 1.0 - similarity if needs_distances else similarity

    @property
    def _takes_sparse_rows(self) -> bool:
        linear = isinstance(self.estimator, LogisticRegression | LinearSVC | Ridge | SVR)
        is_xgboost = type(self.estimator).__module__.startswith("xgboost")
        return linear or is_xgboost or isinstance(self.estimator, ensemble.RandomForestClassifier)


class MoleculeClassifier(_OverMolecules, TaskwiseClassifier):
    """Binary classification of molecules, one estimator per task."""

    revision: ClassVar[int] = 1


class MoleculeRegressor(_OverMolecules, TaskwiseRegressor):
    """Regression over molecules, one estimator per task, on scaled targets."""

    revision: ClassVar[int] = 1


def classifier(name: str, *, trees: int = 500, seed: int = 0) -> MoleculeClassifier:
    """Return the classification baseline ``name`` with its stated settings.

    Raises
    ------
    ValueError
        For an unknown name; the message lists similar names.
    """
    settings: dict[str, tuple[Any, str, dict[str, list[Any]]]] = {
        "random_forest": (
            ensemble.RandomForestClassifier(trees, max_features="sqrt", n_jobs=1),
            "bits",
            {
                "max_features": ["sqrt", 0.1, 0.3],
                "min_samples_leaf": [1, 2, 5],
                "class_weight": [None, "balanced_subsample"],
            },
        ),
        "svm_tanimoto": (
            SVC(kernel="precomputed", C=1.0, class_weight="balanced", cache_size=500),
            "tanimoto",
            {"C": [0.1, 0.3, 1.0, 3.0, 10.0], "class_weight": [None, "balanced"]},
        ),
        "svm_linear": (
            LinearSVC(C=0.01, class_weight="balanced"),
            "bits",
            {"C": [1e-3, 3e-3, 1e-2, 3e-2, 0.1, 1.0], "class_weight": [None, "balanced"]},
        ),
        "logistic": (
            LogisticRegression(C=0.1, class_weight="balanced", solver="liblinear"),
            "bits",
            {"C": [1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0], "class_weight": [None, "balanced"]},
        ),
        "knn": (
            KNeighborsClassifier(15, metric="precomputed", weights=_inverse_distance),
            "tanimoto",
            {"n_neighbors": [3, 5, 10, 15, 25, 50]},
        ),
        "svm_descriptors": (
            SVC(kernel="rbf", C=3.0, class_weight="balanced", cache_size=500),
            "descriptors",
            {
                "C": [0.3, 1.0, 3.0, 10.0, 30.0],
                "gamma": ["scale", 3e-4, 1e-3, 3e-3, 1e-2],
                "class_weight": [None, "balanced"],
            },
        ),
        "gradient_boosting": (
            ensemble.HistGradientBoostingClassifier(learning_rate=0.05, max_iter=200),
            "descriptors",
            _BOOSTING_SPACE,
        ),
        "trivial": (DummyClassifier(strategy="prior"), "none", {}),
    }
    return _baseline(MoleculeClassifier, name, settings, seed)


def regressor(
    name: str,
    *,
    trees: int = 500,
    tabulated: bool = False,
    standardised: bool = False,
    seed: int = 0,
) -> MoleculeRegressor:
    """Return the regression baseline ``name`` with its stated settings.

    With ``tabulated`` it reads the descriptors that the data set brings; ``standardised`` centres
    and scales them, for dense columns of unequal size.

    Raises
    ------
    ValueError
        For an unknown name; the message lists similar names.
    """
    settings: dict[str, tuple[Any, str, dict[str, list[Any]]]] = {
        "random_forest": (
            ensemble.RandomForestRegressor(trees, max_features=1 / 3, n_jobs=1),
            "bits",
            {"max_features": ["sqrt", 0.1, 1 / 3], "min_samples_leaf": [1, 2, 5]},
        ),
        "svm_tanimoto": (
            SVR(kernel="precomputed", C=10.0, epsilon=0.1, cache_size=500),
            "tanimoto_counts",
            {"C": [0.3, 1.0, 3.0, 10.0, 30.0], "epsilon": [0.01, 0.03, 0.1, 0.2]},
        ),
        "svm_rbf": (
            SVR(kernel="rbf", C=10.0, epsilon=0.1, cache_size=500),
            "bits",
            {
                "C": [0.3, 1.0, 3.0, 10.0, 30.0],
                "epsilon": [0.01, 0.03, 0.1, 0.2],
                "gamma": ["scale", 0.003, 0.01, 0.03],
            },
        ),
        "svm_descriptors": (
            SVR(kernel="rbf", C=10.0, epsilon=0.1, cache_size=500),
            "descriptors",
            {
                "C": [0.3, 1.0, 3.0, 10.0, 30.0],
                "epsilon": [0.01, 0.03, 0.1, 0.2],
                "gamma": ["scale", 3e-4, 1e-3, 3e-3, 1e-2],
            },
        ),
        "ridge": (Ridge(alpha=10.0), "counts", {"alpha": [0.1, 1.0, 10.0, 100.0]}),
        "knn": (
            KNeighborsRegressor(5, metric="precomputed", weights=_inverse_distance),
            "tanimoto_counts",
            {"n_neighbors": [3, 5, 10, 15]},
        ),
        "gradient_boosting": (
            ensemble.HistGradientBoostingRegressor(learning_rate=0.05, max_iter=300),
            "descriptors",
            _BOOSTING_SPACE,
        ),
        "trivial": (DummyRegressor(strategy="mean"), "none", {}),
    }
    model = _baseline(MoleculeRegressor, name, settings, seed)
    if tabulated:
        model.representation = _TABULATED.get(model.representation, model.representation)
    return model.set_params(standardised=standardised)


def xgboost(
    kind: str, *, trees: int = 500, seed: int = 0
) -> MoleculeClassifier | MoleculeRegressor:
    """Return XGBoost over ECFP4 bits for targets of this kind, with its stated settings.

    Raises
    ------
    ModuleNotFoundError
        Where the optional package is not installed.
    """
    from xgboost import XGBClassifier, XGBRegressor

    learner = XGBClassifier if kind == "classification" else XGBRegressor
    estimator = learner(
        n_estimators=trees,
        learning_rate=0.05,
        max_depth=5,
        min_child_weight=5,
        subsample=0.5,
        colsample_bytree=0.66,
        tree_method="hist",
        n_jobs=1,
    )
    model = MoleculeClassifier if kind == "classification" else MoleculeRegressor
    return model(estimator, "bits", space=_XGBOOST_SPACE, seed=seed)


_XGBOOST_SPACE: dict[str, list[Any]] = {
    "n_estimators": [200, 500, 1000],
    "learning_rate": [0.02, 0.05, 0.1],
    "max_depth": [3, 5, 8],
    "min_child_weight": [1, 5],
    "subsample": [0.5, 0.8, 1.0],
    "colsample_bytree": [0.3, 0.66, 1.0],
    "reg_lambda": [1.0, 10.0],
}
_BOOSTING_SPACE: dict[str, list[Any]] = {
    "learning_rate": [0.02, 0.05, 0.1],
    "max_iter": [100, 200, 400],
    "max_leaf_nodes": [15, 31, 63],
    "min_samples_leaf": [5, 20, 50],
    "l2_regularization": [0.0, 1.0, 10.0],
}


def _baseline(cls: Any, name: str, settings: dict[str, Any], seed: int) -> Any:
    if name not in settings:
        raise UnknownNameError("baseline", name, settings)
    estimator, representation, space = settings[name]
    kind = "trivial" if name == "trivial" else "classical"
    return cls(estimator, representation, space=space, kind=kind, seed=seed)


def _inverse_distance(distances: np.ndarray) -> np.ndarray:
    """Weigh neighbours by 1 / distance; a copy of the query counts a thousandfold."""
    return 1.0 / np.maximum(distances, 1e-3)


@functools.cache
def _shared_gram(representation: str) -> TanimotoGram:
    """One Gram matrix serves all tasks, folds and kernel models of the dataset at hand."""
    return TanimotoGram(
        counts=representation == "tanimoto_counts",
        tabulated=representation == "tanimoto_tabulated",
    )


_MAKERS: dict[str, Callable[..., Any]] = {"classification": classifier, "regression": regressor}
_BOTH = tuple(_MAKERS)
for _name, _family, _reads, _method, _paper, _learns in (
    ("random_forest", "forest", "ECFP4 bits", "random forest", "Breiman 2001", _BOTH),
    ("svm_tanimoto", "kernel machine", "Tanimoto similarity of ECFP4 (of counts for regression)",
     "support vector machine", "Ralaivola et al. 2005", _BOTH),
    ("svm_linear", "linear model", "ECFP4 bits", "support vector machine", "", _BOTH[:1]),
    ("svm_rbf", "kernel machine", "ECFP4 bits", "support vector machine, Gaussian kernel", "",
     _BOTH[1:]),
    ("svm_descriptors", "kernel machine", "RDKit's 2D descriptors",
     "support vector machine, Gaussian kernel", "", _BOTH),
    ("logistic", "linear model", "ECFP4 bits", "logistic regression, L2", "", _BOTH[:1]),
    ("ridge", "linear model", "ECFP4 counts", "ridge regression", "", _BOTH[1:]),
    ("knn", "neighbours", "Tanimoto similarity of ECFP4", "nearest neighbours by 1 / distance",
     "", _BOTH),
    ("gradient_boosting", "boosting", "RDKit's 2D descriptors", "histograms", "", _BOTH),
    ("trivial", "constant", "nothing", "share of positives, or mean, of the train rows", "", _BOTH),
):  # fmt: skip
    baseline(
        _name,
        _family,
        _reads,
        _method,
        _paper,
        inputs=("smiles", "descriptors"),
        makers={kind: functools.partial(_MAKERS[kind], _name) for kind in _learns},
    )
baseline(
    "xgboost",
    "boosting",
    "ECFP4 bits",
    "XGBoost",
    "Chen and Guestrin 2016, doi:10.1145/2939672.2939785",
    inputs=("smiles",),
    makers={kind: functools.partial(xgboost, kind) for kind in _BOTH},
)
