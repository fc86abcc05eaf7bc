"""How often the rule's intervals err: the part of the rule's page that shows the simulation."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from chemdl.book.markdown import table
from chemdl.evidence.statistics import wilson
from chemdl.files import data_dir
from chemdl.show.figures import figure_html, interval_errors, png
from chemdl.show.tables import pretty

# What an interval claims to hold.
_CLAIMED = {
    "pooled": "data set",
    "corrected": "methods",
    "corrected, one repeat": "methods",
}
_WORDS = {
    "pooled": "pooled influence values",
    "corrected": "corrected, all repeats",
    "corrected, one repeat": "corrected, one repeat (first edition)",
}
_PAIRS = {
    "fixed": "two halves of the bits, the same in every fit",
    "swapped": "two halves, swapped by chance in each fit",
    "known": "all bits against one half",
}
_ESTIMANDS = {"data set": "on this data set", "methods": "of the methods"}


def simulation_file() -> Path:
    """Return the table that ``python -m benchmarks rule`` writes."""
    return data_dir() / "rule" / "simulation.csv"


def rule_text(path: Path | None = None) -> str:
    """Return the figure and the tables of the simulation, or that it was not run."""
    path = simulation_file() if path is None else path
    if not path.is_file():
        return "The simulation was not run: `python -m benchmarks rule`.\n"
    counts = pd.read_csv(path)
    figure = interval_errors(counts)
    caption = (
        "Errors of null pairs, and truths of all pairs that the interval holds, with Wilson's 95 % "
        "intervals (as if the pairs of one benchmark were independent). Dashed: what is aimed at; "
        "grey: 93 to 97 %."
    )
    shown = figure_html(png(figure), _alt(counts), caption)
    return "\n".join([_extent(counts), "", shown, "", _overall(counts), "",
                      _by_pair(counts), "", _by_set(counts)])  # fmt: skip


def _extent(counts: pd.DataFrame) -> str:
    # Every learner has the same benchmarks of a set, or the first of them.
    each = counts.groupby(["protocol", "data", "learner"])["n"].max()
    total = each.groupby(["protocol", "data"]).max()
    sets = "; ".join(
        f"{name}, {protocol.replace('_', ' ')}: {n}" for (protocol, name), n in total.items()
    )
    learners = ", ".join(
        f"{pretty(name)} {n}" for name, n in each.groupby("learner", sort=False).sum().items()
    )
    return (
        f"There are {total.sum()} benchmarks ({sets}), of which each learner was fitted on "
        f"as many as time allowed ({learners})."
    )


def _overall(counts: pd.DataFrame) -> str:
    body = []
    reference = counts[counts["interval"] == "corrected, one repeat"]
    for (estimand, interval), part in counts.groupby(["estimand", "interval"], sort=False):
        null, known = part[part["pair"] != "known"], part[part["pair"] == "known"]
        keys = ["protocol", "data", "learner", "metric", "pair", "estimand"]
        both = part.merge(reference, on=keys, suffixes=("", "_first"))
        body.append(
            (
                _ESTIMANDS[str(estimand)],
                _WORDS[str(interval)] + (" ✓" if _CLAIMED[str(interval)] == estimand else ""),
                _share(null["errors"].sum(), null["n"].sum()),
                _share(part["n"].sum() - part["errors"].sum(), part["n"].sum()),
                f"{(both['width'] / both['width_first']).median():.2f}",
                _share(known["found"].sum(), known["n"].sum()),
            )
        )
    header = ("estimand", "interval", "type I error", "coverage", "width", "power")
    return (
        "All learners, sets and protocols together; ✓ marks what an interval claims. Widths are "
        "medians, in units of the first edition's interval; power is the share of known "
        "differences that are told from zero.\n\n" + table(header, body)
    )


def _by_pair(counts: pd.DataFrame) -> str:
    body = []
    for pair, part in counts.groupby("pair", sort=False):
        cells = [_PAIRS.get(str(pair), str(pair))]
        for interval, estimand in _CLAIMED.items():
            own = part[(part["interval"] == interval) & (part["estimand"] == estimand)]
            cells.append(_share(own["errors"].sum(), own["n"].sum()))
        body.append(tuple(cells))
    header = ("pair", *(f"{_WORDS[i]}, {_ESTIMANDS[e]}" for i, e in _CLAIMED.items()))
    return (
        "Intervals without the truth, by the kind of pair. Halves that are swapped put chance into "
        "each fit, as a seed does, and a pooled interval makes more room for it than these models "
        "need; where halves stay, it makes too little for what rows do that serve for test in one "
        "fold and for training in another.\n\n" + table(header, body)
    )


def _by_set(counts: pd.DataFrame) -> str:
    body = []
    for (protocol, data), part in counts.groupby(["protocol", "data"], sort=False):
        cells = [f"{data}, {str(protocol).replace('_', ' ')}"]
        for interval, estimand in (("pooled", "data set"), ("corrected", "methods")):
            own = part[(part["interval"] == interval) & (part["estimand"] == estimand)]
            null = own[own["pair"] != "known"]
            cells += [
                f"{null['errors'].sum()} / {null['n'].sum()}",
                f"{own['n'].sum() - own['errors'].sum()} / {own['n'].sum()}",
            ]
        body.append(tuple(cells))
    header = ("set", "pooled: errors", "pooled: held", "corrected: errors", "corrected: held")
    return (
        "The same by set, all repeats, each interval on what it claims: errors of null pairs, and "
        "truths held in all pairs.\n\n" + table(header, body)
    )


def _alt(counts: pd.DataFrame) -> str:
    said = []
    for interval, estimand in _CLAIMED.items():
        own = counts[(counts["interval"] == interval) & (counts["estimand"] == estimand)]
        null = own[own["pair"] != "known"]
        said.append(
            f"{_WORDS[interval]} {_ESTIMANDS[estimand]}: type I error "
            f"{null['errors'].sum() / null['n'].sum():.1%}, coverage "
            f"{1 - own['errors'].sum() / own['n'].sum():.1%}"
        )
    return (
        "Four panels of dots with error bars, a row for each learner and a colour for each "
        f"interval: type I error and coverage for both estimands. Pooled over learners: "
        f"{'; '.join(said)}."
    )


def _share(k: int, n: int) -> str:
    low, high = wilson(int(k), int(n))
    return f"{k / n:.1%} [{low:.1%}, {high:.1%}]"
