"""RDKit's two-dimensional descriptors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from chemdl.data.feature_cache import cached_rows
from chemdl.molecules.smiles import as_smiles, in_processes, parsed_blocks
from chemdl.registry import UnknownNameError

MISSING = ("median", "keep", "error")
# Below this many molecules (a few seconds of work) starting worker processes does not pay.
FEWEST_IN_PARALLEL = 400
_FLOAT32_MAX = float(np.finfo(np.float32).max)


class Descriptors2D(TransformerMixin, BaseEstimator):
    """All RDKit 2D descriptors of SMILES but ``Ipc``.

    ``Ipc`` grows exponentially with the molecule and leaves the range of float32; its mean
    ``AvgIpc`` is there. Descriptors that RDKit cannot give for a molecule (partial charges and
    BCUT values of many metals) are NaN before ``missing`` is applied.

    Parameters
    ----------
    missing
        What replaces a missing value: with ``"median"`` the column's median over the rows seen by
        ``fit`` (0 if all are missing), with ``"keep"`` NaN; ``"error"`` raises an error.
    n_jobs
        Number of worker processes; ``None`` means every core for 400 new molecules or more, else
        one.

    Attributes
    ----------
    feature_names
        Names of the p descriptors.
    medians_
        Median of each descriptor, float32, shape (p,), set by ``fit``.
    """

    def __init__(self, missing: str = "median", n_jobs: int | None = None) -> None:
        self.missing = missing
        self.n_jobs = n_jobs

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(_functions())

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the medians of the columns from SMILES ``X`` (n,)."""
        if self.missing not in MISSING:
            raise UnknownNameError("value of missing", str(self.missing), MISSING)
        rows = self._rows(as_smiles(X)).astype(np.float64)
        self.medians_ = column_medians(rows).astype(np.float32)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return the descriptors of SMILES ``X`` (n,) as float32, shape (n, p). Cached.

        Raises
        ------
        ValueError
            For an empty set, SMILES that RDKit cannot read, or a missing value with
            ``missing="error"``; the message names row, column and a remedy.
        sklearn.exceptions.NotFittedError
            If ``missing`` is ``"median"`` and ``fit`` was not called.
        """
        if self.missing == "median":
            check_is_fitted(self, "medians_")
        smiles = as_smiles(X)
        rows = self._rows(smiles)
        if self.missing == "median":
            return np.where(np.isnan(rows), self.medians_, rows)
        is_missing = np.isnan(rows)
        if self.missing == "error" and is_missing.any():
            row, column = np.argwhere(is_missing)[0]
            raise ValueError(
                f"row {row} ({smiles[row]}), column {column} ({self.feature_names[column]}): RDKit "
                f"gives no value; {is_missing.sum()} of {rows.size} cells are missing. Impute them "
                "with Descriptors2D(missing='median') or drop the column"
            )
        return rows

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return RDKit's names of the columns, shape (p,)."""
        return np.array(self.feature_names, dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return self.missing != "median" or hasattr(self, "medians_")

    def _rows(self, smiles: list[str]) -> NDArray[np.float32]:
        def compute(new: Sequence[str]) -> NDArray[np.float32]:
            return descriptors(new, n_jobs=self.n_jobs)

        return cached_rows("descriptors2d", {}, smiles, compute)


class DescriptorScaler(TransformerMixin, BaseEstimator):
    """Descriptors as a learner that measures distances or sums columns wants them.

    A missing value becomes the median of its column. Columns that are skewed (most of RDKit's
    counts and surface areas) become ``sign(x) log(1 + abs(x))``. Then each column is centred and
    divided by its standard deviation, and cut at ten of them: a molecule unlike all others must not
    decide a prediction by one column alone. All is learned from the rows that are fitted.

    Parameters
    ----------
    most_skewed
        Largest size of a column's skewness (its third standardised moment) that stays as it is.

    Attributes
    ----------
    medians_, centre_, spread_
        Of each column, float64, shape (p,); the last two after the logarithm.
    skewed_
        Which columns become logarithms, shape (p,).
    """

    def __init__(self, most_skewed: float = 1.0) -> None:
        self.most_skewed = most_skewed

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn medians, skewed columns, centre and spread from rows (n, p), NaN if missing."""
        rows = np.asarray(X, dtype=np.float64)
        self.medians_ = column_medians(rows)
        filled = np.where(np.isnan(rows), self.medians_, rows)
        self.skewed_ = np.abs(_skewness(filled)) > self.most_skewed
        logarithms = self._logarithms(filled)
        self.centre_, spread = logarithms.mean(axis=0), logarithms.std(axis=0)
        self.spread_ = np.where(spread > 1e-9 * np.abs(self.centre_) + 1e-12, spread, np.inf)
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Return rows (n, p) filled, transformed and scaled; a constant column is zero."""
        check_is_fitted(self, "spread_")
        rows = np.asarray(X, dtype=np.float64)
        filled = np.where(np.isnan(rows), self.medians_, rows)
        return np.clip((self._logarithms(filled) - self.centre_) / self.spread_, -10.0, 10.0)

    def _logarithms(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(self.skewed_, np.sign(rows) * np.log1p(np.abs(rows)), rows)


def column_medians(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the median of what is known in each column (p,); 0 where nothing is."""
    known = np.isfinite(rows).any(axis=0)
    medians = np.zeros(rows.shape[1])
    medians[known] = np.nanmedian(rows[:, known], axis=0)
    return medians


def _skewness(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the third standardised moment of each column, 0 for a constant one."""
    centred = rows - rows.mean(axis=0)
    spread = centred.std(axis=0)
    scaled = centred / np.where(spread > 0, spread, np.inf)
    return (scaled**3).mean(axis=0)


def descriptors(smiles: Sequence[str], *, n_jobs: int | None = None) -> NDArray[np.float32]:
    """Compute the descriptors without any cache: float32, shape (n, p), NaN where missing."""
    if n_jobs is None:
        n_jobs = -1 if len(smiles) >= FEWEST_IN_PARALLEL else 1
    if n_jobs != 1:
        return in_processes(partial(descriptors, n_jobs=1), smiles, n_jobs)
    return np.concatenate([_describe(block) for block in parsed_blocks(smiles)])


def _functions() -> dict[str, Any]:
    from rdkit.Chem import Descriptors

    return {name: function for name, function in Descriptors.descList if name != "Ipc"}


def _describe(molecules: list[Chem.Mol]) -> NDArray[np.float32]:
    functions = list(_functions().values())
    rows = np.empty((len(molecules), len(functions)))
    with rdBase.BlockLogs(), np.errstate(all="ignore"):
        for row, molecule in zip(rows, molecules, strict=True):
            for column, function in enumerate(functions):
                row[column] = _value(function, molecule)
    rows[~np.isfinite(rows)] = np.nan
    return np.clip(rows, -_FLOAT32_MAX, _FLOAT32_MAX).astype(np.float32)


def _value(function: Any, molecule: Chem.Mol) -> float:
    # RDKit raises several unrelated types for an atom without parameters: all mean "not known".
    try:
        return float(function(molecule))
    except Exception:
        return float("nan")
