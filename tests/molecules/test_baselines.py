"""Baselines take what real sets bring: missing labels, one class only, few rows."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import SVC, SVR

from chemdl.evidence import metrics
from chemdl.learn.models import BASELINES
from chemdl.molecules import baselines
from chemdl.molecules.baselines import MoleculeClassifier, MoleculeRegressor
from chemdl.molecules.similarity import TanimotoGram

LEARNING = ("random_forest", "svm_tanimoto", "svm_linear", "logistic", "knn", "gradient_boosting")
CLASSIFIERS = (*LEARNING, "trivial")
REGRESSORS = (
    "random_forest",
    "svm_tanimoto",
    "svm_rbf",
    "ridge",
    "knn",
    "gradient_boosting",
    "trivial",
)


@pytest.fixture
def labels(smiles: np.ndarray) -> np.ndarray:
    """Oxygen and nitrogen, a fifth not measured."""
    y = np.array([["O" in s, "N" in s] for s in smiles], dtype=float)
    y[1::5, 0] = np.nan
    y[2::5, 1] = np.nan
    return y


TRAIN, TEST = np.flatnonzero(np.arange(100) % 4), np.arange(0, 100, 4)


def make(name: str) -> MoleculeClassifier:
    model = baselines.classifier(name, trees=20)
    # Fewer rounds than the stated ones: boosting is the slowest of all here.
    return model.set_params(estimator__max_iter=40) if name == "gradient_boosting" else model


def fitted(name: str, smiles: np.ndarray, y: np.ndarray) -> MoleculeClassifier:
    return make(name).fit(smiles[TRAIN], y[TRAIN])


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_classifier_learns_with_missing_labels(name: str, smiles, labels) -> None:
    model = fitted(name, smiles, labels)
    p = model.predict_proba(smiles[TEST])
    assert p.shape == (25, 2)
    assert ((p >= 0) & (p <= 1)).all()
    assert model.predict(smiles[TEST]).shape == (25, 2)
    auc = metrics.score_tasks("roc_auc", labels[TEST], p)
    if name == "trivial":
        np.testing.assert_array_equal(auc, 0.5)
        np.testing.assert_allclose(p[0], np.nanmean(labels[TRAIN], axis=0))
    else:
        assert (auc > 0.85).all()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_one_task_has_scikit_learns_shapes(name: str, smiles, labels) -> None:
    y = np.nan_to_num(labels[:, 0])
    model = make(name).fit(smiles, y)
    assert is_classifier(model)
    p = model.predict_proba(smiles)
    assert p.shape == (100, 2)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert model.predict(smiles).shape == (100,)
    assert 0 <= model.score(smiles, y) <= 1


@pytest.mark.parametrize("name", REGRESSORS)
def test_every_regressor_learns_with_missing_values(name: str, smiles) -> None:
    y = np.array([[10.0 * s.count("O"), 5.0 - s.count("N")] for s in smiles])
    y[2::5, 1] = np.nan
    model = baselines.regressor(name, trees=20).fit(smiles[TRAIN], y[TRAIN])
    assert is_regressor(model)
    p = model.predict(smiles[TEST])
    assert p.shape == (25, 2)
    error = metrics.score_tasks("rmse", y[TEST], p)
    spread = np.nanstd(y[TEST], axis=0)
    if name == "trivial":
        np.testing.assert_allclose(p[7], np.nanmean(y[TRAIN], axis=0))
    else:
        assert (error < 0.75 * spread).all()
    one = baselines.regressor(name, trees=5).fit(smiles[TRAIN], y[TRAIN, 0])
    assert one.predict(smiles[TEST]).shape == (25,)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_fold_with_one_class_gives_a_constant_and_no_metric(name: str, smiles, labels) -> None:
    for only in (0.0, 1.0):
        y = labels.copy()
        y[:, 1] = only
        p = fitted(name, smiles, y).predict_proba(smiles[TEST])
        np.testing.assert_array_equal(p[:, 1], only)
        auc = metrics.score_tasks("roc_auc", y[TEST], p)
        assert np.isnan(auc[1])
        assert np.isfinite(auc[0])


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_row_that_is_not_measured_does_not_matter(name: str, smiles, labels) -> None:
    """A task is learned from the molecules measured for it; other rows and tasks are unseen."""
    task = 0
    rows = np.flatnonzero(np.isfinite(labels[:, task]))
    alone = make(name).fit(smiles[rows], labels[rows, task]).predict_proba(smiles)[:, 1]
    swapped, changed = smiles.copy(), labels.copy()
    swapped[np.isnan(labels[:, task])] = "c1ccccc1Br"
    changed[:, 1] = np.arange(100) % 2
    among = make(name).fit(swapped, changed).predict_proba(smiles)[:, task]
    np.testing.assert_allclose(among, alone, atol=1e-6)


@pytest.mark.parametrize("name", LEARNING)
def test_few_measured_rows_are_enough(name: str, smiles, labels) -> None:
    """A task with five measured rows has fewer than kNN's fifteen neighbours."""
    y = labels.copy()
    y[:, 1] = np.nan
    y[[0, 3, 5, 8, 10], 1] = [0, 1, 0, 1, 0]
    p = make(name).fit(smiles, y).predict_proba(smiles)
    assert np.isfinite(p).all()


