"""Figures and tables of quantum chemistry: matrices, invariances, scans, errors by structure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from chemdl.data import Dataset
from chemdl.evidence.result import Result
from chemdl.quantum.coulomb import coulomb_matrix
from chemdl.quantum.geometries import SYMBOLS, composition, elements, geometry, geometry_text
from chemdl.quantum.shapes import describe_molecule, rotated, torsion
from chemdl.show.figures import panels, plain
from chemdl.show.lines import COLOURS, WIDTH, model_styles
from chemdl.show.tables import learning_curve_table, pretty, task_means

# The error of a good measurement of a heat of formation, kcal/mol.
CHEMICAL_ACCURACY = 1.0
_ACCURACY: dict[str, Any] = {"color": "#009E73", "linewidth": 1.0, "linestyle": "-.", "zorder": 0}
# The first frame of the trajectory: a relaxed molecule, and the atoms C, C, O and H of its torsion.
ETHANOL = (
    "C 0.0072 -0.5687 0; C -1.2854 0.2499 0; O 1.1304 0.3147 0; H 0.0392 -1.1972 0.89; "
    "H 0.0392 -1.1972 -0.89; H -1.3175 0.8784 0.89; H -1.3175 0.8784 -0.89; H -2.1422 -0.4239 0; "
    "H 1.9857 -0.1365 0"
)
TORSION = (1, 0, 2, 8)


def with_chemical_accuracy(figure: Figure, axis: Literal["x", "y"] = "x") -> Figure:
    """Draw the line of 1 kcal/mol into every panel of a figure and make room for it."""
    for panel in figure.axes:
        ruler, draw = (panel.xaxis, panel.axvline) if axis == "x" else (panel.yaxis, panel.axhline)
        low, high = ruler.get_view_interval()
        draw(CHEMICAL_ACCURACY, **_ACCURACY)
        low = min(low, CHEMICAL_ACCURACY * 0.85 if ruler.get_scale() == "log" else 0.0)
        panel.set(**{f"{axis}lim": (low, high)})
    return figure


def exponent_table(result: Result) -> pd.DataFrame:
    """Fit error = c · n^-α to each model's learning curve of one task.

    One row per model: its error at the largest size, the exponent α with its standard error, and
    the n at which the fitted line meets 1 kcal/mol, where it falls.
    """
    rows = []
    for model, curve in learning_curve_table(result).groupby("model", sort=False):
        curve = curve.sort_values("molecules")
        x, y = np.log(curve["molecules"].to_numpy()), np.log(curve["mean"].to_numpy())
        if len(x) < 3:
            continue
        (slope, intercept), covariance = np.polyfit(x, y, 1, cov=True)
        needed = np.exp(intercept / -slope) if slope < -0.05 else np.nan
        rows.append(
            {
                "model": model,
                "kind": curve["kind"].iloc[0],
                "error at the largest size": float(curve["mean"].iloc[-1]),
                "exponent": -slope,
                "standard error": float(np.sqrt(covariance[0, 0])),
                "1 kcal/mol at": _molecules(needed),
            }
        )
    table = pd.DataFrame(rows).sort_values("error at the largest size", ignore_index=True)
    table.attrs["caption"] = (
        "Error ∝ n^-exponent, fitted to the sizes of the figure; the last column extrapolates."
    )
    return table


def _molecules(count: float) -> str:
    """Write an extrapolated number of molecules with one digit; nothing where there is none."""
    if not np.isfinite(count):
        return ""
    return f"{float(f'{count:.1g}'):,.0f}" if count < 1e6 else "over a million"


def task_table(result: Result, metric: str) -> pd.DataFrame:
    """Return one row per model and a column for each task, the metric's mean over replicas."""
    rows = [{"model": pretty(m), **task_means(result, m, metric)} for m in result.models]
    table = pd.DataFrame(rows).rename(columns=pretty)
    table.attrs["caption"] = (
        f"{metric.upper()} of each property. Card: {result.study} ({result.profile})."
    )
    return table


