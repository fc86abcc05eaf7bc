"""Every deep model by the name that claims, chapters and cards use."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

from chemdl.datasets import Dataset
from chemdl.profiles import unknown

# name: module, class without its ending, preset or None
_NETS: dict[str, tuple[str, str, str | None]] = {
    "multitask": ("multitask", "Multitask", "pyramid"),
    "single_task": ("multitask", "Multitask", "pyramid"),
    "multitask_ma": ("multitask", "Multitask", "ma2015"),
    "multitask_ma_bn": ("multitask", "Multitask", "ma2015"),
    "sigmoid": ("multitask", "Multitask", "sigmoid"),
    "fingerprint_net": ("multitask", "Multitask", "duvenaud"),
    "neural_fingerprint": ("neural_fingerprint", "NeuralFingerprint", None),
    "dmpnn": ("dmpnn", "DirectedMessagePassing", None),
    "weave": ("weave", "Weave", None),
    "ugrnn": ("ugrnn", "UGRNN", None),
    "smiles_cnn": ("smiles", "SmilesConvolution", None),
    "smiles_gru": ("smiles", "SmilesRecurrent", None),
    "picture_cnn": ("pictures", "Picture", None),
    "contact_net": ("contacts", "Contact", None),
    "cnn3d": ("voxels", "Voxel", None),
    "ligand_net": ("ligands", "Ligand", "ecfp"),
    "properties_net": ("ligands", "Ligand", "properties"),
    "coulomb_net": ("coulomb_net", "CoulombNet", None),
    "dtnn": ("dtnn", "DeepTensorNet", None),
    "continuous_filter": ("continuous_filter", "ContinuousFilter", None),
    "behler_parrinello": ("behler_parrinello", "BehlerParrinello", None),
}
_VARIANTS: dict[str, dict[str, Any]] = {
    "single_task": {"shared": False},
    "multitask_ma_bn": {"batch_norm": True},
}
_ENDINGS = {"classification": "Classifier", "regression": "Regressor"}

NETS = tuple(_NETS)
# Nets whose output is an energy, or another real number.
OF_REAL_NUMBERS = ("coulomb_net", "dtnn", "continuous_filter", "behler_parrinello")


def net(name: str, kind: str, **changes: Any) -> Any:
    """Return the net ``name`` for a dataset of this kind, with ``changes`` to its parameters.

    ================== ==================== =====================================================
    name               reads                network
    ================== ==================== =====================================================
    multitask          ECFP4 bits           pyramid of two layers (Ramsundar et al. 2015)
    single_task        ECFP4 bits           the pyramid, one for each task
    multitask_ma       ECFP4 counts         four wide layers (Ma et al. 2015)
    multitask_ma_bn    ECFP4 counts         the same with batch normalisation
    sigmoid            ECFP4 bits           one small sigmoid layer
    fingerprint_net    ECFP counts          one hidden layer (as Duvenaud et al. 2015 compare)
    neural_fingerprint molecular graph      neural fingerprint (Duvenaud et al. 2015)
    dmpnn              molecular graph      directed-edge message passing (Yang et al. 2019)
    weave              graph, atom pairs    weave modules (Kearnes et al. 2016)
    ugrnn              graph                recursive nets, one for each root (Lusci et al. 2013)
    smiles_cnn         SMILES               convolutions over tokens
    smiles_gru         SMILES               recurrent net in both directions
    picture_cnn        2D drawing           convolutions over pixels (Goh et al. 2017)
    contact_net        docked complex       layers over ligand atoms (as Pereira et al. 2016)
    cnn3d              docked complex       3D convolutions (as Wallach et al. 2015)
    ligand_net         complex's ligand     one hidden layer over ECFP4 bits
    properties_net     complex's ligand     one hidden layer over six properties
    coulomb_net        Coulomb matrix       two layers, random orders (Montavon et al. 2012)
    dtnn               geometry             deep tensor net (Schütt et al. 2017)
    continuous_filter  geometry             continuous filters (as Schütt et al. 2017)
    behler_parrinello  symmetry functions   a net for each element (Behler and Parrinello 2007)
    ================== ==================== =====================================================

    Raises
    ------
    ValueError
        for an unknown name or kind, with the near misses.
    """
    if name not in _NETS:
        raise ValueError(unknown("net", name, _NETS))
    if kind not in _ENDINGS:
        raise ValueError(unknown("kind of dataset", kind, _ENDINGS))
    if name in OF_REAL_NUMBERS and kind != "regression":
        raise ValueError(f"{name} learns real numbers, such as energies, not a {kind}")
    module, stem, preset = _NETS[name]
    cls = getattr(import_module(f"chemdl.models.{module}"), stem + _ENDINGS[kind])
    own = {**_VARIANTS.get(name, {}), **changes}
    return cls(**own) if preset is None else cls.preset(preset, **own)


def nets(
    changes: Mapping[str, Mapping[str, Any]], dataset: Dataset, *, batches: int
) -> dict[str, Any]:
    """Return the nets that ``changes`` names, each training for at most so many batches.

    One budget for small and large sets: epochs over the whole dataset are cut where they would
    take more batches than this, and stay as they are where early stopping ends them sooner. For a
    net of one task the budget counts for each task's own molecules, on the average.
    """
    found = {name: net(name, dataset.kind, **own) for name, own in changes.items()}
    measured = int(np.isfinite(dataset.targets).sum()) // len(dataset.tasks)
    for one in found.values():
        rows = len(dataset) if getattr(one, "shared", True) else measured
        longest = max(1, batches * one.batch_size // rows)
        one.set_params(epochs=min(one.epochs, longest))
    return found
