"""Tables, read from cards, claims and predictions: what a chapter prints beside its figures."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from chemdl import data as datasets
from chemdl.evidence import cards, claims, metrics
from chemdl.evidence import statistics as stats
from chemdl.evidence.cards import Predictions
from chemdl.evidence.claims import Claim, load_claims
from chemdl.evidence.intervals import around
from chemdl.evidence.metrics import METRICS
from chemdl.evidence.replicas import environment
from chemdl.settings import Settings

Card = Mapping[str, Any]
# With the table, since JupyterLab and Colab have no style sheet of the book's.
_TABLE_STYLE = (
    "<style>table.chemdl caption{caption-side:top;text-align:left}"
    "@media(max-width:600px){table.chemdl.chemdl.chemdl{font-size:.75rem;line-height:1.3}"
    "table.chemdl.chemdl.chemdl :is(td,th){padding:.2rem .25rem}}</style>"
)
_ALWAYS_COUNTED = ("data set", "raw", "unparsable", "duplicate", "conflicting", "kept", "used here")
# Names that a citation key does not spell as their bearers do.
_SPELLED = {
    "deepchem": "DeepChem",
    "dilena": "Di Lena",
    "pyzerknapp": "Pyzer-Knapp",
    "schutt": "Schütt",
    "taneishidlvs": "taneishi",
    "vantilborg": "van Tilborg",
}
# With fewer replicas an interval says nothing: of two the 95 % reach thirteen standard errors.
_FEWEST_WITH_INTERVAL = 3
VERDICT_COLUMNS = ("claim", "study", "profile", "reported", "here", "verdict")
_METRIC_NAMES = {
    "roc_auc": "ROC-AUC",
    "pr_auc": "PR-AUC",
    "r2": "R²",
    "rmse": "RMSE",
    "mae": "MAE",
    "pearson_r2": "Pearson R²",
}


def show(table: pd.DataFrame) -> None:
    """Emit a table without row numbers and with nothing cut off; numbers to three decimals.

    ``table.attrs["caption"]``, where there is one, stands above it.
    """
    from IPython.display import HTML, display

    display(HTML(table_html(table)))


def table_html(table: pd.DataFrame) -> str:
    """Return what :func:`show` emits; a narrow screen breaks names and tightens the columns."""
    with pd.option_context("display.max_colwidth", None):
        text = table.to_html(
            index=table.index.name is not None,
            float_format="{:.3f}".format,
            border=0,
            na_rep="–",
            classes="chemdl",
        )
    # A name may break after an underscore; what is copied stays the name.
    text = re.sub(r">[^<>]+<", lambda found: found[0].replace("_", "_<wbr>"), text)
    if caption := table.attrs.get("caption"):
        text = text.replace("<thead>", f"<caption>{html.escape(caption)}</caption><thead>", 1)
    return _TABLE_STYLE + text


def score_table(card: Card, metric: str | None = None, condition: str = "all") -> pd.DataFrame:
    """Return one row per model: kind, mean over replicas, 95 % interval, replicas, seconds.

    The interval is Nadeau and Bengio's, since the folds share their train rows. The caption names
    metric and unit.
    """
    name = metric or first_metric(card)
    rows = []
    for model in card["models"]:
        values = replica_means(card, model["name"], name, condition)
        if not len(values):
            continue
        low, high = mean_interval(card, values, condition)
        own = (r for r in card["scores"] if r["model"] == model["name"])
        seconds = [r["fit_seconds"] for r in own if r["condition"] == condition]
        rows.append(
            {
                "model": model["name"],
                "kind": model["kind"],
                "mean": float(np.mean(values)),
                "low": low,
                "high": high,
                "replicas": len(values),
                "seconds per fit": float(np.mean(seconds)),
            }
        )
    better = METRICS[name].higher_is_better
    table = pd.DataFrame(rows).sort_values("mean", ascending=not better, ignore_index=True)
    table.attrs["caption"] = f"{axis_label(name, card)}, mean over replicas and its 95 % interval"
    return table


def replica_means(
    card: Card, model: str, metric: str | None = None, condition: str = "all"
) -> np.ndarray:
    """Return each replica's mean over its defined tasks, replicas without one left out.

    Where folds leave targets out, each target's mean over its repeats.
    """
    name = metric or card["metrics"][0]["name"]
    rows = [r for r in card["scores"] if r["model"] == model and r["condition"] == condition]
    known: dict[Any, list[float]] = {}
    for row in rows:
        values = [v for v in row["values"][name].values() if v is not None]
        place = row["fold"] if _leaves_targets_out(card) else (row["repeat"], row["fold"])
        if values:
            known.setdefault(place, []).append(float(np.mean(values)))
    return np.array([np.mean(values) for values in known.values()])


def mean_interval(card: Card, values: np.ndarray, condition: str = "all") -> tuple[float, float]:
    """Return the 95 % interval of a mean over a condition's replicas; NaN with fewer than three.

    Left-out targets are data sets of their own: their interval is Student's, without correction.
    """
    if len(values) < _FEWEST_WITH_INTERVAL:
        return float("nan"), float("nan")
    if _leaves_targets_out(card):
        error = float(np.std(values, ddof=1)) / len(values) ** 0.5
        return around(float(np.mean(values)), error, len(values) - 1, 0.95)
    rows = (row for row in card["scores"] if row["condition"] == condition)
    ratio = np.mean([row["n_test"] / row["n_train"] for row in rows])
    interval = stats.corrected_interval(values, ratio)
    return float(interval.low), float(interval.high)


def task_gain_table(
    card: Card, a: str, b: str, metric: str | None = None, predictions: Predictions | None = None
) -> pd.DataFrame:
    """Return each task's mean gain of ``a`` over ``b`` and its corrected interval.

    With ``predictions`` on one fixed test set the interval is the paired bootstrap's, over rows.
    """
    name = metric or first_metric(card)
    ours, theirs = by_replica(card, a), by_replica(card, b)
    common = sorted(ours.keys() & theirs.keys())
    rows = []
    for task in next(iter(ours.values()))["values"][name] if common else []:
        pairs = [(ours[k]["values"][name][task], theirs[k]["values"][name][task]) for k in common]
        known = [metrics.improvement(name, x, y) for x, y in pairs if None not in (x, y)]
        if known:
            gains = np.array(known, dtype=float)
            low, high = mean_interval(card, gains)
            if predictions is not None:
                low, high = task_bootstrap(card, predictions, a, b, name, task)
            rows.append({"task": task, "gain": float(gains.mean()), "low": low, "high": high})
    table = pd.DataFrame(rows, columns=["task", "gain", "low", "high"])
    return table.sort_values("gain", ascending=False, ignore_index=True)


def task_bootstrap(
    card: Card, predictions: Predictions, a: str, b: str, metric: str, task: str
) -> tuple[float, float]:
    """Return the paired bootstrap's interval for one task of one fixed test set, over its rows."""
    common = sorted(by_replica(card, a).keys() & by_replica(card, b).keys())
    test = predictions.arrays[f"test/{common[0][0]}/{common[0][1]}"]
    column = list(card["scores"][0]["values"][metric]).index(task)
    truth = predictions.targets[test, column]
    rows = np.flatnonzero(np.isfinite(truth))
    ours, theirs = (
        np.stack([predictions.arrays[f"{m}/all/{r}/{f}"][rows, column] for r, f in common])
        for m in (a, b)
    )
    interval = stats.paired_bootstrap(truth[rows], ours, theirs, metric)
    return float(interval.low), float(interval.high)


