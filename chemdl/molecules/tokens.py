"""Molecules as strings: SMILES cut into tokens of a fixed vocabulary, in one order or several.

The vocabulary comes from the grammar of SMILES (Weininger 1988, doi:10.1021/ci00057a005) and the
periodic table, not from data: no test molecule changes what a net is trained on, and a model reads
any molecule. A token is what carries one meaning: an element (``Cl`` is chlorine, not a carbon and
an l), a bond, a branch, a ring closure. Bracket atoms are spelled out, ``[13CH4]`` as
``[ 1 3 C H 4 ]``, because their kinds cannot be listed; their element is the same token inside
brackets and outside, so that ``[N+]`` shares what was learned of ``N``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase

from chemdl.learn.ragged import Ragged
from chemdl.molecules.smiles import describe_each, parse
from chemdl.settings import spawn

PADDING, UNKNOWN = 0, 1
_TABLE = Chem.GetPeriodicTable()
ELEMENTS = tuple(_TABLE.GetElementSymbol(number) for number in range(1, 119))
AROMATIC = ("b", "c", "n", "o", "p", "s", "si", "as", "se", "te")
BONDS = ("-", "=", "#", "$", ":", "/", "\\", "~", "->", "<-")
CHIRALITY = ("@", "@@", "@TH", "@AL", "@SP", "@TB", "@OH")
# Ten rings open at once are rare, hence one token for each number and not three.
RING_CLOSURES = tuple(f"%{number}" for number in range(10, 100))
# The first two places stand for padding and for whatever has no place of its own.
VOCABULARY: tuple[str, ...] = (
    *("", "?"),
    *("(", ")", ".", "[", "]", "+", "*"),
    *"0123456789",
    *BONDS,
    *CHIRALITY,
    *AROMATIC,
    *ELEMENTS,
    *RING_CLOSURES,
)
_PLACES = {token: place for place, token in enumerate(VOCABULARY)}

# Outside brackets "Sc" is a sulfur and an aromatic carbon, within them scandium.
_OUTSIDE = re.compile(r"\[[^]]*\]|%\d\d|%\(\d+\)|Br|Cl|->|<-|.", re.DOTALL)
_SYMBOLS = sorted((*ELEMENTS, *AROMATIC, *CHIRALITY), key=len, reverse=True)
_WITHIN = re.compile("|".join(map(re.escape, _SYMBOLS)) + "|.", re.DOTALL)

# Five orders of a drug take about 0.5 kB.
_KEPT = 2**17


def tokens(smiles: str) -> list[str]:
    """Cut a SMILES into tokens; joined, they are the SMILES again.

    Text that no rule knows is cut into characters.
    """
    cut: list[str] = []
    for part in _OUTSIDE.findall(smiles):
        cut.extend(_WITHIN.findall(part) if part[0] == "[" else [part])
    return cut


def token_places(smiles: str) -> NDArray[np.uint8]:
    """Return the place in the vocabulary of each token of a SMILES, ``UNKNOWN`` for others."""
    return np.array([_PLACES.get(token, UNKNOWN) for token in tokens(smiles)], dtype=np.uint8)


def smiles_tokens(smiles: Sequence[str], *, variants: int = 1, seed: int = 0) -> Ragged:
    """Return the tokens of n molecules as places in ``VOCABULARY``, padded rows.

    The first variant is RDKit's canonical SMILES, for any given SMILES of the molecule. The others
    begin at other atoms and take other branches first (Bjerrum 2017, arXiv:1703.07076): the atoms
    are renumbered at random, and written in that order. They depend only on molecule and seed; with
    more variants the first ones stay the same.

    Returns
    -------
    Ragged
        uint8, (total, variants). A molecule is as long as the longest of its variants; shorter
        variants end in ``PADDING``.

    Raises
    ------
    ValueError
        For fewer than one variant, or SMILES that RDKit cannot read; the message names row and
        SMILES.
    """
    if variants < 1:
        raise ValueError(f"a molecule has one variant or more, not {variants}")
    rows = describe_each(smiles, lambda text: _variant_places(text, variants, seed))
    return Ragged.of(rows, layout="padded")


def spellings(smiles: str, variants: int, seed: int = 0) -> list[str]:
    """Return the canonical SMILES of a molecule and ``variants - 1`` in random orders of atoms."""
    (molecule,) = parse([smiles])
    canonical = Chem.MolToSmiles(molecule)
    texts = [canonical]
    if variants > 1:
        # Read again, so that the orders do not depend on the spelling that came in.
        with rdBase.BlockLogs():
            molecule = Chem.MolFromSmiles(canonical) or molecule
        rng = np.random.default_rng(spawn(seed, "spellings", canonical))
        for _ in range(variants - 1):
            order = rng.permutation(molecule.GetNumAtoms()).tolist()
            texts.append(Chem.MolToSmiles(Chem.RenumberAtoms(molecule, order), canonical=False))
    return texts


@functools.lru_cache(maxsize=_KEPT)
def _variant_places(smiles: str, variants: int, seed: int) -> NDArray[np.uint8]:
    """Return the places of one molecule's tokens: (longest, variants)."""
    columns = [token_places(text) for text in spellings(smiles, variants, seed)]
    places = np.full((max(map(len, columns)), variants), PADDING, dtype=np.uint8)
    for variant, column in enumerate(columns):
        places[: len(column), variant] = column
    places.setflags(write=False)
    return places
