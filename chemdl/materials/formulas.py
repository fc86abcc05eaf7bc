"""Chemical formulas: the amount of each element in a line of text.

They are parsed here and not by a library, because cleaning reads hundreds of thousands of them and
the usual libraries do not read the dot of a hydrate. Tests compare everything else with pymatgen.
The elements are those of RDKit.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Mapping

from chemdl.data.errors import DatasetError

_TOKEN = re.compile(r"\s*([A-Z][a-z]?|[\[({]|[\])}]|[·•⋅*]|(?:\d+\.?\d*|\.\d+)(?:[eE]-?\d+)?)")
_OPENED = {")": "(", "]": "[", "}": "{"}
_DOTS = "·•⋅*"
LAST_ELEMENT = 103
# Shares are compared to this many digits: more than any synthesis can weigh.
_DIGITS = 6


class FormulaError(DatasetError):
    """Text that is not a formula; the message says what is wrong and where."""


def parse_formula(text: str) -> dict[int, float]:
    """Return the amount of each element, by atomic number, in the order of the periodic table.

    Brackets of three kinds nest, amounts may be decimals, and a middle dot (or ``*``) joins the
    parts of a hydrate, each with a factor in front. D and T are hydrogen. An element of amount zero
    is left out.

    Raises
    ------
    FormulaError
        For an unknown element, a negative amount, brackets that do not match, other text, or an
        empty formula.
    """
    amounts: dict[int, float] = defaultdict(float)
    for part in _parts(text):
        factor = float(part.pop(0)) if part and _is_number(part[0]) else 1.0
        for number, amount in _group(text, part, closing="").items():
            amounts[number] += factor * amount
    positive = {number: amounts[number] for number in sorted(amounts) if amounts[number] > 0}
    if not positive:
        raise FormulaError(f"{text!r} holds no element; write a formula such as Ga0.5In0.5As")
    return positive


def fractions(text: str) -> dict[int, float]:
    """Return the share of each element in the atoms; raises as :func:`parse_formula`."""
    amounts = parse_formula(text)
    total = sum(amounts.values())
    return {number: amount / total for number, amount in amounts.items()}


def composition_key(amounts: Mapping[int, float]) -> str:
    """Return a text that is equal for all formulas of one composition, such as GaAs and Ga2As2."""
    total = sum(amounts.values())
    parts = (f"{number}:{amount / total:.{_DIGITS}f}" for number, amount in sorted(amounts.items()))
    return " ".join(parts)


def _parts(text: str) -> list[list[str]]:
    """Return the tokens of each part of a hydrate, or of the whole text."""
    parts: list[list[str]] = [[]]
    place, end = 0, len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            rest = text[place:].strip()
            why = "an amount cannot be negative" if rest[0] in "-−" else "that is no formula"
            raise FormulaError(f"{text!r} has {rest!r} at character {place + 1}: {why}")
        token = match[1]
        if token in _DOTS:
            parts.append([])
        else:
            parts[-1].append(token)
        place = match.end()
    return parts


def _group(text: str, tokens: list[str], closing: str) -> dict[int, float]:
    """Remove tokens up to the closing bracket; return the amount of each element in them."""
    amounts: dict[int, float] = defaultdict(float)
    while tokens:
        token = tokens.pop(0)
        if token in _OPENED:
            if token != closing:
                raise FormulaError(f"{text!r} closes {token!r}, which was not opened there")
            return amounts
        if _is_number(token):
            raise FormulaError(f"{text!r} has the amount {token} where an element is wanted")
        if token in _OPENED.values():
            inner = _group(text, tokens, next(c for c, o in _OPENED.items() if o == token))
        else:
            inner = {_atomic_number(text, token): 1.0}
        factor = float(tokens.pop(0)) if tokens and _is_number(tokens[0]) else 1.0
        for number, amount in inner.items():
            amounts[number] += factor * amount
    if closing:
        raise FormulaError(f"{text!r} opens {_OPENED[closing]!r} and does not close it")
    return amounts


def _is_number(token: str) -> bool:
    return token[0].isdigit() or token[0] == "."


def _atomic_number(text: str, symbol: str) -> int:
    number = symbols().get(symbol)
    if number is None:
        raise FormulaError(f"{text!r} names {symbol!r}, which is no element up to lawrencium")
    return number


@functools.cache
def symbols() -> dict[str, int]:
    """Return the atomic number of each symbol; those of deuterium and tritium are hydrogen's."""
    from rdkit import Chem

    table = Chem.GetPeriodicTable()
    numbers = {table.GetElementSymbol(z): z for z in range(1, LAST_ELEMENT + 1)}
    return {**numbers, "D": 1, "T": 1}


def element_symbol(number: int) -> str:
    """Return the symbol of an atomic number from 1 to 103."""
    return next(symbol for symbol, z in symbols().items() if z == number)
