"""Readers of virtual screening's files, and the identity of a complex's ligand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chemdl.data import DatasetError
from chemdl.data.inputs import INPUTS
from chemdl.screening.data import read_dude, read_rfscore


def test_actives_and_decoys_are_labelled_by_their_lists(tmp_path: Path) -> None:
    lists = {
        "actives/a_actives_final.ism": "CCO 12 CHEMBL1\nCCN 13 CHEMBL2\n",
        "decoys/a_decoys_final.ism": "CCC C001\n",
        "actives/b_actives_final.ism": "CCC 14\n",
        "decoys/b_decoys_final.ism": "CCO C002\nC C003\n",
    }
    files = {name: tmp_path / name.replace("/", "-") for name in lists}
    for name, text in lists.items():
        files[name].write_text(text, encoding="utf-8")
    raw = read_dude(files, {"targets": ["a", "b"]})
    assert raw.inputs == ["CCO", "CCN", "CCC", "CCC", "CCO", "C"]
    nan = np.nan
    expected = [[1, nan], [1, nan], [0, nan], [nan, 1], [nan, 0], [nan, 0]]
    np.testing.assert_array_equal(raw.targets, expected)
    assert raw.columns["target"].tolist() == ["a", "a", "a", "b", "b", "b"]
    assert raw.where(4) == "decoys/b_decoys_final.ism line 1"
    with pytest.raises(DatasetError, match=r"target 'c' needs actives/c_actives_final\.ism"):
        read_dude(files, {"targets": ["c"]})


def test_complexes_of_one_year_are_split_by_its_core_set(tmp_path: Path) -> None:
    text = (
        "pdbid,2016_refined,2016_core,2007_refined,2007_core,act,0,1\n"
        "1abc,True,True,False,False,5.5,3,0\n"
        "2abc,True,False,True,True,6.5,0,7\n"
        "3abc,False,False,False,False,7.5,1,1\n"
    )
    options = {"targets": {"affinity": "act"}, "table": "t.csv", "year": 2016}
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    raw = read_rfscore({"t.csv": path}, options)
    assert raw.inputs == ["2 0:3", "2 1:7"]
    assert raw.targets.ravel().tolist() == [5.5, 6.5]
    assert raw.columns["id"].tolist() == ["1abc", "2abc"]
    assert raw.columns["set"].tolist() == ["test", "train"]
    earlier = read_rfscore({"t.csv": path}, {**options, "year": 2007})
    assert earlier.columns["set"].tolist() == ["test"]


def test_a_ligand_is_one_molecule_in_two_receptors() -> None:
    inputs = np.array(["akt1 CCO", "gcr OCC", "gcr CCN"], dtype=object)
    keys = INPUTS["complex"].identities(inputs)["inchikey"]
    assert keys[0] == keys[1] != keys[2]
