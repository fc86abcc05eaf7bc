"""Duplicates across a split: the same input both in test and in train or valid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chemdl.data.inputs import DEFAULT_INPUT, INPUTS
from chemdl.evidence.folds import Rows


def identity_codes(dataset: Any) -> dict[str, Rows]:
    """Number the identity of each row, by kind of identity, as the kind of input defines them.

    Returns
    -------
    dict
        For each kind of identity the codes (n,); -1 where a row has no duplicate in the set, or no
        key.
    """
    card = getattr(dataset, "card", None) or {}
    kind = INPUTS[card.get("input", DEFAULT_INPUT)]
    identities = kind.identities(np.asarray(dataset.inputs, dtype=object))
    return {name: _shared_codes(keys) for name, keys in identities.items()}


def _shared_codes(keys: NDArray[np.str_]) -> Rows:
    _, codes, counts = np.unique(keys, return_inverse=True, return_counts=True)
    return np.where((counts[codes] > 1) & (keys != ""), codes, -1).astype(np.int64)


def count_duplicates(splits: Sequence[Any], codes: Mapping[str, Rows]) -> dict[str, int]:
    """Count, by kind of identity, the test rows with a duplicate in train or valid.

    A row is counted once, even if it has a duplicate in several of the splits.
    """
    result = {}
    for name, code in codes.items():
        duplicated = np.zeros(len(code), dtype=bool)
        for split in splits:
            learned = np.zeros(int(code.max(initial=-1)) + 2, dtype=bool)
            learned[code[split.train]] = True
            learned[code[split.valid]] = True
            learned[-1] = False  # where code is -1: no duplicate at all
            duplicated[split.test] |= learned[code[split.test]]
        result[name] = int(duplicated.sum())
    return result
