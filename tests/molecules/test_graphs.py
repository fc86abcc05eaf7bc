"""Graphs of molecules have chemprop's features."""

from __future__ import annotations

import numpy as np

import chemdl
from chemdl.molecules.graphs import molecular_graphs

ODD = ["C", "[Na+].[Cl-]", "[2H]O[2H]", "F/C=C/F", "F/C=C\\F", "C[C@H](N)O", "C[Se]C", "[U]"]


def test_features_are_chemprops(chemprop) -> None:
    smiles = [*chemdl.load("esol").inputs[:60], *ODD]
    ours = molecular_graphs(smiles)
    for row, text in enumerate(smiles):
        theirs = chemprop.data.MoleculeDataset([chemprop.data.MoleculeDatapoint.from_smi(text)])[
            0
        ].mg
        here = slice(row, row + 1)
        atoms = np.hstack([ours["atoms"][here].values, ours["mass"][here].values])
        np.testing.assert_allclose(atoms, theirs.V, atol=1e-6)
        # Theirs has each direction, and a column for "no bond", which none of these is.
        np.testing.assert_array_equal(ours["bonds"][here].values, theirs.E[::2, 1:])
        np.testing.assert_array_equal(ours["ends"][here].values, theirs.edge_index.T[::2])
