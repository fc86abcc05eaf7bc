"""Twins across a split: the same molecule, or the same input, in test and in what was learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chemdl.evidence.folds import Rows


def key_codes(dataset: Any) -> dict[str, Rows]:
    """Number the identity of each row; -1 where it has no twin in the set or no key."""
    inputs = np.asarray(dataset.inputs)
    kind = (getattr(dataset, "card", None) or {}).get("input", "smiles")
    if kind == "complex":
        # One molecule in two receptors is one molecule all the same.
        inputs = np.array([text.partition(" ")[2] for text in inputs], dtype=object)
    elif kind in ("formula", "crystal"):
        from chemdl.materials.compositions import composition_keys

        # GaAs and Ga2As2 are one composition, and so are the polymorphs of a crystal.
        return {"composition": _shared_codes(composition_keys(inputs.tolist()))}
    elif kind != "smiles":
        return {"input": _shared_codes(inputs.astype(str))}
    from chemdl.molecules.smiles import inchikeys

    keys = inchikeys(inputs)
    return {
        "inchikey": _shared_codes(keys),
        "inchikey_no_stereo": _shared_codes(keys.astype("U14")),
    }


def _shared_codes(keys: NDArray[np.str_]) -> Rows:
    _, codes, counts = np.unique(keys, return_inverse=True, return_counts=True)
    return np.where((counts[codes] > 1) & (keys != ""), codes, -1).astype(np.int64)


def twins(splits: Sequence[Any], codes: Mapping[str, Rows]) -> dict[str, int]:
    """Count, by key, the rows that stand in test while a twin stands in train or valid."""
    result = {}
    for key, code in codes.items():
        apart = np.zeros(len(code), dtype=bool)
        for split in splits:
            seen = np.zeros(int(code.max(initial=-1)) + 2, dtype=bool)
            seen[code[split.train]] = True
            seen[code[split.valid]] = True
            seen[-1] = False  # where code is -1: no twin at all
            apart[split.test] |= seen[code[split.test]]
        result[key] = int(apart.sum())
    return result
