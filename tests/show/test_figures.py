"""Figures and tables show what cards hold, with labelled axes and a text for who cannot see."""

from __future__ import annotations

import base64
import itertools
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import chemdl
from chemdl import show as plots
from chemdl.data import Dataset
from chemdl.evidence import claims
from chemdl.evidence import statistics as stats
from chemdl.evidence.cards import Predictions
from chemdl.show import tables

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
        "metrics": [
            {
                "name": metric,
                "unit": "K" if metric == "rmse" else "",
                "higher_is_better": metric == "roc_auc",
            }
        ],
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


def make_curves(metric: str = "rmse", models: int = 3) -> dict[str, Any]:
    """Make a card whose errors halve with each doubling of 100 train molecules."""
    kinds = {f"net {i}" if i % 2 else f"forest {i}": "deep" if i % 2 else "other"
             for i in range(models - 1)} | {"mean": "trivial"}  # fmt: skip
    card = make_card(metric, models=[{"name": n, "kind": k} for n, k in kinds.items()])
    card["scores"] = [
        {"model": model, "condition": condition, "repeat": 0, "fold": fold, "n_train": size,
         "n_test": 100, "values": {metric: {"t": value + 0.01 * fold}}, "fit_seconds": 1.0}
        for place, model in enumerate(kinds)
        for condition, size in {"all": 400, "100": 100, "200": 200, "shuffled": 400}.items()
        for fold, value in enumerate([(1 + 0.001 * place) * 100 / size] * 3)
    ]  # fmt: skip
    return card


def regression() -> tuple[Predictions, dict[str, Any]]:
    """Make predictions of 40 alkanes and alcohols, off by 1 (net) and by 2 (forest)."""
    targets = np.arange(40.0)[:, None]
    arrays: dict[str, np.ndarray] = {}
    for fold in range(2):
        rows = np.arange(40)[fold::2]
        arrays[f"test/0/{fold}"] = rows
        for off, model in enumerate(("net", "forest"), start=1):
            arrays[f"{model}/all/0/{fold}"] = targets[rows] + off * (-1) ** np.arange(20)[:, None]
    return Predictions(targets, arrays), make_card("rmse")


