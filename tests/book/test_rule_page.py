"""The page of the rule shows the simulation's counts, and no number of its own."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from chemdl.book.rule_page import rule_text


@pytest.fixture
def table(tmp_path):
    """Two sets, two learners; the pooled interval errs in 1 of 20 null pairs on its claim."""
    rows = [
        ("random", data, learner, "roc_auc", pair, estimand, interval, 10, errors, found, width)
        for data in ("one", "two")
        for learner in ("ridge", "net")
        for pair, errors, found in (("fixed", int(learner == "ridge"), 0), ("known", 1, 8))
        for estimand in ("data set", "methods")
        for interval, width in (
            ("pooled", 0.02), ("corrected", 0.03), ("corrected, one repeat", 0.04)
        )
    ]  # fmt: skip
    names = ["protocol", "data", "learner", "metric", "pair", "estimand", "interval", "n",
             "errors", "found", "width"]  # fmt: skip
    path = tmp_path / "simulation.csv"
    pd.DataFrame(rows, columns=names).to_csv(path, index=False)
    return path


def test_errors_coverage_width_and_power_are_counted(table):
    line = next(li for li in rule_text(table).splitlines() if "pooled influence values ✓" in li)
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[0] == "on this data set"
    # 2 errors of 40 null pairs, 6 of all 80, 32 of 40 known differences found.
    assert [cell.split(" [")[0] for cell in cells[2:]] == ["5.0%", "92.5%", "0.50", "80.0%"]


def test_every_kind_of_pair_has_its_line(table):
    text = rule_text(table)
    assert re.search(r"two halves of the bits, the same in every fit \| 5\.0%", text)
    assert re.search(r"all bits against one half \| 10\.0%", text)


def test_the_figure_says_in_words_what_it_shows(table):
    alt = re.search(r'alt="([^"]+)"', rule_text(table))
    assert alt and "type I error 5.0%, coverage 92.5%" in alt[1]


def test_a_simulation_that_was_not_run_is_said_to_be_missing(tmp_path):
    assert "was not run" in rule_text(tmp_path / "none.csv")
