"""The pages of the reference: every public module once."""

from __future__ import annotations

import pkgutil
import re
from collections import Counter

import pytest

import chemdl
from chemdl.book import reference


@pytest.mark.parametrize(
    ("name", "shown", "hidden"),
    [
        ("show", "chemdl.show.figures", "chemdl.quantum.figures"),
        ("quantum", "chemdl.quantum.nets.dtnn", "chemdl.quantum.nets.__init__"),
        ("evidence", "chemdl.evidence.statistics", "chemdl.evidence.__init__"),
        ("data", "chemdl.data.readers", "chemdl.data.loading"),
    ],
)
def test_what_a_package_exports_is_not_shown_again(name: str, shown: str, hidden: str) -> None:
    text = reference.module_text(name)
    assert f".. automodule:: {shown}\n   :members:" in text
    assert hidden not in text


def test_names_that_a_package_exports_are_its_own_members() -> None:
    assert ".. automodule:: chemdl.data\n   :members:" in reference.module_text("data")
    assert ".. automodule:: chemdl.show\n```" in reference.module_text("show")
    assert ".. automodule:: chemdl.settings\n   :members:" in reference.module_text("settings")


def test_every_module_is_documented_once() -> None:
    names = reference.module_names()
    text = "\n".join(map(reference.module_text, names))
    found = Counter(re.findall(r"^\.\. automodule:: (\S+)$", text, re.MULTILINE))
    assert max(found.values()) == 1
    every = {
        info.name
        for info in pkgutil.walk_packages(chemdl.__path__, "chemdl.")
        if info.name != "chemdl.__main__" and not info.name.endswith(".nets")
    }
    exported = {f"chemdl.{name}.{m}" for name in names for m in reference._exported_from(name)}
    assert sorted(every - found.keys() - exported) == []
    assert sorted(found.keys() - every) == []


def test_the_first_page_has_a_line_for_each_room() -> None:
    names = reference.module_names()
    text = reference.reference_text(names)
    for name in names:
        assert text.count(f"(reference/{name}.md)") == 1
    assert "From data to a verdict" in text and "The domains" in text
    assert "[`chemdl.evidence`]" in text
