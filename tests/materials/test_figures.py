"""What the chapter on materials shows: errors by element and family, and what a screen finds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("pymatgen.core", reason="pip install pymatgen-core")

from chemdl.data import Dataset
from chemdl.evidence.result import Predictions, Result
from chemdl.materials import figures
from chemdl.show.figures import png


@pytest.fixture
def predicted(small_result: Callable[..., Result]) -> Callable[..., Result]:
    """A maker of results: measured values (n,) and each model's predictions, one test set."""

    def made(values: np.ndarray, **models: np.ndarray) -> Result:
        arrays = {f"{name}/all/0/0": given[:, None] for name, given in models.items()}
        rows = [{"model": name, "fold": 0, "values": {"mae": {"y": 1.0}}} for name in models]
        predictions = Predictions(values[:, None], {"test/0/0": np.arange(len(values)), **arrays})
        return small_result(rows, {"net": "deep"}, {"mae": "eV"}, predictions=predictions)

    return made


def test_errors_are_averaged_over_the_rows_that_hold_an_element(predicted) -> None:
    inputs = np.array(["NaCl", "NaBr", "KBr"], object)
    data = Dataset("salts", inputs, np.zeros((3, 1)), ("y",), "regression", "eV", {})
    result = predicted(np.zeros(3), net=np.array([1.0, 3.0, 8.0]))
    table = figures.element_errors(result, "net", data, fewest=1)
    errors = dict(zip(table["element"], table["error"], strict=True))
    assert errors == {"Na": 2.0, "Cl": 1.0, "K": 8.0, "Br": 5.5}
    figure = figures.periodic_table(table, "error (eV)")
    assert sum(text.get_text() == "Na" for text in figure.axes[0].texts) == 1


def test_a_perfect_screen_finds_the_best_at_once(predicted) -> None:
    values = np.arange(200.0)
    result = predicted(values, right=values, wrong=-values)
    assert figures.share_found(result, "right")["found"].iloc[1] == 1.0
    wrong = figures.share_found(result, "wrong")
    assert wrong["found"].iloc[197] == 0.0 and wrong["found"].iloc[-1] == 1.0


def test_screens_are_compared_on_the_rows_that_all_were_tested_on(predicted) -> None:
    values = np.arange(200.0)
    # Each study left one of the best two molecules untested: neither of them counts.
    first = predicted(values, net=np.where(values == 199, np.nan, values))
    second = predicted(values, kernel=np.where(values == 198, np.nan, -values))
    table = figures.screening_table([first, second])
    assert table["model"].tolist() == ["net", "kernel"]
    assert table["found in 10%"].tolist() == [1.0, 0.0]
    assert png(figures.screening_curves([first, second]))


def test_nets_are_compared_with_classical_models_fold_by_fold(
    small_result: Callable[..., Result],
) -> None:
    rows = [
        {"model": model, "fold": fold, "values": {"mae": {"gap": error + 0.01 * fold}}}
        for model, error in (("net", 0.3), ("forest", 0.5), ("ridge", 0.9))
        for fold in range(5)
    ]
    result = small_result(rows, {"net": "deep"}, {"mae": "eV"})
    table = figures.net_gain_table(result, ["forest", "absent"])
    assert table["classical model"].tolist() == ["forest"]
    assert table.loc[0, "difference"] == pytest.approx(0.2)
    assert table.loc[0, "95 % interval"] == "[+0.200, +0.200]"


def test_families_left_out_stand_beside_the_same_rows_on_random_folds(
    predicted, small_result: Callable[..., Result]
) -> None:
    random = predicted(np.zeros(4), net=np.array([1.0, 2.0, 3.0, 4.0]))
    rows = [
        {"model": "net", "fold": fold, "values": {"mae": {"gap": error}}}
        for fold, error in enumerate([5.0, 6.0])
    ]
    left_out = small_result(rows, units={"mae": "eV"}, protocol={"groups": ["O", "S"]})
    families = np.array(["O", "S", "O", "S"])
    figure = figures.family_errors(left_out, ["net", "absent"], random, families)
    open_marks, filled_marks = (line.get_xdata() for line in figure.axes[0].get_lines())
    assert list(open_marks) == pytest.approx([2.0, 3.0])
    assert list(filled_marks) == [5.0, 6.0]
