"""The estimator around a network keeps scikit-learn's contract over raw inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError

from chemdl.learn.training import Recipe
from chemdl.molecules.nets.multitask import Multitask

SMALL = {
    "hidden": (16,),
    "dropout": (0.0, 0.2),
    "size": 128,
    "epochs": 3,
    "batch_size": 32,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def labels(smiles: np.ndarray) -> np.ndarray:
    """Does it hold oxygen; is it long (a fifth not measured)."""
    y = np.array([["O" in s, len(s) > 12] for s in smiles], dtype=float)
    y[::5, 1] = np.nan
    return y


@pytest.fixture(scope="module")
def values(smiles: np.ndarray) -> np.ndarray:
    """Two properties in units far from zero and one."""
    return np.array([[100.0 * s.count("O") + 40, s.count("N") - 7.0] for s in smiles])


@pytest.mark.parametrize("cls", [Multitask.Classifier, Multitask.Regressor])
def test_parameters_are_kept_cloned_and_set(cls) -> None:
    model = cls(**SMALL, learning_rate=0.01)
    assert model.get_params()["learning_rate"] == 0.01
    copy = clone(model)
    assert copy is not model
    assert copy.get_params() == model.get_params()
    assert copy.set_params(epochs=9, clip=1.0).epochs == 9
    assert model.epochs == 3
    with pytest.raises(ValueError, match="Invalid parameter 'epoch'"):
        model.set_params(epoch=3)


def test_the_kind_is_known() -> None:
    assert is_classifier(Multitask.Classifier())
    assert is_regressor(Multitask.Regressor())
    assert Multitask.Classifier.kind == Multitask.Regressor.kind == "deep"


def test_a_net_is_its_own_recipe() -> None:
    given = {"epochs": 7, "learning_rate": 0.3, "warmup": 2.0, "decay": 0.1}
    model = Multitask.Classifier(**given)
    assert isinstance(model, Recipe)
    assert [model.rate(t) for t in range(7)] == [Recipe(**given).rate(t) for t in range(7)]
    # Two nets of equal parameters are two nets, and the recipe's words are the net's.
    assert model != clone(model) and len({model, clone(model)}) == 2
    assert repr(model).startswith("MultitaskClassifier(decay=0.1, epochs=7")


def test_before_fit_it_says_so(smiles) -> None:
    with pytest.raises(NotFittedError):
        Multitask.Classifier(**SMALL).predict(smiles)


def test_classifier_with_one_task_has_scikit_learns_shapes(smiles, labels) -> None:
    model = Multitask.Classifier(**SMALL)
    for y in (labels[:, 0], labels[:, :1]):
        assert model.fit(smiles, y) is model
        proba = model.predict_proba(smiles[:7])
        assert proba.shape == (7, 2)
        np.testing.assert_allclose(proba.sum(1), 1.0)
        assert model.predict(smiles[:7]).shape == (7,)
        np.testing.assert_array_equal(model.predict(smiles), proba_labels(model, smiles))
    np.testing.assert_array_equal(model.classes_, [0, 1])
    assert 0 <= model.score(smiles, labels[:, 0]) <= 1


def proba_labels(model: Any, smiles: np.ndarray) -> np.ndarray:
    return model.predict_proba(smiles).argmax(axis=1)


def test_classifier_with_several_tasks_gives_a_column_each(smiles, labels) -> None:
    model = Multitask.Classifier(**SMALL).fit(smiles, labels)
    proba = model.predict_proba(smiles[:7])
    assert proba.shape == (7, 2)
    assert ((proba > 0) & (proba < 1)).all()
    np.testing.assert_array_equal(model.predict(smiles[:7]), (proba >= 0.5).astype(int))
    three = Multitask.Classifier(**SMALL).fit(smiles, labels[:, [0, 1, 0]])
    assert three.predict_proba(smiles[:7]).shape == three.predict(smiles[:7]).shape == (7, 3)


def test_regressor_shapes(smiles, values) -> None:
    assert Multitask.Regressor(**SMALL).fit(smiles, values[:, 0]).predict(smiles).shape == (100,)
    assert Multitask.Regressor(**SMALL).fit(smiles, values).predict(smiles).shape == (100, 2)


def test_a_known_function_is_learned(smiles, values) -> None:
    """Counts of atoms are linear in the fingerprint's counts: the mean must be beaten clearly."""
    held = np.arange(22, 80, 3)
    seen = np.setdiff1d(np.arange(100), held)
    plain = {"epochs": 150, "learning_rate": 0.01, "counts": True, "dropout": (0.0, 0.0)}
    model = Multitask.Regressor(**{**SMALL, **plain})
    model.fit(smiles[seen], values[seen])
    error = np.sqrt(np.mean((model.predict(smiles[held]) - values[held]) ** 2, axis=0))
    assert (error < 0.3 * values[held].std(axis=0)).all()