def force_table(result: Result) -> pd.DataFrame:
    """Return each model's mean absolute errors of energy and of the forces' components."""
    rows = []
    for model in result.models:
        errors = pd.Series(task_means(result, model, "mae"))
        rows.append(
            {
                "model": pretty(model),
                "train frames": next(iter(result.replicas(model).values())).n_train,
                "energy (kcal/mol)": errors["energy"],
                "forces (kcal/mol/Å)": errors[errors.index.str.startswith("F")].mean(),
            }
        )
    table = pd.DataFrame(rows)
    table.attrs["caption"] = f"Mean absolute errors. Card: {result.study} ({result.profile})."
    return table


def trajectory_errors(result: Result, models: Sequence[str]) -> Figure:
    """Draw the errors of energies and forces of test frames against the frame's energy.

    Energies count from the zero of the data, which is a relaxed molecule.
    """
    rows = result.predictions.arrays["test/0/0"]
    truth = result.predictions.targets[rows]
    figure, (left, right) = panels(2, columns=2, height=3.0)
    for model, style in model_styles(result, models).items():
        errors = result.predictions.pooled(model)[rows] - truth
        dots = {**style, "linestyle": "none", "markersize": 2.5, "alpha": 0.6}
        left.plot(truth[:, 0], errors[:, 0], **dots, label=pretty(model))
        right.plot(truth[:, 0], np.abs(errors[:, 1:]).mean(axis=1), **dots, label=pretty(model))
    for value in (-CHEMICAL_ACCURACY, CHEMICAL_ACCURACY):
        left.axhline(value, **_ACCURACY)
    left.set_ylabel("error of the energy (kcal/mol)")
    right.set_ylabel("mean error of a force (kcal/mol/Å)")
    right.set_ylim(bottom=0)
    for panel in (left, right):
        panel.set_xlabel("energy of the frame (kcal/mol)")
        plain(panel, grid=None)
    return figure


def largest_errors(
    result: Result, models: Sequence[str], dataset: Dataset, count: int = 8
) -> pd.DataFrame:
    """Return the molecules that the first model misses most, with the errors of all of them."""
    predictions = result.predictions
    errors = {name: predictions.pooled(name)[:, 0] - predictions.targets[:, 0] for name in models}
    first = np.abs(errors[models[0]])
    rows = []
    for row in np.argsort(-np.nan_to_num(first, nan=-1.0))[:count]:
        about = describe_molecule(str(dataset.inputs[row]))
        about.pop("elements")
        about["smallest angle"] = f"{about['smallest angle']:.0f}°"
        here = {f"error of {pretty(name)}": f"{errors[name][row]:+.1f}" for name in models}
        rows.append({**about, **here})
    table = pd.DataFrame(rows)
    table.attrs["caption"] = "Errors in kcal/mol; the largest first."
    return table


def errors_by_structure(result: Result, models: Sequence[str], dataset: Dataset) -> Figure:
    """Draw mean absolute errors by element, by strain and by size, one panel each."""
    predictions = result.predictions
    tested = np.flatnonzero(np.isfinite(predictions.pooled(models[0])[:, 0]))
    about = pd.DataFrame([describe_molecule(str(dataset.inputs[row])) for row in tested])
    groups = _structures(about)
    figure = Figure(figsize=(WIDTH, 3.1), layout="constrained")
    axes = figure.subplots(1, len(groups), sharey=True)
    for axis, (title, parts) in zip(axes, groups.items(), strict=True):
        for place, (model, style) in enumerate(model_styles(result, models).items()):
            error = np.abs(predictions.pooled(model)[:, 0] - predictions.targets[:, 0])[tested]
            means = [error[part].mean() if part.any() else np.nan for part in parts.values()]
            x = np.arange(len(parts)) + 0.12 * (place - (len(models) - 1) / 2)
            axis.plot(x, means, **{**style, "linestyle": "none"}, label=pretty(model))
        names = [f"{name}\n{int(part.sum()):,}" for name, part in parts.items()]
        axis.set_xticks(range(len(parts)), names, fontsize=7)
        axis.set_xlabel(title, fontsize=8)
        axis.axhline(CHEMICAL_ACCURACY, **_ACCURACY)
        plain(axis, grid=None)
        axis.set_ylim(bottom=0)
    axes[0].set_ylabel("MAE (kcal/mol)")
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    return figure


