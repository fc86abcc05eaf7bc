"""Claims and cards are joined as they are, and say so on every page that shows them."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from chemdl.book import ledger, ledger_page, readme
from chemdl.book.check import unresolved_citations
from chemdl.evidence import cards
from chemdl.evidence import statistics as stats
from chemdl.evidence.claims import load_claims

ROOT = Path(__file__).resolve().parents[2]
SIGNAL = {"deep_net": 1.2, "forest": 1.0, "mean": 0.0}


def is_simple(claim) -> bool:
    return claim.test is not None and claim.test.b is not None and claim.kind == "difference"


@pytest.fixture(scope="module")
def claims():
    """Three tested claims pinned to known numbers, and one that cannot be tested."""
    known = load_claims()
    simple = [claim for claim in known.values() if is_simple(claim)][:3]
    untestable = next(claim for claim in known.values() if claim.test is None)
    chosen = {}
    for number, claim in enumerate(simple):
        chosen[claim.id] = dataclasses.replace(
            claim,
            statement=f"Nets | forests: *{number}* costs $5 and <b>",
            favours="deep",
            test=dataclasses.replace(claim.test, a=f"net_{number}"),
            reported=dataclasses.replace(claim.reported, a=0.85, b=0.8, difference=0.05),
        )
    return {**chosen, untestable.id: untestable}


@pytest.fixture
def recorded(claims, tmp_path, write_card, monkeypatch):
    """Recorded cards that judge the first two claims, and no others."""
    monkeypatch.setattr(cards, "all_recorded", dict)
    first, second, *_ = claims.values()
    verdicts = [verdict(first.id, "confirmed", 0.04), verdict(second.id, "reversed", -0.031)]
    comparisons = [comparison(first, 0.01), comparison(second, 0.04)]
    folder = write_card(
        tmp_path / "full", 0, SIGNAL, profile="full", verdicts=verdicts, comparisons=comparisons
    )
    path = folder / "tiny_random.json"
    monkeypatch.setattr(cards, "all_recorded", lambda: {"tiny_random": path})
    return path


@pytest.fixture
def own(claims, tmp_path, write_card):
    """The output folder of a quick run that judges the first claim otherwise."""
    first = next(iter(claims))
    verdicts = [verdict(first, "undecided", 0.015, provisional=True)]
    write_card(tmp_path / "quick" / "cards", 1, SIGNAL, profile="quick", verdicts=verdicts)
    return tmp_path / "quick"


def verdict(claim: str, word: str, value: float, provisional: bool = False) -> dict:
    estimate = {"value": value, "low": value - 0.01, "high": value + 0.01, "method": "t"}
    return {
        "claim": claim, "verdict": word, "reason": "", "fidelity": "near",
        "provisional": provisional, "estimate": estimate,
    }  # fmt: skip


def comparison(claim, p: float) -> dict:
    test = claim.test
    return {
        "a": test.a, "b": test.b, "metric": test.metric, "condition": test.condition,
        "difference": 0.04, "low": 0.03, "high": 0.05, "detectable": 0.01, "method": "t", "p": p,
    }  # fmt: skip


def by_id(rows) -> dict:
    return {row.claim.id: row for row in rows}


def test_without_cards_a_claim_is_not_run_or_not_testable(claims, monkeypatch):
    monkeypatch.setattr(cards, "all_recorded", dict)
    verdicts = [row.verdict for row in ledger.rows(claims=claims)]
    assert verdicts == ["not run"] * 3 + ["not testable"]


def test_the_recorded_finding_counts_and_the_own_one_stands_beside(claims, recorded, own):
    rows = by_id(ledger.rows(own, claims))
    first = rows[next(iter(claims))]
    assert (first.recorded.profile, first.own.profile) == ("full", "quick")
    assert first.verdict == "confirmed" and first.agrees
    assert first.recorded.value == 0.04
    alone = by_id(ledger.rows(None, claims))[first.claim.id]
    assert alone.own is None


def test_a_quick_run_counts_where_nothing_is_recorded(claims, own, monkeypatch):
    monkeypatch.setattr(cards, "all_recorded", dict)
    rows = ledger.rows(own, claims)
    assert rows[0].verdict == "undecided" and not rows[0].agrees
    # Provisional findings are in no tally; what has no study is neither confirmed nor refuted.
    assert ledger.tally(rows) == {"not run": 2, "not testable": 1}


def test_p_values_are_adjusted_over_all_rows(claims, recorded):
    rows = ledger.rows(None, claims)
    expected = stats.benjamini_hochberg([0.01, 0.04])
    assert [row.adjusted_p for row in rows[:2]] == pytest.approx(list(expected))
    assert rows[2].adjusted_p is None


def test_numbers_are_written_with_a_true_minus_sign():
    assert ledger.number(-0.0213, signed=True) == "−0.021"
    assert ledger.number(12.345) == "12.3"
    assert ledger.number(11.0) == "11"
    assert ledger.number(0.0) == "0.000"


def test_the_ledger_shows_every_claim_once_with_both_findings(claims, recorded, own):
    rows = ledger.rows(own, claims)
    text = ledger_page.claims_text(rows, {})
    for name in claims:
        assert text.count(f"#{name.lower()} .claim-id") == 1
    assert "+0.040" in text and r"\[+0.030, +0.050\]" in text
    assert "this site's quick: undecided" in text
    assert "[confirmed]{.verdict .confirmed}" in text
    assert "[not testable]{.verdict .not-testable}" in text
    assert "After the Benjamini–Hochberg adjustment" in text


def test_what_a_claim_says_cannot_break_its_table(claims, recorded):
    text = ledger_page.claims_text(ledger.rows(None, claims), {})
    line = next(line for line in text.splitlines() if "costs" in line)
    assert r"Nets \| forests: \*0\* costs \$5 and \<b\>" in line
    assert len(re.findall(r"(?<!\\)\|", line)) == 5


def test_the_start_page_says_how_much_was_tested(claims, recorded):
    text = ledger_page.found_text(ledger.rows(None, claims))
    assert "**4 claims**" in text and "Tested so far: **2**" in text
    assert "Full studies that bear the claim out: 1 of 2" in text
    name = next(iter(claims))
    assert f"[{name}](#{name.lower()})" in text


def test_the_start_page_without_cards_says_so(claims, monkeypatch):
    monkeypatch.setattr(cards, "all_recorded", dict)
    assert "No card is recorded yet" in ledger_page.found_text(ledger.rows(None, claims))


def test_every_source_of_the_ledger_is_in_the_bibliography(tmp_path):
    (tmp_path / "references.bib").write_bytes((ROOT / "references.bib").read_bytes())
    (tmp_path / "claims.md").write_text(ledger_page.claims_text(ledger.rows(), {}), "utf-8")
    for page in ("index.md", *(p.name for p in (ROOT / "pages").glob("*.md"))):
        source = ROOT / page if page == "index.md" else ROOT / "pages" / page
        (tmp_path / page).write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    assert list(unresolved_citations(tmp_path, [])) == []


@pytest.fixture
def project(tmp_path, claims, recorded, monkeypatch):
    """A checkout whose README has the two marks."""
    monkeypatch.setattr(ledger, "load_claims", lambda: claims)
    text = f"# Title\n\n{readme.BEGIN}\nold\n{readme.END}\n\nThe end.\n"
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    return tmp_path


def test_the_readme_gets_table_and_figure_once(project):
    assert not readme.is_current(project)
    changed = readme.write_readme(project)
    assert [path.name for path in changed] == ["verdicts.png", "README.md"]
    text = (project / "README.md").read_text(encoding="utf-8")
    assert text.startswith("# Title") and text.endswith("The end.\n") and "old" not in text
    assert "2 claims have a verdict, all by full studies (1 confirmed, 1 reversed)." in text
    assert "+0.040 [+0.030, +0.050] | full | confirmed |" in text
    assert readme.is_current(project)
    assert readme.write_readme(project) == []


def test_a_readme_whose_cards_have_moved_is_not_current(project, recorded):
    readme.write_readme(project)
    card = json.loads(recorded.read_text())
    card["verdicts"][0]["estimate"]["value"] = 0.041
    recorded.write_text(json.dumps(card))
    assert not readme.is_current(project)


def test_a_readme_whose_figure_was_changed_is_not_current(project):
    readme.write_readme(project)
    figure = project / "data" / "results" / "figures" / "verdicts.png"
    figure.write_bytes(figure.read_bytes() + b" ")
    assert not readme.is_current(project)


def test_a_readme_without_marks_is_an_error(project):
    (project / "README.md").write_text("# Title\n")
    with pytest.raises(readme.ReadmeError, match="no region"):
        readme.write_readme(project)


def test_the_projects_readme_shows_the_recorded_cards():
    assert readme.is_current(ROOT), "run `make readme`"
