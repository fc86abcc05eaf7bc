"""Tables as they come: headers, blanks, text where numbers belong."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chemdl.data import DatasetError
from chemdl.data.embedded import embedded_text, read_embedded
from chemdl.data.readers import MOST_SIGNS, read_table

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


# quotation marks and names


cells = st.text(st.characters(codec="ascii", exclude_characters='",\r\n\0'), max_size=8)


@given(st.lists(cells, min_size=2, max_size=12), st.data())
def test_a_quotation_mark_swallows_no_row(texts: list[str], data: st.DataObject) -> None:
    """Marks at the beginnings of any cells: every line is a row, or an error names the first."""
    marked = data.draw(st.lists(st.sampled_from(range(len(texts))), min_size=1, unique=True))
    lines = [f'C,1,"{text}' if i in marked else f"C,1,{text}" for i, text in enumerate(texts)]
    with tempfile.TemporaryDirectory() as folder:
        files = write(Path(folder), "\n".join(["mol,value,note", *lines]) + "\n")
        first = min(marked) + 2
        with pytest.raises(
            DatasetError, match=rf"^t\.csv line {first}: .*close the quotation mark"
        ):
            read_table(files, OPTIONS)


@given(st.lists(cells, min_size=1, max_size=12))
def test_quoted_cells_on_one_line_are_rows_like_others(texts: list[str]) -> None:
    lines = [f'C,1,"{text}, and ""more"""' for text in texts]
    with tempfile.TemporaryDirectory() as folder:
        files = write(Path(folder), "\n".join(["mol,value,note", *lines]))
        assert len(read_table(files, OPTIONS).inputs) == len(texts)


@pytest.mark.parametrize("header", ["mol,value,value", "mol,mol,value", "value,mol,x,value"])
def test_a_column_that_is_asked_for_stands_once(tmp_path: Path, header: str) -> None:
    row = ",".join("1" for _ in header.split(","))
    with pytest.raises(DatasetError, match=r"more than once, as numbers \d and \d; rename all but"):
        read_table(write(tmp_path, f"{header}\n{row}\n"), OPTIONS)
    spare = write(tmp_path, "mol,value,note,note\nC,1,a,b\n")
    assert read_table(spare, OPTIONS).inputs == ["C"]


def test_a_target_is_named_once(tmp_path: Path) -> None:
    files = write(tmp_path, "mol,value\nC,1\n")
    with pytest.raises(DatasetError, match="value, value: a column is named twice"):
        read_table(files, {"smiles": "mol", "targets": ["value", "value"]})


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("smiles,y\nCCO,1\né,2\n".encode("latin-1"), "t.csv", "no UTF-8 text.*save it as UTF-8"),
        (b"smiles,y\nCCO,1\n", "t.csv.gz", "gzip file is cut off or damaged"),
        (gzip.compress(b"smiles,y\nCCO,1\n")[:-9], "t.csv.gz", "gzip file is cut off or damaged"),
        (gzip.compress(b"smiles,y\n" + b"C" * MOST_SIGNS), "t.csv.gz", "line 2 has more than"),
    ],
)
def test_bytes_that_are_no_table_are_told_with_their_file(
    tmp_path: Path, content: bytes, name: str, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=rf"^{name}.*{message}"):
        read_table({name: tmp_path / name}, {"smiles": "smiles", "targets": ["y"]})
