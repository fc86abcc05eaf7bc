"""Tables of results, claims and data, which chapters print beside their figures."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from chemdl import data as datasets
from chemdl.data import Dataset
from chemdl.evidence import claims as records
from chemdl.evidence import metrics
from chemdl.evidence import statistics as stats
from chemdl.evidence.claims import Claim, load_claims
from chemdl.evidence.fitting import environment
from chemdl.evidence.intervals import around
from chemdl.evidence.ledger import Finding, findings, reproduced_text
from chemdl.evidence.metrics import METRICS
from chemdl.evidence.result import Result, find_results
from chemdl.evidence.verdicts import WORDS, was_source_right
from chemdl.learn.models import find_model
from chemdl.settings import Settings

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
VERDICT_COLUMNS = (
    "claim", "study", "profile", "reported", "here", "who won", "source right", "verdict",
)  # fmt: skip
_METRIC_NAMES = {
    "roc_auc": "ROC-AUC",
    "pr_auc": "PR-AUC",
    "r2": "R²",
    "rmse": "RMSE",
    "mae": "MAE",
    "pearson_r": "Pearson r",
    "pearson_r2": "Pearson R²",
    "bedroc": "BEDROC",
    "enrichment_1": "enrichment at 1 %",
    "q3": "Q3",
    "q8": "Q8",
    "sov": "SOV",
    "precision_l5": "precision of the L/5 likeliest contacts",
}


def show(table: pd.DataFrame) -> None:
    """Emit a table without row numbers and with nothing cut off; numbers to three decimals.

    ``table.attrs["caption"]``, if there is one, is shown above it.
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


def score_table(result: Result, metric: str | None = None, condition: str = "all") -> pd.DataFrame:
    """Return one row per model: kind, mean over replicas, 95 % interval, replicas, seconds.

    The interval is Nadeau and Bengio's, since the folds share their train rows. The caption names
    metric and unit.
    """
    name = metric or result.metric
    rows = []
    for model in result.models:
        values = result.replica_means(model, name, condition)
        if not len(values):
            continue
        low, high = mean_interval(result, values, condition)
        seconds = [row.fit_seconds for row in result.replicas(model, condition).values()]
        rows.append(
            {
                "model": model,
                "kind": result.kind(model),
                "mean": float(np.mean(values)),
                "low": low,
                "high": high,
                "replicas": len(values),
                "seconds per fit": float(np.mean(seconds)),
            }
        )
    better = METRICS[name].higher_is_better
    table = pd.DataFrame(rows).sort_values("mean", ascending=not better, ignore_index=True)
    table.attrs["caption"] = f"{axis_label(name, result)}, mean over replicas and its 95 % interval"
    return table


def mean_interval(
    result: Result, values: np.ndarray, condition: str = "all"
) -> tuple[float, float]:
    """Return the 95 % interval of a mean over a condition's replicas; NaN with fewer than three.

    Left-out targets are data sets of their own: their interval is Student's, without correction.
    """
    if len(values) < _FEWEST_WITH_INTERVAL:
        return float("nan"), float("nan")
    if result.leaves_targets_out:
        error = float(np.std(values, ddof=1)) / len(values) ** 0.5
        return around(float(np.mean(values)), error, len(values) - 1, 0.95)
    rows = (row for row in result.card.scores if row.condition == condition)
    ratio = np.mean([row.n_test / row.n_train for row in rows])
    interval = stats.corrected_interval(values, ratio)
    return float(interval.low), float(interval.high)


