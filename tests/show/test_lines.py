"""Lines tell kinds of models apart; limits of an axis hold means and their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from chemdl.show.lines import COLOURS, limits, line_styles, model_styles

NAN = float("nan")


@pytest.mark.parametrize(
    ("mean", "low", "high", "expected"),
    [
        ([1.0, 21.0], [NAN, NAN], [NAN, NAN], (0.0, 22.0)),  # room for marks without intervals
        ([0.8, 0.9], [0.75, 0.85], [0.85, 0.95], (0.75, 0.95)),
        ([0.8, 0.9], [-3.0, 0.88], [4.6, 0.92], (0.68, 1.02)),  # what dwarfs the means is cut
    ],
)
def test_all_means_are_inside(mean, low, high, expected) -> None:
    found = limits(mean, low, high)
    assert found == pytest.approx(expected)
    assert found[0] < np.min(mean) and np.max(mean) < found[1]


def test_kinds_differ_by_colour_and_dashes_and_models_by_shade_and_marker() -> None:
    kinds = {"net": "deep", "forest": "classical", "gru": "deep", "mean": "trivial"}
    styles = line_styles(kinds)
    assert styles.keys() == kinds.keys()
    assert [styles[m]["linestyle"] for m in kinds] == ["-", "--", "-", ":"]
    assert styles["forest"]["color"] == COLOURS["classical"]
    assert styles["net"]["color"] != styles["gru"]["color"]
    assert styles["net"]["marker"] != styles["gru"]["marker"]


def test_a_style_does_not_hang_on_the_order_asked_for(small_result) -> None:
    rows = [{"model": m, "fold": 0, "values": {"roc_auc": {"t": 0.5}}} for m in ("net", "forest")]
    result = small_result(rows, {"net": "deep"})
    styles = model_styles(result, ["forest", "absent", "net"])
    assert list(styles) == ["forest", "net"]
    assert styles["net"]["color"] == COLOURS["deep"]
