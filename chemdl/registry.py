"""Registries: the domains register readers, metrics, models … by name for the rest of the package.

A domain is a subpackage with a module ``domain`` that holds a :class:`Domain`, or another
package's object of that kind under the entry point ``chemdl.domains``.
"""

from __future__ import annotations

import difflib
import functools
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")
ENTRY_POINTS = "chemdl.domains"


class UnknownNameError(ValueError):
    """A name that is not registered; the message lists similar names and all known names.

    Parameters
    ----------
    kind
        Kind of thing that was looked for, such as ``metric``.
    name
        The unknown name.
    known
        All known names.
    """

    def __init__(self, kind: str, name: object, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(str(name), names, n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
        super().__init__(f"unknown {kind} {name!r}.{hint} Known: {', '.join(names)}")


def check_choice(kind: str, name: object, known: Iterable[str]) -> None:
    """Refuse a word that a closed set does not hold; anything but text is no word.

    Raises
    ------
    UnknownNameError
        Listing similar words and all known ones.
    """
    names = tuple(known)
    if not isinstance(name, str) or name not in names:
        raise UnknownNameError(kind, name, names)


@dataclass(frozen=True)
class Domain:
    """The full names of a domain's modules, by what they register.

    A package stands for all modules in it, so a new file needs no entry of its own. The modules are
    imported when a name of their kind is first looked up; listing data sets, for example, imports
    no network.

    Attributes
    ----------
    name
        Name of the domain.
    data
        Modules that register readers of files and kinds of input.
    splits
        Modules that register protocols.
    metrics
        Modules that register metrics.
    baselines
        Modules that register classical models.
    nets
        Modules that register nets.
    commands
        Modules that register commands of the command line.
    """

    name: str
    data: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    baselines: tuple[str, ...] = ()
    nets: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


class Registry(Mapping[str, T], Generic[T]):
    """What this package and every domain registered under names of one kind.

    Parameters
    ----------
    kind
        Kind of thing that the names stand for; error messages use it.
    part
        Field of :class:`Domain` that lists the modules which register such names.
    """

    def __init__(self, kind: str, part: str) -> None:
        self.kind, self.part = kind, part
        self._values: dict[str, T] = {}
        self._complete = False

    def add(self, name: str, value: T) -> None:
        """Register a value; defining it again, as in a notebook, replaces the earlier one.

        Raises
        ------
        ValueError
            If the name is already registered for something else.
        """
        if _definition(self._values.get(name, value)) != _definition(value):
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        self._values[name] = value

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers what it decorates and leaves it as it is."""

        def decorate(value: T) -> T:
            self.add(name, value)
            return value

        return decorate

    def __getitem__(self, name: str) -> T:
        """Return what the name stands for; an unknown one is an :class:`UnknownNameError`."""
        if name not in self._loaded():
            raise UnknownNameError(self.kind, name, self._values)
        return self._values[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Return what the name stands for, or the default."""
        return self._loaded().get(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self._loaded()

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded())

    def __len__(self) -> int:
        return len(self._loaded())

    def _loaded(self) -> dict[str, T]:
        """Import what registers names of this kind, once."""
        if not self._complete:
            # Set first: the modules that are imported here may look a name up themselves.
            self._complete = True
            try:
                for domain in domains():
                    for name in getattr(domain, self.part):
                        _import_all(name)
            except BaseException:
                # Half a registry would call a name unknown that a second import could bring.
                self._complete = False
                raise
        return self._values


def _import_all(name: str) -> None:
    """Import a module, or every module of a package."""
    module = import_module(name)
    for part in pkgutil.iter_modules(getattr(module, "__path__", []), f"{name}."):
        import_module(part.name)


def _definition(value: Any) -> Any:
    """Return module and name of a function or class, or of what a value is made of; else itself."""
    defined = getattr(value, "defined_by", None) or value
    name = getattr(defined, "__qualname__", None)
    return value if name is None else (defined.__module__, name)


@functools.cache
def domains() -> tuple[Domain, ...]:
    """Return every domain: this package's own, by name, then those of other packages."""
    package = Path(__file__).parent
    own = sorted(path.parent.name for path in package.glob("*/domain.py"))
    found = [pkgutil.resolve_name(f"{__package__}.{name}.domain:DOMAIN") for name in own]
    found += [entry.load() for entry in metadata.entry_points(group=ENTRY_POINTS)]
    return tuple(found)
