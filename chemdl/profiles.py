"""How much work a run may do, and where it finds and leaves its files."""

from __future__ import annotations

import difflib
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

PROFILES = ("smoke", "quick", "full")
DEVICES = ("auto", "cpu", "cuda")
# The set-up cell stands before the settings and holds the repository's address.
_SETUP_NAME = "repository"

T = TypeVar("T")


class SettingsError(ValueError):
    """A parameter that no chapter knows, or a value that it cannot take."""


@dataclass(frozen=True)
class Settings:
    """The checked parameters of a run.

    Attributes
    ----------
    profile : how much work: ``smoke`` (regression tests), ``quick`` (the default) or ``full``.
    seed : the one root seed; every other seed is spawned from it by name.
    device : ``cpu`` or ``cuda``, resolved from ``auto``.
    output : folder for cards, replicas and the executed notebook.
    models : ``("all",)``, or kinds (``deep``, ``other``) and names of the models to compute now.
    repeats, trials : cut the protocol's repeats or the tuning trials of a profile; ``None`` leaves
        them as the profile has them. A card states what such a cut leaves out.
    """

    profile: str = "quick"
    seed: int = 0
    device: str = "auto"
    output: Path = Path()
    models: tuple[str, ...] = ("all",)
    repeats: int | None = None
    trials: int | None = None

    def choose(self, *, quick: T, full: T, smoke: T | None = None) -> T:
        """Return the value meant for this run's profile; without ``smoke`` it takes ``quick``."""
        if self.profile == "full":
            return full
        return smoke if self.profile == "smoke" and smoke is not None else quick

    def part(self, dataset: Any, *, quick: int | None, smoke: int | None = None) -> Any:
        """Return the dataset in ``full``, and a fixed sample of so many rows in a smaller profile.

        The sample is the same for every seed of the run, so that its numbers can be compared.
        """
        rows = self.choose(quick=quick, full=None, smoke=smoke)
        return dataset if rows is None or rows >= len(dataset) else dataset.sample(rows, seed=0)


def settings(namespace: Mapping[str, Any]) -> Settings:
    """Check a chapter's parameters and return them as :class:`Settings`.

    ``namespace`` is the notebook's ``globals()`` right after the parameters cell, or a plain
    mapping. Papermill accepts any name silently, so every number, text or truth value in it that
    is no parameter is refused here. Other objects are none of papermill's, and stay: the cell can
    be run again in a notebook that is at work.

    Raises
    ------
    SettingsError
        for an unknown name or a value that the parameter cannot take, with the near misses.
    """
    known = {field.name for field in fields(Settings)}
    given = {name: value for name, value in namespace.items() if _is_parameter(name, value)}
    for name in given:
        if name not in known | {_SETUP_NAME}:
            raise SettingsError(unknown("parameter", name, known))
    profile = str(given.get("profile", "quick"))
    if profile not in PROFILES:
        raise SettingsError(unknown("profile", profile, PROFILES))
    return Settings(
        profile=profile,
        seed=_whole_number("seed", given.get("seed", 0), minimum=0),
        device=resolve_device(str(given.get("device", "auto"))),
        output=_output_folder(given.get("output"), profile),
        models=_model_names(given.get("models")),
        repeats=_optional("repeats", given.get("repeats"), minimum=1),
        trials=_optional("trials", given.get("trials"), minimum=0),
    )


def resolve_device(device: str) -> str:
    """Turn ``auto`` into ``cuda`` where there is one, else ``cpu``.

    Raises
    ------
    SettingsError
        for an unknown device, or ``cuda`` where PyTorch sees none.
    """
    if device not in DEVICES:
        raise SettingsError(unknown("device", device, DEVICES))
    if device == "cpu":
        return device
    import torch

    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise SettingsError(
            "device 'cuda' was asked for, but PyTorch sees no GPU here; use device='cpu', "
            "or on Colab choose Runtime > Change runtime type > GPU"
        )
    return "cuda" if available else "cpu"


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Say that ``name`` is unknown, and which known names it nearly is."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    return f"unknown {kind} {name!r}.{hint} Known: {', '.join(names)}"


def spawn(seed: int, *names: str | int) -> int:
    """Derive the child seed of ``seed`` with these names, between 0 and 2**31 - 1.

    Named seeds stay what they are when another model or fold is added beside them.
    """
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def cache_dir() -> Path:
    """Return the cache folder: ``CHEMDL_CACHE``, or the user's cache folder."""
    if named := os.environ.get("CHEMDL_CACHE"):
        return Path(named).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("chemdl"))


def project_root() -> Path | None:
    """Return the checkout that holds the working folder or this file, or ``None``."""
    here = Path.cwd()
    candidates = [here, *here.parents, Path(__file__).resolve().parents[1]]
    return next((c for c in candidates if (c / "chapters").is_dir() and _is_ours(c)), None)


def clone() -> Path | None:
    """Return the checkout that this package is used from, or ``None`` where it was installed."""
    beside = Path(__file__).resolve().parents[1]
    return beside if _is_ours(beside) else None


def data_dir() -> Path:
    """Return the folder with datasets.yml, claims.yml, embedded/ and results/."""
    beside = clone()
    return beside / "data" if beside else Path(__file__).with_name("_data")


def chapters_dir() -> Path:
    """Return the folder with the notebooks: the checkout's chapters/, else the package's own copy.

    Nothing is ever written there.
    """
    root = project_root()
    return root / "chapters" if root else Path(__file__).with_name("_chapters")


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` and move it there when the block ends well.

    A reader sees the old file or the whole new one; an error or a kill leaves no half file under
    the name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes private files; results are meant to be read by others.
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _is_ours(folder: Path) -> bool:
    pyproject = folder / "pyproject.toml"
    return pyproject.is_file() and 'name = "chemdl"' in pyproject.read_text(encoding="utf-8")


def _is_parameter(name: str, value: Any) -> bool:
    names = isinstance(value, list | tuple) and name == "models"
    folder = isinstance(value, os.PathLike) and name == "output"
    scalar = value is None or isinstance(value, bool | int | float | str)
    return not name.startswith("_") and (scalar or names or folder)


def _output_folder(output: Any, profile: str) -> Path:
    if output:
        return Path(output).expanduser().resolve()
    root = project_root()
    return (root / "_build" / "runs" if root else Path.cwd() / "chemdl-output") / profile


def _model_names(models: Any) -> tuple[str, ...]:
    if models is None or models == "":
        return ("all",)
    if isinstance(models, str):
        return tuple(name.strip() for name in models.split(",") if name.strip())
    return tuple(str(name) for name in models)


def _whole_number(name: str, value: Any, minimum: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise SettingsError(f"{name} must be a whole number of at least {minimum}, not {value!r}")
    return value


def _optional(name: str, value: Any, minimum: int) -> int | None:
    return None if value is None else _whole_number(name, value, minimum)
