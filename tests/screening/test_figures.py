"""Screens: recall curves and recovery by hand, against RDKit's enrichment, and their figures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from rdkit.ML.Scoring.Scoring import CalcEnrichment

from chemdl.data import Dataset
from chemdl.evidence.result import Predictions, Result
from chemdl.screening import figures

NAN = np.nan


@pytest.fixture
def screen(small_result: Callable[..., Result]) -> Callable[..., Result]:
    """A maker of screens: labels (n, tasks), and scores by model; row i is in fold i % folds."""

    def make(truth: np.ndarray, folds: int = 2, **scores: np.ndarray) -> Result:
        arrays = {}
        for fold in range(folds):
            rows = arrays[f"test/0/{fold}"] = np.arange(fold, len(truth), folds)
            arrays |= {f"{model}/all/0/{fold}": score[rows] for model, score in scores.items()}
        values = {"roc_auc": {"active": 0.5}}
        rows = [{"model": m, "fold": f, "values": values} for m in scores for f in range(folds)]
        return small_result(rows, {"net": "deep"}, predictions=Predictions(truth, arrays))

    return make


def test_recall_is_that_of_rdkits_enrichment(screen) -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random(400) < 0.1).astype(float)[:, None]
    score = rng.random((400, 1)) + 0.3 * truth
    recall = figures.recall_curve(screen(truth, 1, net=score), "net", np.array([0.05, 0.1, 1.0]))
    ranked = [(label,) for label in truth[np.argsort(-score[:, 0]), 0]]
    expected = np.multiply([0.05, 0.1], CalcEnrichment(ranked, 0, [0.05, 0.1]))
    np.testing.assert_allclose(recall, [*expected, 1.0])


def test_each_fold_and_task_is_a_screen_of_its_own(screen) -> None:
    truth = np.array([[1, NAN], [1, 1], [0, 0], [0, 0.0]])
    # Fold 0 (rows 0, 2) ranks its active first; fold 1 (rows 1, 3) ranks both its actives last.
    result = screen(truth, net=np.array([[0.2, 0.9], [0.3, 0.1], [0.1, 0.2], [0.9, 0.8]]))
    # Fold 0 has no active of the second task: of three screens one finds its active.
    half = np.array([0.5])
    assert figures.recall_curve(result, "net", half) == pytest.approx([1 / 3])
    assert figures.recall_curve(result, "net", half, task=1) == pytest.approx([0.0])


def test_equal_scores_find_what_chance_finds(screen) -> None:
    truth = (np.arange(2000) < 200).astype(float)[:, None]
    result = screen(truth, 1, net=np.zeros((2000, 1)))
    recall = figures.recall_curve(result, "net", np.array([0.1, 0.5]))
    assert recall == pytest.approx([0.1, 0.5], abs=0.06)


def test_similarity_is_to_actives_outside_the_test_fold(screen) -> None:
    truth = np.array([1, 0, 1, 1, 0, 0.0])[:, None]
    result = screen(truth, net=truth)
    nearest = figures.similarity_to_actives(result, ["CCCCO", "CCCCO", "c1ccccc1"])
    # Rows 0 and 2 are one molecule in one fold; the only active outside it is benzene.
    assert nearest[[0, 2, 3]] == pytest.approx(0.0)
    assert np.isnan(nearest[[1, 4, 5]]).all()


def test_recovery_counts_actives_in_the_best_part_of_their_own_fold(screen) -> None:
    truth = np.array([1, 1, 1, 1, 0, 0, 0, 0.0])[:, None]
    result = screen(truth, net=np.array([0.9, 0.2, 0.1, 0.8, 0.0, 0.9, 0.0, 0.1])[:, None])
    actives = ["CCCCO", "CCCCO", "CCCCCO", "c1ccccc1"]
    table = figures.recovery_table(result, ["net"], actives, fraction=0.25)
    # Best of fold 0 (0, 2, 4, 6) is row 0, of fold 1 (1, 3, 5, 7) row 5.
    near = table[table["from"] == 0.8].iloc[0]
    assert (near["actives"], near["found"]) == (2, 0.5)
    assert near["low"] < 0.5 < near["high"]
    assert table["actives"].sum() == 4 and table.loc[table["from"] == 0.0, "found"].item() == 0.0


@pytest.mark.parametrize("count", range(2, 13))
def test_recovery_of_all_or_no_actives_is_drawn(screen, count: int) -> None:
    truth = (np.arange(4 * count) < count).astype(float)[:, None]
    result = screen(truth, net=truth, forest=-truth)
    models, actives = ["net", "forest", "not run"], ["CCCCO"] * count
    table = figures.recovery_table(result, models[:2], actives, fraction=0.5)
    assert table["found"].tolist() == [1.0, 0.0]
    (axis,) = figures.recovery(result, models, actives, fraction=0.5).axes
    assert [t.get_text() for t in axis.get_xticklabels()] == [f"0.8 to 1\n{count} actives"]
    assert [t.get_text() for t in axis.get_legend().get_texts()] == ["net", "forest"]


def test_other_actives_than_those_predicted_are_refused(screen) -> None:
    truth = np.array([[1.0], [0.0]])
    with pytest.raises(ValueError, match="1 actives were predicted, not 3"):
        figures.recovery_table(screen(truth, net=truth), ["net"], ["C"] * 3)


def test_metrics_stand_side_by_side_with_intervals_over_targets(small_result) -> None:
    rows = [
        {"model": model, "repeat": repeat, "fold": fold,
         "values": {"roc_auc": {"active": score + 0.1 * repeat}, "bedroc": {"active": score}}}
        for model, scores in {"forest": [0.5, 0.9, 0.7], "net": [0.6, 0.7, 0.8]}.items()
        for fold, score in enumerate(scores)
        for repeat in range(2)
    ]  # fmt: skip
    result = small_result(rows, protocol={"groups": ["akt1", "gcr", "kif11"]})
    table = figures.metrics_table(result).set_index("model")
    assert list(table.columns) == ["ROC-AUC", "BEDROC", "replicas"]
    # Three targets, 0.65, 0.75 and 0.85: Student's interval, 0.75 +- 4.303 * 0.1 / sqrt(3).
    assert table.loc["net", "ROC-AUC"] == "0.750 [0.502, 0.998]"
    assert table["replicas"].tolist() == [3, 3]


def test_figures_of_a_screen_are_drawn(screen) -> None:
    truth = np.array([1.0, 0] * 10)[:, None]
    result = screen(truth, net=np.random.default_rng(1).random((20, 1)))
    (axis,) = figures.enrichment(result, ["net", "not run"]).axes
    assert [t.get_text() for t in axis.get_legend().get_texts()] == ["net", "chance"]
    smiles = np.array([f"{'C' * (i + 1)}O" for i in range(20)], object)
    dataset = Dataset("tiny", smiles, truth, ("active",), "classification", "", {})
    histograms = figures.property_histograms(dataset)
    assert len(histograms.axes) == 6
    heights = [patch.get_height() for patch in histograms.axes[0].patches]
    assert sum(heights) == pytest.approx(2.0)
