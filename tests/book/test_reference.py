"""The pages of the reference: every public module once."""

from __future__ import annotations

import pytest

from chemdl.book import reference


@pytest.mark.parametrize(
    ("name", "shown", "hidden"),
    [
        ("plots", "chemdl.plots.geometries", "chemdl.plots.figures"),
        ("baselines", "chemdl.baselines.chains", "chemdl.baselines.molecules"),
        ("models", "chemdl.models.dtnn", "chemdl.models.__init__"),
        ("datasets", "chemdl.datasets.proteins", "chemdl.datasets.loading"),
    ],
)
def test_what_a_package_exports_is_not_shown_again(name: str, shown: str, hidden: str) -> None:
    text = reference.module_text(name)
    assert f".. automodule:: {shown}\n   :members:" in text
    assert hidden not in text


def test_names_that_a_package_exports_are_its_own_members() -> None:
    assert ".. automodule:: chemdl.plots\n   :members:" in reference.module_text("plots")
    assert ".. automodule:: chemdl.models\n```" in reference.module_text("models")
    assert ".. automodule:: chemdl.stats\n   :members:" in reference.module_text("stats")
