"""From a table to its answer: check, comparison, curve, models and report in one folder."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from chemdl.data.dataset import Dataset
from chemdl.evidence.conditions import Condition
from chemdl.evidence.metrics import METRICS
from chemdl.evidence.result import Result
from chemdl.evidence.study import Study
from chemdl.files import write_atomically
from chemdl.learn.models import find_model
from chemdl.molecules.data import canonical_smiles
from chemdl.molecules.residuals import nearest_similarity
from chemdl.settings import Settings, spawn
from chemdl.your_data.budget import Budget
from chemdl.your_data.ceiling import Ceiling, from_replicates
from chemdl.your_data.check import Check, check_table
from chemdl.your_data.compare import CHAPTER, STUDY, Comparison, compare_families
from chemdl.your_data.conformal import Calibration, calibrate, fold_coverage
from chemdl.your_data.curve import SHARES, Gain, expected_gain
from chemdl.your_data.judge import as_card
from chemdl.your_data.loading import YourTable, as_dataset, read_your_table
from chemdl.your_data.model_folder import ModelFolderError, save_models
from chemdl.your_data.tables import TableError

# Share of the tested molecules that are farther from the train molecules than the domain reaches.
_OUTSIDE = 0.05
# Part of the budget after which no learning curve is begun, and part of it that a curve may take.
_CURVE_BEGINS, _CURVE_ENDS = 0.85, 0.95


@dataclass(frozen=True)
class Answer:
    """All that a report says.

    Attributes
    ----------
    yours, checked
        The table, and what is in it.
    comparison
        The comparison of the families.
    curve, gain
        The study of the learning curve and what more molecules would bring, or ``None``.
    ceiling
        The noise of the measurement, or ``None`` where nobody knows it.
    calibrations
        By side, one for each target.
    coverage
        By side, coverage and width of the 90 % intervals of the first target on folds left out.
    domain_ends
        Similarity below which a molecule is outside the domain; NaN where nothing ran.
    command
        Command that repeats it.
    """

    yours: YourTable
    checked: Check
    comparison: Comparison
    curve: Result | None
    gain: Gain | None
    ceiling: Ceiling | None
    calibrations: dict[str, list[Calibration]]
    coverage: dict[str, tuple[float, float]]
    domain_ends: float
    command: str

    @property
    def sides(self) -> dict[str, str]:
        """The name of the best model by side."""
        judged = self.comparison.judged
        return {} if judged is None else {"simple": judged.simple, "deep": judged.deep}

    @property
    def beware(self) -> str:
        """A sentence for each shortcut that explains the target, or nothing."""
        known = [f for f in self.checked.findings if f.name.startswith("follows")]
        return "".join(f" Beware: {f.count:,} {f.text}." for f in known)

    @property
    def better(self) -> str:
        """The side to predict with, the simple one unless the deep one is surely better."""
        judged = self.comparison.judged
        return "deep" if judged is not None and judged.verdict == "deep" else "simple"


def answer(
    path: str | Path,
    output: str | Path,
    settings: Settings,
    *,
    new: str | Path | None = None,
    group: str = "",
    minutes: float = 10,
    families: Sequence[str] = (),
    random: bool = False,
    tolerance: float | None = None,
    assay_error: float | None = None,
    overwrite: bool = False,
    command: str = "",
    **options: Any,
) -> Answer:
    """Answer for a table whether a deep net is worth it, and write report, card and models.

    Parameters
    ----------
    path, options
        As in :func:`~chemdl.your_data.loading.read_your_table`.
    output
        Folder to be written, whole or not at all.
    new
        Table of molecules to be predicted.
    group
        Column whose groups stay together.
    settings
        Seed and device; cards go into its folder, or into the report where it has none.
    minutes, families, random
        As in :func:`~chemdl.your_data.compare.compare_families`.
    tolerance
        As in :func:`~chemdl.your_data.loading.as_dataset`.
    assay_error
        Standard deviation of a measurement, where it is known; else replicates tell it.
    overwrite
        Whether a folder that exists is replaced.
    command
        The command line, for the report.

    Raises
    ------
    TableError
        If a table cannot be read, or the folder exists.
    """
    from chemdl.your_data.report import write_report

    budget, output = Budget(minutes), Path(output).expanduser()
    if output.exists() and not overwrite:
        raise TableError(f"{str(output)!r} exists; name another folder, or ask to overwrite it")
    yours = read_your_table(path, group=group or None, **options)
    others = None
    if new is not None:
        shared = {k: v for k, v in options.items() if k in ("delimiter", "encoding")}
        others = read_your_table(new, target="none", **shared)
    dataset = as_dataset(yours, tolerance=tolerance, group=group)
    parsed = [s for s in others.smiles if canonical_smiles([s])[0]] if others else []
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".report-") as name:
        folder = Path(name) / "report"
        if settings.output == Path():
            settings = replace(settings, output=folder)
        comparison = compare_families(
            dataset, settings, minutes=minutes, families=families, new=parsed, random=random,
            budget=budget,
        )  # fmt: skip
        checked = check_table(yours, others)
        found = _completed(yours, checked, comparison, folder, assay_error, command, settings)
        folder.mkdir(exist_ok=True)
        _write_card(found, folder)
        write_report(found, folder / "report.html")
        shutil.rmtree(folder / "replicas", ignore_errors=True)
        if output.exists():
            shutil.rmtree(output)
        folder.rename(output)
    return found


def _completed(
    yours: YourTable,
    checked: Check,
    comparison: Comparison,
    folder: Path,
    assay_error: float | None,
    command: str,
    settings: Settings,
) -> Answer:
    """Add what stands on the comparison: curve, ceiling, calibration and fitted models."""
    noise = _ceiling(yours, comparison.dataset, assay_error)
    judged, result = comparison.judged, comparison.result
    if judged is None or result is None:
        return Answer(yours, checked, comparison, None, None, noise, {}, {}, float("nan"), command)
    curve = _learning_curve(comparison, judged.simple, settings)
    sides = {"simple": judged.simple, "deep": judged.deep}
    similarity = nearest_similarity(result, comparison.dataset)
    calibrations = {
        side: _calibrations(comparison.dataset, result, name, similarity)
        for side, name in sides.items()
    }
    coverage = {
        side: _coverage(comparison.dataset, result, name, similarity)
        for side, name in sides.items()
    }
    ends = float(np.nanquantile(similarity, _OUTSIDE))
    gain = None if curve is None else _gain(curve, judged.simple)
    found = Answer(yours, checked, comparison, curve, gain, noise, calibrations, coverage, ends,
                   command)  # fmt: skip
    _save(found, folder / "model", settings.seed)
    return found


def _ceiling(yours: YourTable, dataset: Dataset, assay_error: float | None) -> Ceiling | None:
    if dataset.kind != "regression" or len(dataset.tasks) > 1:
        return None
    if assay_error is not None:
        return Ceiling(assay_error, "as stated")
    (read,) = yours.numbers.values()
    return from_replicates(canonical_smiles(yours.smiles), read.values)


def _learning_curve(comparison: Comparison, simple: str, settings: Settings) -> Result | None:
    """Run the best simple model on fewer molecules, unless budget or protocol forbid it."""
    result, budget, question = comparison.result, comparison.budget, comparison.question
    assert result is not None and question is not None
    one = float(np.mean([row.fit_seconds for row in result.replicas(simple).values()]))
    needed = one * question.protocol.folds * sum(SHARES)
    if question.protocol.name == "time":
        budget.cuts.append("no learning curve: folds of time differ in size already")
        return None
    if needed > budget.until(_CURVE_ENDS) or budget.until(_CURVE_BEGINS) < 0:
        budget.cuts.append("no learning curve: no time was left for it")
        return None
    least = min(len(split.train) for split in question.protocol.splits)
    conditions = [Condition(f"n={round(s * least)}", train_size=round(s * least)) for s in SHARES]
    settings = replace(settings, trials=0, repeats=1)
    models = {name: comparison.models[name] for name in ("trivial", simple)}
    return Study(
        f"{STUDY}_curve", dataset=comparison.dataset, models=models, protocol=question.protocol,
        metrics=result.metrics, settings=settings, conditions=conditions,
        chapter=CHAPTER,
    ).run()  # fmt: skip


def _gain(curve: Result, model: str) -> Gain:
    """Return what more molecules would bring, from each fold's error at each size."""
    metric = METRICS[curve.metric]
    names = list(dict.fromkeys(row.condition for row in curve.card.scores))
    columns, sizes = [], []
    for name in names:
        scores = curve.by_task(model, metric.name, name).mean(axis=1).to_numpy(dtype=float)
        columns.append(1 - scores if metric.higher_is_better else scores)
        sizes.append(np.mean([row.n_train for row in curve.replicas(model, name).values()]))
    return expected_gain(np.array(sizes, dtype=float), np.column_stack(columns))