def test_a_task_without_a_measured_row_is_named(smiles, labels) -> None:
    labels[:, 1] = np.nan
    with pytest.raises(ValueError, match="task 1 has no measured target in 100 train rows"):
        make("trivial").fit(smiles, labels)


def test_one_gram_matrix_is_the_pairwise_similarity(smiles, labels) -> None:
    """The kernel machine is scikit-learn's over RDKit's own similarities."""
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    bits = [generator.GetFingerprint(Chem.MolFromSmiles(s)) for s in smiles]
    gram = np.array([DataStructs.BulkTanimotoSimilarity(b, bits) for b in bits])
    y = np.nan_to_num(labels[:, 0])
    machine = SVC(kernel="precomputed", C=1.0, class_weight="balanced")
    machine.fit(gram[np.ix_(TRAIN, TRAIN)], y[TRAIN])
    margin = machine.decision_function(gram[np.ix_(TEST, TRAIN)])
    model = make("svm_tanimoto")
    for prepared in (False, True):
        if prepared:
            model.prepare(smiles)
        p = model.fit(smiles[TRAIN], y[TRAIN]).predict_proba(smiles[TEST])[:, 1]
        np.testing.assert_allclose(p, 1 / (1 + np.exp(-margin)), atol=1e-4)


@pytest.mark.parametrize("name", ["svm_tanimoto", "ridge", "knn", "trivial"])
def test_regression_does_not_depend_on_the_unit(name: str, smiles) -> None:
    """Kelvin or thousandths of them, from zero or from elsewhere: the same model."""
    y = np.array([len(s) + 3.0 * ("O" in s) for s in smiles])
    fits = {
        unit: baselines.regressor(name).fit(smiles[TRAIN], unit * y[TRAIN] + 273.15)
        for unit in (1.0, 1000.0)
    }
    one, thousand = ((fit.predict(smiles[TEST]) - 273.15) / unit for unit, fit in fits.items())
    np.testing.assert_allclose(one, thousand, rtol=1e-3, atol=1e-3)


def test_regression_by_similarity_counts_fragments(smiles) -> None:
    """Long chains share all their bits; only counts tell how long they are."""
    chains = np.array(["C" * n for n in range(8, 40)], dtype=object)
    length = np.arange(8, 40.0)
    predicted = baselines.regressor("svm_tanimoto").fit(chains[::2], length[::2]).predict(chains)
    assert np.corrcoef(predicted, length)[0, 1] > 0.95


def test_neighbours_weigh_by_distance(smiles, labels) -> None:
    """A copy of a train molecule gets nearly that molecule's own class."""
    y = np.array(["O" in s for s in smiles], dtype=float)
    p = make("knn").fit(smiles, y).predict_proba(smiles)[:, 1]
    # Long chains share all their bits and so count as copies of each other within a kind.
    assert (p[y == 1] > 0.95).all()
    assert (p[y == 0] < 0.05).all()


@pytest.mark.parametrize("name", ["random_forest", "gradient_boosting"])
def test_seeds_reach_the_estimator(name: str, smiles, labels) -> None:
    states = []
    for seed in (1, 1, 2):
        model = make(name).set_params(seed=seed).fit(smiles, labels)
        states.append([e.random_state for e in model.estimators_])
    assert states[0] == states[1]
    assert len({*states[0], *states[2]}) == 4


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_clone_predicts_the_same(name: str, smiles, labels) -> None:
    model = make(name).set_params(seed=3)
    copy = clone(model)
    first, second = (m.fit(smiles, labels).predict_proba(smiles) for m in (model, copy))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("of", [baselines.classifier, baselines.regressor])
def test_an_unknown_name_lists_near_misses(of) -> None:
    with pytest.raises(
        ValueError, match=r"unknown baseline 'randomforest'. Did you mean 'random_f"
    ):
        of("randomforest")


def test_kinds_are_classical_but_for_the_trivial_one() -> None:
    kinds = {name: make(name).kind for name in CLASSIFIERS}
    assert kinds.pop("trivial") == "trivial"
    assert set(kinds.values()) == {"classical"}


