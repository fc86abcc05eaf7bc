"""A registry in a folder of its own, and a loopback server that counts what it is asked."""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.server
import io
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ENTRY: dict[str, Any] = {
    "title": "Small set",
    "about": "A set of a few molecules.",
    "domain": "toxicity",
    "kind": "classification",
    "unit": "1 = active",
    "rows": 3,
    "licence": {"name": "CC0-1.0"},
    "citation": "nobody2000small",
    "read": {"smiles": "smiles", "targets": ["a"]},
}
TABLE = b"smiles,a\nCCO,1\nCCC,0\nc1ccccc1,1\n"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tar_gz(members: dict[str, bytes]) -> bytes:
    """Pack members into a .tar.gz, whatever their names are."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


class Registry:
    """A data folder with a datasets.yml that a test writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.document: dict[str, Any] = {"archives": {}, "datasets": {}}

    def add(self, name: str, *sources: dict[str, Any], **fields: Any) -> None:
        self.document["datasets"][name] = {**ENTRY, "sources": list(sources), **fields}
        self.write()

    def write(self) -> None:
        text = yaml.safe_dump(self.document)
        (self.folder / "datasets.yml").write_text(text + f"# {len(text)}\n", encoding="utf-8")

    def embed(self, file: str, table: bytes) -> dict[str, str]:
        """Put a table into embedded/ and return its source."""
        path = self.folder / "embedded" / file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(gzip.compress(table, mtime=0))
        return {"embedded": file, "sha256": sha256(table)}


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    from chemdl.data import registry as registry_module

    folder = tmp_path / "data"
    folder.mkdir()
    for module in ("registry", "sources", "loading"):
        monkeypatch.setattr(f"chemdl.data.{module}.data_dir", lambda: folder)
    monkeypatch.setenv("CHEMDL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CHEMDL_MIRROR", raising=False)
    monkeypatch.setattr("chemdl.data.transfer.time.sleep", lambda _seconds: None)
    registry_module._parsed.cache_clear()
    return Registry(folder)


class Server:
    """Files by path, each of which may be cut off after half, or be for one user alone."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.headers: dict[str, str] = {}
        self.cut: set[str] = set()
        self.user = ""
        self.asked: list[str] = []
        self.address = ""

    def url_source(self, *names: str, **fields: Any) -> dict[str, Any]:
        files = {name: {"sha256": sha256(self.files[name])} for name in names}
        return {"url": f"{self.address}/", "files": files, **fields}


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            state.asked.append(path)
            given = self.headers.get("Authorization", "").removeprefix("Basic ")
            if state.user and base64.b64decode(given).decode() != state.user:
                self.send_error(401)
                return
            if path not in state.files:
                self.send_error(404)
                return
            content = state.files[path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            html = path.endswith(("/", ".html"))
            kind = "text/html" if html else "application/octet-stream"
            for name, value in {"Content-Type": kind, **state.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if path in state.cut else content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        state.address = f"http://127.0.0.1:{listening.server_port}"
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        listening.shutdown()
        thread.join()


@pytest.fixture
def files_under() -> Callable[[Path], list[str]]:
    """List every file below a folder, half-written ones too."""
    return lambda folder: sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
    )
