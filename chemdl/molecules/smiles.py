"""SMILES read into molecules, and what identifies them: InChIKey and Bemis-Murcko scaffold."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import rdkit
from numpy.typing import NDArray
from rdkit import Chem, rdBase

from chemdl.data.feature_cache import cached_rows

T = TypeVar("T")

# Parsed molecules take about 10 kB each; a few blocks of them are all that is held at once.
BLOCK = 1_000
# RDKit takes explicit hydrogens into their neighbours, which only its whole way of reading does.
_EXPLICIT_HYDROGEN = re.compile(r"\[\d*H")
_UNSANITISED: Any = Chem.SmilesParserParams()
_UNSANITISED.sanitize = False
_UNSANITISED.removeHs = False
_FLAT = (
    Chem.SanitizeFlags.SANITIZE_ALL
    ^ Chem.SanitizeFlags.SANITIZE_SETCONJUGATION
    ^ Chem.SanitizeFlags.SANITIZE_SETHYBRIDIZATION
    ^ Chem.SanitizeFlags.SANITIZE_CLEANUPCHIRALITY
)


def as_smiles(inputs: Any) -> list[str]:
    """Return ``inputs`` as a list of str.

    Raises
    ------
    ValueError
        For an empty set, more than one column, or an entry that is not text; the message names its
        row.
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


def parse(smiles: Sequence[str], *, flat: bool = False) -> list[Chem.Mol]:
    """Read SMILES with RDKit's default sanitisation.

    With ``flat``, stereo, conjugation and hybridisation are not computed. This saves a quarter of
    the time where they are not needed, such as for fingerprints without chirality.

    Raises
    ------
    ValueError
        For SMILES that RDKit cannot read or without any atom; the message names the row and the
        SMILES.
    """
    with rdBase.BlockLogs():
        molecules: list[Any] = list(map(_read_flat if flat else Chem.MolFromSmiles, smiles))
    for row, molecule in enumerate(molecules):
        if molecule is None or not molecule.GetNumAtoms():
            raise ValueError(
                f"row {row}: RDKit {rdkit.__version__} cannot parse the SMILES {smiles[row]!r}; "
                "correct it or drop the row"
            )
    return molecules


def parsed_blocks(smiles: Sequence[str], *, flat: bool = False) -> Iterator[list[Chem.Mol]]:
    """Yield the molecules in blocks of at most ``BLOCK``; errors name the row in the whole set."""
    for start in range(0, len(smiles), BLOCK):
        try:
            yield parse(smiles[start : start + BLOCK], flat=flat)
        except ValueError:
            # The row that failed counts from the block's start: find it again in the whole.
            parse(smiles)
            raise


def describe_each(smiles: Any, describe: Callable[[str], T]) -> list[T]:
    """Return ``describe`` of each SMILES (n,); errors name the row in the whole set."""
    texts = as_smiles(smiles)
    try:
        return [describe(text) for text in texts]
    except ValueError:
        # Reading one SMILES alone knows no row: find it again in the whole.
        parse(texts)
        raise


def in_processes(
    compute: Callable[[list[str]], NDArray[Any]], smiles: Sequence[str], n_jobs: int
) -> NDArray[Any]:
    """Compute parts of the SMILES in worker processes and join their rows; errors name the row.

    ``n_jobs`` is the number of processes, as joblib counts them: -1 for one a core.
    """
    from joblib import Parallel, delayed, effective_n_jobs

    parts = np.array_split(np.asarray(smiles, dtype=object), 4 * effective_n_jobs(n_jobs))
    try:
        done = Parallel(n_jobs=n_jobs)(
            delayed(compute)(part.tolist()) for part in parts if len(part)
        )
    except ValueError:
        # A worker counts rows from its part's start: find the row again in the whole.
        parse(smiles)
        raise
    return np.concatenate(done)


def scaffold(molecule: Chem.Mol) -> str:
    """Return the Bemis-Murcko scaffold as SMILES without stereo; "" where there is no ring.

    Rings and the linkers between them (Bemis and Murcko, J. Med. Chem. 39, 2887, 1996).
    """
    from rdkit.Chem.Scaffolds import MurckoScaffold

    return MurckoScaffold.MurckoScaffoldSmiles(mol=molecule, includeChirality=False)


def cached_each(
    name: str, smiles: Any, describe: Callable[[Chem.Mol], Any], dtype: Any, **parameters: Any
) -> NDArray[Any]:
    """Return ``describe`` of each molecule as rows of an array, (n,) or (n, …). Cached by name.

    Raises
    ------
    ValueError
        For an empty set or an unparsable SMILES; row and text are named.
    """

    def compute(texts: Sequence[str]) -> NDArray[Any]:
        with rdBase.BlockLogs():
            rows = [describe(molecule) for block in parsed_blocks(texts) for molecule in block]
        return np.array(rows, dtype=dtype)

    return cached_rows(name, parameters, as_smiles(smiles), compute)


def inchikeys(smiles: Any) -> NDArray[np.str_]:
    """Return the InChIKey of each molecule, shape (n,), "" where InChI knows none. Cached."""
    return cached_each("inchikey", smiles, Chem.MolToInchiKey, "U27")


def scaffold_keys(smiles: Any) -> NDArray[np.str_]:
    """Return a 128-bit hex digest of each molecule's scaffold, shape (n,). Cached.

    Equal digests mean equal scaffolds; molecules without a ring share one.
    """

    def digest(molecule: Chem.Mol) -> str:
        return hashlib.sha256(scaffold(molecule).encode()).hexdigest()[:32]

    return cached_each("scaffold", smiles, digest, "U32")


def _read_flat(text: str) -> Chem.Mol | None:
    if _EXPLICIT_HYDROGEN.search(text):
        return Chem.MolFromSmiles(text)
    molecule = Chem.MolFromSmiles(text, _UNSANITISED)
    if molecule is None or Chem.SanitizeMol(molecule, _FLAT, catchErrors=True):
        return None
    return molecule
