"""The comparison says what is there: on shuffled labels nothing, on thirty rows nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import chemdl
from chemdl.evidence import splits
from chemdl.evidence.comparisons import Evidence
from chemdl.evidence.result import Predictions
from chemdl.learn.models import make_baseline, make_net
from chemdl.registry import UnknownNameError
from chemdl.settings import Settings
from chemdl.your_data import budget as budgets
from chemdl.your_data import judge as judging
from chemdl.your_data.budget import Budget
from chemdl.your_data.compare import STUDY, compare_families
from chemdl.your_data.families import known_families, make_families
from chemdl.your_data.loading import as_dataset, read_your_table

QUICK = {"families": ("trivial", "any_input_linear", "any_input_neighbours", "any_input_net")}


def settings(folder: Path, **changes) -> Settings:
    given = {"profile": "full", "device": "cpu", "trials": 0, "repeats": 1, **changes}
    return Settings(output=folder, **given)


def test_the_scores_are_those_of_a_study_of_the_book(esol, small_nets, tmp_path: Path) -> None:
    rows = [f"{s},{y!r}" for s, y in zip(esol.inputs, esol.targets[:, 0].tolist(), strict=True)]
    (tmp_path / "t.csv").write_text("\n".join([f"smiles,{esol.tasks[0]}", *rows]))
    mine = as_dataset(read_your_table(tmp_path / "t.csv", targets=[esol.tasks[0]]))
    assert mine.card["content_sha256"] == esol.card["content_sha256"]
    found = compare_families(mine, settings(tmp_path / "mine"), random=True, **QUICK)
    models = {
        name: make_baseline(name, esol)
        for name in ("trivial", "any_input_linear", "any_input_neighbours")
    }
    models["any_input_net"] = make_net("any_input_net", "regression", **small_nets)
    book = chemdl.Study(
        STUDY, chapter="qsar", dataset=esol, models=models, metrics=["rmse", "mae", "r2"],
        protocol=splits.random(esol, repeats=5, folds=5),
        settings=settings(tmp_path / "book"),
    ).run()  # fmt: skip
    for name in models:
        ours = found.result.by_task(name).to_numpy()
        assert ours == pytest.approx(book.by_task(name).to_numpy(), rel=1e-6), name


def test_nothing_is_learned_from_shuffled_labels(esol, tmp_path: Path) -> None:
    found = compare_families(esol, settings(tmp_path, shuffled=True), **QUICK)
    assert found.judged.verdict == "nothing learned"
    assert found.answer.startswith("Nothing can be learned here")
    true = compare_families(esol, settings(tmp_path / "true"), **QUICK)
    assert true.judged.verdict != "nothing learned"
    assert true.beside is not None and true.beside.card.protocol.name == "random"


def test_a_spent_budget_leaves_the_random_split_out(esol, tmp_path: Path) -> None:
    found = compare_families(
        esol,
        settings(tmp_path),
        minutes=0.01,
        families=("trivial", "any_input_linear", "any_input_net"),
    )
    assert found.judged is not None and found.beside is None
    assert "no random split beside it: no time was left" in found.budget.cuts


def test_on_thirty_molecules_nothing_is_decided_and_nothing_trained(esol, tmp_path: Path) -> None:
    found = compare_families(esol.subset(np.arange(30)), settings(tmp_path / "out"))
    assert found.answer.startswith("Nothing can be decided on 30 molecules")
    assert not (tmp_path / "out").exists()


def test_an_unknown_family_lists_the_known(esol, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'dmpnn'"):
        compare_families(esol, settings(tmp_path), families=("dmpn",))


def test_the_longest_family_is_cut_first_and_named() -> None:
    seconds = {
        "trivial": 0.0,
        "any_input_linear": 1.0,
        "any_input_forest": 9.0,
        "any_input_net": 2.0,
        "dmpnn": 50.0,
    }
    clock = Budget(minutes=1)
    kept = budgets.kept_families(seconds, folds=5, budget=clock, cores=1)
    assert kept == ("trivial", "any_input_linear", "any_input_net")
    assert [cut.split()[0] for cut in clock.cuts] == ["dmpnn", "any_input_forest"]
    assert clock.untried == ["dmpnn", "any_input_forest"]
    slow = budgets.kept_families(seconds, 5, Budget(2), 1, {"any_input_forest": 999.0})
    assert "any_input_forest" not in slow
    large = Budget(minutes=1)
    assert (
        budgets.small_enough(("any_input_neighbours", "any_input_linear"), 10_001, large)
        == ("any_input_linear",)
        and large.cuts
    )
    rich = Budget(minutes=100)
    assert budgets.kept_families(seconds, 5, rich, 1) == tuple(seconds) and not rich.cuts


def test_the_best_of_a_side_is_chosen_by_other_folds_alone() -> None:
    """Each model is best in one fold by far; a choice by the fold itself would take it there."""
    y = np.zeros((40, 1))
    errors = {"a": (0.1, 5.0), "b": (5.0, 0.1)}
    arrays, scores = {}, []
    for fold in (0, 1):
        rows = np.arange(20) + 20 * fold
        arrays[f"test/0/{fold}"] = rows
        for name, by_fold in errors.items():
            arrays[f"{name}/all/0/{fold}"] = np.full((20, 1), by_fold[fold])
            values = {"rmse": {"y": by_fold[fold]}}
            place = {"condition": "all", "repeat": 0, "fold": fold}
            scores.append({"model": name, **place, "n_train": 20, "n_test": 20, "values": values})
    evidence = Evidence(scores, Predictions(y, arrays), "fold", 2)
    chosen, _ = judging._with_best(evidence, ["a", "b"], "rmse", "best")
    picked = {place: row["values"]["rmse"]["y"] for place, row in chosen.replicas("best").items()}
    assert picked == {(0, 0): 5.0, (0, 1): 5.0}


@pytest.mark.parametrize(
    ("verdict", "begins"),
    [
        ("deep", "Yes"),
        ("simple", "No"),
        ("level", "No: they differ"),
        ("undecided", "It cannot"),
        ("unsure", "It cannot be told whether"),
        ("nothing learned", "Nothing can be learned"),
    ],
)
def test_the_answer_is_a_sentence(verdict: str, begins: str) -> None:
    found = judging.Judgement(
        verdict, -0.03, -0.07, 0.01, None, 0.02, "dmpnn", "any_input_linear", 0.64, 0.61, 1.0
    )
    said = judging.sentence(found, "rmse", {"dmpnn": "graph net", "any_input_linear": "ridge"})
    assert said.startswith(begins)
    assert (
        "Ridge 0.610, graph net 0.640 (RMSE); in favour of the deep net −0.03 [−0.07, +0.01]"
        in said
    )


def test_every_family_of_a_table_can_be_fitted_as_it_is_set_up(esol) -> None:
    few = esol.subset(np.arange(30))
    models = make_families(few, known_families(few), "cpu")
    for model in models.values():
        if hasattr(model, "epochs"):
            model.set_params(epochs=1)
        assert np.isfinite(model.fit(few.inputs, few.targets).predict(few.inputs)).all()
