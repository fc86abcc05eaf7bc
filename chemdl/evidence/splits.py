"""Protocols: lists of splits of a data set into train, valid and test rows.

Every protocol with a seed divides the rows into K test folds in each repeat, and takes the valid
rows from the train rows by the same rule. All index arrays are sorted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chemdl.data.rows import row_numbers
from chemdl.evidence import folds as dealing
from chemdl.evidence.duplicates import count_duplicates, identity_codes
from chemdl.evidence.folds import Rows
from chemdl.registry import Registry, UnknownNameError
from chemdl.settings import spawn

SIDES = ("train", "valid", "test")
PROTOCOLS: Registry[Callable[..., Protocol]] = Registry("protocol", "splits")


@dataclass(frozen=True, eq=False)
class Split:
    """Three disjoint, non-empty, sorted index arrays, and their repeat and fold.

    Raises
    ------
    ValueError
        If train, valid or test is empty or no list of row numbers, or for a negative row, a
        repeated row or a row in two of them; the message names the rows.
    """

    train: Rows
    valid: Rows
    test: Rows
    repeat: int = 0
    fold: int = 0

    def __post_init__(self) -> None:
        for side in SIDES:
            what = f"{self._place}: {side}"
            rows = np.sort(row_numbers(np.ravel(getattr(self, side)), None, what, distinct=True))
            if not len(rows):
                raise ValueError(f"{what} is empty; use fewer folds or more rows")
            rows.setflags(write=False)
            object.__setattr__(self, side, rows)
        for left, right in (("train", "valid"), ("train", "test"), ("valid", "test")):
            both = np.intersect1d(getattr(self, left), getattr(self, right), assume_unique=True)
            if len(both):
                raise ValueError(
                    f"{self._place}: rows {_some(both)} stand in both {left} and {right}; "
                    "give each row one side"
                )

    @property
    def ratio(self) -> float:
        """n_test / n_train, as the corrected interval asks for it."""
        return len(self.test) / len(self.train)

    @property
    def _place(self) -> str:
        return f"split (repeat {self.repeat}, fold {self.fold})"


@dataclass(frozen=True, eq=False)
class Protocol:
    """The splits of one data set under one rule.

    Attributes
    ----------
    name, parameters
        The rule and its settings (share of valid, cutoff, groups by fold, …).
    splits
        Repeat by repeat, fold by fold.
    repeats, folds, seed
        As asked for; the seed is ``None`` where the rule has none.
    index_sha256
        Over all index arrays; equal hashes mean equal splits.
    clusters
        Number of the cluster of each row, shape (n,), where clusters stand on one side each.
    content_sha256
        Hash of the data set whose rows they are; "" where it has none.
    duplicates
        Molecules that stand in test while one with the same key stands in train or valid, in at
        least one split, by ``inchikey`` and by its first block (``inchikey_no_stereo``).
    """

    name: str
    splits: tuple[Split, ...]
    repeats: int
    folds: int
    seed: int | None
    index_sha256: str
    duplicates: Mapping[str, int]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    codes: Mapping[str, Rows] = field(default_factory=dict, repr=False)
    clusters: Rows | None = field(default=None, repr=False)
    content_sha256: str = ""

    def __len__(self) -> int:
        return len(self.splits)

    def head(self, repeats: int | None = None, *, folds: int | None = None) -> Protocol:
        """Return the first repeats (and of each the first folds) as a protocol of their own.

        Raises
        ------
        ValueError
            For fewer than one repeat or fold, or more than there are.
        """
        repeats = self.repeats if repeats is None else repeats
        folds = self.folds if folds is None else folds
        if not (1 <= repeats <= self.repeats and 1 <= folds <= self.folds):
            raise ValueError(
                f"asked for {repeats} repeats of {folds} folds; protocol {self.name!r} has "
                f"{self.repeats} of {self.folds}"
            )
        kept = tuple(s for s in self.splits if s.repeat < repeats and s.fold < folds)
        return replace(
            self,
            splits=kept,
            repeats=repeats,
            folds=folds,
            index_sha256=index_hash(kept),
            duplicates=count_duplicates(kept, self.codes),
        )


@PROTOCOLS.register("random")
def random(
    dataset: Any, *, repeats: int = 5, folds: int = 5, valid: float = 0.1, seed: int = 0
) -> Protocol:
    """Divide the rows at random into folds whose sizes differ by at most one.

    Parameters
    ----------
    repeats, folds
        Number of times that the set is divided anew, and number of test folds each time.
    valid
        Share of the rows outside test that become valid rows.
    seed
        Root seed, from which the seeds of repeats and folds are derived by name.
    """
    return resampled("random", dataset, dealing.AtRandom(), repeats, folds, valid, seed)


@PROTOCOLS.register("stratified")
def stratified(
    dataset: Any, *, repeats: int = 5, folds: int = 5, valid: float = 0.1, seed: int = 0
) -> Protocol:
    """Divide the rows at random; a stratum's counts in two folds differ by at most one.

    Strata are the classes of a single task; with several tasks a row belongs to the rarest task
    that it is positive in, else to the negatives; for one regression target, tenths of its ranks.
    Rows without any measured label are a stratum of their own, so they are divided evenly too.

    Raises
    ------
    ValueError
        For several regression targets, because they have no common strata.
    """
    rule = dealing.Stratified(dealing.strata(dataset))
    return resampled("stratified", dataset, rule, repeats, folds, valid, seed)


@PROTOCOLS.register("grouped")
def grouped(
    dataset: Any,
    *,
    column: str,
    repeats: int = 5,
    folds: int = 5,
    valid: float = 0.1,
    seed: int = 0,
) -> Protocol:
    """Divide whole groups of ``dataset.columns[column]`` at random into folds of similar size.

    This is for rows that belong together (the same formula, the chains of one crystal): a group is
    never divided between train, valid and test.

    Raises
    ------
    ValueError
        If there is no such column, or if it has fewer groups than folds.
    """
    rule = dealing.Grouped(_column_codes(dataset, column)[1], f"groups of {column!r}")
    return resampled("grouped", dataset, rule, repeats, folds, valid, seed, column=column)


@PROTOCOLS.register("published")
def published(dataset: Any, *, repeats: int = 1, seed: int = 0, valid: float = 0.1) -> Protocol:
    """Take the split that the source published, from ``dataset.columns["set"]``.

    Where the source names no valid rows, they are cut from train: repeat r takes the r-th of the
    folds in ``columns["fold"]`` (beginning anew after the last), or without that column a seeded
    share ``valid``. With published valid rows all repeats are the same split, and differ by the
    models' seeds only.

    Raises
    ------
    ValueError
        If there is no column "set", or if it has an entry other than train, valid and test.
    """
    sides = _published_sides(dataset)
    test, kept, train = (np.flatnonzero(sides == side) for side in ("test", "valid", "train"))
    folds = dataset.columns.get("fold")
    splits = []
    for repeat in range(repeats):
        held = kept if len(kept) else _held_out(train, folds, repeat, valid, seed)
        splits.append(Split(np.setdiff1d(train, held), held, test, repeat, 0))
    parameters = {} if len(kept) else {"valid": "fold" if folds is not None else valid}
    used_seed = None if "valid" not in parameters or folds is not None else seed
    return assemble("published", dataset, splits, repeats, 1, used_seed, parameters)


@PROTOCOLS.register("leave_group_out")
def leave_group_out(
    dataset: Any,
    *,
    column: str = "target",
    repeats: int = 1,
    valid: float | None = None,
    seed: int = 0,
) -> Protocol:
    """Test on each group of ``dataset.columns[column]`` in turn, trained on the others.

    Fold k tests the k-th group in the order of names. The valid rows are one whole other group,
    drawn anew for each repeat, so that the rows that stop the training are as new to the model as
    the test rows. With a share ``valid``, for too few groups, they are this share of the other
    groups' rows.

    Raises
    ------
    ValueError
        If there is no such column, or if it has fewer than three groups.
    """
    names, codes = _column_codes(dataset, column)
    if len(names) < 3:
        raise ValueError(f"column {column!r} holds {len(names)} groups ({', '.join(names)}); "
                         "train, valid and test take one each at least")  # fmt: skip
    splits = []
    for repeat, fold in np.ndindex(repeats, len(names)):
        generator = np.random.default_rng(spawn(seed, "leave_group_out", repeat, fold))
        outside, test = np.flatnonzero(codes != fold), np.flatnonzero(codes == fold)
        if valid is None:
            held = np.flatnonzero(codes == generator.choice(np.unique(codes[outside])))
        else:
            held = dealing.AtRandom().cut(outside, valid, generator)
        splits.append(Split(np.setdiff1d(outside, held), held, test, repeat, fold))
    parameters = {"column": column, "valid": valid, "groups": names.tolist()}
    return assemble("leave_group_out", dataset, splits, repeats, len(names), seed, parameters)


def index_hash(splits: Sequence[Split]) -> str:
    """Return the sha256 over repeat, fold and the three index arrays of every split."""
    digest = hashlib.sha256()
    for split in splits:
        sizes = [len(getattr(split, side)) for side in SIDES]
        digest.update(np.array([split.repeat, split.fold, *sizes], dtype="<i8").tobytes())
        for side in SIDES:
            digest.update(getattr(split, side).astype("<i8").tobytes())
    return digest.hexdigest()


def resampled(
    name: str,
    dataset: Any,
    rule: dealing.Rule,
    repeats: int,
    folds: int,
    valid: float,
    seed: int,
    **parameters: Any,
) -> Protocol:
    n = len(dataset.inputs)
    if repeats < 1 or folds < 2 or not 0 < valid < 1:
        raise ValueError(
            f"repeats={repeats}, folds={folds}, valid={valid}: at least 1 repeat and 2 folds are "
            "needed, and a share of valid between 0 and 1"
        )
    if n < folds + 1:
        raise ValueError(f"{n} rows cannot fill {folds} folds and a valid side; use fewer folds")
    rows = np.arange(n)
    splits = []
    for repeat in range(repeats):
        dealt = rule.deal(rows, folds, np.random.default_rng(spawn(seed, name, repeat)))
        for fold in range(folds):
            outside = rows[dealt != fold]
            generator = np.random.default_rng(spawn(seed, name, repeat, fold, "valid"))
            held = rule.cut(outside, valid, generator)
            train = np.setdiff1d(outside, held, assume_unique=True)
            splits.append(Split(train, held, rows[dealt == fold], repeat, fold))
    protocol = assemble(name, dataset, splits, repeats, folds, seed, {"valid": valid, **parameters})
    return replace(protocol, clusters=rule.codes if isinstance(rule, dealing.Grouped) else None)


def assemble(
    name: str,
    dataset: Any,
    splits: Sequence[Split],
    repeats: int,
    folds: int,
    seed: int | None,
    parameters: Mapping[str, Any],
) -> Protocol:
    n = len(dataset.inputs)
    for split in splits:
        last = max(int(getattr(split, side)[-1]) for side in SIDES)
        if last >= n:
            raise ValueError(f"{split._place}: row {last} is out of range for {n} rows")
    codes = identity_codes(dataset)
    return Protocol(
        name=name,
        splits=tuple(splits),
        repeats=repeats,
        folds=folds,
        seed=seed,
        index_sha256=index_hash(splits),
        duplicates=count_duplicates(splits, codes),
        parameters=dict(parameters),
        codes=codes,
        content_sha256=getattr(dataset, "card", {}).get("content_sha256", ""),
    )


def _column_codes(dataset: Any, column: str) -> tuple[NDArray[np.str_], Rows]:
    """Return the names in a column, sorted, and each row's number among them."""
    columns = dataset.columns or {}
    if column not in columns:
        raise ValueError(
            f"data set {dataset.name!r}: {UnknownNameError('column', column, columns)}"
        )
    return np.unique(np.asarray(columns[column]).astype(str), return_inverse=True)


