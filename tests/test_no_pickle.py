"""No module reads what could run code while it is read: one test searches, and one tries."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "chemdl"
# Modules whose readers run what they read, and functions of others that do unless told not to.
MODULES = {"pickle", "cloudpickle", "dill", "marshal", "shelve", "jsonpickle"}
FUNCTIONS = {"joblib.load", "read_pickle", "unsafe_load", "full_load"}


def unsafe(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of what would unpickle, or run what it reads."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None)
            names = [alias.name for alias in node.names]
            named = {name.split(".")[0] for name in ([module] if module else names)}
            of_joblib = module == "joblib" and "load" in names
            if named & MODULES or of_joblib:
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Call) and _is_unsafe(node):
            yield node.lineno, ast.unparse(node)


def _is_unsafe(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    last = name.rpartition(".")[2]
    options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    if options.get("allow_pickle", "False") != "False":
        return True
    if name == "torch.load":
        return options.get("weights_only") != "True"
    if name in ("yaml.load", "yaml.load_all"):
        loader = options.get("Loader", "")
        # That of this package is made from the safe one, which a test of its own tries.
        return "Safe" not in loader and loader != "loader"
    return name in FUNCTIONS or last == "read_pickle"


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from pickle import loads", "import dill as d", "from joblib import load",
        "joblib.load(path)", "torch.load(path)", "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)", "np.load(path, allow_pickle=flag)", "yaml.load(text)",
        "yaml.load(text, Loader=yaml.Loader)", "pandas.read_pickle(path)",
    ],
)  # fmt: skip
def test_the_search_finds_what_it_is_for(source: str) -> None:
    assert list(unsafe(source))


@pytest.mark.parametrize(
    "source",
    ["np.load(path)", "torch.load(path, weights_only=True)", "yaml.safe_load(text)", "net.eval()",
     "np.load(path, allow_pickle=False)", "yaml.load(text, Loader=yaml.CSafeLoader)"],
)  # fmt: skip
def test_the_search_lets_the_rest_pass(source: str) -> None:
    assert not list(unsafe(source))


def test_no_module_unpickles() -> None:
    found = [
        f"{path.relative_to(PACKAGE)} line {line}: {text}"
        for path in PACKAGE.rglob("*.py")
        for line, text in unsafe(path.read_text("utf-8"))
    ]
    assert found == []


# --- trying ---------------------------------------------------------------------------------------


class Planted:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def plant(kind: str, path: Path, trap: Planted) -> None:
    """Write a pickle as a model's file: as it is, among numpy's arrays, or in skops's archive."""
    if kind == "plain":
        path.write_bytes(pickle.dumps(trap))
    elif kind == "array":
        with path.open("wb") as stream:
            np.savez(stream, n_tasks=np.array(1), state=np.array([trap], object))
    else:
        content = {"__class__": "bytes", "__loader__": "BytesNode", "file": "x.pkl"}
        schema = {"__class__": "function", "__module__": "builtins", "__loader__": "ObjectNode",
                  "content": content}  # fmt: skip
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("schema.json", json.dumps(schema))
            archive.writestr("x.pkl", pickle.dumps(trap))


@pytest.mark.parametrize("file", ["simple.skops", "deep.npz", "training.npz"])
@pytest.mark.parametrize("kind", ["plain", "array", "archive"])
def test_a_pickle_in_a_folder_of_models_is_refused_and_not_run(
    tmp_path: Path, file: str, kind: str
) -> None:
    pytest.importorskip("skops")
    from chemdl.your_data.model_folder import ModelFolderError, load_models

    trap = Planted(tmp_path / "sprung")
    side = "simple" if file.endswith(".skops") else "deep"
    described = {"name": "single_task", "file": f"{side}.{'skops' if side == 'simple' else 'npz'}",
                 "parameters": {}, "calibration": []}  # fmt: skip
    np.savez(tmp_path / "training.npz", fingerprints=np.zeros((1, 4), np.uint8), keys=np.array("a"))
    plant(kind, tmp_path / file, trap)
    for name in {described["file"], file}:
        if not (tmp_path / name).exists():
            plant("plain", tmp_path / name, trap)
    names = {described["file"], "training.npz"}
    sums = {n: hashlib.sha256((tmp_path / n).read_bytes()).hexdigest() for n in names}
    manifest = {"format": 1, "chemdl": "0", "kind": "regression", "models": {side: described},
                "sha256": sums}  # fmt: skip
    (tmp_path / "model.json").write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(ModelFolderError):
        load_models(tmp_path)
    assert not trap.folder.exists()


def test_the_trap_springs_where_it_is_unpickled(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Planted(tmp_path / "sprung")))
    assert (tmp_path / "sprung").is_dir()
