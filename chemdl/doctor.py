"""Check this installation and say what is missing and what to type (``chemdl doctor``).

Packages are imported in a separate process, because a broken one may print, hang or end Python,
which must not disturb the report. Nothing here uses the network or leaves a file.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from chemdl import __version__
from chemdl.book.run import RECORDED_PACKAGES
from chemdl.extras import install_command, installed_version, pip_install, requirements, unmet
from chemdl.files import cache_dir, clone
from chemdl.threads import cores

# What each optional part is for; those for developers (dev, bench) are left out.
PURPOSES = {
    "run": "runs chapters",
    "book": "builds the book",
    "lab": "opens chapters in JupyterLab",
    "deepchem": "runs DeepChem's own nets beside ours",
    "xgboost": "runs XGBoost, a boosting that some sources compare with",
    "materials": "knows elements and crystals, for the chapter on materials",
    "dock": "docks ligands with AutoDock Vina",
    "your-data": "reads your workbooks and parquet, and keeps models for predictions",
}
# A chapter needs each of these; importing the last two takes in most of the others.
_MODULES = ("numpy", "scipy.stats", "rdkit.Chem", "torch", "chemdl.data", "chemdl.evidence.study")
# And with the part `run`, to be executed.
_RUNNERS = ("ipykernel", "papermill")
_GPU = "chemdl.doctor:gpu"
_NOT_FOUND = "ModuleNotFoundError"
# Seconds: PyTorch from a cold disk takes tens of them.
_PATIENCE = 180

# Answers go to a copy of stdout, and stdout to stderr: whatever a package prints is not an answer.
_CHILD = """
import json, os, sys
sys.path[:] = json.loads(sys.argv[1])
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
import importlib
for name in sys.argv[2:]:
    module, _, function = name.partition(":")
    try:
        imported = importlib.import_module(module)
        ok, said = True, getattr(imported, function)() if function else ""
    except BaseException as error:
        lines = str(error).strip().splitlines() or [""]
        ok, said = False, f"{type(error).__name__}: {lines[0]}"
    print(json.dumps([name, ok, said]), file=answers, flush=True)
"""


@dataclass(frozen=True)
class Trouble:
    """Something that is missing or broken.

    ``command`` is what to type ("" if no command helps); ``stops`` says that no chapter can run
    until it is repaired.
    """

    what: str
    command: str = ""
    stops: bool = False


@dataclass
class Report:
    """What :func:`examine` found: rows of (name, value) by section, and the troubles."""

    sections: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    troubles: list[Trouble] = field(default_factory=list)

    @property
    def runs(self) -> bool:
        """Whether a chapter can be run here."""
        return not any(trouble.stops for trouble in self.troubles)

    def __str__(self) -> str:
        lines: list[str] = []
        for title, rows in self.sections.items():
            lines += [title, *(_row(name, value) for name, value in rows), ""]
        if self.troubles:
            lines.append("what is missing, and what to type")
            # What stops a chapter comes first.
            for trouble in sorted(self.troubles, key=lambda one: not one.stops):
                lines.append(_fill(trouble.what, f"  {'!' if trouble.stops else '-'} ", 4))
                lines += [f"      {trouble.command}"] if trouble.command else []
            lines.append("")
        able = "can be run here" if self.runs else "cannot be run here: mend what is marked with !"
        return "\n".join([*lines, f"chapters {able}"])


def examine() -> Report:
    """Look at this installation: versions, devices, cache, data, optional parts."""
    report = Report()
    needed = requirements()
    outcomes = try_imports([*_MODULES, *_RUNNERS, _GPU])
    report.sections["chemdl"] = [
        ("version", __version__),
        ("from", origin()),
        ("Python", f"{platform.python_version()}, {sys.executable}"),
        ("system", f"{platform.system()} {platform.machine()}"),
    ]
    report.sections["packages that results depend on"] = _versions(outcomes)
    report.sections["devices"] = _devices(outcomes)
    lacking = {part: unmet(needed.get(part, [])) for part in ("", "run")}
    for part, names in lacking.items():
        if names:
            what = f"{'running chapters' if part else 'chemdl'} needs {', '.join(names)}"
            report.troubles.append(Trouble(what, install_command(part), stops=True))
    report.troubles += _broken(outcomes, any(lacking.values()))
    _look_at_the_cache(report)
    _look_at_the_data(report, outcomes)
    _look_at_the_parts(report, needed)
    return report


def origin() -> str:
    """Say where the chemdl that runs comes from: a clone, a wheel, another installer."""
    if root := clone():
        return f"a clone, {root}"
    folder = Path(__file__).parent
    try:
        text = metadata.distribution("chemdl").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return f"{folder}, copied there without an installer"
    about = json.loads(text or "{}")
    name = str(about.get("url", "")).rstrip("/").rpartition("/")[2]
    kinds = {"archive_info": "the file", "dir_info": "the folder", "vcs_info": "the repository"}
    kind = next((words for key, words in kinds.items() if key in about), "")
    return f"{folder}, installed" + (f" from {kind} {name}" if kind else "")


# what works


@dataclass(frozen=True)
class Outcome:
    """Whether an import went well, and what it said: a function's answer, or the error."""

    ok: bool
    said: str = ""


