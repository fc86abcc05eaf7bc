"""As many molecules as a benchmark wants, hardly two of them the same text."""

from __future__ import annotations

import math

import numpy as np

import chemdl


def random_smiles(count: int) -> tuple[list[str], np.ndarray]:
    """Return random SMILES (count,) of lipophilicity's molecules and their targets (count, 1).

    In an order by chance, so that the first thousand are of the same kind as all.
    """
    from rdkit import Chem

    data = chemdl.load("lipophilicity")
    each = math.ceil(count / len(data))
    order = np.random.default_rng(0).permutation(len(data) * each)[:count]
    written = [
        Chem.MolToRandomSmilesVect(Chem.MolFromSmiles(text), each, randomSeed=1)
        for text in data.inputs
    ]
    smiles = [written[place // each][place % each] for place in order]
    return smiles, data.targets[order // each]