def test_the_registry_makes_them_for_smiles_and_for_descriptors() -> None:
    for kind, names, cls in (
        ("classification", CLASSIFIERS, MoleculeClassifier),
        ("regression", REGRESSORS, MoleculeRegressor),
    ):
        for name in names:
            for inputs in ("smiles", "descriptors"):
                model = BASELINES[f"{inputs}/{name}"].estimator(kind, seed=3)
                assert isinstance(model, cls) and (model.seed, model.revision) == (3, 1)
    with pytest.raises(ValueError, match="kind of dataset for ridge 'classification'"):
        BASELINES["smiles/ridge"].estimator("classification")


def test_what_a_model_reads_must_be_one_of_the_representations() -> None:
    forest = RandomForestClassifier(5)
    with pytest.raises(ValueError, match="unknown representation of MoleculeClassifier 'bit'"):
        MoleculeClassifier(forest, "bit").fit(["C", "CC"], [0, 1])
    with pytest.raises(ValueError, match="'none' leaves RandomForestClassifier nothing to read"):
        MoleculeClassifier(forest).fit(["C", "CC"], [0, 1])


def all_models() -> list:
    models = [make(name) for name in CLASSIFIERS]
    return models + [baselines.regressor(name) for name in REGRESSORS]


def test_what_tuning_may_draw_are_parameters_of_the_model() -> None:
    for model in all_models():
        space = model.search_space
        for name, values in space.items():
            assert len(values) > 1
            for value in values:
                changed = clone(model).set_params(**{name: value})
                found = changed.get_params()[name]
                assert found is value or found == value


def test_every_family_but_the_trivial_one_is_tuned() -> None:
    for model in all_models():
        assert bool(model.search_space) == (model.kind != "trivial")


@pytest.mark.parametrize("name", LEARNING)
def test_every_drawn_setting_fits(name: str, smiles, labels) -> None:
    rng = np.random.default_rng(0)
    model = make(name)
    for _ in range(2):
        drawn = {k: v[rng.integers(len(v))] for k, v in model.search_space.items()}
        p = clone(model).set_params(**drawn).fit(smiles, labels).predict_proba(smiles[:5])
        assert np.isfinite(p).all()


TABLE = [f"4 0:{i % 5} 1:{(i * 7) % 11} 2:{i % 2} 3:1" for i in range(240)]
ANSWER = np.array([float(i % 5) + 2.0 * (i % 2) for i in range(240)])


@pytest.mark.parametrize("name", REGRESSORS)
def test_every_regressor_reads_descriptors_that_came_with_the_data(name: str) -> None:
    model = baselines.regressor(name, trees=20, tabulated=True)
    model.fit(TABLE[:180], ANSWER[:180])
    error = np.sqrt(np.mean((model.predict(TABLE[180:]) - ANSWER[180:]) ** 2))
    assert error < (np.inf if name == "trivial" else 0.8 * ANSWER[180:].std())


def test_standardised_columns_weigh_the_same_whatever_their_size() -> None:
    """A column of counts in the thousands hides one of ones and twos; scaled it does not."""
    rng = np.random.default_rng(0)
    small, large = rng.integers(0, 3, 200), rng.integers(100, 200, 200) ** 2
    table = [f"2 0:{a} 1:{b}" for a, b in zip(small, large, strict=True)]
    again = [f"2 0:{a} 1:{b}" for a, b in zip(small, np.zeros(200, int), strict=True)]
    model = baselines.regressor("svm_rbf", tabulated=True, standardised=True)
    model.fit(table[:150], small[:150].astype(float))
    # Moving a row that is predicted changes no other prediction: the scale is the train rows'.
    expected = model.predict(table[150:])
    np.testing.assert_allclose(model.predict([*table[150:], again[0]])[:-1], expected)
    given = np.column_stack([small, large]).astype(float)
    centre, spread = given[:150].mean(axis=0), given[:150].std(axis=0)
    by_hand = SVR(C=10.0, epsilon=0.1, cache_size=500)
    y = small[:150].astype(float)
    by_hand.fit((given[:150] - centre) / spread, (y - y.mean()) / y.std())
    found = by_hand.predict((given[150:] - centre) / spread) * y.std() + y.mean()
    np.testing.assert_allclose(expected, found, atol=1e-5)


def test_kernels_of_single_tasks_need_no_gram_of_all(smiles, labels, monkeypatch) -> None:
    whole = make("svm_tanimoto").fit(smiles[TRAIN], labels[TRAIN])
    expected = whole.predict_proba(smiles[TEST])
    monkeypatch.setattr("chemdl.molecules.baselines._shared_gram", lambda _: TanimotoGram(most=80))
    model = make("svm_tanimoto")
    model.prepare(smiles)
    model.fit(smiles[TRAIN], labels[TRAIN])
    np.testing.assert_allclose(model.predict_proba(smiles[TEST]), expected, atol=1e-6)
