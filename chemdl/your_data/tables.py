"""Tables as people have them: delimited text, xlsx, parquet and SDF, plain or in gzip.

Every failure is one line with the file, the line, the column and a remedy. Nothing is left out
but blank lines, which are counted.
"""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

from chemdl.data.errors import DatasetError
from chemdl.data.readers import MOST_SIGNS, bounded_lines
from chemdl.extras import advice

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
_HEAD = 65_536
_MOST_WORKBOOK = 1 << 28
# Line of the file and its cells, as text without blanks around it.
Row = tuple[int, list[str]]


class TableError(DatasetError):
    """A table that cannot be read as it is; the message says where, and what to do."""


@dataclass(frozen=True)
class Table:
    """A table that is read row by row.

    Attributes
    ----------
    file
        Name of the file, for messages.
    header
        Names of the columns.
    said
        How the file was read, one sentence each.
    word
        What a place in the file is called: ``line``, ``row`` or ``record``.
    delimiter
        Sign between two cells; "" where the format needs none.
    read
        Function that begins a new pass over the rows.
    """

    file: str
    header: tuple[str, ...]
    said: tuple[str, ...]
    word: str
    delimiter: str
    read: Callable[[], Iterator[Row]]

    def position(self, name: str) -> int:
        """Return the place of a column.

        Raises
        ------
        TableError
            For a name that the header does not hold; the message lists the names in quotes.
        """
        if name in self.header:
            return self.header.index(name)
        names = ", ".join(repr(known) for known in self.header[:20])
        raise TableError(f"{self.file} has no column {name!r}; its columns are {names}")

    def blocks(self, size: int) -> Iterator[list[Row]]:
        """Yield the rows in blocks of at most ``size``, so that a file of any length is read."""
        rows = self.read()
        while block := list(islice(rows, size)):
            yield block

    def where(self, place: int, column: str = "") -> str:
        """Name a place of the file in words."""
        return f"{self.file} {self.word} {place}" + (f", column {column!r}" if column else "")


def open_table(
    path: str | Path, *, delimiter: str | None = None, encoding: str | None = None
) -> Table:
    """Open a table; what it is made of is told from its content, not from its name.

    Parameters
    ----------
    path
        Delimited text with a header, an Excel workbook (its first sheet), parquet, or SDF.
    delimiter
        Sign between two cells; by default the one that divides the first rows evenly.
    encoding
        Encoding of text; by default UTF-8, or UTF-16 where the file begins with its mark.

    Raises
    ------
    TableError
        If the file cannot be read as a table.
    """
    path = Path(path).expanduser()
    head = _head(path)
    if head.startswith(b"PAR1"):
        return _parquet(path)
    if head.startswith(b"PK\x03\x04"):
        return _workbook(path)
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise TableError(f"{path.name} is a workbook of before 2007; save it as .xlsx or .csv")
    if b"M  END" in head or b"V2000" in head or b"V3000" in head:
        from chemdl.your_data.sdf import open_sdf

        return open_sdf(path)
    return _delimited(path, head, delimiter, encoding)


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, unpacked where it is gzip by its content; failures name the file."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as stream:
            yield cast(IO[bytes], stream)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise TableError(
            f"{path.name}: the gzip file is cut off or damaged; copy or fetch it again"
        ) from error
    except FileNotFoundError as error:
        raise TableError(f"there is no file {str(path)!r}; check its name and folder") from error
    except IsADirectoryError as error:
        raise TableError(f"{str(path)!r} is a folder; name the table in it") from error
    except OSError as error:
        raise TableError(f"{path.name} cannot be read: {error.strerror or error}") from error


def _head(path: Path) -> bytes:
    with opened(path) as stream:
        head = stream.read(_HEAD)
    if not head.strip():
        raise TableError(f"{path.name} is empty; it needs a header and at least one row")
    return head


# delimited text


