"""What the chapter on quantum chemistry shows: learning curves, invariances, scans, errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from chemdl.evidence.cards import Predictions
from chemdl.quantum.coulomb import coulomb_matrix
from chemdl.quantum.geometries import SYMBOLS, geometry, geometry_text, neighbour_distances
from chemdl.show.lines import COLOURS, WIDTH, line_styles
from chemdl.show.tables import Card, learning_curve_table, pretty

# The error of a good measurement of a heat of formation, kcal/mol.
CHEMICAL_ACCURACY = 1.0
# The first frame of the trajectory: a relaxed molecule, and the atoms C, C, O and H of its torsion.
ETHANOL = (
    "C 0.0072 -0.5687 0; C -1.2854 0.2499 0; O 1.1304 0.3147 0; H 0.0392 -1.1972 0.89; "
    "H 0.0392 -1.1972 -0.89; H -1.3175 0.8784 0.89; H -1.3175 0.8784 -0.89; H -2.1422 -0.4239 0; "
    "H 1.9857 -0.1365 0"
)
TORSION = (1, 0, 2, 8)
# Bond lengths are at most so many times the sum of covalent radii.
_BONDED = 1.2
_RADII = {1: 0.31, 6: 0.76, 7: 0.71, 8: 0.66, 9: 0.57, 16: 1.05, 17: 1.02}  # Å, Cordero et al. 2008


def with_chemical_accuracy(figure: Figure, axis: Literal["x", "y"] = "x") -> Figure:
    """Draw the line of 1 kcal/mol into every panel of a figure and make room for it."""
    for panel in figure.axes:
        low, high = panel.get_xlim() if axis == "x" else panel.get_ylim()
        is_log = (panel.get_xscale() if axis == "x" else panel.get_yscale()) == "log"
        low = min(low, CHEMICAL_ACCURACY * 0.85 if is_log else 0.0)
        style: dict[str, Any] = {
            "color": "#009E73",
            "linewidth": 1.0,
            "linestyle": "-.",
            "zorder": 0,
        }
        if axis == "x":
            panel.axvline(CHEMICAL_ACCURACY, **style)
            panel.set_xlim(low, high)
        else:
            panel.axhline(CHEMICAL_ACCURACY, **style)
            panel.set_ylim(low, high)
    return figure


def exponent_table(card: Card) -> pd.DataFrame:
    """Fit error = c · n^-α to each model's learning curve of one task.

    One row per model: its error at the largest size, the exponent α with its standard error, and
    the n at which the fitted line meets 1 kcal/mol, where it falls.
    """
    rows = []
    for model, own in learning_curve_table(card).groupby("model", sort=False):
        own = own.sort_values("molecules")
        x, y = np.log(own["molecules"].to_numpy()), np.log(own["mean"].to_numpy())
        if len(x) < 3:
            continue
        (slope, intercept), covariance = np.polyfit(x, y, 1, cov=True)
        needed = np.exp(intercept / -slope) if slope < -0.05 else np.nan
        rows.append(
            {
                "model": model,
                "kind": own["kind"].iloc[0],
                "error at the largest size": float(own["mean"].iloc[-1]),
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


def coulomb_pictures(text: str, name: str, seed: int = 0) -> Figure:
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
    figure = Figure(figsize=(WIDTH, 2.7), layout="constrained")
    panels = figure.subplots(1, len(orders))
    for panel, (title, order) in zip(panels, orders.items(), strict=True):
        shown = np.log10(matrix[np.ix_(order, order)])
        image = panel.imshow(shown, cmap="cividis")
        ticks = range(len(order))
        panel.set_xticks(ticks, [symbols[i] for i in order], fontsize=7)
        panel.set_yticks(ticks, [symbols[i] for i in order], fontsize=7)
        panel.set_title(f"{name}, {title}", fontsize=9)
    bar = figure.colorbar(image, ax=panels, shrink=0.85)
    bar.set_label("log₁₀ of the entry (hartree)", fontsize=8)
    return figure


def invariance_table(models: Mapping[str, Any], text: str, seed: int = 0) -> pd.DataFrame:
    """Return how each fitted model's prediction moves when one molecule does not change.

    Turned and mirrored at random, moved by some Å, its atoms written in another order: the largest
    change of the prediction each, in the target's unit.
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


