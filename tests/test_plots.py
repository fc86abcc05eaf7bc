"""Figures and tables show what cards hold, with labelled axes and a text for who cannot see."""

from __future__ import annotations

import base64
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import chemdl
from chemdl import claims, plots, stats, tables
from chemdl.cards import Predictions

SCORES = {
    "net": [{"t": 0.9, "u": 0.8}, {"t": 0.7, "u": None}, {"t": 0.8, "u": 0.7}],
    "forest": [{"t": 0.7, "u": 0.7}, {"t": 0.8, "u": 0.6}, {"t": 0.6, "u": 0.8}],
    "mean": [{"t": 0.5, "u": 0.5}] * 3,
}
KINDS = {"net": "deep", "forest": "other", "mean": "trivial"}


def make_card(metric: str = "roc_auc", folds: int = 3, **fields: Any) -> dict[str, Any]:
    return {
        "study": "tiny_random",
        "profile": "quick",
        "dataset": {"name": "tiny", "n": 6},
        "metrics": [{"name": metric, "unit": "", "higher_is_better": metric == "roc_auc"}],
        "models": [{"name": name, "kind": kind} for name, kind in KINDS.items()],
        "scores": [
            {"model": name, "condition": "all", "repeat": 0, "fold": fold, "n_train": 80,
             "n_test": 20, "values": {metric: values}, "fit_seconds": 2.0 + fold}
            for name in KINDS
            for fold, values in enumerate(SCORES[name][:folds])
        ],
        "verdicts": [],
        "shortfall": [],
        **fields,
    }  # fmt: skip


@pytest.fixture
def card() -> dict[str, Any]:
    return make_card()


@pytest.fixture
def predictions() -> Predictions:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, (60, 2)).astype(float)
    targets[0, 0] = np.nan
    arrays: dict[str, np.ndarray] = {}
    for fold in range(2):
        arrays[f"test/0/{fold}"] = np.arange(60)[fold::2]
        for model in ("net", "forest"):
            arrays[f"{model}/all/0/{fold}"] = rng.random((30, 2))
    return Predictions(targets, arrays)


# --- tables ---------------------------------------------------------------------------------------


def test_the_score_table_by_hand(card) -> None:
    table = tables.score_table(card)
    assert list(table["model"]) == ["net", "forest", "mean"]
    assert list(table["kind"]) == ["deep", "other", "trivial"]
    # Fold means of the net: .85, .7 (u is undefined), .75.
    folds = np.array([0.85, 0.7, 0.75])
    expected = stats.corrected_interval(folds, 0.25)
    row = table.iloc[0]
    assert row["mean"] == pytest.approx(folds.mean())
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))
    assert row["replicas"] == 3
    assert row["seconds per fit"] == pytest.approx(3.0)


def test_the_best_stands_first_for_errors_too() -> None:
    assert list(tables.score_table(make_card("rmse"))["model"]) == ["mean", "forest", "net"]


def test_one_replica_has_no_interval() -> None:
    table = tables.score_table(make_card(folds=1))
    assert table["low"].isna().all()
    assert table["mean"].iloc[0] == pytest.approx(0.85)


def test_other_conditions_are_left_out(card) -> None:
    row = dict(card["scores"][0], condition="few", values={"roc_auc": {"t": 0.1, "u": 0.1}})
    card["scores"].append(row)
    assert tables.score_table(card)["mean"].iloc[0] == pytest.approx(2.3 / 3)
    assert tables.score_table(card, condition="few")["mean"].tolist() == pytest.approx([0.1])


def test_gains_by_hand(card) -> None:
    table = tables.task_gain_table(card, "net", "forest").set_index("task")
    # t: .2, -.1, .2; u: .1 and -.1, the second fold is undefined.
    assert table.loc["t", "gain"] == pytest.approx(0.1)
    assert table.loc["u", "gain"] == pytest.approx(0.0)
    expected = stats.corrected_interval([0.2, -0.1, 0.2], 0.25)
    assert (table.loc["t", "low"], table.loc["t", "high"]) == pytest.approx(
        (expected.low, expected.high)
    )


def test_the_gain_of_a_lower_error_is_positive() -> None:
    table = tables.task_gain_table(make_card("rmse"), "net", "forest").set_index("task")
    assert table.loc["t", "gain"] == pytest.approx(-0.1)


def test_task_means_by_hand(card) -> None:
    assert tables.task_means(card, "net", "roc_auc") == pytest.approx({"t": 0.8, "u": 0.75})


