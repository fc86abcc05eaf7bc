"""Figures show what results hold, with labelled axes and a text for who cannot see."""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from matplotlib.figure import Figure

import chemdl
from chemdl.data import Dataset
from chemdl.evidence.result import Predictions, Result
from chemdl.show import figures
from chemdl.show.lines import COLOURS


@pytest.fixture(scope="module")
def curves(small_result) -> Callable[..., Result]:
    """A maker of results whose errors halve with each doubling of 100 train molecules."""

    def made(metric: str = "rmse", models: int = 3) -> Result:
        names = [f"net {i}" if i % 2 else f"forest {i}" for i in range(models - 1)]
        kinds = {name: "deep" if name.startswith("net") else "classical" for name in names}
        rows = [
            {"model": model, "condition": condition, "fold": fold, "n_train": size, "n_test": 100,
             "values": {metric: {"t": (1 + 0.001 * place) * 100 / size + 0.01 * fold}}}
            for place, model in enumerate([*names, "mean"])
            for condition, size in {"all": 400, "100": 100, "200": 200, "shuffled": 400}.items()
            for fold in range(3)
        ]  # fmt: skip
        return small_result(rows, kinds | {"mean": "trivial"}, {"rmse": "K"})

    return made


def off_by(errors: Mapping[str, float]) -> Predictions:
    """Predictions of 40 molecules in two folds, off by so much up and down in turn."""
    targets = np.arange(40.0)[:, None]
    arrays: dict[str, np.ndarray] = {}
    for fold in range(2):
        rows = np.arange(40)[fold::2]
        arrays[f"test/0/{fold}"] = rows
        for model, error in errors.items():
            signs = (-1) ** np.arange(20)[:, None]
            arrays[f"{model}/all/0/{fold}"] = targets[rows] + error * signs
    return Predictions(targets, arrays)


@pytest.fixture(scope="module")
def regression(three_models) -> Result:
    """Forty values, off by 1 (net) and by 2 (forest)."""
    return three_models("rmse", predictions=off_by({"net": 1, "forest": 2}))


# --- figures --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def every_figure(result, three_models, curves, regression) -> Callable[[], dict[str, Figure]]:
    """A maker of all figures."""
    rows = [{"label": "TOX-01", "difference": 0.02, "low": 0.01, "high": 0.03, "reported": 0.05},
            {"label": "TOX-02", "difference": 0.0, "low": -0.01, "high": 0.01}]  # fmt: skip
    return lambda: {
        "scores": figures.scores(result, "roc_auc"),
        "scores of two": figures.scores([result, result], "roc_auc"),
        "one replica": figures.scores(three_models(folds=1), "roc_auc"),
        "task gains": figures.task_gains(result, "net", "forest"),
        "task scores": figures.task_scores(result, ["net", "forest", "mean"]),
        "calibration": figures.calibration(result, ["net", "forest"]),
        "class balance": figures.class_balance(chemdl.load("tox21").sample(80)),
        "claims": figures.claims_and_intervals(rows, "roc_auc"),
        "targets": figures.target_distributions([chemdl.load("esol"), chemdl.load("freesolv")]),
        "learning curves": figures.learning_curves(curves()),
        "learning curves of R²": figures.learning_curves(curves("r2")),
        "measured": figures.predicted_against_measured(regression, ["net", "forest"]),
    }


def test_every_figure_has_labelled_axes(every_figure) -> None:
    for name, figure in every_figure().items():
        assert isinstance(figure, Figure), name
        assert figure.axes, name
        for axis in figure.axes:
            assert axis.get_xlabel(), name
            ticks = [tick.get_text() for tick in axis.get_yticklabels()]
            assert axis.get_ylabel() or any(ticks), name


def test_figures_leave_matplotlibs_state_alone(every_figure) -> None:
    import matplotlib
    from matplotlib import _pylab_helpers

    before, open_figures = dict(matplotlib.rcParams), len(_pylab_helpers.Gcf.figs)
    every_figure()
    assert dict(matplotlib.rcParams) == before
    assert len(_pylab_helpers.Gcf.figs) == open_figures


def test_dots_stand_at_the_means(result) -> None:
    figure = figures.scores(result, "roc_auc")
    (axis,) = figure.axes
    drawn = sorted(float(bar.lines[0].get_xdata()[0]) for bar in axis.containers)
    assert drawn == pytest.approx(sorted([2.3 / 3, 0.7, 0.5]))
    assert axis.get_xlabel() == "ROC-AUC"
    assert [t.get_text() for t in axis.get_yticklabels()] == ["net", "forest", "mean"]
    assert {t.get_text() for t in figure.legends[0].get_texts()} == {"deep", "classical", "trivial"}
    low, high = axis.get_xlim()
    assert low < 0.5
    assert high > 2.3 / 3


