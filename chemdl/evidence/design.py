"""What is known of a study before it runs, checked before it runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import ClassifierMixin

from chemdl.data import Dataset
from chemdl.evidence import claims
from chemdl.evidence.fitting import by_row
from chemdl.evidence.metrics import METRICS
from chemdl.evidence.splits import SIDES, Protocol
from chemdl.files import check_file_name
from chemdl.learn.contract import check_parameters
from chemdl.learn.estimator import NeuralEstimator
from chemdl.learn.models import every_name
from chemdl.learn.precision import check_held
from chemdl.registry import check_choice
from chemdl.settings import SettingsError

if TYPE_CHECKING:
    from chemdl.evidence.study import Study

KINDS = ("deep", "classical", "trivial")
# Any other unit of resampling is that of one fixed test set.
_UNITS = ("fold", "task", "target")


def check_study(study: Study) -> None:
    """Refuse a study that cannot run to its end, and say why.

    Raises
    ------
    ValueError
        For names, metrics, unit, protocol or models that do not fit the data set or each other.
    SettingsError
        For a model to compute that no study has.
    """
    if not study.chapter:
        raise ValueError(f"study {study.name}: say which chapter it belongs to, chapter=…")
    check_file_name("study", study.name)
    _check_names(study)
    _check_metrics(study)
    check_protocol(study.full_protocol, study.dataset)
    if study.dataset.kind == "regression":
        check_held(study.dataset.targets, study.dataset.tasks)
    _check_unit(study)
    for name, model in study.models.items():
        _check_model(f"study {study.name}: model {name}", model, study.dataset)
    check_models_asked(study.settings.models, study.models)


def known_models(own: Iterable[str] = ()) -> set[str]:
    """Return the models that a run may ask for: registered, named by claims, or its own."""
    tests = [claim.test for claim in claims.load_claims().values() if claim.test]
    of_claims = {name for test in tests for name in (test.a, test.b) if name}
    return {*own, *KINDS, "all", *every_name(), *of_claims}


def check_models_asked(asked: Iterable[str], own: Iterable[str] = ()) -> None:
    """Refuse a model that nobody knows; one of another study of the chapter is none of these."""
    known = known_models(own)
    for name in asked:
        try:
            check_choice("model", name, known)
        except ValueError as error:
            raise SettingsError(str(error)) from None


def check_protocol(protocol: Protocol, dataset: Dataset) -> None:
    """Refuse the splits of another set, even where their rows exist in this one."""
    if protocol.content_sha256 not in ("", dataset.card["content_sha256"]):
        raise ValueError(
            f"protocol {protocol.name!r} divides another set than {dataset.name!r} with its "
            f"{len(dataset)} rows; make it from the set of the study, after any sample or part"
        )
    last = max(int(getattr(split, side)[-1]) for split in protocol.splits for side in SIDES)
    if last >= len(dataset):
        raise ValueError(
            f"protocol {protocol.name!r} has row {last}, {dataset.name!r} {len(dataset)} rows; "
            "make it from the set of the study"
        )


def _check_names(study: Study) -> None:
    conditions = [condition.name for condition in study.conditions]
    for kind, names in (("condition", conditions), ("model", study.models)):
        if not names:
            raise ValueError(f"study {study.name}: it has no {kind}s; give one at least")
        for name in names:
            check_file_name(kind, name)
    if len(set(conditions)) < len(conditions):
        raise ValueError(f"conditions need names of their own, not {conditions}")
    if study.reference is not None:
        check_choice("reference model", study.reference, study.models)
    for name in study.untuned:
        check_choice("untuned model", name, study.models)


def _check_metrics(study: Study) -> None:
    names, kind = study.metrics, study.dataset.kind
    if not names or len(set(names)) < len(names):
        raise ValueError(f"study {study.name}: metrics={list(names)}; name one or more, each once")
    for name in names:
        if METRICS[name].kind != kind:
            fitting = sorted(name for name, metric in METRICS.items() if metric.kind == kind)
            raise ValueError(
                f"study {study.name}: {name} is a metric of {METRICS[name].kind}, "
                f"{study.dataset.name!r} a set of {kind}; choose from {', '.join(fitting)}"
            )


def _check_unit(study: Study) -> None:
    first, *others = study.protocol.splits
    is_fixed = all(np.array_equal(first.test, split.test) for split in others)
    if study.unit not in _UNITS and not is_fixed:
        raise ValueError(
            f"study {study.name}: unit {study.unit!r} asks for one fixed test set, and protocol "
            f"{study.protocol.name!r} has several; use one of {', '.join(_UNITS)}"
        )
    if study.unit == "target" and "groups" not in study.protocol.parameters:
        raise ValueError(
            f"study {study.name}: unit 'target' asks for the protocol leave_group_out, "
            f"not {study.protocol.name!r}"
        )


def _check_model(where: str, model: Any, dataset: Dataset) -> None:
    if dataset.kind == "classification" and not hasattr(model, "predict_proba"):
        raise ValueError(f"{where} has no predict_proba, {dataset.name!r} is a set of classes")
    if dataset.kind == "regression" and isinstance(model, ClassifierMixin):
        raise ValueError(f"{where} is a classifier, {dataset.name!r} is a set of values")
    missing = set(getattr(model, "search_space", {})) - set(model.get_params())
    if missing:
        raise ValueError(f"{where}: search_space names {sorted(missing)[0]!r}, no parameter of it")
    try:
        if isinstance(model, NeuralEstimator) or type(model).__module__.startswith("chemdl."):
            check_parameters(model)
        if isinstance(model, NeuralEstimator):
            model.check_targets(by_row(dataset))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
