"""What holds for the package as a whole: its floors, its import, its pins."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "chemdl"

# The spine from the ground up; a room imports from floors below, or from its left on its own floor.
SPINE = (
    ("__init__", "registry", "files"),
    ("extras", "threads", "progress", "settings"),
    ("data",),
    ("learn",),
    ("evidence",),
    ("show",),
    ("book",),
    ("doctor", "cli"),
    ("__main__",),
)
# Each flat stands on the spine, since it may bring a command; nothing stands on a flat, but that
# screening and the tool for your own data build on molecules.
FLATS = {
    "molecules": set(),
    "proteins": set(),
    "screening": {"molecules"},
    "quantum": set(),
    "materials": set(),
    "your_data": {"molecules"},
}
PLACES = {
    room: (height, place) for height, floor in enumerate(SPINE) for place, room in enumerate(floor)
}
MOST_LINES = 450
# Seconds of import, or absent from plain installations: only inside the function that needs them.
LATE = {
    "IPython",
    "chemprop",
    "deepchem",
    "jupyter_book",
    "meeko",
    "nbclient",
    "nbconvert",
    "nbformat",
    "papermill",
    "pymatgen",
    "scikit_posthocs",
    "statsmodels",
    "vina",
}
FORBIDDEN = {"base", "common", "core", "helpers", "utils"}
SOURCES = sorted(PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path, node: ast.AST) -> list[str]:
    """Return the modules that an import statement of the file ``path`` names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    if node.level:
        package = module_name(path).split(".")
        keep = len(package) - node.level + (path.name == "__init__.py")
        source = ".".join([*package[:keep], *([node.module] if node.module else [])])
    else:
        source = node.module or ""
    return [f"{source}.{alias.name}" for alias in node.names]


def rooms_used(path: Path, text: str) -> set[str]:
    """Return the rooms of the package that a file names: by imports, or as ``chemdl.room``."""
    tree = ast.parse(text)
    names = [name for node in ast.walk(tree) for name in imported(path, node)]
    names += [
        f"chemdl.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "chemdl"
    ]
    used = {name.split(".")[1] for name in names if name.startswith("chemdl.")}
    return used & (FLATS.keys() | PLACES.keys())


