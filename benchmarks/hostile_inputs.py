"""The hostile inputs: for each kind a function that makes one, and one that reads it."""

from __future__ import annotations

import bz2
import copy
import functools
import gzip
import hashlib
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from chemdl.files import data_dir

Make = Callable[[np.random.Generator, Path], Any]
Read = Callable[[Any], object]
SIGNS = list("CNOPSFIcnos[]()=#$:/\\@+-.%0123456789Hl*~&{}\0 \t\n\"'é漢;,?!>")
# Values that a field of a record does not expect.
ODD: list[Any] = [
    None, True, False, 0, -1, 1, 10**400, -1e308, 0.5, float("nan"), float("inf"), "", " ", "NaN",
    "..", "../../x", "/etc/passwd", "\0", "é" * 300, "x" * 5000, [], {}, [[]], [None], {"a": {}},
    {"": 1}, [1, "a", {}], "2026-01-01", "!!python/object:os.system", "1_000",
]  # fmt: skip


def pick(rng: np.random.Generator, values: Any) -> Any:
    """Draw one of some values."""
    return values[int(rng.integers(len(values)))]


# altering bytes and records


def altered_bytes(rng: np.random.Generator, content: bytes) -> bytes:
    """Return the bytes with one to four places altered."""
    for _ in range(int(rng.integers(1, 5))):
        a, b = sorted(int(i) for i in rng.integers(0, len(content) + 1, 2))
        b = min(b, a + int(pick(rng, [1, 4, 64, 4096])))
        piece = pick(rng, [b"", b"\0", b'"', b"\n", b"\xff", b",", b"1e999", b"\xef\xbb\xbf",
                           rng.bytes(8), content[a:b] * 3, b"[" * 3000, b"\r", b"{"])  # fmt: skip
        content = pick(rng, [content[:a] + piece + content[b:], content[:a] + piece + content[a:],
                             content[:a], content[a:], content])  # fmt: skip
    return content


def altered_record(rng: np.random.Generator, record: Any, *, odd: list[Any] = ODD) -> Any:
    """Return a copy of a record (mappings and lists) with one to three of its parts altered."""
    record = json.loads(json.dumps(record))
    for _ in range(int(rng.integers(1, 4))):
        record = _alter(rng, record, odd)
    return record


def _alter(rng: np.random.Generator, value: Any, odd: list[Any]) -> Any:
    if not isinstance(value, dict | list) or not value or rng.random() < 0.15:
        # A copy, so that an input does not depend on those before it.
        return copy.deepcopy(pick(rng, odd))
    key = pick(rng, list(value) if isinstance(value, dict) else range(len(value)))
    action = rng.random()
    if action < 0.15:
        del value[key]
    elif action < 0.25 and isinstance(value, dict):
        value[pick(rng, ["", "x", "a b", f"{key} "])] = value.pop(key)
    elif action < 0.3 and isinstance(value, list):
        value.append(value[key])
    else:
        value[key] = _alter(rng, value[key], odd)
    return value


def deep(rng: np.random.Generator) -> Any:
    """Return brackets of great depth, as text."""
    return pick(rng, ["[", '{"a":', "- "]) * int(pick(rng, [50, 2_000, 100_000]))


# SMILES


@functools.cache
def good_smiles() -> list[str]:
    """Return the molecules of an embedded set."""
    import chemdl

    return list(map(str, chemdl.load("dili").inputs))


def make_smiles(rng: np.random.Generator, _folder: Path) -> str:
    """Return an altered SMILES."""
    text = pick(rng, good_smiles())
    for _ in range(int(pick(rng, [1, 1, 1, 2, 4]))):
        a, b = sorted(int(i) for i in rng.integers(0, len(text) + 1, 2))
        other, sign = pick(rng, good_smiles()), pick(rng, SIGNS)
        text = pick(rng, [
            text[:a] + sign + text[a:], text[:a] + text[b:], text[:a] + other + text[b:],
            text[:a] + sign + text[a + 1 :], text[:a] + text[a:b] * 3 + text[b:],
            text + "." + other, text[::-1],
            text[:a] + pick(rng, ["(", "C", "C1CC1", "[", "1", "%99", "C(", "[238U+4]", "[nH]"])
            * int(rng.integers(1, 60)) + text[a:],
        ])  # fmt: skip
    return str(text[:1000])


