"""Classical models of states, on chains whose states their residues decide."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from chemdl.learn import models
from chemdl.learn.ragged import Ragged
from chemdl.proteins.baselines import BASELINES, GOR, MajorityState, baseline
from chemdl.proteins.profiles import profile, profile_text

LETTERS = "ACDEFGHIKLMNPQRSTVWY"
# Few chains are few steps an epoch.
MORE = {"crf": {"epochs": 60, "batch_size": 4, "learning_rate": 0.05}}


def chains(count: int, seed: int) -> tuple[list[str], Ragged]:
    """States that two neighbours of a residue decide, twice, once with residues not measured."""
    rng = np.random.default_rng(seed)
    inputs, rows = [], []
    for _ in range(count):
        chain = "".join(rng.choice(list("ACDE"), size=rng.integers(20, 40)))
        before, after = " " + chain[:-1], chain[1:] + " "
        state = np.array([2.0 if b == "A" else float(a == "C") for b, a in
                          zip(before, after, strict=True)])  # fmt: skip
        both = np.column_stack([state, state])
        both[rng.random(len(chain)) < 0.1, 0] = np.nan
        inputs.append(chain)
        rows.append(both)
    return inputs, Ragged.of(rows, layout="padded")


@pytest.mark.parametrize("name", BASELINES)
def test_each_learns_what_its_view_lets_it(name: str) -> None:
    registered = models.BASELINES[f"sequence/{name}"]
    model = registered.estimator("labelling", classes=(3, 3), rounds=20, **MORE.get(name, {}))
    assert model.kind == ("trivial" if name == "trivial" else "classical")
    train, y = chains(60, seed=0)
    test, truth = chains(10, seed=1)
    predicted = clone(model).fit(train, y).predict(test)
    assert predicted.shape == truth.values.shape
    right = (predicted == truth.values)[np.isfinite(truth.values)].mean()
    reads_neighbours = name not in ("residue_majority", "trivial")
    assert right > 0.97 if reads_neighbours else 0.4 < right < 0.8


def test_predictions_do_not_depend_on_company() -> None:
    train, y = chains(30, seed=0)
    for name in ("gor", "logistic", "crf"):
        fitted = baseline(name, classes=(3, 3)).fit(train, y)
        together = fitted.predict(train[:4])
        alone = np.concatenate([fitted.predict([chain]) for chain in train[:4]])
        np.testing.assert_array_equal(together, alone)


def test_profiles_stand_beside_the_residues() -> None:
    rng = np.random.default_rng(2)
    inputs, rows = [], []
    for _ in range(40):
        chain = "".join(rng.choice(list(LETTERS), size=25))
        family = "".join(rng.choice(list("WG"), size=25))
        inputs.append(f"{chain} {profile_text(profile([chain, family, family]))}")
        rows.append(np.array([[float(letter == "W")] for letter in family]))
    y = Ragged.of(rows, layout="padded")
    for name in ("logistic", "gradient_boosting", "crf"):
        right = {}
        for reads in (True, False):
            more = MORE.get(name, {})
            model = baseline(name, classes=(2,), profile=reads, rounds=20, **more)
            fitted = model.fit(inputs[:30], y[np.arange(30)])
            right[reads] = (fitted.predict(inputs[30:]) == y[np.arange(30, 40)].values).mean()
        assert right[True] > 0.8 > 0.7 > right[False], name


def test_the_majority_is_of_the_residue_or_of_all() -> None:
    y = Ragged.of([np.array([[0.0], [0.0], [1.0], [2.0], [2.0], [2.0]])], layout="padded")
    chain = ["AACDDD"]
    assert MajorityState().fit(chain, y).predict(["ACDW"]).ravel().tolist() == [2] * 4
    by_residue = MajorityState(by_residue=True).fit(chain, y)
    # W is in no train chain: the commonest state of all.
    assert by_residue.predict(["ACDW"]).ravel().tolist() == [0, 1, 2, 2]


def test_gor_never_predicts_a_state_that_no_train_chain_has() -> None:
    y = Ragged.of([np.array([[0.0], [0.0], [2.0], [2.0]])], layout="padded")
    predicted = GOR(window=3).fit(["AACC"], y).predict(["ACCA", "W"])
    assert set(predicted.ravel().tolist()) <= {0.0, 2.0}


def test_gor_without_pairs_left_is_the_sum_of_its_singles() -> None:
    # One residue a window: no pairs, and -15/17 turns into +1.
    train, y = chains(60, seed=0)
    one = GOR(window=1).fit(train, y)
    best = MajorityState(by_residue=True).fit(train, y)
    assert one.predict(["ACDE"]).shape == best.predict(["ACDE"]).shape == (4, 2)


def test_unknown_names_list_the_near_misses() -> None:
    with pytest.raises(ValueError, match="Did you mean 'logistic'"):
        baseline("logistik")
