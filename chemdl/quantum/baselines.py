"""Classical models over geometries: kernel ridge regression, neighbours, and dressed atoms.

Each first fits the targets linearly on the molecule's composition and then learns what is left:
the energy of a molecule is nearly the sum of its atoms' (15 of 220 kcal/mol remain in QM7). Targets
are (n,) or (n, tasks), all of them measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from chemdl.learn.contract import check_parameters, fitted_targets
from chemdl.learn.models import baseline
from chemdl.quantum.coulomb import Representation
from chemdl.quantum.distances import Distances, Inputs, shared_table
from chemdl.quantum.geometries import composition, elements
from chemdl.registry import UnknownNameError
from chemdl.settings import spawn

Floats = NDArray[np.float64]
Kernel = Literal["gaussian", "laplacian"]
# What each kernel takes distances by: the sum of absolute differences, or the Euclidean distance.
_NORMS = {"laplacian": 1.0, "gaussian": 2.0}
# From so many molecules on, a kernel is worth several threads.
_MANY = 3000
_BLOCK = 1024


class GeometryBaseline(RegressorMixin, BaseEstimator):
    """A linear fit on composition, and a model of what it leaves.

    A subclass gives ``_fit_residual(inputs, residual (n, tasks))`` and ``_residual(inputs)``.
    """

    kind: ClassVar[str] = "classical"
    stackable: ClassVar[bool] = False

    def fit(self, X: Sequence[Any], y: Any) -> Self:
        """Fit the composition, then what is left of the targets.

        Raises
        ------
        ValueError
            For text that is not a geometry, or a target that was not measured.
        """
        check_parameters(self)
        targets = fitted_targets(X, y)
        if not np.isfinite(targets).all():
            raise ValueError("targets of geometries must all be measured; drop rows with NaN")
        inputs = np.asarray(X, dtype=object)
        self.n_tasks_ = targets.shape[1]
        self.elements_ = elements(inputs)
        counts = composition(inputs, self.elements_)
        self.atomic_ = linalg.lstsq(counts, targets)[0]
        self._fit_residual(inputs, targets - counts @ self.atomic_)
        return self

    def predict(self, X: Sequence[Any]) -> Floats:
        """Return values: (n,) for one task, (n, tasks) else.

        Raises
        ------
        ValueError
            For a molecule with an element that no fitted molecule has.
        """
        check_is_fitted(self, "elements_")
        inputs = np.asarray(X, dtype=object)
        values: Floats = composition(inputs, self.elements_) @ self.atomic_
        values = values + self._residual(inputs)
        return values[:, 0] if self.n_tasks_ == 1 else values

    def _fit_residual(self, inputs: Inputs, residual: Floats) -> None:
        """Learn what the composition leaves."""

    def _residual(self, inputs: Inputs) -> Floats | float:
        return 0.0


class DressedAtoms(GeometryBaseline):
    """A number for each element, and nothing else: the trivial model of an energy."""

    kind: ClassVar[str] = "trivial"
    revision: ClassVar[int] = 1


class _OverDistances(GeometryBaseline):
    """What the models share that read distances between molecules in some representation."""

    # A large kernel fills memory and cores by itself: replicas are fitted in turn.
    alone: ClassVar[bool] = True
    representation: Representation

    def prepare(self, X: Sequence[Any]) -> None:
        """Compute the distances that all replicas share once, where there is room for them."""
        shared_table(self.representation, self._norm).prepare(np.asarray(X, dtype=object))

    @property
    def _norm(self) -> float:
        return 1.0

    def _distances(self, a: Inputs, b: Inputs) -> Distances:
        return shared_table(self.representation, self._norm).between(a, b)

    def _held_out(self, n: int, most: int, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Divide n rows by seed, four to one: to learn from, and to choose settings by.

        Of each at most ``most`` are returned.
        """
        rows = np.random.default_rng(spawn(seed, "held out")).permutation(n)
        cut = max(1, n // 5)
        return rows[cut:][:most], rows[:cut][:most]


@dataclass(eq=False, repr=False)
class KernelRidge(_OverDistances):
    """Kernel ridge regression that chooses its length scale and ridge on rows held out in ``fit``.

    With r the part of the targets that the composition does not explain::

        α = (K + λ 1)^-1 r,  r̂(x) = Σ_i α_i k(x, x_i)

    with k = exp(-‖x - x'‖₁ / σ) (``laplacian``) or exp(-‖x - x'‖₂² / 2σ²) (``gaussian``; Rupp et
    al. 2012, Hansen et al. 2013). One σ and one λ for each task, by the mean absolute error on a
    fifth of the fitted rows; then the model is fitted again on all rows.

    Parameters
    ----------
    representation
        Name of the representation: ``eigenvalues``, ``sorted`` or ``bonds``, see
        :mod:`chemdl.quantum.coulomb`.
    kernel
        Name of the kernel: ``laplacian`` or ``gaussian``.
    scales
        Values to try for σ, in units of the median distance between fitted molecules.
    ridges
        Values to try for λ.
    tuning_rows
        Largest number of fitted rows that are used to choose σ and λ.
    """

    revision: ClassVar[int] = 1

    representation: Representation = "sorted"
    kernel: Kernel = "laplacian"
    scales: tuple[float, ...] = (0.06, 0.12, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
    ridges: tuple[float, ...] = (1e-9, 1e-7, 1e-5, 1e-3, 1e-2, 1e-1)
    tuning_rows: int = 2000
    seed: int = 0

    @property
    def _norm(self) -> float:
        if self.kernel not in _NORMS:
            raise UnknownNameError("kernel", self.kernel, _NORMS)
        return _NORMS[self.kernel]

    def _fit_residual(self, inputs: Inputs, residual: Floats) -> None:
        distances = self._distances(inputs, inputs)
        off = distances[np.triu_indices(min(len(inputs), 500), k=1)]
        self.unit_ = float(np.median(off)) if len(off) else 1.0
        self.inputs_, tasks = inputs, residual.shape[1]
        spread = residual.std(axis=0)
        self.spread_ = np.where(spread > 0, spread, 1.0)
        scaled = residual / self.spread_
        self.dual_ = np.empty_like(residual)
        # Threads of a small product wait for one another, which can take fifty times as long.
        with threadpool_limits(1, user_api="blas"):
            self.chosen_ = self._choose(distances, scaled)
        with threadpool_limits(1 if len(inputs) < _MANY else None, user_api="blas"):
            for scale, ridge in set(self.chosen_):
                columns = [task for task in range(tasks) if self.chosen_[task] == (scale, ridge)]
                kernel = self._kernel(distances, scale)
                self.dual_[:, columns] = _solve(kernel, ridge, scaled[:, columns])

    def _choose(self, distances: Distances, scaled: Floats) -> list[tuple[float, float]]:
        """Return σ (in units of the median) and λ of each task."""
        settings = list(product(self.scales, self.ridges))
        if len(scaled) < 10 or len(settings) == 1:
            return [settings[len(settings) // 2]] * scaled.shape[1]
        fitted, held = self._held_out(len(scaled), self.tuning_rows, self.seed)
        errors = []
        for scale in self.scales:
            kernel = self._kernel(distances[np.ix_(fitted, fitted)], scale)
            across = self._kernel(distances[np.ix_(held, fitted)], scale)
            for ridge in self.ridges:
                predicted = across @ _solve(kernel.copy(), ridge, scaled[fitted])
                errors.append(np.abs(predicted - scaled[held]).mean(axis=0))
        best = np.nan_to_num(np.array(errors), nan=np.inf).argmin(axis=0)
        return [settings[i] for i in best]

    def _kernel(self, distances: Distances, scale: float) -> Floats:
        scaled = distances.astype(np.float64)
        scaled /= scale * self.unit_
        if self.kernel == "gaussian":
            np.square(scaled, out=scaled)
            scaled *= 0.5
        np.negative(scaled, out=scaled)
        return np.exp(scaled, out=scaled)

    def _residual(self, inputs: Inputs) -> Floats:
        out = np.empty((len(inputs), self.n_tasks_))
        for start in range(0, len(inputs), _BLOCK):
            rows = slice(start, start + _BLOCK)
            distances = self._distances(inputs[rows], self.inputs_)
            for scale in {scale for scale, _ in self.chosen_}:
                columns = [task for task, (s, _) in enumerate(self.chosen_) if s == scale]
                out[rows, columns] = self._kernel(distances, scale) @ self.dual_[:, columns]
        return out * self.spread_


@dataclass(eq=False, repr=False)
class Neighbours(_OverDistances):
    """The mean of the nearest molecules' residuals, weighed by 1 / distance.

    How many neighbours is chosen for each task from ``counts``, as :class:`KernelRidge` chooses
    its settings.
    """

    revision: ClassVar[int] = 1

    representation: Representation = "sorted"
    counts: tuple[int, ...] = (1, 2, 3, 5, 8, 13)
    seed: int = 0

    def _fit_residual(self, inputs: Inputs, residual: Floats) -> None:
        self.inputs_, self.residual_ = inputs, residual
        counts = [count for count in self.counts if count < len(inputs)] or [1]
        self.chosen_ = [counts[0]] * residual.shape[1]
        if len(inputs) < 10 or len(counts) == 1:
            return
        fitted, held = self._held_out(len(inputs), 4000, self.seed)
        distances = self._distances(inputs[held], inputs[fitted])
        errors = [
            np.abs(_weighed(distances, residual[fitted], count) - residual[held]).mean(axis=0)
            for count in counts
        ]
        self.chosen_ = [counts[i] for i in np.argmin(errors, axis=0)]

    def _residual(self, inputs: Inputs) -> Floats:
        distances = self._distances(inputs, self.inputs_)
        columns = [
            _weighed(distances, self.residual_[:, [task]], count)
            for task, count in enumerate(self.chosen_)
        ]
        return np.hstack(columns)


def _solve(kernel: Floats, ridge: float, targets: Floats) -> Floats:
    """Solve (K + λ 1) α = y by Cholesky, overwriting K; with a larger λ where K is singular."""
    diagonal = np.einsum("ii->i", kernel)
    added = 0.0
    while True:
        diagonal += ridge - added
        added = ridge
        try:
            factor = linalg.cho_factor(kernel, lower=True, check_finite=False)
        except linalg.LinAlgError:
            ridge = 10 * max(ridge, 1e-12)
            continue
        solved: Floats = linalg.cho_solve(factor, targets, check_finite=False)
        return solved


def _weighed(distances: Distances, residual: Floats, count: int) -> Floats:
    """Return the weighed mean of the ``count`` nearest rows' residuals: (n, tasks)."""
    nearest = np.argpartition(distances, count - 1, axis=1)[:, :count]
    weights = 1.0 / np.maximum(np.take_along_axis(distances, nearest, axis=1), 1e-6)
    weights = weights / weights.sum(axis=1, keepdims=True)
    mean: Floats = np.einsum("nk,nkt->nt", weights, residual[nearest])
    return mean


_READS = {
    "eigenvalues": "eigenvalues of the Coulomb matrix",
    "sorted": "sorted Coulomb matrix",
    "bonds": "bags of bonds",
}
_KERNEL_MODELS: tuple[tuple[str, Representation, Kernel, str], ...] = (
    ("krr_eigenvalues", "eigenvalues", "gaussian",
     "Rupp et al. 2012, doi:10.1103/PhysRevLett.108.058301"),
    ("krr_eigen_laplacian", "eigenvalues", "laplacian", ""),
    ("krr_gaussian", "sorted", "gaussian", ""),
    ("krr_laplacian", "sorted", "laplacian", "Hansen et al. 2013, doi:10.1021/ct400195d"),
    ("krr_bonds_gaussian", "bonds", "gaussian", ""),
    ("krr_bonds", "bonds", "laplacian", "Hansen et al. 2015, doi:10.1021/acs.jpclett.5b00831"),
)  # fmt: skip
REGRESSORS = (*(name for name, *_ in _KERNEL_MODELS), "neighbours", "dressed_atoms")


def _register(name: str, family: str, reads: str, method: str, paper: str, make: Any) -> None:
    makers = {"regression": make}
    baseline(name, family, reads, method, paper, inputs=("geometry",), makers=makers)


for _name, _representation, _kernel, _paper in _KERNEL_MODELS:
    _method = f"ridge regression, {_kernel.title()} kernel"
    _make = partial(KernelRidge, representation=_representation, kernel=_kernel)
    _register(_name, "kernel machine", _READS[_representation], _method, _paper, _make)
_method = "nearest neighbours by 1 / distance"
_register("neighbours", "neighbours", _READS["sorted"], _method, "", Neighbours)
_method = "a number for each element"
_register("dressed_atoms", "linear model", "composition", _method, "", DressedAtoms)
