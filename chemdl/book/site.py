"""Run what has changed, assemble ``_build/source`` and build the site from it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from chemdl.book import check, fingerprint, notebooks, pages, policy
from chemdl.book.run import chapter_name, find_chapter, read_run, run_chapters
from chemdl.extras import advice
from chemdl.files import project_root, write_atomically
from chemdl.settings import read_settings
from chemdl.threads import cores

_BUILDERS = ("jupyter-book", "sphinx", "sphinx-book-theme", "pydata-sphinx-theme", "myst-nb")
# Lines of a failed build that say why.
_TELLING = re.compile(r"WARNING: |ERROR: |Error: |Exception")
_MATHJAX = "tex-svg-full.js"
_COLAB = "https://colab.research.google.com"
_GITHUB = re.compile(
    r"(?:https?://|git@|ssh://git@)github\.com[/:]([\w.-]+)/([\w.-]+?)(?:\.git)?/?"
)


class BookError(RuntimeError):
    """A book that cannot be assembled or does not build; the message says what is missing."""


def build_book(profile: str = "quick", seed: int = 0, device: str = "auto") -> Path:
    """Run the chapters that changed, assemble the book, build it; return its first page.

    The site is left as it is when nothing that it is made from has changed.

    Raises
    ------
    chemdl.book.run.ChapterFailedError
        If a chapter fails.
    BookError
        If jupyter-book fails or warns, or where chemdl is installed without its book.
    """
    root = project_root()
    if root is None:
        raise BookError("no checkout here: the book is built where chapters/ and _toc.yml are")
    output = read_settings({"profile": profile, "device": device}).output
    chapters = chapters_of(root / "_toc.yml")
    runs = run_chapters(
        [find_chapter(root / chapter) for chapter in chapters],
        profile=profile,
        seed=seed,
        device=device,
        output=output,
        skip_unchanged=True,
        workers=min(cores(), len(chapters)),
    )
    for run in runs:
        state = "unchanged" if run.unchanged else f"{run.seconds:.0f} s"
        print(f"{run.chapter}: {state}", flush=True)
    source = assemble(root, output, root / "_build" / "source")
    return build_html(source, root / "_build" / "html")


def chapters_of(toc: Path) -> list[str]:
    """Return the notebooks that a table of contents names: ``chapters/03-toxicity.ipynb``."""
    return [f"{name}.ipynb" for name in check.toc_files(toc) if name.startswith("chapters/")]


def assemble(root: Path, output: Path, source: Path) -> Path:
    """Write the book's source into ``source`` from the checkout and a run's ``output``.

    Raises
    ------
    BookError
        For a chapter of ``_toc.yml`` that has not run.
    """
    import yaml

    if source.exists():
        shutil.rmtree(source)
    source.mkdir(parents=True)
    shutil.copyfile(root / "index.md", source / "index.md")
    shutil.copytree(root / "pages", source / "pages", ignore=shutil.ignore_patterns("static"))
    shutil.copytree(root / "pages" / "static", source / "static")
    shutil.copyfile(root / "references.bib", source / "references.bib")
    _copy_mathjax(source / "static" / "mathjax")
    chapters = chapters_of(root / "_toc.yml")
    for chapter in chapters:
        _place_chapter(root, output, source, chapter)
    pages.write_pages(source, output, [chapter_name(chapter) for chapter in chapters])
    shutil.copyfile(root / "_toc.yml", source / "_toc.yml")
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    _write_yaml(source / "_config.yml", with_address(config, repository_address(root)))
    return source


def build_html(source: Path, html: Path) -> Path:
    """Build ``html`` from ``source`` with warnings as errors, unless it is built from the same.

    ``html`` is ``<folder>/_build/html``, as Jupyter Book has it.

    Raises
    ------
    BookError
        If jupyter-book fails or warns; the message quotes its output.
    """
    if html.parts[-2:] != ("_build", "html"):
        raise BookError(f"Jupyter Book builds into <folder>/_build/html, not {html}")
    key = _source_key(source)
    marker = html.parent / "html.key"
    index = html / "index.html"
    if index.is_file() and marker.is_file() and marker.read_text() == key:
        return index
    marker.unlink(missing_ok=True)
    if html.exists():
        shutil.rmtree(html)
    _jupyter_book(source, html.parents[1])
    policy.add_policies(html)
    with write_atomically(marker) as path:
        path.write_text(key)
    return index


def repository_address(root: Path) -> str:
    """Return the repository's address on GitHub, or "" where none is known.

    It is read from ``_config.yml``; if that is empty, a git remote ``origin`` on GitHub is used.
    """
    import yaml

    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    if configured := (config.get("repository") or {}).get("url"):
        return str(configured)
    command = ["git", "-C", str(root), "config", "--get", "remote.origin.url"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    match = _GITHUB.fullmatch(asked.stdout.strip())
    return f"https://github.com/{match[1]}/{match[2]}" if match else ""


def with_address(config: dict[str, Any], address: str) -> dict[str, Any]:
    """Return the configuration with launch and repository buttons, if there is an address."""
    if not address:
        # Jupyter Book's own default is the address of its own repository.
        return {**config, "repository": {"url": ""}}
    return {
        **config,
        "repository": {**config["repository"], "url": address},
        "launch_buttons": {"colab_url": _COLAB} if _GITHUB.fullmatch(address) else {},
        "html": {**config["html"], "use_repository_button": True},
    }


def _place_chapter(root: Path, output: Path, source: Path, chapter: str) -> None:
    executed = output / Path(chapter).name
    record = read_run(output, chapter_name(chapter))
    if record is None or not executed.is_file():
        raise BookError(f"{chapter} has not run: no finished run of it in {output}")
    target = source / chapter
    target.parent.mkdir(parents=True, exist_ok=True)
    notebooks.write_clean_copy(executed, target, record)


def _copy_mathjax(folder: Path) -> None:
    """Copy MathJax's single-file SVG build out of its wheel: math must render offline."""
    files = metadata.files("sphinx-mathjax-offline") or []
    paths = [Path(str(f.locate())) for f in files if f.name == _MATHJAX]
    if not paths:
        raise BookError(f"sphinx-mathjax-offline has no {_MATHJAX}. {advice('book')}")
    folder.mkdir(parents=True)
    shutil.copyfile(paths[0], folder / _MATHJAX)