def try_imports(names: Sequence[str]) -> dict[str, Outcome]:
    """Import modules, and call functions (``module:function``), in a process of their own.

    A module that ends the process, or does not finish within minutes, does not affect the others.
    """
    outcomes: dict[str, Outcome] = {}
    while pending := [name for name in names if name not in outcomes]:
        lines, ending = _import_apart(pending)
        for line in lines:
            name, ok, said = json.loads(line)
            outcomes[name] = Outcome(ok, said)
        if left := [name for name in pending if name not in outcomes]:
            outcomes[left[0]] = Outcome(False, ending)
    return outcomes


def gpu() -> str:
    """Say which GPUs PyTorch sees, or why there is none; imports PyTorch."""
    import torch

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count:
        seen = [torch.cuda.get_device_properties(i) for i in range(count)]
        return "; ".join(f"{one.name}, {_size(one.total_memory)}" for one in seen)
    if torch.version.cuda is None and torch.version.hip is None:
        return "none: this build of PyTorch is for CPUs"
    reason = f" ({str(told[0].message).splitlines()[0]})" if told else ""
    return f"none that PyTorch sees{reason}"


def _import_apart(names: Sequence[str]) -> tuple[list[str], str]:
    """Return the answers of one process, and how it ended."""
    command = [sys.executable, "-P", "-c", _CHILD, json.dumps(sys.path), *names]
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired as error:
        return _whole_lines(error.stdout), f"it does not end within {_PATIENCE} seconds"
    code = done.returncode
    known = code < 0 and -code in set(signal.Signals)
    way = signal.Signals(-code).name if known else f"exit status {code}"
    return _whole_lines(done.stdout), f"it ends Python ({way})"


def _whole_lines(answers: bytes | None) -> list[str]:
    return [line for line in (answers or b"").decode().splitlines() if line.endswith("]")]


def _versions(outcomes: Mapping[str, Outcome]) -> list[tuple[str, str]]:
    rows = []
    for package in RECORDED_PACKAGES:
        if package == "chemdl":
            continue
        version = installed_version(package)
        failed = [o.said for name, o in outcomes.items() if _package(name) == package and not o.ok]
        broken = ", does not import" if failed else ""
        rows.append((package, f"{version}{broken}" if version else "not installed"))
    return rows


def _package(module: str) -> str:
    return module.partition(".")[0]


def _broken(outcomes: Mapping[str, Outcome], lacking: bool) -> list[Trouble]:
    """Name what is installed and does not import.

    Failures because another package is absent are left out, since that package is named already.
    Modules of chemdl itself are named only if no other package is broken.
    """
    failed = {
        name: outcome.said
        for name, outcome in outcomes.items()
        if not outcome.ok and name != _GPU and not (lacking and _NOT_FOUND in outcome.said)
    }
    others = [name for name in failed if _package(name) != "chemdl"]
    troubles = []
    for name in others or failed:
        what, package = f"{name} does not import: {failed[name]}", _package(name)
        version = installed_version(package)
        again = f"{package}=={Version(version).public}" if version else package
        # Not for our own: the message names what is wrong, and chemdl is on no index.
        command = f"{pip_install()} --force-reinstall {again}" if others else ""
        troubles.append(Trouble(what, command, stops=True))
    return troubles


def _devices(outcomes: Mapping[str, Outcome]) -> list[tuple[str, str]]:
    try:
        count = cores()
    except Exception:  # joblib is absent or broken, and named as such
        count = os.cpu_count() or 1
    looked = outcomes[_GPU]
    graphics = looked.said if looked.ok else "not known: PyTorch does not import"
    return [("CPU", f"{count} core{'s' * (count != 1)} usable"), ("GPU", graphics)]


