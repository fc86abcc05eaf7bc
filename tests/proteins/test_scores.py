"""Scores of chains: the card's own, and intervals that are the metric's on resamples of chains."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from chemdl.data import Dataset
from chemdl.evidence.metrics import METRICS
from chemdl.evidence.result import Predictions, Result
from chemdl.proteins import scores


@pytest.fixture
def labelled(small_result: Callable[..., Result]) -> Callable[[str], Result]:
    """A maker of results by metric: one net, two folds, nine chains of fifteen sites."""

    def make(metric: str) -> Result:
        rng = np.random.default_rng(1)
        targets, predictions = rng.integers(0, 2, (2, 135, 1)).astype(float)
        arrays = {}
        for fold, sites in enumerate((np.arange(60, 135), np.arange(60))):
            arrays |= {f"test/0/{fold}": sites, f"net/all/0/{fold}": predictions[sites]}
        stored = Predictions(targets, arrays, np.repeat(np.arange(9), 15))
        values = {metric: {METRICS[metric].task or "phi": 0.5}}
        rows = [{"model": "net", "fold": fold, "values": values} for fold in (0, 1)]
        return small_result(rows, {"net": "deep"}, predictions=stored)

    return make


def test_scores_are_the_cards_with_intervals_over_chains(result_of_states: Result) -> None:
    table = scores.score_table(result_of_states, "q3").set_index("model")
    for model in result_of_states.models:
        row = table.loc[model]
        assert row["mean"] == pytest.approx(result_of_states.by_task(model, "q3")["q3"].item())
        assert row["low"] < row["mean"] < row["high"]
    assert table.loc["trivial", "kind"] == "trivial"
    several = scores.metrics_table(result_of_states, ["sov", "q8"]).set_index("model")
    for name, metric, task in (("SOV", "sov", "q3"), ("Q8", "q8", "q8")):
        expected = result_of_states.by_task("gor", metric)[task].item()
        assert several.loc["gor", name] == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["q3", "sov", "angle_error", "precision_l5"])
def test_a_metric_is_the_weighted_mean_over_chains_on_any_resample(labelled, metric: str) -> None:
    result = labelled(metric)
    chains = scores.scores_by_chain(result, "net", metric)
    y, p, units = scores.measured_sites(result, "net", result.tasks[0])
    times = np.random.default_rng(2).integers(0, 4, 9).astype(float)
    expected = METRICS[metric].weigh(y, p, times[None, units], units)[0]
    assert np.average(chains["score"], weights=times * chains["weight"]) == pytest.approx(expected)


def test_a_correlation_has_no_interval(labelled) -> None:
    with pytest.raises(ValueError, match="r_exposed is no weighted mean"):
        scores.scores_by_chain(labelled("r_exposed"), "net", "r_exposed")


def test_a_gain_is_paired(result_of_states: Result) -> None:
    pairs = [("gor", "trivial"), ("gor", "absent"), ("gor", "gor")]
    table = scores.gain_table(result_of_states, pairs, "sov")
    means = scores.score_table(result_of_states, "sov").set_index("model")["mean"]
    assert table["than"].tolist() == ["trivial", "gor"]
    assert table["gain"][0] == pytest.approx(means["gor"] - means["trivial"])
    assert table["low"][0] < table["gain"][0] < table["high"][0]
    assert table.loc[1, ["gain", "low", "high"]].tolist() == [0, 0, 0]


def test_a_learning_curve_has_a_point_for_each_size(result_of_states: Result) -> None:
    table = scores.learning_curve_table(result_of_states)
    assert table["chains"].tolist() == [10] * 3 + [25] * 3


def test_strands_are_counted_by_length(result_of_states: Result) -> None:
    table = scores.strand_recall_table(result_of_states, ["gor"], [1, 2, 4])
    assert table["length"].tolist() == ["1", "2 to 3", "4 and more"]
    assert table["residues found, %"].between(0, 100).all()


def test_the_median_chain_is_one_so_long(
    result_of_states: Result, chains_with_states: Dataset
) -> None:
    chains = scores.scores_by_chain(result_of_states, "gor", "q3")
    row = scores.median_chain(result_of_states, "gor", (1, 100))
    assert (chains["score"] < chains.at[row, "score"]).sum() <= 6
    assert (chains["score"] > chains.at[row, "score"]).sum() <= 6
    assert chains_with_states.columns["set"][row] == "test"
    longest = int(chains["weight"].max())
    row = scores.median_chain(result_of_states, "gor", (longest, longest))
    assert chains.at[row, "weight"] == longest
    assert scores.median_chain(result_of_states, "gor", (900, 999)) in chains.index
    share = f"{chains.at[row, 'score']:.0f} % (gor)"
    assert scores.share_right(result_of_states, ["gor", "gor"], row) == f"{share} and {share}"


def test_labels_are_for_people() -> None:
    assert scores.axis_label("angle_error", "phi") == "angle error of φ (°)"
    assert scores.axis_label("r_exposed") == "correlation, exposed"
