"""Check the pages of the built book: a build without errors may still contain broken pages."""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from chemdl.book.policy import policy_problems
from chemdl.book.prose import typed_results
from chemdl.files import project_root

# Elements and attributes through which a page loads something; `a href` only links.
_LOADING = (
    "audio", "embed", "iframe", "image", "img", "input", "object", "script", "source", "track",
    "use", "video",
)  # fmt: skip
_ADDRESSES = ("src", "srcset", "data", "poster", "href", "xlink:href")
_LOADING_RELATIONS = {
    "apple-touch-icon", "icon", "manifest", "modulepreload", "preload", "stylesheet",
}  # fmt: skip
_REMOTE = re.compile(r"\s*(?:https?:)?//", re.IGNORECASE)
_CSS_ADDRESS = re.compile(
    r"(?:url\(\s*|@import\s+)['\"]?((?:https?:)?//[^'\")\s;]+)", re.IGNORECASE
)
_SCRIPT_ADDRESS = re.compile(
    r"['\"]((?:https?:)?//[^'\"\s]+?(?:\.m?js|\.css|\.woff2?|\.wasm|/npm/[^'\"\s]*))['\"]"
)
_CITATION = re.compile(r"\{cite(?::\w+)?\}`([^`]+)`")
_BIBTEX_KEY = re.compile(r"^\s*@\w+\s*\{\s*([^,\s]+)\s*,", re.MULTILINE)
# Homes and workspaces of machines other than this one: recorded cards come from them.
_FOREIGN_PATHS = (
    r"/home/(?!USER\b)[\w.-]+/",
    r"/Users/[\w.-]+/",
    r"[A-Za-z]:\\\\?Users\\",
    r"/opt/hostedtoolcache/",
    r"/__w/",
)
_NOT_TELLING = {"/", "/usr", "/usr/local", "."}
_PAGES = ("*.html", "searchindex.js", "_sources/**/*.*")


@dataclass
class _Page:
    path: Path
    name: str
    soup: Any
    ids: set[str]


class NoBookError(RuntimeError):
    """Nothing to check: no book was built."""


def check_book(html_dir: Path | None = None, source_dir: Path | None = None) -> list[str]:
    """Return what is wrong with the book built from ``source_dir`` into ``html_dir``.

    Without folders it is the checkout's book. Each problem is one line that names the page and
    what to look at; an empty list is a good book.

    Raises
    ------
    NoBookError
        If no book was built.
    """
    build = (project_root() or Path.cwd()) / "_build"
    html_dir, source_dir = html_dir or build / "html", source_dir or build / "source"
    if not (source_dir / "_toc.yml").is_file() or not html_dir.is_dir():
        raise NoBookError(f"no built book in {html_dir}; run `make book` first")
    pages = _read_pages(html_dir)
    problems = list(missing_pages(html_dir, source_dir))
    for page in pages.values():
        for look in (images, alternative_texts, error_outputs, remote_addresses):
            problems += look(page)
        problems += (f"{page.name}: {problem}" for problem in policy_problems(page.soup))
        problems += dead_links(page, pages)
    problems += source_errors(source_dir)
    for chapter in sorted(source_dir.rglob("*.ipynb")):
        problems += typed_results(chapter)
    problems += unresolved_citations(source_dir, pages.values())
    problems += remote_styles(html_dir)
    problems += machine_paths(html_dir, source_dir)
    return problems


def missing_pages(html_dir: Path, source_dir: Path) -> Iterator[str]:
    """Name the entries of ``_toc.yml`` that have no page."""
    for entry in toc_files(source_dir / "_toc.yml"):
        page = html_dir / f"{entry}.html"
        if not page.is_file() or not page.stat().st_size:
            yield f"_toc.yml: {entry} has no page {entry}.html"


def toc_files(toc: Path) -> list[str]:
    """Return every file that a table of contents names, without endings, in reading order."""
    import yaml

    entries = toc_entries(yaml.safe_load(toc.read_text(encoding="utf-8")))
    names = (str(entry.get("root") or entry["file"]) for entry in entries)
    return [re.sub(r"\.(md|ipynb|rst)$", "", name) for name in names]


def toc_entries(node: Any) -> Iterator[dict[str, Any]]:
    """Yield the entries of a table of contents, or of a part of it, that name a file."""
    if isinstance(node, dict):
        if "root" in node or "file" in node:
            yield node
        node = list(node.values())
    for child in node if isinstance(node, list) else ():
        yield from toc_entries(child)


