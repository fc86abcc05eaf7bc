"""A result that is typed into a chapter is found; what a source or a definition says is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from chemdl.book.prose import MOST_MARKS, sentences, typed_results
from chemdl.book.run import chapter_files

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = chapter_files(ROOT / "chapters")
Write = Callable[..., Path]


@pytest.fixture
def problems_of(tmp_path: Path, write_notebook: Write) -> Callable[[str], list[str]]:
    """What the check says of a chapter with this text."""

    def problems(text: str) -> list[str]:
        return list(typed_results(write_notebook(tmp_path / "01-tiny.ipynb", text=text)))

    return problems


@pytest.mark.parametrize("name", list(CHAPTERS))
def test_no_result_is_typed_into_a_chapter(name: str) -> None:
    assert list(typed_results(CHAPTERS[name])) == []


@pytest.mark.parametrize(
    ("sentence", "number"),
    [
        ("The forest has an AUC of .83.", ".83"),
        ("It errs by 1.45 points.", "1.45"),
        ("The slope of the line is [-.04, +.10].", "-.04"),
        ("The net has 71 % right.", "71 %"),
        ("The net has 71 percent right.", "71 percent"),
        ("Sharing adds two to three points.", "two to three points"),
        ("It errs by 86 MPa on steels.", "86 MPa"),
        ("The rate is six times what chance finds.", "six times"),
        ("The net wins on 20 of 30 targets.", "20 of 30"),
        ("It leads on nine of the ten targets.", "nine of the ten"),
        ("Nets lead on 11/15 targets.", "11/15"),
        ("They reach a Q3 of 71 there.", "Q3 of 71"),
        ("Forest and net find four in ten.", "four in ten"),
        ("Sulphur raises the error by a third.", "by a third"),
        ("A bag of bonds halves the error.", "halves the error"),
        ("They print .81 {cite:p}`a2016`, and ours has .79.", ".81"),
        ("It was `net`, and\nthe margin 0.2 wide {cite:p}`a`. Then .3 came.", ".3"),
    ],
)
def test_a_typed_result_is_named_with_its_cell_and_words(
    problems_of: Callable[[str], list[str]], sentence: str, number: str
) -> None:
    (problem,) = problems_of(f"# Title\n\n## The study\n\nA sentence. {sentence} Another.")
    assert problem.startswith(f"01-tiny.ipynb: cell 1 has the number {number!r} typed into its")
    assert "show.finding" in problem and "\n" not in problem
    shown = problem.split("“")[1].split("”")[0]
    assert shown.split()[0] in sentence and "Another" not in shown


@pytest.mark.parametrize(
    "text",
    [
        "{cite:t}`ma2015` print an error of 21.78; a re-run found 23.19.",
        "The leaderboard's forest has .446 eV (see the [board](https://example.org/board)).",
        "## What was reported\n\nIts AUC of 0.955 stands beside no other.",
        "The rate is $0.83$, and `dropout=0.25` a setting.\n\n$$\na = 0.5\n$$\n\n```\n.83\n```",
        "Five folds, three times over, of 2,048 bits; 95 % intervals and 1 kcal/mol are defined.",
        "Read NetSurfP-2.0 in 2 of the 217 chains of 1988.",
        "The dropout is 25 %. <!-- not a result: a setting --> It was not tuned.",
    ],
)
def test_a_source_a_formula_and_a_definition_pass(
    problems_of: Callable[[str], list[str]], text: str
) -> None:
    assert problems_of(f"# Title\n\n{text}") == []


def test_a_section_of_sources_ends_with_the_next_heading(
    problems_of: Callable[[str], list[str]],
) -> None:
    (problem,) = problems_of("## What was reported\n\nIt is .95.\n\n## The study\n\nIt is .83.")
    assert "'.83'" in problem


def test_a_mark_covers_its_sentence_alone_gives_a_reason_and_stays_rare(
    problems_of: Callable[[str], list[str]],
) -> None:
    (problem,) = problems_of("A dropout of 25 %. <!-- not a result: a setting --> It has .83.")
    assert "'.83'" in problem
    assert len(problems_of("It has .83. <!-- not a result: -->")) == 1
    marked = "A dropout of 25 %. <!-- not a result: a setting -->\n\n" * (MOST_MARKS + 1)
    (problem,) = problems_of(marked)
    assert f"{MOST_MARKS + 1} numbers are marked" in problem


def test_a_text_is_divided_at_the_ends_of_its_sentences() -> None:
    text = "# Head\n\nOne of .5 goes on\nhere. Two! *Three*\n\n- an item\n- another\n\n| a | b |\n"
    expected = ["# Head", "One of .5 goes on here.", "Two!", "*Three*", "- an item", "- another"]
    assert sentences(text) == [*expected, "| a | b |"]
