"""A study goes on where it was, sees test rows once, and says what it left out."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from chemdl.data import Dataset
from chemdl.evidence import claims, metrics, splits
from chemdl.evidence.card import ScoreRow
from chemdl.evidence.conditions import Condition
from chemdl.evidence.fitting import on_device, seeded, storable
from chemdl.evidence.result import Result, read_result
from chemdl.evidence.study import Study
from chemdl.evidence.tuning import FULL_TRIALS
from chemdl.learn.models import NETS, every_name
from chemdl.molecules import baselines
from chemdl.molecules.nets.multitask import Multitask
from chemdl.settings import Settings, SettingsError

ENDS = ["", "O", "C(=O)O", "N", "Cl"]
SMILES = np.array(["C" * n + end for n in range(1, 17) for end in ENDS], dtype=object)


class Oxygen(ClassifierMixin, BaseEstimator):
    """Learns from train rows which share of molecules with and without oxygen is positive."""

    revision = 1
    search_space: ClassVar[dict[str, list[Any]]] = {"strength": [0.1, 0.5, 1.0, -1.0]}
    fits: ClassVar[list[int]] = []

    def __init__(self, strength: float = 1.0, seed: int = 0) -> None:
        self.strength, self.seed = strength, seed

    def fit(self, X, y):
        type(self).fits.append(len(X))
        has = np.array(["O" in s for s in X])
        self.n_tasks_ = y.shape[1]
        self.shares_ = [np.nanmean(y[has == side], axis=0) for side in (False, True)]
        return self

    def predict_proba(self, X):
        rng = np.random.default_rng(self.seed)
        p = np.array([self.shares_["O" in s] for s in X])
        return 0.5 + self.strength * (p - 0.5) * (0.9 + 0.05 * rng.random(p.shape))


class Forgetful(Oxygen):
    """Predicts NaN for one molecule."""

    revision = 1

    def predict_proba(self, X):
        p = super().predict_proba(X)
        p[len(X) // 2, 1] = np.nan
        return p


@pytest.fixture(autouse=True)
def no_fits() -> None:
    Oxygen.fits.clear()


@pytest.fixture(autouse=True)
def no_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real claims speak of other studies; a test that judges brings its own."""
    monkeypatch.setattr(claims, "for_study", lambda _study: [])


@pytest.fixture
def data() -> Dataset:
    """80 molecules; oxygen, and length with a quarter not measured."""
    y = np.array([["O" in s, len(s) > 9] for s in SMILES], dtype=float)
    y[::4, 1] = np.nan
    return dataset(y)


def dataset(targets: np.ndarray, **fields: Any) -> Dataset:
    described = {"name": "tiny", "kind": "classification", "unit": "", **fields}
    tasks = ("oxygen", "long")[: targets.shape[1]]
    return Dataset(inputs=SMILES, targets=targets, tasks=tasks,
                   card={"cleaning": {"raw": len(SMILES)}}, **described)  # fmt: skip


NET = Multitask.Classifier(
    hidden=(12,), dropout=(0.0, 0.2), size=128, epochs=3, batch_size=32, learning_rate=0.01
)


def make(
    data: Dataset,
    output: Path,
    models: dict[str, Any] | None = None,
    *,
    profile: str = "quick",
    seed: int = 0,
    asked: tuple[str, ...] = ("all",),
    repeats: int | None = None,
    trials: int | None = None,
    protocol: splits.Protocol | None = None,
    **more: Any,
) -> Study:
    settings = Settings(profile, seed, "cpu", output, asked, repeats, trials)
    arguments = {"metrics": ["roc_auc", "pr_auc"], **more}
    return Study(
        "tiny_random",
        chapter="tiny",
        dataset=data,
        models=models or {"oxygen": Oxygen(), "trivial": baselines.classifier("trivial")},
        protocol=protocol or splits.random(data, repeats=1, folds=3, seed=seed),
        settings=settings,
        **arguments,
    )


def scores(result: Result, model: str, condition: str = "all") -> list[ScoreRow]:
    rows = result.replicas(model, condition)
    return [rows[place] for place in sorted(rows)]


def stored(output: Path) -> int:
    return len(list(output.glob("replicas/tiny_random/[!.]*.npz")))


# --- the card -------------------------------------------------------------------------------------


