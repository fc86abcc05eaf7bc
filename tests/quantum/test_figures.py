"""What the chapter on quantum chemistry draws: angles, strain, exponents, invariances."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import chemdl
from chemdl import show as plots
from chemdl.evidence.cards import Predictions
from chemdl.learn import catalogue
from chemdl.quantum import figures as geometry_plots
from chemdl.quantum.baselines import DressedAtoms


def test_a_torsion_is_set_and_read() -> None:
    carbon, oxygen, hydrogen = geometry_plots.TORSION[1:]
    start = geometry_plots.torsion(geometry_plots.ETHANOL, geometry_plots.TORSION)
    assert abs(start) == pytest.approx(180, abs=0.01)
    for angle in (-170.0, -60.0, 0.0, 55.0, 179.0):
        turned = geometry_plots.rotated(
            geometry_plots.ETHANOL, (carbon, oxygen), [hydrogen], angle - start
        )
        assert geometry_plots.torsion(turned, geometry_plots.TORSION) == pytest.approx(angle)


def test_the_slope_of_a_scan_is_its_difference() -> None:
    data = chemdl.load("qm7", tasks=["pbe0"])
    rows = np.arange(0, 7101, 100)
    net = catalogue.net("continuous_filter", "regression", width=32, channels=8, epochs=3)
    net.fit(data.inputs[rows], data.targets[rows, 0])
    degrees = np.arange(20.0, 60.0, 2.0)
    _, energy, slope = geometry_plots.torsion_scan(net, geometry_plots.ETHANOL, degrees)
    between = np.diff(energy) / 2.0
    np.testing.assert_allclose(between, 0.5 * (slope[1:] + slope[:-1]), atol=5e-3)
    figure = geometry_plots.scan_figure({"net": (degrees, energy, slope)})
    assert plots.png(figure)


def test_strain_rings_and_formula() -> None:
    # Cyclopropane's skeleton, and a chain.
    ring = "C 0 0 0; C 1.51 0 0; C 0.755 1.3077 0"
    about = geometry_plots.describe_molecule(ring)
    assert about["smallest angle"] == pytest.approx(60, abs=0.1)
    assert (about["rings"], about["heavy atoms"], about["formula"]) == (1, 3, "C3")
    ethanol = geometry_plots.describe_molecule(geometry_plots.ETHANOL)
    assert (ethanol["formula"], ethanol["rings"]) == ("C2H6O", 0)
    assert ethanol["elements"] == "CO"


def card(models: list[str]) -> dict[str, Any]:
    scores = [
        {
            "model": model, "condition": condition, "repeat": 0, "fold": 0, "n_train": n,
            "n_test": 100, "values": {"mae": {"pbe0": factor * n**-0.5}}, "fit_seconds": 1.0,
        }
        for factor, model in enumerate(models, start=20)
        for condition, n in (("all", 1600), ("100", 100), ("400", 400))
    ]  # fmt: skip
    return {
        "study": "qm7_sizes",
        "profile": "smoke",
        "models": [{"name": model, "kind": "other"} for model in models],
        "metrics": [{"name": "mae", "unit": "kcal/mol", "higher_is_better": False}],
        "scores": scores,
        "protocol": {"name": "published"},
        "dataset": {"name": "qm7"},
    }


def test_exponents_are_those_of_the_curve() -> None:
    table = geometry_plots.exponent_table(card(["krr_bonds", "krr_laplacian"]))
    np.testing.assert_allclose(table["exponent"], 0.5, atol=1e-6)
    # 20 / sqrt(n) = 1 at 400.
    assert table["1 kcal/mol at"].tolist() == ["400", "400"]
    figure = geometry_plots.with_chemical_accuracy(plots.learning_curves(card(["a", "b"])), "y")
    low, high = figure.axes[0].get_ylim()
    assert low < 1 < high


def test_an_invariant_model_does_not_move() -> None:
    model = DressedAtoms().fit([geometry_plots.ETHANOL, "C 0 0 0", "O 0 0 0"], [-9.0, -1.0, -2.0])
    table = geometry_plots.invariance_table({"dressed_atoms": model}, geometry_plots.ETHANOL)
    assert table.loc[0, ["rotated", "moved", "atoms reordered"]].tolist() == ["0.0e+00"] * 3


def test_errors_by_kind_and_the_largest() -> None:
    data = chemdl.load("qm7", tasks=["pbe0"]).subset(np.arange(100, 180))
    rng = np.random.default_rng(0)
    found = data.targets + rng.normal(size=data.targets.shape)
    found[7] += 50
    arrays = {"test/0/0": np.arange(80), "krr_bonds/all/0/0": found, "a/all/0/0": data.targets}
    predictions = Predictions(data.targets, arrays)
    table = geometry_plots.largest_errors(data.inputs, predictions, ["krr_bonds", "a"], count=3)
    assert isinstance(table, pd.DataFrame) and len(table) == 3
    assert table.loc[0, "formula"] == geometry_plots.describe_molecule(data.inputs[7])["formula"]
    models = [{"name": name, "kind": "other"} for name in ("krr_bonds", "a")]
    figure = geometry_plots.error_by_kind(
        data.inputs, predictions, ["krr_bonds", "a"], {"models": models}
    )
    assert len(figure.axes) == 3


def test_pictures_of_the_data() -> None:
    data = chemdl.load("qm7").subset(np.arange(0, 7101, 100))
    assert plots.png(geometry_plots.levels_figure(data))
    assert plots.png(geometry_plots.coulomb_pictures(geometry_plots.ETHANOL, "ethanol"))


def test_tables_of_tasks_and_forces() -> None:
    values = {"energy": 0.5, "F1x": 1.0, "F1y": 3.0}
    score = {"model": "net", "condition": "all", "n_train": 10, "values": {"mae": values}}
    shown = {"study": "ethanol", "profile": "full", "scores": [score], "models": [{"name": "net"}]}
    table = geometry_plots.force_table(shown)
    assert table.loc[0, "forces (kcal/mol/Å)"] == "2.000"
    assert geometry_plots.task_table(shown, "mae").loc[0, "F1y"] == "3.000"
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(2, 28))
    predictions = Predictions(truth, {"test/0/0": np.arange(2), "net/all/0/0": truth + 1})
    assert plots.png(geometry_plots.trajectory_figure(predictions, ["net"]))
