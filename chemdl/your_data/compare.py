"""The fair comparison on your table: families at equal trials, within the minutes asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chemdl.data.dataset import Dataset
from chemdl.evidence.result import Result
from chemdl.evidence.study import Study
from chemdl.settings import Settings
from chemdl.threads import cores
from chemdl.your_data import budget as budgets
from chemdl.your_data.budget import Budget
from chemdl.your_data.families import called, known_families, make_families
from chemdl.your_data.judge import Judgement, judge, sentence
from chemdl.your_data.protocols import ComparisonError, Question, choose_protocol
from chemdl.your_data.target_findings import FEWEST

METRICS = {"regression": ("rmse", "mae", "r2"), "classification": ("roc_auc", "pr_auc", "brier")}
STUDY, CHAPTER = "your_data", "your-data"


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Attributes
    ----------
    dataset
        The molecules that were compared on.
    question
        The protocol, and why.
    result
        The study that ran; ``None`` where there are too few molecules.
    beside
        The same simple models under random splits, or ``None``.
    judged
        The verdict; ``None`` where there are too few molecules.
    models
        The tuned, unfitted models.
    trials
        Tuning trials of each model.
    budget
        What was spent, and what was cut.
    """

    dataset: Dataset
    question: Question | None
    result: Result | None
    beside: Result | None
    judged: Judgement | None
    models: dict[str, Any]
    trials: int
    budget: Budget

    @property
    def names(self) -> dict[str, str]:
        """What each model is called."""
        return {name: called(name, self.dataset.kind) for name in self.models}

    @property
    def answer(self) -> str:
        """The answer in a sentence or two."""
        if self.judged is None or self.result is None:
            return (
                f"Nothing can be decided on {len(self.dataset)} molecules: a test fold would hold "
                f"fewer than ten. Measure at least {FEWEST}, better some hundreds; until then take "
                "what you know of the chemistry."
            )
        return sentence(self.judged, self.result.metric, self.names) + self.untried

    @property
    def untried(self) -> str:
        """A sentence about the families that did not fit into the minutes, or nothing."""
        names = [called(name, self.dataset.kind) for name in self.budget.untried]
        if not names:
            return ""
        return f" Not tried, since the minutes did not suffice: {', '.join(names)}."


class _OutOfTimeError(Exception):
    """Tuning has used its part of the budget."""


def compare_families(
    dataset: Dataset,
    settings: Settings,
    *,
    minutes: float = 10,
    families: Sequence[str] = (),
    new: Sequence[str] = (),
    random: bool = False,
    budget: Budget | None = None,
) -> Comparison:
    """Compare families of models on a dataset of molecules: is a deep net worth it there?

    Parameters
    ----------
    dataset
        See :func:`~chemdl.your_data.loading.as_dataset`.
    settings
        Seed, device, and the folder for cards and replicas. Where ``trials`` and ``repeats`` are
        given they are kept, whatever the time.
    minutes
        What the comparison may take; less is done where it does not suffice, and said.
    families
        Names to compare; by default all that can learn the table.
    new
        SMILES of molecules to be predicted; the splits are made like them.
    random
        Whether to split at random.
    budget
        A clock that runs already.

    Raises
    ------
    UnknownNameError
        For an unknown family.
    ComparisonError
        If a target has one value only, or the molecules cannot be split as the question asks.
    """
    budget = budget or Budget(minutes)
    budget.reserve_for(len(dataset))
    names = tuple(families) or known_families(dataset)
    names = budgets.small_enough(names, len(dataset), budget)
    models = make_families(dataset, names, settings.device)
    if len(dataset) < FEWEST:
        return Comparison(dataset, None, None, None, None, {}, 0, budget)
    for task, values in zip(dataset.tasks, dataset.targets.T, strict=True):
        if len(np.unique(values[np.isfinite(values)])) < 2:
            raise ComparisonError(f"target {task!r} has one value only: there is nothing to learn")
    question = choose_protocol(dataset, new=new, seed=settings.seed, random=random)
    if settings.trials is None or settings.repeats is None:
        models = _affordable(models, dataset, question, budget)
    making = _Making(dataset, question, settings, budget)
    trials = making.tuned(models) if settings.trials is None else settings.trials
    result, study = making.repeated(models, trials, settings.repeats)
    judged = judge(result)
    beside = making.beside(study, judged.simple, result)
    return Comparison(dataset, question, result, beside, judged, study.models, trials, budget)


