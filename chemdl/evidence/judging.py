"""From a study's evidence to the verdict on each claim that names it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from chemdl.evidence import metrics
from chemdl.evidence import statistics as stats
from chemdl.evidence.claims import Claim, Test, for_study
from chemdl.evidence.comparisons import (
    SEVERAL,
    Evidence,
    Row,
    against,
    compare,
    mean_score,
    replica_means,
    task_intervals,
    test_train_ratios,
)
from chemdl.evidence.metrics import METRICS
from chemdl.evidence.result import Predictions
from chemdl.evidence.verdicts import (
    FEWEST_SEEDS,
    FEWEST_SETS,
    RULE_FIXED,
    RULE_VERSION,
    TALLY_FIDELITY,
    Verdict,
    judge_difference,
    judge_level,
    rule_sha256,
)

# A net whose best epoch is among the last tenth was stopped by its budget; more than this share of
# such replicas keeps a verdict out of the tally.
_LAST_PART = 0.9
MOST_CUT_SHORT = 0.2


def judged(content: Mapping[str, Any], predictions: Predictions) -> dict[str, Any]:
    """Return a card's content with the comparisons and verdicts that follow from the rest of it.

    Parameters
    ----------
    content
        Of a card; comparisons and verdicts that it has already are replaced.
    predictions
        The study's test predictions.
    """
    scores, unit = content["scores"], content["unit"]
    models = list(dict.fromkeys(row["model"] for row in scores))
    deep = [model["name"] for model in content["models"] if model["kind"] == "deep"]
    folds = content["protocol"]["folds"]
    evidence = {
        of: Evidence(scores, predictions, of, folds)
        for of in dict.fromkeys([unit, *_units_of_claims(content["study"])])
    }
    verdicts, comparisons = [], []
    for claim in for_study(content["study"]):
        own = evidence[_test_of(claim).unit]
        verdict, row = judge(claim, own, content["profile"], content["shortfall"], deep)
        verdicts.append(verdict)
        comparisons += [row] if row is not None else []
    if (reference := content["reference"]) in models:
        for metric in (row["name"] for row in content["metrics"]):
            comparisons += against(evidence[unit], reference, models, metric)
    under = provenance(content["study"])
    return {**content, "comparisons": comparisons, "verdicts": verdicts, "judged_under": under}


def provenance(study: str) -> dict[str, Any]:
    """Return under which rule and which records of claims a study is judged now."""
    return {
        "rule": RULE_VERSION,
        "fixed": RULE_FIXED,
        "rule_sha256": rule_sha256(),
        "claims": {claim.id: record_sha256(claim) for claim in for_study(study)},
    }


def record_sha256(claim: Claim) -> str:
    """Return the SHA-256 of a claim's record, by which a result says what it was judged by.

    It is taken over the record's values as JSON with sorted keys. Values that the form fills in
    where a record says nothing are left out: a new field in the form changes no hash.
    """
    values = claim.model_dump(mode="json", exclude_defaults=True)
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _units_of_claims(study: str) -> list[str]:
    return [_test_of(claim).unit for claim in for_study(study)]


def judge(
    claim: Claim,
    evidence: Evidence,
    profile: str,
    shortfall: Sequence[str] = (),
    deep: Sequence[str] = (),
) -> tuple[Row, Row | None]:
    """Judge a claim that names this study: its verdict row, and the comparison behind it.

    Parameters
    ----------
    claim
        A claim with a test.
    evidence
        Of the study; the claim's own unit of resampling is used.
    profile
        Of the run.
    shortfall
        What the run left out of its profile, as a card has it.
    deep
        The names of the study's nets.

    Returns
    -------
    tuple
        The verdict row, whose ``reason`` says why there is no verdict, or what keeps it out of the
        tally; and the comparison, or ``None`` where the claim is none of two models.
    """
    test = _test_of(claim)
    models = [test.a] if test.b is None else [test.a, test.b]
    verdict, comparison = _judged(claim, test, models, evidence)
    if verdict["estimate"] is not None:
        outside = list(_outside_tally(test, models, evidence, profile, shortfall, deep))
        reasons = [verdict["reason"], *outside] if verdict["reason"] else outside
        verdict |= {"provisional": bool(outside), "reason": "; ".join(reasons)}
        if test.fidelity not in TALLY_FIDELITY:
            verdict["verdict"] = "analogue"
    return verdict, comparison


def _test_of(claim: Claim) -> Test:
    if claim.test is None:
        raise ValueError(f"claim {claim.id} has no test: {claim.reason}")
    return claim.test


def _judged(
    claim: Claim, test: Test, models: Sequence[str], evidence: Evidence
) -> tuple[Row, Row | None]:
    absent = [m for m in models if not evidence.replicas(m, test.condition)]
    if absent:
        return _verdict(claim, "not run", f"no replicas of {', '.join(absent)}"), None
    if any(test.metric not in row["values"] for row in evidence.scores):
        return _verdict(claim, "not run", f"{test.metric} was not scored"), None
    if missing := _too_little(evidence, models, test, counted=claim.kind == "count"):
        return _verdict(claim, "partial", missing), None
    if claim.kind == "count":
        return _judge_count(claim, test, evidence), None
    if test.b is None:
        return _judge_level(claim, test, evidence), None
    return _judge_difference(claim, test, test.b, evidence)


def _too_little(evidence: Evidence, models: Sequence[str], test: Test, counted: bool) -> str:
    """Say what is missing for any verdict: a whole repeat, seeds, or data sets.

    A count is made of the intervals of its tasks, each of which needs the seeds.
    """
    places = evidence.common(*models, condition=test.condition)
    if evidence.folds > 1 and not places:
        shared = set.intersection(*(set(evidence.replicas(m, test.condition)) for m in models))
        return f"{len(shared)} of {evidence.folds} folds"
    several = evidence.unit in SEVERAL
    if evidence.folds == 1 and (counted or not several) and len(places) < FEWEST_SEEDS:
        return f"{len(places)} of {FEWEST_SEEDS} seeds"
    # Six folds, each without one target, are six sets; the folds of a task are one.
    sets = evidence.folds if evidence.unit == "target" else len(evidence.tasks)
    if several and sets < FEWEST_SETS:
        return f"{sets} of {FEWEST_SETS} {evidence.unit}s"
    return ""


def _outside_tally(
    test: Test,
    models: Sequence[str],
    evidence: Evidence,
    profile: str,
    shortfall: Sequence[str],
    deep: Sequence[str],
) -> Iterator[str]:
    """Name what keeps a verdict out of the tally."""
    if profile != "full":
        yield f"profile {profile}"
    if test.fidelity not in TALLY_FIDELITY:
        yield test.fidelity
    for line in shortfall:
        subject, colon, rest = line.partition(": ")
        named = set(rest.split(", ")) if subject.startswith("presets") else {subject}
        if not colon or named & set(models):
            yield line if not subject.startswith("presets") else "presets, not tuned"
    for model in (m for m in models if m in deep):
        rows = list(evidence.replicas(model, test.condition).values())
        known = [row for row in rows if row.get("best_epoch") is not None]
        if len(known) < len(rows):
            yield f"best epochs of {model} not on record"
        elif (share := share_cut_short(known)) > MOST_CUT_SHORT:
            yield f"{model} cut short in {share:.0%} of its replicas"


def share_cut_short(rows: Sequence[Row]) -> float:
    """Return the share of a net's replicas whose best epoch is among the last tenth."""
    short = [row["best_epoch"] >= _LAST_PART * row["epochs"] for row in rows]
    return float(np.mean(short)) if short else 0.0


