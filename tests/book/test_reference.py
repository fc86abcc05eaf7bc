"""The reference has a page for each public module, and the docstrings are valid numpydoc."""

from __future__ import annotations

import ast
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import chemdl

PAGES = Path(__file__).resolve().parents[2] / "pages"
MODULES = sorted(
    info.name
    for info in pkgutil.walk_packages(chemdl.__path__, "chemdl.")
    if info.name != "chemdl.__main__"
)
SECTION = re.compile(r"^(\w[\w ]*)\n(-{4,})\n(.*?)(?=\n\n\w[\w ]*\n----|\Z)", re.M | re.S)
NAMES = re.compile(r"\*{0,2}[\w.]+(, \*{0,2}[\w.]+)*")


def test_every_public_module_has_a_page(tmp_path: Path) -> None:
    from sphinx.ext.autosummary import generate

    templates, index = str(PAGES / "templates"), str(PAGES / "reference.md")
    generate.main(["--output-dir", str(tmp_path), "--templates", templates, index])
    assert sorted(path.stem for path in tmp_path.glob("*.rst")) == MODULES
    for path in tmp_path.glob("*.rst"):
        text = path.read_text(encoding="utf-8-sig")
        assert f".. automodule:: {path.stem}\n   :members:" in text


def test_the_index_has_one_line_for_each_top_level_module() -> None:
    text = (PAGES / "reference.md").read_text(encoding="utf-8")
    listed = re.findall(r"^   (chemdl\S+)$", text, re.MULTILINE)
    assert sorted(listed) == [name for name in MODULES if name.count(".") == 1]


def test_sections_name_first_and_explain_below() -> None:
    """Names or types stand alone on a line; what they mean is indented, and a sentence."""
    problems = []
    for place, text in docstrings():
        for title, rule, body in SECTION.findall(text):
            if title in ("Examples", "Notes"):
                continue
            entries = re.split(r"\n(?=\S)", body.strip("\n"))
            for head, _, meaning in (entry.partition("\n") for entry in entries):
                named = title in ("Returns", "Yields") or NAMES.fullmatch(head)
                sentence = meaning.startswith("    ") and meaning.rstrip().endswith((".", ":"))
                if len(rule) != len(title) or not named or not sentence:
                    problems.append(f"{place}, {title}: {head}")
    assert problems == []


def test_a_property_begins_with_its_meaning() -> None:
    """Napoleon reads what stands before a colon in a property's first line as its type."""
    found = [
        place
        for place, text in docstrings(properties=True)
        if ":" in re.sub(r"``?.*?``?", "", text.split("\n")[0])
    ]
    assert found == []


def docstrings(properties: bool = False) -> Iterator[tuple[str, str]]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for path in sorted(Path(chemdl.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, kinds) and (text := ast.get_docstring(node)):
                marks = [ast.unparse(mark) for mark in getattr(node, "decorator_list", ())]
                if not properties or any(mark.endswith("property") for mark in marks):
                    yield f"{path.name}:{getattr(node, 'lineno', 1)}", text