def test_the_result_says_what_was_run(data: Dataset, tmp_path: Path) -> None:
    models = {"net": NET, "oxygen": Oxygen(), "trivial": baselines.classifier("trivial")}
    study = make(data, tmp_path, models, reference="trivial")
    result = study.run()
    assert result.path == tmp_path / "cards" / "tiny_random.json"
    assert result.card == read_result(result.path).card
    assert (result.study, result.chapter, result.profile) == ("tiny_random", "tiny", "quick")
    assert result.card.dataset.content_sha256 == data.card["content_sha256"]
    assert result.card.dataset.n == 80
    assert result.card.protocol.index_sha256 == study.protocol.index_sha256
    assert {name: result.kind(name) for name in result.models} == {
        "net": "deep", "oxygen": "classical", "trivial": "trivial",
    }  # fmt: skip
    net = result.model("net")
    assert net.parameters == 128 * 12 + 12 + 12 * 2 + 2
    assert net.hyperparameters["hidden"] == [12]
    assert len(result.card.scores) == 9
    assert {(r.a, r.b, r.metric) for r in result.comparisons} == {
        (a, "trivial", m) for a in ("net", "oxygen") for m in ("roc_auc", "pr_auc")
    }
    assert result.shortfall == []
    assert result.card.command.startswith("python -m chemdl run tiny --profile quick")
    for row, split in zip(scores(result, "net"), study.protocol.splits, strict=True):
        assert (row.n_train, row.n_test) == (len(split.train), len(split.test))
    # The net's three replicas were one stack.
    assert [row.stack_size for row in scores(result, "net")] == [3, 3, 3]


def test_a_study_belongs_to_a_chapter(data: Dataset, tmp_path: Path) -> None:
    """A chapter says its name once, to the settings; a study by itself says it in its own."""
    protocol = splits.random(data, repeats=1, folds=3, seed=0)
    given = {"dataset": data, "models": {"o": Oxygen()}, "protocol": protocol, "metrics": ["brier"]}
    settings = Settings(device="cpu", output=tmp_path)
    with pytest.raises(ValueError, match="study s: say which chapter it belongs to, chapter="):
        Study("s", settings=settings, **given)
    assert Study("s", settings=settings, chapter="tiny", **given).chapter == "tiny"
    known = Settings(device="cpu", output=tmp_path, chapter="whole")
    assert Study("s", settings=known, **given).chapter == "whole"
    assert Study("s", settings=known, chapter="tiny", **given).chapter == "tiny"


def test_scores_follow_exactly_from_the_predictions_file(data: Dataset, tmp_path: Path) -> None:
    study = make(data, tmp_path, {"net": NET, "oxygen": Oxygen()})
    result = study.run()
    kept = result.predictions
    for row in result.card.scores:
        place = f"{row.repeat}/{row.fold}"
        test, p = kept.arrays[f"test/{place}"], kept.arrays[f"{row.model}/all/{place}"]
        assert p.dtype == np.float32
        np.testing.assert_array_equal(storable(p, "classification"), p)
        for metric, by_task in row.values.items():
            again = metrics.score_tasks(metric, kept.targets[test], p)
            assert list(by_task.values()) == [None if np.isnan(v) else v for v in again]
        assert row.value == np.mean([v for v in row.values["roc_auc"].values()])


def test_models_learn_what_the_data_hold(data: Dataset, tmp_path: Path) -> None:
    result = make(data, tmp_path).run()
    assert all(r.values["roc_auc"]["oxygen"] > 0.95 for r in scores(result, "oxygen"))
    assert all(r.values["roc_auc"]["oxygen"] == 0.5 for r in scores(result, "trivial"))


def test_baselines_learn_from_valid_rows_as_well(data: Dataset, tmp_path: Path) -> None:
    study = make(data, tmp_path, {"oxygen": Oxygen()})
    study.run()
    assert sorted(Oxygen.fits) == sorted(80 - len(s.test) for s in study.protocol.splits)


