"""A model of each family whose input is chosen by tuning, like its other settings.

What a family of learners is worth cannot be told from one input: boosting over descriptors against
a net over fingerprints compares two things at once. These models may read fingerprint bits, counts
or descriptors; tuning tries them on the valid rows, with as many trials for each family. The models
of a published recipe keep the recipe's input, and stand under names of their own.
"""

from __future__ import annotations

import functools
from typing import Any, Literal, get_args

from chemdl.learn.models import baseline, make_baseline, make_nets
from chemdl.molecules.baselines import PAIRWISE, classifier, regressor
from chemdl.settings import Settings

Input = Literal["bits", "counts", "descriptors"]
INPUTS = get_args(Input)
# Kernels and neighbours measure Tanimoto's similarity of bits or counts, or distances.
LIKENESSES = ("tanimoto", "tanimoto_counts", "descriptors")
READS = "ECFP4 bits or counts, or RDKit's 2D descriptors, chosen by tuning"
NET = "any_input_net"
# The family's model with a fixed input, by the kind of targets, from which settings are taken.
_FIXED = {
    "any_input_forest": ("forest", "random_forest", "random_forest"),
    "any_input_kernel": ("kernel machine", "svm_tanimoto", "svm_tanimoto"),
    "any_input_linear": ("linear model", "logistic", "ridge"),
    "any_input_boosting": ("boosting", "gradient_boosting", "gradient_boosting"),
    "any_input_neighbours": ("neighbours", "knn", "knn"),
}
_MAKERS = {"classification": classifier, "regression": regressor}
CLASSICAL = tuple(_FIXED)


def any_input_models(
    dataset: Any, settings: Settings, *, trees: int = 500, batches: int | None = None
) -> dict[str, Any]:
    """Return the six unfitted models for a dataset of molecules, by name.

    Without trials there are none: their first trial is the family's model with a fixed input.

    Parameters
    ----------
    dataset
        Dataset of SMILES; one with descriptors of its own leaves nothing to choose.
    settings
        Settings of the run; the full profile tunes, the others only where trials are asked for.
    trees
        Number of trees of the forest.
    batches
        Budget of the net, as in :func:`chemdl.learn.models.make_nets`.
    """
    tunes = settings.profile == "full" if settings.trials is None else settings.trials > 0
    if not tunes:
        return {}
    nets = make_nets({NET: {}}, dataset, batches=batches)
    return nets | {name: make_baseline(name, dataset, trees=trees) for name in CLASSICAL}


def _made(kind: str, fixed: str, **options: Any) -> Any:
    """Return a family's model with the choice of its input among what tuning may draw."""
    model = _MAKERS[kind](fixed, **options)
    inputs = LIKENESSES if model.representation in PAIRWISE else INPUTS
    space: dict[str, list[Any]] = {"representation": [*inputs], **(model.space or {})}
    if fixed == "svm_tanimoto":
        space["gamma"] = ["scale", 3e-4, 1e-3, 3e-3, 1e-2]  # of descriptors; the others have none
    return model.set_params(space=space)


for _name, (_family, *_of_kinds) in _FIXED.items():
    baseline(
        _name,
        _family,
        READS,
        "settings and input chosen together",
        inputs=("smiles",),
        makers={
            kind: functools.partial(_made, kind, fixed)
            for kind, fixed in zip(_MAKERS, _of_kinds, strict=True)
        },
    )
