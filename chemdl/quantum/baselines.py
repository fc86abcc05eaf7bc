"""Classical models over geometries: kernel ridge regression, neighbours, and dressed atoms.

Each first fits the targets linearly on the molecule's composition and then learns what is left:
the energy of a molecule is nearly the sum of its atoms' (15 of 220 kcal/mol remain in QM7). Targets
are (n,) or (n, tasks), all of them measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
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


@dataclass(eq=False, repr=False)
class KernelRidge(_OverDistances):
    """Kernel ridge regression.

    With r the part of the targets that the composition does not explain::

        α = (K + λ 1)^-1 r,  r̂(x) = Σ_i α_i k(x, x_i)

    with k = exp(-‖x - x'‖₁ / σ) (``laplacian``) or exp(-‖x - x'‖₂² / 2σ²) (``gaussian``; Rupp et
    al. 2012, Hansen et al. 2013). Length scale and ridge are tuned like the settings of every other
    model; Hansen et al. searched both on a grid, by cross-validation.

    Parameters
    ----------
    representation
        Name of the representation: ``eigenvalues``, ``sorted`` or ``bonds``, see
        :mod:`chemdl.quantum.coulomb`.
    kernel
        Name of the kernel: ``laplacian`` or ``gaussian``.
    scale
        The length scale σ, in units of the median distance between fitted molecules.
    ridge
        The ridge λ; larger where the kernel is singular with it.
    """

    revision: ClassVar[int] = 2
    search_space: ClassVar[dict[str, list[Any]]] = {
        "scale": [0.06, 0.12, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0],
        "ridge": [1e-9, 1e-7, 1e-5, 1e-3, 1e-2, 1e-1],
    }

    representation: Representation = "sorted"
    kernel: Kernel = "laplacian"
    scale: float = 4.0
    ridge: float = 1e-7

    @property
    def _norm(self) -> float:
        if self.kernel not in _NORMS:
            raise UnknownNameError("kernel", self.kernel, _NORMS)
        return _NORMS[self.kernel]

    def _fit_residual(self, inputs: Inputs, residual: Floats) -> None:
        distances = self._distances(inputs, inputs)
        off = distances[np.triu_indices(min(len(inputs), 500), k=1)]
        self.unit_ = float(np.median(off)) if len(off) else 1.0
        self.inputs_ = inputs
        spread = residual.std(axis=0)
        self.spread_ = np.where(spread > 0, spread, 1.0)
        # Threads of a small product wait for one another, which can take fifty times as long.
        with threadpool_limits(1 if len(inputs) < _MANY else None, user_api="blas"):
            self.dual_ = _solve(self._kernel(distances), self.ridge, residual / self.spread_)

    def _kernel(self, distances: Distances) -> Floats:
        scaled = distances.astype(np.float64)
        scaled /= self.scale * self.unit_
        if self.kernel == "gaussian":
            np.square(scaled, out=scaled)
            scaled *= 0.5
        np.negative(scaled, out=scaled)
        return np.exp(scaled, out=scaled)

    def _residual(self, inputs: Inputs) -> Floats:
        out = np.empty((len(inputs), self.n_tasks_))
        for start in range(0, len(inputs), _BLOCK):
            rows = slice(start, start + _BLOCK)
            out[rows] = self._kernel(self._distances(inputs[rows], self.inputs_)) @ self.dual_
        return out * self.spread_


@dataclass(eq=False, repr=False)
class Neighbours(_OverDistances):
    """The mean of the nearest molecules' residuals, weighed by 1 / distance.

    Parameters
    ----------
    representation
        As in :class:`KernelRidge`.
    n_neighbors
        How many; all fitted molecules where there are fewer.
    """

    revision: ClassVar[int] = 2
    search_space: ClassVar[dict[str, list[Any]]] = {"n_neighbors": [1, 2, 3, 5, 8, 13]}

    representation: Representation = "sorted"
    n_neighbors: int = 3

    def _fit_residual(self, inputs: Inputs, residual: Floats) -> None:
        self.inputs_, self.residual_ = inputs, residual

    def _residual(self, inputs: Inputs) -> Floats:
        distances = self._distances(inputs, self.inputs_)
        return _weighed(distances, self.residual_, min(self.n_neighbors, len(self.inputs_)))


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
# Representation, kernel, and the preset's scale and ridge: what a search on 1,200 molecules of QM7
# chose by rows held out of them.
_KERNEL_MODELS: tuple[tuple[str, Representation, Kernel, float, float, str], ...] = (
    ("krr_eigenvalues", "eigenvalues", "gaussian", 0.25, 0.1,
     "Rupp et al. 2012, doi:10.1103/PhysRevLett.108.058301"),
    ("krr_eigen_laplacian", "eigenvalues", "laplacian", 0.5, 1e-9, ""),
    ("krr_gaussian", "sorted", "gaussian", 0.5, 1e-2, ""),
    ("krr_laplacian", "sorted", "laplacian", 4.0, 1e-9,
     "Hansen et al. 2013, doi:10.1021/ct400195d"),
    ("krr_bonds_gaussian", "bonds", "gaussian", 2.0, 1e-5, ""),
    ("krr_bonds", "bonds", "laplacian", 32.0, 1e-5,
     "Hansen et al. 2015, doi:10.1021/acs.jpclett.5b00831"),
)  # fmt: skip
REGRESSORS = (*(name for name, *_ in _KERNEL_MODELS), "neighbours", "dressed_atoms")


def _register(name: str, family: str, reads: str, method: str, paper: str, make: Any) -> None:
    makers = {"regression": make}
    baseline(name, family, reads, method, paper, inputs=("geometry",), makers=makers)


for _name, _representation, _kernel, _scale, _ridge, _paper in _KERNEL_MODELS:
    _method = f"ridge regression, {_kernel.title()} kernel"
    _make = partial(KernelRidge, _representation, _kernel, _scale, _ridge)
    _register(_name, "kernel machine", _READS[_representation], _method, _paper, _make)
_method = "nearest neighbours by 1 / distance"
_register("neighbours", "neighbours", _READS["sorted"], _method, "", Neighbours)
_method = "a number for each element"
_register("dressed_atoms", "linear model", "composition", _method, "", DressedAtoms)
