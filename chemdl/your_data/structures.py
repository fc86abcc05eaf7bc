"""What the findings need of each molecule, in one pass of RDKit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Structures:
    """Facts of n molecules; of SMILES that do not parse, ``None``, 0, NaN and "".

    Attributes
    ----------
    canonical, flat
        Canonical SMILES with and without stereo.
    fragments
        Number of parts, int (n,).
    weight
        Mass of the most frequent isotopes in Da, float64 (n,).
    scaffolds
        Bemis-Murcko scaffold as SMILES, "" where there is no ring.
    """

    canonical: list[str | None]
    flat: list[str | None]
    fragments: np.ndarray
    weight: np.ndarray
    scaffolds: list[str]


def structures(smiles: Sequence[str]) -> Structures:
    """Read n SMILES; equal text is read once."""
    from rdkit import rdBase

    with rdBase.BlockLogs():
        known = {text: _facts(text) for text in dict.fromkeys(smiles)}
    rows = [known[text] for text in smiles]
    canonical, flat, fragments, weight, scaffolds = map(list, zip(*rows, strict=True))
    return Structures(canonical, flat, np.array(fragments), np.array(weight), scaffolds)


def _facts(smiles: str) -> tuple[str | None, str | None, int, float, str]:
    from rdkit import Chem
    from rdkit.Chem.rdMolDescriptors import CalcExactMolWt

    from chemdl.molecules.smiles import scaffold

    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None or not molecule.GetNumAtoms():
        return None, None, 0, float("nan"), ""
    flat = Chem.MolToSmiles(molecule, isomericSmiles=False)
    parts = len(Chem.GetMolFrags(molecule))
    return Chem.MolToSmiles(molecule), flat, parts, CalcExactMolWt(molecule), scaffold(molecule)