def _structures(about: pd.DataFrame) -> dict[str, dict[str, NDArray[np.bool_]]]:
    """Return, for each panel, which molecules belong to each of its groups."""
    angle, size = about["smallest angle"].to_numpy(), about["heavy atoms"].to_numpy()
    symbols = about["elements"]
    return {
        "elements beside C and H": {
            **{s: symbols.str.contains(s).to_numpy() for s in ("N", "O", "S")},
            "none": (symbols == "C").to_numpy(),
        },
        "smallest angle of the skeleton": {
            "< 75°": angle < 75,
            "75–100°": (angle >= 75) & (angle < 100),
            "> 100°": angle >= 100,
        },
        "atoms heavier than H": {"up to 5": size <= 5, "6": size == 6, "7": size == 7},
    }


def invariance_table(models: Mapping[str, Any], text: str, seed: int = 0) -> pd.DataFrame:
    """Return how much each model's prediction changes under changes that keep a molecule the same.

    The molecule is turned and mirrored at random, moved by some Å, and its atoms are reordered; for
    each the largest change of the prediction is given, in the target's unit.
    """
    rng = np.random.default_rng(seed)
    numbers, xyz = geometry(text)
    turned = xyz @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    order = rng.permutation(len(numbers))
    same = {
        "rotated": geometry_text(numbers, turned),
        "moved": geometry_text(numbers, xyz + rng.normal(size=3) * 5),
        "atoms reordered": geometry_text(numbers[order], xyz[order]),
    }
    rows = []
    for name, model in models.items():
        before, *after = np.ravel(model.predict(np.array([text, *same.values()], dtype=object)))
        changes = dict(zip(same, (f"{abs(p - before):.1e}" for p in after), strict=True))
        rows.append({"model": pretty(name), "prediction": f"{before:.3f}", **changes})
    table = pd.DataFrame(rows)
    table.attrs["caption"] = "Changes of the prediction, kcal/mol: rounding, and no more."
    return table


def torsion_scan(model: Any, text: str, degrees: NDArray[np.float64]) -> pd.DataFrame:
    """Turn ethanol's hydroxyl hydrogen rigidly: ``degrees``, ``energy``, and ``slope`` per degree.

    The slope is the force on the hydrogen along its circle, -F · (axis × arm), as the network has
    it by differentiation; the other atoms do not move.
    """
    start = torsion(text, TORSION)
    carbon, oxygen, hydrogen = TORSION[1:]
    turned = [rotated(text, (carbon, oxygen), [hydrogen], angle - start) for angle in degrees]
    energy, forces = model.energies_and_forces(turned)
    slopes = []
    for frame, force in zip(turned, forces, strict=True):
        xyz = geometry(frame).xyz
        along = (xyz[oxygen] - xyz[carbon]) / np.linalg.norm(xyz[oxygen] - xyz[carbon])
        path = np.cross(along, xyz[hydrogen] - xyz[oxygen])
        slopes.append(-force[hydrogen] @ path * np.pi / 180)
    return pd.DataFrame({"degrees": degrees, "energy": energy, "slope": slopes})


