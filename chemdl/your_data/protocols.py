"""Which split answers your question: by time, like the molecules to predict, or by clusters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from chemdl.data.dataset import Dataset
from chemdl.evidence import splits
from chemdl.evidence.splits import Protocol, Split
from chemdl.molecules.splits import cluster, scaffold_balanced
from chemdl.your_data.nearest import Nearest, tanimoto_to

FOLDS = 5
# Repeats below and above so many rows: a larger set needs fewer for the same interval.
_LARGE, REPEATS = 5_000, 5
# Tanimoto distances up to which molecules are neighbours, for splits from near to far.
_CUTOFFS = (0.3, 0.5, 0.7, 0.8)
# Rows whose nearest train molecules are looked up to compare protocols.
_LOOKED_UP = 1_000


class ComparisonError(ValueError):
    """A table on which models cannot be compared as it was asked; the message says why."""


@dataclass(frozen=True)
class Question:
    """The protocol that answers the question, and why it was taken.

    Attributes
    ----------
    protocol
        Its splits.
    beside
        Random splits, to show how optimistic they are; ``None`` where the protocol is random.
    why
        One sentence.
    similarities
        Similarity of test to nearest train molecule under each protocol that was looked at, (m,)
        each, and of the new molecules under ``new``; empty without new molecules.
    """

    protocol: Protocol
    beside: Protocol | None
    why: str
    similarities: dict[str, np.ndarray]


def choose_protocol(
    dataset: Dataset, *, new: Sequence[str] = (), seed: int = 0, random: bool = False
) -> Question:
    """Choose the protocol by the question that the table and the new molecules ask.

    A column ``day`` asks for time, ``group`` for whole groups, new molecules for the protocol whose
    similarities are like theirs; else whole clusters are left out. ``random`` asks for random
    splits.

    Raises
    ------
    ComparisonError
        If there are too few dates, groups or clusters for the folds.
    """
    try:
        return _chosen(dataset, new, seed, random)
    except ValueError as error:  # too few dates, groups or clusters
        raise ComparisonError(f"{dataset.name}: {error}") from error


def _chosen(dataset: Dataset, new: Sequence[str], seed: int, random: bool) -> Question:
    repeats = REPEATS if len(dataset) <= _LARGE else 1
    sizes = {"repeats": repeats, "folds": FOLDS, "seed": seed}
    at_random = splits.random(dataset, **sizes)
    if random:
        return Question(at_random, None, "folds at random, as asked for", {})
    if "day" in dataset.columns:
        why = "there are dates: each fold learns from what was known and predicts what came next"
        return Question(by_time(dataset), at_random, why, {})
    if "group" in dataset.columns:
        protocol = splits.grouped(dataset, column="group", **sizes)
        return Question(protocol, at_random, "whole groups are left out, as asked for", {})
    if len(new):
        return _like(dataset, new, at_random, sizes)
    why = "whole clusters of similar molecules are left out, as new series will be"
    return Question(cluster(dataset, **sizes), at_random, why, {})


def by_time(dataset: Dataset, folds: int = FOLDS - 1, valid: float = 0.1) -> Protocol:
    """Divide the rows by date into ``folds`` + 1 parts; each part but the first is a test fold.

    A fold learns from all parts before it, and the last ``valid`` of those rows are its valid
    rows. Rows of one day stay together.

    Raises
    ------
    ValueError
        If there are too few different days.
    """
    days = dataset.columns["day"]
    different, counts = np.unique(days, return_counts=True)
    before = np.cumsum(counts) - counts
    part_of_day = np.minimum(before * (folds + 1) // len(days), folds)
    part = part_of_day[np.searchsorted(different, days)]
    if len(np.unique(part)) < folds + 1:
        raise ValueError(
            f"{len(different)} different dates are too few for {folds + 1} parts of time; compare "
            "without the dates"
        )
    made = []
    for fold in range(folds):
        known = np.flatnonzero(part <= fold)
        known = known[np.argsort(days[known], kind="stable")]
        held = max(1, round(valid * len(known)))
        made.append(Split(known[:-held], known[-held:], np.flatnonzero(part == fold + 1), 0, fold))
    return splits.assemble("time", dataset, made, 1, folds, None, {"valid": valid})


def _like(
    dataset: Dataset, new: Sequence[str], at_random: Protocol, sizes: dict[str, int]
) -> Question:
    """Return the protocol whose similarities are nearest to those of the new molecules."""
    from scipy.stats import wasserstein_distance

    wanted = Nearest.of(list(dataset.inputs)).similarity(new)
    generator = np.random.default_rng(sizes["seed"])
    rows = np.sort(generator.permutation(len(dataset))[:_LOOKED_UP])
    similarity = tanimoto_to(list(dataset.inputs[rows]), list(dataset.inputs))
    found = {"new": wanted}
    protocols = {"random": at_random, **dict(_candidates(dataset, sizes))}
    for name, protocol in protocols.items():
        found[name] = _test_to_train(protocol, rows, similarity)
    distances = {name: wasserstein_distance(found[name], wanted) for name in protocols}
    best = min(distances, key=lambda name: distances[name])
    why = (
        f"test molecules are as far from their train molecules as yours from this table: {best} "
        f"(median similarity {np.median(found[best]):.2f}, yours {np.median(wanted):.2f})"
    )
    return Question(protocols[best], None if best == "random" else at_random, why, found)


def _candidates(dataset: Dataset, sizes: dict[str, int]) -> Iterator[tuple[str, Protocol]]:
    for cutoff in _CUTOFFS:
        try:
            made = cluster(dataset, **sizes, cutoff=cutoff)
        except ValueError:  # fewer clusters than folds
            continue
        yield f"clusters at {1 - cutoff:.1f}", made
    try:
        yield "scaffolds", scaffold_balanced(dataset, **sizes)
    except ValueError:
        return


def _test_to_train(protocol: Protocol, rows: np.ndarray, similarity: np.ndarray) -> np.ndarray:
    """Return the similarity of some rows to their nearest train row, in the first repeat."""
    out = np.full(len(rows), np.nan)
    for split in protocol.head(1).splits:
        tested = np.flatnonzero(np.isin(rows, split.test))
        fitted = np.concatenate([split.train, split.valid])
        out[tested] = similarity[np.ix_(tested, fitted)].max(axis=1)
    return out[np.isfinite(out)]
