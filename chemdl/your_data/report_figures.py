"""What a report draws: scores as vectors, the rest as images on a light ground."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from chemdl.data.dataset import Dataset
from chemdl.evidence.result import Result
from chemdl.molecules import residuals
from chemdl.molecules.figures import grid
from chemdl.show import figures
from chemdl.show.figures import plain
from chemdl.show.lines import WIDTH
from chemdl.your_data.compare import Comparison
from chemdl.your_data.nearest import Nearest

_ROW, _LEFT, _WIDE = 30, 170, 720
# Similarity from which two molecules make a cliff, and molecules above which none are looked for.
_ALIKE, _MOST = 0.6, 5_000


def score_chart(rows: Sequence[tuple[str, str, float, float, float]], metric: str) -> str:
    """Return dots with intervals, one line a model: name, kind, mean, low, high."""
    known = np.array([value for row in rows for value in row[2:] if np.isfinite(value)])
    low, high = float(known.min()), float(known.max())
    room = 0.06 * (high - low or 1.0)
    low, high = low - room, high + room

    def x(value: float) -> float:
        return _LEFT + (_WIDE - _LEFT - 20) * (value - low) / (high - low)

    height = _ROW * len(rows) + 40
    parts = [
        f'<svg class="scores" viewBox="0 0 {_WIDE} {height}" role="img" aria-label="'
        f'{html.escape(metric)} of each model with its interval">'
    ]
    for place, (name, kind, mean, lower, upper) in enumerate(rows):
        y = _ROW * place + _ROW / 2
        parts.append(f'<text x="{_LEFT - 12}" y="{y + 5}" class="name">{html.escape(name)}</text>')
        if np.isfinite(lower):
            parts.append(f'<line x1="{x(lower):.1f}" x2="{x(upper):.1f}" y1="{y}" y2="{y}" '
                         f'class="{kind}"/>')  # fmt: skip
        parts.append(f'<circle cx="{x(mean):.1f}" cy="{y}" r="5" class="{kind}"/>')
    base = height - 30
    parts.append(f'<line x1="{_LEFT}" x2="{_WIDE - 20}" y1="{base}" y2="{base}" class="axis"/>')
    for value in np.linspace(low + room, high - room, 5):
        parts.append(f'<text x="{x(value):.1f}" y="{base + 16}" class="tick">{value:.3g}</text>')
    parts.append(f'<text x="{_LEFT}" y="{base + 29}" class="unit">{html.escape(metric)}</text>')
    return "".join([*parts, "</svg>"])


def learning_curve(curve: Result, model: str) -> Figure:
    """Draw the error of a model in each fold, and their mean, against the train molecules."""
    names = list(dict.fromkeys(row.condition for row in curve.card.scores))
    sizes = [np.mean([r.n_train for r in curve.replicas(model, n).values()]) for n in names]
    values = np.column_stack([curve.by_task(model, None, n).mean(axis=1) for n in names])
    figure = Figure(figsize=(WIDTH * 0.75, 3.0), layout="constrained")
    axis = figure.subplots()
    axis.plot(sizes, values.T, color="0.8", lw=1)
    axis.plot(sizes, values.mean(axis=0), color="#d55e00", marker="o", lw=1.8)
    axis.set_xlabel("train molecules")
    axis.set_ylabel(f"{curve.metric}, grey: each fold")
    plain(axis, "both")
    return figure


def error_by_similarity(comparison: Comparison, models: Sequence[str]) -> Figure:
    """Draw the error of the best models by similarity to the nearest train molecule."""
    assert comparison.result is not None
    return residuals.error_by_similarity(comparison.result, models, comparison.dataset)


def similarities(found: Mapping[str, np.ndarray], why: str) -> Figure:
    """Draw how similar test molecules are to train molecules under each protocol, and the new."""
    figure = Figure(figsize=(WIDTH * 0.75, 3.2), layout="constrained")
    axis = figure.subplots()
    chosen = next((name for name in found if f": {name} (" in why), "")
    for name, values in found.items():
        style = {"new": ("black", 2.2), chosen: ("#d55e00", 2.2)}.get(name, ("0.75", 1.0))
        share = np.linspace(0, 1, len(values))
        axis.plot(np.sort(values), share, color=style[0], lw=style[1],
                  label="yours" if name == "new" else name)  # fmt: skip
    axis.set_xlabel("similarity to the nearest train molecule")
    axis.set_ylabel("share of molecules")
    axis.legend(frameon=False, fontsize=8)
    plain(axis, "both")
    return figure


def largest_errors(dataset: Dataset, predicted: np.ndarray, count: int = 8) -> bytes:
    """Draw the molecules whose prediction is farthest from the measured value; a PNG."""
    measured = dataset.targets[:, 0]
    errors = np.nan_to_num(np.abs(measured - predicted), nan=-1.0)
    rows = np.argsort(-errors, kind="stable")[:count]
    legends = [f"{measured[row]:.3g}, predicted {predicted[row]:.3g}" for row in rows]
    return grid([dataset.inputs[row] for row in rows], legends)


def cliffs(dataset: Dataset, pairs: int = 4) -> bytes | None:
    """Draw the pairs of nearest molecules whose values differ most, one below the other; a PNG."""
    rows = np.flatnonzero(np.isfinite(dataset.targets[:, 0]))
    if len(rows) > _MOST or len(rows) < 2:
        return None
    y = dataset.targets[rows, 0]
    similarity, partner = Nearest.of(list(dataset.inputs[rows])).within()
    step = np.where(similarity >= _ALIKE, np.abs(y - y[partner]), 0.0)
    chosen: dict[frozenset[int], None] = {}
    for row in np.argsort(-step, kind="stable"):
        if step[row] <= 0 or len(chosen) == pairs:
            break
        chosen[frozenset((int(row), int(partner[row])))] = None
    if not chosen:
        return None
    first, second = zip(*(sorted(pair) for pair in chosen), strict=True)
    shown = [*first, *second]
    return grid([dataset.inputs[rows[i]] for i in shown], [f"{y[i]:.3g}" for i in shown],
                columns=len(chosen))  # fmt: skip


def against_measured(result: Result, models: Sequence[str]) -> Figure:
    """Draw test predictions against measured values."""
    return figures.predicted_against_measured(result, models)


def reliability(result: Result, models: Sequence[str]) -> Figure:
    """Draw the share of actives against the predicted probability."""
    return figures.calibration(result, models)
