"""Away from the checkout: what the wheel carries, runs by name, and a notebook as downloaded."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
# No test may reach for an index, and chemdl's own requirements are here already.
OFFLINE = {
    "PIP_NO_INDEX": "1",
    "PIP_NO_DEPS": "1",
    "PIP_NO_BUILD_ISOLATION": "0",  # pip turns isolation off with this value
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    # Threads that wait sleep: `chemdl run` sees to that itself, plain papermill does not.
    "OMP_WAIT_POLICY": "PASSIVE",
}
CHAPTER = "property-prediction"


def call(command: list[str], folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command in ``folder`` as somebody does who has no checkout on Python's path."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        command,
        cwd=folder,
        env=variables | OFFLINE | more,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    done = call([*build, str(ROOT)], folder)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the installed wheel."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), str(wheel)]
    done = call(pip, folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has everything but chemdl, as Colab has much of it.

    The packages are links in a folder outside the environment, so that pip removes none of them.
    """
    folder = tmp_path_factory.mktemp("stranger")
    if not hasattr(os, "symlink") or os.name == "nt":
        pytest.skip("an environment of links needs a system with links")
    packages = folder / "packages"
    packages.mkdir()
    (here,) = {Path(nbformat.__file__).parents[1], Path(pytest.__file__).parents[1]}
    for path in here.iterdir():
        if not path.name.startswith(("chemdl", "_chemdl")) and path.suffix != ".pth":
            (packages / path.name).symlink_to(path)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    (site,) = (folder / "env").glob("lib/python*/site-packages")
    (site / "packages.pth").write_text(f"{packages}\n", encoding="utf-8")
    return folder / "env" / "bin" / "python"


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# the wheel


def test_the_wheel_carries_the_data_and_the_chapters(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "data", "chapters"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    expected = {f"chemdl/_{name}" for name in tracked}
    expected |= {f"chemdl/_data/{name}.yml" for name in ("datasets", "claims")}
    expected |= {f"chemdl/_chapters/{path.name}" for path in ROOT.glob("chapters/*.ipynb")}
    assert sorted(expected - names) == []
    assert [name for name in names if not name.startswith(("chemdl/", "chemdl-"))] == []


def test_an_installed_chemdl_runs_a_chapter_by_name_in_an_empty_folder(
    installed: Path, tmp_path: Path
) -> None:
    before = hashes(installed / "chemdl" / "_chapters")
    assert len(before) == len(list(ROOT.glob("chapters/*.ipynb")))
    variables = {
        "PYTHONPATH": str(installed),
        "CHEMDL_CACHE": str(tmp_path / "cache"),
        "PYTHONSAFEPATH": "1",
    }
    (tmp_path / "empty").mkdir()
    command = [sys.executable, "-m", "chemdl", "run"]
    run = call([*command, CHAPTER, "--profile", "smoke"], tmp_path / "empty", **variables)
    assert run.returncode == 0, run.stderr
    assert [path.name for path in (tmp_path / "empty").iterdir()] == ["chemdl-output"]
    output = tmp_path / "empty" / "chemdl-output" / "smoke"
    record = json.loads((output / f"{CHAPTER}.run.json").read_text("utf-8"))
    assert record["studies"] and (output / record["file"]).is_file()
    assert hashes(installed / "chemdl" / "_chapters") == before

    wrong = call([*command, CHAPTER[:-1]], tmp_path / "empty", **variables)
    assert wrong.returncode == 2
    assert f"Did you mean '{CHAPTER}'" in wrong.stderr


# a notebook as downloaded


def downloaded(folder: Path, python: Path, cells: int | None = None) -> str:
    """Run a chapter that lies in ``folder`` and return what it printed, or why it stopped.

    Plain papermill runs it in smoke, with the kernel of the environment ``python``; ``cells`` takes
    only so many of its code cells.
    """
    source = next(ROOT.glob(f"chapters/*-{CHAPTER}.ipynb"))
    notebook = nbformat.read(source, as_version=4)
    code = [i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    notebook.cells = notebook.cells[: code[cells] if cells else None]
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, folder / source.name)
    kernel = folder.parent / "jupyter" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True, exist_ok=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.write_text(json.dumps({"argv": argv, "display_name": "x", "language": "python"}))
    papermill = [sys.executable, "-m", "papermill", source.name, "done.ipynb", "-p", "profile"]
    run = call(
        [*papermill, "smoke", "--no-progress-bar"],
        folder,
        JUPYTER_PATH=str(kernel.parents[2]),
        CHEMDL_CACHE=str(folder.parent / "cache"),
    )
    done = nbformat.read(folder / "done.ipynb", as_version=4)
    outputs = [output for cell in done.cells for output in cell.get("outputs", [])]
    shown = "".join(output.get("text", "") for output in outputs)
    assert run.returncode == 0 or "UsageError" in shown, shown + run.stderr
    return shown


def origin(python: Path, folder: Path) -> str:
    # numpy and torch must be there still; importing torch takes seconds.
    code = "import chemdl, numpy; from importlib.metadata import version; version('torch')"
    code += "; print(chemdl.__file__)"
    done = call([str(python), "-c", code], folder)
    return done.stdout.strip() or done.stderr


@pytest.fixture
def forgotten(stranger: Path, tmp_path: Path) -> Path:
    """The stranger's Python, to which chemdl is unknown before the test and after it."""
    assert "No module named 'chemdl'" in origin(stranger, tmp_path)
    yield stranger
    call([str(stranger), "-m", "pip", "uninstall", "--yes", "chemdl"], tmp_path)


def test_a_downloaded_notebook_alone_says_in_one_sentence_what_to_do(
    forgotten: Path, tmp_path: Path
) -> None:
    shown = downloaded(tmp_path / "alone", forgotten)
    assert shown.splitlines()[-1].startswith("UsageError: chemdl is missing: put its wheel")
    assert str(tmp_path / "alone") in shown and "Traceback" not in shown


def test_a_downloaded_notebook_runs_with_the_wheel_beside_it(
    forgotten: Path, wheel: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    shutil.copy(wheel, folder)
    # A folder that is only called like the package is none.
    (folder / "chemdl").mkdir()
    # As far as the data sets; the studies are run by the test above.
    downloaded(folder, forgotten, cells=6)
    assert Path(origin(forgotten, tmp_path)).is_relative_to(forgotten.parents[1])


def test_a_notebook_in_a_clone_takes_the_clone(forgotten: Path, tmp_path: Path) -> None:
    clone = tmp_path / "my clone"
    clone.mkdir()
    for name in ("chemdl", "data", "pyproject.toml", "README.md", "LICENSE", "LICENSE-text"):
        (clone / name).symlink_to(ROOT / name)
    downloaded(clone / "chapters", forgotten, cells=3)
    assert Path(origin(forgotten, tmp_path)) == clone / "chemdl" / "__init__.py"
