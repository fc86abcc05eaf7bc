"""The start page and the ledger say what was found, and nothing breaks their tables."""

from __future__ import annotations

import re
from pathlib import Path

from chemdl.book import ledger_page
from chemdl.book.check import unresolved_citations
from chemdl.evidence.ledger import ledger_rows

ROOT = Path(__file__).resolve().parents[2]


def test_the_ledger_shows_every_claim_once_with_both_findings(ledger_claims, recorded, own_run):
    rows = ledger_rows(own_run / "cards", ledger_claims)
    text = ledger_page.claims_text(rows, {})
    for name in ledger_claims:
        assert text.count(f"#{name.lower()} .claim-id") == 1
    assert "+0.040" in text and r"\[+0.030, +0.050\]" in text
    assert "this site's quick: undecided" in text
    assert "[confirmed]{.verdict .confirmed}" in text
    assert "[not testable]{.verdict .not-testable}" in text
    assert "After the Benjamini–Hochberg adjustment" in text


def test_what_a_claim_says_cannot_break_its_table(ledger_claims, recorded):
    text = ledger_page.claims_text(ledger_rows(claims=ledger_claims), {})
    line = next(line for line in text.splitlines() if "costs" in line)
    assert r"Nets \| forests: \*0\* costs \$5 and \<b\>" in line
    assert len(re.findall(r"(?<!\\)\|", line)) == 7


def test_the_start_page_says_how_much_was_tested(ledger_claims, recorded):
    text = ledger_page.found_text(ledger_rows(claims=ledger_claims))
    assert "**4 claims**" in text and "2 were tested so far" in text
    assert "counted once: 1 confirmed, 1 reversed." in text
    assert "*Was the source right:* 1 yes, 1 no." in text
    name = next(iter(ledger_claims))
    assert f"[{name}](#{name.lower()})" in text


def test_the_start_page_without_cards_says_so(ledger_claims, nothing_recorded):
    assert "No card is recorded yet" in ledger_page.found_text(ledger_rows(claims=ledger_claims))


def test_every_source_of_the_ledger_is_in_the_bibliography(tmp_path):
    (tmp_path / "references.bib").write_bytes((ROOT / "references.bib").read_bytes())
    (tmp_path / "claims.md").write_text(ledger_page.claims_text(ledger_rows(), {}), "utf-8")
    for page in ("index.md", *(p.name for p in (ROOT / "pages").glob("*.md"))):
        source = ROOT / page if page == "index.md" else ROOT / "pages" / page
        (tmp_path / page).write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    assert list(unresolved_citations(tmp_path, [])) == []
