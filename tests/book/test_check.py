"""Each fault is planted in a good little book and must be seen; the good book must pass."""

from __future__ import annotations

import base64
import io
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from chemdl.book.check import check_book, toc_files
from chemdl.book.policy import add_policies

PNG = io.BytesIO()
Image.new("RGB", (4, 4)).save(PNG, "png")
PNG_BYTES = PNG.getvalue()
CHARSET = '<meta charset="utf-8" />'
INLINE = base64.b64encode(PNG_BYTES).decode()


@dataclass
class Book:
    html: Path
    source: Path

    def add(self, text: str, page: str = "index.html") -> list[str]:
        """Put ``text`` into a page's body and return what the check says."""
        path = self.html / page
        path.write_text(path.read_text().replace("</main>", f"{text}</main>"))
        return self.problems()

    def problems(self) -> list[str]:
        add_policies(self.html)  # as building does
        return check_book(self.html, self.source)


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Book:
    html, source = tmp_path / "html", tmp_path / "source"
    for folder in (html / "chapters", html / "_images", html / "_static", source / "chapters"):
        folder.mkdir(parents=True)
    (source / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nparts:\n- chapters:\n  - file: chapters/01-tiny\n"
    )
    (source / "index.md").write_text("Said by {cite:t}`goh2017` and {cite:p}`a1,b2`.")
    (source / "references.bib").write_text("@article{goh2017,\n}\n@book{a1,}\n@misc{ b2 ,}")
    cells = [{"cell_type": "code", "source": "1", "outputs": [], "metadata": {}}]
    (source / "chapters/01-tiny.ipynb").write_text(json.dumps({"cells": cells}))
    (html / "_images/figure.png").write_bytes(PNG_BYTES)
    (html / "_static/style.css").write_text("@font-face {src: url('fonts/a.woff2')}")
    (html / "index.html").write_text(
        f"<html><head>{CHARSET}<link rel='stylesheet' href='_static/style.css'>"
        "<link rel='canonical' href='https://example.org/'></head><body><main id='top'>"
        "<img src='_images/figure.png' alt='Bars of AUC per assay'>"
        f"<img src='data:image/png;base64,{INLINE}' alt='A molecule'>"
        "<a href='https://example.org/x.js'>a link may lead away</a>"
        "<a href='chapters/01-tiny.html#study'>the study</a>"
        "<script>const local = '_static/plotly.min.js';</script></main></body></html>"
    )
    (html / "chapters/01-tiny.html").write_text(
        f"<html><head>{CHARSET}</head><body><main><h2 id='study'>The study</h2>"
        "<a href='../index.html#top'>back</a></main></body></html>"
    )
    monkeypatch.chdir(tmp_path)
    return Book(html, source)


def test_a_good_book_has_no_problems(book):
    assert book.problems() == []


def test_toc_entries_are_read_at_every_depth(tmp_path):
    toc = tmp_path / "_toc.yml"
    toc.write_text(
        "root: index\nparts:\n- chapters:\n  - file: a.md\n    sections:\n    - file: b/c.ipynb\n"
    )
    assert toc_files(toc) == ["index", "a", "b/c"]


def test_a_missing_page_is_seen(book):
    (book.html / "index.html").write_text(f"<head>{CHARSET}</head><main id='top'></main>")
    (book.html / "chapters/01-tiny.html").unlink()
    assert book.problems() == ["_toc.yml: chapters/01-tiny has no page chapters/01-tiny.html"]


@pytest.mark.parametrize(
    ("content", "word"),
    [(None, "exist"), (b"", "empty"), (PNG_BYTES[:40], "broken"), (b"<svg><g></svg>", "SVG")],
)
def test_an_image_that_does_not_load_is_seen(book, content, word):
    figure = book.html / "_images/figure.png"
    figure.unlink()
    if content is not None:
        figure.write_bytes(content)
    (problem,) = book.problems()
    assert "_images/figure.png" in problem and word in problem


def test_a_broken_inline_image_is_seen(book):
    (problem,) = book.add("<img src='data:image/png;base64,AAAA' alt='Bars'>")
    assert "broken" in problem


def test_a_cell_with_an_error_is_seen_on_the_page(book):
    (problem,) = book.add(
        "<div class='cell_output'><div class='output traceback'>KeyError: 'x'</div></div>"
    )
    assert problem == "index.html: a code cell shows an error: KeyError: 'x'"


def test_a_cell_with_an_error_is_seen_in_the_source(book):
    path = book.source / "chapters/01-tiny.ipynb"
    cells = json.loads(path.read_text())
    cells["cells"][0]["outputs"] = [{"output_type": "error", "ename": "KeyError"}]
    path.write_text(json.dumps(cells))
    assert book.problems() == ["chapters/01-tiny.ipynb: cell 1 holds an error: KeyError"]


