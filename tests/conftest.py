"""What all tests share: a cache of their own, the mirror of large data, and no threads to spare."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> object:
    """Give the session an empty cache, so that no test leans on what the machine has stored."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHEMDL_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("MPLBACKEND", "agg")
        patch.delenv("CHEMDL_PROGRESS", raising=False)
        yield


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout's root folder."""
    return ROOT


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The mirror of data that may not be embedded; skips where this machine has none."""
    named = os.environ.get("CHEMDL_MIRROR", "")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(
            f"no mirror at {folder}: set CHEMDL_MIRROR to a folder with the fetched data sets"
        )
    monkeypatch.setenv("CHEMDL_MIRROR", str(folder))
    return folder
