"""The pages of the reference: every public module once."""

from __future__ import annotations

import pytest

from chemdl.book import reference


@pytest.mark.parametrize(
    ("name", "shown", "hidden"),
    [
        ("plots", "chemdl.quantum.figures", "chemdl.show.figures"),
        ("baselines", "chemdl.proteins.baselines", "chemdl.molecules.baselines"),
        ("models", "chemdl.quantum.nets.dtnn", "chemdl.models.__init__"),
        ("datasets", "chemdl.proteins.data", "chemdl.data.loading"),
    ],
)
def test_what_a_package_exports_is_not_shown_again(name: str, shown: str, hidden: str) -> None:
    text = reference.module_text(name)
    assert f".. automodule:: {shown}\n   :members:" in text
    assert hidden not in text


def test_names_that_a_package_exports_are_its_own_members() -> None:
    assert ".. automodule:: chemdl.show\n   :members:" in reference.module_text("plots")
    assert ".. automodule:: chemdl.models\n```" in reference.module_text("models")
    assert ".. automodule:: chemdl.evidence.statistics\n   :members:" in reference.module_text(
        "stats"
    )
