"""Tuning sees no test row, gives every family the same trials, and freezes what it found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chemdl.evidence import splits
from chemdl.evidence.tuning import FULL_TRIALS
from chemdl.molecules import baselines
from chemdl.molecules.nets.multitask import Multitask


def stored(output: Path) -> int:
    return len(list(output.glob("replicas/tiny_random/[!.]*.npz")))


def test_tuning_sees_no_test_row_and_freezes(data, tmp_path, make_study, oxygen) -> None:
    oxygen.seen.clear()
    study = make_study(data, tmp_path, {"spy": oxygen(strength=-1.0)}, trials=6)
    result = study.run()
    split = study.protocol.splits[0]
    train, valid, test = (set(data.inputs[rows]) for rows in (split.train, split.valid, split.test))
    trials, replicas = oxygen.seen[:-3], oxygen.seen[-3:]
    assert 3 <= len(trials) <= 6  # equal draws are one trial
    for fitted, predicted in trials:
        assert fitted == train
        assert predicted == valid
        assert not (fitted | predicted) & test
    assert replicas
    (model,) = result.card.models
    # The preset ranks the wrong way round: any other drawn setting is better.
    assert model.hyperparameters["strength"] > 0
    assert model.tuning_trials == 6
    assert (result.by_task("spy")["oxygen"] > 0.7).all()
    oxygen.seen.clear()
    again = make_study(data, tmp_path, {"spy": oxygen(strength=-1.0)}, trials=6).run()
    assert oxygen.seen == []
    assert again.card.models == result.card.models


def test_equal_trials_of_every_family_in_full_alone(data, tmp_path, make_study, oxygen) -> None:
    models = {"oxygen": oxygen(), "trivial": baselines.classifier("trivial")}
    quick = make_study(data, tmp_path / "quick", models).run()
    assert {m.tuning_trials for m in quick.card.models} == {0}
    full = make_study(data, tmp_path / "full", models, profile="full").run()
    trials = {m.name: m.tuning_trials for m in full.card.models}
    assert trials == {"oxygen": FULL_TRIALS, "trivial": 0}
    assert full.shortfall == []


def test_nets_are_tuned_by_the_same_rule(data, tmp_path, make_study, net) -> None:
    study = make_study(data, tmp_path, {"net": net}, trials=2)
    study.run()
    assert study.tuned == {"net": 2}
    # Two trials and three replicas; another run computes none.
    assert stored(tmp_path) == 5
    make_study(data, tmp_path, {"net": net}, trials=2).run()
    assert stored(tmp_path) == 5


def test_a_trial_that_diverges_is_the_worst_of_them(
    data, tmp_path, monkeypatch, make_study, net
) -> None:
    monkeypatch.setattr(Multitask, "search_space", {"learning_rate": [1e30]})
    study = make_study(data, tmp_path, {"net": net}, trials=2)
    result = study.run()
    assert study.tuned == {"net": 2}
    assert result.card.models[0].hyperparameters["learning_rate"] == 0.01
    # The preset itself is no trial: a net that cannot be trained is an error.
    broken = net.__class__(**{**net.get_params(), "learning_rate": 1e30})
    with pytest.raises(ValueError, match="ended in NaN; lower the learning rate"):
        make_study(data, tmp_path / "broken", {"net": broken}).run()


def test_tuning_on_one_class_keeps_the_preset(data, tmp_path, make_study, oxygen, tiny_set) -> None:
    y = np.array([["O" in s] for s in data.inputs], dtype=float)
    protocol = splits.random(tiny_set(y), repeats=1, folds=3, seed=0)
    y[protocol.splits[0].valid] = 0.0
    result = make_study(
        tiny_set(y), tmp_path, {"oxygen": oxygen(0.5)}, protocol=protocol, trials=3
    ).run()
    assert result.card.models[0].hyperparameters["strength"] == 0.5


def test_a_part_that_another_machine_tunes_leaves_the_preset(
    data, tmp_path, make_study, oxygen, net
) -> None:
    models = {"net": net, "oxygen": oxygen(strength=-1.0)}
    study = make_study(data, tmp_path, models, asked=("deep",), trials=2)
    study.run()
    assert study.tuned.keys() == {"net"}
    assert oxygen.fits == []


def test_a_published_recipe_stays_as_it_is_where_others_are_tuned(
    data, tmp_path, make_study, oxygen
) -> None:
    models = {"fixed": oxygen(strength=0.7), "tuned": oxygen(strength=0.7)}
    study = make_study(
        data, tmp_path, models, profile="full", repeats=1, trials=4, untuned=["fixed"]
    )
    result = study.run()
    trials = {row.name: row.tuning_trials for row in result.card.models}
    assert trials == {"fixed": 0, "tuned": 4}
    assert study.models["fixed"].strength == 0.7
    assert not any("not tuned" in line for line in result.shortfall)
    # A model whose trials nobody ran stands as its preset, and the card says so.
    models["other"] = oxygen(strength=0.7)
    study = make_study(
        data, tmp_path, models, profile="full", repeats=1, trials=4, untuned=["fixed"],
        asked=("fixed", "tuned"),
    )  # fmt: skip
    assert "presets, not tuned: other" in study.run().shortfall