def test_gains_stand_at_the_gains(result) -> None:
    (axis,) = figures.task_gains(result, "net", "forest").axes
    np.testing.assert_allclose(axis.collections[-1].get_offsets()[:, 0], [0.1, 0.0], atol=1e-9)
    assert axis.get_xlabel() == "gain of net over forest, ROC-AUC"


def test_task_scores_are_sorted_by_the_first_model(result) -> None:
    (axis,) = figures.task_scores(result, ["net", "forest"]).axes
    assert [t.get_text() for t in axis.get_yticklabels()] == ["u", "t"]


def test_a_left_out_target_has_a_row_with_the_mean_of_its_repeats(small_result) -> None:
    rows = [
        {"model": model, "repeat": repeat, "fold": fold,
         "values": {"roc_auc": {"active": score + 0.1 * repeat}}}
        for model, scores in {"net": [0.6, 0.7, 0.8], "forest": [0.4, 0.9, 0.7]}.items()
        for fold, score in enumerate(scores)
        for repeat in range(2)
    ]  # fmt: skip
    result = small_result(rows, protocol={"groups": ["akt1", "gcr", "kif11"]})
    (axis,) = figures.task_scores(result, ["net", "forest", "not run"]).axes
    assert [t.get_text() for t in axis.get_yticklabels()] == ["akt1", "gcr", "kif11"]
    assert axis.get_xlabel() == "ROC-AUC on the target that was left out"
    net, forest, chance = axis.get_lines()
    assert net.get_xdata() == pytest.approx([0.65, 0.75, 0.85])
    assert forest.get_xdata() == pytest.approx([0.45, 0.95, 0.75])
    assert list(chance.get_xdata()) == [0.5, 0.5]


def test_units_stand_on_the_axis(three_models) -> None:
    result = three_models("rmse")
    assert figures.scores(result, "rmse").axes[0].get_xlabel() == "RMSE (K)"
    assert figures.task_scores(result, ["net"]).axes[0].get_xlabel() == "RMSE (K)"
    assert figures.task_gains(result, "net", "mean").axes[0].get_xlabel().endswith("RMSE (K)")


def test_reliability_by_hand(small_result) -> None:
    targets = np.array([[0.0], [1], [0], [1], [np.nan]])
    arrays = {"test/0/0": np.arange(5), "m/all/0/0": np.array([[0.1], [0.9], [0.3], [0.5], [0.7]])}
    result = small_result([], predictions=Predictions(targets, arrays))
    predicted, observed = figures.reliability(result, "m", bins=2)
    assert predicted == pytest.approx([0.2, 0.7])
    assert observed == pytest.approx([0.0, 1.0])


def test_reliability_with_fewer_molecules_than_bins(small_result) -> None:
    arrays = {"test/0/0": np.arange(3), "m/all/0/0": np.array([[0.1], [0.9], [0.3]])}
    stored = Predictions(np.array([[0.0], [1], [0]]), arrays)
    result = small_result([], predictions=stored)
    predicted, observed = figures.reliability(result, "m", bins=10)
    assert predicted == pytest.approx([0.1, 0.3, 0.9])
    assert observed == pytest.approx([0, 0, 1])


def test_every_model_is_drawn_however_many_there_are(small_result) -> None:
    names = [f"net {i}" for i in range(11)]
    rng = np.random.default_rng(0)
    arrays = {f"{name}/all/0/0": rng.random((30, 1)) for name in names}
    stored = Predictions(np.arange(30.0)[:, None] % 2, {"test/0/0": np.arange(30), **arrays})
    rows = [{"model": name, "fold": 0, "values": {"roc_auc": {"t": 0.6}}} for name in names]
    result = small_result(rows, predictions=stored)
    (axis,) = figures.calibration(result, names).axes
    assert [line.get_label() for line in axis.lines] == ["calibrated", *names]
    (axis,) = figures.task_scores(result, names).axes
    assert len(axis.get_legend().get_texts()) == 11


def test_class_balance_by_hand() -> None:
    y = np.array([[1, 0], [1, np.nan], [0, 1], [0, 0.0]])
    data = Dataset("tiny", np.array(["C", "CC", "CCC", "CCCC"], object), y, ("t", "u"),
                   "classification", "", {})  # fmt: skip
    (axis,) = figures.class_balance(data).axes
    widths = [[patch.get_width() for patch in bars] for bars in axis.containers]
    assert widths == [[3.0, 4.0], [1.0, 2.0]]
    assert [t.get_text().strip() for t in axis.texts] == ["33.3 %", "50.0 %"]


def test_learning_curves_have_the_sizes_and_the_means(curves) -> None:
    (axis,) = figures.learning_curves(curves()).axes
    assert axis.get_xlabel() == "molecules in the train side"
    assert axis.get_ylabel() == "RMSE (K)"
    assert (axis.get_xscale(), axis.get_yscale()) == ("log", "log")
    lines = [bar.lines[0] for bar in axis.containers]
    assert len(lines) == 3
    for line in lines:
        np.testing.assert_allclose(line.get_xdata(), [100, 200, 400], rtol=0.03)
        np.testing.assert_allclose(line.get_ydata(), [1.01, 0.51, 0.26], rtol=0.01)


