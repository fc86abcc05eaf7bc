"""The families of models that are compared, and how each is set up."""

from __future__ import annotations

from typing import Any

from chemdl.data.dataset import Dataset
from chemdl.learn.models import make_baseline, make_nets
from chemdl.registry import UnknownNameError

# What a name is called in a report.
FAMILIES = {
    "trivial": "the mean",
    "ridge": "ridge regression",
    "logistic": "logistic regression",
    "gradient_boosting": "gradient boosting",
    "single_task": "net on bits",
    "fingerprint_net": "net on counts",
    "svm_tanimoto": "support vectors",
    "knn": "nearest neighbours",
    "multitask": "multitask net",
    "random_forest": "random forest",
    "dmpnn": "graph net",
}
# A net passes over the train rows at most so often as these batches allow.
_BATCHES = 2_000
# Chemprop's own number of epochs for the graph net.
_NETS: dict[str, dict[str, Any]] = {
    "single_task": {},
    "fingerprint_net": {},
    "multitask": {},
    "dmpnn": {"epochs": 50, "patience": 15},
}
_TREES = 200
NETS = tuple(_NETS)


def called(name: str, kind: str) -> str:
    """Return what a model is called in a report."""
    if (name, kind) == ("trivial", "classification"):
        return "the share of actives"
    return FAMILIES.get(name, name)


def known_families(dataset: Dataset) -> tuple[str, ...]:
    """Return the names that can learn this table, in the order of a report."""
    absent = {"logistic"} if dataset.kind == "regression" else {"ridge"}
    if len(dataset.tasks) == 1:
        absent |= {"multitask"}
    return tuple(name for name in FAMILIES if name not in absent)


def make_families(dataset: Dataset, names: tuple[str, ...], device: str) -> dict[str, Any]:
    """Return the unfitted models.

    Raises
    ------
    UnknownNameError
        For a name that is no family of such a table.
    """
    known = known_families(dataset)
    for name in names:
        if name not in known:
            raise UnknownNameError("family", name, known)
    wanted = {name: own for name, own in _NETS.items() if name in names}
    nets = make_nets(wanted, dataset, batches=_BATCHES)
    for net in nets.values():
        net.set_params(device=device)
    forest = {"random_forest": {"trees": _TREES}}
    others = {
        name: make_baseline(name, dataset, **forest.get(name, {}))
        for name in names
        if name not in nets
    }
    return {name: {**nets, **others}[name] for name in known if name in names}
