"""A finding about a table, and the findings about molecules that stand in it more than once."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from chemdl.your_data.loading import YourTable
from chemdl.your_data.structures import Structures


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes
    ----------
    name
        Two or three words.
    count
        How often it was found.
    text
        What was counted.
    examples
        Up to three, with their lines.
    remedy
        What to do.
    is_problem
        Whether it has to be mended or decided; the others are worth knowing.
    """

    name: str
    count: int
    text: str
    examples: tuple[str, ...]
    remedy: str
    is_problem: bool = False

    def lines(self) -> list[str]:
        """Write the finding for a terminal."""
        head = f"{'!' if self.is_problem else '·'} {self.name}: {self.count:,} {self.text}"
        body = [*(f"e.g. {example}" for example in self.examples), f"→ {self.remedy}"]
        return [
            *textwrap.wrap(head, 96, subsequent_indent="  "),
            *(f"    {line if len(line) < 120 else line[:119] + chr(8230)}" for line in body),
        ]


def duplicates(yours: YourTable, known: Structures) -> Iterator[Finding]:
    """Find molecules that stand in several rows: with equal, other, or stereo-dependent values."""
    groups = [rows for rows in _groups(known.canonical) if len(rows) > 1]
    for name, read in yours.numbers.items():
        spread = {
            tuple(rows): np.ptp(read.values[rows][read.known[rows]])
            for rows in groups
            if read.known[rows].sum() > 1
        }
        same = [rows for rows, size in spread.items() if size == 0]
        other = sorted((r for r, size in spread.items() if size > 0), key=lambda r: -spread[r])
        if same:
            yield Finding(
                "duplicates that agree",
                len(same),
                f"molecules, {name!r} is equal",
                _examples(yours, same, name),
                "they are merged into one row",
            )
        if other:
            median = float(np.median([spread[rows] for rows in other]))
            text = f"molecules with several values of {name!r}; the median spread is {median:.3g}"
            yield Finding(
                "duplicates that differ",
                len(other),
                text,
                _examples(yours, other, name),
                "their mean is taken; look at the largest, it may be a mistake",
                True,
            )
    if not yours.numbers and groups:
        yield Finding(
            "duplicates",
            len(groups),
            "molecules stand in several rows",
            _examples(yours, groups, None),
            "they are merged into one row",
        )
    stereo = [
        rows for rows in _groups(known.flat) if len({known.canonical[row] for row in rows}) > 1
    ]
    if stereo:
        yield Finding(
            "stereoisomers",
            len(stereo),
            "molecules stand there in several stereo forms",
            _examples(yours, stereo, None),
            "fingerprints cannot tell them apart; a random split puts them on both sides",
        )


def _groups(keys: Sequence[str | None]) -> list[list[int]]:
    rows = defaultdict(list)
    for row, key in enumerate(keys):
        if key is not None:
            rows[key].append(row)
    return list(rows.values())


def _examples(
    yours: YourTable, groups: Sequence[Sequence[int]], target: str | None
) -> tuple[str, ...]:
    shown = []
    for rows in groups[:3]:
        lines = ", ".join(str(yours.places[row]) for row in rows[:4])
        values = (
            ""
            if target is None
            else ": " + ", ".join(f"{yours.numbers[target].values[row]:.4g}" for row in rows[:4])
        )
        shown.append(f"{yours.table.word}s {lines}{values} ({yours.smiles[rows[0]]})")
    return tuple(shown)
