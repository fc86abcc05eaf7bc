"""Tuning sees no test row, gives every family the same trials, and freezes what it found."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chemdl.data import Dataset
from chemdl.evidence import splits, tuning
from chemdl.evidence.study import Study
from chemdl.evidence.tuning import FULL_TRIALS, Search
from chemdl.learn.estimator import NeuralEstimator
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


def test_the_preset_is_tried_with_every_input_first(data, tmp_path, make_study) -> None:
    """With three trials chance could leave the right input out."""
    forest = baselines.classifier("random_forest", trees=5)
    forest.set_params(space={**forest.space, "representation": ["bits", "counts", "descriptors"]})
    for trials in (1, 2, 3, 5):
        output = tmp_path / str(trials)
        make_study(data, output, {"forest": forest}, trials=trials).tune()
        assert stored(output) == trials
    study = make_study(data, tmp_path / "3", {"forest": forest}, trials=3)
    study.tune()
    chosen = study.models["forest"]
    assert chosen.estimator.get_params()["max_features"] == "sqrt"
    assert chosen.representation in forest.search_space["representation"]


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
    y[splits.random(tiny_set(y), repeats=1, folds=3, seed=0).splits[0].valid] = 0.0
    protocol = splits.random(tiny_set(y), repeats=1, folds=3, seed=0)
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


# --- the rung -------------------------------------------------------------------------------------

# Equal settings score equally, so that none of the good ones is below a median of them.
GOOD, BAD = [1.0] * 6, [-0.2, -0.4, -0.6, -0.8, -1.0, -1.2]
MANY = 14


@pytest.fixture
def large(data) -> Dataset:
    """540 molecules: a third of the train rows is enough for a rung."""
    ends = ["", "O", "C(=O)O", "N", "Cl", "F", "Br", "C=O", "I"]
    smiles = np.array(["C" * n + end for n in range(1, 61) for end in ends], dtype=object)
    targets = np.array([["O" in s, len(s) > 30] for s in smiles], dtype=float)
    return replace(data, inputs=smiles, targets=targets)


@pytest.fixture
def spied(monkeypatch, oxygen) -> list[tuple[str, float, bool, np.ndarray]]:
    """Every fit of a net by fit_replicas: its class, learning rate, whether refit, train rows."""
    seen: list[tuple[str, float, bool, np.ndarray]] = []
    fit = NeuralEstimator.fit_replicas

    def noted(self, X, y, rows, seeds, stack=None):
        seen.extend((type(self).__name__, self.learning_rate, self.refit, r[0]) for r in rows)
        return fit(self, X, y, rows, seeds, stack)

    monkeypatch.setattr(NeuralEstimator, "fit_replicas", noted)
    monkeypatch.setattr(oxygen, "search_space", {"strength": [*GOOD, *BAD]})
    monkeypatch.setattr(Multitask, "search_space", {"learning_rate": [0.02, 0.03], "epochs": [1]})
    return seen


def made_search(study: Study, trials: int = MANY, **more: Any) -> Search:
    return Search(
        study=study.name, dataset=study.dataset, split=study.protocol.splits[0],
        metric="roc_auc", trials=trials, settings=study.settings, store=study.store, **more,
    )  # fmt: skip


def test_the_rung_is_the_same_rows_for_every_family(
    large, tmp_path, make_study, oxygen, net, spied
) -> None:
    study = make_study(large, tmp_path, {"oxygen": oxygen(), "net": net}, trials=3)
    study.tune()
    train, rung = study.protocol.splits[0].train, made_search(study).rung()
    assert len(rung) == len(train) // 3 and np.isin(rung, train).all()
    for sizes in (list(oxygen.fits), [len(rows) for *_, rows in spied]):
        # The preset is fitted whole at once, every other trial on the rung first.
        assert sizes[0] == len(train) and sizes[1] == len(rung)
        assert set(sizes) == {len(rung), len(train)}
    of_oxygen = [fitted for fitted, _ in oxygen.seen if len(fitted) == len(rung)]
    of_net = [set(large.inputs[rows]) for *_, rows in spied if len(rows) == len(rung)]
    assert of_oxygen and of_net
    assert all(rows == set(large.inputs[rung]) for rows in [*of_oxygen, *of_net])


def test_bad_trials_are_stopped_at_the_rung_and_the_best_is_none_of_them(
    large, tmp_path, make_study, oxygen, spied, monkeypatch
) -> None:
    tried: list[tuple[float, bool]] = []
    score = tuning._Trials.score

    def noted(self, chosen, *, whole):
        tried.append((chosen.get("strength", 0.0), whole))
        return score(self, chosen, whole=whole)

    monkeypatch.setattr(tuning._Trials, "score", noted)
    study = make_study(large, tmp_path, {"oxygen": oxygen(strength=-1.0)})
    best = made_search(study).best("oxygen", study.models["oxygen"], run=True)
    assert best.strength in GOOD
    at_rung = [strength for strength, whole in tried if not whole]
    whole = [strength for strength, whole in tried[1:] if whole]
    assert len(at_rung) == MANY - 1
    assert at_rung[:4] == whole[:4], "the first four are never stopped"
    # Later, the good go on and the bad are stopped, once the median is a good one.
    stopped = Counter(at_rung) - Counter(whole)
    assert stopped and set(stopped) <= set(BAD)
    assert Counter(s for s in at_rung if s in GOOD) == Counter(s for s in whole if s in GOOD)


def test_every_family_has_the_same_number_of_trials(
    large, tmp_path, make_study, oxygen, net, spied, monkeypatch
) -> None:
    asked: Counter[str] = Counter()
    tried = Search._tried

    def noted(self, study, trial, trials, chosen):
        asked[trials.name] += 1
        return tried(self, study, trial, trials, chosen)

    monkeypatch.setattr(Search, "_tried", noted)
    study = make_study(large, tmp_path, {"oxygen": oxygen(), "net": net}, trials=6)
    study.tune()
    assert asked == {"oxygen": 5, "net": 5} and study.tuned == {"oxygen": 6, "net": 6}


@pytest.mark.parametrize("after", [1, 3, 6])
def test_a_stopped_search_goes_on_without_a_second_fit_and_finds_the_same(
    large, tmp_path, make_study, oxygen, spied, after: int
) -> None:
    def search(folder: str, between: Any = lambda: None) -> Any:
        study = make_study(large, tmp_path / folder, {"oxygen": oxygen(strength=-1.0)})
        return made_search(study, between=between).best("oxygen", study.models["oxygen"], run=True)

    undisturbed = search("whole")
    expected = list(oxygen.fits)
    oxygen.fits.clear()

    def stop() -> None:
        if len(oxygen.fits) == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search("cut", stop)
    assert len(oxygen.fits) == after
    found = search("cut")
    assert oxygen.fits == expected
    assert found.get_params() == undisturbed.get_params()


def test_the_valid_rows_are_learned_by_replicas_and_never_by_trials(
    data, tmp_path, make_study, net, spied
) -> None:
    """A full run refits its nets; its trials are scored on the valid rows, so they do not."""
    models = {"net": net, "published": net}
    study = make_study(
        data, tmp_path, models, profile="full", trials=2, untuned=["published"], repeats=1
    )
    assert study.models["net"].refit and not study.models["published"].refit
    study.tune()
    assert len(spied) == 2 and not any(refit for *_, refit, _ in spied)
    assert study.models["net"].refit
    result = study.run()
    refits = Counter(refit for *_, refit, _ in spied[2:])
    assert refits == {True: 3, False: 3}
    shown = {row.name: row.hyperparameters["refit"] for row in result.card.models}
    assert shown == {"net": True, "published": False}
    # A quick run trains as it always has.
    assert not make_study(data, tmp_path / "quick", {"net": net}).models["net"].refit
