"""Many targets: ranks by hand, errors at cliffs by hand, and pairs that are cliffs."""

from __future__ import annotations

import numpy as np
import pytest

from chemdl.data import Dataset
from chemdl.evidence import statistics as stats
from chemdl.evidence.cards import Predictions
from chemdl.molecules import many_targets
from chemdl.show import tables

SMILES = ["CCCCCCCCO", "CCCCCCCCN", "CCCCCCCCCO", "c1ccccc1", "CCCCCCCO", "O"]
TASKS = ("a", "b", "c")
ERRORS = {"net": [0.5, 0.6, 0.9], "forest": [0.6, 0.5, 1.0], "ridge": [0.7, 0.8, 1.1]}


def card() -> dict:
    models = [{"name": name, "kind": "deep" if name == "net" else "other"} for name in ERRORS]
    scores = [
        {"model": name, "condition": "all", "repeat": 0, "fold": 0, "n_train": 8, "n_test": 2,
         "values": {"rmse": dict(zip(TASKS, values, strict=True))}}
        for name, values in {**ERRORS, "trivial": [2.0, 2.0, 2.0]}.items()
    ]  # fmt: skip
    return {
        "study": "tiny",
        "models": [*models, {"name": "trivial", "kind": "trivial"}],
        "scores": scores,
        "metrics": [{"name": "rmse", "unit": "K", "higher_is_better": False}],
        "dataset": {"name": "tiny", "n": 6},
    }


@pytest.fixture
def data() -> Dataset:
    nan = np.nan
    y = np.array([[1, nan, 3], [9, nan, 1], [2, 5, 1], [3, 4, nan], [4, nan, nan], [5, 1, 2]])
    columns = {
        "set": np.array(["test", "test", "train", "train", "train", "test"]),
        "cliff": np.array(["1", "0", "0", "0", "0", "1"]),
    }
    return Dataset(
        "tiny", np.array(SMILES, object), y.astype(float), TASKS, "regression", "K", {}, columns
    )


def test_average_ranks_by_hand() -> None:
    table = many_targets.rank_table(card()).set_index("model")
    assert table["average rank"].to_dict() == pytest.approx(
        {"net": 4 / 3, "forest": 5 / 3, "ridge": 3.0}
    )
    assert table["best on"].to_dict() == {"net": 2, "forest": 1, "ridge": 0}
    assert table.loc["net", "mean"] == pytest.approx(2 / 3)


def test_a_model_that_lacks_a_target_is_not_ranked() -> None:
    partial = card()
    partial["scores"][1]["values"]["rmse"]["b"] = None
    assert many_targets.ranks(partial).names == ("net", "ridge")


def test_errors_at_cliffs_by_hand(data: Dataset) -> None:
    test = np.array([0, 1, 5])
    off = np.array([[2.0, 0, 1], [1, 0, 3], [0, 4, 1]])
    predicted = np.nan_to_num(data.targets[test]) + off
    predictions = Predictions(data.targets, {"test/0/0": test, "net/all/0/0": predicted})
    table = many_targets.cliff_table(data, predictions, card(), ["net"]).set_index("target")
    # Rows 0 and 5 are flagged, row 1 is not.
    assert table["cliff"].to_dict() == pytest.approx({"a": np.sqrt(2), "b": 4.0, "c": 1.0})
    assert table.loc[["a", "c"], "other"].tolist() == pytest.approx([1.0, 3.0])
    assert np.isnan(table.loc["b", "other"])
    assert many_targets.cliff_errors(table.reset_index(), card()).axes


def test_other_rows_than_those_predicted_are_refused(data: Dataset) -> None:
    with pytest.raises(ValueError, match="2 rows were predicted, the set has 6"):
        many_targets.cliff_table(data, Predictions(data.targets[:2], {}), card(), ["net"])


def test_a_cliff_is_a_pair_alike_in_structure_and_apart_in_value(data: Dataset) -> None:
    # Octanol and nonanol are alike; octylamine is not alike enough, however far its value is.
    low, high = many_targets.cliff_pair(data, "a", similarity=0.9)
    assert (SMILES[low], SMILES[high]) == ("CCCCCCCCO", "CCCCCCCO")
    with pytest.raises(ValueError, match="no two molecules"):
        many_targets.cliff_pair(data, "b", similarity=0.9)


@pytest.mark.parametrize("draw", [many_targets.critical_difference])
def test_the_figure_names_every_model(draw) -> None:
    texts = " ".join(text.get_text() for text in draw(card()).axes[0].texts)
    for name in ("net", "forest", "ridge"):
        assert name in texts


def test_the_size_of_a_target_is_that_of_its_train_side(data: Dataset) -> None:
    axis = many_targets.gain_by_size(card(), "net", "forest", data).axes[0]
    x, y = axis.collections[0].get_offsets().T
    assert x.tolist() == [3, 2, 1]
    np.testing.assert_allclose(y, [0.1, -0.1, 0.1])
    assert len(many_targets.sizes(data).axes[0].patches) == 9


def test_gains_on_one_test_set_have_the_bootstraps_interval(data: Dataset) -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(60, 3))
    truth[:20, 1] = np.nan
    test = np.arange(60)
    guesses = {name: truth + rng.normal(0, spread, (60, 3)) for name, spread in
               (("net", 0.5), ("forest", 0.8))}  # fmt: skip
    arrays = {f"{name}/all/0/0": np.nan_to_num(values) for name, values in guesses.items()}
    predictions = Predictions(truth, {"test/0/0": test, **arrays})
    table = tables.task_gain_table(card(), "net", "forest", "rmse", predictions).set_index("task")
    rows = test[20:]
    expected = stats.paired_bootstrap(
        truth[rows, 1], guesses["net"][rows, 1], guesses["forest"][rows, 1], "rmse"
    )
    assert table.loc["b", ["low", "high"]].tolist() == [expected.low, expected.high]
    assert np.isnan(tables.task_gain_table(card(), "net", "forest", "rmse")["low"]).all()
