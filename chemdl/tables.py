"""Tables, read from cards, claims and predictions: what a chapter prints beside its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from chemdl import cards, claims, metrics, stats
from chemdl.cards import Predictions
from chemdl.claims import Claim, load_claims
from chemdl.profiles import Settings
from chemdl.replicas import environment

Card = Mapping[str, Any]
VERDICT_COLUMNS = ("claim", "study", "profile", "reported", "here", "verdict")


def show(table: pd.DataFrame) -> None:
    """Emit a table without row numbers and with nothing cut off; numbers to three decimals."""
    from IPython.display import HTML, display

    with pd.option_context("display.max_colwidth", None):
        text = table.to_html(
            index=table.index.name is not None, float_format="{:.3f}".format, border=0, na_rep="–"
        )
    display(HTML(text))


def score_table(card: Card, metric: str | None = None, condition: str = "all") -> pd.DataFrame:
    """Return one row per model: kind, mean over replicas, 95 % interval, replicas, seconds.

    The interval is Nadeau and Bengio's, since the folds share their train rows.
    """
    rows = []
    for model in card["models"]:
        values = replica_means(card, model["name"], metric, condition)
        if not len(values):
            continue
        low, high = mean_interval(card, values)
        seconds = [r["fit_seconds"] for r in card["scores"] if r["model"] == model["name"]]
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
    better = metrics.get(metric or card["metrics"][0]["name"]).higher_is_better
    return pd.DataFrame(rows).sort_values("mean", ascending=not better, ignore_index=True)


def replica_means(
    card: Card, model: str, metric: str | None = None, condition: str = "all"
) -> np.ndarray:
    """Return each replica's mean over its defined tasks, replicas without one left out."""
    name = metric or card["metrics"][0]["name"]
    rows = [r for r in card["scores"] if r["model"] == model and r["condition"] == condition]
    known = [[v for v in row["values"][name].values() if v is not None] for row in rows]
    return np.array([np.mean(values) for values in known if values])


def mean_interval(card: Card, values: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of a mean over replicas; NaN with fewer than two."""
    if len(values) < 2:
        return float("nan"), float("nan")
    ratio = np.mean([row["n_test"] / row["n_train"] for row in card["scores"]])
    interval = stats.corrected_interval(values, ratio)
    return float(interval.low), float(interval.high)


def task_gain_table(card: Card, a: str, b: str, metric: str | None = None) -> pd.DataFrame:
    """Return each task's mean gain of ``a`` over ``b`` and its corrected interval."""
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
            rows.append({"task": task, "gain": float(gains.mean()), "low": low, "high": high})
    table = pd.DataFrame(rows, columns=["task", "gain", "low", "high"])
    return table.sort_values("gain", ascending=False, ignore_index=True)


def task_means(card: Card, model: str, metric: str) -> dict[str, float]:
    """Return a model's mean for each task, tasks that are nowhere defined left out."""
    rows = list(by_replica(card, model).values())
    known = {t: [r["values"][metric][t] for r in rows] for t in rows[0]["values"][metric]}
    return {
        task: float(np.mean([v for v in values if v is not None]))
        for task, values in known.items()
        if any(v is not None for v in values)
    }


def by_replica(card: Card, model: str) -> dict[tuple[int, int], Any]:
    """Return a model's rows of the condition ``all`` by (repeat, fold)."""
    rows = (r for r in card["scores"] if r["model"] == model and r["condition"] == "all")
    return {(row["repeat"], row["fold"]): row for row in rows}


def first_metric(card: Card) -> str:
    """Return the metric that the card puts first."""
    return card["metrics"][0]["name"]


def verdict_table(read: Sequence[Card], *, chapter: str | None = None) -> pd.DataFrame:
    """Return one row per judged claim: reported beside reproduced, and the verdict."""
    known = load_claims()
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
    return pd.DataFrame(rows, columns=list(VERDICT_COLUMNS))


def claim_table(chapter: str) -> pd.DataFrame:
    """Return a chapter's claims as a reader wants them: statement, values, source, mark."""
    table = pd.DataFrame(claims.table(claims.for_chapter(chapter)))
    # A citation key is author, year and perhaps a word: ramsundar2015.
    parts = table["source"].str.extract(r"^([a-z]+)(\d{4})")
    table["source"] = (parts[0].str.capitalize() + " " + parts[1]).fillna(table["source"])
    return table


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
    """Say of which profile the cards are and which parts of it their runs did."""
    profiles = " and ".join(dict.fromkeys(card["profile"] for card in read))
    missing = list(dict.fromkeys(line for card in read for line in card["shortfall"]))
    return f"Profile {profiles}" + (f", done in part: {', '.join(missing)}." if missing else ".")


def cleaning_table(datasets: Sequence[Any]) -> pd.DataFrame:
    """Return what cleaning counted in each dataset, and how many rows this run uses."""
    rows = []
    for dataset in datasets:
        counted = {k: v for k, v in dataset.card["cleaning"].items() if isinstance(v, int)}
        rows.append({"data set": dataset.name, **counted, "used here": len(dataset)})
    return pd.DataFrame(rows)


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
    """Say what the source reported: a difference where there is one, else the value."""
    reported = claim.reported
    if claim.kind == "count" and reported.a is not None and reported.b is not None:
        return f"{reported.a:g} of {reported.a + reported.b:g}"
    if reported.difference is not None:
        return f"{reported.difference:+.3g}"
    return "" if reported.a is None else f"{reported.a:g}"


def axis_label(metric: str) -> str:
    """Return a metric's name and unit for an axis."""
    found = metrics.get(metric)
    name = {"roc_auc": "ROC-AUC", "pr_auc": "PR-AUC", "r2": "R²"}.get(metric, pretty(metric))
    return f"{name} / {found.unit}" if found.unit else name


def pretty(name: str) -> str:
    """Return a name for people: spaces for underscores."""
    return name.replace("_", " ")


def _interval_text(estimate: Mapping[str, float]) -> str:
    return f"{estimate['value']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"
