"""A chapter is read for its studies: only what they need is executed, and nothing is fitted."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from chemdl.book.planning import needed, planned_studies
from chemdl.evidence.study import Study

SETUP = """
import chemdl
from chemdl.evidence import splits
from chemdl.molecules import baselines
settings = chemdl.read_settings(globals(), chapter="toxicity")
data = chemdl.load("bace").sample(60, seed=0)
models = {"trivial": baselines.classifier("trivial")}
"""
A_STUDY = """
chemdl.Study(
    {name!r}, dataset=data, models=models, metrics=["roc_auc"], settings=settings,
    protocol=splits.random(data, repeats=settings.choose(quick=1, full=3), folds=2),
){run}
"""
NEVER = 'raise RuntimeError("this cell is not needed")'
Planned = Callable[..., dict[str, Study]]


def study(name: str, run: str = ".run()") -> str:
    return A_STUDY.format(name=name, run=run)


@pytest.fixture
def plan(tmp_path: Path, write_notebook) -> Planned:
    """Write a chapter of these cells and plan it; a warning is an error."""

    def planned(*cells: str, **more: str) -> dict[str, Study]:
        path = write_notebook(tmp_path / "chapters" / "09-tiny.ipynb", *cells)
        return planned_studies(str(path), tmp_path / "output", **more)

    return planned


def test_only_the_cells_that_studies_need_are_executed(plan, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Study, "tune", lambda *_: pytest.fail("tuned"))
    found = plan(
        SETUP,
        NEVER,
        "folds = 7\n" + NEVER,
        study("not_recorded_a"),
        f"shown = settings.profile\n{NEVER}",
        study("not_recorded_b"),
        "table = [shown, folds]\n" + NEVER,
    )
    assert list(found) == ["not_recorded_a", "not_recorded_b"]
    one = found["not_recorded_b"]
    assert one.settings.profile == "full" and one.settings.device == "cpu"
    assert one.settings.output == tmp_path / "output"
    assert one.full_protocol.repeats == 3 and len(one.dataset) == 60
    assert not (tmp_path / "output" / "replicas").exists()
    assert plan(SETUP, study("s"), profile="quick")["s"].full_protocol.repeats == 1


@pytest.mark.parametrize(
    "filled",
    [
        'models["more"] = baselines.classifier("trivial")',
        'models |= {"more": baselines.classifier("trivial")}',
        'more = baselines.classifier("trivial")\nmodels = {**models, "more": more}',
        'for name in ("more",):\n    models[name] = baselines.classifier("trivial")',
    ],
)
def test_a_cell_that_fills_what_a_study_takes_is_needed(plan, filled: str) -> None:
    found = plan(SETUP, filled, study("tiny_random"))
    assert list(found["tiny_random"].models) == ["trivial", "more"]


def test_functions_and_classes_of_a_chapter_are_needed(plan) -> None:
    found = plan(
        SETUP,
        "from sklearn.dummy import DummyClassifier\nclass Own(DummyClassifier):\n    revision = 1",
        "def own_models():\n    return {'own': Own()}",
        "models = own_models()",
        study("tiny_random"),
    )
    assert list(found["tiny_random"].models) == ["own"]


def test_a_study_that_is_run_in_another_cell_is_found(plan) -> None:
    found = plan(SETUP, "one = " + study("tiny_random", "").strip(), NEVER, "one.run()")
    assert list(found) == ["tiny_random"]


def test_a_cell_that_fails_is_named_and_leaves_the_others(plan) -> None:
    absent = "data = chemdl.load('bace')\nopen('no/such/file')\n"
    with pytest.warns(UserWarning) as caught:
        found = plan(
            SETUP, study("first"), "1 / 0\n" + study("broken"), absent + study("without_file"),
            study("last"),
        )  # fmt: skip
    assert list(found) == ["first", "last"]
    lines = [str(one.message) for one in caught]
    assert len(lines) == 2
    assert "code cell 4: division by zero" in lines[0]
    assert "code cell 5" in lines[1] and "no/such/file" in lines[1]


def test_what_a_cell_prints_is_not_shown(plan, capsys) -> None:
    plan(SETUP, 'print("a table")\n' + study("tiny_random"))
    assert capsys.readouterr().out == ""


def test_needed_cells_follow_names_backwards() -> None:
    cells = ["a = 1", "b = a", "c = 2", "import x.y as z", "Study(b, z.w)", "d = b", "print(c)"]
    assert needed(cells) == ["a = 1", "b = a", None, "import x.y as z", "Study(b, z.w)", None, None]
    assert needed(["import p.q", "Study(p.q)", ""]) == ["import p.q", "Study(p.q)", None]
    # A name that is given anew between takes both cells: what is not needed does no harm.
    assert needed(["a = 1", "a = a + 1", "Study(a)"]) == ["a = 1", "a = a + 1", "Study(a)"]


def test_a_real_chapter_is_planned_without_a_fit_or_a_network(tmp_path, monkeypatch) -> None:
    """The smallest profile needs embedded data alone; the full one is planned by the recorder."""
    monkeypatch.setattr(Study, "_compute", lambda *_: pytest.fail("fitted"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = planned_studies("property-prediction", tmp_path, profile="smoke")
    assert {"esol_random", "melting_point_random"} <= found.keys()
    for name, one in found.items():
        assert (one.name, one.chapter) == (name, "property-prediction")
        assert one.settings.profile == "smoke"
    assert not (tmp_path / "replicas").exists()
