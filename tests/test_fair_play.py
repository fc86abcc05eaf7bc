"""Nets and classical models have the same trials and inputs, in every study of every chapter.

That they have the same rows and labels is so in any study, and tested with those (tests/evidence).
The studies here are those that the full profile plans; nothing is fitted. Large sets are drawn
smaller: which models a study compares, and what tuning may draw, does not depend on the rows.
"""

from __future__ import annotations

import functools
import os
import warnings
from pathlib import Path
from typing import Any

import pytest

import chemdl
from chemdl.book.planning import planned_studies
from chemdl.book.run import chapter_files
from chemdl.evidence.study import Study, kind_of
from chemdl.molecules.any_input import CLASSICAL, INPUTS, NET

# Reading these takes minutes; their studies take models from the same lists as others.
TOO_LARGE = {"pcba", "qm9", "oqmd"}
MOST_ROWS = 1500
# Models without a setting to tune, and why.
FIXED = {
    "deepchem": "another package's net, run as it comes",
    "dressed_atoms": "a linear fit on composition",
    "esol_equation": "a published equation",
    "residue_angles": "the mean of each kind of residue",
    "residue_majority": "the commonest state of each kind of residue",
    "similarity": "the nearest active molecule",
    "transferred": "a line over a net that learned another set",
    "vina": "a published scoring function",
}


@functools.cache
def studies(chapter: str) -> dict[str, Study]:
    """Return the studies of a chapter as the full profile plans them, over fewer rows."""
    load = chemdl.load

    def loaded(name: str, **options: Any) -> Any:
        if name in TOO_LARGE:
            raise FileNotFoundError(name)
        data = load(name, **options)
        # QM7 has subsets of fixed sizes.
        return (
            data
            if len(data) <= MOST_ROWS or name.startswith("qm7")
            else data.sample(MOST_ROWS, seed=0)
        )

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setattr(chemdl, "load", loaded)
        warnings.simplefilter("ignore")
        return planned_studies(chapter, Path("unused"))


# Your own table is compared by a tool with tests of its own (tests/your_data).
@pytest.fixture(params=[name for name in chapter_files() if name != "your-data"])
def planned(request: pytest.FixtureRequest) -> dict[str, Study]:
    if not os.environ.get("CHEMDL_MIRROR"):
        pytest.skip("CHEMDL_MIRROR is not set: most sets of the full profile are not embedded")
    found = studies(request.param)
    assert found, "no study could be planned"
    return found


def test_what_is_not_tuned_has_nothing_to_tune_or_is_a_recipe(planned: dict[str, Study]) -> None:
    for study in planned.values():
        for name, model in study.models.items():
            if kind_of(model) == "trivial" or name in FIXED or name in study.untuned:
                continue
            assert model.search_space, f"{study.name}: {name} has no settings to tune"


def test_no_family_has_a_search_of_its_own(planned: dict[str, Study]) -> None:
    """Within a fit nothing is chosen by held-out rows, but for the epoch at which a net stops."""
    for study in planned.values():
        for name, model in study.models.items():
            inner = getattr(model, "estimator", model)
            assert not type(inner).__name__.endswith(("CV", "SearchCV")), f"{study.name}: {name}"
            assert not hasattr(inner, "tuning_rows"), f"{study.name}: {name}"


def test_a_choice_of_inputs_is_the_same_for_every_family(planned: dict[str, Study]) -> None:
    for study in planned.values():
        free = {name for name in study.models if name in {NET, *CLASSICAL}}
        assert not free or free == {NET, *CLASSICAL}, study.name
        for name in free:
            choices = study.models[name].search_space["representation"]
            assert len(choices) == len(INPUTS), f"{study.name}: {name}"
