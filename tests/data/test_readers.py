"""Tables as they come: headers, blanks, text where numbers belong."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest

from chemdl.data import DatasetError, from_csv
from chemdl.data.embedded import embedded_text, read_embedded
from chemdl.data.readers import (
    READERS,
    read_dude,
    read_merck,
    read_rfscore,
    read_table,
    read_tables_by_task,
    read_tox21_challenge,
)

OPTIONS = {"smiles": "mol", "targets": {"y": "value"}}


def write(folder: Path, text: str, name: str = "t.csv") -> dict[str, Path]:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return {name: path}


def test_blank_lines_and_empty_cells_are_read_as_what_they_are(tmp_path: Path) -> None:
    files = write(tmp_path, "\ufeffid,mol,value\n\n1,CCO, 0.5\n\n2, C ,\n3,CC,NA\n")
    raw = read_table(files, {**OPTIONS, "columns": {"id": "id"}})
    assert raw.inputs == ["CCO", "C", "CC"]
    np.testing.assert_array_equal(raw.targets.ravel(), [0.5, np.nan, np.nan])
    assert list(raw.columns["id"]) == ["1", "2", "3"]
    assert [raw.where(row) for row in range(3)] == ["t.csv line 3", "t.csv line 5", "t.csv line 6"]


@pytest.mark.parametrize("text", ["high", "1,5", "inf", "0x1"])
def test_text_in_a_target_column_is_named_with_its_remedy(tmp_path: Path, text: str) -> None:
    files = write(tmp_path, f'mol,value\nC,1\nCC,"{text}"\n')
    with pytest.raises(DatasetError, match=rf"t\.csv line 3, column 'y': '{text}'.*leave the cell"):
        read_table(files, OPTIONS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("mol,value\n", "empty"),
        ("mol,other\nC,1\n", "no column 'value'; its columns are mol, other"),
        ("mol,value\nC,1\nCC\n", "line 3 has 1 cells, its header 2: mend the line, or fetch"),
    ],
)
def test_a_broken_table_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read_table(write(tmp_path, text), OPTIONS)


def test_files_that_are_sides_of_a_split_keep_their_side(tmp_path: Path) -> None:
    files = write(tmp_path, "mol,value\nC,1\n", "test.csv")
    files |= write(tmp_path, "mol,value\nCC,0\nCCC,0\n", "train.csv")
    options = {**OPTIONS, "set": {"train.csv": "train", "test.csv": "test"}}
    raw = read_table(files, options)
    assert raw.inputs == ["CC", "CCC", "C"]
    assert list(raw.columns["set"]) == ["train", "train", "test"]
    with pytest.raises(DatasetError, match=r"'lost\.csv' is not there"):
        read_table(files, {**OPTIONS, "set": {"lost.csv": "train"}})


def test_the_embedded_form_gives_back_every_value_exactly(tmp_path: Path) -> None:
    text = 'mol,value,fold,note\nC,0.1234567890123,3,"a, b"\nCC,,,\nCCC,-1e-300,0,x\nCCCC,12,NA,y\n'
    options = {**OPTIONS, "columns": {"fold": "fold", "note": "note"}}
    raw = read_table(write(tmp_path, text), options)
    path = tmp_path / "e.csv.gz"
    path.write_bytes(gzip.compress(embedded_text(raw).encode()))
    again = read_embedded(path, raw.tasks)
    assert again.inputs == raw.inputs
    np.testing.assert_array_equal(again.targets, raw.targets)
    assert list(again.columns["fold"]) == list(raw.columns["fold"]) == [3, -1, 0, -1]
    assert list(again.columns["note"]) == list(raw.columns["note"])


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


def test_a_table_of_ones_own_is_cleaned_with_a_warning_that_names_the_rows(tmp_path: Path) -> None:
    path = write(tmp_path, "mol,value\nC,1\nxx,2\nCC,3\nCC,4\n")["t.csv"]
    with pytest.warns(UserWarning, match=r"3 of 4 rows.*t\.csv line 3: xx, column 'mol'"):
        dataset = from_csv(path, smiles="mol", targets=["value"], kind="regression", unit="K")
    assert list(dataset.inputs) == ["C"] and dataset.unit == "K" and dataset.name == "t"
    assert dataset.card["cleaning"]["unparsable"] == 1


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
    table = READERS["keyed_table"](keyed, KEYED)
    # The later list stands above the earlier; a key without structure is left out.
    assert table.inputs == ["O", "OCC"]
    assert table.targets.tolist() == [[273.15], [159.0]]
    assert table.columns["id"].tolist() == ["7732-18-5", "64-17-5"]
    assert table.where(1) == "values.tsv line 3"


def test_keys_that_match_nothing_are_an_error(keyed: dict[str, Path]) -> None:
    keyed["values.tsv"].write_text("CAS\tTm\n1-1-1\t300\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="no CAS of its 1 rows has a structure"):
        READERS["keyed_table"](keyed, KEYED)


def test_a_joined_value_that_is_no_number_is_named(keyed: dict[str, Path]) -> None:
    keyed["values.tsv"].write_text("CAS\tTm\n64-17-5\tcold\n", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"values.tsv line 2.*'cold' is no finite number"):
        READERS["keyed_table"](keyed, KEYED)


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


def test_actives_and_decoys_are_labelled_by_their_lists(tmp_path: Path) -> None:
    lists = {
        "actives/a_actives_final.ism": "CCO 12 CHEMBL1\nCCN 13 CHEMBL2\n",
        "decoys/a_decoys_final.ism": "CCC C001\n",
        "actives/b_actives_final.ism": "CCC 14\n",
        "decoys/b_decoys_final.ism": "CCO C002\nC C003\n",
    }
    files = {}
    for name, text in lists.items():
        files |= write(tmp_path, text, name)
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
    raw = read_rfscore(write(tmp_path, text), options)
    assert raw.inputs == ["2 0:3", "2 1:7"]
    assert raw.targets.ravel().tolist() == [5.5, 6.5]
    assert raw.columns["id"].tolist() == ["1abc", "2abc"]
    assert raw.columns["set"].tolist() == ["test", "train"]
    earlier = read_rfscore(write(tmp_path, text), {**options, "year": 2007})
    assert earlier.columns["set"].tolist() == ["test"]