def task_means(card: Card, model: str, metric: str) -> dict[str, float]:
    """Return a model's mean for each task, tasks that are nowhere defined left out."""
    rows = list(by_replica(card, model).values())
    known = {t: [r["values"][metric][t] for r in rows] for t in rows[0]["values"][metric]}
    return {
        task: float(np.mean([v for v in values if v is not None]))
        for task, values in known.items()
        if any(v is not None for v in values)
    }


def learning_curve_table(card: Card, metric: str | None = None) -> pd.DataFrame:
    """Return one row per model and size of the train side: the score table's, and ``molecules``.

    The conditions that count are ``all`` and those whose name is a number. ``molecules`` is what
    the nets learned from, the mean over the condition's replicas; models that need no valid rows
    to stop by learn from those too.
    """
    conditions = dict.fromkeys(row["condition"] for row in card["scores"])
    parts = []
    for condition in conditions:
        if condition != "all" and not condition.isdigit():
            continue
        sizes = [row["n_train"] for row in card["scores"] if row["condition"] == condition]
        table = score_table(card, metric, condition)
        parts.append(table.assign(molecules=float(np.mean(sizes))))
    return pd.concat(parts).sort_values("molecules", kind="stable", ignore_index=True)


def by_replica(card: Card, model: str) -> dict[tuple[int, int], Any]:
    """Return a model's rows of the condition ``all`` by (repeat, fold)."""
    rows = (r for r in card["scores"] if r["model"] == model and r["condition"] == "all")
    return {(row["repeat"], row["fold"]): row for row in rows}