# what is here


def _look_at_the_cache(report: Report) -> None:
    try:
        folder = cache_dir().absolute()
    except ImportError as error:  # platformdirs is absent, and named as such
        report.sections["cache"] = [("folder", f"not known: {error}")]
        return
    standing = next(place for place in (folder, *folder.parents) if place.exists())
    writable = _is_writable(standing)
    named = "CHEMDL_CACHE" if os.environ.get("CHEMDL_CACHE") else "the default"
    report.sections["cache"] = [
        ("folder", f"{folder} ({named}{'' if folder.is_dir() else ', not made yet'})"),
        ("writable", "yes" if writable else "no"),
        ("size", _size(_bytes_in(folder))),
        ("free disk", _size(shutil.disk_usage(standing).free)),
    ]
    if not writable:
        what = "the cache cannot be written, so that nothing can be fetched; name another folder"
        report.troubles.append(Trouble(what, "export CHEMDL_CACHE=/a/folder/of/yours"))


def _is_writable(folder: Path) -> bool:
    """Try it: permissions alone do not tell on a read-only disk, or to an administrator."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _bytes_in(folder: Path) -> int:
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except OSError:  # gone since it was listed
                continue
    return total


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def _look_at_the_data(report: Report, outcomes: Mapping[str, Outcome]) -> None:
    rows = report.sections.setdefault("data sets", [])
    if not outcomes["chemdl.data"].ok:
        rows.append(("here", "not known: chemdl.data does not import"))
        return
    from chemdl import data as datasets

    try:
        here = {name: datasets.describe(name)["here"] for name in datasets.names()}
        mirror = _mirror()
    except Exception as error:  # a damaged installation, which is to be reported
        lines = str(error).splitlines() or [type(error).__name__]
        rows.append(("here", f"not known: {lines[0]}"))
        report.troubles.append(Trouble(f"the registry of data sets cannot be read: {lines[0]}"))
        return
    present = [name for name, found in here.items() if found]
    rows.append(("here", f"{len(present)} of {len(here)}: {', '.join(present)}"))
    rows.append(("CHEMDL_MIRROR", mirror))
    if mirror.endswith("is not there"):
        what = "CHEMDL_MIRROR names a folder that is not there: correct it, or do without"
        report.troubles.append(Trouble(what, "unset CHEMDL_MIRROR"))


def _mirror() -> str:
    """Say what the mirror is, and how many of the registered files it has, by their names."""
    from chemdl.data import registry, transfer

    mirror = os.environ.get("CHEMDL_MIRROR", "")
    if not mirror:
        return "not set; files come from their own addresses"
    if "://" in mirror:
        return f"{mirror}, an address: not asked"
    if not Path(mirror).expanduser().is_dir():
        return f"{mirror} is not there"
    wanted = set()
    for name in registry.names():
        for source in registry.entry(name).sources:
            if source.release is not None:
                wanted.add(("archives", source.release.file))
            elif source.kind == "url":
                wanted |= {(source.folder, file.name) for file in source.files}
    held = sum(Path(transfer.mirrored(*place) or "").is_file() for place in wanted)
    return f"{mirror}, with {held} of {len(wanted)} registered files"


def _look_at_the_parts(report: Report, needed: Mapping[str, Sequence[Requirement]]) -> None:
    rows = report.sections.setdefault("optional parts", [])
    if not needed:
        rows.append(("not known", "chemdl has no record of what it needs; install it with pip"))
    for part, purpose in PURPOSES.items():
        if part not in needed:
            continue
        lacking = unmet(needed[part])
        if not needed[part]:
            state = f"nothing for Python {platform.python_version()}"
        elif lacking:
            state = f"missing: {', '.join(lacking)}"
        else:
            state = "complete"
        rows.append((part, f"{state} ({purpose})"))
        # What `run` lacks stops chapters, and was named above.
        if lacking and part != "run":
            what = f"{part}, which {purpose}, is not complete"
            report.troubles.append(Trouble(what, install_command(part)))


def _row(name: str, value: str) -> str:
    return _fill(value, f"  {name:<14}  ", 18)


def _fill(text: str, start: str, indent: int) -> str:
    """Fold a text; paths and names of packages stay whole, to be copied."""
    return textwrap.fill(
        text,
        100,
        initial_indent=start,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