def _judge_difference(
    claim: Claim, test: Test, b: str, evidence: Evidence
) -> tuple[Row, Row | None]:
    row = compare(evidence, test.a, b, test.metric, test.condition)
    if row is None:
        reason = f"{test.metric} is undefined in every common fold"
        if evidence.unit in SEVERAL:
            reason = f"{test.metric} is defined in fewer than {FEWEST_SETS} {evidence.unit}s"
        return _verdict(claim, "not run", reason), None
    margin = _margin(test, mean_score(evidence, b, test.metric, test.condition))
    word = judge_difference(row["low"], row["high"], claim.reported.difference, margin)
    estimate = _estimate(row["difference"], row["low"], row["high"], row["method"])
    methods = row["methods"]
    holds = None if methods is None else _holds(word, methods["low"], methods["high"], margin)
    return _verdict(claim, word, "", estimate, methods, holds), row


def _holds(word: Verdict, low: float, high: float, margin: float) -> bool | None:
    """Say whether the interval of the methods finds the same sign, or equivalence, as well."""
    if word in ("confirmed", "larger", "smaller"):
        return low > 0
    if word == "reversed":
        return high < 0
    return (-margin < low and high < margin) if word == "equivalent" else None


def _judge_count(claim: Claim, test: Test, evidence: Evidence) -> Row:
    """Judge "k of n" by the number of tasks whose own interval lies above or below zero.

    Tasks over the same molecules are not independent, so that no interval for a share of
    independent trials holds; what is certain is that at least those above zero are won, and that
    those below are not.
    """
    assert test.b is not None
    found = task_intervals(evidence, test.a, test.b, test.metric, test.condition)
    n = len(found)
    if n < FEWEST_SETS:
        return _verdict(claim, "partial", f"{test.metric} is defined in {n} of {FEWEST_SETS} tasks")
    won = sum(interval.low > 0 for interval in found.values())
    lost = sum(interval.high < 0 for interval in found.values())
    ahead = sum(interval.difference > 0 for interval in found.values())
    a, b = claim.reported.a, claim.reported.b
    reported = None if a is None or b is None else a / (a + b) - 0.5
    low, high = won / n, 1 - lost / n
    word = judge_difference(low - 0.5, high - 0.5, reported, margin=0.1)
    reason = f"{test.a} is ahead in {ahead} of {n} tasks, surely in {won}, surely behind in {lost}"
    estimate = _estimate(ahead / n, low, high, "share of tasks ahead; surely ahead, not behind")
    return _verdict(claim, word, reason, estimate)