def first_metric(card: Card) -> str:
    """Return the metric that the card puts first."""
    return card["metrics"][0]["name"]


def verdict_table(read: Sequence[Card], *, chapter: str | None = None) -> pd.DataFrame:
    """Return one row per judged claim, in the ledger's order: reported, reproduced, the verdict."""
    known = load_claims()
    order = {name: place for place, name in enumerate(known)}
    rows = []
    for card in read:
        for verdict in card["verdicts"]:
            claim = known[verdict["claim"]]
            if chapter is not None and claim.chapter != chapter:
                continue
            estimate = verdict["estimate"]
            rows.append(
                {
                    "claim": claim.id,
                    "study": card["study"],
                    "profile": card["profile"],
                    "reported": reported_text(claim),
                    "here": _interval_text(estimate) if estimate else verdict["reason"],
                    "verdict": verdict["verdict"] + (" *" if verdict["provisional"] else ""),
                }
            )
    rows.sort(key=lambda row: order[row["claim"]])
    return pd.DataFrame(rows, columns=list(VERDICT_COLUMNS))


def claim_table(chapter: str) -> pd.DataFrame:
    """Return a chapter's claims as a reader wants them: statement, values, source, mark."""
    table = pd.DataFrame(claims.table(claims.for_chapter(chapter)))
    table["source"] = table["source"].map(source_name)
    return table


def source_name(key: str) -> str:
    """Return author and year of a citation key, which is both and perhaps a word: ramsundar2015."""
    found = re.match(r"([a-z]+)(\d{4})", key)
    if found is None:
        return _SPELLED.get(key, key)
    return f"{_SPELLED.get(found[1], found[1].capitalize())} {found[2]}"


def recorded_verdicts(chapter: str) -> pd.DataFrame:
    """Return the verdicts of a chapter's recorded cards, without claims that were not run."""
    read = [cards.read(path) for path in cards.all_recorded().values()]
    table = verdict_table(read, chapter=chapter)
    return table[table["verdict"] != "not run"].reset_index(drop=True)


def recorded_cards(studies: Sequence[str], settings: Settings) -> list[dict[str, Any]]:
    """Return the largest card of each study that ran or was recorded; others are left out."""
    found = []
    for study in studies:
        try:
            found.append(cards.largest(study, settings.output / "cards")[0])
        except FileNotFoundError:
            continue
    return found


def shortfall(read: Sequence[Card]) -> str:
    """Say of which profile the cards are and which parts of it their runs did.

    Of several studies, what is missing in some of them alone is named with its study.
    """
    profiles = " and ".join(dict.fromkeys(card["profile"] for card in read))
    several = len({card["study"] for card in read}) > 1
    lines = [
        f"{card['study']}: {line}"
        if several and any(line not in other["shortfall"] for other in read)
        else line
        for card in read
        for line in card["shortfall"]
    ]
    missing = list(dict.fromkeys(lines))
    return f"Profile {profiles}" + (f", done in part: {', '.join(missing)}." if missing else ".")


