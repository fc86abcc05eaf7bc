"""The rivals over geometries: kernel ridge regression, neighbours, and dressed atoms.

Each first fits the targets linearly on the molecule's composition, on the rows that it is given,
and learns what is left: the energy of a molecule is nearly the sum of its atoms' (15 of 220
kcal/mol remain in QM7). Targets are (n,) or (n, tasks), all of them measured.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from sklearn.base import BaseEstimator, RegressorMixin
from threadpoolctl import threadpool_limits

from chemdl.quantum.coulomb import REPRESENTATIONS, Representation, bag_sizes, most_atoms
from chemdl.quantum.coulomb import represent as represented
from chemdl.quantum.geometries import composition, elements
from chemdl.registry import UnknownNameError
from chemdl.settings import spawn

Floats = NDArray[np.float64]
Kernel = Literal["gaussian", "laplacian"]
_KERNELS = ("gaussian", "laplacian")
# Distances are kept in memory for so many molecules at most: 20,000 take 1.6 GB.
MOST_KEPT = 20_000
_TABLES_KEPT = 6
_MANY = 3000
_BLOCK = 1024


class GeometryBaseline(RegressorMixin, BaseEstimator):
    """A linear fit on composition, and a model of what it leaves.

    A subclass gives ``_fit_residual(inputs, residual (n, tasks))`` and ``_residual(inputs)``.
    """

    kind: ClassVar[str] = "other"
    stackable: ClassVar[bool] = False

    def fit(self, X: Sequence[Any], y: Any) -> Self:
        """Fit the composition, then what is left of the targets.

        Raises
        ------
        ValueError
            for text that is no geometry, or a target that was not measured.
        """
        targets = np.asarray(y, dtype=np.float64)
        targets = targets[:, None] if targets.ndim == 1 else targets
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
            for a molecule with an element that no fitted molecule has.
        """
        inputs = np.asarray(X, dtype=object)
        values: Floats = composition(inputs, self.elements_) @ self.atomic_
        values = values + self._residual(inputs)
        return values[:, 0] if self.n_tasks_ == 1 else values

    def _fit_residual(self, inputs: NDArray[np.object_], residual: Floats) -> None:
        """Learn what the composition leaves."""

    def _residual(self, inputs: NDArray[np.object_]) -> Floats | float:
        return 0.0


class DressedAtoms(GeometryBaseline):
    """A number for each element, and nothing else: the trivial model of an energy."""

    kind: ClassVar[str] = "trivial"


