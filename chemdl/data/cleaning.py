"""Cleaning of tables: drop unusable rows, merge equal rows, and count both.

Which rows are equal depends on the kind of input (:mod:`chemdl.data.inputs`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chemdl.data.errors import DatasetError
from chemdl.data.readers import RawTable

# Part of the cache's key: raise it when the same rows would come out otherwise.
VERSION = 1
EXAMPLES = 10


@dataclass(frozen=True)
class Cleaned:
    """The rows that stay: their index in the raw table, their targets, and what was counted."""

    rows: np.ndarray
    targets: np.ndarray
    columns: dict[str, np.ndarray]
    log: dict[str, Any]
    lengths: np.ndarray | None = None


def keep_rows(table: RawTable, kind: str, parses: Callable[[str], bool] | None = None) -> Cleaned:
    """Keep every row that has a measured target, and count the others.

    No rows are merged: this is for inputs where equal text may mean different things, such as
    formulas (different solids) or given descriptors (different molecules).

    Parameters
    ----------
    table
        Rows as the files contain them, with one line of targets each.
    kind
        Kind of the targets, as in :class:`chemdl.data.dataset.Dataset`.
    parses
        Function that says whether an input can be used; other rows are left out and counted.

    Raises
    ------
    DatasetError
        For a class other than 0 and 1, a task without any label, or no row that is left, naming
        file, line and remedy.
    """
    keys = [str(i) if parses is None or parses(s) else None for i, s in enumerate(table.inputs)]
    rule = "rows without a label left out; equal inputs are not merged"
    return merge_rows(table, keys, kind, rule=rule)


def merge_rows(
    table: RawTable,
    keys: Sequence[str | None],
    kind: str,
    *,
    rule: str,
    tolerance: float = 0.0,
    apart: str | None = None,
) -> Cleaned:
    """Drop unusable rows, merge rows that measure the same thing, and count both.

    In this order:

    1. *unparsable*: rows without a key.
    2. *unlabelled*: rows without any measured target.
    3. Rows of equal key are merged into the first of them, task by task (and site by site, where
       rows have several): equal values stay; of a regression's values that differ by at most
       ``tolerance`` (in the set's unit) the mean; contradicting values become NaN, each counted in
       *conflicting_labels*. *duplicate* counts the rows merged into an earlier one, *conflicting*
       the rows dropped because nothing but contradictions was left of their labels.

    Rows of a published valid or test set (``columns["set"]``) are never merged, nor are rows of
    two sets: the published score counts them so. Nor are rows whose column ``apart`` differs,
    where one is named. A merged row takes its further columns from the first row that has a value.

    So raw = unparsable + unlabelled + duplicate + conflicting + kept.

    Parameters
    ----------
    keys
        Identity of each row's input, n entries; ``None`` where the input cannot be used.
    rule
        Description of the rule in words, for the card.

    Raises
    ------
    DatasetError
        For a class other than 0 and 1, a task without any label, equal keys with different numbers
        of sites, or if no row is left. The message names the file, the line and a remedy.
    """
    _check_labels(table, kind)
    measured = table.measured()
    usable = np.array([key is not None for key in keys])
    kept, targets, conflicting, clashes = [], [], [], 0
    for group in _groups(table, keys, measured, apart):
        values = _values(table, group)
        merged, clashing = _merge(values.reshape(len(group), -1), tolerance)
        clashes += clashing
        if np.isnan(merged).all():
            conflicting += group
            continue
        kept.append(group)
        targets.append(merged.reshape(values.shape[1:]))
    unparsable = np.flatnonzero(~usable).tolist()
    log = {
        "raw": len(table.inputs),
        "unparsable": len(unparsable),
        "unlabelled": int((usable & ~measured).sum()),
        "duplicate": sum(len(group) - 1 for group in kept),
        "conflicting": len(conflicting),
        "conflicting_labels": clashes,
        "kept": len(kept),
        "rule": rule,
        "tolerance": tolerance,
        "examples": {
            "unparsable": _examples(table, unparsable),
            "conflicting": _examples(table, conflicting),
        },
    }
    if not kept:
        raise DatasetError(_nothing_left(table, log))
    rows = np.array([group[0] for group in kept], dtype=np.int64)
    columns = {
        name: np.array([_first_present(values[group]) for group in kept])
        for name, values in table.columns.items()
    }
    if table.lengths is None:
        return Cleaned(rows, np.array(targets), columns, log)
    return Cleaned(rows, np.concatenate(targets), columns, log, table.lengths[rows])


def clean_as_text(
    table: RawTable, kind: str, *, tolerance: float = 0.0, apart: str | None = None
) -> Cleaned:
    """Clean rows whose input is its own identity, such as the sequence of a chain.

    Rows with several sites are merged where their inputs are equal (:func:`merge_rows`); a row
    without sites or with an empty input is *unparsable*. Rows with one line of targets each are
    kept as they are (:func:`keep_rows`).
    """
    if table.lengths is None:
        return keep_rows(table, kind)
    usable = (table.lengths > 0) & np.array([bool(text.strip()) for text in table.inputs])
    keys = [text if good else None for text, good in zip(table.inputs, usable, strict=True)]
    rule = "rows of equal input merged site by site; contradicting labels left out"
    return merge_rows(table, keys, kind, rule=rule)


def _check_labels(table: RawTable, kind: str) -> None:
    if not table.inputs:
        raise DatasetError("the table is empty: it needs at least one row")
    empty = [
        t for t, labels in zip(table.tasks, table.targets.T, strict=True) if np.isnan(labels).all()
    ]
    if empty:
        raise DatasetError(
            f"{len(empty)} of {len(table.tasks)} target columns hold no value at all "
            f"({', '.join(map(repr, empty[:5]))}): leave them out, or check the delimiter"
        )
    if kind == "classification":
        wrong = np.argwhere(~np.isnan(table.targets) & ~np.isin(table.targets, (0.0, 1.0)))
        if len(wrong):
            row, column = wrong[0]
            raise DatasetError(
                f"{table.where(row)}, column {table.tasks[column]!r}: "
                f"{table.targets[row, column]:g} is no class; use 0 and 1, or kind 'regression'"
            )


def _groups(
    table: RawTable, keys: Sequence[str | None], measured: np.ndarray, apart: str | None
) -> list[list[int]]:
    """Group the usable rows by molecule, in the order of their first rows."""
    sets = table.columns.get("set")
    groups: dict[Any, list[int]] = defaultdict(list)
    for row, key in enumerate(keys):
        if key is None or not measured[row]:
            continue
        alone = sets is not None and sets[row] != "train"
        part = "" if apart is None else str(table.columns[apart][row])
        groups[(key, row) if alone else (key, part)].append(row)
    return list(groups.values())


def _values(table: RawTable, group: list[int]) -> np.ndarray:
    """Return the targets of rows of one key: (rows, tasks), or (rows, sites, tasks)."""
    if table.lengths is None:
        return table.targets[group]
    if len(set(table.lengths[group])) > 1:
        raise DatasetError(
            f"{table.where(group[0])} and {table.where(group[1])} have one input and "
            f"{table.lengths[group].tolist()} sites: mend one of them or leave it out"
        )
    return np.stack([table.targets[table.sites(np.array([row]))] for row in group])


def _merge(values: np.ndarray, tolerance: float) -> tuple[np.ndarray, int]:
    """Merge the labels (rows, tasks) of one molecule; count the tasks that contradict."""
    if len(values) == 1:
        return values[0], 0
    seen = ~np.isnan(values)
    low = np.where(seen, values, np.inf).min(axis=0)
    high = np.where(seen, values, -np.inf).max(axis=0)
    clash = high - low > tolerance
    total = np.where(seen, values, 0.0).sum(axis=0)
    mean = total / np.maximum(seen.sum(axis=0), 1)
    merged = np.where(low == high, low, mean)
    merged[clash | ~seen.any(axis=0)] = np.nan
    return merged, int(clash.sum())


def _first_present(values: np.ndarray) -> Any:
    missing = "" if values.dtype.kind in "US" else -1
    present = values[values != missing]
    return present[0] if len(present) else values[0]


def _examples(table: RawTable, rows: list[int]) -> list[str]:
    return [f"{table.where(row)}: {table.inputs[row]}" for row in rows[:EXAMPLES]]


def _nothing_left(table: RawTable, log: dict[str, Any]) -> str:
    first = f"; the first, {table.where(0)}, reads {table.inputs[0]!r}"
    return (
        f"no row is left of {log['raw']}: {log['unparsable']} unparsable, {log['unlabelled']} "
        f"without a label, {log['conflicting']} contradicting{first}: check the inputs' column"
    )
