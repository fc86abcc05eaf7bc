"""Scores and figures of chains, from the card and predictions of a small study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chemdl.data import Dataset
from chemdl.evidence import claims, splits
from chemdl.evidence.cards import Predictions
from chemdl.evidence.conditions import Condition
from chemdl.evidence.metrics import METRICS
from chemdl.evidence.study import Study
from chemdl.proteins import figures as protein_plots
from chemdl.proteins import scores as chain_scores
from chemdl.proteins.baselines import baseline
from chemdl.proteins.data import three_states
from chemdl.proteins.scores import Card
from chemdl.settings import Settings


@pytest.fixture(scope="module")
def data() -> Dataset:
    rng = np.random.default_rng(0)
    inputs = ["".join(rng.choice(list("AVGL"), size=rng.integers(30, 60))) for _ in range(40)]
    eight = np.concatenate(
        [[{"A": 0.0, "V": 3.0, "G": 7.0, "L": 5.0}[letter] for letter in text] for text in inputs]
    )
    eight = np.where(rng.random(len(eight)) < 0.3, rng.integers(0, 8, len(eight)), eight)
    eight[::17] = np.nan
    return Dataset(
        "small", np.array(inputs, object), np.column_stack([three_states(eight), eight]),
        ("q3", "q8"), "labelling", "number of the state",
        {"cleaning": {"raw": 40}, "input": "sequence"},
        {"id": np.array([f"chain-{i}" for i in range(40)]),
         "set": np.array(["train"] * 28 + ["test"] * 12)},
        np.array([len(text) for text in inputs]),
    )  # fmt: skip


@pytest.fixture(scope="module")
def study(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Card, Predictions]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claims, "for_study", lambda _: [])
        ran = Study(
            "small", chapter="tiny", dataset=data,
            models={name: baseline(name) for name in ("gor", "residue_majority", "trivial")},
            protocol=splits.published(data, seed=0), metrics=["q3", "q8", "sov"],
            settings=Settings("quick", 0, "cpu", tmp_path_factory.mktemp("run")),
            conditions=[Condition(), Condition("10", train_size=10)], reference="trivial",
            unit="chain",
        )  # fmt: skip
        return ran.run(), ran.predictions()


def test_scores_are_the_cards_with_intervals_over_chains(study) -> None:
    card, predictions = study
    table = chain_scores.chain_table(card, predictions, "q3").set_index("model")
    for row in card["scores"]:
        if row["condition"] == "all":
            found = table.loc[row["model"]]
            assert found["value"] == pytest.approx(row["values"]["q3"]["q3"])
            assert found["low"] < found["value"] < found["high"]
    assert table.loc["trivial", "kind"] == "trivial"
    several = chain_scores.score_table(card, predictions, ["sov", "q8"]).set_index("model")
    sov = {r["model"]: r["values"]["sov"]["q3"] for r in card["scores"] if r["condition"] == "all"}
    assert several.loc["gor", "SOV"] == pytest.approx(sov["gor"])


@pytest.mark.parametrize("metric", ["q3", "sov", "angle_error", "precision_l5"])
def test_an_interval_is_the_metrics_own_on_resamples(metric: str) -> None:
    rng = np.random.default_rng(1)
    units = np.repeat(np.arange(9), 15)
    y, p = rng.integers(0, 2, 135).astype(float), rng.integers(0, 2, 135).astype(float)
    over, under = chain_scores._ratio(metric, y, p, units)
    drawn = rng.integers(0, 4, 9).astype(float)
    expected = METRICS[metric].weigh(y, p, drawn[None, units], units)[0]
    assert (drawn[units] @ over) / (drawn[units] @ under) == pytest.approx(expected)


def test_what_is_no_ratio_has_no_interval() -> None:
    with pytest.raises(ValueError, match="r_exposed is no ratio"):
        chain_scores._ratio("r_exposed", np.zeros(1), np.zeros(1), np.zeros(1, int))


def test_a_gain_is_paired(study) -> None:
    card, predictions = study
    pairs = [("gor", "trivial"), ("gor", "gor")]
    table = chain_scores.gain_table(card, predictions, pairs, "sov")
    values = chain_scores.chain_table(card, predictions, "sov").set_index("model")["value"]
    assert table["gain"][0] == pytest.approx(values["gor"] - values["trivial"])
    assert table["low"][0] < table["gain"][0] < table["high"][0]
    assert table.loc[1, ["gain", "low", "high"]].tolist() == [0, 0, 0]


def test_a_curve_has_a_point_for_each_size(study) -> None:
    card, predictions = study
    table = chain_scores.curve_table(card, predictions)
    assert sorted(set(table["train chains"])) == [10, 25]
    assert len(table) == 6


def test_confusion_and_strands_count_measured_test_residues(study, data) -> None:
    card, predictions = study
    counts = chain_scores.confusion(card, predictions, "gor", "q3")
    test = data.sites(np.flatnonzero(data.columns["set"] == "test"))
    assert counts.sum() == np.isfinite(data.targets[test, 0]).sum()
    strands = chain_scores.strand_table(card, predictions, ["gor"], [1, 2, 4])
    assert strands["length"].tolist() == ["1", "2 to 3", "4 and more"]
    assert strands["residues found, %"].max() <= 100


def test_figures_are_drawn_from_the_card(study, data) -> None:
    card, predictions = study
    figures: list[Any] = [
        protein_plots.overview(data),
        protein_plots.ladder(card, predictions, ["q3", "sov"]),
        protein_plots.curves(card, predictions),
        protein_plots.confusions(card, predictions, ["gor", "residue_majority"], "q8"),
        protein_plots.strands(card, predictions, ["gor", "residue_majority"]),
    ]
    figure, drawn = protein_plots.drawn_chain(data, card, predictions, ["gor"], (30, 60))
    assert data.columns["id"][drawn["row"]] == drawn["id"]
    assert 0 < drawn["right"]["gor"] < 100
    for one in [*figures, figure]:
        one.canvas.draw()
    assert [axis.get_xlabel() for axis in figures[1].axes] == ["Q3 (%)", "SOV (%)"]


def test_what_was_not_recorded_is_none(tmp_path: Path) -> None:
    settings = Settings("smoke", 0, "cpu", tmp_path)
    assert protein_plots.recorded("no_such_study", settings) is None