def test_missed_actives_by_hand() -> None:
    targets = np.array([[1.0], [1], [0], [1], [np.nan]])
    arrays = {
        "test/0/0": np.arange(5),
        "net/all/0/0": np.array([[0.9], [0.2], [0.1], [0.4], [0.0]]),
        "forest/all/0/0": np.array([[0.5], [0.6], [0.7], [0.8], [0.9]]),
    }
    table = tables.missed(Predictions(targets, arrays), "net", "forest", task=0, count=2)
    assert table.to_numpy().tolist() == [[1, 0.2, 0.6], [3, 0.4, 0.8]]


def test_verdicts_stand_beside_what_was_reported(card) -> None:
    claim = next(c for c in claims.load_claims().values() if c.test)
    estimate = {"value": 0.02, "low": 0.01, "high": 0.03, "method": "by hand"}
    verdict = {"claim": claim.id, "verdict": "confirmed", "reason": "", "fidelity": "near"}
    card["verdicts"] = [
        {**verdict, "provisional": True, "estimate": estimate},
        {**verdict, "provisional": False, "estimate": None, "reason": "no"},
    ]
    table = tables.verdict_table([card])
    assert list(table["verdict"]) == ["confirmed *", "confirmed"]
    assert list(table["here"]) == ["0.020 [0.010, 0.030]", "no"]
    assert tables.verdict_table([card], chapter=claim.chapter).equals(table)
    assert len(tables.verdict_table([card], chapter="nowhere")) == 0


def test_the_shortfall_names_profile_and_what_is_left_out(card) -> None:
    assert tables.shortfall([card]) == "Profile quick."
    cut = {**card, "profile": "full", "shortfall": ["1 of 5 repeats"]}
    assert tables.shortfall([card, cut, cut]) == (
        "Profile quick and full, done in part: 1 of 5 repeats."
    )


def test_the_first_model_present(card) -> None:
    assert tables.first_present(card, ["absent", "forest", "net"]) == "forest"
    with pytest.raises(KeyError, match="absent"):
        tables.first_present(card, ["absent"])


# --- figures --------------------------------------------------------------------------------------


def every_figure(card, predictions) -> dict[str, Figure]:
    rows = [{"label": "TOX-01", "difference": 0.02, "low": 0.01, "high": 0.03, "reported": 0.05},
            {"label": "TOX-02", "difference": 0.0, "low": -0.01, "high": 0.01}]  # fmt: skip
    return {
        "scores": plots.scores(card, "roc_auc"),
        "scores of two": plots.scores([card, card], "roc_auc"),
        "one replica": plots.scores(make_card(folds=1), "roc_auc"),
        "task gains": plots.task_gains(card, "net", "forest"),
        "task scores": plots.task_scores(card, ["net", "forest", "mean"]),
        "calibration": plots.calibration(predictions, {"net": "deep", "forest": "other"}),
        "class balance": plots.class_balance(chemdl.load("tox21").sample(80)),
        "claims": plots.claims_and_intervals(rows, "roc_auc"),
    }


def test_every_figure_has_labelled_axes(card, predictions) -> None:
    for name, figure in every_figure(card, predictions).items():
        assert isinstance(figure, Figure), name
        assert figure.axes, name
        for axis in figure.axes:
            assert axis.get_xlabel(), name
            ticks = [tick.get_text() for tick in axis.get_yticklabels()]
            assert axis.get_ylabel() or any(ticks), name


def test_figures_leave_matplotlibs_state_alone(card, predictions) -> None:
    import matplotlib
    from matplotlib import _pylab_helpers

    before, open_figures = dict(matplotlib.rcParams), len(_pylab_helpers.Gcf.figs)
    every_figure(card, predictions)
    assert dict(matplotlib.rcParams) == before
    assert len(_pylab_helpers.Gcf.figs) == open_figures


def test_dots_stand_at_the_means(card) -> None:
    figure = plots.scores(card, "roc_auc")
    (axis,) = figure.axes
    drawn = sorted(float(bar.lines[0].get_xdata()[0]) for bar in axis.containers)
    assert drawn == pytest.approx(sorted([2.3 / 3, 0.7, 0.5]))
    assert axis.get_xlabel() == "ROC-AUC"
    assert [t.get_text() for t in axis.get_yticklabels()] == ["net", "forest", "mean"]
    assert {t.get_text() for t in figure.legends[0].get_texts()} == {"deep", "other", "trivial"}
    low, high = axis.get_xlim()
    assert low < 0.5
    assert high > 2.3 / 3


def test_gains_stand_at_the_gains(card) -> None:
    (axis,) = plots.task_gains(card, "net", "forest").axes
    np.testing.assert_allclose(axis.collections[-1].get_offsets()[:, 0], [0.1, 0.0], atol=1e-9)
    assert axis.get_xlabel() == "net minus forest, ROC-AUC"