def test_a_result_that_was_typed_into_a_chapter_is_seen(book):
    path = book.source / "chapters/01-tiny.ipynb"
    cells = json.loads(path.read_text())
    cells["cells"].append({"cell_type": "markdown", "source": "The forest has an AUC of .83."})
    path.write_text(json.dumps(cells))
    (problem,) = book.problems()
    assert problem.startswith("01-tiny.ipynb: cell 2 has the number '.83' typed into its text")


@pytest.mark.parametrize(
    "image",
    [
        "<img src='_images/figure.png'>",
        "<img src='_images/figure.png' alt=' '>",
        "<img src='_images/figure.png' alt='_images/figure.png'>",
        "<svg viewBox='0 0 1 1'></svg>",
    ],
)
def test_a_figure_without_alternative_text_is_seen(book, image):
    (problem,) = book.add(image)
    assert "has no alternative text" in problem


@pytest.mark.parametrize(
    "image",
    ["<svg aria-label='Benzene'></svg>", "<svg><title>A</title></svg>",
     "<span aria-hidden='true'><svg></svg></span>",
     "<img src='_images/figure.png' alt='' role='presentation'>"],
)  # fmt: skip
def test_named_and_decorative_images_pass(book, image):
    assert book.add(image) == []


def test_an_unresolved_citation_is_seen_in_the_source(book):
    (book.source / "index.md").write_text("Said by {cite:p}`goh2017,nobody1999`.")
    assert book.problems() == ["index.md: citation 'nobody1999' is not in the bibliography"]


@pytest.mark.parametrize(
    "text",
    ["<span class='problematic'>[nobody1999]</span>", "<p>{cite}`nobody1999`</p>"],
)
def test_an_unresolved_citation_is_seen_on_the_page(book, text):
    (problem,) = book.add(text)
    assert "nobody1999" in problem


@pytest.mark.parametrize(
    "text",
    [
        "<script src='https://cdn.example.org/a.js'></script>",
        "<script src='//cdn.example.org/a.js'></script>",
        "<script>require.config({paths: {p: 'https://cdn.example.org/p.min.js'}})</script>",
        "<link rel='stylesheet' href='https://cdn.example.org/a.css'>",
        "<img alt='Bars' src='https://cdn.example.org/a.png'>",
        "<img alt='Bars' src='_images/figure.png' srcset='https://cdn.example.org/a.png 2x'>",
        "<iframe src='https://cdn.example.org/a'></iframe>",
        "<style>@import 'https://cdn.example.org/a.css';</style>",
        "<p style='background: url(https://cdn.example.org/a.png)'></p>",
    ],
)
def test_a_remote_address_is_seen(book, text):
    (problem,) = book.add(text)
    assert "cdn.example.org" in problem


def test_a_remote_address_in_a_style_sheet_is_seen(book):
    (book.html / "_static/style.css").write_text("@font-face{src:url(https://f.example.org/a)}")
    assert book.problems() == ["_static/style.css: a style needs https://f.example.org/a"]


def test_a_path_of_the_building_machine_is_seen(book):
    homes = [Path.home(), Path.cwd(), Path(tempfile.gettempdir()), Path(sys.prefix)]
    for folder in homes:
        page = book.html / "chapters/01-tiny.html"
        before = page.read_text()
        (problem,) = book.add(f"<pre>File {folder}/x.py</pre>", "chapters/01-tiny.html")
        assert str(folder) in problem or "path of the building machine" in problem
        page.write_text(before)


@pytest.mark.parametrize("path", ["/home/ann/x.py", "/Users/ann/x.py", r"C:\Users\ann\x.py"])
def test_a_path_of_another_machine_is_seen(book, path):
    (problem,) = book.add(f"<pre>{path}</pre>")
    assert "path of the building machine" in problem


def test_a_path_in_a_downloadable_source_is_seen(book):
    sources = book.html / "_sources"
    sources.mkdir()
    (sources / "index.md").write_text(f"see {Path.home()}/notes.txt")
    (problem,) = book.problems()
    assert problem.startswith("_sources/index.md")


def test_addresses_and_relative_paths_are_no_machine_paths(book):
    home = str(Path.home())
    assert book.add(f"<p>https://example.org{home}/x and doc{home}/x</p>") == []


@pytest.mark.parametrize("link", ["nowhere.html", "chapters/01-tiny.html#nowhere", "#nowhere"])
def test_a_dead_link_inside_the_book_is_seen(book, link):
    (problem,) = book.add(f"<a href='{link}'>x</a>")
    assert link in problem
