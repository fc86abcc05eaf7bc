"""The parameters of a run: how much work it may do, on which device, from which seed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Integral
from pathlib import Path
from typing import Any, TypeVar

from chemdl.files import project_root
from chemdl.registry import UnknownNameError

PROFILES = ("smoke", "quick", "full")
DEVICES = ("auto", "cpu", "cuda")
# The set-up cell stands before the settings and holds the repository's address; Jupyter keeps what
# was typed and shown.
_NOT_PARAMETERS = {"repository", "In", "Out"}

T = TypeVar("T")


class SettingsError(ValueError):
    """A parameter that no chapter knows, or a value that it cannot take."""


@dataclass(frozen=True)
class Settings:
    """The checked parameters of a run.

    Attributes
    ----------
    profile
        How much work the run does: ``smoke`` (regression tests), ``quick`` (the default) or
        ``full``.
    seed
        Root seed, from which every other seed is derived by name.
    device
        ``cpu`` or ``cuda``, resolved from ``auto``.
    output
        Folder for cards, replicas and the executed notebook.
    models
        Models to compute now: ``("all",)``, or kinds (``deep``, ``classical``) and names.
    repeats, trials
        Smaller number of the protocol's repeats, or of tuning trials; ``None`` keeps those of the
        profile. The card states what is left out.
    shuffled
        Whether to train on permuted labels, a control in which there is nothing to learn.
    chapter
        Name of the chapter that runs. The chapter sets it; it is not a parameter of the run.
    """

    profile: str = "quick"
    seed: int = 0
    device: str = "auto"
    output: Path = Path()
    models: tuple[str, ...] = ("all",)
    repeats: int | None = None
    trials: int | None = None
    shuffled: bool = False
    chapter: str = ""

    @property
    def cards(self) -> Path:
        """The folder of this run's cards."""
        return self.output / "cards"

    def choose(self, *, quick: T, full: T, smoke: T | None = None) -> T:
        """Return the value meant for this run's profile; without ``smoke`` it takes ``quick``."""
        if self.profile == "full":
            return full
        return smoke if self.profile == "smoke" and smoke is not None else quick

    def part(self, dataset: Any, *, quick: int | None, smoke: int | None = None) -> Any:
        """Return the whole dataset in ``full``, and a fixed sample of it in a smaller profile.

        The sample is the same for every seed of the run, so that its numbers can be compared.
        """
        rows = self.choose(quick=quick, full=None, smoke=smoke)
        return dataset if rows is None or rows >= len(dataset) else dataset.sample(rows, seed=0)


def read_settings(namespace: Mapping[str, Any], chapter: str = "") -> Settings:
    """Check a chapter's parameters and return them as :class:`Settings`.

    ``namespace`` is the notebook's ``globals()`` right after the parameters cell, or a plain
    mapping; ``chapter`` is the chapter's name. Papermill accepts any name silently, so everything
    that it can bring (a number, text, truth value, list or mapping) under a name that is no
    parameter is refused here. Other objects of a notebook are ignored.

    Raises
    ------
    SettingsError
        For an unknown name, or a value that the parameter cannot take; the message lists similar
        names.
    """
    known = {field.name for field in fields(Settings)} - {"chapter"}
    for name, value in namespace.items():
        if name not in known | _NOT_PARAMETERS and _may_be_parameter(name, value):
            raise SettingsError(str(UnknownNameError("parameter", name, known)))
    given = {name: value for name, value in namespace.items() if name in known}
    profile = str(given.get("profile", "quick"))
    if profile not in PROFILES:
        raise SettingsError(str(UnknownNameError("profile", profile, PROFILES)))
    return Settings(
        profile=profile,
        seed=_whole_number("seed", given.get("seed", 0), minimum=0),
        device=resolve_device(str(given.get("device", "auto"))),
        output=_output_folder(given.get("output"), profile),
        models=_model_names(given.get("models")),
        repeats=_optional("repeats", given.get("repeats"), minimum=1),
        trials=_optional("trials", given.get("trials"), minimum=0),
        shuffled=_truth("shuffled", given.get("shuffled", False)),
        chapter=chapter,
    )


def resolve_device(device: str) -> str:
    """Turn ``auto`` into ``cuda`` where there is one, else ``cpu``.

    Raises
    ------
    SettingsError
        For an unknown device, or for ``cuda`` if PyTorch finds no GPU.
    """
    if device not in DEVICES:
        raise SettingsError(str(UnknownNameError("device", device, DEVICES)))
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


def spawn(seed: int, *names: str | int) -> int:
    """Derive the child seed of ``seed`` with these names, between 0 and 2**31 - 1.

    A named seed does not change when other models or folds are added.
    """
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def _may_be_parameter(name: str, value: Any) -> bool:
    """Say whether papermill may have brought it, from a command line or a YAML file."""
    scalar = value is None or isinstance(value, bool | int | float | str)
    # A constant that a chapter imports may be a list too.
    holds_others = isinstance(value, list | dict) and not name.isupper()
    return not name.startswith("_") and (scalar or holds_others)


def _output_folder(output: Any, profile: str) -> Path:
    if output is not None and not isinstance(output, str | os.PathLike):
        raise SettingsError(f"output must be a folder's path, not {output!r}")
    if output:
        return Path(output).expanduser().resolve()
    root = project_root()
    return (root / "_build" / "runs" if root else Path.cwd() / "chemdl-output") / profile


def _model_names(models: Any) -> tuple[str, ...]:
    if models is None or models == "":
        return ("all",)
    names = [name.strip() for name in models.split(",")] if isinstance(models, str) else models
    is_list = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    if not is_list or not any(names):
        raise SettingsError(f"models must be names, as text or in a list, not {models!r}")
    return tuple(name for name in names if name)


def _whole_number(name: str, value: Any, minimum: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise SettingsError(f"{name} must be a whole number of at least {minimum}, not {value!r}")
    return int(value)


def _optional(name: str, value: Any, minimum: int) -> int | None:
    return None if value is None else _whole_number(name, value, minimum)


def _truth(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise SettingsError(f"{name} must be true or false, not {value!r}")
    return value
