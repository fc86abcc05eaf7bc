"""SMILES read into molecules, and what identifies them: InChIKey and Bemis-Murcko scaffold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import rdkit
from numpy.typing import NDArray
from rdkit import Chem, rdBase

from chemdl.features.cache import cached_rows

# Parsed molecules take about 10 kB each; a block of them is all that is held at once.
BLOCK = 10_000


def as_smiles(inputs: Any) -> list[str]:
    """Return ``inputs`` as a list of str.

    Raises
    ------
    ValueError
        for an empty set, more than one column, or an entry that is no text (its row is named).
    """
    values = np.asarray(inputs, dtype=object)
    if values.ndim != 1:
        raise ValueError(f"SMILES must have shape (n,), not {values.shape}; pass one column")
    if not len(values):
        raise ValueError("the set of SMILES is empty; check the filter that chose its rows")
    smiles = values.tolist()
    for row, text in enumerate(smiles):
        if not isinstance(text, str):
            raise ValueError(f"row {row}: {text!r} is no SMILES but a {type(text).__name__}")
    return smiles


def parse(smiles: Sequence[str]) -> list[Chem.Mol]:
    """Read SMILES with RDKit's default sanitisation.

    Raises
    ------
    ValueError
        naming row and SMILES, for text that RDKit cannot read or that holds no atom.
    """
    with rdBase.BlockLogs():
        molecules = [Chem.MolFromSmiles(text) for text in smiles]
    for row, molecule in enumerate(molecules):
        if molecule is None or not molecule.GetNumAtoms():
            raise ValueError(
                f"row {row}: RDKit {rdkit.__version__} cannot parse the SMILES {smiles[row]!r}; "
                "correct it or drop the row"
            )
    return molecules


def parsed_blocks(smiles: Sequence[str]) -> Iterator[list[Chem.Mol]]:
    """Yield the molecules in blocks of at most ``BLOCK``; errors name the row in the whole set."""
    for start in range(0, len(smiles), BLOCK):
        try:
            yield parse(smiles[start : start + BLOCK])
        except ValueError:
            # The row that failed counts from the block's start: find it again in the whole.
            parse(smiles)
            raise


def scaffold(molecule: Chem.Mol) -> str:
    """Return the Bemis-Murcko scaffold as SMILES without stereo; "" where there is no ring.

    Rings and the linkers between them (Bemis and Murcko, J. Med. Chem. 39, 2887, 1996).
    """
    from rdkit.Chem.Scaffolds import MurckoScaffold

    return MurckoScaffold.MurckoScaffoldSmiles(mol=molecule, includeChirality=False)


def inchikeys(smiles: Any) -> NDArray[np.str_]:
    """Return the InChIKey of each molecule, shape (n,), "" where InChI knows none. Cached."""
    return cached_rows("inchikey", {}, as_smiles(smiles), _inchikeys)


def scaffold_keys(smiles: Any) -> NDArray[np.str_]:
    """Return a 128-bit hex digest of each molecule's scaffold, shape (n,). Cached.

    Equal digests mean equal scaffolds; molecules without a ring share one.
    """
    return cached_rows("scaffold", {}, as_smiles(smiles), _scaffold_keys)


def _inchikeys(smiles: Sequence[str]) -> NDArray[np.str_]:
    with rdBase.BlockLogs():
        keys = [
            Chem.MolToInchiKey(molecule) for block in parsed_blocks(smiles) for molecule in block
        ]
    return np.array(keys, dtype="U27")


def _scaffold_keys(smiles: Sequence[str]) -> NDArray[np.str_]:
    names = [scaffold(molecule) for block in parsed_blocks(smiles) for molecule in block]
    digests = [hashlib.sha256(name.encode()).hexdigest()[:32] for name in names]
    return np.array(digests, dtype="U32")