def _delimited(path: Path, head: bytes, delimiter: str | None, encoding: str | None) -> Table:
    named = encoding or _encoding(path, head)
    said = [] if named in ("utf-8", "utf-8-sig") else [f"text is read as {named}"]
    sample = _decoded(path, head, named)
    sign = delimiter or _delimiter(sample)
    if len(sign) != 1:
        raise TableError(f"delimiter {sign!r} must be one sign, such as ';' or a tab")
    if sign != ",":
        said.append(f"cells are divided by a {DELIMITERS.get(sign, repr(sign))}")
    rows = _rows(path, named, sign, None)
    first = next(rows, None)
    if first is None:
        raise TableError(f"{path.name} is empty; it needs a header and at least one row")
    header = checked_header(path.name, first[1], f"line {first[0]}")

    def read() -> Iterator[Row]:
        again = _rows(path, named, sign, len(header))
        next(again)
        return again

    return Table(path.name, header, tuple(said), "line", sign, read)


def _encoding(path: Path, head: bytes) -> str:
    for mark, name in _MARKS.items():
        if head.startswith(mark):
            return name
    if b"\0" in head:
        raise TableError(
            f"{path.name} holds NUL bytes, so it is no UTF-8 text; if it is UTF-16 without its "
            "mark, say so: encoding utf-16-le"
        )
    return "utf-8"


def _decoded(path: Path, head: bytes, encoding: str) -> str:
    try:
        # The last character may be cut.
        text = head.decode(encoding, errors="ignore")
    except (LookupError, UnicodeError) as error:
        raise TableError(
            f"{path.name} cannot be read as {encoding!r}: {error}; try utf-8, latin-1 or utf-16"
        ) from error
    return text


def _delimiter(sample: str) -> str:
    """Return the sign that divides the first rows into most cells, equally many in each."""
    lines = [line for line in sample.splitlines()[:20] if line.strip()]
    best, most = ",", 1
    for sign in DELIMITERS:
        # What is blank once it is decoded has no row; that is said by who reads it.
        widths = [len(row) for row in csv.reader(lines, delimiter=sign)] or [0]
        # A row may hold too few cells: that is said later, with its line.
        even = widths.count(widths[0]) >= 0.8 * len(widths)
        if widths[0] > most and even:
            best, most = sign, widths[0]
    return best


def _rows(path: Path, encoding: str, sign: str, width: int | None) -> Iterator[Row]:
    with opened(path) as raw, io.TextIOWrapper(raw, encoding, newline="") as stream:
        lines = bounded_lines(stream, path.name, TableError)
        reader = csv.reader(lines, delimiter=sign, strict=True)
        begun = 1
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise TableError(_broken_cell(path, begun, error)) from error
            except UnicodeError as error:
                raise TableError(_undecodable(path, encoding)) from error
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise TableError(
                    f"{path.name} line {begun}: the gzip file is cut off or damaged here; copy or "
                    "fetch it again"
                ) from error
            line, begun = begun, reader.line_num + 1
            if not any(cell.strip() for cell in row):
                continue
            if width is not None and len(row) != width:
                raise TableError(
                    f"{path.name} line {line} has {len(row)} cells, its header {width}; put a cell "
                    f"that holds {sign!r} into quotes, or mend the line"
                )
            yield line, [cell.strip() for cell in row]


def _broken_cell(path: Path, line: int, error: csv.Error) -> str:
    if "field limit" in str(error) or "end of data" in str(error):
        return (
            f"{path.name} line {line}: a cell that begins here has no end; look for an open quote"
        )
    return f"{path.name} line {line}: {error}; double a quote that stands inside a quoted cell"


def _undecodable(path: Path, encoding: str) -> str:
    remedy = "say which encoding it is, such as latin-1 (from Excel: cp1252), or save it as UTF-8"
    with opened(path) as stream:
        for number, line in enumerate(iter(partial(stream.readline, MOST_SIGNS), b""), 1):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as error:
                start = max(0, error.start - 10)
                near = line[start : error.end + 10].decode("latin-1").strip()
                return f"{path.name} line {number}: {near!r} is not {encoding} text; {remedy}"
    return f"{path.name} is not {encoding} text; {remedy}"


