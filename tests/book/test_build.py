"""A small book is built as the real one is: offline, with its buttons, free of machine paths."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup

from chemdl.book import site
from chemdl.book.check import check_book
from chemdl.book.run import run_chapters
from chemdl.evidence import result

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "https://github.com/owner/book"
FIGURE = """
from IPython.display import HTML, display
from matplotlib.figure import Figure
from chemdl.show.figures import figure_html, png

figure = Figure()
figure.subplots().plot([1, 2])
display(HTML(figure_html(png(figure), "A rising line", "One line.")))
"""
NOISE = "import sys\nprint('torch 2', file=sys.stderr)"


# The reference imports every module; it is built with the real book.
PAGES = [
    f"pages/{name}"
    for name in (
        "your-data",
        "verdicts",
        "claims",
        "datasets",
        "runs",
        "trust",
        "own",
        "bibliography",
    )
]


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """The folder of a built book: the real pages, with a made-up chapter."""
    root = tmp_path_factory.mktemp("book")
    for name in ("index.md", "references.bib", "_config.yml"):
        shutil.copyfile(ROOT / name, root / name)
    shutil.copytree(ROOT / "pages", root / "pages")
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    for part in toc["parts"]:
        part["chapters"] = [
            entry for entry in part["chapters"] if entry["file"] in ("chapters/your-data", *PAGES)
        ]
    toc["parts"][1]["chapters"] = [{"file": "chapters/01-tiny"}]
    (root / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(result, "data_dir", lambda: root / "data")
        patch.setattr(site, "repository_address", lambda _: ADDRESS)
        yield root, patch


@pytest.fixture(scope="module")
def html(build, make_tiny):
    root, _ = build
    chapters = [make_tiny(root / "chapters", name) for name in ("01-tiny", "your-data")]
    run_chapters(chapters, profile="quick", device="cpu", output=root / "_build" / "runs")
    source = site.assemble(root, root / "_build" / "runs", root / "_build" / "source")
    return site.build_html(source, root / "_build" / "html").parent


@pytest.fixture(scope="module")
def make_tiny(write_notebook):
    def make(folder: Path, name: str = "01-tiny") -> Path:
        math = "$$p_t = \\sigma(w_t^\\top h)$$ {cite:p}`goh2017review`"
        return write_notebook(folder / f"{name}.ipynb", FIGURE, NOISE, text=f"# Tiny\n\n{math}")

    return make


def soup(html: Path, page: str) -> BeautifulSoup:
    return BeautifulSoup((html / page).read_text(encoding="utf-8"), "html.parser")


def test_the_built_book_passes_its_check(html):
    assert check_book(html, html.parent / "source") == []


def test_the_colab_button_opens_the_notebook_of_the_repository(html):
    links = [a["href"] for a in soup(html, "chapters/01-tiny.html").find_all("a", href=True)]
    colab = [link for link in links if "colab" in link]
    assert set(colab) == {
        "https://colab.research.google.com/github/owner/book/blob/main/chapters/01-tiny.ipynb"
    }


def test_the_executed_notebook_can_be_downloaded(html):
    links = [a["href"] for a in soup(html, "chapters/01-tiny.html").find_all("a", href=True)]
    assert "../_sources/chapters/01-tiny.ipynb" in links
    text = (html / "_sources/chapters/01-tiny.ipynb").read_text(encoding="utf-8")
    assert "A rising line" in text and "torch 2" not in text.replace("print('torch 2'", "")


def test_math_comes_from_the_book_itself(html):
    page = soup(html, "chapters/01-tiny.html")
    (script,) = [s["src"] for s in page.find_all("script", src=True) if "mathjax" in s["src"]]
    assert (html / "chapters" / script.split("?")[0]).resolve().is_file()
    assert page.select(".math")


def test_search_dark_mode_and_verdicts_are_there(html):
    page = soup(html, "index.html")
    assert "theme-switch-button" in (html / "index.html").read_text(encoding="utf-8")
    assert (html / "searchindex.js").is_file()
    assert page.select("span.verdict.confirmed")


def test_a_second_build_of_the_same_source_does_nothing(html):
    source = html.parent / "source"
    before = (html / "index.html").stat().st_mtime_ns
    site.build_html(source, html)
    assert (html / "index.html").stat().st_mtime_ns == before


def test_a_warning_fails_the_build_and_is_shown(html, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(html.parent / "source", source)
    (source / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    (source / "index.md").write_text("# Title\n\n{cite:p}`nobody1999`\n")
    with pytest.raises(site.BookError, match="nobody1999"):
        site.build_html(source, tmp_path / "_build" / "html")