def _write_yaml(path: Path, content: Any) -> None:
    import yaml

    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), "utf-8")


def _source_key(source: Path) -> str:
    """Return a digest of the assembled source, the builders and the documented package."""
    package = Path(__file__).resolve().parents[1]
    files = [(path, path.relative_to(source)) for path in _files(source.rglob("*"))]
    files += [(path, path.relative_to(package)) for path in _files(package.rglob("*.py"))]
    builders = json.dumps({name: metadata.version(name) for name in _BUILDERS})
    parts: list[str | bytes] = [builders]
    for path, name in files:
        parts += [name.as_posix(), path.read_bytes()]
    return fingerprint.digest(parts)


def _files(paths: Iterable[Path]) -> list[Path]:
    return sorted(path for path in paths if path.is_file())


def _jupyter_book(source: Path, folder: Path) -> None:
    """Call jupyter-book in a process of its own, quietly unless it fails."""
    code = "from jupyter_book.cli.main import main; main()"
    options = ["-W", "--keep-going", "--all", "--path-output", str(folder)]
    command: Sequence[str] = [sys.executable, "-c", code, "build", str(source), *options]
    package = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join(path for path in (package, os.environ.get("PYTHONPATH")) if path)
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        text = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
        said = [line for line in text.splitlines() if _TELLING.search(line)] or text.splitlines()
        raise BookError("jupyter-book failed:\n" + "\n".join(said[-40:]))
