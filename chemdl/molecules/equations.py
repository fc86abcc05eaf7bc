"""Published equations, as models that are not fitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from rdkit.Chem import Descriptors, rdMolDescriptors
from sklearn.base import BaseEstimator, RegressorMixin

from chemdl.learn.contract import fitted_targets
from chemdl.learn.models import baseline
from chemdl.molecules.smiles import cached_each

# RDKit's own default, written down: neither amide nor ester bonds count. Of RDKit's definitions it
# comes nearest to the predictions that Delaney printed with his set.
_ROTATABLE = rdMolDescriptors.NumRotatableBondsOptions.Strict


class ESOLEquation(RegressorMixin, BaseEstimator):
    """Delaney's equation for aqueous solubility (2004, doi:10.1021/ci034243x).

    log S = 0.16 - 0.63 cLogP - 0.0062 M + 0.066 R - 0.74 A, in log10 mol/L, with M the molar mass
    in g/mol, R the number of rotatable bonds and A the share of heavy atoms that are aromatic.

    Delaney fitted it to the molecules of the ESOL set itself, so that no test fold is new to it. He
    used Daylight's cLogP; here log P is that of Wildman and Crippen (1999), and the coefficients
    are not refitted. Over the whole set the published predictions have a root mean square error of
    0.91, these of 1.10.
    """

    kind: ClassVar[str] = "classical"
    stackable: ClassVar[bool] = False
    revision: ClassVar[int] = 1

    def fit(self, X: Sequence[str], y: np.ndarray) -> Self:
        """Learn nothing; y is checked to be one target for each molecule."""
        fitted_targets(X, y)
        self.n_tasks_ = 1
        return self

    def predict(self, X: Sequence[str]) -> np.ndarray:
        """Return log S (n,).

        Raises
        ------
        ValueError
            For SMILES that RDKit cannot read; the message names the row and the SMILES.
        """
        terms = cached_each("esol-terms", X, _terms, np.float64, rotatable="strict")
        return 0.16 + terms @ np.array([-0.63, -0.0062, 0.066, -0.74])


def _terms(molecule: Any) -> tuple[float, float, float, float]:
    """Return cLogP, mass, rotatable bonds and aromatic share of a molecule."""
    aromatic = sum(atom.GetIsAromatic() for atom in molecule.GetAtoms())
    return (
        rdMolDescriptors.CalcCrippenDescriptors(molecule)[0],
        Descriptors.MolWt(molecule),  # type: ignore[attr-defined]  # made when RDKit loads
        rdMolDescriptors.CalcNumRotatableBonds(molecule, _ROTATABLE),
        aromatic / max(1, molecule.GetNumHeavyAtoms()),
    )


baseline(
    "esol_equation",
    "equation",
    "log P, molar mass, rotatable bonds, share of aromatic atoms",
    "linear equation as published",
    "Delaney 2004, doi:10.1021/ci034243x",
    inputs=("smiles",),
    makers={"regression": ESOLEquation},
)
