"""What the campaigns found: the part of the page of trust that is made from their figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chemdl.book.markdown import escape, table
from chemdl.files import data_dir

_TITLES = {
    "hostile": "Hostile inputs",
    "chapter kills": "Kills of a chapter's run",
    "recorder kills": "Kills of the recorder",
    "determinism": "Determinism",
    "planted faults": "Planted faults",
}


def campaigns_file() -> Path:
    """Return the figures that ``make campaigns`` writes."""
    return data_dir() / "campaigns.json"


def trust_text(path: Path | None = None) -> str:
    """Return a section for each campaign, and for each that did not run that it did not."""
    path = campaigns_file() if path is None else path
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    lines = []
    for name, title in _TITLES.items():
        lines += [f"### {title}", ""]
        if name not in found:
            lines += ["This campaign has not been run whole yet: `make campaigns`.", ""]
            continue
        campaign = found[name]
        lines += [_TEXTS[name](campaign["figures"]), "", _ran(campaign), ""]
    return "\n".join(lines)


def _ran(campaign: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {v}" for name, v in sorted(campaign["versions"].items()))
    return f"Run on {escape(campaign['date'])} with {escape(versions)}."


def _hostile(figures: Mapping[str, Any]) -> str:
    order = ("inputs", "read", "refused", "faults")
    body = [(escape(kind), *(f"{of[k]:,}" for k in order)) for kind, of in figures.items()]
    return table(("kind", "inputs", "read", "refused in words", "faults"), body)


def _chapter_kills(figures: Mapping[str, Any]) -> str:
    return (
        f"Runs of a chapter of {figures['replicas']} replicas were killed {figures['kills']} "
        f"times in {figures['rounds']} rounds. At the end of {figures['results_equal']} rounds "
        "scores and predictions were those of an undisturbed run. "
        f"Stored replicas lost: {figures['lost']}; half-written files: {figures['half_files']}."
    )


def _recorder_kills(figures: Mapping[str, Any]) -> str:
    return (
        f"Recorders were killed {figures['kills']} times in {figures['rounds']} rounds, of which "
        f"{figures['stores_equal']} ended with the store of an undisturbed one. Files lost: "
        f"{figures['lost']}; half-written: {figures['half_files']}; fits done twice without need: "
        f"{figures['computed_twice']}."
    )


def _determinism(figures: Mapping[str, Any]) -> str:
    return (
        f"A study of {figures['replicas']} replicas ran {figures['runs']} times. In "
        f"{figures['bit_for_bit_but_nets']} runs the predictions of all models but nets equal the "
        f"first run's bit for bit, in {figures['within_tolerance']} those of all models to "
        f"{figures['tolerance']:g}; the largest difference of a probability is "
        f"{figures['farthest']:.1g}."
    )


def _planted(figures: Mapping[str, Any]) -> str:
    missed = ", ".join(map(escape, figures["missed"]))
    return (
        f"Of {figures['planted']} faults planted in the code, {figures['caught']} were caught by "
        f"the regression test of chapter {escape(figures['chapter'])}"
        + (f"; not caught: {missed}." if missed else ".")
    )


_TEXTS = {
    "hostile": _hostile,
    "chapter kills": _chapter_kills,
    "recorder kills": _recorder_kills,
    "determinism": _determinism,
    "planted faults": _planted,
}
