"""How rows are divided into folds: by chance, by strata, or in whole groups.

A rule divides rows into parts (the test folds) and cuts a share off them (valid). The protocols of
``splits.py`` are built from these rules.
"""

from __future__ import annotations

from typing import Any
from typing import Protocol as Interface

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


class Rule(Interface):
    """How rows are divided into parts, and how a share of them is cut off."""

    def deal(self, rows: Rows, parts: int, generator: np.random.Generator) -> Rows: ...

    def cut(self, rows: Rows, share: float, generator: np.random.Generator) -> Rows: ...


class AtRandom:
    def deal(self, rows: Rows, parts: int, generator: np.random.Generator) -> Rows:
        return generator.permutation(np.arange(len(rows)) % parts)

    def cut(self, rows: Rows, share: float, generator: np.random.Generator) -> Rows:
        return generator.permutation(rows)[: max(1, round(share * len(rows)))]


class Stratified:
    def __init__(self, codes: Rows) -> None:
        self.codes = codes

    def deal(self, rows: Rows, parts: int, generator: np.random.Generator) -> Rows:
        order = self._order(rows, generator)
        dealt = np.empty(len(rows), dtype=np.int64)
        # One count runs through all strata, so that fold sizes differ by one at most as well.
        dealt[order] = generator.permutation(parts)[np.arange(len(rows)) % parts]
        return dealt

    def cut(self, rows: Rows, share: float, generator: np.random.Generator) -> Rows:
        """Draw systematically along the strata: each gives its share, to within one row."""
        total = max(1, round(share * len(rows)))
        steps = np.floor((np.arange(len(rows) + 1) * total) / len(rows) + generator.random())
        return rows[self._order(rows, generator)[np.diff(steps) > 0]]

    def _order(self, rows: Rows, generator: np.random.Generator) -> Rows:
        return np.lexsort((generator.random(len(rows)), self.codes[rows]))


class Grouped:
    def __init__(self, codes: Rows, plural: str) -> None:
        self.codes = codes
        self.plural = plural

    def deal(self, rows: Rows, parts: int, generator: np.random.Generator) -> Rows:
        names, members, sizes = np.unique(self.codes[rows], return_inverse=True, return_counts=True)
        if len(names) < parts:
            raise ValueError(
                f"{len(names)} {self.plural} cannot fill {parts} folds; ask for fewer folds"
            )
        order = generator.permutation(len(names))
        # The largest come first, the single rows last: they even out what the others leave.
        size = sizes[order]
        rank = np.where(size > len(rows) / parts / 2, -size, np.where(size == 1, 1, 0))
        order = order[np.argsort(rank, kind="stable")]
        # Ties between folds of equal size are broken by a seeded order of the folds.
        filled = np.zeros(parts, dtype=np.int64)
        folds = generator.permutation(parts)
        part = np.empty(len(names), dtype=np.int64)
        for group in order:
            emptiest = int(filled.argmin())
            filled[emptiest] += sizes[group]
            part[group] = folds[emptiest]
        return part[members]

    def cut(self, rows: Rows, share: float, generator: np.random.Generator) -> Rows:
        names, members, sizes = np.unique(self.codes[rows], return_inverse=True, return_counts=True)
        if len(names) < 2:
            raise ValueError(
                f"the rows outside test hold one of the {self.plural} only, so that no valid side "
                "can be cut off; use the protocol random"
            )
        room = max(1, round(share * len(rows)))
        chosen = np.zeros(len(names), dtype=bool)
        for group in generator.permutation(len(names)):
            if sizes[group] <= room:
                chosen[group] = True
                room -= sizes[group]
        if not chosen.any():
            chosen[sizes.argmin()] = True
        return rows[chosen[members]]


def strata(dataset: Any) -> Rows:
    """Return the stratum of each row, shape (n,), as :func:`stratified` defines them."""
    targets = _targets(dataset)
    measured = ~np.isnan(targets).all(axis=1)
    if dataset.kind == "regression":
        if targets.shape[1] > 1:
            raise ValueError(
                f"stratified takes one regression target, not {targets.shape[1]}; "
                "use the protocol random"
            )
        codes = np.full(len(targets), -1, dtype=np.int64)
        ranks = np.argsort(np.argsort(targets[measured, 0], kind="stable"), kind="stable")
        codes[measured] = ranks * 10 // max(len(ranks), 1)
        return codes
    positive = targets == 1
    rarest_first = np.argsort(positive.sum(axis=0), kind="stable")
    first = positive[:, rarest_first].argmax(axis=1)
    codes = np.where(positive.any(axis=1), first + 1, 0)
    return np.where(measured, codes, -1).astype(np.int64)


def _targets(dataset: Any) -> NDArray[np.float64]:
    targets = np.asarray(dataset.targets, dtype=np.float64)
    return targets[:, None] if targets.ndim == 1 else targets
