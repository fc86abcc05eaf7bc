"""Tables as people have them are read, or refused in one line that says where and what to do."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from chemdl.your_data.loading import as_dataset, read_your_table
from chemdl.your_data.tables import TableError, open_table

PLAIN = "smiles,y\nCCO,1.5\nCCN,2\n"


def values(path: Path, **options) -> list[float]:
    return as_dataset(read_your_table(path, **options)).targets.ravel().tolist()


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("comma.csv", PLAIN.encode(), {}),
        ("marked.csv", PLAIN.encode("utf-8-sig"), {}),
        ("wide.csv", PLAIN.encode("utf-16"), {}),
        ("semicolon.csv", PLAIN.replace(",", ";").encode(), {}),
        ("tab.txt", PLAIN.replace(",", "\t").encode(), {}),
        ("german.csv", b"smiles;y\nCCO;1,5\nCCN;2\n", {}),
        ("asked.csv", b"smiles;y\nCCO;1,500\nCCN;2,000\n", {"decimal": ","}),
        ("packed.CSV.GZ", gzip.compress(PLAIN.encode(), mtime=0), {}),
        ("false.csv.gz", PLAIN.encode(), {}),
        ("spaced.csv", b"smiles , y\nCCO , 1.5\n\nCCN,2\n", {}),
        ("mac.csv", PLAIN.replace("\n", "\r").encode(), {}),
        (
            "latin.csv",
            "smiles,y,note\nCCO,1.5,café\nCCN,2,b\n".encode("latin-1"),
            {"encoding": "latin-1"},
        ),
    ],
)
def test_what_people_have_is_read(tmp_path: Path, name: str, content: bytes, options) -> None:
    (tmp_path / name).write_bytes(content)
    assert values(tmp_path / name, **options) == [1.5, 2.0]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.csv", b" \n", "is empty"),
        ("head.csv", b"smiles,y\n", "no row"),
        ("latin.csv", "smiles,y,n\nCCO,1,café\n".encode("latin-1"), "line 2.*latin-1"),
        ("cut.csv.gz", gzip.compress(PLAIN.encode() * 9999, mtime=0)[:90], "cut off"),
        ("open.csv", b'smiles,y\n"CCO,1\nCCN,2\n', "line 2.*open quote"),
        ("huge.csv", b"smiles,y\nCCO," + b"1" * 140_000 + b"\n", "line 2.*no end"),
        ("twice.csv", b"smiles,y,y\nCCO,1,2\n", "'y' twice"),
        ("short.csv", b"smiles,y\nCCO,1\nCCN\n", "line 3 has 1 cells"),
        ("bare.csv", b"CCO,1.5\nCCN,2\n", "number '1.5'.*header"),
        ("nul.csv", PLAIN.encode("utf-16-le"), "utf-16-le"),
        ("one.csv", b"smiles,y\nCCO,1_500\n", "line 2, column 'y': '1_500' is no number"),
        ("inf.csv", b"smiles,y\nCCO,NaN\nCCN,inf\nC,1\n", "line 3, column 'y': 'inf'"),
        ("thousand.csv", b'smiles,y\nCCO,"1,500"\nCCN,2\n', "line 2.*decimal ','"),
        ("old.xls", b"\xd0\xcf\x11\xe0" + b"x" * 50, "before 2007"),
        ("bad.xlsx", b"PK\x03\x04" + b"x" * 50, "xlsx"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TableError, match=words) as caught:
        values(tmp_path / name, smiles="smiles", targets=["y"]) if b"smiles" in content else values(
            tmp_path / name
        )
    assert "\n" not in str(caught.value) and name in str(caught.value)


def test_a_file_that_is_not_there_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="there is no file"):
        open_table(tmp_path / "absent.csv")
    with pytest.raises(TableError, match="is a folder"):
        open_table(tmp_path)


def test_an_unknown_column_lists_the_names_in_quotes(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("smiles , pIC50\nCCO,1\n")
    with pytest.raises(TableError, match=r"no column 'p'; its columns are 'smiles', 'pIC50'"):
        read_your_table(tmp_path / "t.csv", targets=["p"])


def test_a_file_without_header_loses_no_molecule(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("CCCO\nCCN\nCCC\n")
    with pytest.raises(TableError, match="line 1: 'CCCO' is a molecule"):
        read_your_table(tmp_path / "t.csv", target="none")


def test_lines_are_those_of_the_file_where_cells_hold_line_breaks(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('smiles,note,y\nCCO,"a\nb",1\nCCN,c,x\n')
    with pytest.raises(TableError, match="line 4, column 'y'"):
        values(tmp_path / "t.csv", targets=["y"])


def test_an_sdf_keeps_its_fields_and_counts_what_it_cannot_read(tmp_path: Path) -> None:
    from rdkit import Chem

    writer = Chem.SDWriter(str(tmp_path / "t.sdf"))
    for smiles, y in (("CCO", 1.5), ("CCN", 2.0)):
        molecule = Chem.MolFromSmiles(smiles)
        molecule.SetProp("y", str(y))
        writer.write(molecule)
    writer.close()
    text = (tmp_path / "t.sdf").read_text()
    (tmp_path / "t.sdf").write_text(text + "broken\n\n\n  9  9  0\n$$$$\n")
    data = as_dataset(read_your_table(tmp_path / "t.sdf", targets=["y"]))
    assert data.targets.ravel().tolist() == [1.5, 2.0]
    assert data.card["cleaning"]["unparsable"] == 1 and data.card["cleaning"]["raw"] == 3


@pytest.mark.parametrize(("package", "ending"), [("openpyxl", "xlsx"), ("pyarrow", "parquet")])
def test_workbooks_and_parquet_are_read(tmp_path: Path, package: str, ending: str) -> None:
    pytest.importorskip(package)
    import pandas as pd

    frame = pd.DataFrame({"smiles": ["CCO", "CCN"], "y": [1.5, 2.0], "day": ["2020-01-01", None]})
    path = tmp_path / f"t.{ending}"
    frame.to_excel(path, index=False) if ending == "xlsx" else frame.to_parquet(path)
    assert values(path) == [1.5, 2.0]
    assert [cells[2] for _, cells in open_table(path).read()] == ["2020-01-01", ""]


@pytest.mark.parametrize("content", ["\n \n".encode("utf-16"), b"\xef\xbb\xbf \n\n"])
def test_a_file_of_blanks_is_said_to_be_empty(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(TableError, match=r"t\.csv is empty"):
        open_table(tmp_path / "t.csv")


def test_a_workbook_that_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["smiles", "y"])
    book.save(tmp_path / "t.xlsx")
    monkeypatch.setattr("chemdl.your_data.tables._MOST_WORKBOOK", 5_000)
    with pytest.raises(TableError, match=r"t\.xlsx unpacks to more than .*save the table as \.csv"):
        open_table(tmp_path / "t.xlsx")


def test_a_parquet_file_is_told_to_be_damaged_wherever_that_is_seen(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"smiles": ["CCO"] * 50}), tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(whole[:4] + b"\xff" * 20 + whole[24:])
    with pytest.raises(TableError, match=r"t\.parquet is a damaged parquet file"):
        list(open_table(tmp_path / "t.parquet").read())


def test_rows_are_read_in_blocks(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("smiles\n" + "CCO\n" * 25)
    blocks = list(open_table(tmp_path / "t.csv").blocks(10))
    assert [len(block) for block in blocks] == [10, 10, 5]
    assert blocks[2][-1] == (26, ["CCO"])


def test_replicates_are_averaged_and_bounds_counted(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("smiles,y\nCCO,1.50\nOCC,1.52\nCCN,2\nCCC,>10\nxx,3\n")
    data = as_dataset(read_your_table(tmp_path / "t.csv"))
    assert data.targets.ravel().tolist() == pytest.approx([1.51, 2.0])
    log = data.card["cleaning"]
    assert (log["duplicate"], log["censored"], log["unparsable"], log["unlabelled"]) == (1, 1, 1, 1)