class _Similar(GeometryBaseline):
    """Shared by the models that read distances between molecules in some representation."""

    # A large kernel fills memory and cores by itself: replicas are fitted in turn.
    alone: ClassVar[bool] = True
    representation: Representation

    def prepare(self, X: Sequence[Any]) -> None:
        """Compute the distances that all replicas share once, where there is room for them."""
        if len(X) <= MOST_KEPT:
            _table(self.representation, self._order).prepare(np.asarray(X, dtype=object))

    @property
    def _order(self) -> float:
        raise NotImplementedError

    def _distances(self, a: NDArray[np.object_], b: NDArray[np.object_]) -> NDArray[np.float32]:
        return _table(self.representation, self._order).between(a, b)

    def _held_out(self, n: int, most: int, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Draw rows to learn from and rows to choose settings by, one to four."""
        rows = np.random.default_rng(spawn(seed, "held out")).permutation(n)
        cut = max(1, n // 5)
        return rows[cut:][:most], rows[:cut][:most]


class KernelRidge(_Similar):
    """Kernel ridge regression, its length scale and ridge chosen on held-out rows of its own.

    α = (K + λ 1)^-1 r,  r̂(x) = Σ_i α_i k(x, x_i)

    with k = exp(-‖x - x'‖₁ / σ) (``laplacian``) or exp(-‖x - x'‖₂² / 2σ²) (``gaussian``; Rupp et
    al. 2012, Hansen et al. 2013). One σ and one λ for each task, by the mean absolute error on a
    fifth of the fitted rows; then all are fitted again.

    Parameters
    ----------
    representation : ``eigenvalues``, ``sorted`` or ``bonds``, see :mod:`chemdl.quantum.coulomb`.
    scales : tried for σ, in units of the median distance between fitted molecules.
    ridges : tried for λ.
    tuning_rows : of the fitted rows, so many at most are used to choose.
    """

    def __init__(
        self,
        representation: Representation = "sorted",
        kernel: Kernel = "laplacian",
        scales: tuple[float, ...] = (0.06, 0.12, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0),
        ridges: tuple[float, ...] = (1e-9, 1e-7, 1e-5, 1e-3, 1e-2, 1e-1),
        tuning_rows: int = 2000,
        seed: int = 0,
    ) -> None:
        self.representation, self.kernel = representation, kernel
        self.scales, self.ridges = scales, ridges
        self.tuning_rows, self.seed = tuning_rows, seed

    @property
    def _order(self) -> float:
        if self.kernel not in _KERNELS:
            raise UnknownNameError("kernel", self.kernel, _KERNELS)
        return 1.0 if self.kernel == "laplacian" else 2.0

    def _fit_residual(self, inputs: NDArray[np.object_], residual: Floats) -> None:
        distances = self._distances(inputs, inputs)
        off = distances[np.triu_indices(min(len(inputs), 500), k=1)]
        self.unit_ = float(np.median(off)) if len(off) else 1.0
        self.inputs_, tasks = inputs, residual.shape[1]
        self.spread_ = residual.std(axis=0)
        scaled = residual / np.where(self.spread_ > 0, self.spread_, 1.0)
        self.dual_ = np.empty_like(residual)
        # Threads of a small product wait for one another, which can take fifty times as long.
        with threadpool_limits(1, user_api="blas"):
            self.chosen_ = self._choose(distances, scaled)
        with threadpool_limits(1 if len(inputs) < _MANY else None, user_api="blas"):
            for setting in set(self.chosen_):
                own = [task for task in range(tasks) if self.chosen_[task] == setting]
                scale, ridge = setting
                kernel = self._kernel(distances, scale)
                self.dual_[:, own] = _solve(kernel, ridge, scaled[:, own])

    def _choose(self, distances: NDArray[np.float32], scaled: Floats) -> list[tuple[float, float]]:
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
                found = across @ _solve(kernel.copy(), ridge, scaled[fitted])
                errors.append(np.abs(found - scaled[held]).mean(axis=0))
        best = np.nan_to_num(np.array(errors), nan=np.inf).argmin(axis=0)
        return [settings[i] for i in best]

    def _kernel(self, distances: NDArray[np.float32], scale: float) -> Floats:
        scaled = distances.astype(np.float64)
        scaled /= scale * self.unit_
        if self.kernel == "gaussian":
            np.square(scaled, out=scaled)
            scaled *= 0.5
        np.negative(scaled, out=scaled)
        return np.exp(scaled, out=scaled)

    def _residual(self, inputs: NDArray[np.object_]) -> Floats:
        out = np.empty((len(inputs), self.n_tasks_))
        for start in range(0, len(inputs), _BLOCK):
            part = slice(start, start + _BLOCK)
            distances = self._distances(inputs[part], self.inputs_)
            for scale in {scale for scale, _ in self.chosen_}:
                own = [i for i, (own_scale, _) in enumerate(self.chosen_) if own_scale == scale]
                out[part, own] = self._kernel(distances, scale) @ self.dual_[:, own]
        return out * np.where(self.spread_ > 0, self.spread_, 1.0)


class Neighbours(_Similar):
    """The mean of the nearest molecules' residuals, weighed by 1 / distance.

    How many is chosen as :class:`KernelRidge` chooses its settings, for each task.
    """

    def __init__(
        self,
        representation: Representation = "sorted",
        counts: tuple[int, ...] = (1, 2, 3, 5, 8, 13),
        seed: int = 0,
    ) -> None:
        self.representation, self.counts, self.seed = representation, counts, seed

    @property
    def _order(self) -> float:
        return 1.0

    def _fit_residual(self, inputs: NDArray[np.object_], residual: Floats) -> None:
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

    def _residual(self, inputs: NDArray[np.object_]) -> Floats:
        distances = self._distances(inputs, self.inputs_)
        return np.column_stack(
            [
                _weighed(distances, self.residual_[:, task : task + 1], count)[:, 0]
                for task, count in enumerate(self.chosen_)
            ]
        )


class DistanceTable:
    """Distances between molecules of a set in one representation: computed once, then looked up."""

    def __init__(self, representation: Representation, order: float) -> None:
        self.representation, self.order = representation, order
        self._places: dict[str, int] = {}
        self._matrix = np.empty((0, 0), np.float32)
        self._lock = threading.Lock()

    def prepare(self, inputs: NDArray[np.object_]) -> None:
        """Compute the distances between all of these molecules."""
        with self._lock:
            if all(text in self._places for text in inputs):
                return
            self._matrix = self._computed(inputs, inputs)
            self._places = {text: place for place, text in enumerate(inputs)}

    def between(self, a: NDArray[np.object_], b: NDArray[np.object_]) -> NDArray[np.float32]:
        """Return the distances (n, m), looked up where all molecules are known."""
        known = self._places
        if all(text in known for text in a) and all(text in known for text in b):
            rows, columns = ([known[text] for text in texts] for texts in (a, b))
            return self._matrix[np.ix_(rows, columns)]
        return self._computed(a, b)

    def _computed(self, a: NDArray[np.object_], b: NDArray[np.object_]) -> NDArray[np.float32]:
        import torch

        same = a is b
        both = a if same else np.concatenate([a, b])
        # Absent atoms are zeros in both, so that the room for them changes no distance.
        size, bags = most_atoms(both), bag_sizes(both)
        left = torch.from_numpy(represented(a, self.representation, size=size, bags=bags))
        right = (
            left
            if same
            else torch.from_numpy(represented(b, self.representation, size=size, bags=bags))
        )
        out = torch.empty(len(left), len(right))
        mode = "donot_use_mm_for_euclid_dist"
        for start, stop in _blocks(len(left)):
            # Of a symmetric matrix the upper half alone is computed.
            first = start if same else 0
            block = torch.cdist(left[start:stop], right[first:], p=self.order, compute_mode=mode)
            out[start:stop, first:] = block
            if same:
                out[first:, start:stop] = block.T
        return out.numpy()


def regressor(name: str, **changes: Any) -> GeometryBaseline:
    """Return a rival by the name that claims, chapters and cards use.

    ==================== ================================================================
    name                 model
    ==================== ================================================================
    krr_eigenvalues      Gaussian kernel on the Coulomb matrix's eigenvalues (Rupp 2012)
    krr_eigen_laplacian  Laplacian kernel on the same
    krr_gaussian         Gaussian kernel on sorted Coulomb matrices
    krr_laplacian        Laplacian kernel on the same (Hansen 2013)
    krr_bonds_gaussian   Gaussian kernel on bags of bonds
    krr_bonds            Laplacian kernel on the same (Hansen 2015)
    neighbours           nearest sorted Coulomb matrices
    dressed_atoms        a linear fit on composition: the trivial model
    ==================== ================================================================

    Raises
    ------
    ValueError
        for an unknown name, with the near misses.
    """
    if name not in REGRESSORS:
        raise UnknownNameError("baseline", name, REGRESSORS)
    if name == "neighbours":
        return Neighbours(**changes)
    if name == "dressed_atoms":
        return DressedAtoms(**changes)
    representation, kernel = _KERNEL_MODELS[name]
    return KernelRidge(representation, kernel, **changes)


_KERNEL_MODELS: dict[str, tuple[Representation, Kernel]] = {
    "krr_eigenvalues": ("eigenvalues", "gaussian"),
    "krr_eigen_laplacian": ("eigenvalues", "laplacian"),
    "krr_gaussian": ("sorted", "gaussian"),
    "krr_laplacian": ("sorted", "laplacian"),
    "krr_bonds_gaussian": ("bonds", "gaussian"),
    "krr_bonds": ("bonds", "laplacian"),
}
REGRESSORS = (*_KERNEL_MODELS, "neighbours", "dressed_atoms")

_tables: OrderedDict[tuple[str, float], DistanceTable] = OrderedDict()
_tables_lock = threading.Lock()


def _table(representation: Representation, order: float) -> DistanceTable:
    """Return the one table of this kind; the few that were used last are kept."""
    if representation not in REPRESENTATIONS:
        raise UnknownNameError("representation", representation, REPRESENTATIONS)
    with _tables_lock:
        table = _tables.pop((representation, order), None) or DistanceTable(representation, order)
        _tables[representation, order] = table
        while len(_tables) > _TABLES_KEPT:
            _tables.popitem(last=False)
        return table


def _blocks(count: int) -> Iterator[tuple[int, int]]:
    for start in range(0, count, _BLOCK):
        yield start, min(count, start + _BLOCK)


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


def _weighed(distances: NDArray[np.float32], residual: Floats, count: int) -> Floats:
    """Return the weighed mean of the ``count`` nearest rows' residuals: (n, tasks)."""
    nearest = np.argpartition(distances, count - 1, axis=1)[:, :count]
    weights = 1.0 / np.maximum(np.take_along_axis(distances, nearest, axis=1), 1e-6)
    weights = weights / weights.sum(axis=1, keepdims=True)
    found: Floats = np.einsum("nk,nkt->nt", weights, residual[nearest])
    return found
