"""What stands in test and among the rows that were learned from is counted, by what it is."""

from __future__ import annotations

from chemdl.data import Dataset
from chemdl.evidence import splits
from chemdl.evidence.duplicates import identity_codes
from chemdl.molecules.smiles import inchikeys


def test_rows_of_one_identity_have_one_code(small_set) -> None:
    codes = identity_codes(small_set(["CCO", "C[C@H](N)O", "OCC", "C[C@@H](N)O", "CC"]))
    assert codes.keys() == {"inchikey", "inchikey_no_stereo"}
    with_stereo, without = codes["inchikey"], codes["inchikey_no_stereo"]
    assert with_stereo[0] == with_stereo[2] >= 0
    assert with_stereo[[1, 3, 4]].tolist() == [-1, -1, -1]
    assert without[1] == without[3] >= 0 and without[4] == -1


def test_one_ligand_in_two_receptors_is_a_duplicate(small_set) -> None:
    inputs = ["a C", "a CC", "b C", "b CCCC", "c CCCCC", "c CCCCCC"]
    both = {"inchikey": 2, "inchikey_no_stereo": 2}
    for kind, expected in (("complex", both), ("sequence", {"input": 0})):
        data = small_set(inputs, columns={"target": list("aabbcc")}, input_kind=kind)
        assert splits.leave_group_out(data).duplicates == expected


def test_duplicates_across_sides_are_counted(small_set) -> None:
    # Rows 0 and 6 are one molecule written twice; 1 and 7 are enantiomers; 2 stands alone.
    smiles = ["CCO", "C[C@H](N)C(=O)O", "CCC", "CCCC", "CCCCC", "CCCCCC", "OCC", "C[C@@H](N)C(=O)O"]
    dataset = small_set(smiles, columns={"set": ["train"] * 4 + ["valid"] * 2 + ["test"] * 2})
    assert splits.published(dataset).duplicates == {"inchikey": 1, "inchikey_no_stereo": 2}


def test_duplicates_on_one_side_are_not_counted(small_set) -> None:
    sets = ["train", "train", "valid", "test", "test"]
    dataset = small_set(["CCO", "OCC", "CC", "CCC", "C(C)C"], columns={"set": sets})
    assert splits.published(dataset).duplicates == {"inchikey": 0, "inchikey_no_stereo": 0}


def test_duplicates_are_counted_as_by_hand(small_set, clintox: Dataset) -> None:
    dataset = small_set([*clintox.inputs, *clintox.inputs[:40]])
    protocol = splits.random(dataset, repeats=2)
    keys = inchikeys(dataset.inputs)
    apart = set()
    for split in protocol.splits:
        others = set(keys[split.train]) | set(keys[split.valid])
        apart |= {row for row in split.test.tolist() if keys[row] in others - {""}}
    assert protocol.duplicates["inchikey"] == len(apart) > 40
    fewer = protocol.head(1).duplicates["inchikey"]
    assert 0 < fewer < len(apart)


def test_inputs_that_are_no_molecules_are_compared_as_they_are(small_set) -> None:
    dataset = small_set(["MKV", "MKV", "AAA", "GGG"], input_kind="sequence")
    protocol = splits.random(dataset, repeats=1, folds=2)
    assert set(protocol.duplicates) == {"input"}