def at_import(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the nodes that run when a module is imported: all but the bodies of functions."""
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        pending.extend(ast.iter_child_nodes(node))


def is_allowed(room: str, used: str) -> bool:
    """Say whether a module of one room may import from another."""
    if used == room:
        return True
    if room in FLATS:
        return used in FLATS[room] if used in FLATS else used not in ("book", "doctor")
    return used in PLACES and PLACES[used] < PLACES[room]


def python(code: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return run


# floors


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_a_room_imports_only_from_below_or_from_its_left(path: Path) -> None:
    room = path.relative_to(PACKAGE).with_suffix("").parts[0]
    assert room in PLACES or room in FLATS, f"give chemdl/{room} a place in SPINE or FLATS"
    text = path.read_text("utf-8")
    assert [used for used in sorted(rooms_used(path, text)) if not is_allowed(room, used)] == []


def test_the_rule_of_floors_can_fail() -> None:
    assert not is_allowed("data", "evidence")
    assert not is_allowed("registry", "files") and is_allowed("files", "registry")
    assert is_allowed("evidence", "data") and is_allowed("evidence", "evidence")
    for room in PLACES:
        assert not any(is_allowed(room, flat) for flat in FLATS), room
    assert is_allowed("screening", "molecules") and not is_allowed("molecules", "screening")
    assert not is_allowed("proteins", "molecules")
    assert is_allowed("quantum", "show") and not is_allowed("quantum", "book")


@pytest.mark.parametrize(
    "text",
    [
        "import chemdl.molecules.smiles",
        "from chemdl import molecules",
        "from chemdl.molecules.smiles import parse",
        "from ..molecules import smiles",
        "from .. import molecules",
        "def f():\n    from chemdl.molecules import smiles",
        "import chemdl\nchemdl.molecules.smiles.parse",
    ],
)
def test_every_way_to_name_a_room_is_seen(text: str) -> None:
    assert rooms_used(PACKAGE / "learn" / "written.py", text) == {"molecules"}


def test_every_flat_says_what_it_registers() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/domain.py")}
    assert folders == FLATS.keys()


def test_no_module_takes_more_than_an_afternoon() -> None:
    lengths = {module_name(path): len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    assert {name: n for name, n in lengths.items() if n > MOST_LINES} == {}


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_slow_and_optional_packages_are_imported_late(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    early = {name.split(".")[0] for node in at_import(tree) for name in imported(path, node)}
    assert sorted(early & LATE) == []
    assert "chapters" not in early


def test_no_module_is_named_after_nothing() -> None:
    assert [
        str(path) for path in SOURCES if path.stem in FORBIDDEN or path.parent.name in FORBIDDEN
    ] == []


# import

SECONDS = """
import sys, time
began = time.process_time()
import chemdl
seconds = time.process_time() - began
print(seconds, *sorted(sys.modules))
"""

# What third parties do when they are imported is theirs: they come first.
GLOBAL_STATE = """
import locale, logging, os, random, signal, socket, sys, warnings
import importlib, pkgutil
import joblib, matplotlib, matplotlib.pyplot, numpy, pandas, pydantic, pypi_simple, rdkit.Chem
import requests, scipy.stats, sklearn.ensemble, sklearn.svm, threadpoolctl, torch, tqdm.auto, yaml

def refuse(*_):
    raise AssertionError("an import reached for the network")

def state():
    return {
        "warnings": [str(entry) for entry in warnings.filters],
        "random": str(random.getstate()),
        "numpy": str(numpy.random.get_state()),
        "torch": torch.random.get_rng_state().tolist(),
        "torch dtype": str(torch.get_default_dtype()),
        "torch threads": torch.get_num_threads(),
        "thread pools": str([p["num_threads"] for p in threadpoolctl.threadpool_info()]),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "matplotlib": str(dict(matplotlib.rcParams)),
        "pandas": str(pandas.options.display.max_rows),
        "environment": str(sorted(os.environ.items())),
        "logging": (logging.root.level, str(logging.root.handlers)),
        "folder": os.getcwd(),
    }

socket.socket.connect = refuse
before = state()
import chemdl
names = [module.name for module in pkgutil.walk_packages(chemdl.__path__, "chemdl.")]
for name in names:
    if name != "chemdl.__main__":
        importlib.import_module(name)
after = state()
assert len(names) > 10, names
changed = [name for name in before if before[name] != after[name]]
assert not changed, changed
"""


def test_the_package_imports_fast_and_alone(tmp_path: Path) -> None:
    runs = [python(SECONDS, tmp_path) for _ in range(3)]
    assert min(float(run.stdout.split()[0]) for run in runs) < 0.3
    assert {"numpy", "torch", "rdkit", "pandas"}.isdisjoint(runs[0].stdout.split())
    assert "chemdl" in runs[0].stdout.split()


def test_importing_every_module_prints_nothing_and_leaves_no_trace(tmp_path: Path) -> None:
    run = python(GLOBAL_STATE, tmp_path, CHEMDL_CACHE=str(tmp_path / "cache"))
    assert (run.stdout, run.stderr) == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_names_of_the_package_resolve() -> None:
    import chemdl

    assert set(dir(chemdl)) >= {"load", "Study", "read_settings", "evidence", "molecules"}
    assert chemdl.read_settings is chemdl.settings.read_settings
    assert chemdl.Study is chemdl.evidence.study.Study
    for name in chemdl.__all__:
        assert getattr(chemdl, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        _ = chemdl.laod


# dependencies


def modules_of(distributions: set[str]) -> dict[str, set[str]]:
    """Return the modules that can be imported of each of these distributions."""
    found: dict[str, set[str]] = {name: set() for name in distributions}
    for module, owners in importlib.metadata.packages_distributions().items():
        for owner in {canonicalize_name(owner) for owner in owners} & distributions:
            found[owner].add(module)
    return found


def third_parties(early: bool) -> set[str]:
    """Return the packages of others that the package imports: when it is imported, or ever."""
    trees = [(path, ast.parse(path.read_text("utf-8"))) for path in SOURCES]
    names = {
        name.split(".")[0]
        for path, tree in trees
        for node in (at_import(tree) if early else ast.walk(tree))
        for name in imported(path, node)
    }
    return names - sys.stdlib_module_names - {"chemdl", "__future__"}


def declared(*extras: str) -> set[str]:
    project = pyproject()["project"]
    lines = [*project["dependencies"]]
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    return {canonicalize_name(Requirement(line).name) for line in lines} - {"chemdl"}


def test_every_dependency_is_imported_by_some_module() -> None:
    used = third_parties(early=False)
    modules = modules_of(declared())
    assert all(modules.values()), "declared, but not installed here"
    assert {name for name, own in modules.items() if not own & used} == set()


def test_what_is_imported_early_is_a_dependency_of_the_plain_package() -> None:
    plain = set().union(*modules_of(declared()).values())
    assert sorted(third_parties(early=True) - plain) == []


def test_what_is_imported_late_is_declared_for_some_installation() -> None:
    extras = pyproject()["project"]["optional-dependencies"]
    known = declared(*(name for name in extras if name != "dev"))
    installed = modules_of(known)
    # What an extra brings may be absent here; its name is then that of its module.
    modules = {name.replace("-", "_") for name in known}.union(*installed.values())
    unknown = third_parties(early=False) - modules
    # By ipykernel, matplotlib and pydata-sphinx-theme.
    brought = {"IPython", "PIL", "bs4", "jupyter_client", "traitlets"}
    assert sorted(unknown - brought) == []


# pins


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def makefile_extras() -> set[str]:
    found = re.search(r"^EXTRAS := (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert found
    return set(found[1].split(","))


def requirements() -> list[Requirement]:
    project = pyproject()["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    return [Requirement(line) for lines in lists for line in lines]


def test_constraints_pin_versions_that_any_index_has() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    assert [
        line for line in pinned if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", line)
    ] == []
    assert len(pins()) == len(pinned)
    assert pins()["torch"] == "2.13.0"


def test_every_direct_requirement_is_pinned_within_its_range() -> None:
    wrong = {
        str(requirement): pins().get(canonicalize_name(requirement.name))
        for requirement in requirements()
        if requirement.name != "chemdl"
        and not requirement.specifier.contains(pins().get(canonicalize_name(requirement.name), "0"))
    }
    assert wrong == {}


def required(name: str, extra: str) -> list[str]:
    """Return what a distribution requires; of this one what pyproject.toml says now."""
    if name == "chemdl":
        project = pyproject()["project"]
        return project["optional-dependencies"][extra] if extra else project["dependencies"]
    try:
        return importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return []


def test_everything_that_make_installs_is_pinned() -> None:
    pending = [("chemdl", extra) for extra in ("", *makefile_extras())]
    seen: set[tuple[str, str]] = set()
    while pending:
        name, extra = pending.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for requirement in map(Requirement, required(name, extra)):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                needed = canonicalize_name(requirement.name)
                pending += [(needed, wanted) for wanted in ("", *requirement.extras)]
    # PyTorch pins its own CUDA packages exactly, and its CPU builds have none.
    own = re.compile(r"chemdl$|nvidia-|cuda-|triton$")
    installed = {name for name, _ in seen if not own.match(name)}
    assert len(installed) > 100
    assert sorted(installed - set(pins())) == []


def test_conda_takes_python_from_the_same_range_and_the_rest_from_the_same_pins() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    conda = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    (pip,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    versions = dict(entry.partition("=")[::2] for entry in conda)
    assert set(versions) == {"python", "pip"}
    assert Version(versions["python"]) in SpecifierSet(pyproject()["project"]["requires-python"])

    options = [line for line in pip if line.startswith("--")]
    assert options[0] == "--constraint constraints.txt"
    (editable,) = (line for line in options if line.startswith("--editable"))
    extras = re.fullmatch(r"--editable \.\[(.+)\]", editable)
    assert extras and set(extras[1].split(",")) == makefile_extras()
    pinned = dict(line.split("==") for line in pip if not line.startswith("--"))
    assert pinned == {name: pins()[name] for name in pinned}
    assert "torch" in pinned


def make_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text("utf-8")
    found = re.search(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    assert found
    return set(found[1].split())


def test_make_help_lists_every_target() -> None:
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    described = set(re.findall(r"^  ([a-z-]+) ", listed, re.MULTILINE))
    assert described == make_targets()


def test_the_dev_container_has_our_python_and_calls_what_make_knows() -> None:
    text = (ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8")
    container = json.loads(text)
    image = re.fullmatch(r"python:(3\.\d+)-\w+", container["image"])
    assert image and Version(image[1]) in SpecifierSet(pyproject()["project"]["requires-python"])
    # The Python that the pins are made for, as in environment.yml and the workflow's main job.
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    assert f"python={image[1]}" in environment["dependencies"]

    commands = [value for key, value in container.items() if key.endswith("Command")]
    called = [re.match(r"make ([a-z-]+)", command) for command in commands]
    assert called and all(called)
    promised = re.findall(r"make ([a-z-]+)", text)
    assert set(promised) <= make_targets() and {"setup", "book", "test"} <= set(promised)
    assert f"make setup PYTHON=python{image[1]}" in commands


def test_what_contributors_are_told_to_call_exists() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    named = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", text))
    assert {"setup", "test", "lint", "release"} <= named
    assert sorted(named - make_targets()) == []
    paths = re.findall(r"`([\w./-]+/[\w.-]*|\w+\.(?:md|yml|bib|cff|toml|txt))`", text)
    made = {"dist/"}
    somewhere = {f"{path.name}/" for path in PACKAGE.glob("*/*") if path.is_dir()}
    known = made | somewhere
    assert [path for path in paths if path not in known and not (ROOT / path).exists()] == []
    assert len(paths) > 10


def test_workflows_take_actions_by_digest_and_may_only_read() -> None:
    """A tag can be moved to other code; what a job may write it asks for itself."""
    files = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert len(files) == 4
    for path in files:
        text = path.read_text("utf-8")
        workflow = yaml.safe_load(text)
        assert workflow["permissions"] in ({}, {"contents": "read"}), path.name
        assert "pull_request_target" not in text
        used = re.findall(r"uses: (.+)", text)
        pinned = r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+"
        assert [one for one in used if not re.fullmatch(pinned, one)] == [], path.name