@pytest.mark.parametrize("model", ["net", "random_forest"])
def test_each_replica_is_fitted_on_its_own_split(data: Dataset, tmp_path: Path, model: str) -> None:
    """What the card holds of a fold is what the model predicts that never saw its test rows."""
    models = {"net": NET, "random_forest": baselines.classifier("random_forest", trees=5)}
    study = make(data, tmp_path, models)
    result = study.run()
    rows, kept = scores(result, model), result.predictions.arrays
    for row, split in zip(rows, study.protocol.splits, strict=True):
        fitted = on_device(seeded(models[model], row.seed), "cpu")
        both = np.concatenate([split.train, split.valid])
        valid = np.arange(len(split.train), len(both))
        stopping = {"valid": valid} if model == "net" else {}
        fitted.fit(SMILES[both], data.targets[both], **stopping)
        p = fitted.predict_proba(SMILES[split.test])
        measured = np.isfinite(data.targets[split.test])
        stored = kept[f"{model}/all/0/{split.fold}"]
        np.testing.assert_allclose(stored[measured], p[measured], atol=1e-3)
        # What nothing was measured against is not kept.
        assert not stored[~measured].any()


def test_a_regression_is_scored_in_its_unit(tmp_path: Path) -> None:
    y = np.array([[100.0 * s.count("O") + len(s)] for s in SMILES])
    data = dataset(y, kind="regression", unit="K")
    models = {name: baselines.regressor(name, trees=5) for name in ("ridge", "trivial")}
    result = make(data, tmp_path, models, metrics=["rmse", "r2"], reference="trivial").run()
    rmse = result.card.metrics[0]
    assert (rmse.name, rmse.unit, rmse.higher_is_better) == ("rmse", "K", False)
    assert scores(result, "ridge")[0].value < scores(result, "trivial")[0].value
    # A lower error is a positive difference.
    assert {r.metric: r.difference > 0 for r in result.comparisons} == {
        "rmse": True, "r2": True,
    }  # fmt: skip


# --- stopping and going on ------------------------------------------------------------------------


