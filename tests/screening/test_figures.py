"""Screens: recall curves and recovery by hand, against RDKit's enrichment, and their figures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from rdkit.ML.Scoring.Scoring import CalcEnrichment

from chemdl.data import Dataset
from chemdl.evidence.cards import Predictions
from chemdl.evidence.statistics import wilson
from chemdl.screening import figures as screens

NAN = np.nan


def predictions(truth: np.ndarray, score: np.ndarray, folds: int = 2) -> Predictions:
    """The rows dealt in turn to folds; the model is called net."""
    arrays = {}
    for fold in range(folds):
        rows = np.arange(fold, len(truth), folds)
        arrays[f"test/0/{fold}"] = rows
        arrays[f"net/all/0/{fold}"] = score[rows]
    return Predictions(truth, arrays)


def card(groups: list[str] | None = None) -> dict:
    rows = [
        {"model": m, "condition": "all", "repeat": r, "fold": f, "n_train": 80, "n_test": 20,
         "fit_seconds": 1.0,
         "values": {"roc_auc": {"active": s + 0.1 * r}, "bedroc": {"active": s}}}
        for m, scores in {"net": [0.6, 0.7, 0.8], "forest": [0.5, 0.9, 0.7]}.items()
        for f, s in enumerate(scores)
        for r in range(2)
    ]  # fmt: skip
    names = ("roc_auc", "bedroc")
    return {
        "study": "tiny",
        "models": [{"name": "net", "kind": "deep"}, {"name": "forest", "kind": "other"}],
        "metrics": [{"name": n, "unit": "", "higher_is_better": True} for n in names],
        "scores": rows,
        "protocol": {"name": "x", **({"groups": groups} if groups else {})},
        "dataset": {"name": "tiny", "n": 60},
    }


def test_recall_is_that_of_rdkits_enrichment() -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random(400) < 0.1).astype(float)[:, None]
    score = rng.random((400, 1)) + 0.3 * truth
    found = screens.recall_curve(predictions(truth, score, 1), "net", np.array([0.05, 0.1, 1.0]))
    ranked = [(label,) for label in truth[np.argsort(-score[:, 0]), 0]]
    expected = np.multiply([0.05, 0.1], CalcEnrichment(ranked, 0, [0.05, 0.1]))
    np.testing.assert_allclose(found, [*expected, 1.0])


def test_each_fold_and_task_is_a_screen_of_its_own() -> None:
    truth = np.array([[1, NAN], [1, 1], [0, 0], [0, 0.0]])
    # Fold 0 (rows 0, 2) ranks its active first; fold 1 (rows 1, 3) ranks both its actives last.
    score = np.array([[0.2, 0.9], [0.3, 0.1], [0.1, 0.2], [0.9, 0.8]])
    found = screens.recall_curve(predictions(truth, score), "net", np.array([0.5]))
    # Fold 0 has no active of the second task: of three screens one finds its active.
    assert found == pytest.approx([1 / 3])
    alone = screens.recall_curve(predictions(truth, score), "net", np.array([0.5]), task=1)
    assert alone == pytest.approx([0.0])


def test_equal_scores_find_what_chance_finds() -> None:
    truth = np.zeros((2000, 1))
    truth[:200] = 1
    found = screens.recall_curve(
        predictions(truth, np.zeros((2000, 1)), 1), "net", np.array([0.1, 0.5])
    )
    assert found == pytest.approx([0.1, 0.5], abs=0.06)


def test_similarity_is_to_actives_outside_the_test_fold() -> None:
    truth = np.array([1, 0, 1, 1, 0, 0.0])[:, None]
    actives = ["CCCCO", "CCCCO", "c1ccccc1"]
    found = screens.similarity_to_actives(actives, predictions(truth, truth))
    # Rows 0 and 2 are one molecule in one fold; the only active outside it is benzene.
    assert found[[0, 2]] == pytest.approx(0.0)
    assert found[3] == pytest.approx(0.0)
    assert np.isnan(found[[1, 4, 5]]).all()


def test_recovery_counts_actives_in_the_best_part_of_their_own_fold() -> None:
    actives = ["CCCCO", "CCCCO", "CCCCCO", "c1ccccc1"]
    truth = np.array([1, 1, 1, 1, 0, 0, 0, 0.0])[:, None]
    score = np.array([0.9, 0.2, 0.1, 0.8, 0.0, 0.9, 0.0, 0.1])[:, None]
    table = screens.recovery_table(actives, predictions(truth, score), ["net"], fraction=0.25)
    # Best of fold 0 (0, 2, 4, 6) is row 0, of fold 1 (1, 3, 5, 7) row 5.
    near = table[table["from"] == 0.8].iloc[0]
    assert (near["actives"], near["found"]) == (2, 0.5)
    assert near["low"] < 0.5 < near["high"]
    assert table["actives"].sum() == 4 and table.loc[table["from"] == 0.0, "found"].item() == 0.0
    assert screens.recovery(table, card()).axes


@pytest.mark.parametrize("count", range(1, 13))
def test_recovery_of_all_or_no_actives_is_drawn(count: int) -> None:
    rows = [
        {"model": model, "from": 0.4, "to": 0.6, "actives": count, "found": found,
         "low": wilson(round(found * count), count)[0],
         "high": wilson(round(found * count), count)[1]}
        for model, found in (("net", 1.0), ("forest", 0.0))
    ]  # fmt: skip
    assert screens.recovery(pd.DataFrame(rows), card()).axes


def test_other_actives_than_those_predicted_are_refused() -> None:
    truth = np.array([[1.0], [0.0]])
    with pytest.raises(ValueError, match="1 actives were predicted, not 3"):
        screens.recovery_table(["C"] * 3, predictions(truth, truth), ["net"])


def test_a_left_out_target_has_the_mean_of_its_repeats() -> None:
    figure = screens.by_target(card(["akt1", "gcr", "kif11"]), ["net", "forest", "absent"])
    axis = figure.axes[0]
    drawn = {
        line.get_label(): dict(zip(line.get_ydata(), line.get_xdata(), strict=True))
        for line in axis.get_lines()
        if line.get_label() in ("net", "forest")
    }
    assert [t.get_text() for t in axis.get_yticklabels()] == ["akt1", "gcr", "kif11"]
    assert list(drawn["net"].values()) == pytest.approx([0.65, 0.75, 0.85])
    assert list(drawn["forest"].values()) == pytest.approx([0.55, 0.95, 0.75])


def test_metrics_stand_side_by_side_with_intervals_over_targets() -> None:
    table = screens.metrics_table(card(["akt1", "gcr", "kif11"])).set_index("model")
    assert list(table.columns) == ["roc_auc", "bedroc", "replicas"]
    # Three targets, 0.65, 0.75 and 0.85: Student's interval, 0.75 +- 4.303 * 0.1 / sqrt(3).
    assert table.loc["net", "roc_auc"] == "0.750 [0.502, 0.998]"


def test_figures_of_a_screen_are_drawn() -> None:
    rng = np.random.default_rng(1)
    truth = np.array([1.0, 0] * 10)[:, None]
    found = predictions(truth, rng.random((20, 1)))
    drawn = screens.enrichment(card(), found, ["net"])
    assert [t.get_text() for t in drawn.axes[0].get_legend().get_texts()] == ["net", "chance"]
    smiles = np.array([f"{'C' * (i + 1)}O" for i in range(20)], object)
    data = Dataset("tiny", smiles, truth, ("active",), "classification", "", {})
    histograms = screens.property_histograms(data)
    assert len(histograms.axes) == 6
    heights = [p.get_height() for p in histograms.axes[0].patches]
    assert sum(heights) == pytest.approx(2.0)
