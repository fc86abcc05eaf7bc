"""Every chapter keeps its form, runs in profile smoke, and its numbers are where they were."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from pathlib import Path

import pytest

from chemdl.book.calibration import chosen_numbers
from chemdl.book.planning import needed
from chemdl.book.regression import check_run, interval, read_expected
from chemdl.book.run import chapter_files, run_chapters

ROOT = Path(__file__).resolve().parent.parent
EXPECTED = ROOT / "tests" / "expected"
CHAPTERS = chapter_files(ROOT / "chapters")
SCREEN = 40  # lines; a longer cell belongs in the package

every_chapter = pytest.mark.parametrize("name", list(CHAPTERS))


def cells_of(name: str) -> list[dict]:
    return json.loads(CHAPTERS[name].read_text(encoding="utf-8"))["cells"]


def code_cells(name: str) -> list[tuple[list[str], str]]:
    """Return the tags and the source of each code cell."""
    return [
        (cell["metadata"].get("tags", []), "".join(cell["source"]))
        for cell in cells_of(name)
        if cell["cell_type"] == "code"
    ]


@every_chapter
def test_a_chapter_begins_with_title_parameters_setup_and_settings(name):
    assert "".join(cells_of(name)[0]["source"]).startswith("# ")
    (first, parameters), (second, _), (_, third) = code_cells(name)[:3]
    assert "parameters" in first and "setup" in second
    assigned = {node.targets[0].id: node.value.value for node in ast.parse(parameters).body}
    assert assigned == {"profile": "quick", "seed": 0, "device": "auto", "output": ""}
    assert f'chemdl.read_settings(globals(), chapter="{name}")' in third


def test_the_set_up_cells_differ_in_the_extras_alone():
    cells = {
        name: next(source for tags, source in code_cells(name) if "setup" in tags)
        for name in CHAPTERS
    }
    extras = {name: re.search(r'^_extras = "(.*)"$', text, re.M)[1] for name, text in cells.items()}
    assert {name: extra for name, extra in extras.items() if extra} == {
        "materials": "[materials]",
        "your-data": "[your-data]",
    }
    plain = {text.replace(extras[name], "") for name, text in cells.items()}
    assert len(plain) == 1 and len(plain.pop().splitlines()) <= 20


@every_chapter
def test_the_set_up_cell_finds_a_clone_by_a_file_that_is_there(name):
    source = next(source for tags, source in code_cells(name) if "setup" in tags)
    (mark,) = re.findall(r'folder / "(chemdl/[\w./]+)"', source)
    assert (ROOT / mark).is_file()


@every_chapter
def test_what_a_chapter_imports_is_there(name):
    trees = [ast.parse(source) for tags, source in code_cells(name) if "setup" not in tags]
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("chemdl"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                inner = (
                    importlib.util.find_spec(f"{node.module}.{alias.name}")
                    if hasattr(module, "__path__")
                    else None
                )
                assert inner or hasattr(module, alias.name), f"{node.module}.{alias.name}"


@every_chapter
def test_code_cells_are_short_and_carry_no_outputs(name):
    for tags, source in code_cells(name):
        assert len(source.splitlines()) <= SCREEN or "setup" in tags, source[:200]
    for cell in cells_of(name):
        assert not cell.get("outputs") and cell.get("execution_count") is None


@every_chapter
def test_a_plan_of_the_studies_runs_no_cell_that_says_what_was_found(name):
    sources = ["" if "setup" in tags else source for tags, source in code_cells(name)]
    assert [cell for cell in needed(sources) if cell and "finding(" in cell] == []


@every_chapter
def test_a_chapter_is_calibrated_on_the_numbers_that_are_listed(name):
    expected = read_expected(EXPECTED / f"{name}.json")
    assert list(expected["numbers"]) == chosen_numbers(EXPECTED, name)
    assert len(expected["seeds"]) >= 10 and 0 not in expected["seeds"]
    for number in expected["numbers"].values():
        low, high = interval(number["values"], len(expected["numbers"]))
        for useless in (number["trivial"], number["shuffled"], 0.0):
            assert not low <= useless <= high


@every_chapter
def test_a_smoke_run_keeps_the_chapters_numbers(name, tmp_path):
    (run,) = run_chapters([CHAPTERS[name]], profile="smoke", device="cpu", output=tmp_path)
    outcomes = check_run(tmp_path / "cards", EXPECTED / f"{name}.json")
    assert set(run.studies) >= {o.name for o in outcomes if o.value is None}
