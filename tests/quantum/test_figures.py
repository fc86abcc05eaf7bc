"""What the chapter on quantum chemistry shows: exponents, errors by structure, invariances."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import chemdl
from chemdl.data import Dataset
from chemdl.evidence.result import Predictions, Result
from chemdl.learn.models import make_net
from chemdl.quantum import figures
from chemdl.quantum.baselines import DressedAtoms
from chemdl.quantum.shapes import describe_molecule
from chemdl.show.figures import learning_curves, png


@pytest.fixture
def curves(small_result: Callable[..., Result]) -> Result:
    """Two models whose error falls with the root of the number of train molecules."""
    rows = [
        {
            "model": model, "condition": condition, "fold": 0, "n_train": n, "n_test": 100,
            "values": {"mae": {"pbe0": factor * n**-0.5}},
        }
        for factor, model in ((20, "krr_bonds"), (21, "krr_laplacian"))
        for condition, n in (("all", 1600), ("100", 100), ("400", 400))
    ]  # fmt: skip
    return small_result(rows, units={"mae": "kcal/mol"}, study="qm7_sizes", dataset={"name": "qm7"})


def test_exponents_are_those_of_the_curve(curves: Result) -> None:
    table = figures.exponent_table(curves)
    np.testing.assert_allclose(table["exponent"], 0.5, atol=1e-6)
    # 20 / sqrt(n) = 1 at 400.
    assert table["1 kcal/mol at"].tolist() == ["400", "400"]


def test_chemical_accuracy_lies_within_the_panel(curves: Result) -> None:
    figure = figures.with_chemical_accuracy(learning_curves(curves), "y")
    low, high = figure.axes[0].get_ylim()
    assert low < 1 < high


@pytest.fixture
def molecules() -> Dataset:
    return chemdl.load("qm7", tasks=["pbe0"]).subset(np.arange(100, 180))


@pytest.fixture
def errors(molecules: Dataset, small_result: Callable[..., Result]) -> Result:
    """A kernel that errs by some kcal/mol, and by 50 for row 7; and a net that does not err."""
    predicted = molecules.targets + np.random.default_rng(0).normal(size=molecules.targets.shape)
    predicted[7] += 50
    arrays = {
        "test/0/0": np.arange(80),
        "krr_bonds/all/0/0": predicted,
        "dtnn/all/0/0": molecules.targets,
    }
    rows = [
        {"model": m, "fold": 0, "values": {"mae": {"pbe0": 1.0}}} for m in ("krr_bonds", "dtnn")
    ]
    predictions = Predictions(molecules.targets, arrays)
    return small_result(rows, {"dtnn": "deep"}, predictions=predictions)


def test_the_largest_error_stands_first(errors: Result, molecules: Dataset) -> None:
    table = figures.largest_errors(errors, ["krr_bonds", "dtnn"], molecules, count=3)
    assert len(table) == 3
    assert table.loc[0, "formula"] == describe_molecule(molecules.inputs[7])["formula"]
    assert table.loc[0, "error of dtnn"] == "+0.0"


def test_errors_by_structure_count_the_molecules(errors: Result, molecules: Dataset) -> None:
    figure = figures.errors_by_structure(errors, ["krr_bonds", "dtnn"], molecules)
    by_size = figure.axes[2]
    counts = [int(label.get_text().split("\n")[1]) for label in by_size.get_xticklabels()]
    assert len(figure.axes) == 3 and sum(counts) == 80


def test_an_invariant_model_does_not_move() -> None:
    model = DressedAtoms().fit([figures.ETHANOL, "C 0 0 0", "O 0 0 0"], [-9.0, -1.0, -2.0])
    table = figures.invariance_table({"dressed_atoms": model}, figures.ETHANOL)
    assert table.loc[0, ["rotated", "moved", "atoms reordered"]].tolist() == ["0.0e+00"] * 3


def test_the_slope_of_a_scan_is_its_difference() -> None:
    data = chemdl.load("qm7", tasks=["pbe0"])
    rows = np.arange(0, 7101, 100)
    net = make_net("continuous_filter", "regression", width=32, channels=8, epochs=3)
    net.fit(data.inputs[rows], data.targets[rows, 0])
    scan = figures.torsion_scan(net, figures.ETHANOL, np.arange(20.0, 60.0, 2.0))
    between, slope = np.diff(scan["energy"]) / 2.0, scan["slope"].to_numpy()
    np.testing.assert_allclose(between, 0.5 * (slope[1:] + slope[:-1]), atol=5e-3)
    assert png(figures.scan_figure({"net": scan}))


def test_tables_of_tasks_and_forces(small_result: Callable[..., Result]) -> None:
    rows = [{"model": "net", "fold": 0, "values": {"mae": {"energy": 0.5, "F1x": 1.0, "F1y": 3.0}}}]
    truth = np.random.default_rng(0).normal(size=(2, 28))
    predictions = Predictions(truth, {"test/0/0": np.arange(2), "net/all/0/0": truth + 1})
    result = small_result(rows, {"net": "deep"}, predictions=predictions)
    assert figures.force_table(result).loc[0, "forces (kcal/mol/Å)"] == 2.0
    assert figures.task_table(result, "mae").loc[0, "F1y"] == 3.0
    assert png(figures.trajectory_errors(result, ["net"]))


def test_figures_of_the_data() -> None:
    data = chemdl.load("qm7").subset(np.arange(0, 7101, 100))
    assert png(figures.levels_figure(data))
    assert png(figures.coulomb_orders(figures.ETHANOL, "ethanol"))
