"""Findings about one target: its scale, its piles, its classes, its outliers, its shortcuts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from chemdl.your_data.findings import Finding
from chemdl.your_data.loading import YourTable
from chemdl.your_data.numbers import read_days
from chemdl.your_data.structures import Structures

# Below it a fold of five tests fewer than ten molecules, and no difference can be told.
FEWEST = 50
# A value at the end of the scale that so large a part of the rows shares is a limit of the assay.
_PILE = 0.05
# Robust deviations beyond which a value is looked at twice.
_FAR = 6.0
# Share of the variance from which a shortcut is worth a word.
_EXPLAINED = 0.5


def of_target(yours: YourTable, name: str, known: Structures) -> Iterator[Finding]:
    """Yield what is found about one target."""
    read = yours.numbers[name]
    values = read.values[read.known]
    yield from _cells(yours, name)
    if not len(values):
        yield Finding("no values", 0, f"numbers in {name!r}", (), "choose another target", True)
        return
    if np.ptp(values) == 0:
        yield Finding(
            "constant",
            len(values),
            f"values of {name!r}, all {values[0]:.4g}",
            (),
            "there is nothing to learn; choose another target",
            True,
        )
        return
    if np.isin(values, (0, 1)).all():
        yield from _balance(name, values)
    else:
        yield from _scale(name, values)
        yield from _piles(yours, name)
        yield from _outliers(yours, name)
    yield from _shortcuts(yours, name, known)
    yield from _over_time(yours, name)


def _cells(yours: YourTable, name: str) -> Iterator[Finding]:
    read = yours.numbers[name]
    empty = int((~read.known).sum()) - len(read.censored) - len(read.wrong)
    if empty:
        yield Finding(
            "not measured",
            empty,
            f"of {len(read.values):,} rows have no {name!r}",
            (),
            "they are left out for this target",
        )
    if read.wrong:
        yield Finding(
            "no numbers",
            len(read.wrong),
            f"cells of {name!r} that are no number",
            _at(yours, read.wrong),
            "write a number, or empty the cell",
            True,
        )
    if read.censored:
        rows = list(read.censored)
        shown = tuple(f"{yours.table.word} {yours.places[r]}: {read.censored[r]}" for r in rows[:3])
        yield Finding(
            "censored",
            len(rows),
            f"values of {name!r} are bounds",
            shown,
            "they count as not measured; make a class of them (active or not) if they are many",
            True,
        )


def _at(yours: YourTable, rows: Sequence[int]) -> tuple[str, ...]:
    return tuple(f"{yours.table.word} {yours.places[row]}" for row in rows[:3])


def _balance(name: str, values: np.ndarray) -> Iterator[Finding]:
    fewer = int(min((values == 0).sum(), (values == 1).sum()))
    text = f"of {len(values):,} molecules are in the rarer class of {name!r}"
    rare = fewer < 50 or fewer < 0.05 * len(values)
    yield Finding(
        "class balance",
        fewer,
        text,
        (),
        "few rows decide; read PR-AUC beside ROC-AUC" if rare else "no need to act",
        fewer < 20,
    )


def _scale(name: str, values: np.ndarray) -> Iterator[Finding]:
    from scipy.stats import skew

    if values.min() <= 0 or values.max() / values.min() < 1000:
        return
    if abs(skew(np.log10(values))) < abs(skew(values)):
        decades = np.log10(values.max() / values.min())
        yield Finding(
            "wants a logarithm",
            len(values),
            f"values of {name!r} from {values.min():.3g} to {values.max():.3g}, over "
            f"{decades:.1f} decades",
            (),
            "take the logarithm (pIC50 = −log10 of mol/L), else few large values decide",
            True,
        )


def _piles(yours: YourTable, name: str) -> Iterator[Finding]:
    read = yours.numbers[name]
    values = read.values[read.known]
    for end, value in (("floor", values.min()), ("ceiling", values.max())):
        rows = np.flatnonzero(read.values == value)
        if len(rows) >= max(10, _PILE * len(values)):
            text = f"values of {name!r} ({len(rows) / len(values):.0%}) are {value:.4g}, the {end}"
            yield Finding(
                f"pile at the {end}",
                len(rows),
                text,
                _at(yours, rows.tolist()),
                "likely a limit of the assay: they are bounds, not values; errors there "
                "look too small",
                True,
            )


def _outliers(yours: YourTable, name: str) -> Iterator[Finding]:
    values = yours.numbers[name].values
    centre = float(np.nanmedian(values))
    spread = 1.4826 * float(np.nanmedian(np.abs(values - centre)))
    if spread == 0:
        return
    far = np.abs(values - centre) / spread
    rows = np.flatnonzero(np.nan_to_num(far) > _FAR)
    rows = rows[np.argsort(-far[rows])]
    if len(rows):
        shown = tuple(f"{yours.table.word} {yours.places[r]}: {values[r]:.4g}" for r in rows[:3])
        text = (
            f"values of {name!r} are more than {_FAR:.0f} deviations from the median {centre:.3g}"
        )
        yield Finding(
            "outliers",
            len(rows),
            text,
            shown,
            "look them up: wrong unit, wrong row, or real?",
            True,
        )


def shortcuts(values: np.ndarray, known: Structures) -> dict[str, float]:
    """Return how much of a target's variance weight and scaffold alone explain, out of sample.

    Weight: the mean of the ten molecules nearest in weight. Scaffold: the mean of the other
    molecules of the scaffold, over molecules that share one; given as the share of the variance
    of those molecules.
    """
    rows = np.flatnonzero(np.isfinite(values) & np.isfinite(known.weight))
    if len(rows) < FEWEST:
        return {}
    y, weight = values[rows], known.weight[rows]
    order = np.argsort(weight, kind="stable")
    sorted_y = y[order]
    near = np.array(
        [np.mean(np.delete(sorted_y[max(0, i - 5) : i + 6], min(i, 5))) for i in range(len(y))]
    )
    found = {"molecular weight": _explained(sorted_y, near)}
    scaffolds = np.array(known.scaffolds, dtype=object)[rows]
    _, codes, sizes = np.unique(scaffolds, return_inverse=True, return_counts=True)
    shared = (sizes[codes] > 1) & (scaffolds != "")
    if shared.sum() >= FEWEST:
        sums = np.bincount(codes, y)
        others = (sums[codes] - y) / np.maximum(sizes[codes] - 1, 1)
        found["scaffold"] = _explained(y[shared], others[shared])
    return found


def _explained(y: np.ndarray, predicted: np.ndarray) -> float:
    variance = float(y.var())
    return 1 - float(np.mean((y - predicted) ** 2)) / variance if variance else 0.0


def _shortcuts(yours: YourTable, name: str, known: Structures) -> Iterator[Finding]:
    for what, share in shortcuts(yours.numbers[name].values, known).items():
        if share >= _EXPLAINED:
            yield Finding(
                f"follows the {what}",
                round(100 * share),
                f"% of the variance of {name!r} is explained by the {what} alone",
                (),
                "a model can score well by this without any other chemistry; compare "
                "within series or by clusters",
                share > 0.9,
            )


def _over_time(yours: YourTable, name: str) -> Iterator[Finding]:
    date = yours.columns.date
    if date is None:
        return
    from scipy.stats import spearmanr

    read = yours.numbers[name]
    days = read_days(yours.table, date, yours.texts[date], yours.places)[read.known]
    rho = float(spearmanr(days, read.values[read.known]).statistic)
    ordered = "in the order of time" if (np.diff(days) >= 0).all() else "not in the order of time"
    drift = "drifts with time" if abs(rho) > 0.2 else "does not drift"
    yield Finding(
        "time",
        len(np.unique(days)),
        f"different dates; the rows are {ordered}, {name!r} {drift} (Spearman {rho:+.2f})",
        (),
        "compare by time: it asks what the next molecules will ask",
    )