def rotated(text: str, axis: tuple[int, int], moving: Sequence[int], degrees: float) -> str:
    """Return a geometry in which some atoms are turned about the line between two others.

    ``axis`` and ``moving`` count the atoms from 0; a positive angle turns clockwise as one looks
    from the first atom of the axis to the second.
    """
    numbers, xyz = geometry(text)
    origin, end = xyz[axis[0]], xyz[axis[1]]
    along = (end - origin) / np.linalg.norm(end - origin)
    angle = np.deg2rad(degrees)
    arms = xyz[list(moving)] - origin
    # Rodrigues' formula.
    turned = (
        arms * np.cos(angle)
        + np.cross(along, arms) * np.sin(angle)
        + np.outer(arms @ along, along) * (1 - np.cos(angle))
    )
    out = xyz.copy()
    out[list(moving)] = origin + turned
    return geometry_text(numbers, out)


def torsion(text: str, atoms: tuple[int, int, int, int]) -> float:
    """Return the torsion angle of four atoms in degrees, from -180 to 180."""
    a, b, c, d = geometry(text).xyz[list(atoms)]
    first, middle, last = b - a, c - b, d - c
    left, right = np.cross(first, middle), np.cross(middle, last)
    sine = np.linalg.norm(middle) * (first @ right)
    return float(np.degrees(np.arctan2(sine, left @ right)))


