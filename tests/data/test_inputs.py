"""A kind of input says how its tables are cleaned, and which inputs are the same thing."""

from __future__ import annotations

import numpy as np
import pytest

from chemdl.data.cleaning import clean_as_text
from chemdl.data.inputs import DEFAULT_INPUT, INPUTS, InputKind, same_text
from chemdl.data.readers import RawTable
from chemdl.registry import UnknownNameError

KINDS = {"smiles", "descriptors", "complex", "sequence", "geometry", "formula", "crystal"}


def test_every_domain_brings_its_kinds() -> None:
    assert set(INPUTS) == KINDS
    assert DEFAULT_INPUT in INPUTS
    with pytest.raises(UnknownNameError, match=r"unknown kind of input 'smile'.*'smiles'"):
        INPUTS["smile"]


def test_by_itself_an_input_is_its_own_identity() -> None:
    kind = InputKind()
    inputs = np.array(["AC", "D", "AC"], dtype=object)
    assert kind.identities is same_text
    assert kind.identities(inputs)["input"].tolist() == ["AC", "D", "AC"]
    assert kind.clean is clean_as_text
    assert kind.version() == ""


@pytest.mark.parametrize(
    ("name", "first", "same", "other"),
    [
        ("smiles", "OCC", "CCO", "CC"),
        ("formula", "NaCl", "ClNa", "KCl"),
        ("complex", "left OCC", "right CCO", "left CC"),
        ("sequence", "MKV", "MKV", "MKA"),
        ("descriptors", "1 2", "1 2", "2 1"),
    ],
)
def test_what_is_the_same_thing_has_one_key(name: str, first: str, same: str, other: str) -> None:
    inputs = np.array([first, same, other], dtype=object)
    for keys in INPUTS[name].identities(inputs).values():
        assert keys.shape == (3,) and keys.dtype.kind == "U"
        assert keys[0] == keys[1] != keys[2]


def test_chemistry_says_which_release_its_cleaning_rests_on() -> None:
    import rdkit

    assert rdkit.__version__ in INPUTS["smiles"].version()


def test_each_kind_cleans_a_table() -> None:
    table = RawTable(["C", "CC", "C"], np.array([[1.0], [2.0], [1.0]]), ("t",),
                     places=[("a.csv", i) for i in (2, 3, 4)])  # fmt: skip
    kept = {name: INPUTS[name].clean(table, "regression").log for name in KINDS - {"complex"}}
    for name, log in kept.items():
        counted = (log[k] for k in ("unparsable", "unlabelled", "duplicate", "conflicting", "kept"))
        assert sum(counted) == log["raw"] == 3, name
    assert kept["smiles"]["duplicate"] == 1
