"""The page "add your own" keeps its word: its Python runs, its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chemdl.book.run import run_chapters
from chemdl.cli import _parser
from chemdl.learn.models import NETS

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def blocks() -> list[tuple[str, str]]:
    page = Path(__file__).resolve().parents[2] / "pages" / "own.md"
    return FENCE.findall(page.read_text(encoding="utf-8"))


def test_its_python_runs_from_top_to_bottom_and_again(blocks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(NETS, "_values", dict(NETS))
    namespace: dict = {"__name__": "__main__"}
    for _ in range(2):  # as one does in a notebook
        for language, text in blocks:
            if language == "python":
                exec(compile(text, "own.md", "exec"), namespace)
    assert namespace["mine"].tasks == ("toxic",)
    result = namespace["result"]
    kinds = {model.name: model.kind for model in result.card.models}
    assert kinds == {"small_net": "deep", "extra_trees": "classical", "trivial": "trivial"}
    assert (tmp_path / "my-run" / "cards" / "my_toxicity.json").is_file()
    best = namespace["table"].iloc[0]
    assert best["mean"] > 0.6 and best["model"] != "trivial"


def test_its_chapter_runs(blocks, make_chapter, tmp_path):
    parameters, *cells = [text for language, text in blocks if language == "py"]
    path = make_chapter(*cells, "assert settings.seed == 3", parameters=parameters)
    (run,) = run_chapters([path], profile="smoke", seed=3, device="cpu", output=tmp_path / "out")
    assert run.notebook.is_file()


def test_its_commands_exist(blocks):
    lines = [line for language, text in blocks if language == "bash" for line in text.splitlines()]
    parser = _parser()
    makefile = (Path(__file__).resolve().parents[2] / "Makefile").read_text(encoding="utf-8")
    for line in lines:
        words = line.split("#")[0].split()
        if words[:3] == ["python", "-m", "chemdl"]:
            parser.parse_args(words[3:])
        else:
            assert words[0] == "make"
            assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), f"no target {words[1]}"
