"""The package's reference: which pages it has, and the directives that fill them."""

from __future__ import annotations

import ast
import pkgutil
from collections.abc import Sequence
from pathlib import Path

from chemdl.book.markdown import escape, table

_FLOORS = {
    "From data to a verdict": (
        "settings",
        "files",
        "registry",
        "progress",
        "threads",
        "extras",
        "data",
        "learn",
        "evidence",
        "show",
        "book",
        "cli",
        "doctor",
    ),
    "The domains": (
        "molecules",
        "screening",
        "proteins",
        "quantum",
        "materials",
    ),
}


def module_names() -> list[str]:
    """Return the names of the package's public modules, floor by floor."""
    import chemdl

    present = {info.name for info in pkgutil.iter_modules(chemdl.__path__)}
    named = [name for floor in _FLOORS.values() for name in floor]
    return [name for name in named if name in present]


def reference_text(names: Sequence[str]) -> str:
    """Return the first page of the reference: one line a module."""
    lines = [
        "# The package",
        "",
        "One way through: `load` → split → models → `Study.run` → `Result` → figure, verdict. "
        "Each domain builds on these and on no other domain, but for screening, which builds on "
        "molecules.",
        "",
    ]
    for floor, modules in _FLOORS.items():
        body = [(f"[`chemdl.{n}`](reference/{n}.md)", _summary(n)) for n in modules if n in names]
        if body:
            lines += [f"## {floor}", "", table(("module", "what it does"), body)]
    return "\n".join(lines)


def module_text(name: str) -> str:
    """Return a module's page: its documentation, and that of the modules inside it.

    Names that a package exports itself are documented as its own, wherever they are defined, and
    the modules that define them are not shown again.
    """
    exported = _exported_from(name)
    modules = [module for module in _inner_modules(name) if module not in exported]
    lines = [f"# chemdl.{name}", "", *_directive(name, members=bool(exported) or not modules)]
    for module in modules:
        lines += [f"## chemdl.{name}.{module}", "", *_directive(f"{name}.{module}", members=True)]
    return "\n".join(lines)


def _directive(name: str, members: bool) -> list[str]:
    options = ["   :members:"] if members else []
    return ["```{eval-rst}", f".. automodule:: chemdl.{name}", *options, "```", ""]


def _exported_from(name: str) -> set[str]:
    """Return the modules whose names a package exports as its own."""
    init = _package_folder() / name / "__init__.py"
    if not init.is_file():
        return set()
    body = ast.parse(init.read_text(encoding="utf-8")).body
    sources = [node.module or "" for node in body if isinstance(node, ast.ImportFrom)]
    start = f"chemdl.{name}."
    return {source.removeprefix(start) for source in sources if source.startswith(start)}


def _inner_modules(name: str) -> list[str]:
    """Return the modules inside a package, at any depth: ``nets.dtnn``."""
    folder = _package_folder() / name
    paths = (p.relative_to(folder) for p in folder.rglob("*.py") if not p.stem.startswith("_"))
    return sorted(".".join(path.with_suffix("").parts) for path in paths)


def _summary(name: str) -> str:
    folder = _package_folder()
    path = folder / f"{name}.py"
    path = path if path.is_file() else folder / name / "__init__.py"
    documentation = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return escape(documentation.split("\n\n")[0].replace("``", "").rstrip("."))


def _package_folder() -> Path:
    return Path(__file__).resolve().parents[1]