def scan_figure(scans: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw energy and slope of each :func:`torsion_scan` along the torsion, kcal/mol.

    Below, the slope that the network gives by differentiation is a line, and the differences of
    the energies above are dots: they must agree. Energies count from their lowest.
    """
    figure = Figure(figsize=(WIDTH * 0.85, 4.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    for (name, scan), colour in zip(scans.items(), ("#0072B2", "#56B4E9", "#D55E00"), strict=False):
        degrees, energy, slope = (scan[c].to_numpy() for c in ("degrees", "energy", "slope"))
        upper.plot(degrees, energy - energy.min(), color=colour, label=name)
        lower.plot(degrees, slope, color=colour, label=f"{name}, by differentiation")
        middle = 0.5 * (degrees[1:] + degrees[:-1])
        lower.plot(middle, np.diff(energy) / np.diff(degrees), ".", color=colour, ms=5)
    upper.axhline(CHEMICAL_ACCURACY, **_ACCURACY)
    lower.axhline(0.0, color="#999999", linewidth=0.8)
    upper.set_ylabel("energy (kcal/mol)")
    lower.set_ylabel("slope (kcal/mol per degree)")
    lower.set_xlabel("torsion C–C–O–H (degrees)")
    upper.legend(frameon=False, fontsize=8)
    for axis in (upper, lower):
        plain(axis, grid=None)
    return figure


def coulomb_orders(text: str, name: str, seed: int = 0) -> Figure:
    """Draw one molecule's Coulomb matrix: as written, sorted by norm, and in a random order."""
    matrix = coulomb_matrix(geometry(text))
    norms = np.linalg.norm(matrix, axis=1)
    noise = np.random.default_rng(seed).standard_normal(len(norms))
    orders = {
        "atoms as written": np.arange(len(norms)),
        "sorted by norm": np.argsort(-norms, kind="stable"),
        "norm plus noise": np.argsort(-(norms + noise), kind="stable"),
    }
    symbols = [SYMBOLS[int(z)] for z in geometry(text).numbers]
    figure, axes = panels(len(orders), columns=len(orders), height=2.7)
    for axis, (title, order) in zip(axes, orders.items(), strict=True):
        image = axis.imshow(np.log10(matrix[np.ix_(order, order)]), cmap="cividis")
        axis.set_xticks(range(len(order)), [symbols[i] for i in order], fontsize=7)
        axis.set_yticks(range(len(order)), [symbols[i] for i in order], fontsize=7)
        axis.set_title(f"{name}, {title}", fontsize=9)
    bar = figure.colorbar(image, ax=axes, shrink=0.85)
    bar.set_label("log₁₀ of the entry (hartree)", fontsize=8)
    return figure


def levels_figure(dataset: Dataset) -> Figure:
    """Draw the two levels of energy against each other, and what each leaves of the other.

    Left, the energies; right, histograms of what a linear fit on composition leaves of the high
    level's energy, and of the difference of the levels.
    """
    high, low = dataset.targets.T
    counts = composition(dataset.inputs, elements(dataset.inputs))
    figure, (left, right) = panels(2, columns=2, height=2.9)
    left.plot(low, high, ".", ms=2, color=COLOURS["deep"])
    ends = [min(low.min(), high.min()), max(low.max(), high.max())]
    left.plot(ends, ends, color="#999999", linewidth=0.8)
    left.set_xlabel("DFTB (kcal/mol)")
    left.set_ylabel("PBE0 (kcal/mol)")
    bins = np.linspace(-60, 60, 61).tolist()
    for name, energy, colour in (
        ("PBE0 less composition", high, COLOURS["deep"]),
        ("PBE0 − DFTB, likewise", high - low, COLOURS["classical"]),
    ):
        left_over = energy - counts @ np.linalg.lstsq(counts, energy)[0]
        label = f"{name}: mean size {np.abs(left_over).mean():.1f}"
        right.hist(left_over, bins=bins, histtype="step", color=colour, label=label)
    right.axvspan(-CHEMICAL_ACCURACY, CHEMICAL_ACCURACY, color="#009E73", alpha=0.25)
    right.set_xlabel("kcal/mol")
    right.set_ylabel("molecules")
    right.legend(frameon=False, fontsize=7, loc="upper left")
    right.set_ylim(top=right.get_ylim()[1] * 1.25)
    for axis in (left, right):
        plain(axis, grid=None)
    return figure
