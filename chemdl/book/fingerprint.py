"""Keys that show whether anything that a run depends on has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from chemdl.files import data_dir

# Neither the book's own rooms nor the command line change a chapter's numbers.
_WITHOUT_EFFECT = ("book", "cli.py", "__main__.py")


def digest(parts: Iterable[str | bytes]) -> str:
    """Return one SHA-256 over parts, each framed by its length."""
    total = hashlib.sha256()
    for part in parts:
        text = part.encode() if isinstance(part, str) else part
        total.update(f"{len(text)}:".encode() + text)
    return total.hexdigest()


def run_key(notebook: Path, parameters: Mapping[str, Any], versions: Mapping[str, str]) -> str:
    """Return the key of a chapter's run: all that its result depends on.

    That is the notebook's cells, the package's code, the records of data and claims, the recorded
    cards, the parameters (but not where the output goes) and the versions.
    """
    chosen = {name: value for name, value in parameters.items() if name != "output"}
    return digest(
        [
            cells_text(notebook),
            package_code(),
            *data_records(),
            json.dumps(chosen, sort_keys=True, default=str),
            json.dumps(dict(versions), sort_keys=True),
        ]
    )


def cells_text(notebook: Path) -> str:
    """Return a notebook's cells as text, without outputs and execution counts."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    kept = [
        [cell["cell_type"], "".join(cell["source"]), cell["metadata"].get("tags", [])]
        for cell in cells
    ]
    return json.dumps(kept)


@cache
def package_code() -> str:
    """Return a digest of the files of the package that a chapter's numbers depend on."""
    package = Path(__file__).resolve().parents[1]
    parts: list[str | bytes] = []
    for path in sorted(package.rglob("*.py")):
        relative = path.relative_to(package)
        if relative.parts[0] not in _WITHOUT_EFFECT:
            parts += [relative.as_posix(), path.read_bytes()]
    return digest(parts)


def data_records() -> list[bytes]:
    """Return the records that chapters read: data sets, claims, recorded cards."""
    folder = data_dir()
    paths = [folder / "datasets.yml", folder / "claims.yml"]
    paths += sorted((folder / "results").rglob("[!.]*.json"))
    return [path.read_bytes() for path in paths if path.is_file()]
