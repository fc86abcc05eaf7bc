"""Readers of molecules' files, the cleaning of SMILES, and a table of one's own."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from chemdl.data import DatasetError
from chemdl.data.inputs import INPUTS
from chemdl.data.readers import READERS, RawTable
from chemdl.molecules.data import (
    canonical_smiles,
    clean_smiles,
    from_csv,
    read_keyed_table,
    read_merck,
    read_tables_by_task,
    read_tox21_challenge,
)


def write(folder: Path, text: str, name: str = "t.csv") -> dict[str, Path]:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return {name: path}


def test_readers_are_registered_under_the_names_that_the_registry_of_sets_uses() -> None:
    readers = {
        "tox21_challenge": read_tox21_challenge,
        "keyed_table": read_keyed_table,
        "tables_by_task": read_tables_by_task,
        "merck": read_merck,
    }
    assert {name: READERS[name] for name in readers} == readers


# --- cleaning -------------------------------------------------------------------------------------


def test_spellings_of_one_molecule_are_one_row_and_what_cannot_be_read_is_left_out() -> None:
    smiles = ["CCO", "not a molecule", "", "OCC", "C(O)C", "CCN"]
    places = [("t.csv", row + 2) for row in range(len(smiles))]
    raw = RawTable(smiles, np.ones((len(smiles), 1)), ("a",), {}, places)
    cleaned = clean_smiles(raw, "classification")
    assert cleaned.rows.tolist() == [0, 5]
    assert [cleaned.log[key] for key in ("unparsable", "duplicate", "kept")] == [2, 2, 2]
    assert cleaned.log["examples"]["unparsable"] == [
        "t.csv line 3: not a molecule",
        "t.csv line 4: ",
    ]


def test_salts_charges_and_stereoisomers_stay_apart() -> None:
    smiles = ["CC(=O)O", "CC(=O)[O-]", "CC(=O)O.Cl", "C[C@H](N)O", "C[C@@H](N)O"]
    raw = RawTable(smiles, np.ones((5, 1)), ("a",), {}, [("t.csv", row) for row in range(5)])
    assert clean_smiles(raw, "classification").log["kept"] == 5
    keys = INPUTS["smiles"].identities(np.array(smiles, dtype=object))
    assert len(set(keys["inchikey"])) == 5
    assert keys["inchikey_no_stereo"][3] == keys["inchikey_no_stereo"][4]


def test_rdkit_is_quiet_while_cleaning_and_speaks_again_afterwards(
    capfd: pytest.CaptureFixture[str],
) -> None:
    from rdkit import Chem

    assert canonical_smiles(["C(C)(C)(C)(C)C", "OCC"]) == [None, "CCO"]
    assert capfd.readouterr().err == ""
    assert Chem.MolFromSmiles("C(C)(C)(C)(C)C") is None
    assert "valence" in capfd.readouterr().err


# --- the challenge of 2014 ------------------------------------------------------------------------


def challenge(folder: Path, table: str, **smiles: str) -> dict[str, Path]:
    files = write(folder, "ID,set,CVfold,NR.AR\n" + table, "all.csv")
    for part in ("train", "test", "score"):
        files |= write(folder, smiles.get(part, ""), f"{part}/nr-ar.smiles")
    return files


CHALLENGE = {"table": "all.csv", "targets": {"NR-AR": "NR.AR"}}
TABLE = "A,training,2,1\nB,training,NA,0\nC,validation,5,0\nD,test,1,1\n"


def test_the_challenge_is_joined_by_sample(tmp_path: Path) -> None:
    files = challenge(
        tmp_path, TABLE, train="CC\tB\t0\nC\tA\t1\n", test="CCC\tC\t0\n", score="CCCC\tD\t1\n"
    )
    raw = read_tox21_challenge(files, CHALLENGE)
    assert raw.inputs == ["C", "CC", "CCC", "CCCC"]
    assert list(raw.columns["set"]) == ["train", "train", "valid", "test"]
    assert list(raw.columns["fold"]) == [2, -1, -1, -1]
    assert list(raw.targets.ravel()) == [1, 0, 0, 1]


def test_a_challenge_whose_sources_disagree_is_refused(tmp_path: Path) -> None:
    wrong = challenge(tmp_path / "wrong", TABLE, train="C\tA\t0\n")
    with pytest.raises(DatasetError, match=r"train/nr-ar\.smiles line 1: A has label 0, but 1"):
        read_tox21_challenge(wrong, CHALLENGE)
    short = challenge(tmp_path / "short", TABLE, train="C\tA\t1\n")
    with pytest.raises(DatasetError, match="3 samples have no SMILES, B is one"):
        read_tox21_challenge(short, CHALLENGE)


# --- a table of values and lists of structures ----------------------------------------------------

KEYED = {
    "table": "values.tsv",
    "key": "CAS",
    "delimiter": "\t",
    "targets": {"melting point": "Tm"},
    "structures": {"files": ["first.tsv", "second.tsv"], "key": 1, "smiles": 2},
}


@pytest.fixture
def keyed(tmp_path: Path) -> dict[str, Path]:
    texts = {
        "values.tsv": "CAS\tTm\n7732-18-5\t273.15\n64-17-5\t159\n1-1-1\t300\n",
        "first.tsv": '1\t7732-18-5\t[OH2]\tan "odd name\n2\t64-17-5\tOCC\tethanol\n',
        "second.tsv": "3\t7732-18-5\tO\twater\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return {name: tmp_path / name for name in texts}


def test_values_are_joined_to_structures_by_key(keyed: dict[str, Path]) -> None:
    table = read_keyed_table(keyed, KEYED)
    # The later list stands above the earlier; a key without structure is left out.
    assert table.inputs == ["O", "OCC"]
    assert table.targets.tolist() == [[273.15], [159.0]]
    assert table.columns["id"].tolist() == ["7732-18-5", "64-17-5"]
    assert table.where(1) == "values.tsv line 3"


def test_keys_that_match_nothing_are_an_error(keyed: dict[str, Path]) -> None:
    keyed["values.tsv"].write_text("CAS\tTm\n1-1-1\t300\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="no CAS of its 1 rows has a structure"):
        read_keyed_table(keyed, KEYED)


def test_a_joined_value_that_is_no_number_is_named(keyed: dict[str, Path]) -> None:
    keyed["values.tsv"].write_text("CAS\tTm\n64-17-5\tcold\n", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"values.tsv line 2.*'cold' is no finite number"):
        read_keyed_table(keyed, KEYED)


# --- one table for each task, and Merck's counts --------------------------------------------------

BY_TASK = {
    "smiles": "mol",
    "value": "value",
    "targets": {"a": ["a.csv"], "b": ["b1.csv", "b2.csv"]},
    "columns": {"set": "side"},
}


def test_tables_of_single_tasks_become_one_with_a_column_each(tmp_path: Path) -> None:
    files = write(tmp_path, "mol,value,side\nC,1,train\nCC,2,test\n", "a.csv")
    files |= write(tmp_path, "side,mol,value\ntrain,C,3\n", "b1.csv")
    files |= write(tmp_path, "mol,value,side\nCCC,4,test\n", "b2.csv")
    raw = read_tables_by_task(files, BY_TASK)
    assert raw.tasks == ("a", "b")
    assert raw.inputs == ["C", "CC", "C", "CCC"]
    nan = np.nan
    np.testing.assert_array_equal(raw.targets, [[1, nan], [2, nan], [nan, 3], [nan, 4]])
    assert raw.columns["set"].tolist() == ["train", "test", "train", "test"]
    assert raw.where(3) == "b2.csv line 2"


def test_a_task_without_its_file_is_named(tmp_path: Path) -> None:
    files = write(tmp_path, "mol,value,side\nC,1,train\n", "a.csv")
    with pytest.raises(DatasetError, match=r"task 'b' needs \['b1.csv', 'b2.csv'\]"):
        read_tables_by_task(files, BY_TASK)


MERCK = {
    "archive": "one.zip",
    "targets": {"METAB": "Act"},
    "set": {"train.csv": "train", "test.csv": "test"},
}


def merck(folder: Path, train: str, test: str) -> dict[str, Path]:
    path = folder / "one.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train.csv", train)
        archive.writestr("test.csv", test)
    return {"one.zip": path}


def test_counts_of_secret_molecules_become_rows_of_text(tmp_path: Path) -> None:
    files = merck(
        tmp_path, "MOLECULE,Act,D_1,D_9\nM_1,2.5,0,3\n", "MOLECULE,Act,D_1,D_9\nM_2,1,1,2\n"
    )
    raw = read_merck(files, MERCK)
    assert raw.inputs == ["2 1:3", "2 0:1 1:2"]
    assert raw.targets.tolist() == [[2.5], [1.0]]
    assert raw.columns["set"].tolist() == ["train", "test"]
    assert raw.where(1) == "test.csv line 2"


def test_two_sides_with_other_descriptors_are_refused(tmp_path: Path) -> None:
    files = merck(tmp_path, "MOLECULE,Act,D_1\nM_1,2,0\n", "MOLECULE,Act,D_2\nM_2,1,1\n")
    with pytest.raises(DatasetError, match=r"test\.csv has other columns than train\.csv"):
        read_merck(files, MERCK)


# --- a table of one's own -------------------------------------------------------------------------


def test_a_table_of_ones_own_is_cleaned_with_a_warning_that_names_the_rows(tmp_path: Path) -> None:
    path = write(tmp_path, "mol,value\nC,1\nxx,2\nCC,3\nCC,4\n")["t.csv"]
    with pytest.warns(UserWarning, match=r"3 of 4 rows.*t\.csv line 3: xx, column 'mol'"):
        dataset = from_csv(path, smiles="mol", targets=["value"], kind="regression", unit="K")
    assert list(dataset.inputs) == ["C"] and dataset.unit == "K" and dataset.name == "t"
    assert dataset.card["cleaning"]["unparsable"] == 1
