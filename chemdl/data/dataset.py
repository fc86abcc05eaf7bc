"""The dataset: inputs and targets, aligned by row, with a card that says where they come from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chemdl.data.errors import DatasetError
from chemdl.data.rows import row_numbers

KINDS = ("classification", "regression", "labelling")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Inputs and targets of one cleaned set; its arrays are read-only.

    A row has one line of targets. If ``lengths`` is given, it has one line for each of its *sites*,
    such as the residues of a chain or the atoms of a molecule.

    Attributes
    ----------
    name
        Name of the set in the registry.
    inputs
        Text of each row, object array of str, shape (n,): for molecules the SMILES as the source
        wrote them.
    targets
        float64, shape (n, tasks), or (sites, tasks) with the sites of all rows one after the other;
        NaN where nothing was measured. Classes are 0 and 1.
    tasks
        One name per column of ``targets``.
    kind
        ``classification``, ``regression`` or ``labelling``. In a labelling set each task has either
        states numbered from 0 or real values.
    unit
        Unit of the targets, or the meaning of class 1.
    card
        Description of the set: title, source, licence, citation (a key of references.bib), input,
        content_sha256, n, and the counts of the cleaning {raw, unparsable, unlabelled, duplicate,
        conflicting, kept, …, examples}.
    columns
        Further arrays of n entries: ``set`` (train, valid or test) and ``fold`` (-1: none) of a
        published split, and ``id``, the source's name of the row.
    lengths
        Number of sites of each row, shape (n,); ``None`` where each row has one line of targets.

    Raises
    ------
    DatasetError
        If the arrays do not have matching lengths, two tasks have one name, or a target is
        infinite or no class; the message names the sizes, the task or the value.
    """

    name: str
    inputs: np.ndarray
    targets: np.ndarray
    tasks: tuple[str, ...]
    kind: str
    unit: str
    card: Mapping[str, Any]
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    lengths: np.ndarray | None = None

    def __post_init__(self) -> None:
        inputs = _frozen(self.inputs, object)
        targets = _frozen(self.targets, np.float64)
        columns = {name: _frozen(values, None) for name, values in self.columns.items()}
        if self.kind not in KINDS:
            raise DatasetError(f"{self.name}: kind is {self.kind!r}; use one of {', '.join(KINDS)}")
        if len(inputs) == 0:
            raise DatasetError(f"{self.name}: the set is empty; a dataset needs at least one row")
        if self.lengths is not None:
            object.__setattr__(self, "lengths", _frozen(self.lengths, np.int64))
            self._check_lengths(inputs)
        sites = len(inputs) if self.lengths is None else int(self.lengths.sum())
        if targets.shape != (sites, len(self.tasks)):
            what = "" if self.lengths is None else f" of {sites} sites"
            raise DatasetError(
                f"{self.name}: {len(inputs)} inputs{what} and {len(self.tasks)} tasks need targets "
                f"of shape ({sites}, {len(self.tasks)}), not {targets.shape}"
            )
        self._check_targets(targets)
        for name, values in columns.items():
            if len(values) != len(inputs):
                raise DatasetError(
                    f"{self.name}: column {name!r} has {len(values)} rows, the inputs {len(inputs)}"
                )
        for name, value in (("inputs", inputs), ("targets", targets), ("columns", columns)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "tasks", tuple(self.tasks))
        digest = content_hash(inputs, targets, self.tasks, self.lengths)
        object.__setattr__(self, "card", {**self.card, "n": len(inputs), "content_sha256": digest})

    def __len__(self) -> int:
        return len(self.inputs)

    def __repr__(self) -> str:
        tasks = f"{len(self.tasks)} task{'s' * (len(self.tasks) != 1)}"
        return f"Dataset({self.name!r}, n={len(self)}, {tasks}, {self.kind}, unit={self.unit!r})"

    def subset(self, rows: Sequence[int] | np.ndarray) -> Dataset:
        """Return the set of these rows (indices or a boolean mask), in the order given.

        The card's ``n`` and ``content_sha256`` are those of the subset; ``parent`` is the hash of
        the set it was taken from.

        Raises
        ------
        DatasetError
            If no row is chosen, or a row that the set does not have.
        """
        index = row_numbers(rows, len(self), self.name)
        if index.size == 0:
            raise DatasetError(f"{self.name}: no rows were chosen; a dataset needs at least one")
        return replace(
            self,
            inputs=self.inputs[index],
            targets=self.targets[self.sites(index)],
            card={**self.card, "parent": self.card["content_sha256"]},
            columns={name: values[index] for name, values in self.columns.items()},
            lengths=None if self.lengths is None else self.lengths[index],
        )

    def with_column(self, name: str, values: np.ndarray) -> Dataset:
        """Return the set with this column, one value a row, added or replaced."""
        return replace(self, columns={**self.columns, name: values})

    @property
    def offsets(self) -> np.ndarray:
        """Index of the first site of each row, then the number of all sites, shape (n + 1,)."""
        lengths = np.ones(len(self), np.int64) if self.lengths is None else self.lengths
        return np.concatenate([[0], np.cumsum(lengths)])

    def sites(self, rows: np.ndarray) -> np.ndarray:
        """Return the lines of ``targets`` that belong to these rows, in the order of the rows."""
        rows = row_numbers(rows, len(self), self.name)
        if self.lengths is None:
            return rows
        lengths, offsets = self.lengths[rows], self.offsets[rows]
        begun = np.cumsum(lengths) - lengths
        return np.repeat(offsets - begun, lengths) + np.arange(int(lengths.sum()))

    def row_of_site(self) -> np.ndarray:
        """Return the row that each line of ``targets`` belongs to, shape (sites,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def sample(self, n: int, seed: int = 0) -> Dataset:
        """Return ``n`` rows drawn by ``seed``, in the set's order; the whole set when n is larger.

        Rows of a classification set are drawn in proportion from strata. The stratum of a row is
        the rarest task that it is positive in, so that a small sample keeps positives of rare
        tasks. No stratum is left empty if ``n`` is large enough.
        """
        if n < 1:
            raise DatasetError(f"{self.name}: a sample needs at least one row, not {n}")
        if n >= len(self):
            return self
        rng = np.random.default_rng(seed)
        strata = self._strata()
        sizes = np.bincount(strata)
        quotas = _proportional(sizes, n)
        drawn = [
            rng.choice(np.flatnonzero(strata == s), size=quota, replace=False)
            for s, quota in enumerate(quotas)
            if quota
        ]
        return self.subset(np.sort(np.concatenate(drawn)))

    def subsample(
        self,
        *,
        train: int,
        valid: int | None = None,
        test: int | None = None,
        seed: int | np.random.Generator = 0,
    ) -> Dataset:
        """Return fewer rows of each subset of a published split, in the set's order.

        Parameters
        ----------
        train, valid, test
            Number of rows of each subset in ``columns["set"]`` to keep. By default all test rows
            stay, and valid rows are reduced in the same proportion as train rows.
        seed
            Seed, from which the rows of each subset are drawn independently, or a generator, from
            which they are drawn one subset after the other.

        Raises
        ------
        DatasetError
            If the set has no published split.
        """
        if "set" not in self.columns:
            raise DatasetError(f"{self.name}: no column 'set', so no published split; use sample")
        if any(n is not None and n < 0 for n in (train, valid, test)):
            raise DatasetError(f"{self.name}: {train}, {valid}, {test} rows; give 0 or more")
        subsets = np.asarray(self.columns["set"])
        if valid is None:
            share = train / max(1, int((subsets == "train").sum()))
            valid = round(share * int((subsets == "valid").sum()))
        rows = [
            np.random.default_rng(seed).permutation(np.flatnonzero(subsets == subset))[:count]
            for subset, count in (("train", train), ("valid", valid), ("test", test))
        ]
        return self.subset(np.sort(np.concatenate(rows)))

    def _check_targets(self, targets: np.ndarray) -> None:
        if len(set(self.tasks)) < len(self.tasks):
            raise DatasetError(
                f"{self.name}: tasks need names of their own, not {', '.join(self.tasks)}"
            )
        is_class = (targets == 0) | (targets == 1)
        allowed = is_class if self.kind == "classification" else np.isfinite(targets)
        bad = ~allowed & ~np.isnan(targets)
        if bad.any():
            line, task = (int(axis[0]) for axis in np.nonzero(bad))
            wanted = "0, 1" if self.kind == "classification" else "a finite number"
            raise DatasetError(
                f"{self.name}: target {targets[line, task]} of task {self.tasks[task]!r} in line "
                f"{line}; give {wanted} or NaN (not measured)"
            )

    def _check_lengths(self, inputs: np.ndarray) -> None:
        assert self.lengths is not None
        if self.lengths.shape != inputs.shape:
            raise DatasetError(
                f"{self.name}: lengths of shape {self.lengths.shape} for {len(inputs)} inputs"
            )
        if (self.lengths < 1).any():
            row = int(np.flatnonzero(self.lengths < 1)[0])
            raise DatasetError(
                f"{self.name}: row {row} has {self.lengths[row]} sites; each row needs one or more"
            )

    def _strata(self) -> np.ndarray:
        """Number each row by the rarest task that it is positive in; 0 where it is in none."""
        if self.kind != "classification":
            return np.zeros(len(self), dtype=np.int64)
        positive = self.targets == 1
        order = np.argsort(positive.sum(axis=0), kind="stable")
        rarest = positive[:, order].argmax(axis=1) + 1
        return np.where(positive.any(axis=1), rarest, 0)


def content_hash(
    inputs: np.ndarray,
    targets: np.ndarray,
    tasks: Sequence[str],
    lengths: np.ndarray | None = None,
) -> str:
    """Return the sha256 over the raw inputs, their sites and targets, and the names of the tasks.

    Raw inputs, because canonical SMILES change between RDKit releases.
    """
    digest = hashlib.sha256(json.dumps([list(tasks), list(inputs)]).encode())
    # One NaN and one zero, whatever bits they had.
    values = np.where(np.isnan(targets), np.nan, targets + 0.0)
    digest.update(np.ascontiguousarray(values, dtype="<f8").tobytes())
    if lengths is not None:
        digest.update(np.ascontiguousarray(lengths, dtype="<i8").tobytes())
    return digest.hexdigest()


def _frozen(values: Any, dtype: Any) -> np.ndarray:
    array = np.array(values, dtype=dtype)
    array.flags.writeable = False
    return array


def _proportional(sizes: np.ndarray, n: int) -> np.ndarray:
    """Share ``n`` draws over strata by largest remainder, one at least each where n allows."""
    floor = np.minimum(sizes, int(n >= np.count_nonzero(sizes)))
    exact = floor + (sizes - floor) * ((n - floor.sum()) / (sizes - floor).sum())
    quotas = np.floor(exact).astype(np.int64)
    remainder = np.argsort(quotas - exact, kind="stable")
    quotas[remainder[: n - quotas.sum()]] += 1
    return quotas
