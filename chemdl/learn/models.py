"""The registry of models: every net and every classical model, by the names that claims use.

A net is a class with the decorator :func:`net`; a classical model is registered by a function that
makes it (:func:`baseline`). Chapters print what the registry says about a model, and the test of a
claim is checked against it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, dataclass_transform

import numpy as np

from chemdl.data import Dataset
from chemdl.registry import Registry, UnknownNameError

T = TypeVar("T", bound=type)
# Groups of learners that are tuned alike and compared with each other.
FAMILIES = (
    "net on vectors",
    "graph net",
    "sequence net",
    "image net",
    "forest",
    "boosting",
    "kernel machine",
    "linear model",
    "neighbours",
    "equation",
    "constant",
)


@dataclass(frozen=True)
class ModelInfo:
    """What is known about a model before it is fitted.

    Attributes
    ----------
    name
        Name that claims, chapters and cards use.
    family
        Family of models, one of ``FAMILIES``.
    reads
        What the model reads of an input, in words.
    method
        The model in a few words.
    paper
        Authors and year of the model's paper.
    makers
        For each kind of targets that it can learn (classification, regression, labelling), the
        function that makes the unfitted estimator from further parameters.
    inputs
        Kinds of input that the model takes, as in :mod:`chemdl.data.inputs`.
    parameters
        Parameters that distinguish it from other models of the same class.
    defined_by
        Class that defines a net; ``None`` for classical models.
    """

    name: str
    family: str
    reads: str
    method: str
    paper: str
    makers: Mapping[str, Callable[..., Any]] = field(repr=False)
    inputs: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    defined_by: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise UnknownNameError("family of models", self.family, FAMILIES)

    @property
    def learns(self) -> tuple[str, ...]:
        """The kinds of targets that it can learn."""
        return tuple(self.makers)

    def estimator(self, kind: str, **changes: Any) -> Any:
        """Return the unfitted model for targets of this kind, with ``changes`` to its parameters.

        Raises
        ------
        UnknownNameError
            For a kind of targets that the model cannot learn.
        """
        if kind not in self.makers:
            raise UnknownNameError(f"kind of dataset for {self.name}", kind, self.makers)
        return self.makers[kind](**{**self.parameters, **changes})


NETS: Registry[ModelInfo] = Registry("net", "nets")
# By input and name, since a forest over molecules is another model than one over formulas.
BASELINES: Registry[ModelInfo] = Registry("baseline", "baselines")


@dataclass_transform(kw_only_default=True, eq_default=False)
def net(
    name: str,
    *,
    family: str,
    reads: str,
    method: str,
    paper: str = "",
    inputs: Sequence[str] = ("smiles",),
    learns: Sequence[str] = ("classification", "regression"),
    revision: int | None = None,
    **parameters: Any,
) -> Callable[[T], T]:
    """Return the decorator that makes an estimator of a class and registers it as a net.

    The class's annotated fields become keyword parameters. For each kind of target that it learns
    it gets an attribute: ``Classifier``, ``Regressor`` or ``Labeller``. Decorators on top of each
    other register one class under several names, with different ``parameters``.

    Parameters
    ----------
    name, family, reads, method, paper, inputs, learns
        As in :class:`ModelInfo`.
    revision
        Whole number of the class, to be raised by hand whenever predictions change, because stored
        replicas are found by it. The default is 1 for a net of this package. For other nets there
        is none, and their replicas are then not stored.
    parameters
        Values of the class's parameters for the net of this name.
    """

    def decorate(cls: T) -> T:
        if "__dataclass_fields__" not in vars(cls):
            dataclass(kw_only=True, eq=False, repr=False)(cls)
            _add_learners(cls, learns, revision)
        info = ModelInfo(
            name=name,
            family=family,
            reads=reads,
            method=method,
            paper=paper,
            makers={kind: getattr(cls, _LEARNERS[kind]) for kind in learns},
            inputs=tuple(inputs),
            parameters=parameters,
            defined_by=cls,
        )
        NETS.add(name, info)
        return cls

    return decorate


_LEARNERS = {
    "classification": "Classifier",
    "regression": "Regressor",
    "labelling": "Labeller",
}


def _add_learners(cls: Any, learns: Sequence[str], revision: int | None) -> None:
    """Give a net's class an estimator for each kind of target: ``cls.Classifier`` and so on."""
    from chemdl.learn.estimator import NeuralClassifier, NeuralRegressor
    from chemdl.learn.labelling import NeuralLabeller

    mixins = {
        "classification": NeuralClassifier,
        "regression": NeuralRegressor,
        "labelling": NeuralLabeller,
    }
    if revision is None and cls.__module__.startswith("chemdl."):
        revision = 1
    own = {} if revision is None else {"revision": revision}
    for kind in learns:
        learner = _LEARNERS[kind]
        # Under this name pickle and joblib find the class again.
        names = {
            "__module__": cls.__module__,
            "__qualname__": f"{cls.__qualname__}.{learner}",
            "__doc__": cls.__doc__,
            **own,
        }
        # A net that learns one kind of target may be such an estimator already.
        bases = (cls,) if issubclass(cls, mixins[kind]) else (mixins[kind], cls)
        setattr(cls, learner, type(f"{cls.__name__}{learner}", bases, names))


