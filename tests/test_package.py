"""What holds for the package as a whole: its layers, its import, its pins."""

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

# From the ground up; a room imports from floors below, or from its left on its own floor.
FLOORS = (
    ("profiles", "extras", "threads", "progress", "datasets", "claims"),
    (
        "ragged",
        "features",
        "docking",
        "training",
        "dealing",
        "twins",
        "splits",
        "material_groups",
        "labels",
        "segments",
        "metrics",
        "intervals",
        "stats",
    ),
    ("models", "baselines"),
    (
        "verdicts",
        "cards",
        "comparisons",
        "conditions",
        "replicas",
        "tuning",
        "study",
        "tables",
        "plots",
    ),
    ("book",),
    ("doctor", "cli"),
)
PLACES = {
    room: (height, place) for height, floor in enumerate(FLOORS) for place, room in enumerate(floor)
}
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
ENTRY_POINTS = {PACKAGE / "__init__.py", PACKAGE / "__main__.py"}


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


def rooms_used(path: Path) -> set[str]:
    names = (
        name
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        for name in imported(path, node)
    )
    return {
        parts[1] for name in names if (parts := name.split("."))[0] == "chemdl" and len(parts) > 1
    }


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
    return used == room or used not in PLACES or PLACES[used] < PLACES[room]


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


# layers


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if path not in ENTRY_POINTS], ids=module_name
)
def test_a_room_imports_only_from_below_or_from_its_left(path: Path) -> None:
    room = path.relative_to(PACKAGE).with_suffix("").parts[0]
    assert room in PLACES, f"give chemdl/{room} a place in FLOORS"
    assert [used for used in sorted(rooms_used(path)) if not is_allowed(room, used)] == []


def test_the_layering_rule_can_fail() -> None:
    assert not is_allowed("metrics", "stats")
    assert not is_allowed("datasets", "cards")
    assert is_allowed("cards", "datasets")


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
began = time.perf_counter()
import chemdl
seconds = time.perf_counter() - began
print(seconds, *sorted(sys.modules))
"""

# What third parties do when they are imported is theirs: they come first.
GLOBAL_STATE = """
import locale, logging, os, random, signal, socket, sys, warnings
import importlib, pkgutil
import joblib, jsonschema, matplotlib, matplotlib.pyplot, numpy, pandas, pooch, rdkit.Chem
import scipy.stats, sklearn.ensemble, sklearn.svm, threadpoolctl, torch, tqdm.auto, unearth, yaml

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

    assert chemdl.settings is chemdl.settings.settings
    assert set(dir(chemdl)) >= {"load", "Study", "settings"}
    for name in chemdl.__all__:
        assert getattr(chemdl, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        _ = chemdl.laod


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


def test_everything_that_make_installs_is_pinned() -> None:
    pending = [("chemdl", extra) for extra in ("", *makefile_extras())]
    seen: set[tuple[str, str]] = set()
    while pending:
        name, extra = pending.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            lines = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for requirement in map(Requirement, lines):
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
    assert [path for path in paths if path not in made and not (ROOT / path).exists()] == []
    assert len(paths) > 10


def test_workflows_parse_and_take_actions_by_major_version() -> None:
    files = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    used = []
    for path in files:
        jobs = yaml.safe_load(path.read_text("utf-8"))["jobs"]
        used += [step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step]
    assert len(files) == 4
    assert [name for name in used if not re.fullmatch(r"actions/[a-z-]+@v\d+", name)] == []
