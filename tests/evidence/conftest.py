"""Small sets of rows, a model that learns one thing, and studies of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

import chemdl
from chemdl.data import Dataset
from chemdl.evidence import claims, judging, metrics, splits
from chemdl.evidence.comparisons import Evidence
from chemdl.evidence.result import Predictions
from chemdl.evidence.study import Study
from chemdl.molecules import baselines
from chemdl.molecules.nets.multitask import Multitask
from chemdl.settings import Settings


@pytest.fixture(scope="session")
def small_set() -> Callable[..., Dataset]:
    """A maker of sets: inputs (or how many alkanes), targets, further columns, kind of input."""

    def made(
        inputs: int | Sequence[str],
        targets: Any = None,
        kind: str = "classification",
        columns: Mapping[str, Any] | None = None,
        input_kind: str = "smiles",
    ) -> Dataset:
        named = ["C" * (i + 1) for i in range(inputs)] if isinstance(inputs, int) else list(inputs)
        values = np.zeros((len(named), 1)) if targets is None else np.asarray(targets, float)
        values = values.reshape(len(named), -1)
        return Dataset(
            name="molecules",
            inputs=np.array(named, dtype=object),
            targets=values,
            tasks=[f"t{i}" for i in range(values.shape[1])],
            kind=kind,
            unit="",
            card={"input": input_kind},
            columns={name: np.asarray(column) for name, column in (columns or {}).items()},
        )

    return made


@pytest.fixture(scope="session")
def clintox(small_set: Callable[..., Dataset]) -> Dataset:
    """Real molecules with two tasks, the first 600 rows, labels missing here and there."""
    dataset = chemdl.load("clintox")
    targets = np.array(dataset.targets[:600])
    targets[::17, 0] = np.nan
    targets[::34, 1] = np.nan
    return small_set(dataset.inputs[:600], targets)


ENDS = ["", "O", "C(=O)O", "N", "Cl"]
SMILES = np.array(["C" * n + end for n in range(1, 17) for end in ENDS], dtype=object)


class Oxygen(ClassifierMixin, BaseEstimator):
    """Learns from train rows which share of molecules with and without oxygen is positive.

    It remembers how many rows each fit had, and which molecules it learned from and predicted.
    """

    revision = 1
    search_space: ClassVar[dict[str, list[Any]]] = {"strength": [0.1, 0.5, 1.0, -1.0]}
    fits: ClassVar[list[int]] = []
    seen: ClassVar[list[tuple[set[str], set[str]]]] = []

    def __init__(self, strength: float = 1.0, forgets: bool = False, seed: int = 0) -> None:
        self.strength, self.forgets, self.seed = strength, forgets, seed

    def fit(self, X, y):
        self.fits.append(len(X))
        self.rows_ = set(X)
        has = np.array(["O" in s for s in X])
        self.n_tasks_ = y.shape[1]
        self.shares_ = [np.nanmean(y[has == side], axis=0) for side in (False, True)]
        return self

    def predict_proba(self, X):
        self.seen.append((self.rows_, set(X)))
        rng = np.random.default_rng(self.seed)
        p = np.array([self.shares_["O" in s] for s in X])
        p = 0.5 + self.strength * (p - 0.5) * (0.9 + 0.05 * rng.random(p.shape))
        if self.forgets:
            p[len(X) // 2, 1] = np.nan
        return p


@pytest.fixture
def oxygen() -> type[Oxygen]:
    """A model that learns whether oxygen matters, with nothing remembered yet."""
    Oxygen.fits.clear()
    Oxygen.seen.clear()
    return Oxygen


@pytest.fixture
def net() -> Any:
    """A small net of three epochs."""
    return Multitask.Classifier(
        hidden=(12,), dropout=(0.0, 0.2), size=128, epochs=3, batch_size=32, learning_rate=0.01
    )


@pytest.fixture
def tiny_set() -> Callable[..., Dataset]:
    """A maker of sets of 80 molecules with these targets; tasks are called oxygen and long."""

    def made(targets: np.ndarray, **fields: Any) -> Dataset:
        described = {"name": "tiny", "kind": "classification", "unit": "", **fields}
        tasks = ("oxygen", "long")[: targets.shape[1]]
        card = {"cleaning": {"raw": len(SMILES)}}
        return Dataset(inputs=SMILES, targets=targets, tasks=tasks, card=card, **described)

    return made


@pytest.fixture
def data(tiny_set: Callable[..., Dataset]) -> Dataset:
    """80 molecules; oxygen, and length with a quarter not measured."""
    y = np.array([["O" in s, len(s) > 9] for s in SMILES], dtype=float)
    y[::4, 1] = np.nan
    return tiny_set(y)


@pytest.fixture
def make_study(monkeypatch: pytest.MonkeyPatch, oxygen: type[Oxygen]) -> Callable[..., Study]:
    """A maker of studies of three folds, which no claim names."""
    monkeypatch.setattr(judging, "for_study", lambda _study: [])

    def made(
        data: Dataset,
        output: Path,
        models: dict[str, Any] | None = None,
        *,
        protocol: splits.Protocol | None = None,
        asked: tuple[str, ...] = ("all",),
        seed: int = 0,
        profile: str = "quick",
        repeats: int | None = None,
        trials: int | None = None,
        shuffled: bool = False,
        name: str = "tiny_random",
        **more: Any,
    ) -> Study:
        settings = Settings(profile, seed, "cpu", output, asked, repeats, trials, shuffled)
        return Study(
            name,
            dataset=data,
            models=models or {"oxygen": oxygen(), "trivial": baselines.classifier("trivial")},
            protocol=protocol or splits.random(data, repeats=1, folds=3, seed=seed),
            settings=settings,
            **{"metrics": ["roc_auc", "pr_auc"], "chapter": "tiny", **more},
        )

    return made


@pytest.fixture(scope="session")
def make_evidence() -> Callable[..., Evidence]:
    """A maker of scored predictions of several models; see :func:`evidence_of`."""
    return evidence_of


def evidence_of(
    skill: Mapping[str, float],
    *,
    metric: str | Sequence[str] = "roc_auc",
    n: int = 200,
    folds: int = 5,
    repeats: int = 1,
    tasks: int = 1,
    unit: str = "fold",
    clusters: np.ndarray | None = None,
    measured: float = 1.0,
    conditions: Sequence[str] = ("all",),
    seed: int = 0,
) -> Evidence:
    """Draw labels and predictions, and score them as a study does.

    Parameters
    ----------
    skill
        Of each model: for labels 0 and 1 how far it sets them apart, else the size of its errors.
    n, folds, repeats
        Rows, dealt into ``folds`` in each repeat. One fold is a fixed test set, the second half of
        the rows, and the repeats are its seeds.
    measured
        The share of labels that were measured.
    """
    names = [metric] if isinstance(metric, str) else list(metric)
    rng = np.random.default_rng(seed)
    classes = metrics.METRICS[names[0]].kind == "classification"
    targets = (
        rng.integers(0, 2, (n, tasks)).astype(float) if classes else rng.normal(size=(n, tasks))
    )
    targets[rng.random(targets.shape) > measured] = np.nan
    # What all models find hard: their errors hang together, as those on real rows do.
    hard = rng.normal(size=(n, tasks))
    labels = [f"t{i}" for i in range(tasks)]
    arrays: dict[str, np.ndarray] = {}
    scores = []
    for repeat in range(repeats):
        dealt = rng.permutation(np.arange(n) % folds)
        for fold in range(folds):
            test = np.flatnonzero(dealt == fold) if folds > 1 else np.arange(n // 2, n)
            place = f"{repeat}/{fold}"
            arrays[f"test/{place}"] = test
            for condition in conditions:
                for model, size in skill.items():
                    noise = 0.8 * hard[test] + 0.6 * rng.normal(size=(len(test), tasks))
                    truth = np.nan_to_num(targets[test])
                    raw = size * (truth - 0.5) + noise if classes else truth + size * noise
                    p = 1 / (1 + np.exp(-raw)) if classes else raw
                    arrays[f"{model}/{condition}/{place}"] = p
                    scores.append(
                        _scored(names, targets[test], p, labels)
                        | {"model": model, "condition": condition, "repeat": repeat, "fold": fold}
                        | {"n_train": n - len(test), "n_test": len(test)}
                    )
    return Evidence(scores, Predictions(targets, arrays, None, clusters), unit, folds)


def _scored(
    names: Sequence[str], y: np.ndarray, p: np.ndarray, tasks: Sequence[str]
) -> dict[str, Any]:
    values = {name: metrics.score_tasks(name, y, p, tasks=tasks).tolist() for name in names}
    by_task = {
        name: {t: None if np.isnan(v) else v for t, v in zip(tasks, scored, strict=True)}
        for name, scored in values.items()
    }
    known = [v for v in by_task[names[0]].values() if v is not None]
    return {
        "values": by_task, "value": float(np.mean(known)) if known else None, "seed": 0,
        "fit_seconds": 1.0, "predict_seconds": 0.1, "stack_size": 1, "best_epoch": 3, "epochs": 10,
    }  # fmt: skip


@pytest.fixture(scope="session")
def make_claim() -> Callable[..., claims.Claim]:
    """A maker of claims of one kind, tested by ``a`` against ``b`` unless told otherwise."""

    def made(
        kind: str = "difference",
        reported: Sequence[float | None] = (None, None, None),
        name: str = "TINY-01",
        **test: Any,
    ) -> claims.Claim:
        fields = {"study": "tiny_random", "a": "a", "b": None if kind == "level" else "b",
                  "metric": "roc_auc", "unit": "fold", "fidelity": "exact", **test}  # fmt: skip
        some = next(iter(claims.load_claims().values()))
        a, b, difference = reported
        return some.model_copy(
            update={
                "id": name,
                "kind": kind,
                "favours": "deep",
                "reported": claims.Reported(a=a, b=b, difference=difference),
                "test": claims.Test(**fields),
                "reason": None,
            }
        )

    return made