def members(codes: Rows) -> list[Rows]:
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)


def _published_sides(dataset: Any) -> NDArray[np.str_]:
    columns = dataset.columns or {}
    if "set" not in columns:
        raise ValueError(
            f"data set {getattr(dataset, 'name', '')!r} has no published split (no column 'set'; "
            f"it has {sorted(columns) or 'none'}); use another protocol"
        )
    sides = np.asarray(columns["set"]).astype(str)
    strange = ~np.isin(sides, SIDES)
    if strange.any():
        raise ValueError(
            f"column 'set' holds {sorted(set(sides[strange].tolist()))} at rows "
            f"{_some(np.flatnonzero(strange))}; allowed are train, valid, test"
        )
    return sides


def _held_out(train: Rows, folds: Any, repeat: int, valid: float, seed: int) -> Rows:
    if folds is None:
        generator = np.random.default_rng(spawn(seed, "published", repeat, "valid"))
        return dealing.AtRandom().cut(train, valid, generator)
    given = np.asarray(folds)[train]
    names = np.unique(given)
    return train[given == names[repeat % len(names)]]


def _some(rows: Rows, most: int = 5) -> str:
    shown = ", ".join(map(str, rows[:most].tolist()))
    return shown if len(rows) <= most else f"{shown}, … ({len(rows)} in all)"
