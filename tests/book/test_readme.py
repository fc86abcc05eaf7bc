"""The README shows the recorded verdicts as they are, and it is seen when it does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chemdl.book import readme
from chemdl.evidence import ledger

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path, ledger_claims, recorded, monkeypatch):
    """A checkout whose README has the two marks."""
    monkeypatch.setattr(ledger, "load_claims", lambda: ledger_claims)
    text = f"# Title\n\n{readme.BEGIN}\nold\n{readme.END}\n\nThe end.\n"
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    return tmp_path


def is_current(root: Path) -> bool:
    """Say whether the README shows the recorded cards as they are, the figure included."""
    text = (root / "README.md").read_text(encoding="utf-8")
    return readme.with_region(text, readme.region(root)) == text


def test_the_readme_gets_table_and_figure_once(project):
    assert not is_current(project)
    changed = readme.write_readme(project)
    assert [path.name for path in changed] == ["verdicts.png", "README.md"]
    text = (project / "README.md").read_text(encoding="utf-8")
    assert text.startswith("# Title") and text.endswith("The end.\n") and "old" not in text
    assert "Final: 1 confirmed, 1 reversed." in text
    assert "+0.040 [+0.030, +0.050] | — | yes | confirmed |" in text
    assert is_current(project)
    assert readme.write_readme(project) == []


def test_a_readme_whose_cards_have_moved_is_not_current(project, recorded):
    readme.write_readme(project)
    card = json.loads(recorded.read_text())
    card["verdicts"][0]["estimate"]["value"] = 0.041
    recorded.write_text(json.dumps(card))
    assert not is_current(project)


def test_a_readme_whose_figure_was_changed_is_not_current(project):
    readme.write_readme(project)
    figure = project / "data" / "results" / "figures" / "verdicts.png"
    figure.write_bytes(figure.read_bytes() + b" ")
    assert not is_current(project)


def test_a_readme_without_marks_is_an_error(project):
    (project / "README.md").write_text("# Title\n")
    with pytest.raises(readme.ReadmeError, match="no region"):
        readme.write_readme(project)


def test_the_projects_readme_shows_the_recorded_cards():
    assert is_current(ROOT), "run `make readme`"