def cleaning_table(datasets: Sequence[Any]) -> pd.DataFrame:
    """Return what cleaning counted in each dataset, and how many rows this run uses.

    Counts that every cleaning has are always shown, the others where one is not zero.
    """
    rows = []
    for dataset in datasets:
        counted = {k: v for k, v in dataset.card["cleaning"].items() if isinstance(v, int)}
        rows.append({"data set": dataset.name, **counted, "used here": len(dataset)})
    table = pd.DataFrame(rows)
    shown = [name for name in table if name in _ALWAYS_COUNTED or table[name].any()]
    return table[shown].rename(columns=pretty)


def environment_table(settings: Settings) -> pd.DataFrame:
    """Return the versions and the device of this run; without a GPU it says what that means."""
    found = environment(settings.device)
    if settings.device == "cpu":
        found["device"] += ", no GPU: profile full takes hours here"
    rows = {"profile": settings.profile, "seed": settings.seed, **found}
    return pd.DataFrame({"this run": list(rows), "value": list(map(str, rows.values()))})


def missed(predictions: Predictions, a: str, b: str, task: int, count: int = 8) -> pd.DataFrame:
    """Return the actives of a task to which model ``a`` gave the lowest probabilities.

    Columns: ``row`` in the dataset, and the probabilities of models ``a`` and ``b``.
    """
    ours, theirs = predictions.pooled(a)[:, task], predictions.pooled(b)[:, task]
    active = np.flatnonzero((predictions.targets[:, task] == 1) & np.isfinite(ours))
    rows = active[np.argsort(ours[active], kind="stable")][:count]
    return pd.DataFrame({"row": rows, "a": ours[rows], "b": theirs[rows]})


def first_present(card: Card, names: Sequence[str]) -> str:
    """Return the first of these models that the card holds.

    Raises
    ------
    KeyError
        if it holds none of them.
    """
    held = {model["name"] for model in card["models"]}
    found = next((name for name in names if name in held), None)
    if found is None:
        raise KeyError(f"none of {list(names)} is among {sorted(held)}")
    return found


def reported_text(claim: Claim) -> str:
    """Say what the source reported: a difference, the two values that make it, or a level."""
    reported = claim.reported
    if claim.kind == "count" and reported.a is not None and reported.b is not None:
        return f"{reported.a:g} of {reported.a + reported.b:g}"
    if reported.difference is not None:
        return f"{reported.difference:+.3g}"
    if reported.a is None:
        return ""
    if claim.kind == "difference":
        # One value alone says nothing of the difference that stands beside it.
        return "" if reported.b is None else f"{reported.a:g} against {reported.b:g}"
    return f"{reported.a:g}"


def axis_label(metric: str, card: Card | None = None) -> str:
    """Return a metric's name and unit for an axis: an error's unit is that of the card's data."""
    name = _METRIC_NAMES.get(metric, pretty(metric))
    unit = METRICS[metric].unit
    if unit != "target":
        return with_unit(name, unit)
    return with_unit(name, "unit of the targets" if card is None else target_unit(card))


def target_unit(card: Card) -> str:
    """Return the unit of a card's targets, from its metrics or from the registry of datasets."""
    own = (m["unit"] for m in card["metrics"] if METRICS[m["name"]].unit == "target")
    unit = next((unit for unit in own if unit not in ("", "target")), None)
    return unit or str(datasets.describe(card["dataset"]["name"])["unit"])


def with_unit(name: str, unit: str) -> str:
    """Return a quantity's name with its unit: ``RMSE (log₁₀ mol/L)``."""
    return f"{name} ({unit.replace('log10', 'log₁₀')})" if unit else name


def pretty(name: str) -> str:
    """Return a name for people: spaces for underscores."""
    return name.replace("_", " ")


def _interval_text(estimate: Mapping[str, float]) -> str:
    return f"{estimate['value']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"


def _leaves_targets_out(card: Card) -> bool:
    return "groups" in card.get("protocol", {})