def smiles_data() -> Dataset:
    smiles = np.array(["C" * (i % 20 + 1) + "O" * (i // 20) for i in range(40)], dtype=object)
    return Dataset("chains", smiles, np.arange(40.0)[:, None], ("t",), "regression", "K", {})


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
        "targets": plots.target_distributions([chemdl.load("esol"), chemdl.load("freesolv")]),
        "learning curves": plots.learning_curves(make_curves()),
        "learning curves of R²": plots.learning_curves(make_curves("r2")),
        "measured": plots.predicted_against_measured(*regression(), ["net", "forest"]),
        "similarity": plots.error_by_similarity(smiles_data(), *regression(), ["net", "forest"]),
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
    assert axis.get_xlabel() == "gain of net over forest, ROC-AUC"


def test_task_scores_are_sorted_by_the_first_model(card) -> None:
    (axis,) = plots.task_scores(card, ["net", "forest"]).axes
    assert [t.get_text() for t in axis.get_yticklabels()] == ["u", "t"]


def test_units_stand_on_the_axis() -> None:
    card = make_card("rmse")
    assert tables.axis_label("roc_auc") == "ROC-AUC"
    assert tables.axis_label("balanced_accuracy") == "balanced accuracy"
    assert tables.axis_label("rmse", card) == "RMSE (K)"
    # A metric that the card does not list has the unit of its data all the same.
    assert tables.axis_label("mae", card) == "MAE (K)"
    assert plots.scores(card, "rmse").axes[0].get_xlabel() == "RMSE (K)"
    assert plots.task_scores(card, ["net"]).axes[0].get_xlabel() == "RMSE (K)"
    assert plots.task_gains(card, "net", "mean").axes[0].get_xlabel().endswith("RMSE (K)")


def test_a_card_without_errors_has_the_unit_of_its_dataset(card) -> None:
    known = {**card, "dataset": {"name": "esol", "n": 6}}
    assert tables.target_unit(known) == "log10 mol/L"
    assert tables.with_unit("logS", tables.target_unit(known)) == "logS (log₁₀ mol/L)"
    # Cards of an older run held the word for it.
    known["metrics"] = [{"name": "rmse", "unit": "target", "higher_is_better": False}]
    assert tables.axis_label("rmse", known) == "RMSE (log₁₀ mol/L)"


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
    y = np.array([[1, 0], [1, np.nan], [0, 1], [0, 0.0]])
    data = Dataset("tiny", np.array(["C", "CC", "CCC", "CCCC"], object), y, ("t", "u"),
                   "classification", "", {})  # fmt: skip
    (axis,) = plots.class_balance(data).axes
    widths = [[patch.get_width() for patch in bars] for bars in axis.containers]
    assert widths == [[3.0, 4.0], [1.0, 2.0]]
    assert [t.get_text().strip() for t in axis.texts] == ["33.3 %", "50.0 %"]


def test_learning_curves_have_the_sizes_and_the_means() -> None:
    (axis,) = plots.learning_curves(make_curves()).axes
    assert axis.get_xlabel() == "molecules in the train side"
    assert axis.get_ylabel() == "RMSE (K)"
    assert (axis.get_xscale(), axis.get_yscale()) == ("log", "log")
    lines = [bar.lines[0] for bar in axis.containers]
    assert len(lines) == 3
    for line in lines:
        np.testing.assert_allclose(line.get_xdata(), [100, 200, 400], rtol=0.03)
        np.testing.assert_allclose(line.get_ydata(), [1.01, 0.51, 0.26], rtol=0.01)


def test_learning_curves_tell_kinds_apart() -> None:
    (axis,) = plots.learning_curves(make_curves(models=4)).axes
    lines = [bar.lines[0] for bar in axis.containers]
    # Sorted by the height of their ends, as the lines were made.
    names = [text.get_text() for text in sorted(axis.texts, key=lambda text: text.xy[1])]
    styles = {n: (o.get_linestyle(), o.get_color()) for n, o in zip(names, lines, strict=True)}
    assert [style for style, _ in styles.values()] == ["--", "-", "--", ":"]
    assert len({colour for _, colour in styles.values()}) == 4
    assert styles["net 1"][1] == plots.COLOURS["deep"]
    assert styles["mean"][1] == plots.COLOURS["trivial"]


def test_a_metric_of_which_more_is_better_has_a_linear_axis() -> None:
    (axis,) = plots.learning_curves(make_curves("r2")).axes
    assert (axis.get_xscale(), axis.get_yscale()) == ("log", "linear")
    assert axis.get_ylabel() == "R²"


@pytest.mark.parametrize("models", [1, 3, 12])
def test_names_at_the_ends_of_lines_do_not_overlap(models: int) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    figure = plots.learning_curves(make_curves(models=models))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    (axis,) = figure.axes
    # The words alone: an annotation's own extent holds its line too.
    found = [Text.get_window_extent(text, canvas.get_renderer()) for text in axis.texts]
    boxes = sorted(found, key=lambda box: box.y0)
    assert len(boxes) == models
    frame = figure.bbox
    for below, above in itertools.pairwise(boxes):
        assert above.y0 >= below.y1 - 1
    for box in boxes:
        assert box.x1 <= frame.x1 and box.y0 >= frame.y0 and box.y1 <= frame.y1


def test_points_against_measured_values() -> None:
    figure = plots.predicted_against_measured(*regression(), ["net", "forest", "net"])
    titles = [axis.get_title() for axis in figure.axes]
    r2 = 1 - np.array([1, 4]) / np.arange(40.0).var()
    assert titles == [f"net\nRMSE 1.00, R² {r2[0]:.2f}", f"forest\nRMSE 2.00, R² {r2[1]:.2f}"]
    points = figure.axes[1].collections[0].get_offsets()
    np.testing.assert_allclose(sorted(points[:, 0]), np.arange(40))
    np.testing.assert_allclose(np.abs(points[:, 1] - points[:, 0]), 2)
    assert figure.axes[0].get_xlabel() == "measured (K)"
    assert figure.axes[0].get_ylabel() == "predicted (K)"


def test_predictions_out_of_the_picture_are_counted() -> None:
    predictions, card = regression()
    predictions.arrays["net/all/0/1"][3] = 1e6
    figure = plots.predicted_against_measured(predictions, card, ["net", "forest"])
    assert figure.axes[0].get_title().endswith(", 1 outside")
    assert "outside" not in figure.axes[1].get_title()
    assert figure.axes[0].get_ylim()[1] < 100


def test_many_points_are_counted_in_hexagons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chemdl.show.figures._MOST_POINTS", 30)
    figure = plots.predicted_against_measured(*regression(), ["net"])
    assert figure.axes[0].collections[0].get_array().sum() == 40


def test_errors_stand_over_their_similarity() -> None:
    (axis,) = plots.error_by_similarity(smiles_data(), *regression(), ["net", "forest"]).axes
    for bar, error in zip(axis.containers, (1, 2), strict=True):
        np.testing.assert_allclose(bar.lines[0].get_ydata(), error)
    assert axis.get_ylabel() == "mean absolute error (K)"
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["net", "forest"]


def test_histograms_hold_every_measured_value() -> None:
    data = chemdl.load("esol")
    (axis,) = plots.target_distributions([data], bins=10).axes
    assert sum(bar.get_height() for bar in axis.patches) == len(data)
    assert axis.get_xlabel() == "logS (log₁₀ mol/L)"


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
        plots.show_attributions(["C"], [[1.0]], alt=alt, caption="Means.")
    assert shown == []


def test_attributions_are_emitted_as_figures_are(card, shown) -> None:
    plots.show_attributions(
        ["CO"], [[1.0, -1.0]], ["methanol"], alt="Blue", caption="Shares.", card=card
    )
    assert 'alt="Blue"' in shown[0]
    assert "<figcaption>Shares. Card: tiny_random (quick).</figcaption>" in shown[0]


def test_the_same_figure_gives_the_same_bytes(card) -> None:
    first, again = (plots.png(plots.scores(card, "roc_auc")) for _ in range(2))
    assert first == again
    assert b"tEXt" not in first
    assert plots.png(plots.scores(make_card("rmse"), "rmse")) != first


def test_no_gain_without_common_replicas(card) -> None:
    table = tables.task_gain_table(card, "net", "absent")
    assert isinstance(table, pd.DataFrame)
    assert table.empty
