"""A study sees test rows once, scores what it keeps, and says what it left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from chemdl.evidence import claims, judging, metrics, splits
from chemdl.evidence.card import ScoreRow
from chemdl.evidence.conditions import Condition
from chemdl.evidence.fitting import on_device, storable
from chemdl.evidence.judging import record_sha256
from chemdl.evidence.result import Result, read_result
from chemdl.evidence.study import Study
from chemdl.evidence.tuning import FULL_TRIALS
from chemdl.evidence.verdicts import rule_sha256
from chemdl.learn.contract import seeded
from chemdl.learn.models import NETS, every_name
from chemdl.molecules import baselines
from chemdl.molecules.splits import scaffold_balanced
from chemdl.settings import Settings, SettingsError


def scores(result: Result, model: str, condition: str = "all") -> list[ScoreRow]:
    rows = result.replicas(model, condition)
    return [rows[place] for place in sorted(rows)]


def stored(output: Path) -> int:
    return len(list(output.glob("replicas/tiny_random/[!.]*.npz")))


# --- the card -------------------------------------------------------------------------------------


def test_the_result_says_what_was_run(data, tmp_path, make_study, oxygen, net) -> None:
    models = {"net": net, "oxygen": oxygen(), "trivial": baselines.classifier("trivial")}
    study = make_study(data, tmp_path, models, reference="trivial")
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


def test_a_study_belongs_to_a_chapter(data, tmp_path, oxygen) -> None:
    """A chapter says its name once, to the settings; a study by itself says it in its own."""
    protocol = splits.random(data, repeats=1, folds=3, seed=0)
    given = {"dataset": data, "models": {"o": oxygen()}, "protocol": protocol, "metrics": ["brier"]}
    settings = Settings(device="cpu", output=tmp_path)
    with pytest.raises(ValueError, match="study s: say which chapter it belongs to, chapter="):
        Study("s", settings=settings, **given)
    assert Study("s", settings=settings, chapter="tiny", **given).chapter == "tiny"
    known = Settings(device="cpu", output=tmp_path, chapter="whole")
    assert Study("s", settings=known, **given).chapter == "whole"
    assert Study("s", settings=known, chapter="tiny", **given).chapter == "tiny"


def test_scores_follow_exactly_from_the_predictions_file(
    data, tmp_path, make_study, oxygen, net
) -> None:
    study = make_study(data, tmp_path, {"net": net, "oxygen": oxygen()})
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


def test_models_learn_what_the_data_hold(data, tmp_path, make_study) -> None:
    result = make_study(data, tmp_path).run()
    assert all(r.values["roc_auc"]["oxygen"] > 0.95 for r in scores(result, "oxygen"))
    assert all(r.values["roc_auc"]["oxygen"] == 0.5 for r in scores(result, "trivial"))


def test_baselines_learn_from_valid_rows_as_well(data, tmp_path, make_study, oxygen) -> None:
    study = make_study(data, tmp_path, {"oxygen": oxygen()})
    study.run()
    assert sorted(oxygen.fits) == sorted(80 - len(s.test) for s in study.protocol.splits)


@pytest.mark.parametrize("model", ["net", "random_forest"])
def test_each_replica_is_fitted_on_its_own_split(
    data, tmp_path, model: str, make_study, net
) -> None:
    """What the card holds of a fold is what the model predicts that never saw its test rows."""
    models = {"net": net, "random_forest": baselines.classifier("random_forest", trees=5)}
    study = make_study(data, tmp_path, models)
    result = study.run()
    rows, kept = scores(result, model), result.predictions.arrays
    for row, split in zip(rows, study.protocol.splits, strict=True):
        fitted = on_device(seeded(models[model], row.seed), "cpu")
        both = np.concatenate([split.train, split.valid])
        valid = np.arange(len(split.train), len(both))
        stopping = {"valid": valid} if model == "net" else {}
        fitted.fit(data.inputs[both], data.targets[both], **stopping)
        p = fitted.predict_proba(data.inputs[split.test])
        measured = np.isfinite(data.targets[split.test])
        stored = kept[f"{model}/all/0/{split.fold}"]
        np.testing.assert_allclose(stored[measured], p[measured], atol=1e-3)
        # What nothing was measured against is not kept.
        assert not stored[~measured].any()


def test_a_regression_is_scored_in_its_unit(data, tmp_path, make_study, tiny_set) -> None:
    y = np.array([[100.0 * s.count("O") + len(s)] for s in data.inputs])
    data = tiny_set(y, kind="regression", unit="K")
    models = {name: baselines.regressor(name, trees=5) for name in ("ridge", "trivial")}
    result = make_study(data, tmp_path, models, metrics=["rmse", "r2"], reference="trivial").run()
    rmse = result.card.metrics[0]
    assert (rmse.name, rmse.unit, rmse.higher_is_better) == ("rmse", "K", False)
    assert scores(result, "ridge")[0].value < scores(result, "trivial")[0].value
    # A lower error is a positive difference.
    assert {r.metric: r.difference > 0 for r in result.comparisons} == {
        "rmse": True, "r2": True,
    }  # fmt: skip


# --- seeds, conditions, test rows -----------------------------------------------------------------


def test_one_seed_twice_is_equal_and_another_differs(data, tmp_path, make_study, net) -> None:
    models = {"net": net, "random_forest": baselines.classifier("random_forest", trees=5)}
    protocol = splits.random(data, repeats=1, folds=3, seed=0)
    found = [
        make_study(data, tmp_path / name, models, seed=seed, protocol=protocol).run()
        for name, seed in (("first", 0), ("again", 0), ("other", 1))
    ]
    for model in models:
        first, again, other = ([r.values for r in scores(result, model)] for result in found)
        assert first == again != other


def test_the_test_rows_of_a_replica_are_opened_once(
    data, tmp_path, make_study, oxygen, net
) -> None:
    study = make_study(data, tmp_path, {"net": net, "oxygen": oxygen()})
    study.run()
    assert len(study.test_openings) == 6
    assert set(study.test_openings.values()) == {1}
    study.run()
    assert set(study.test_openings.values()) == {1}


def test_a_second_opening_is_an_error(data, tmp_path, make_study) -> None:
    study = make_study(data, tmp_path)
    job = study._jobs()[0]
    study._open_test(job)
    with pytest.raises(RuntimeError, match=r"test rows of oxygen 0/0 were opened twice"):
        study._open_test(job)


def test_shuffled_labels_teach_nothing(data, tmp_path, make_study, oxygen, net) -> None:
    models = {"oxygen": oxygen(), "net": net.set_params(epochs=3)}
    protocol = splits.random(data, repeats=3, folds=3, seed=0)
    result = make_study(
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


@pytest.mark.parametrize("size", [10, 24])
def test_fewer_train_rows_are_so_many(data, tmp_path, size: int, make_study, oxygen, net) -> None:
    few = Condition("few", train_size=size)
    models = {"oxygen": oxygen(), "net": net}
    study = make_study(data, tmp_path, models, conditions=[few, Condition()])
    result = study.run()
    for model in models:
        assert {r.n_train for r in scores(result, model, "few")} == {size}
    for split in study.protocol.splits:
        kept, _ = few.apply(split, data, seed=1)
        assert set(kept.train) <= set(split.train)
        assert kept.test is split.test or np.array_equal(kept.test, split.test)
        other, _ = few.apply(split, data, seed=2)
        assert set(other.train) != set(kept.train)


def test_with_fewer_train_rows_there_are_fewer_valid_rows(
    data, tmp_path, make_study, oxygen
) -> None:
    """Baselines learn from valid rows too: a curve over train sizes must not be flattened."""
    few = Condition("few", train_size=12)
    make_study(data, tmp_path, {"oxygen": oxygen()}, conditions=[few]).run()
    assert set(oxygen.fits) == {12 + 1}  # a tenth of the rows outside test is valid


class SeenRows(ClassifierMixin, BaseEstimator):
    """Keeps what each replica was fitted on, and predicts a half."""

    revision = 1
    fitted: ClassVar[dict[str, set[tuple[Any, ...]]]] = {}

    def __init__(self, name: str = "") -> None:
        self.name = name

    def fit(self, X: Any, y: Any) -> SeenRows:
        rows = sorted(zip(X, map(repr, y), strict=True))
        self.fitted.setdefault(self.name, set()).add(tuple(rows))
        self.classes_ = np.array([0, 1])
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        return np.full((len(X), 2), 0.5)


@pytest.mark.parametrize("condition", [Condition(), Condition("few", train_size=12), SHUFFLED])
def test_all_models_are_fitted_on_the_same_rows_and_labels(
    data, tmp_path, make_study, monkeypatch, condition: Condition
) -> None:
    monkeypatch.setattr(SeenRows, "fitted", {})
    models = {name: SeenRows(name) for name in ("one", "other")}
    study = make_study(data, tmp_path, models, conditions=[condition])
    study.run()
    assert len(SeenRows.fitted["one"]) == len(study.protocol.splits)
    assert SeenRows.fitted["one"] == SeenRows.fitted["other"]


def test_a_control_run_shuffles_every_condition(data, tmp_path, make_study) -> None:
    few = Condition("few", train_size=24)
    study = make_study(data, tmp_path, conditions=[Condition(), few], shuffled=True)
    assert [(c.name, c.train_size, c.shuffled) for c in study.conditions] == [
        ("all", None, True), ("few", 24, True),
    ]  # fmt: skip
    control, plain = study.run(), make_study(data, tmp_path / "plain").run()
    assert plain.by_task("oxygen")["oxygen"].min() > 0.95
    assert control.by_task("oxygen")["oxygen"].mean() < 0.9


def test_the_largest_result_is_found(data, tmp_path, make_study) -> None:
    study = make_study(data, tmp_path)
    with pytest.raises(FileNotFoundError, match="study tiny_random neither ran nor was recorded"):
        study.largest()
    assert study.run().card == study.largest().card


def test_two_conditions_of_one_name_are_refused(data, tmp_path, make_study) -> None:
    twice = [Condition("few", train_size=10), Condition("few", train_size=20)]
    with pytest.raises(ValueError, match=r"conditions .*'few'"):
        make_study(data, tmp_path, conditions=twice)


# --- what data bring ------------------------------------------------------------------------------


def test_a_fold_with_one_class_is_counted_as_undefined(
    data, tmp_path, make_study, tiny_set
) -> None:
    y = np.array([["O" in s, False] for s in data.inputs], dtype=float)
    data = tiny_set(y)
    protocol = splits.random(data, repeats=1, folds=3, seed=0)
    y[protocol.splits[1].test[0], 1] = 1.0
    data = tiny_set(y)
    protocol = splits.random(data, repeats=1, folds=3, seed=0)
    study = make_study(data, tmp_path, protocol=protocol, reference="trivial")
    result = study.run()
    known = [r.values["roc_auc"]["long"] for r in scores(result, "oxygen")]
    assert [v is None for v in known] == [True, False, True]
    # Two folds of two models.
    assert "roc_auc of long: undefined in 4 replicas" in result.card.undefined
    first = scores(result, "oxygen")[0]
    assert first.value == first.values["roc_auc"]["oxygen"]


def test_a_metric_that_is_nowhere_defined_gives_no_number(tmp_path, make_study, tiny_set) -> None:
    data = tiny_set(np.zeros((80, 1)))
    result = make_study(data, tmp_path, reference="trivial").run()
    assert {row.value for row in result.card.scores} == {None}
    assert result.comparisons == []


def test_predictions_that_are_nan_are_refused(data, tmp_path, make_study, oxygen) -> None:
    with pytest.raises(ValueError, match=r"Oxygen predicts nan for input 'C.*', task 1"):
        make_study(data, tmp_path, {"forgetful": oxygen(forgets=True)}).run()
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
    data, tmp_path, change: dict[str, Any], message: str, make_study
) -> None:
    with pytest.raises(ValueError) as error:
        make_study(data, tmp_path, **change)
    assert message in str(error.value)


def test_a_model_of_another_study_may_be_asked_for(data, tmp_path, make_study) -> None:
    """A chapter has several studies, and ``--models`` goes to all of them."""
    assert issubclass(SettingsError, ValueError)
    asked = ("multitask", "krr_bonds", "extra_trees", "vina", "similarity", "trivial")
    assert {*asked} <= every_name() and "multitask" in NETS
    assert make_study(data, tmp_path, asked=asked).run().models == ("trivial",)


# --- what a run leaves out ------------------------------------------------------------------------


def test_a_cut_run_says_what_it_lacks(data, tmp_path, make_study, oxygen) -> None:
    models = {"oxygen": oxygen(), "trivial": baselines.classifier("trivial")}
    protocol = splits.random(data, repeats=3, folds=2, seed=0)
    result = make_study(
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
    data, tmp_path, monkeypatch: pytest.MonkeyPatch, make_study
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
    monkeypatch.setattr(judging, "for_study", lambda study: tested if study == test.study else [])
    result = make_study(data, tmp_path).run()
    verdicts = {v.claim: v for v in result.verdicts}
    assert verdicts["A"].verdict in ("confirmed", "undecided")
    assert verdicts["A"].provisional is True and verdicts["A"].reason == "profile quick"
    assert verdicts["A"].methods is not None
    assert verdicts["B"].verdict == verdicts["C"].verdict == "not run"
    assert [c.a for c in result.comparisons] == ["oxygen"]
    # It ran under the rule and the records that judge it; a claim that is changed later is seen.
    card = result.card
    assert card.ran_under == card.judged_under
    assert card.ran_under.claims == {c.id: record_sha256(c) for c in tested}
    assert card.ran_under.rule_sha256 == rule_sha256()


@pytest.mark.parametrize("protocol", ["random", "grouped", "scaffold_balanced"])
def test_clusters_that_stay_together_are_kept(data, tmp_path, make_study, protocol: str) -> None:
    rings = np.array(["C1CC1", "c1ccccc1", "c1ccncc1", "C1CCCC1", ""] * 16, dtype=object)
    inputs = np.array([f"{'C' * (i % 9 + 1)}{ring}" for i, ring in enumerate(rings)], dtype=object)
    data = replace(data, inputs=inputs, columns={"family": np.arange(80) // 4})
    made: Any = {
        "random": lambda: splits.random(data, repeats=2, folds=3, seed=0),
        "grouped": lambda: splits.grouped(data, column="family", repeats=2, folds=3, seed=0),
        "scaffold_balanced": lambda: scaffold_balanced(data, repeats=2, folds=3, seed=0),
    }[protocol]()
    models = {"trivial": baselines.classifier("trivial")}
    result = make_study(data, tmp_path, models, protocol=made, repeats=1).run()
    clusters = read_result(result.path).predictions.clusters
    if protocol == "random":
        assert clusters is None
        return
    same = clusters[:, None] == clusters
    if protocol == "grouped":
        expected = data.columns["family"]
    else:
        # Molecules without a ring stay together, and are no cluster for all that.
        expected = np.where(rings == "", 10 + np.arange(80), np.arange(80) % 5)
    assert (same == (expected[:, None] == expected)).all()


def test_the_best_epoch_of_a_net_is_on_the_card(data, tmp_path, make_study, oxygen, net) -> None:
    models = {"net": net, "oxygen": oxygen()}
    first = make_study(data, tmp_path, models).run()
    again = make_study(data, tmp_path, models).run()
    assert first.card.scores == again.card.scores
    for row in scores(first, "net"):
        assert 1 <= row.best_epoch <= row.epochs == 3
    assert {(r.best_epoch, r.epochs) for r in scores(first, "oxygen")} == {(None, None)}


# --- other backends -------------------------------------------------------------------------------


def somewhere_else(*_: Any) -> None:
    raise AssertionError("fitted in this process")


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_replicas_go_where_joblib_sends_them(
    data, tmp_path, monkeypatch: pytest.MonkeyPatch, backend: str, make_study
) -> None:
    names = ("logistic", "trivial", "svm_tanimoto")
    models = {name: baselines.classifier(name) for name in names}
    expected = make_study(data, tmp_path / "here", models).run()
    if backend == "loky":
        monkeypatch.setattr("chemdl.evidence.fitting.fit_and_predict", somewhere_else)
    with joblib.parallel_config(backend=backend, n_jobs=2):
        found = make_study(data, tmp_path / backend, models).run()
    for name in names:
        rows = zip(scores(found, name), scores(expected, name), strict=True)
        assert all(one.values == other.values for one, other in rows)
