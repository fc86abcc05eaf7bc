"""Figures, drawn from cards and their predictions alone.

What every chapter shows is exported here; what a single domain shows has a module of its own.
"""

from chemdl.show.figures import (
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
from chemdl.show.lines import COLOURS

__all__ = [
    "COLOURS",
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
    "target_distributions",
    "task_gains",
    "task_scores",
]