def images(page: _Page) -> Iterator[str]:
    """Name the images of a page that do not load: missing, empty or broken."""
    for image in page.soup.find_all("img"):
        address = image.get("src", "")
        if _REMOTE.match(address):
            continue  # remote_addresses names it
        try:
            _open_image(_image_bytes(page, address), address)
        except _BrokenImageError as error:
            yield f"{page.name}: image {_short(address)} {error}"


class _BrokenImageError(Exception):
    pass


def _image_bytes(page: _Page, address: str) -> bytes:
    if not address:
        raise _BrokenImageError("has no address")
    if address.startswith("data:"):
        header, _, body = address.partition(",")
        try:
            if ";base64" in header:
                return base64.b64decode(unquote(body), validate=True)
        except binascii.Error as error:
            raise _BrokenImageError(f"is not base64: {error}") from error
        return unquote(body).encode()
    file = page.path.parent / unquote(urlsplit(address).path)
    if not file.is_file():
        raise _BrokenImageError("does not exist")
    return file.read_bytes()


def _open_image(content: bytes, address: str) -> None:
    if not content:
        raise _BrokenImageError("is empty")
    if b"<svg" in content[:2000]:
        try:
            ElementTree.fromstring(content)
        except ElementTree.ParseError as error:
            raise _BrokenImageError(f"is a broken SVG: {error}") from error
        return
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
    except Exception as error:  # Pillow's decoders raise many kinds
        raise _BrokenImageError(f"is broken: {error}") from error


def alternative_texts(page: _Page) -> Iterator[str]:
    """Name the images without a text for those who cannot see them.

    Sphinx puts the file's address where a text was not given: that counts as none. Decoration is
    marked by ``role="presentation"`` or ``aria-hidden="true"``.
    """
    for image in page.soup.find_all(["img", "svg"]):
        if image.find_parent("svg") or _is_decoration(image):
            continue
        text = image.get("alt") or image.get("aria-label") or ""
        if image.name == "svg" and image.find("title"):
            text = image.find("title").get_text()
        address = image.get("src", "")
        if not text.strip() or re.fullmatch(r"\S*\.(png|svg|jpe?g|gif|webp)", text.strip()):
            yield f"{page.name}: image {_short(address) or '<svg>'} has no alternative text"


def _is_decoration(image: Any) -> bool:
    hidden = image.get("aria-hidden") == "true" or image.find_parent(attrs={"aria-hidden": "true"})
    return bool(hidden) or image.get("role") in ("presentation", "none")


def error_outputs(page: _Page) -> Iterator[str]:
    """Name the code cells of a page that show a traceback."""
    for output in page.soup.select(".cell_output .traceback, .cell_output .output.error"):
        last = output.get_text().strip().splitlines()[-1:] or ["(empty)"]
        yield f"{page.name}: a code cell shows an error: {last[0]}"


