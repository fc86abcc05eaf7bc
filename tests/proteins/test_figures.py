"""Figures of chains, drawn from the result of a small study."""

from __future__ import annotations

import numpy as np

from chemdl.data import Dataset
from chemdl.evidence.result import Result
from chemdl.proteins import figures, scores


def test_lengths_and_states_are_those_of_the_dataset(chains_with_states: Dataset) -> None:
    figure = figures.lengths_and_states(chains_with_states)
    figure.canvas.draw()
    left, right = figure.axes
    names = [text.get_text() for text in left.get_legend().get_texts()]
    assert names == ["train, 28 chains", "test, 12 chains"]
    assert np.isclose(sum(bar.get_height() for bar in right.patches), 100)


def test_scores_have_a_panel_for_each_metric(result_of_states: Result) -> None:
    figure = figures.scores(result_of_states, ["q3", "sov"])
    figure.canvas.draw()
    assert [axis.get_xlabel() for axis in figure.axes] == ["Q3 (%)", "SOV (%)"]
    first = scores.score_table(result_of_states, "q3").set_index("kind").loc["classical", "model"]
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == first.str.replace("_", " ").tolist()


def test_learning_curves_leave_the_trivial_model_out(result_of_states: Result) -> None:
    figure = figures.learning_curves(result_of_states)
    figure.canvas.draw()
    (axis,) = figure.axes
    assert {text.get_text() for text in axis.texts} == {"gor", "residue majority"}
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("chains in the train side", "Q3 (%)")


def test_rows_of_a_confusion_matrix_add_up(result_of_states: Result) -> None:
    figure = figures.confusion_matrices(result_of_states, ["gor", "residue_majority"], "q8")
    figure.canvas.draw()
    for axis in figure.axes:
        shares = axis.images[0].get_array()
        assert shares.shape == (8, 8)
        np.testing.assert_allclose(shares.sum(axis=1), 100)


def test_strand_recall_draws_the_models_that_ran(result_of_states: Result) -> None:
    figure = figures.strand_recall(result_of_states, ["gor", "absent", "residue_majority"], (1, 3))
    figure.canvas.draw()
    (axis,) = figure.axes
    assert [line.get_label() for line in axis.lines] == ["gor", "residue majority"]


def test_states_stand_under_their_residues(
    result_of_states: Result, chains_with_states: Dataset
) -> None:
    row = scores.median_chain(result_of_states, "gor")
    figure = figures.chain_states(result_of_states, ["gor"], chains_with_states, row)
    figure.canvas.draw()
    (axis,) = figure.axes
    sequence = chains_with_states.inputs[row]
    assert "".join(text.get_text() for text in axis.texts) == sequence
    observed = axis.images[0].get_array()[0, : len(sequence)]
    truth = chains_with_states.targets[chains_with_states.sites(np.array([row])), 0]
    assert np.isnan(truth).any()
    np.testing.assert_array_equal(np.ma.filled(observed.astype(float), np.nan), truth)
