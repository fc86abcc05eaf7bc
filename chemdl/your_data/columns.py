"""Which column holds the SMILES, which the target: guessed where it is not said, and said aloud."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from chemdl.molecules.data import canonical_smiles
from chemdl.your_data.numbers import MISSING, read_numbers
from chemdl.your_data.tables import Table, TableError

# So many rows are looked at for a guess.
_LOOKED_AT = 200
_TARGETS = re.compile(
    r"^(p?[iea]c50|p?k[id]|y|target|activity|active|value|label|exp|log ?[dsp]( ?7\.4)?)$",
    re.IGNORECASE,
)
_NO_TARGET = re.compile(
    r"(^|[ _.-])(id|index|no|number|nr|row|year|date|time|cas|cid|mw|weight|fold|split|set|group)"
    r"($|[ _.-])|id$|^unnamed|^column \d",
    re.IGNORECASE,
)
_DATE = re.compile(r"(^|[ _.-])(date|year|time|measured.?on)($|[ _.-])", re.IGNORECASE)


@dataclass(frozen=True)
class Columns:
    """The columns by their part; ``said`` tells what was guessed, one sentence each."""

    smiles: str
    targets: tuple[str, ...]
    date: str | None
    said: tuple[str, ...]


def choose_columns(
    table: Table,
    *,
    smiles: str | None = None,
    targets: Sequence[str] = (),
    date: str | None = None,
    guesses_target: bool = True,
    decimal: str | None = None,
) -> Columns:
    """Return the columns that were asked for, and guesses for the others.

    ``decimal`` is the decimal sign of numbers, where it is known.

    Raises
    ------
    TableError
        For a column that is not there, or where nothing can be guessed; the message lists names.
    """
    sample = _Sample(table, decimal)
    said = []
    for name in (*targets, *filter(None, (smiles, date))):
        table.position(name)
    if smiles is None:
        smiles = sample.smiles()
        said.append(f"SMILES: column {smiles!r}, guessed")
    chosen = tuple(dict.fromkeys(targets))
    if smiles in chosen:
        raise TableError(f"{table.file}: column {smiles!r} cannot be both SMILES and target")
    if not chosen and guesses_target:
        chosen = sample.targets(smiles)
        names = ", ".join(map(repr, chosen))
        said.append(f"target: {names}, guessed" if chosen else "no column looks like a target")
    if date is None and (dates := [c for c in table.header if _DATE.search(c) and c not in chosen]):
        said.append(f"column {dates[0]!r} looks like a date; it is used where it is asked for")
    return Columns(smiles, chosen, date, tuple(said))


class _Sample:
    """The first rows of a table, by which columns are told apart."""

    def __init__(self, table: Table, decimal: str | None) -> None:
        self.table, self.decimal = table, decimal
        rows = [cells for _, cells in islice(table.read(), _LOOKED_AT)]
        if not rows:
            raise TableError(f"{table.file} has a header and no row; it needs at least one")
        self.columns = {name: [row[i] for row in rows] for i, name in enumerate(table.header)}

    def smiles(self) -> str:
        """Return the column that is called SMILES, or whose text reads as molecules."""
        named = [name for name in self.columns if "smiles" in name.lower()]
        if named:
            return min(named, key=lambda name: (name.lower() != "smiles", len(name)))
        shares = {name: self._parsed(name) for name in self.columns}
        best = max(shares, key=lambda name: shares[name])
        if shares[best] < 0.5:
            names = ", ".join(map(repr, self.columns))
            raise TableError(
                f"{self.table.file}: no column reads as SMILES; say which it is. Columns: {names}"
            )
        if len(best) > 3 and canonical_smiles([best])[0] is not None:
            raise TableError(
                f"{self.table.file} line 1: {best!r} is a molecule, where the names of the columns "
                "should stand; write a header, such as smiles, as the first line"
            )
        return best

    def _parsed(self, name: str) -> float:
        texts = [text for text in self.columns[name] if text not in MISSING][:50]
        if not texts or np.isfinite(read_numbers(texts).values).mean() > 0.5:
            return 0.0
        return float(np.mean([key is not None for key in canonical_smiles(texts)]))

    def targets(self, smiles: str) -> tuple[str, ...]:
        """Return the columns that look like measurements: those of a usual name, else all."""
        numeric = [name for name in self.columns if name != smiles and self._is_numeric(name)]
        usual = [name for name in numeric if _TARGETS.match(name)]
        return tuple(usual or [name for name in numeric if not _NO_TARGET.search(name)])

    def _is_numeric(self, name: str) -> bool:
        texts = [text for text in self.columns[name] if text not in MISSING]
        if not texts:
            return False
        read = read_numbers(texts, self.decimal)
        return (int(read.known.sum()) + len(read.censored)) / len(texts) >= 0.8
