"""Six physical properties of a molecule: what DUD-E matches its decoys by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import Descriptors, rdMolDescriptors

from chemdl.molecules.smiles import cached_each

PROPERTIES = ("mass", "logP", "rotatable bonds", "donors", "acceptors", "charge")


def physical_properties(smiles: Any) -> NDArray[np.float32]:
    """Return six properties of each molecule: (n, 6), columns as in ``PROPERTIES``. Cached.

    Mass in dalton, Crippen's logP, counts of rotatable bonds, hydrogen bond donors and acceptors
    (Lipinski's), and the formal charge: those by which DUD-E chooses decoys like the actives
    (Mysinger et al. 2012).

    Raises
    ------
    ValueError
        For an empty set, or SMILES that RDKit cannot read; the message names row and text.
    """
    return cached_each("properties", smiles, _row, np.float32)


def _row(molecule: Chem.Mol) -> tuple[float, ...]:
    return (
        Descriptors.MolWt(molecule),  # type: ignore[attr-defined]
        rdMolDescriptors.CalcCrippenDescriptors(molecule)[0],
        rdMolDescriptors.CalcNumRotatableBonds(molecule),
        rdMolDescriptors.CalcNumHBD(molecule),
        rdMolDescriptors.CalcNumHBA(molecule),
        Chem.GetFormalCharge(molecule),
    )
