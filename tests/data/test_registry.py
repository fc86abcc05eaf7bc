"""datasets.yml, the real one and broken ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chemdl import data as datasets
from chemdl.data import DatasetError, RegistryError, UnknownDatasetError

EMBEDDED = {"embedded": "x.csv.gz", "sha256": "0" * 64}


def test_an_unknown_name_lists_its_near_misses() -> None:
    with pytest.raises(UnknownDatasetError, match=r"unknown dataset 'tox12'.*'tox21'"):
        datasets.load("tox12")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "clasification"}, "unknown kind 'clasification'.*'classification'"),
        ({"reader": "tables"}, "unknown reader 'tables'.*'table'"),
        ({"licence": {}}, "'licence' needs a 'name'"),
        ({"citations": "x"}, "unknown field 'citations'.*'citation'"),
        ({"sources": []}, "'sources' is empty"),
        ({"sources": [{"ftp": "x"}]}, "names one of embedded, archive or url"),
        ({"sources": [{"embedded": "../x.gz", "sha256": ""}]}, "no relative path inside"),
        ({"sources": [{"embedded": "/x.gz", "sha256": ""}]}, "no relative path inside"),
        ({"sources": [{"embedded": "x.gz", "sha256": "12"}]}, "'12' is no sha256"),
        ({"sources": [{"url": "http://x/", "files": {"a.csv": {}}}]}, "64 hexadecimal digits"),
        ({"sources": [{"archive": "lost", "members": {}}]}, "unknown archive 'lost'"),
    ],
)
def test_a_wrong_entry_names_the_set_and_the_field(
    registry: Any, fields: dict[str, Any], message: str
) -> None:
    sources = fields.pop("sources", [EMBEDDED])
    registry.add("small", *sources, **fields)
    with pytest.raises(RegistryError, match=f"small.*{message}"):
        datasets.describe("small")


def test_a_missing_field_is_named(registry: Any) -> None:
    registry.add("small", EMBEDDED)
    del registry.document["datasets"]["small"]["citation"]
    registry.write()
    with pytest.raises(RegistryError, match="'small' has no field 'citation'"):
        datasets.names()


def test_a_set_needs_no_more_than_an_entry(registry: Any) -> None:
    registry.add("small", registry.embed("small.csv.gz", b"smiles,a\nC,1\nCC,0\nCCC,1\n"))
    assert datasets.names() == ["small"]
    assert len(datasets.load("small")) == 3


def test_every_embedded_file_is_registered_and_named_with_its_licence(root: Path) -> None:
    readme = (root / "data" / "README.md").read_text(encoding="utf-8")
    files = set()
    for name in datasets.names():
        described = datasets.describe(name)
        row = next(line for line in readme.splitlines() if line.startswith(f"| `{name}` "))
        embedded = "yes" if described["embedded"] else "no"
        assert row.split("|")[2:4] == [f" {embedded} ", f" {described['licence']['name']} "]
        for source in described["sources"]:
            files |= set(source["files"]) if source["kind"] == "embedded" else set()
    folder = root / "data" / "embedded"
    assert {path.name for path in folder.iterdir()} == files
    assert sum(path.stat().st_size for path in folder.iterdir()) < 10_000_000


def test_every_embedded_set_has_an_archive_behind_it() -> None:
    for name in datasets.names():
        kinds = [source["kind"] for source in datasets.describe(name)["sources"]]
        assert kinds in (["embedded", "archive"], ["archive"], ["url"]), name


def test_a_set_that_is_not_embedded_cannot_be_embedded_by_mistake() -> None:
    with pytest.raises(DatasetError, match="'dili_xu' is not meant to be embedded"):
        datasets.embed("dili_xu")


def test_some_tasks_come_with_the_rows_that_they_are_measured_for(registry: Any) -> None:
    table = b"smiles,a,b,c,set\nC,1,,,train\nCC,,2,,test\nCCC,,,3,train\nCCCC,4,5,,test\n"
    read = {"smiles": "smiles", "targets": ["a", "b", "c"], "columns": {"set": "set"}}
    embedded = registry.embed("small.csv.gz", table)
    registry.add("small", embedded, kind="regression", rows=4, read=read)
    some = datasets.load("small", tasks=["b", "a"])
    assert some.tasks == ("b", "a")
    np.testing.assert_array_equal(some.targets, [[np.nan, 1], [2, np.nan], [5, 4]])
    assert some.inputs.tolist() == ["C", "CC", "CCCC"]
    assert some.columns["set"].tolist() == ["train", "test", "test"]
    assert some.card["cleaning"]["raw"] == 3
    # The cache keeps the parts apart.
    assert datasets.load("small").tasks == ("a", "b", "c")
    assert datasets.load("small", tasks=["b", "a"]).tasks == ("b", "a")
    with pytest.raises(DatasetError, match="unknown task 'd'"):
        datasets.load("small", tasks=["d"])
    with pytest.raises(DatasetError, match="at least one"):
        datasets.load("small", tasks=[])


def test_a_screen_keeps_its_actives_and_some_of_the_rest(registry: Any) -> None:
    lines = [f"{'C' * (i + 1)},{int(i % 20 == 0)}" for i in range(200)]
    table = "\n".join(["smiles,a", *lines, ""]).encode()
    registry.add("screen", registry.embed("screen.csv.gz", table), rows=200)
    some = datasets.load("screen", inactives=30)
    assert (some.targets.sum(), len(some)) == (10, 40)
    assert datasets.load("screen", inactives=30).inputs.tolist() == some.inputs.tolist()
    assert len(datasets.load("screen", inactives=50)) == 60
    assert len(datasets.load("screen")) == 200
    registry.add("values", registry.embed("values.csv.gz", table), rows=200, kind="regression")
    with pytest.raises(DatasetError, match="no inactives"):
        datasets.load("values", inactives=30)