def _judge_level(claim: Claim, test: Test, evidence: Evidence) -> Row:
    """Judge a reported value: fold by fold where the source prints its folds, else by its mean."""
    reported = claim.reported.a if test.level is None else test.level
    replicas = evidence.replicas(test.a, test.condition)
    rows = [replicas[place] for place in evidence.common(test.a, condition=test.condition)]
    values = replica_means(rows, test.metric)
    ratios = test_train_ratios(rows)[np.isfinite(values)]
    values = values[np.isfinite(values)]
    if reported is None or len(values) < 2:
        return _verdict(claim, "not run", "a level needs a reported value and two replicas")
    sign = 1.0 if METRICS[test.metric].higher_is_better else -1.0
    margin = _margin(test, reported)
    published = getattr(test, "folds_reported", None)
    if published is not None and len(published) == len(values):
        apart = stats.corrected_interval(sign * (values - np.asarray(published)), ratios)
        word = judge_level(apart.low, apart.high, margin)
        theirs = float(np.mean(published))
        low, high = sorted((theirs + sign * apart.low, theirs + sign * apart.high))
        method = "fold by fold against the source's folds, corrected resampled t"
    else:
        low, high = (
            stats.level_interval(values, ratios)
            if evidence.unit == "fold"
            else stats.prediction_interval(values)
        )
        worst, best = sorted((sign * (low - reported), sign * (high - reported)))
        word = judge_level(worst, best, margin)
        method = "95 % prediction interval"
    return _verdict(claim, word, "", _estimate(float(values.mean()), low, high, method))


def _margin(test: Test, baseline: float) -> float:
    return metrics.margin(test.metric, baseline) if test.margin is None else float(test.margin)


def _verdict(
    claim: Claim,
    verdict: Verdict,
    reason: str,
    estimate: Row | None = None,
    methods: Row | None = None,
    holds: bool | None = None,
) -> Row:
    return {
        "claim": claim.id,
        "verdict": verdict,
        "reason": reason,
        "fidelity": claim.test.fidelity if claim.test else "",
        "provisional": True,
        "estimate": estimate,
        "methods": methods,
        "holds_elsewhere": holds,
    }


def _estimate(value: float, low: float, high: float, method: str) -> dict[str, Any]:
    return {"value": float(value), "low": float(low), "high": float(high), "method": method}