def _out_of_fold(
    dataset: Dataset, result: Result, name: str, task: int
) -> tuple[np.ndarray, np.ndarray]:
    return dataset.targets[:, task], result.predictions.pooled(name)[:, task]


def _calibrations(
    dataset: Dataset, result: Result, name: str, similarity: np.ndarray
) -> list[Calibration]:
    return [
        calibrate(dataset.kind, *_out_of_fold(dataset, result, name, task), similarity)
        for task in range(len(dataset.tasks))
    ]


def _coverage(
    dataset: Dataset, result: Result, name: str, similarity: np.ndarray
) -> tuple[float, float]:
    folds = np.full(len(dataset), -1)
    for key, rows in result.predictions.arrays.items():
        if key.startswith("test/0/"):
            folds[rows] = int(key.rsplit("/", 1)[1])
    return fold_coverage(dataset.kind, *_out_of_fold(dataset, result, name, 0), similarity, folds)


def _save(found: Answer, folder: Path, seed: int) -> None:
    """Fit the best of each side on all rows and write them."""
    dataset, models = found.comparison.dataset, {}
    for side, name in found.sides.items():
        model = found.comparison.models[name]
        model = model.set_params(seed=spawn(seed, STUDY, name, "all"))
        models[side] = (name, model.fit(dataset.inputs, dataset.targets))
    inputs = list(dataset.inputs)
    keys = [key for key in canonical_smiles(inputs) if key is not None]
    try:
        save_models(
            folder, models, found.calibrations, smiles=inputs, canonical=keys, kind=dataset.kind,
            tasks=dataset.tasks, domain_ends=found.domain_ends, better=found.better,
        )  # fmt: skip
    except ModelFolderError as error:
        shutil.rmtree(folder, ignore_errors=True)
        found.comparison.budget.cuts.append(f"no model was kept: {error}")


def _write_card(found: Answer, folder: Path) -> None:
    """Write what the report says as JSON."""
    judged = found.comparison.judged
    content = {
        "file": found.yours.table.file,
        "answer": found.comparison.answer,
        "judgement": None if judged is None else as_card(judged),
        "families": {name: find_model(name, "smiles").reads for name in found.comparison.models},
        "trials": found.comparison.trials,
        "cuts": found.comparison.budget.cuts,
        "seconds": round(found.comparison.budget.spent(), 1),
        "gain": None if found.gain is None else found.gain.__dict__,
        "ceiling": None if found.ceiling is None else found.ceiling.__dict__,
        "coverage": found.coverage,
        "domain_ends": found.domain_ends,
        "cleaning": found.comparison.dataset.card["cleaning"],
        "findings": [finding.__dict__ for finding in found.checked.findings],
        "command": found.command,
    }
    with write_atomically(folder / "answer.json") as temporary:
        temporary.write_text(json.dumps(_finite(content), indent=1) + "\n", "utf-8")


def _finite(value: Any) -> Any:
    """Return the value with ``None`` for NaN and infinity, which JSON does not know."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