def task_gain_table(
    result: Result, a: str, b: str, metric: str | None = None, *, bootstrap: bool = False
) -> pd.DataFrame:
    """Return each task's mean gain of model ``a`` over ``b`` and its corrected interval.

    With ``bootstrap``, for one fixed test set, the interval is the paired bootstrap's over rows.
    """
    name = metric or result.metric
    ours, theirs = result.by_task(a, name), result.by_task(b, name)
    common = ours.index.intersection(theirs.index)
    rows = []
    for task in ours.columns if len(common) else []:
        gains = metrics.improvement(name, ours.loc[common, task], theirs.loc[common, task])
        gains = gains[np.isfinite(gains)]
        if not len(gains):
            continue
        low, high = mean_interval(result, gains)
        if bootstrap:
            low, high = task_bootstrap(result, a, b, name, str(task))
        rows.append({"task": task, "gain": float(gains.mean()), "low": low, "high": high})
    table = pd.DataFrame(rows, columns=["task", "gain", "low", "high"])
    return table.sort_values("gain", ascending=False, ignore_index=True)


def task_bootstrap(result: Result, a: str, b: str, metric: str, task: str) -> tuple[float, float]:
    """Return the paired bootstrap's interval for one task of one fixed test set, over its units."""
    predictions = result.predictions
    common = sorted(result.replicas(a).keys() & result.replicas(b).keys())
    test = predictions.arrays[f"test/{common[0][0]}/{common[0][1]}"]
    column = result.tasks.index(task)
    truth = predictions.targets[test, column]
    rows = np.flatnonzero(np.isfinite(truth))
    ours, theirs = (
        np.stack([predictions.arrays[f"{m}/all/{r}/{f}"][rows, column] for r, f in common])
        for m in (a, b)
    )
    units = None if predictions.units is None else predictions.units[test[rows]]
    interval = stats.paired_bootstrap(truth[rows], ours, theirs, metric, units, tasks=[task])
    return float(interval.low), float(interval.high)


def task_means(result: Result, model: str, metric: str) -> dict[str, float]:
    """Return a model's mean for each task, tasks that are nowhere defined left out.

    Where folds leave targets out, for each target, over its repeats.
    """
    scores = result.by_task(model, metric)
    if (targets := result.card.protocol.groups) is not None:
        scores = scores.mean(axis=1).unstack("fold").rename(columns=dict(enumerate(targets)))
    return scores.mean().dropna().to_dict()


def learning_curve_table(result: Result, metric: str | None = None) -> pd.DataFrame:
    """Return one row per model and size of the train side: the score table's, and ``molecules``.

    The conditions that count are ``all`` and those whose name is a number. ``molecules`` is what
    the nets learned from, the mean over the condition's replicas; models that need no valid rows
    to stop by learn from those too.
    """
    parts = []
    for condition, rows in result.scores.groupby("condition", sort=False):
        if condition == "all" or str(condition).isdigit():
            replicas = rows.drop_duplicates(["model", "repeat", "fold"])
            table = score_table(result, metric, str(condition))
            parts.append(table.assign(molecules=float(replicas["n_train"].mean())))
    return pd.concat(parts).sort_values("molecules", kind="stable", ignore_index=True)


def verdict_table(
    results: Iterable[Result],
    *,
    chapter: str | None = None,
    claims: Mapping[str, Claim] | None = None,
) -> pd.DataFrame:
    """Return one row per judged claim, in the ledger's order: reported, reproduced, the verdict."""
    claims = load_claims() if claims is None else claims
    rows = []
    said = findings(results, claims)
    for name, claim in claims.items():
        if name not in said or (chapter is not None and claim.chapter != chapter):
            continue
        finding = said[name]
        here = finding.reason if finding.value is None else reproduced_text(finding, claim.kind)
        rows.append(
            {
                "claim": name,
                "study": finding.study,
                "profile": finding.profile,
                "reported": reported_text(claim),
                "here": here,
                "who won": finding.won or "—",
                "source right": was_source_right(finding.verdict, claim.favours) or "—",
                "verdict": finding.verdict + (" *" if _is_provisional(finding) else ""),
            }
        )
    return pd.DataFrame(rows, columns=list(VERDICT_COLUMNS))


def _is_provisional(finding: Finding) -> bool:
    return finding.provisional and finding.verdict in WORDS


