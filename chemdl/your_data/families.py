"""The families of models that are compared, and how each is set up."""

from __future__ import annotations

from typing import Any

from chemdl.data.dataset import Dataset
from chemdl.learn.models import make_baseline, make_nets
from chemdl.molecules.any_input import NET
from chemdl.registry import UnknownNameError

# What a name is called in a report. The choice of input belongs to the tuning of all but the graph
# net, which reads the graph, and the nets for each target beside a multitask net.
FAMILIES = {
    "trivial": "the mean",
    "any_input_linear": "ridge regression",
    "any_input_boosting": "gradient boosting",
    NET: "net on vectors",
    "single_task": "a net for each target",
    "any_input_kernel": "support vectors",
    "any_input_neighbours": "nearest neighbours",
    "any_input_forest": "random forest",
    "dmpnn": "graph net",
}
# A net passes over the train rows at most so often as these batches allow.
_BATCHES = 2_000
# A net of one layer is quick enough for the first answer; Chemprop's own number of epochs.
_NETS: dict[str, dict[str, Any]] = {
    NET: {"hidden": (512,), "dropout": (0.0, 0.25), "representation": "counts"},
    "single_task": {},
    "dmpnn": {"epochs": 50, "patience": 15},
}
_TREES = 200
NETS = tuple(_NETS)


def called(name: str, kind: str) -> str:
    """Return what a model is called in a report."""
    classes = {"trivial": "the share of actives", "any_input_linear": "logistic regression"}
    own = classes if kind == "classification" else {}
    return own.get(name) or FAMILIES.get(name, name)


def known_families(dataset: Dataset) -> tuple[str, ...]:
    """Return the names that can learn this table, in the order of a report."""
    absent = {"single_task"} if len(dataset.tasks) == 1 else set()
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
    forest = {"any_input_forest": {"trees": _TREES}}
    others = {
        name: make_baseline(name, dataset, **forest.get(name, {}))
        for name in names
        if name not in nets
    }
    return {name: {**nets, **others}[name] for name in known if name in names}