def read_smiles(text: str) -> None:
    """Read one SMILES in every way in which the package does."""
    from chemdl.data.feature_cache import uncached
    from chemdl.molecules.descriptors import descriptors
    from chemdl.molecules.fingerprints import ECFP
    from chemdl.molecules.graphs import molecular_graphs
    from chemdl.molecules.smiles import inchikeys, parse, scaffold_keys
    from chemdl.molecules.tokens import smiles_tokens
    from chemdl.your_data.structures import structures

    structures([text])
    with uncached():
        parse([text])
        for features in (ECFP().transform, inchikeys, scaffold_keys, molecular_graphs,
                         smiles_tokens):  # fmt: skip
            features([text])
        if len(text) < 200:
            descriptors([text])


# tables


def _workbook(rows: list[list[str]]) -> bytes:
    import openpyxl
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    book, packed = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.active.append([ILLEGAL_CHARACTERS_RE.sub("", cell) for cell in row])
    book.save(packed)
    return packed.getvalue()


def _parquet(rows: list[list[str]]) -> bytes:
    import pyarrow
    from pyarrow import parquet

    packed = io.BytesIO()
    columns = {f"{name} {i}" if i else name: list(cells)
               for i, (name, *cells) in enumerate(zip(*rows, strict=True))}  # fmt: skip
    parquet.write_table(pyarrow.table(columns), packed)
    return packed.getvalue()


def _sdf(rows: list[list[str]]) -> bytes:
    from rdkit import Chem

    texts = []
    for text, activity, _ in rows[1:]:
        molecule = Chem.MolFromSmiles(text if text in good_smiles() else "CCO")
        texts.append(f"{Chem.MolToMolBlock(molecule)}> <activity>\n{activity}\n\n$$$$\n")
    return "".join(texts).encode()


_WRITERS = {".xlsx": _workbook, ".parquet": _parquet, ".sdf": _sdf}


def make_table(rng: np.random.Generator, folder: Path) -> Path:
    """Return a table of 12 molecules, altered in cells or in bytes, sometimes packed."""
    sign = pick(rng, [",", ",", ",", ";", "\t", "|"])
    rows = [["smiles", "activity", "date"]]
    rows += [[pick(rng, good_smiles()), f"{rng.normal():.3f}", "2020-01-01"] for _ in range(12)]
    for _ in range(int(rng.integers(0, 5))):
        row = pick(rng, rows)
        row[int(rng.integers(len(row)))] = str(pick(rng, ODD))
        if rng.random() < 0.2:
            row.append("")
    text = "\n".join(sign.join(row) for row in rows) + "\n"
    content = text.encode(
        pick(rng, ["utf-8"] * 5 + ["utf-8-sig", "utf-16", "latin-1"]), errors="replace"
    )
    content = altered_bytes(rng, content) if rng.random() < 0.4 else content
    path = folder / pick(rng, ["t.csv"] * 4 + ["t.csv.gz", "t.xlsx", "t.parquet", "t.sdf"])
    if path.suffix in _WRITERS:
        content = _WRITERS[path.suffix]([[*row, "", ""][:3] for row in rows])
        content = altered_bytes(rng, content) if rng.random() < 0.5 else content
    if rng.random() < 0.01:
        content = pick(rng, [packed_line, packed_workbook])()
    elif path.suffix == ".gz":
        content = gzip.compress(content)
        content = altered_bytes(rng, content) if rng.random() < 0.3 else content
    path.write_bytes(content)
    return path


@functools.cache
def packed_line() -> bytes:
    """Return one line of 3 GB, packed into some kilobytes: gzip members, one after the other."""
    return gzip.compress(b"smiles,activity\n", 9) + gzip.compress(b"C" * (1 << 25), 9) * 96


@functools.cache
def packed_workbook() -> bytes:
    """Return a workbook of some megabytes whose sheet is of 3 GB."""
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(
            io.BytesIO(_workbook([["smiles", "activity", "date"], ["C", "1", ""]]))
        ) as good,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        for name in good.namelist():
            with archive.open(name, "w", force_zip64=True) as member:
                content = good.read(name)
                if name.endswith("sheet1.xml"):
                    begin, end = content.split(b"</sheetData>")
                    member.write(begin)
                    for _ in range(96):
                        member.write(b"<row/>" * (1 << 23 >> 1))
                    content = b"</sheetData>" + end
                member.write(content)
    return packed.getvalue()