def _affordable(
    models: dict[str, Any], dataset: Dataset, question: Question, budget: Budget
) -> dict[str, Any]:
    split = question.protocol.splits[-1]
    features = budgets.feature_seconds(models, dataset)
    seconds = budgets.fit_seconds(models, dataset, split)
    kept = budgets.kept_families(seconds, question.protocol.folds, budget, cores(), features)
    return {name: models[name] for name in models if name in kept}


@dataclass(frozen=True)
class _Making:
    """The studies of one comparison."""

    dataset: Dataset
    question: Question
    settings: Settings
    budget: Budget

    def study(self, models: dict[str, Any], trials: int, repeats: int) -> Study:
        settings = replace(self.settings, trials=trials, repeats=repeats)
        return Study(
            STUDY, dataset=self.dataset, models=models, protocol=self.question.protocol,
            metrics=METRICS[self.dataset.kind], settings=settings, reference="trivial",
            chapter=CHAPTER,
        )  # fmt: skip

    def tuned(self, models: dict[str, Any]) -> int:
        """Tune all models with more and more trials; return how many all of them had."""
        done, last = 0, 0.0

        def between() -> None:
            if self.budget.until(budgets.TUNING_ENDS) < 0:
                raise _OutOfTimeError

        for trials in budgets.TRIALS:
            begun = self.budget.spent()
            try:
                # What earlier rounds fitted is stored, so that only new trials are fitted.
                self.study(models, trials, 1).tune(between)
            except _OutOfTimeError:
                break
            done, last = trials, self.budget.spent() - begun
            if last > self.budget.until(budgets.TUNING_ENDS):
                break
        if done < budgets.TRIALS[-1]:
            self.budget.cuts.append(f"{done} of {budgets.TRIALS[-1]} tuning trials for each family")
        return done

    def repeated(
        self, models: dict[str, Any], trials: int, repeats: int | None
    ) -> tuple[Result, Study]:
        """Run repeat after repeat while the next one fits into the budget."""
        most = self.question.protocol.repeats
        wanted = min(repeats or most, most)
        for done in range(repeats or 1, wanted + 1):
            begun = self.budget.spent()
            study = self.study(models, trials, done)
            result = study.run()
            took = self.budget.spent() - begun
            if done < wanted and took > self.budget.until(budgets.REPEATS_END):
                self.budget.cuts.append(f"{done} of {wanted} repeats")
                break
        return result, study

    def beside(self, study: Study, simple: str, result: Result) -> Result | None:
        """Run the best simple model under random splits, to show how optimistic they are."""
        if self.question.beside is None:
            return None
        fits = [row.fit_seconds for row in result.replicas(simple).values()]
        if self.question.beside.folds * float(np.mean(fits)) > self.budget.until(1.0):
            self.budget.cuts.append("no random split beside it: no time was left")
            return None
        models = {name: study.models[name] for name in ("trivial", simple)}
        settings = replace(self.settings, trials=0, repeats=1)
        at_random = Study(
            f"{STUDY}_random", dataset=self.dataset, models=models, protocol=self.question.beside,
            metrics=METRICS[self.dataset.kind], settings=settings, chapter=CHAPTER,
        )  # fmt: skip
        return at_random.run()


def row_of(comparison: Comparison, model: str) -> dict[str, float]:
    """Return a model's mean scores over folds by metric, and its seconds a fit."""
    result = comparison.result
    assert result is not None, "too few molecules: nothing ran"
    scores = result.scores[result.scores.model == model]
    found = scores.groupby("metric")["value"].mean().to_dict()
    return {**found, "seconds": float(np.mean(scores["fit_seconds"]))}
