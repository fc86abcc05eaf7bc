"""Figures, drawn from cards and their predictions alone.

What every chapter shows is exported here; what a single domain shows has a module of its own.
"""

from chemdl.plots.figures import (
    calibration,
    claims_and_intervals,
    class_balance,
    error_by_similarity,
    figure_html,
    learning_curves,
    png,
    predicted_against_measured,
    reliability,
    scores,
    show,
    target_distributions,
    task_gains,
    task_scores,
)
from chemdl.plots.lines import COLOURS
from chemdl.plots.molecules import attributed_molecules, show_attributions, show_molecules

__all__ = [
    "COLOURS",
    "attributed_molecules",
    "calibration",
    "claims_and_intervals",
    "class_balance",
    "error_by_similarity",
    "figure_html",
    "learning_curves",
    "png",
    "predicted_against_measured",
    "reliability",
    "scores",
    "show",
    "show_attributions",
    "show_molecules",
    "target_distributions",
    "task_gains",
    "task_scores",
]