def source_errors(source_dir: Path) -> Iterator[str]:
    """Name the cells of the executed chapters that hold an error output."""
    for path in sorted(source_dir.rglob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        for number, cell in enumerate(cells, start=1):
            for output in cell.get("outputs", []):
                if output["output_type"] == "error":
                    name = path.relative_to(source_dir).as_posix()
                    yield f"{name}: cell {number} holds an error: {output.get('ename')}"


def unresolved_citations(source_dir: Path, pages: Iterable[_Page]) -> Iterator[str]:
    """Name citations without an entry in the bibliography, in the sources and on the pages."""
    bibliographies = source_dir.rglob("*.bib")
    known = {key for path in bibliographies for key in _BIBTEX_KEY.findall(path.read_text("utf-8"))}
    for path in sorted([*source_dir.rglob("*.md"), *source_dir.rglob("*.ipynb")]):
        for group in _CITATION.findall(path.read_text(encoding="utf-8")):
            for key in re.split(r"\s*,\s*", re.sub(r".*<|>.*", "", group).strip()):
                if key not in known:
                    name = path.relative_to(source_dir).as_posix()
                    yield f"{name}: citation {key!r} is not in the bibliography"
    for page in pages:
        for mark in page.soup.select(".problematic, .system-message, span.citation-unresolved"):
            yield f"{page.name}: unresolved {mark.get_text().strip()[:60]!r}"
        body = page.soup.find("main") or page.soup
        for text in body.find_all(string=_CITATION):
            if not text.find_parent(["pre", "code", "script"]):
                yield f"{page.name}: citation left as text: {text.strip()[:60]!r}"


def remote_addresses(page: _Page) -> Iterator[str]:
    """Name what a page loads from other servers: the book must look the same offline."""
    for element in page.soup.find_all(_LOADING):
        for attribute in _ADDRESSES:
            for address in str(element.get(attribute) or "").split(", "):
                if _REMOTE.match(address):
                    yield f"{page.name}: <{element.name}> needs {_short(address)}"
    for link in page.soup.find_all("link"):
        relations = set(link.get("rel") or [])
        if relations & _LOADING_RELATIONS and _REMOTE.match(link.get("href") or ""):
            yield f"{page.name}: <link> needs {_short(link['href'])}"
    for script in page.soup.find_all("script", src=False):
        for address in _SCRIPT_ADDRESS.findall(script.get_text()):
            yield f"{page.name}: a script names {_short(address)}"
    styles = [style.get_text() for style in page.soup.find_all("style")]
    styles += [element["style"] for element in page.soup.find_all(style=True)]
    for address in _CSS_ADDRESS.findall("\n".join(styles)):
        yield f"{page.name}: a style needs {_short(address)}"


def remote_styles(html_dir: Path) -> Iterator[str]:
    """Name remote addresses in the style sheets that go with the pages."""
    for path in sorted(html_dir.rglob("*.css")):
        for address in _CSS_ADDRESS.findall(path.read_text(encoding="utf-8", errors="replace")):
            yield f"{path.relative_to(html_dir).as_posix()}: a style needs {_short(address)}"


def dead_links(page: _Page, pages: dict[Path, _Page]) -> Iterator[str]:
    """Name the links of a page to a page, place or file of the book that does not exist."""
    for link in page.soup.find_all("a", href=True):
        parts = urlsplit(link["href"])
        if parts.scheme or parts.netloc:
            continue
        file = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
        target = pages.get(file)
        if not file.exists():
            yield f"{page.name}: link to {_short(link['href'])} leads nowhere"
        elif target and parts.fragment and unquote(parts.fragment) not in target.ids:
            yield f"{page.name}: link to {_short(link['href'])} names a place that is not there"


def machine_paths(html_dir: Path, source_dir: Path) -> Iterator[str]:
    """Name pages that show a path of the machine that ran or built the book."""
    patterns = [*_own_paths(source_dir), *_FOREIGN_PATHS]
    found = re.compile("|".join(f"(?:{pattern})" for pattern in patterns))
    for pattern in _PAGES:
        for path in sorted(html_dir.rglob(pattern)):
            if not path.is_file() or path.suffix in (".png", ".svg", ".jpg"):
                continue
            text = path.read_text(encoding="utf-8", errors="replace")
            if match := found.search(text):
                name = path.relative_to(html_dir).as_posix()
                # The words around it tell which output, mostly a warning, brought it in.
                around = " ".join(text[max(match.start() - 80, 0) : match.end() + 200].split())
                problem = f"{name}: shows a path of the building machine: {match.group()}"
                yield f"{problem}, in “{around}”"


def _own_paths(source_dir: Path) -> list[str]:
    """Return patterns of this machine's folders, but not of those that any machine has."""
    folders = [Path.home(), Path.cwd(), Path(tempfile.gettempdir()), Path(sys.prefix), source_dir]
    folders += [root] if (root := project_root()) else []
    texts = {str(form) for folder in folders for form in (folder, folder.resolve())}
    # Not the end of a longer path or address: "/root" is no part of "doc/root".
    return [rf"(?<![\w.:/-]){re.escape(text)}(?=/)" for text in sorted(texts - _NOT_TELLING)]


def _read_pages(html_dir: Path) -> dict[Path, _Page]:
    from bs4 import BeautifulSoup

    pages = {}
    for path in sorted(html_dir.rglob("*.html")):
        name = path.relative_to(html_dir).as_posix()
        if name.startswith("_static/"):
            continue
        soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        ids = {str(element["id"]) for element in soup.find_all(id=True)}
        ids |= {str(link["name"]) for link in soup.find_all("a", attrs={"name": True})}
        pages[path.resolve()] = _Page(path.resolve(), name, soup, ids)
    return pages


def _short(address: str) -> str:
    return address if len(address) <= 90 else f"{address[:80]}…"
