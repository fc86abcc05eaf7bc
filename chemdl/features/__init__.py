"""What a model sees of a molecule: fingerprints, descriptors, similarities."""

from __future__ import annotations

from chemdl.features.descriptors import Descriptors2D, require_finite
from chemdl.features.fingerprints import ECFP
from chemdl.features.kernels import TanimotoGram, tanimoto
from chemdl.features.molecules import inchikeys, parse, scaffold_keys

__all__ = [
    "ECFP",
    "Descriptors2D",
    "TanimotoGram",
    "inchikeys",
    "parse",
    "require_finite",
    "scaffold_keys",
    "tanimoto",
]
