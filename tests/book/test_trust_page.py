"""The page of trust shows the campaigns' figures, and says which campaign has none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chemdl.book.trust_page import trust_text

FIGURES = {
    "hostile": {"cards": {"inputs": 1234, "read": 1000, "refused": 234, "faults": 0}},
    "chapter kills": {"kills": 17, "rounds": 3, "results_equal": 3, "lost": 0, "half_files": 0,
                      "replicas": 12},
    "recorder kills": {"kills": 19, "rounds": 4, "stores_equal": 4, "lost": 0, "half_files": 0,
                       "computed_twice": 0},
    "determinism": {"runs": 13, "replicas": 8, "bit_for_bit_but_nets": 13, "within_tolerance": 13,
                    "tolerance": 1e-4, "farthest": 2e-7},
    "planted faults": {"chapter": "toxicity", "planted": 21, "caught": 20, "missed": ["no seed"]},
}  # fmt: skip
SAID = {
    "hostile": "| cards | 1,234 | 1,000 | 234 | 0 |",
    "chapter kills": "killed 17 times",
    "recorder kills": "killed 19 times",
    "determinism": "ran 13 times",
    "planted faults": "not caught: no seed",
}


@pytest.fixture
def written(tmp_path: Path):
    def write(names) -> str:
        found = {n: {"date": "2026-01-02", "versions": {"numpy": "2.0"}, "figures": FIGURES[n]}
                 for n in names}  # fmt: skip
        (tmp_path / "campaigns.json").write_text(json.dumps(found), "utf-8")
        return trust_text(tmp_path / "campaigns.json")

    return write


@pytest.mark.parametrize("name", FIGURES)
def test_a_campaigns_figures_stand_on_the_page_and_others_are_missing(written, name: str) -> None:
    text = written([name])
    assert SAID[name] in text and "Run on 2026-01-02 with numpy 2.0." in text
    assert text.count("has not been run whole yet") == len(FIGURES) - 1


def test_without_a_file_each_campaign_is_said_to_be_missing(tmp_path: Path) -> None:
    assert trust_text(tmp_path / "none.json").count("not been run whole yet") == len(FIGURES)