def read_tables(path: Path) -> None:
    """Check the table, and make a dataset of it by names of columns."""
    from chemdl.molecules.data import from_csv
    from chemdl.your_data.check import check

    own: ValueError | None = None
    try:
        check(path)
    except ValueError as error:
        own = error
        if not type(error).__module__.startswith("chemdl."):
            raise
    if ".csv" in path.name:
        from_csv(path, smiles="smiles", targets=["activity"], kind="regression", tolerance=9.0)
    if own is not None:
        raise own


# cards, claims


@functools.cache
def good_card() -> dict[str, Any]:
    """Return the smallest recorded card."""
    files = (data_dir() / "results" / "full").glob("*.json")
    card = json.loads(min(files, key=lambda path: path.stat().st_size).read_text("utf-8"))
    return dict(card, scores=card["scores"][:6])


def make_card(rng: np.random.Generator, folder: Path) -> Path:
    """Return a card, altered in its structure, in its bytes, or of great depth."""
    card = good_card() if rng.random() < 0.4 else altered_record(rng, good_card())
    content = json.dumps(card).encode()
    content = altered_bytes(rng, content) if rng.random() < 0.5 else content
    content = deep(rng).encode() if rng.random() < 0.05 else content
    path = folder / "card.json"
    path.write_bytes(content)
    return path


def read_card(path: Path) -> None:
    """Read a card, with its table of scores."""
    from chemdl.evidence.result import read_result

    result = read_result(path)
    _ = result.scores, result.verdicts, repr(result)


@functools.cache
def good_claims() -> list[Any]:
    """Return the first records of claims.yml."""
    return list(yaml.safe_load((data_dir() / "claims.yml").read_text("utf-8")))


def make_claims(rng: np.random.Generator, folder: Path) -> Path:
    """Return a file of three claims, altered in its structure, in its bytes, or of great depth."""
    claims = [pick(rng, good_claims()) for _ in range(3)]
    if rng.random() < 0.7:
        claims = altered_record(rng, claims)
    content = yaml.safe_dump(claims, allow_unicode=True).encode()
    content = altered_bytes(rng, content) if rng.random() < 0.4 else content
    content = deep(rng).encode() if rng.random() < 0.02 else content
    if rng.random() < 0.02:  # each name stands for ten of the one before
        tens = ["[" + ",".join([f"*a{i}"] * 10) + "]" for i in range(11)]
        lines = ["- &a0 x", *(f"- &a{i} {ten}" for i, ten in enumerate(tens, 1))]
        content = "\n".join(lines[:: pick(rng, [1, -1])]).encode()
        content = (
            content
            if rng.random() < 0.5
            else b"- id: a\n  chapter:\n  " + content.replace(b"\n", b"\n  ")
        )
    path = folder / "claims.yml"
    path.write_bytes(content)
    return path


def read_claims(path: Path) -> None:
    """Read a file of claims, and look for claims without a test."""
    from chemdl.evidence.claims import load_claims, orphans, table

    claims = load_claims(path).values()
    orphans(claims)
    table(claims)


# archives


TABLE = b"smiles,y\nCCO,1\n"
WANTED = "a/t.csv"
_NAMES = [WANTED, WANTED, WANTED, "a/o.csv", "../out.csv", "/etc/out.csv", "a/../../x", "C:\\x",
          "a",
          "..", "a/b/c.csv", "é", "", "a\0b", "inner.zip", "inner.tar.gz", "./a/t.csv"]  # fmt: skip
_TAR_TYPES = [tarfile.REGTYPE] * 6 + [
    tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE,
    tarfile.GNUTYPE_SPARSE,
]  # fmt: skip


@functools.cache
def bomb(packing: str) -> bytes:
    """Return an archive of some kilobytes whose member is of 3 GB or more, all zeros."""
    block, times = bytes(1 << 25), 96
    header = tarfile.TarInfo(WANTED)
    header.size = len(block) * times
    pack = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}.get(packing)
    if pack:
        return pack(header.tobuf()) + pack(block) * times + pack(bytes(1024))
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(WANTED, "w", force_zip64=True) as member,
    ):
        for _ in range(times):
            member.write(block)
    return packed.getvalue()


