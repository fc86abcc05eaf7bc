"""Many targets: ranks by hand, errors at cliffs by hand, and pairs that are cliffs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from chemdl.data import Dataset
from chemdl.evidence.result import Predictions, Result
from chemdl.molecules import many_targets

SMILES = ["CCCCCCCCO", "CCCCCCCCN", "CCCCCCCCCO", "c1ccccc1", "CCCCCCCO", "O"]
TASKS = ("a", "b", "c")
ERRORS: dict[str, list[float | None]] = {
    "net": [0.5, 0.6, 0.9],
    "forest": [0.6, 0.5, 1.0],
    "ridge": [0.7, 0.8, 1.1],
    "trivial": [2.0, 2.0, 2.0],
}


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    nan = np.nan
    y = np.array([[1, nan, 3], [9, nan, 1], [2, 5, 1], [3, 4, nan], [4, nan, nan], [5, 1, 2]])
    columns = {
        "set": np.array(["test", "test", "train", "train", "train", "test"]),
        "cliff": np.array(["1", "0", "0", "0", "0", "1"]),
    }
    return Dataset(
        "tiny", np.array(SMILES, object), y.astype(float), TASKS, "regression", "K", {}, columns
    )


@pytest.fixture(scope="module")
def result_of(small_result: Callable[..., Result], dataset: Dataset) -> Callable[..., Result]:
    """A maker of results of one test fold, the net off by known numbers."""
    test = np.array([0, 1, 5])
    off = np.array([[2.0, 0, 1], [1, 0, 3], [0, 4, 1]])
    predicted = np.nan_to_num(dataset.targets[test]) + off
    predictions = Predictions(dataset.targets, {"test/0/0": test, "net/all/0/0": predicted})

    def made(errors: dict[str, list[float | None]] = ERRORS) -> Result:
        rows = [
            {"model": name, "fold": 0, "values": {"rmse": dict(zip(TASKS, values, strict=True))}}
            for name, values in errors.items()
        ]
        kinds = {"net": "deep", "trivial": "trivial"}
        about = {"name": "tiny", "n": 6, "content_sha256": dataset.card["content_sha256"]}
        return small_result(rows, kinds, {"rmse": "K"}, predictions=predictions, dataset=about)

    return made


@pytest.fixture(scope="module")
def result(result_of: Callable[..., Result]) -> Result:
    return result_of()


def test_average_ranks_by_hand(result: Result) -> None:
    table = many_targets.rank_table(result).set_index("model")
    assert table["average rank"].to_dict() == pytest.approx(
        {"net": 4 / 3, "forest": 5 / 3, "ridge": 3.0}
    )
    assert table["best on"].to_dict() == {"net": 2, "forest": 1, "ridge": 0}
    assert table["kind"].to_dict() == {"net": "deep", "forest": "classical", "ridge": "classical"}
    assert table.loc["net", "mean"] == pytest.approx(2 / 3)


def test_a_model_that_lacks_a_target_is_not_ranked(result_of: Callable[..., Result]) -> None:
    partial = result_of({**ERRORS, "forest": [0.6, None, 1.0]})
    assert many_targets.ranks(partial).names == ("net", "ridge")


def test_errors_at_cliffs_by_hand(result: Result, dataset: Dataset) -> None:
    table = many_targets.cliff_table(result, ["net"], dataset).set_index("target")
    # Rows 0 and 5 are flagged, row 1 is not.
    assert table["cliff"].to_dict() == pytest.approx({"a": np.sqrt(2), "b": 4.0, "c": 1.0})
    assert table.loc[["a", "c"], "other"].tolist() == pytest.approx([1.0, 3.0])
    assert np.isnan(table.loc["b", "other"])
    others, cliffs = many_targets.cliff_errors(result, ["net"], dataset).axes[0].collections[1:]
    assert others.get_offsets()[0, 0] == pytest.approx(2.0)
    assert cliffs.get_offsets()[0, 0] == pytest.approx((np.sqrt(2) + 5) / 3)


def test_rows_that_the_study_did_not_run_on_are_refused(result: Result, dataset: Dataset) -> None:
    with pytest.raises(ValueError, match="tiny_random ran on 6 rows of tiny, and the 2 rows of"):
        many_targets.cliff_table(result, ["net"], dataset.subset([0, 1]))


def test_a_cliff_is_a_pair_alike_in_structure_and_apart_in_value(dataset: Dataset) -> None:
    # Octanol and nonanol are alike; octylamine is not alike enough, however far its value is.
    low, high = many_targets.cliff_pair(dataset, "a", similarity=0.9)
    assert (SMILES[low], SMILES[high]) == ("CCCCCCCCO", "CCCCCCCO")
    with pytest.raises(ValueError, match="no two molecules"):
        many_targets.cliff_pair(dataset, "b", similarity=0.9)


def test_the_figure_names_every_model(result: Result) -> None:
    drawn = many_targets.critical_difference(result).axes[0].texts
    texts = " ".join(text.get_text() for text in drawn)
    for name in ("net", "forest", "ridge"):
        assert name in texts


def test_the_size_of_a_target_is_that_of_its_train_rows(result: Result, dataset: Dataset) -> None:
    axis = many_targets.gain_by_size(result, "net", "forest", dataset).axes[0]
    x, y = axis.collections[0].get_offsets().T
    assert x.tolist() == [3, 2, 1]
    np.testing.assert_allclose(y, [0.1, -0.1, 0.1])


def test_the_bars_of_a_target_add_up_to_its_molecules(dataset: Dataset) -> None:
    flagged, test, train = many_targets.target_sizes(dataset).axes[0].containers
    # Targets b, c and a, from the smallest: three, four and six molecules.
    assert [bar.get_width() for bar in flagged] == [1, 2, 2]
    assert [bar.get_width() for bar in test] == [0, 1, 1]
    assert [bar.get_x() + bar.get_width() for bar in train] == [3, 4, 6]
