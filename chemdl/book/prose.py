"""Look for results that were typed into the text of a chapter, where no run can correct them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

# What a source reports may be typed; `finding` writes what our own runs found.
_OF_SOURCES = {"what was reported"}
# A number of another kind is marked where it stands, so that a reader of the notebook sees why.
_MARK = re.compile(r"<!--\s*not a result:\s*\w[^>]*-->")
MOST_MARKS = 4  # in a chapter; with more, the marks would be the rule
_OURS = re.compile(r"\b(?:our|ours|we|here|recorded|this run)\b", re.IGNORECASE)

_DEFINED = re.compile(r"\b95\s?%(?= (?:confidence )?intervals?\b)|\b1 kcal/mol\b")
_WORD = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|"
    "sixteen|seventeen|twenty|thirty"
)
_COUNT = rf"(?:\d+(?:\.\d+)?|{_WORD})"
_PART = "half|third|quarter|fifth|sixth|seventh|eighth|ninth|tenth|twentieth|hundredth"
_UNIT = (
    r"points?|hundredths?|times(?! over)|orders of magnitude|kcal/mol|m?eV|[MG]Pa|degrees|"
    r"log units?|per centimetre"
)
# A decimal number; a share; a count with a unit of results; "11 of 15", "11/15", "four in ten"; the
# value of a metric; "by a third", "half of it".
_MEASURED = re.compile(
    r"(?<![\w.-])[−+-]?(?:\d[\d,]*)?\.\d+"
    rf"|\b(?:{_COUNT}|(?:half )?a)\s?(?:%|per ?cent\b)"
    rf"|\b{_COUNT}(?:\s(?:and|to|or)\s(?:a half|{_COUNT}))?\s(?:{_UNIT})(?![\w/])"
    rf"|\b(?:\d\d?|{_WORD})\s(?:out )?of\s(?:the\s)?(?:\d\d?|{_WORD})\b"
    r"|\b\d\d?/\d\d?\b"
    r"|\b(?:AUC|RMSE|MAE|R²|Q3|Q8|SOV|BEDROC|enrichment|error|accuracy|precision)"
    r"\s(?:of |is |was |has |at )?\d+"
    rf"|\b(?:\d\d?|{_WORD})\sin\s(?:five|ten|twenty)\b"
    rf"|\bby (?:about |nearly )?(?:an?|{_WORD}) (?:{_PART})s?\b"
    rf"|\b(?:{_PART}|twice|thrice|halves)s? (?:as|that|of (?:it|that|its)|the error)\b",
    re.IGNORECASE,
)


def typed_results(path: Path) -> Iterator[str]:
    """Name each measured number in the text of a notebook that is not a source's.

    A decimal number, a share, a count out of a total or a number with a unit of results may stand
    in a sentence with a citation that does not speak of this book's own runs, in the section *What
    was reported*, in code and in formulas. Elsewhere the sentence needs a mark with the reason:
    ``<!-- not a result: a setting -->``.

    Parameters
    ----------
    path
        A notebook.

    Yields
    ------
    str
        One line a number, with the cell, the sentence and what to do; one more if there are too
        many marks.
    """
    section, marks = "", 0
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for number, cell in enumerate(cells, start=1):
        if cell["cell_type"] != "markdown":
            continue
        text = "".join(cell["source"])
        marks += len(_MARK.findall(text))
        for sentence in sentences(text):
            if sentence.startswith("#"):
                section = sentence.lstrip("# ").lower()
            if section not in _OF_SOURCES and (found := _first_number(sentence)):
                yield (
                    f"{path.name}: cell {number} has the number {found!r} typed into its text, in "
                    f"“{_shown(sentence)}”; let show.finding write it, cite its source, or mark it "
                    "<!-- not a result: why -->"
                )
    if marks > MOST_MARKS:
        yield f"{path.name}: {marks} numbers are marked as no results, but {MOST_MARKS} are allowed"


def sentences(text: str) -> list[str]:
    """Return the headings and sentences of a Markdown text, without code, formulas and addresses.

    A citation, a link to another site and a mark are left in as ``⟦cite⟧`` and ``⟦mark⟧``.
    """
    text = re.sub(r"```.*?```|\$\$.*?\$\$", " ", text, flags=re.DOTALL)
    text = _MARK.sub("⟦mark⟧", text)
    text = re.sub(r"([.!?])\s*⟦mark⟧", r"⟦mark⟧\1", text)  # it speaks of the sentence before it
    text = re.sub(r"<!--.*?-->", " ", text, flags=re.DOTALL)
    text = re.sub(r"\{cite(?::\w+)?\}`[^`]+`", "⟦cite⟧", text)
    text = re.sub(r"\]\(https?:[^)]*\)", "]⟦cite⟧", text)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    text = re.sub(r"`[^`]+`|\$[^$]+\$", "⟦code⟧", text)
    # A heading, an item and a row of a table end with their line; a paragraph at an empty one.
    text = re.sub(r"(?m)^(#.*|\s*(?:[-*]|\d+\.) |\|)", r"\n\n\1", text)
    text = re.sub(r"(?m)^(#.*|\|.*)$", r"\1\n", text)
    blocks = (" ".join(block.split()) for block in re.split(r"\n\s*\n", text))
    # Not after a decimal point: what follows the end of a sentence begins with a capital.
    end = r"(?<=[.!?])(?:(?<=\d\.)|[)*_”\"]*)\s+(?=[A-Z(*_“\"\[⟦])"
    return [part for block in blocks if block for part in re.split(end, block)]


def _first_number(sentence: str) -> str | None:
    if "⟦mark⟧" in sentence or ("⟦cite⟧" in sentence and not _OURS.search(sentence)):
        return None
    found = _MEASURED.search(_DEFINED.sub("", sentence))
    return found.group().strip() if found else None


def _shown(sentence: str) -> str:
    words = re.sub(r"⟦\w+⟧", "…", sentence)
    return words if len(words) <= 120 else f"{words[:110]}…"