def recorded_verdicts(chapter: str) -> pd.DataFrame:
    """Return the verdicts of a chapter's recorded results, without claims that were not run."""
    table = verdict_table(find_results().values(), chapter=chapter)
    return table[table["verdict"] != "not run"].reset_index(drop=True)


def model_table(names: Sequence[str], dataset: Dataset | str) -> pd.DataFrame:
    """Return what the registry says about models: what each reads, its method and its authors.

    Instead of a dataset, the kind of its inputs can be given, such as ``complex``.
    """
    kind_of_input = dataset if isinstance(dataset, str) else dataset.card["input"]
    rows = []
    for name in names:
        info = find_model(name, kind_of_input)
        rows.append(
            {
                "model": name,
                "family": info.family,
                "reads": info.reads,
                "method": info.method,
                "source": info.paper or "–",
            }
        )
    return pd.DataFrame(rows)


def claim_table(chapter: str) -> pd.DataFrame:
    """Return a chapter's claims as a reader wants them: statement, values, source, mark."""
    table = pd.DataFrame(records.table(records.for_chapter(chapter)))
    table["source"] = table["source"].map(source_name)
    return table


def source_name(key: str) -> str:
    """Return author and year of a citation key, which is both and perhaps a word: ramsundar2015."""
    found = re.match(r"([a-z]+)(\d{4})", key)
    if found is None:
        return _SPELLED.get(key, key)
    return f"{_SPELLED.get(found[1], found[1].capitalize())} {found[2]}"


def shortfall(results: Sequence[Result]) -> str:
    """Say of which profile the results are and which parts of it their runs did.

    Of several studies, what is missing in some of them alone is named with its study.
    """
    profiles = " and ".join(dict.fromkeys(result.profile for result in results))
    several = len({result.study for result in results}) > 1
    lines = [
        f"{result.study}: {line}"
        if several and any(line not in other.shortfall for other in results)
        else line
        for result in results
        for line in result.shortfall
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


def missed(result: Result, a: str, b: str, *, task: int, count: int = 8) -> pd.DataFrame:
    """Return the actives of a task to which model ``a`` gave the lowest probabilities.

    Columns: ``row`` in the dataset, and the probabilities of models ``a`` and ``b``.
    """
    predictions = result.predictions
    ours, theirs = predictions.pooled(a)[:, task], predictions.pooled(b)[:, task]
    active = np.flatnonzero((predictions.targets[:, task] == 1) & np.isfinite(ours))
    rows = active[np.argsort(ours[active], kind="stable")][:count]
    return pd.DataFrame({"row": rows, "a": ours[rows], "b": theirs[rows]})


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


def axis_label(metric: str, result: Result | None = None) -> str:
    """Return a metric's name and unit for an axis: an error's unit is that of the data."""
    name = metric_name(metric)
    unit = METRICS[metric].unit
    if unit != "target":
        return with_unit(name, unit)
    return with_unit(name, "unit of the targets" if result is None else target_unit(result))


def metric_name(metric: str) -> str:
    """Return a metric's name for people: ``ROC-AUC``."""
    return _METRIC_NAMES.get(metric, pretty(metric))


def target_unit(result: Result) -> str:
    """Return the unit of a study's targets, from its metrics or from the registry of datasets.

    It is empty for your own data set without a unit.
    """
    own = (m.unit for m in result.card.metrics if METRICS[m.name].unit == "target")
    unit = next((unit for unit in own if unit not in ("", "target")), None)
    name = result.card.dataset.name
    registered = name in datasets.names()
    return unit or (str(datasets.describe(name)["unit"]) if registered else "")


def with_unit(name: str, unit: str) -> str:
    """Return a quantity's name with its unit: ``RMSE (log₁₀ mol/L)``."""
    return f"{name} ({unit.replace('log10', 'log₁₀')})" if unit else name


def pretty(name: str) -> str:
    """Return a name for people: spaces for underscores."""
    return name.replace("_", " ")