def _packed(rng: np.random.Generator, kind: str, *, inner: bool = False) -> bytes:
    packed = io.BytesIO()
    names = [pick(rng, _NAMES) for _ in range(int(rng.integers(1, 5)))] + [WANTED]
    members = {name: TABLE if name == WANTED else rng.bytes(20) for name in names}
    if not inner:
        members |= {n: _packed(rng, n[6:], inner=True) for n in names if n.startswith("inner")}
    with warnings_off():
        if kind == "zip":
            with zipfile.ZipFile(packed, "w", pick(rng, [0, 8, 12, 14])) as archive:
                for name, content in members.items():
                    archive.writestr(name or "x", content)
            return packed.getvalue()
        mode: Any = {"tar.gz": "w:gz", "tar.xz": "w:xz", "tar.bz2": "w:bz2"}[kind]
        with tarfile.open(fileobj=packed, mode=mode) as tar:
            for name, content in members.items():
                header = tarfile.TarInfo(name.replace("\0", "") or "x")
                header.size, header.type = len(content), pick(rng, _TAR_TYPES)
                header.linkname = pick(rng, ["/etc/passwd", "../../x", WANTED, ""])
                tar.addfile(header, io.BytesIO(content))
    return packed.getvalue()


def warnings_off() -> Any:
    """Return a block in which nothing is warned of: zipfile warns of names that stand twice."""
    import warnings

    return warnings.catch_warnings(action="ignore")


def make_archive(rng: np.random.Generator, folder: Path) -> tuple[Path, list[str]]:
    """Return an archive with links, ways out, bombs, or altered bytes, and what is wanted of it."""
    kind = pick(rng, ["zip", "tar.gz", "tar.xz", "tar.bz2"])
    path = folder / f"archive.{kind}"
    wanted = pick(rng, [[WANTED]] * 4 + [["a/*"], ["inner.zip", WANTED], ["inner.tar.gz", WANTED]])
    if rng.random() < 0.02:
        path.write_bytes(bomb(kind.rpartition(".")[2]))
        return path, pick(rng, [[WANTED], ["a/*"]])
    content = _packed(rng, kind)
    path.write_bytes(altered_bytes(rng, content) if rng.random() < 0.5 else content)
    return path, wanted


def read_archive(given: tuple[Path, list[str]]) -> None:
    """Take the wanted member out of an archive."""
    from chemdl.data.archives import extract

    path, wanted = given
    extract(path, wanted, path.with_name("out"), hashlib.sha256(TABLE).hexdigest())
    if path.with_name("out").read_bytes() != TABLE:
        raise AssertionError("another member was written")


# recorded replicas


@functools.cache
def good_replicas() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the content of the smallest recorded repeat, and its predictions."""
    files = (data_dir() / "results" / "replicas").glob("*/*/*/*.npz")
    with np.load(min(files, key=lambda path: path.stat().st_size)) as stored:
        arrays = dict(stored)
    return json.loads(str(arrays.pop("content"))), arrays


def make_replicas(rng: np.random.Generator, folder: Path) -> Path:
    """Return a recorded repeat with an altered content, altered arrays, or altered bytes."""
    content, arrays = good_replicas()
    if rng.random() < 0.6:
        content = altered_record(rng, content)
    if rng.random() < 0.4:
        name = pick(rng, list(arrays))
        odd = [np.array([{}], object), np.zeros(0), np.array("text"), np.full((2, 2), np.nan),
               np.array([1 + 2j]), np.zeros((1, 2, 3, 4)), np.arange(3)]  # fmt: skip
        arrays = {**arrays, pick(rng, [name, name, "x", "-1", "../x"]): pick(rng, odd)}
    packed = io.BytesIO()
    np.savez_compressed(packed, content=np.array(json.dumps(content)), **arrays)
    bytes_ = packed.getvalue()
    path = folder / pick(rng, ["all-0.npz", "all-0.npz", "all-x.npz", "all.npz", "-.npz"])
    path.write_bytes(altered_bytes(rng, bytes_) if rng.random() < 0.4 else bytes_)
    return path


def read_replicas(path: Path) -> None:
    """Read the file as the store's repeat, and hold it against itself."""
    from chemdl.evidence.store import ResultStore

    store = ResultStore(path.parent.parent)
    for repeat in store.repeats("", [f"{path.parent.name}/./{path.name}"]):
        _ = repeat.file, sorted(repeat.replicas), sorted(repeat.predictions)


KINDS: dict[str, tuple[Make, Read]] = {
    "SMILES": (make_smiles, read_smiles),
    "tables": (make_table, read_tables),
    "cards": (make_card, read_card),
    "archives": (make_archive, read_archive),
    "claims": (make_claims, read_claims),
    "replicas": (make_replicas, read_replicas),
}
