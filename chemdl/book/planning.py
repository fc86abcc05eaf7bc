"""The studies of a chapter, read out of its notebook without running them."""

from __future__ import annotations

import ast
import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

from chemdl.book.run import find_chapter
from chemdl.evidence.study import Study, planning

# What makes a study and what runs it, which may stand in two cells.
_OF_A_STUDY = {"Study", "run"}


def planned_studies(
    chapter: str, output: Path, profile: str = "full", device: str = "cpu", seed: int = 0
) -> dict[str, Study]:
    """Return the studies that a chapter would run in a profile, by name.

    Only the cells that the studies need are executed: those that define what a study's cell uses,
    and what these use.

    Warns
    -----
    UserWarning
        Naming a cell that failed; its studies are left out.
    """
    import matplotlib as mpl
    import nbformat

    mpl.use("agg")
    notebook = nbformat.read(find_chapter(chapter), as_version=4)
    cells = [c for c in notebook.cells if c.cell_type == "code"]
    given = {"profile": profile, "device": device, "seed": seed, "output": str(output)}
    space: dict[str, Any] = {"__name__": "__main__", **given}
    with planning() as studies:
        for number, cell in enumerate(needed([_source(c) for c in cells])):
            if cell is None:
                continue
            with contextlib.redirect_stdout(io.StringIO()):
                known = len(studies)
                try:
                    exec(compile(cell, f"{chapter}, code cell {number + 1}", "exec"), space)
                except Exception as error:
                    if isinstance(error, FileNotFoundError) and len(studies) > known:
                        continue  # a study without a result on record; it is noted
                    # What needs files that are not here leaves the other studies as they are.
                    warnings.warn(f"{chapter}, code cell {number + 1}: {error}", stacklevel=2)
            if "parameters" in cells[number].metadata.get("tags", []):
                space.update(given)
    return {study.name: study for study in studies}


def needed(cells: list[str]) -> list[str | None]:
    """Return the cells that define or run studies, or define what those use; else ``None``."""
    wanted: set[str] = set()
    kept: list[str | None] = []
    for source in reversed(cells):
        stored, loaded = _names(source)
        is_needed = bool(_OF_A_STUDY & loaded or stored & wanted)
        if is_needed:
            wanted |= loaded
        kept.append(source if is_needed else None)
    return kept[::-1]


def _source(cell: Any) -> str:
    """Return a cell's source; the set-up for Colab has IPython's own commands, and defines none."""
    return "" if "setup" in cell.metadata.get("tags", []) else str(cell.source)


def _names(source: str) -> tuple[set[str], set[str]]:
    """Return the names that a cell stores and those that it loads; attributes count as names."""
    stored: set[str] = set()
    loaded: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            (stored if isinstance(node.ctx, ast.Store) else loaded).add(node.id)
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            # A cell that fills ``models["net"]`` is one that ``models`` needs.
            stored |= {part.id for part in ast.walk(node.value) if isinstance(part, ast.Name)}
        elif isinstance(node, ast.Attribute):
            loaded.add(node.attr)
        elif isinstance(node, ast.alias):
            stored.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            stored.add(node.name)
    return stored, loaded