def test_task_scores_are_sorted_by_the_first_model(card) -> None:
    (axis,) = plots.task_scores(card, ["net", "forest"]).axes
    assert [t.get_text() for t in axis.get_yticklabels()] == ["u", "t"]


def test_units_stand_on_the_axis() -> None:
    assert tables.axis_label("roc_auc") == "ROC-AUC"
    assert tables.axis_label("rmse") == "rmse / target"
    assert tables.axis_label("balanced_accuracy") == "balanced accuracy"


def test_reliability_by_hand() -> None:
    targets = np.array([[0.0], [1], [0], [1], [np.nan]])
    arrays = {"test/0/0": np.arange(5), "m/all/0/0": np.array([[0.1], [0.9], [0.3], [0.5], [0.7]])}
    predicted, observed = plots.reliability(Predictions(targets, arrays), "m", bins=2)
    assert predicted == pytest.approx([0.2, 0.7])
    assert observed == pytest.approx([0.0, 1.0])


def test_reliability_with_fewer_molecules_than_bins() -> None:
    arrays = {"test/0/0": np.arange(3), "m/all/0/0": np.array([[0.1], [0.9], [0.3]])}
    found = Predictions(np.array([[0.0], [1], [0]]), arrays)
    predicted, observed = plots.reliability(found, "m", bins=10)
    assert predicted == pytest.approx([0.1, 0.3, 0.9])
    assert observed == pytest.approx([0, 0, 1])


def test_class_balance_by_hand() -> None:
    from chemdl.datasets import Dataset

    y = np.array([[1, 0], [1, np.nan], [0, 1], [0, 0.0]])
    data = Dataset("tiny", np.array(["C", "CC", "CCC", "CCCC"], object), y, ("t", "u"),
                   "classification", "", {})  # fmt: skip
    (axis,) = plots.class_balance(data).axes
    widths = [[patch.get_width() for patch in bars] for bars in axis.containers]
    assert widths == [[3.0, 4.0], [1.0, 2.0]]
    assert [t.get_text().strip() for t in axis.texts] == ["33.3 %", "50.0 %"]


# --- emission -------------------------------------------------------------------------------------


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    out: list[str] = []
    monkeypatch.setattr("IPython.display.display", lambda html: out.append(html.data))
    return out


def test_a_figure_travels_with_description_and_caption(card, shown) -> None:
    plots.show(plots.scores(card, "roc_auc"), alt='Net "above" forest', caption="Means.", card=card)
    (html,) = shown
    assert 'alt="Net &quot;above&quot; forest"' in html
    assert "<figcaption>Means. Card: tiny_random (quick).</figcaption>" in html
    image = base64.b64decode(re.search(r"base64,([^\"]+)", html).group(1))
    assert image.startswith(b"\x89PNG")


@pytest.mark.parametrize("alt", ["", "   ", "Means."])
def test_a_figure_without_a_description_is_refused(card, shown, alt: str) -> None:
    with pytest.raises(ValueError, match="alt says in words"):
        plots.show(plots.scores(card, "roc_auc"), alt=alt, caption="Means.")
    with pytest.raises(ValueError, match="alt says in words"):
        plots.show_molecules(["CCO"], ["ethanol"], alt=alt, caption="Means.")
    assert shown == []


def test_the_same_figure_gives_the_same_bytes(card) -> None:
    first, again = (plots.png(plots.scores(card, "roc_auc")) for _ in range(2))
    assert first == again
    assert b"tEXt" not in first
    assert plots.png(plots.scores(make_card("rmse"), "rmse")) != first


def test_molecules_are_drawn_in_a_grid(shown) -> None:
    five = plots.molecules(["C", "CO", "CCO", "c1ccccc1", "CN"], list("abcde"))
    assert five.startswith(b"\x89PNG")
    width, height = (int.from_bytes(five[i : i + 4], "big") for i in (16, 20))
    assert (width, height) == (4 * 270, 2 * 220)
    plots.show_molecules(["CCO"], ["ethanol"], alt="Ethanol", caption="A molecule.")
    assert 'alt="Ethanol"' in shown[0]


def test_an_unparsable_molecule_is_named() -> None:
    with pytest.raises(ValueError, match="C1CC"):
        plots.molecules(["CCO", "C1CC"], ["good", "bad"])


def test_no_gain_without_common_replicas(card) -> None:
    table = tables.task_gain_table(card, "net", "absent")
    assert isinstance(table, pd.DataFrame)
    assert table.empty