def baseline(
    name: str,
    family: str,
    reads: str,
    method: str,
    paper: str = "",
    *,
    inputs: Sequence[str],
    makers: Mapping[str, Callable[..., Any]],
) -> None:
    """Register a classical model for these kinds of input; see :class:`ModelInfo`."""
    info = ModelInfo(name, family, reads, method, paper, makers, tuple(inputs))
    for kind in inputs:
        BASELINES.add(f"{kind}/{name}", info)


def make_net(name: str, kind: str, **changes: Any) -> Any:
    """Return the unfitted net ``name`` for targets of this kind, with ``changes`` to it.

    Raises
    ------
    UnknownNameError
        For an unknown name, or a kind of targets that the net cannot learn; the message lists
        similar names.
    """
    return NETS[name].estimator(kind, **changes)


def make_nets(
    changes: Mapping[str, Mapping[str, Any]], dataset: Dataset, *, batches: int | None = None
) -> dict[str, Any]:
    """Return the unfitted nets that ``changes`` names, with these changes to their parameters.

    ``batches`` is one budget for small and large sets: epochs over the whole dataset are cut where
    they would take more batches than this, and stay as they are where early stopping ends them
    sooner. For a net of one task the budget counts for each task's own molecules, on the average.
    """
    nets = {name: make_net(name, dataset.kind, **own) for name, own in changes.items()}
    if batches is None:
        return nets
    measured = int(np.isfinite(dataset.targets).sum()) // len(dataset.tasks)
    for estimator in nets.values():
        rows = len(dataset) if getattr(estimator, "shared", True) else measured
        longest = max(1, batches * estimator.batch_size // rows)
        estimator.set_params(epochs=min(estimator.epochs, longest))
    return nets


def make_baseline(name: str, dataset: Dataset, **changes: Any) -> Any:
    """Return the unfitted classical model ``name`` for a dataset's inputs and kind of targets.

    Raises
    ------
    UnknownNameError
        For a name that no model of such inputs has, or a kind of targets that the model cannot
        learn.
    """
    return BASELINES[f"{dataset.card['input']}/{name}"].estimator(dataset.kind, **changes)


def find_model(name: str, kind_of_input: str) -> ModelInfo:
    """Return what the registry says of the net or classical model ``name`` for such inputs.

    Raises
    ------
    UnknownNameError
        For a name that no model of such inputs has; the message lists similar names.
    """
    if name in NETS:
        return NETS[name]
    if (key := f"{kind_of_input}/{name}") in BASELINES:
        return BASELINES[key]
    own = [k.partition("/")[2] for k in BASELINES if k.startswith(f"{kind_of_input}/")]
    raise UnknownNameError("model", name, [*NETS, *own])


def every_name() -> frozenset[str]:
    """Return the names of all nets and classical models, whatever they read."""
    return frozenset({*NETS, *(key.partition("/")[2] for key in BASELINES)})