def test_learning_curves_tell_kinds_apart(curves) -> None:
    (axis,) = figures.learning_curves(curves(models=4)).axes
    lines = [bar.lines[0] for bar in axis.containers]
    # Sorted by the height of their ends, as the lines were made.
    names = [text.get_text() for text in sorted(axis.texts, key=lambda text: text.xy[1])]
    styles = {n: (o.get_linestyle(), o.get_color()) for n, o in zip(names, lines, strict=True)}
    assert [style for style, _ in styles.values()] == ["--", "-", "--", ":"]
    assert len({colour for _, colour in styles.values()}) == 4
    assert styles["net 1"][1] == COLOURS["deep"]
    assert styles["mean"][1] == COLOURS["trivial"]


def test_a_metric_of_which_more_is_better_has_a_linear_axis(curves) -> None:
    (axis,) = figures.learning_curves(curves("r2")).axes
    assert (axis.get_xscale(), axis.get_yscale()) == ("log", "linear")
    assert axis.get_ylabel() == "R²"


@pytest.mark.parametrize("models", [1, 3, 12])
def test_names_at_the_ends_of_lines_do_not_overlap(curves, models: int) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    figure = figures.learning_curves(curves(models=models))
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


def test_points_against_measured_values(regression) -> None:
    figure = figures.predicted_against_measured(regression, ["net", "forest", "net"])
    titles = [axis.get_title() for axis in figure.axes]
    r2 = 1 - np.array([1, 4]) / np.arange(40.0).var()
    assert titles == [f"net\nRMSE 1.00, R² {r2[0]:.2f}", f"forest\nRMSE 2.00, R² {r2[1]:.2f}"]
    points = figure.axes[1].collections[0].get_offsets()
    np.testing.assert_allclose(sorted(points[:, 0]), np.arange(40))
    np.testing.assert_allclose(np.abs(points[:, 1] - points[:, 0]), 2)
    assert figure.axes[0].get_xlabel() == "measured (K)"
    assert figure.axes[0].get_ylabel() == "predicted (K)"


def test_predictions_out_of_the_picture_are_counted(three_models) -> None:
    stored = off_by({"net": 1, "forest": 2})
    stored.arrays["net/all/0/1"][3] = 1e6
    result = three_models("rmse", predictions=stored)
    figure = figures.predicted_against_measured(result, ["net", "forest"])
    assert figure.axes[0].get_title().endswith(", 1 outside")
    assert "outside" not in figure.axes[1].get_title()
    assert figure.axes[0].get_ylim()[1] < 100


def test_many_points_are_counted_in_hexagons(regression, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chemdl.show.figures._MOST_POINTS", 30)
    figure = figures.predicted_against_measured(regression, ["net"])
    assert figure.axes[0].collections[0].get_array().sum() == 40


def test_histograms_hold_every_measured_value() -> None:
    data = chemdl.load("esol")
    (axis,) = figures.target_distributions([data], bins=10).axes
    assert sum(bar.get_height() for bar in axis.patches) == len(data)
    assert axis.get_xlabel() == "logS (log₁₀ mol/L)"


# --- emission -------------------------------------------------------------------------------------


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    out: list[str] = []
    monkeypatch.setattr("IPython.display.display", lambda html: out.append(html.data))
    return out


def test_a_figure_travels_with_description_and_caption(result, shown) -> None:
    figures.show(
        figures.scores(result, "roc_auc"), alt='Net "above" forest', caption="Means.", result=result
    )
    (html,) = shown
    assert 'alt="Net &quot;above&quot; forest"' in html
    assert "<figcaption>Means. Card: tiny_random (quick).</figcaption>" in html
    image = base64.b64decode(re.search(r"base64,([^\"]+)", html).group(1))
    assert image.startswith(b"\x89PNG")


@pytest.mark.parametrize("alt", ["", "   ", "Means."])
def test_a_figure_without_a_description_is_refused(result, shown, alt: str) -> None:
    with pytest.raises(ValueError, match="alt says in words"):
        figures.show(figures.scores(result, "roc_auc"), alt=alt, caption="Means.")
    assert shown == []


def test_a_figure_of_several_results_names_them_all(result, three_models) -> None:
    html = figures.figure_html(b"", "Dots.", "Which is better?", [result, three_models("rmse")])
    assert "Which is better? Cards: tiny_random (quick), tiny_random (quick)." in html


def test_the_same_figure_gives_the_same_bytes(result, three_models) -> None:
    first, again = (figures.png(figures.scores(result, "roc_auc")) for _ in range(2))
    assert first == again
    assert b"tEXt" not in first
    assert figures.png(figures.scores(three_models("rmse"), "rmse")) != first