def torsion_scan(
    model: Any, text: str, degrees: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Turn ethanol's hydroxyl hydrogen rigidly: degrees, energies, and slopes per degree.

    The slope is the force on the hydrogen along its circle, -F · (axis × arm), as the network has
    it by differentiation; the other atoms do not move.
    """
    start = torsion(text, TORSION)
    carbon, oxygen, hydrogen = TORSION[1:]
    turned = [rotated(text, (carbon, oxygen), [hydrogen], angle - start) for angle in degrees]
    energy, forces = model.energies_and_forces(turned)
    slopes = []
    for own, force in zip(turned, forces, strict=True):
        xyz = geometry(own).xyz
        along = (xyz[oxygen] - xyz[carbon]) / np.linalg.norm(xyz[oxygen] - xyz[carbon])
        path = np.cross(along, xyz[hydrogen] - xyz[oxygen])
        slopes.append(-force[hydrogen] @ path * np.pi / 180)
    return degrees, energy, np.array(slopes)


def force_table(card: Card) -> pd.DataFrame:
    """Return each model's mean absolute errors of energy and of the forces' components."""
    rows = []
    for score in card["scores"]:
        values = score["values"]["mae"]
        forces = [value for task, value in values.items() if task.startswith("F")]
        rows.append(
            {
                "model": pretty(score["model"]),
                "train frames": score["n_train"],
                "energy (kcal/mol)": f"{values['energy']:.3f}",
                "forces (kcal/mol/Å)": f"{np.mean(forces):.3f}",
            }
        )
    table = pd.DataFrame(rows)
    table.attrs["caption"] = f"Mean absolute errors. Card: {card['study']} ({card['profile']})."
    return table


def task_table(card: Card, metric: str) -> pd.DataFrame:
    """Return one row per model and a column for each task, the metric's mean over replicas."""
    rows = []
    for model in card["models"]:
        own = [s for s in card["scores"] if s["model"] == model["name"] and s["condition"] == "all"]
        values = {
            task: f"{np.mean([score['values'][metric][task] for score in own]):.3f}"
            for task in own[0]["values"][metric]
        }
        rows.append({"model": pretty(model["name"]), **{pretty(k): v for k, v in values.items()}})
    table = pd.DataFrame(rows)
    table.attrs["caption"] = (
        f"{metric.upper()} of each property. Card: {card['study']} ({card['profile']})."
    )
    return table


def scan_figure(scan: Mapping[str, tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]) -> Figure:
    """Draw energy and slope along a torsion: {name: (degrees, energy, slope)}, kcal/mol.

    Below, the slope that the network gives by differentiation is a line, and the differences of
    the energies above are dots: they must agree. Energies count from their lowest.
    """
    figure = Figure(figsize=(WIDTH * 0.85, 4.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    shades = ["#0072B2", "#56B4E9", "#D55E00"]
    for (name, (degrees, energy, slope)), colour in zip(scan.items(), shades, strict=False):
        upper.plot(degrees, energy - energy.min(), color=colour, label=name)
        lower.plot(degrees, slope, color=colour, label=f"{name}, by differentiation")
        middle = 0.5 * (degrees[1:] + degrees[:-1])
        lower.plot(middle, np.diff(energy) / np.diff(degrees), ".", color=colour, ms=5)
    upper.axhline(CHEMICAL_ACCURACY, color="#009E73", linewidth=1.0, linestyle="-.")
    lower.axhline(0.0, color="#999999", linewidth=0.8)
    upper.set_ylabel("energy (kcal/mol)")
    lower.set_ylabel("slope (kcal/mol per degree)")
    lower.set_xlabel("torsion C–C–O–H (degrees)")
    upper.legend(frameon=False, fontsize=8)
    for panel in (upper, lower):
        panel.spines[["top", "right"]].set_visible(False)
    return figure


def trajectory_figure(predictions: Predictions, models: Sequence[str]) -> Figure:
    """Draw the errors of energies and forces of test frames against the frame's energy.

    Energies count from the zero of the data, which is a relaxed molecule.
    """
    rows = predictions.arrays["test/0/0"]
    truth = predictions.targets[rows]
    styles = line_styles(dict.fromkeys(models, "deep"))
    figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    for model in models:
        found = predictions.pooled(model)[rows]
        style = {**styles[model], "linestyle": "none", "markersize": 2.5, "alpha": 0.6}
        left.plot(truth[:, 0], found[:, 0] - truth[:, 0], **style, label=pretty(model))
        forces = np.abs(found[:, 1:] - truth[:, 1:]).mean(axis=1)
        right.plot(truth[:, 0], forces, **style, label=pretty(model))
    for value in (-CHEMICAL_ACCURACY, CHEMICAL_ACCURACY):
        left.axhline(value, color="#009E73", linewidth=1.0, linestyle="-.")
    left.set_ylabel("error of the energy (kcal/mol)")
    right.set_ylabel("mean error of a force (kcal/mol/Å)")
    right.set_ylim(bottom=0)
    for panel in (left, right):
        panel.set_xlabel("energy of the frame (kcal/mol)")
        panel.spines[["top", "right"]].set_visible(False)
    return figure


def describe_molecule(text: str) -> dict[str, Any]:
    """Return what a chemist asks first: formula, atoms, elements, rings by bonds, smallest angle.

    Two atoms are bonded where they are nearer than 1.2 times the sum of their covalent radii. The
    smallest angle between two bonds of heavy atoms, in degrees, shows strain: 60 in
    cyclopropane, 90 in cyclobutane.
    """
    numbers, xyz = geometry(text)
    distance = neighbour_distances(xyz)
    radii = np.array([_RADII.get(int(z), 1.0) for z in numbers])
    bonded = (distance < _BONDED * (radii[:, None] + radii)) & (distance > 0)
    heavy = numbers > 1
    skeleton = bonded & heavy & heavy[:, None]
    counts = Counter(SYMBOLS[int(z)] for z in numbers)
    formula = "".join(
        f"{symbol}{counts[symbol] if counts[symbol] > 1 else ''}"
        for symbol in sorted(counts, key=lambda s: (s != "C", s != "H", s))
    )
    return {
        "formula": formula,
        "heavy atoms": int(heavy.sum()),
        "rings": int(skeleton.sum()) // 2 - int(heavy.sum()) + _fragments(skeleton, heavy),
        "smallest angle": _smallest_angle(xyz, skeleton),
        "elements": "".join(sorted({SYMBOLS[int(z)] for z in numbers[heavy]})),
    }


def largest_errors(
    inputs: Any, predictions: Predictions, models: Sequence[str], count: int = 8
) -> pd.DataFrame:
    """Return the molecules that the first model misses most, with the errors of all of them."""
    found = {name: predictions.pooled(name)[:, 0] - predictions.targets[:, 0] for name in models}
    first = np.abs(found[models[0]])
    order = np.argsort(-np.nan_to_num(first, nan=-1.0))[:count]
    rows = []
    for row in order:
        about = describe_molecule(str(inputs[row]))
        about.pop("elements")
        about["smallest angle"] = f"{about['smallest angle']:.0f}°"
        errors = {f"error of {pretty(name)}": f"{found[name][row]:+.1f}" for name in models}
        rows.append({**about, **errors})
    table = pd.DataFrame(rows)
    table.attrs["caption"] = "Errors in kcal/mol; the largest first."
    return table


def error_by_kind(
    inputs: Any, predictions: Predictions, models: Sequence[str], card: Card
) -> Figure:
    """Draw mean absolute errors by element, by strain and by size, one panel each."""
    tested = np.flatnonzero(np.isfinite(predictions.pooled(models[0])[:, 0]))
    about = pd.DataFrame([describe_molecule(str(inputs[row])) for row in tested])
    angle = about["smallest angle"]
    groups = {
        "elements beside C and H": [(s, about["elements"].str.contains(s)) for s in ("N", "O", "S")]
        + [("none", about["elements"] == "C")],
        "smallest angle of the skeleton": [
            ("< 75°", angle < 75),
            ("75–100°", (angle >= 75) & (angle < 100)),
            ("> 100°", angle >= 100),
        ],
        "atoms heavier than H": [
            ("up to 5", about["heavy atoms"] <= 5),
            *((str(n), about["heavy atoms"] == n) for n in (6, 7)),
        ],
    }
    styles = line_styles({m["name"]: m["kind"] for m in card["models"] if m["name"] in models})
    figure = Figure(figsize=(WIDTH, 3.1), layout="constrained")
    panels = figure.subplots(1, len(groups), sharey=True)
    for panel, (title, parts) in zip(panels, groups.items(), strict=True):
        for place, model in enumerate(models):
            error = np.abs(predictions.pooled(model)[:, 0] - predictions.targets[:, 0])[tested]
            means = [error[own.to_numpy()].mean() if own.any() else np.nan for _, own in parts]
            x = np.arange(len(parts)) + 0.12 * (place - (len(models) - 1) / 2)
            style = {**styles[model], "linestyle": "none"}
            panel.plot(x, means, **style, label=pretty(model))
        names = [f"{name}\n{int(own.sum()):,}" for name, own in parts]
        panel.set_xticks(range(len(parts)), names, fontsize=7)
        panel.set_xlabel(title, fontsize=8)
        panel.axhline(CHEMICAL_ACCURACY, color="#009E73", linewidth=1.0, linestyle="-.", zorder=0)
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_ylim(bottom=0)
    panels[0].set_ylabel("MAE (kcal/mol)")
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=4,
        frameon=False,
        fontsize=8,
    )
    return figure


def levels_figure(data: Any) -> Figure:
    """Draw the two levels of energy against each other, and what each leaves of the other.

    Left, the energies; right, histograms of the high level's energy, of what a linear fit on
    composition leaves of it, and of the difference of the levels after such a fit.
    """
    from chemdl.quantum.geometries import composition, elements

    high, low = data.targets.T
    counts = composition(data.inputs, elements(data.inputs))

    def left_over(values: NDArray[np.float64]) -> NDArray[np.float64]:
        fitted: NDArray[np.float64] = values - counts @ np.linalg.lstsq(counts, values)[0]
        return fitted

    figure = Figure(figsize=(WIDTH, 2.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(low, high, ".", ms=2, color=COLOURS["deep"])
    ends = [min(low.min(), high.min()), max(low.max(), high.max())]
    left.plot(ends, ends, color="#999999", linewidth=0.8)
    left.set_xlabel("DFTB (kcal/mol)")
    left.set_ylabel("PBE0 (kcal/mol)")
    bins = np.linspace(-60, 60, 61).tolist()
    spread = {
        "PBE0 less composition": left_over(high),
        "PBE0 − DFTB, likewise": left_over(high - low),
    }
    for (name, values), colour in zip(spread.items(), ("#0072B2", "#D55E00"), strict=True):
        label = f"{name}: mean size {np.abs(values).mean():.1f}"
        right.hist(values, bins=bins, histtype="step", color=colour, label=label)
    right.axvspan(-CHEMICAL_ACCURACY, CHEMICAL_ACCURACY, color="#009E73", alpha=0.25)
    right.set_xlabel("kcal/mol")
    right.set_ylabel("molecules")
    right.legend(frameon=False, fontsize=7, loc="upper left")
    right.set_ylim(top=right.get_ylim()[1] * 1.25)
    for panel in (left, right):
        panel.spines[["top", "right"]].set_visible(False)
    return figure


def _fragments(skeleton: NDArray[np.bool_], heavy: NDArray[np.bool_]) -> int:
    from scipy.sparse.csgraph import connected_components

    own = skeleton[np.ix_(heavy, heavy)]
    return int(connected_components(own, directed=False)[0]) if len(own) else 0


def _smallest_angle(xyz: NDArray[np.float64], skeleton: NDArray[np.bool_]) -> float:
    """Return the smallest angle between two bonds at one atom, 180 where there is none."""
    smallest = 180.0
    for atom, around in enumerate(skeleton):
        arms = xyz[around] - xyz[atom]
        if len(arms) < 2:
            continue
        arms = arms / np.linalg.norm(arms, axis=1, keepdims=True)
        cosines = (arms @ arms.T)[np.triu_indices(len(arms), k=1)]
        smallest = min(smallest, float(np.degrees(np.arccos(np.clip(cosines.max(), -1, 1)))))
    return smallest
