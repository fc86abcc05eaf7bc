"""The book's source is assembled from what ran, and knows the repository's address."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from chemdl.book import site
from chemdl.book.check import toc_files
from chemdl.book.run import chapter_files

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "https://github.com/owner/chem.book"


@pytest.fixture
def checkout(tmp_path, make_chapter, monkeypatch):
    """A checkout with one chapter whose set-up cell has the repository's literal."""
    make_chapter('repository = ""\nprint(repository)')
    (tmp_path / "pyproject.toml").write_text('name = "chemdl"')
    (tmp_path / "_config.yml").write_text((ROOT / "_config.yml").read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def test_every_chapter_stands_in_the_table_of_contents():
    listed = {f"{name}.ipynb" for name in toc_files(ROOT / "_toc.yml")}
    present = {f"chapters/{path.name}" for path in chapter_files(ROOT / "chapters").values()}
    assert present <= listed


def test_every_page_of_the_table_of_contents_is_here_or_generated():
    generated = {"pages/claims", "pages/datasets", "pages/runs"}
    for name in set(toc_files(ROOT / "_toc.yml")) - generated:
        assert list(ROOT.glob(f"{name}.*")), f"_toc.yml names {name}, which does not exist"


def test_without_an_address_there_is_no_button(checkout):
    git(checkout, "init")
    assert site.repository_address(checkout) == ""
    config = yaml.safe_load((checkout / "_config.yml").read_text())
    built = site.with_address(config, "")
    assert "launch_buttons" not in built and built["repository"]["url"] == ""


@pytest.mark.parametrize(
    "remote", [ADDRESS, f"{ADDRESS}.git", "git@github.com:owner/chem.book.git"]
)
def test_the_remote_origin_is_the_address_where_none_is_configured(checkout, remote):
    git(checkout, "init")
    git(checkout, "remote", "add", "origin", remote)
    assert site.repository_address(checkout) == ADDRESS


def test_a_remote_elsewhere_gives_no_button(checkout):
    git(checkout, "init")
    git(checkout, "remote", "add", "origin", "https://git.example.org/owner/book.git")
    assert site.repository_address(checkout) == ""


def test_the_colab_button_opens_the_notebook_at_its_path_in_the_repository(checkout):
    config = yaml.safe_load((checkout / "_config.yml").read_text())
    built = site.with_address(config, ADDRESS)
    assert built["launch_buttons"] == {"colab_url": "https://colab.research.google.com"}
    # The theme joins address, branch, path to the book and the page's own path.
    assert built["repository"] == {"url": ADDRESS, "branch": "main", "path_to_book": ""}


def write_address(url: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / ".ci" / "address.py"), url]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_an_address_is_written_into_both_places(checkout):
    changed = write_address(f"{ADDRESS}.git").stdout.split()
    assert {Path(path).name for path in changed} == {"_config.yml", "01-tiny.ipynb"}
    config = yaml.safe_load((checkout / "_config.yml").read_text())
    assert config["repository"]["url"] == ADDRESS
    assert config["title"] and "# The one place" in (checkout / "_config.yml").read_text()
    cells = json.loads((checkout / "chapters/01-tiny.ipynb").read_text())["cells"]
    assert f'repository = "{ADDRESS}"' in "".join(cells[-1]["source"])
    assert write_address(f"{ADDRESS}/").stdout == ""
    assert len(write_address("").stdout.split()) == 2


@pytest.mark.parametrize("url", ["github.com/owner", "ftp://nowhere", "https://github.com/a/b/c"])
def test_what_is_no_address_is_refused(checkout, url):
    done = write_address(url)
    assert done.returncode == 2
    assert done.stderr == f"{url!r} is not of the form https://github.com/OWNER/NAME\n"


def test_the_chapters_repeat_the_configured_address():
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    for path in chapter_files(ROOT / "chapters").values():
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        setup = ["".join(c["source"]) for c in cells if "setup" in c["metadata"].get("tags", [])]
        assert f'repository = "{config["repository"]["url"]}"' in "".join(setup), path.name


def test_a_chapter_that_has_not_run_is_named(checkout, tmp_path):
    with pytest.raises(site.BookError, match=r"chapters/01-tiny.ipynb has not run"):
        site._place_chapter(checkout, tmp_path / "out", tmp_path / "src", "chapters/01-tiny.ipynb")


def test_mathjax_comes_from_its_wheel(tmp_path):
    site._copy_mathjax(tmp_path / "mathjax")
    assert (tmp_path / "mathjax" / "tex-svg-full.js").stat().st_size > 1_000_000


def test_the_site_is_built_only_where_jupyter_book_puts_it(tmp_path):
    with pytest.raises(site.BookError, match="_build/html"):
        site.build_html(tmp_path / "source", tmp_path / "html")
