"""A page runs the scripts that it was built with, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from chemdl.book.policy import add_policies, policy_problems

PAGE = """<!DOCTYPE html>
<html><head><meta charset="utf-8" /><script src="_static/a.js"></script></head>
<body><script>let shown = "<b>";
</script><button onclick="print(&quot;a&quot;)">Print</button>{more}</body></html>
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "index.html"
    path.write_text(PAGE.format(more=""))
    add_policies(tmp_path)
    return path


def problems(page: Path) -> list[str]:
    return list(policy_problems(BeautifulSoup(page.read_text(), "lxml")))


def test_what_a_page_was_built_with_is_known_to_its_policy(page):
    assert problems(page) == []
    before = page.read_text()
    add_policies(page.parent)
    assert page.read_text() == before
    assert before.index("Content-Security-Policy") < before.index("<script")


@pytest.mark.parametrize(
    "planted",
    [
        "<script>steal()</script>",
        "<script type='module'>steal()</script>",
        "<img src='x' onerror='steal()'>",
        '<b onmouseover="steal()">b</b>',
    ],
)
def test_a_script_that_came_later_is_seen(page, planted):
    page.write_text(page.read_text().replace("</body>", f"{planted}</body>"))
    (problem,) = problems(page)
    assert "steal()" in problem


def test_a_page_without_a_policy_and_one_that_lets_others_in_are_seen(page):
    text = page.read_text()
    page.write_text(text.replace("script-src 'self'", "script-src 'self' https://example.org"))
    assert "more than the site" in problems(page)[0]
    page.write_text(PAGE.format(more=""))
    assert problems(page) == ["has no content security policy"]


def test_a_page_without_a_place_for_it_is_an_error(tmp_path):
    (tmp_path / "index.html").write_text("<html><head></head></html>")
    with pytest.raises(ValueError, match=r"index\.html: no <meta charset"):
        add_policies(tmp_path)
