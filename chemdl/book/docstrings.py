"""A Sphinx extension: sections of numpy-style docstrings as definition lists.

Our docstrings put the meaning on the name's own line (``seed : of the drawing``), where numpydoc
and napoleon expect a type; types stand in the signature already.
"""

from __future__ import annotations

import re
import textwrap
from typing import Any

_SECTIONS = (
    "Parameters",
    "Attributes",
    "Returns",
    "Yields",
    "Raises",
    "Warns",
    "Notes",
    "Examples",
)
_ENTRY = re.compile(r"(?P<names>\*{0,2}[\w`.]+(?:,\s*\*{0,2}[\w`.]+)*)(?:\s+:\s+(?P<text>.*))?")


# |a ∧ b| is a size, and never one of reStructuredText's substitutions.
_SIZE = re.compile(r"(``[^`]*``|`[^`]*`)|\|(?=\S)([^|\n]+?)(?<=\S)\|")


def setup(app: Any) -> dict[str, bool]:
    """Connect the conversion to autodoc."""
    app.connect("autodoc-process-docstring", _process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _process(
    _app: Any, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]
) -> None:
    lines[:] = converted(lines)


def converted(lines: list[str]) -> list[str]:
    """Return a docstring's lines as reStructuredText, its sections as definition lists."""
    done: list[str] = []
    rest = [_SIZE.sub(lambda m: m[1] or rf"\|{m[2]}\|", line) for line in lines]
    while rest:
        if not _starts_section(rest):
            done.append(rest.pop(0))
            continue
        title, body = rest[0], _section_body(rest[2:])
        del rest[: 2 + len(body)]
        done += ["", f".. rubric:: {title}", "", *_definitions(body), ""]
    return done


def _starts_section(lines: list[str]) -> bool:
    return len(lines) > 1 and lines[0] in _SECTIONS and set(lines[1]) == {"-"}


def _section_body(lines: list[str]) -> list[str]:
    end = next((i for i in range(len(lines)) if _starts_section(lines[i:])), len(lines))
    return lines[:end]


def _definitions(body: list[str]) -> list[str]:
    """Return entries as a definition list; a body that has none stays running text."""
    entries: list[tuple[str, list[str]]] = []
    for line in body:
        indented = line.startswith(" ") or not line
        match = None if indented else _ENTRY.fullmatch(line)
        if match:
            entries.append((match["names"], [match["text"] or ""]))
        elif indented and entries:
            entries[-1][1].append(line)
        else:
            return body
    done: list[str] = []
    for names, text in entries:
        term = ", ".join(f"``{name.strip('` ')}``" for name in names.split(","))
        continued = textwrap.dedent("\n".join(text[1:])).strip("\n")
        whole = "\n".join(part for part in (text[0].strip(), continued) if part)
        done += [term, textwrap.indent(whole, "    "), ""]
    return "\n".join(done).split("\n")