def checked_header(file: str, cells: Sequence[str], place: str) -> tuple[str, ...]:
    """Return the names of the columns; a blank one is called by its place, such as ``column 3``.

    Raises
    ------
    TableError
        For a name that stands twice, or a number instead of a name.
    """
    names = tuple(cell.strip() or f"column {i}" for i, cell in enumerate(cells, 1))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TableError(f"{file} {place} names column {twice[0]!r} twice; rename one of them")
    for name in names:
        if name.replace(".", "", 1).lstrip("+-").isdecimal():
            raise TableError(
                f"{file} {place} holds the number {name!r}: the names of the columns are missing; "
                "write a header as the first line"
            )
    return names


# workbooks and parquet


def _needs(package: str, file: str) -> str:
    return (
        f"{file} needs the package {package}, which is not installed: "
        f"{advice('your-data')} Or save the table as .csv"
    )


def _workbook(path: Path) -> Table:
    try:
        import openpyxl
    except ModuleNotFoundError as error:
        raise TableError(_needs("openpyxl", path.name)) from error
    try:
        with opened(path) as stream:
            packed = io.BytesIO(stream.read(_MOST_WORKBOOK + 1))
        with zipfile.ZipFile(packed) as parts:
            # A part is unpacked to the size that stands here, and no further.
            size = max(sum(part.file_size for part in parts.infolist()), len(packed.getbuffer()))
        if size > _MOST_WORKBOOK:
            raise TableError(
                f"{path.name} unpacks to more than {_MOST_WORKBOOK >> 20} MB, which a workbook "
                "needs many times over in memory; save the table as .csv"
            )
        book = openpyxl.load_workbook(packed, data_only=True)
    except TableError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        raise TableError(
            f"{path.name} is no workbook that can be read ({reason}); save it as .xlsx or .csv"
        ) from error
    sheet = book.worksheets[0]
    rows = [
        (place, [as_text(value) for value in row])
        for place, row in enumerate(sheet.iter_rows(values_only=True), 1)
        if any(value is not None for value in row)
    ]
    if len(rows) < 2:
        raise TableError(
            f"{path.name}, sheet {sheet.title!r}, is empty; it needs a header and rows"
        )
    header = checked_header(path.name, rows[0][1], f"row {rows[0][0]}")
    others = f", not the {len(book.worksheets) - 1} others" if len(book.worksheets) > 1 else ""
    said = (f"sheet {sheet.title!r} is read{others}",)
    return Table(path.name, header, said, "row", "", lambda: iter(rows[1:]))


def _parquet(path: Path) -> Table:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ModuleNotFoundError as error:
        raise TableError(_needs("pyarrow", path.name)) from error

    def damaged(error: Exception) -> TableError:
        reason = " ".join(str(error).split())
        return TableError(
            f"{path.name} is a damaged parquet file ({reason}); copy or fetch it again"
        )

    try:
        file = ParquetFile(path)
    except (ArrowException, OSError) as error:
        raise damaged(error) from error
    header = checked_header(path.name, file.schema_arrow.names, "schema")

    def read() -> Iterator[Row]:
        place = 0
        batches = file.iter_batches(10_000)
        while True:
            try:
                batch = next(batches, None)
                columns = [column.to_pylist() for column in batch.columns] if batch else []
            except (ArrowException, OSError, ValueError) as error:
                raise damaged(error) from error
            if batch is None:
                return
            for values in zip(*columns, strict=True):
                place += 1
                yield place, [as_text(value) for value in values]

    return Table(path.name, header, (), "row", "", read)


def as_text(value: Any) -> str:
    """Write a cell's value as text; a date as YYYY-MM-DD, nothing as ""."""
    if value is None or value != value:
        return ""
    if hasattr(value, "isoformat"):
        return str(value.isoformat())[:10]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value).strip()
