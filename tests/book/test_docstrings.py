"""Docstrings in the project's form become reStructuredText that Sphinx reads."""

from __future__ import annotations

import textwrap

from docutils.core import publish_doctree

from chemdl.book.docstrings import converted

TEXT = """
Draw numbers.

Parameters
----------
rate, layer : of the drawing; a long
    line goes on.
*shape : of the result.

Returns
-------
An array of this shape. It is running text: no name.

Raises
------
ValueError
    for a rate outside [0, 1), naming it.
"""


def read(text: str):
    lines = converted(textwrap.dedent(text).splitlines())
    return publish_doctree("\n".join(lines), settings_overrides={"report_level": 1})


def test_sections_become_rubrics_and_entries_definitions():
    tree = read(TEXT)
    assert [node.astext() for node in tree.findall() if node.tagname == "rubric"] == [
        "Parameters", "Returns", "Raises",
    ]  # fmt: skip
    terms = [node.astext() for node in tree.findall() if node.tagname == "term"]
    assert terms == ["rate, layer", "*shape", "ValueError"]
    assert "a long\nline goes on." in tree.astext()
    assert not [node for node in tree.findall() if node.tagname == "system_message"]


def test_running_text_under_a_title_stays_running_text():
    paragraphs = [n.astext() for n in read(TEXT).findall() if n.tagname == "paragraph"]
    assert "An array of this shape. It is running text: no name." in paragraphs


def test_examples_stay_as_they_are():
    lines = ["Examples", "--------", ">>> f(1)", "2"]
    assert converted(lines)[-3:-1] == [">>> f(1)", "2"]
    assert [n.tagname for n in read("\n".join(lines)).findall() if n.tagname == "doctest_block"]


def test_text_without_sections_is_left_alone():
    lines = ["One line.", "", "Notes are no title here."]
    assert converted(lines) == lines


def test_bars_around_a_size_are_no_substitution():
    tree = read("T = |a ∧ b| / |a ∨ b|, with ``x | y | z`` and ``|c|`` as they are.")
    assert tree.astext() == "T = |a ∧ b| / |a ∨ b|, with x | y | z and |c| as they are."
    assert not [node for node in tree.findall() if node.tagname == "system_message"]