def interrupt_after(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Interrupt a run when so many replicas are stored."""
    from chemdl.progress import Progress

    told: list[str] = []

    def advance(self: Progress, model: str) -> None:
        told.append(model)
        if len(told) == count:
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "advance", advance)


@pytest.mark.parametrize("again", ["the same study", "a new one"])
def test_an_interrupted_run_goes_on_where_it_was(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    whole = make(data, tmp_path / "whole", {"oxygen": Oxygen(), "net": NET}).run()
    Oxygen.fits.clear()
    study = make(data, tmp_path / "cut", {"oxygen": Oxygen(), "net": NET})
    interrupt_after(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        study.run()
    monkeypatch.undo()
    monkeypatch.setattr(claims, "for_study", lambda _study: [])
    assert stored(tmp_path / "cut") == 2
    assert not study.card_path.exists()
    Oxygen.fits.clear()
    if again == "a new one":
        study = make(data, tmp_path / "cut", {"oxygen": Oxygen(), "net": NET})
    result = study.run()
    assert len(Oxygen.fits) == 1
    assert stored(tmp_path / "cut") == 6
    for model in ("oxygen", "net"):
        found, expected = ([r.values for r in scores(c, model)] for c in (result, whole))
        assert found == expected


def test_nothing_is_computed_twice(data: Dataset, tmp_path: Path) -> None:
    first = make(data, tmp_path).run()
    assert len(Oxygen.fits) == 3
    again = make(data, tmp_path).run()
    assert len(Oxygen.fits) == 3
    assert first.card.scores == again.card.scores
    make(data, tmp_path, {"oxygen": Oxygen(strength=0.5)}).run()
    assert len(Oxygen.fits) == 6


def test_a_damaged_replica_is_computed_again(data: Dataset, tmp_path: Path) -> None:
    first = make(data, tmp_path).run()
    broken = sorted(tmp_path.glob("replicas/tiny_random/*.npz"))[0]
    broken.write_bytes(broken.read_bytes()[:100])
    again = make(data, tmp_path).run()
    assert [r.values for r in first.card.scores] == [r.values for r in again.card.scores]


SLOW = """
import sys, time
from sklearn.base import BaseEstimator
import numpy as np

class Slow(BaseEstimator):
    revision = 1
    fits = 0

    def __init__(self, seed=0):
        self.seed = seed

    def fit(self, X, y):
        Slow.fits += 1
        if "--slow" in sys.argv:
            time.sleep(0.3)
        self.n_tasks_ = y.shape[1]
        return self

    def predict_proba(self, X):
        return np.random.default_rng(self.seed).random((len(X), self.n_tasks_))

def study(output):
    import chemdl
    from chemdl.evidence import splits
    from chemdl.settings import Settings
    from pathlib import Path
    data = chemdl.load("bace").sample(60, seed=0)
    return chemdl.Study(
        "tiny_random", chapter="tiny", dataset=data, models={"slow": Slow()},
        protocol=splits.random(data, repeats=4, folds=5), metrics=["roc_auc"],
        settings=Settings("quick", 0, "cpu", Path(output)),
    )

if __name__ == "__main__":
    from slow_model import study
    study(sys.argv[1]).run()
"""


def test_a_killed_run_leaves_no_half_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_model.py").write_text(SLOW)
    output = tmp_path / "output"
    running = subprocess.Popen(
        [sys.executable, "slow_model.py", str(output), "--slow"],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while stored(output) < 2 and time.monotonic() < deadline and running.poll() is None:
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    done = stored(output)
    assert 2 <= done < 20
    assert not (output / "cards").exists()

    monkeypatch.syspath_prepend(tmp_path)
    import slow_model

    result = slow_model.study(output).run()
    assert slow_model.Slow.fits == 20 - done
    assert len(result.card.scores) == 20
    assert read_result(output / "cards" / "tiny_random.json").predictions.arrays


def test_parts_run_apart_join_to_the_same_card(data: Dataset, tmp_path: Path) -> None:
    models = {"net": NET, "oxygen": Oxygen(), "trivial": baselines.classifier("trivial")}
    whole = make(data, tmp_path / "whole", models, reference="oxygen").run()
    parts = tmp_path / "parts"
    first = make(data, parts, models, asked=("deep",), reference="oxygen").run()
    assert first.models == ("net",)
    assert first.comparisons == []
    assert first.shortfall == ["oxygen: 0 of 3 replicas", "trivial: 0 of 3 replicas"]
    Oxygen.fits.clear()
    joined = make(data, parts, models, asked=("classical", "trivial"), reference="oxygen").run()
    assert len(Oxygen.fits) == 3
    assert joined.shortfall == []
    assert joined.card.models == whole.card.models
    assert joined.comparisons == whole.comparisons
    seconds = {"fit_seconds": 0.0, "predict_seconds": 0.0}
    timeless = [
        [row.model_copy(update=seconds) for row in result.card.scores] for result in (joined, whole)
    ]
    assert timeless[0] == timeless[1]


def test_one_model_by_name(data: Dataset, tmp_path: Path) -> None:
    result = make(data, tmp_path, asked=("trivial",)).run()
    assert result.models == ("trivial",)
    assert "--models trivial" in result.card.command
    assert Oxygen.fits == []


def test_without_any_replica_there_is_no_card(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no stored replica and none of its models"):
        make(data, tmp_path, asked=("deep",)).run()
    assert not (tmp_path / "cards").exists()


# --- seeds, conditions, test rows -----------------------------------------------------------------


def test_one_seed_twice_is_equal_and_another_differs(data: Dataset, tmp_path: Path) -> None:
    models = {"net": NET, "random_forest": baselines.classifier("random_forest", trees=5)}
    protocol = splits.random(data, repeats=1, folds=3, seed=0)
    found = [
        make(data, tmp_path / name, models, seed=seed, protocol=protocol).run()
        for name, seed in (("first", 0), ("again", 0), ("other", 1))
    ]
    for model in models:
        first, again, other = ([r.values for r in scores(result, model)] for result in found)
        assert first == again != other


def test_the_test_rows_of_a_replica_are_opened_once(data: Dataset, tmp_path: Path) -> None:
    study = make(data, tmp_path, {"net": NET, "oxygen": Oxygen()})
    study.run()
    assert len(study.test_openings) == 6
    assert set(study.test_openings.values()) == {1}
    study.run()
    assert set(study.test_openings.values()) == {1}


def test_a_second_opening_is_an_error(data: Dataset, tmp_path: Path) -> None:
    study = make(data, tmp_path)
    job = study._jobs()[0]
    study._open_test(job)
    with pytest.raises(RuntimeError, match=r"test rows of oxygen 0/0 were opened twice"):
        study._open_test(job)


def test_shuffled_labels_teach_nothing(data: Dataset, tmp_path: Path) -> None:
    models = {"oxygen": Oxygen(), "net": NET.set_params(epochs=3)}
    protocol = splits.random(data, repeats=3, folds=3, seed=0)
    result = make(
        data, tmp_path, models, protocol=protocol, conditions=[Condition(), SHUFFLED]
    ).run()
    for model in models:
        plain, shuffled = (
            np.mean([r.values["roc_auc"]["oxygen"] for r in scores(result, model, condition)])
            for condition in ("all", "shuffled")
        )
        assert plain > 0.85
        assert abs(shuffled - 0.5) < 0.25
    # Each replica shuffles by a seed of its own.
    assert len({str(r.values) for r in scores(result, "oxygen", "shuffled")}) > 4


SHUFFLED = Condition("shuffled", shuffled=True)


def test_shuffling_moves_train_labels_alone(data: Dataset) -> None:
    split = splits.random(data, repeats=1, folds=3, seed=0).splits[0]
    same, targets = SHUFFLED.apply(split, data, seed=1)
    assert same is split
    np.testing.assert_array_equal(targets[split.test], data.targets[split.test])
    fitted = np.concatenate([split.train, split.valid])
    assert not np.array_equal(targets[fitted], data.targets[fitted], equal_nan=True)
    before, after = (np.sort(t[fitted], axis=0) for t in (data.targets, targets))
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("size", [10, 24])
def test_fewer_train_rows_are_so_many(data: Dataset, tmp_path: Path, size: int) -> None:
    few = Condition("few", train_size=size)
    models = {"oxygen": Oxygen(), "net": NET}
    study = make(data, tmp_path, models, conditions=[few, Condition()])
    result = study.run()
    for model in models:
        assert {r.n_train for r in scores(result, model, "few")} == {size}
    for split in study.protocol.splits:
        kept, _ = few.apply(split, data, seed=1)
        assert set(kept.train) <= set(split.train)
        assert kept.test is split.test or np.array_equal(kept.test, split.test)
        other, _ = few.apply(split, data, seed=2)
        assert set(other.train) != set(kept.train)


def test_with_fewer_train_rows_there_are_fewer_valid_rows(data: Dataset, tmp_path: Path) -> None:
    """Baselines learn from valid rows too: a curve over train sizes must not be flattened."""
    few = Condition("few", train_size=12)
    make(data, tmp_path, {"oxygen": Oxygen()}, conditions=[few]).run()
    assert set(Oxygen.fits) == {12 + 1}  # a tenth of the rows outside test is valid


def test_more_train_rows_than_there_are_change_nothing(data: Dataset) -> None:
    split = splits.random(data, repeats=1, folds=3, seed=0).splits[0]
    assert Condition("many", train_size=10**6).apply(split, data, 0)[0] is split


def test_two_conditions_of_one_name_are_refused(data: Dataset, tmp_path: Path) -> None:
    twice = [Condition("few", train_size=10), Condition("few", train_size=20)]
    with pytest.raises(ValueError, match=r"conditions .*'few'"):
        make(data, tmp_path, conditions=twice)


# --- what data bring ------------------------------------------------------------------------------


def test_a_fold_with_one_class_is_counted_as_undefined(tmp_path: Path) -> None:
    y = np.array([["O" in s, False] for s in SMILES], dtype=float)
    data = dataset(y)
    protocol = splits.random(data, repeats=1, folds=3, seed=0)
    y[protocol.splits[1].test[0], 1] = 1.0
    data = dataset(y)
    study = make(data, tmp_path, protocol=protocol, reference="trivial")
    result = study.run()
    known = [r.values["roc_auc"]["long"] for r in scores(result, "oxygen")]
    assert [v is None for v in known] == [True, False, True]
    # Two folds of two models.
    assert "roc_auc of long: undefined in 4 replicas" in result.card.undefined
    first = scores(result, "oxygen")[0]
    assert first.value == first.values["roc_auc"]["oxygen"]


def test_a_metric_that_is_nowhere_defined_gives_no_number(tmp_path: Path) -> None:
    data = dataset(np.zeros((80, 1)))
    result = make(data, tmp_path, reference="trivial").run()
    assert {row.value for row in result.card.scores} == {None}
    assert result.comparisons == []


def test_predictions_that_are_nan_are_refused(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Forgetful predicts nan for input 'C.*', task 1"):
        make(data, tmp_path, {"forgetful": Forgetful()}).run()
    assert not (tmp_path / "cards").exists()
    assert stored(tmp_path) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"asked": ("oxigen",)}, "unknown model 'oxigen'. Did you mean 'oxygen'"),
        ({"asked": ("deeep",)}, "Did you mean 'deep'"),
        ({"metrics": ["rocauc"]}, "unknown metric 'rocauc'. Did you mean 'roc_auc'"),
        ({"reference": "trival"}, "unknown reference model 'trival'. Did you mean 'trivial'"),
    ],
)
def test_unknown_names_list_near_misses(
    data: Dataset, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError) as error:
        make(data, tmp_path, **change)
    assert message in str(error.value)


def test_a_model_of_another_study_may_be_asked_for(data: Dataset, tmp_path: Path) -> None:
    """A chapter has several studies, and ``--models`` goes to all of them."""
    assert issubclass(SettingsError, ValueError)
    asked = ("multitask", "krr_bonds", "extra_trees", "vina", "similarity", "trivial")
    assert {*asked} <= every_name() and "multitask" in NETS
    assert make(data, tmp_path, asked=asked).run().models == ("trivial",)


# --- tuning ---------------------------------------------------------------------------------------


class Spy(Oxygen):
    """Remembers which molecules it learned from and predicted."""

    revision = 1
    seen: ClassVar[list[tuple[set[str], set[str]]]] = []

    def fit(self, X, y):
        self.rows_ = set(X)
        return super().fit(X, y)

    def predict_proba(self, X):
        type(self).seen.append((self.rows_, set(X)))
        return super().predict_proba(X)


def test_tuning_sees_no_test_row_and_freezes(data: Dataset, tmp_path: Path) -> None:
    Spy.seen.clear()
    study = make(data, tmp_path, {"spy": Spy(strength=-1.0)}, trials=6)
    result = study.run()
    split = study.protocol.splits[0]
    train, valid, test = (set(SMILES[rows]) for rows in (split.train, split.valid, split.test))
    trials, replicas = Spy.seen[:-3], Spy.seen[-3:]
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
    assert all(r.values["roc_auc"]["oxygen"] > 0.7 for r in scores(result, "spy"))
    Spy.seen.clear()
    again = make(data, tmp_path, {"spy": Spy(strength=-1.0)}, trials=6).run()
    assert Spy.seen == []
    assert again.card.models == result.card.models


def test_equal_trials_of_every_family_in_full_alone(data: Dataset, tmp_path: Path) -> None:
    models = {"oxygen": Oxygen(), "trivial": baselines.classifier("trivial")}
    quick = make(data, tmp_path / "quick", models).run()
    assert {m.tuning_trials for m in quick.card.models} == {0}
    full = make(data, tmp_path / "full", models, profile="full").run()
    trials = {m.name: m.tuning_trials for m in full.card.models}
    assert trials == {"oxygen": FULL_TRIALS, "trivial": 0}
    assert full.shortfall == []


def test_nets_are_tuned_by_the_same_rule(data: Dataset, tmp_path: Path) -> None:
    study = make(data, tmp_path, {"net": NET}, trials=2)
    study.run()
    assert study.tuned == {"net": 2}
    # Two trials and three replicas; another run computes none.
    assert stored(tmp_path) == 5
    make(data, tmp_path, {"net": NET}, trials=2).run()
    assert stored(tmp_path) == 5


def test_a_trial_that_diverges_is_the_worst_of_them(
    data: Dataset, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(Multitask, "search_space", {"learning_rate": [1e30]})
    study = make(data, tmp_path, {"net": NET}, trials=2)
    result = study.run()
    assert study.tuned == {"net": 2}
    assert result.card.models[0].hyperparameters["learning_rate"] == 0.01
    # The preset itself is no trial: a net that cannot be trained is an error.
    broken = NET.__class__(**{**NET.get_params(), "learning_rate": 1e30})
    with pytest.raises(ValueError, match="ended in NaN; lower the learning rate"):
        make(data, tmp_path / "broken", {"net": broken}).run()


def test_tuning_on_one_class_keeps_the_preset(tmp_path: Path) -> None:
    y = np.array([["O" in s] for s in SMILES], dtype=float)
    protocol = splits.random(dataset(y), repeats=1, folds=3, seed=0)
    y[protocol.splits[0].valid] = 0.0
    result = make(dataset(y), tmp_path, {"oxygen": Oxygen(0.5)}, protocol=protocol, trials=3).run()
    assert result.card.models[0].hyperparameters["strength"] == 0.5


def test_a_part_that_another_machine_tunes_leaves_the_preset(data: Dataset, tmp_path: Path) -> None:
    models = {"net": NET, "oxygen": Oxygen(strength=-1.0)}
    study = make(data, tmp_path, models, asked=("deep",), trials=2)
    study.run()
    assert study.tuned.keys() == {"net"}
    assert Oxygen.fits == []


# --- what a run leaves out ------------------------------------------------------------------------


def test_a_cut_run_says_what_it_lacks(data: Dataset, tmp_path: Path) -> None:
    models = {"oxygen": Oxygen(), "trivial": baselines.classifier("trivial")}
    protocol = splits.random(data, repeats=3, folds=2, seed=0)
    result = make(
        data, tmp_path, models, protocol=protocol, profile="full", repeats=2, trials=0,
        asked=("classical",),
    ).run()  # fmt: skip
    assert result.shortfall == [
        "2 of 3 repeats",
        f"0 of {FULL_TRIALS} tuning trials",
        "trivial: 0 of 4 replicas",
    ]
    assert result.card.protocol.repeats == 2
    assert "--repeats 2" in result.card.command
    assert "--trials 0" in result.card.command


# --- claims ---------------------------------------------------------------------------------------


def test_claims_of_the_study_are_judged(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = next(iter(claims.load_claims().values()))
    test = claims.Test(
        study="tiny_random", a="oxygen", b="trivial", metric="roc_auc", unit="fold",
        fidelity="exact",
    )  # fmt: skip
    same = {"kind": "difference", "reported": claims.Reported(), "reason": None}
    tested = [
        some.model_copy(update={**same, "id": i, "test": test.model_copy(update=change)})
        for i, change in (("A", {}), ("B", {"a": "dmpnn"}), ("C", {"metric": "mae"}))
    ]
    monkeypatch.setattr(claims, "for_study", lambda study: tested if study == test.study else [])
    result = make(data, tmp_path).run()
    verdicts = {v.claim: v for v in result.verdicts}
    assert verdicts["A"].verdict in ("confirmed", "undecided")
    assert verdicts["A"].provisional is True
    assert verdicts["B"].verdict == verdicts["C"].verdict == "not run"
    assert [c.a for c in result.comparisons] == ["oxygen"]


# --- other backends -------------------------------------------------------------------------------


def somewhere_else(*_: Any) -> None:
    raise AssertionError("fitted in this process")


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_replicas_go_where_joblib_sends_them(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    names = ("logistic", "trivial", "svm_tanimoto")
    models = {name: baselines.classifier(name) for name in names}
    expected = make(data, tmp_path / "here", models).run()
    if backend == "loky":
        monkeypatch.setattr("chemdl.evidence.fitting.fit_and_predict", somewhere_else)
    with joblib.parallel_config(backend=backend, n_jobs=2):
        found = make(data, tmp_path / backend, models).run()
    for name in names:
        rows = zip(scores(found, name), scores(expected, name), strict=True)
        assert all(one.values == other.values for one, other in rows)


def test_a_published_recipe_stays_as_it_is_where_others_are_tuned(
    data: Dataset, tmp_path: Path
) -> None:
    models = {"fixed": Oxygen(strength=0.7), "tuned": Oxygen(strength=0.7)}
    study = make(data, tmp_path, models, profile="full", repeats=1, trials=4, untuned=["fixed"])
    result = study.run()
    trials = {row.name: row.tuning_trials for row in result.card.models}
    assert trials == {"fixed": 0, "tuned": 4}
    assert study.models["fixed"].strength == 0.7
    assert not any("not tuned" in line for line in result.shortfall)
    # A model whose trials nobody ran stands as its preset, and the card says so.
    models["other"] = Oxygen(strength=0.7)
    study = make(
        data, tmp_path, models, profile="full", repeats=1, trials=4, untuned=["fixed"],
        asked=("fixed", "tuned"),
    )  # fmt: skip
    assert "presets, not tuned: other" in study.run().shortfall