def test_a_class_is_learned(smiles, labels) -> None:
    model = Multitask.Classifier(**{**SMALL, "epochs": 60, "learning_rate": 0.01})
    held = np.arange(0, 100, 4)
    model.fit(np.delete(smiles, held), np.delete(labels, held, axis=0))
    assert (model.predict(smiles[held])[:, 0] == labels[held, 0]).mean() > 0.9


def test_equal_seeds_predict_equally_and_others_do_not(smiles, labels) -> None:
    first, again, other = (
        Multitask.Classifier(**SMALL, seed=seed).fit(smiles, labels).predict_proba(smiles)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_valid_rows_are_not_learned_from(smiles, labels) -> None:
    """Their labels may stop the training, and change nothing else."""
    valid = np.arange(80, 100)
    changed = labels.copy()
    changed[valid] = np.nan
    blind = {**SMALL, "patience": 50}
    model = Multitask.Classifier(**blind).fit(smiles, changed, valid=valid)
    assert model.members_[0].best_epoch == 3
    seen = Multitask.Classifier(**blind).fit(smiles, labels, valid=valid)
    if seen.members_[0].best_epoch == 3:
        np.testing.assert_array_equal(model.predict_proba(smiles), seen.predict_proba(smiles))
    alone = Multitask.Classifier(**blind).fit(smiles[:80], labels[:80], valid=np.array([], int))
    np.testing.assert_allclose(model.predict_proba(smiles), alone.predict_proba(smiles), atol=1e-6)


def test_replicas_of_one_call_are_those_of_single_fits(smiles, labels) -> None:
    rows = [(np.arange(0, 70), np.arange(70, 85)), (np.arange(20, 100), np.arange(0, 20))]
    model = Multitask.Classifier(**SMALL)
    found = {
        trained.position: trained
        for stack in model.fit_replicas(smiles, labels, rows, seeds=[4, 5], stack=True)
        for trained in stack
    }
    assert {one.stack_size for one in found.values()} == {2}
    assert not hasattr(model, "members_")
    for position, (train_rows, valid_rows) in enumerate(rows):
        kept = np.sort(np.concatenate([train_rows, valid_rows]))
        targets = np.full_like(labels, np.nan)
        targets[kept] = labels[kept]
        one = next(
            model.fit_replicas(smiles, targets, [rows[position]], [4 + position], stack=False)
        )[0]
        assert found[position].estimator.seed == 4 + position
        np.testing.assert_allclose(
            found[position].estimator.predict_proba(smiles),
            one.estimator.predict_proba(smiles),
            atol=1e-5,
        )


def test_global_random_states_are_left_alone(smiles, labels) -> None:
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    model = Multitask.Classifier(**SMALL).fit(smiles, labels)
    model.predict_proba(smiles)
    assert model.n_parameters_ == 128 * 16 + 16 + 16 * 2 + 2
    assert torch.equal(torch.random.get_rng_state(), before)


def test_inputs_are_unchanged(smiles, labels) -> None:
    x, y = smiles.copy(), labels.copy()
    x.flags.writeable = y.flags.writeable = False
    Multitask.Classifier(**SMALL).fit(x, y).predict(x)
    np.testing.assert_array_equal(x, smiles)
    np.testing.assert_array_equal(y, labels)


def test_an_unparsable_smiles_is_named(smiles, labels) -> None:
    broken = smiles.copy()
    broken[13] = "C1CC"
    with pytest.raises(ValueError, match=r"13.*C1CC"):
        Multitask.Classifier(**SMALL).fit(broken, labels)


def test_other_classes_are_refused_before_training(smiles, labels, monkeypatch) -> None:
    monkeypatch.setattr("chemdl.learn.estimator.train", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises(ValueError, match=r"target 2\.0 at row 1, .*classes are 0, 1 or NaN"):
        Multitask.Classifier(**SMALL).fit(smiles, 2 * labels)


def test_no_measured_label_is_an_error(smiles) -> None:
    with pytest.raises(ValueError, match="no target of tasks"):
        Multitask.Classifier(**SMALL).fit(smiles, np.full((100, 2), np.nan))


def test_cuda_where_there_is_none_is_an_error(smiles, labels, monkeypatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match="sees no GPU"):
        Multitask.Classifier(**{**SMALL, "device": "cuda"}).fit(smiles, labels)


# --- a net that stops early, and is then trained on its valid rows as well ------------------------

STOPS = {**SMALL, "epochs": 30, "patience": 2, "learning_rate": 0.03}
TRAIN, VALID, TEST = np.arange(0, 60), np.arange(60, 80), np.arange(80, 100)
BOTH = np.arange(0, 80)


def fitted(model: Any, X: np.ndarray, y: np.ndarray, rows: Any, seeds: Any, **more: Any) -> list:
    """Return the trained estimators, in the order of their rows."""
    stacks = model.fit_replicas(X, y, rows, seeds, **more)
    found = {trained.position: trained.estimator for stack in stacks for trained in stack}
    return [found[i] for i in range(len(rows))]


@pytest.mark.parametrize("cls", [Multitask.Classifier, Multitask.Regressor])
def test_a_refit_net_is_one_trained_on_all_rows_for_the_best_epoch(
    smiles, labels, values, cls
) -> None:
    y = labels if cls is Multitask.Classifier else values
    (stopped,) = fitted(cls(**STOPS), smiles, y, [(TRAIN, VALID)], [4])
    (refit,) = fitted(cls(**STOPS, refit=True), smiles, y, [(TRAIN, VALID)], [4])
    first, second = stopped.members_[0], refit.members_[0]
    # What stopped the training is said of it: its best epoch and its curve.
    assert 1 <= first.best_epoch < STOPS["epochs"] - 1
    assert second.best_epoch == first.best_epoch
    assert second.valid_losses == first.valid_losses
    by_hand = cls(**{**STOPS, "epochs": first.best_epoch})
    (by_hand,) = fitted(by_hand, smiles, y, [(BOTH, np.array([], int))], [4])
    assert by_hand.members_[0].best_epoch == first.best_epoch
    np.testing.assert_array_equal(refit.outputs(smiles), by_hand.outputs(smiles))
    assert not np.allclose(refit.outputs(smiles), stopped.outputs(smiles), rtol=1e-3)


def test_targets_of_a_refit_are_scaled_by_train_and_valid_rows(smiles, values) -> None:
    moved = values.copy()
    moved[VALID] += 50.0
    moved[TEST] += 5000.0
    for refit, rows in ((False, TRAIN), (True, BOTH)):
        model = Multitask.Regressor(**STOPS, refit=refit)
        (one,) = fitted(model, smiles, moved, [(TRAIN, VALID)], [0])
        np.testing.assert_allclose(one.members_[0].target_shift, moved[rows].mean(0), rtol=1e-5)


def test_test_rows_change_nothing_in_a_refit(smiles, labels) -> None:
    other = labels.copy()
    other[TEST] = np.nan
    model = Multitask.Classifier(**STOPS, refit=True)
    one, two = (fitted(model, smiles, y, [(TRAIN, VALID)], [1])[0] for y in (labels, other))
    np.testing.assert_array_equal(one.outputs(smiles), two.outputs(smiles))


def test_refits_in_a_stack_are_those_alone(smiles, labels) -> None:
    """Each takes its own number of epochs, while others of the stack go on."""
    rows = [(TRAIN, VALID), (np.arange(20, 80), np.arange(0, 20)), (TRAIN, VALID)]
    seeds = [4, 5, 9]
    model = Multitask.Classifier(**STOPS, refit=True)
    stacked = fitted(model, smiles, labels, rows, seeds, stack=True)
    best = [one.members_[0].best_epoch for one in stacked]
    assert len(set(best)) > 1
    for i, one in enumerate(stacked):
        (alone,) = fitted(model, smiles, labels, [rows[i]], [seeds[i]], stack=False)
        assert alone.members_[0].best_epoch == best[i]
        assert alone.members_[0].stack_size == 1 and one.members_[0].stack_size > 1
        np.testing.assert_allclose(one.outputs(smiles), alone.outputs(smiles), atol=1e-4)


@pytest.mark.parametrize("parts", [{"networks": 2}, {"shared": False}])
def test_each_network_of_a_refit_ensemble_has_its_own_best_epoch(smiles, labels, parts) -> None:
    found = {
        refit: fitted(
            Multitask.Classifier(**STOPS, **parts, refit=refit), smiles, labels,
            [(TRAIN, VALID)], [3],
        )[0].members_
        for refit in (False, True)
    }  # fmt: skip
    assert len(found[True]) == 2
    assert [m.best_epoch for m in found[True]] == [m.best_epoch for m in found[False]]
    for first, second in zip(found[False], found[True], strict=True):
        assert any(not torch.equal(first.state[k], second.state[k]) for k in first.state)


def test_fit_refits_too_and_a_clone_keeps_the_wish(smiles, labels) -> None:
    model = clone(Multitask.Classifier(**STOPS, refit=True))
    assert model.refit
    kept = Multitask.Classifier(**STOPS).fit(smiles, labels, valid=VALID)
    model.fit(smiles, labels, valid=VALID)
    assert model.members_[0].best_epoch == kept.members_[0].best_epoch
    assert not np.allclose(model.predict_proba(smiles), kept.predict_proba(smiles), rtol=1e-3)
    # Without a valid row nothing is to be learned anew: the last epoch counts.
    alone = [
        Multitask.Classifier(**STOPS, refit=refit)
        .fit(smiles, labels, valid=np.array([], int))
        .predict_proba(smiles)
        for refit in (False, True)
    ]
    np.testing.assert_array_equal(*alone)
