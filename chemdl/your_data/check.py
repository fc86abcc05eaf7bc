"""What is in a table of molecules, and what is wrong with it, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chemdl.your_data import target_findings
from chemdl.your_data.findings import Finding, duplicates
from chemdl.your_data.loading import YourTable, read_your_table
from chemdl.your_data.structures import Structures, structures


@dataclass(frozen=True)
class Check:
    """The findings about one table.

    Attributes
    ----------
    file, rows, molecules
        Name of the file, number of its rows and of its different molecules.
    said
        How the file was read, one sentence each.
    findings
        What was found, in the order of reading.
    """

    file: str
    rows: int
    molecules: int
    said: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found that has to be mended or decided."""
        return not any(finding.is_problem for finding in self.findings)

    def __str__(self) -> str:
        head = f"{self.file}: {self.rows:,} rows, {self.molecules:,} molecules"
        lines = [head, *(f"  {sentence}" for sentence in self.said)]
        for finding in self.findings:
            lines += ["", *finding.lines()]
        problems = sum(finding.is_problem for finding in self.findings)
        end = "nothing to mend" if not problems else f"{problems} things to mend or to decide"
        return "\n".join([*lines, "", end])


def check(path: str | Path, *, new: str | Path | None = None, **options: Any) -> Check:
    """Look for what a model would trip over.

    Parameters
    ----------
    path
        A table; see :func:`~chemdl.your_data.tables.open_table`.
    new
        A table of molecules to be predicted, to which similarity is measured.
    options
        As in :func:`~chemdl.your_data.loading.read_your_table`.

    Raises
    ------
    TableError
        If a file cannot be read.
    """
    yours = read_your_table(path, **{"target": "optional", **options})
    others = None
    if new is not None:
        shared = {k: v for k, v in options.items() if k in ("delimiter", "encoding")}
        others = read_your_table(new, target="none", **shared)
    return check_table(yours, others)


def check_table(yours: YourTable, others: YourTable | None = None) -> Check:
    """Look at a table that is read already; see :func:`check`."""
    known = structures(yours.smiles)
    found = [*_of_molecules(yours, known), *_of_targets(yours, known)]
    if others is not None:
        found.append(_similarity(known, others))
    molecules = len({key for key in known.canonical if key is not None})
    return Check(yours.table.file, len(yours.smiles), molecules, tuple(yours.said), tuple(found))


def _of_molecules(yours: YourTable, known: Structures) -> Iterator[Finding]:
    rows = [row for row, key in enumerate(known.canonical) if key is None]
    if rows:
        yield _at(
            yours,
            rows,
            "unparsable",
            "rows whose SMILES RDKit cannot read",
            "mend them; they are left out and counted",
            yours.smiles,
        )
    mixed = np.flatnonzero(known.fragments > 1).tolist()
    if mixed:
        yield _at(
            yours,
            mixed,
            "salts and mixtures",
            "molecules of several parts",
            "keep the part that was active in the assay; as they are, a salt and its base are "
            "two molecules",
            yours.smiles,
        )
    yield from duplicates(yours, known)
    yield from _series(known)
    if 0 < len(yours.smiles) - len(rows) < target_findings.FEWEST:
        yield Finding(
            "few molecules",
            len(yours.smiles) - len(rows),
            "molecules in all",
            (),
            "nothing can be decided between models on so few; measure more",
            True,
        )


def _series(known: Structures) -> Iterator[Finding]:
    """Say how the molecules fall into scaffolds."""
    scaffolds, sizes = np.unique([s for s in known.scaffolds if s], return_counts=True)
    if not len(sizes):
        return
    order = np.argsort(-sizes, kind="stable")[:3]
    shown = tuple(f"{scaffolds[i]}: {sizes[i]}" for i in order)
    alone = int((sizes == 1).sum())
    text = f"scaffolds; {alone:,} have one molecule, the largest {sizes.max():,}"
    yield Finding(
        "series",
        len(sizes),
        text,
        shown,
        "a random split puts each series on both sides; compare by clusters, or by time",
    )


def _of_targets(yours: YourTable, known: Structures) -> Iterator[Finding]:
    for name in yours.numbers:
        yield from target_findings.of_target(yours, name, known)
    for name, texts in yours.texts.items():
        different = sorted(set(texts) - {""})
        if "unit" in name.lower() and len(different) > 1:
            yield Finding(
                "mixed units",
                len(different),
                f"units in column {name!r}",
                tuple(different[:3]),
                "convert all rows to one unit",
                True,
            )


def _similarity(known: Structures, others: YourTable) -> Finding:
    """Compare the new molecules' nearest neighbours with those within the table."""
    from chemdl.your_data.nearest import Nearest

    rows = [key for key in known.canonical if key is not None]
    new = [key for key in structures(others.smiles).canonical if key is not None]
    nearest = Nearest.of(rows)
    outer = nearest.similarity(new)
    inner, _ = nearest.within()
    far = int((outer < np.quantile(inner, 0.05)).sum())
    text = (
        f"of {len(new):,} new molecules are farther from the table than 95 % of its own are from "
        f"each other; median similarity {np.median(outer):.2f}, within the table "
        f"{np.median(inner):.2f}"
    )
    return Finding(
        "similarity to the new molecules",
        far,
        text,
        (),
        "compare with the same file, --for, so that the folds are as far apart",
        far > len(new) / 2,
    )


def _at(
    yours: YourTable, rows: Sequence[int], name: str, text: str, remedy: str, shown: Sequence[str]
) -> Finding:
    examples = tuple(f"{yours.table.word} {yours.places[row]}: {shown[row]!r}" for row in rows[:3])
    return Finding(name, len(rows), text, examples, remedy, True)
