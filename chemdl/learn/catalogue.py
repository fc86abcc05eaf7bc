"""Every deep model by the name that claims, chapters and cards use."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

from chemdl.data import Dataset
from chemdl.registry import unknown

# name: module, class without its ending, preset or None
_NETS: dict[str, tuple[str, str, str | None]] = {
    "multitask": ("molecules.nets.multitask", "Multitask", "pyramid"),
    "single_task": ("molecules.nets.multitask", "Multitask", "pyramid"),
    "multitask_ma": ("molecules.nets.multitask", "Multitask", "ma2015"),
    "multitask_ma_bn": ("molecules.nets.multitask", "Multitask", "ma2015"),
    "sigmoid": ("molecules.nets.multitask", "Multitask", "sigmoid"),
    "fingerprint_net": ("molecules.nets.multitask", "Multitask", "duvenaud"),
    "neural_fingerprint": ("molecules.nets.neural_fingerprint", "NeuralFingerprint", None),
    "dmpnn": ("molecules.nets.dmpnn", "DirectedMessagePassing", None),
    "weave": ("molecules.nets.weave", "Weave", None),
    "ugrnn": ("molecules.nets.ugrnn", "UGRNN", None),
    "smiles_cnn": ("molecules.nets.smiles", "SmilesConvolution", None),
    "smiles_gru": ("molecules.nets.smiles", "SmilesRecurrent", None),
    "picture_cnn": ("molecules.nets.depictions", "Picture", None),
    "contact_net": ("screening.nets.contacts", "Contact", None),
    "cnn3d": ("screening.nets.voxels", "Voxel", None),
    "ligand_net": ("screening.nets.ligands", "Ligand", "ecfp"),
    "properties_net": ("screening.nets.ligands", "Ligand", "properties"),
    "window_net": ("proteins.nets.windows", "Window", None),
    "window_net_deep": ("proteins.nets.windows", "Window", None),
    "window_net_pretrained": ("proteins.nets.windows", "Window", None),
    "two_stage_net": ("proteins.nets.windows", "TwoStage", None),
    "deep_cnn": ("proteins.nets.convolutions", "Convolution", None),
    "deepcnf": ("proteins.nets.convolutions", "Convolution", None),
    "gru": ("proteins.nets.recurrence", "Recurrent", None),
    "dilated_cnn": ("proteins.nets.convolutions", "Dilated", None),
    "coulomb_net": ("quantum.nets.coulomb", "CoulombNet", None),
    "dtnn": ("quantum.nets.dtnn", "DeepTensorNet", None),
    "continuous_filter": ("quantum.nets.continuous_filter", "ContinuousFilter", None),
    "behler_parrinello": ("quantum.nets.behler_parrinello", "BehlerParrinello", None),
    "elemnet": ("materials.nets.compositions", "ElementShares", None),
    "descriptor_net": ("materials.nets.compositions", "Descriptor", None),
    "attention": ("materials.nets.compositions", "Attention", None),
    "crystal_net": ("materials.nets.crystals", "Crystal", None),
    "contact_net_deep": ("proteins.nets.contact_maps", "ContactMap", None),
    "contact_net_shallow": ("proteins.nets.contact_maps", "ContactMap", None),
    "torsion_net": ("proteins.nets.torsions", "Torsion", None),
}
_VARIANTS: dict[str, dict[str, Any]] = {
    "single_task": {"shared": False},
    "multitask_ma_bn": {"batch_norm": True},
    "window_net_deep": {"depth": 3, "width": 150, "window": 17},
    "window_net_pretrained": {"depth": 3, "width": 150, "window": 17, "pretrained": True},
    "deepcnf": {"field": True},
    "contact_net_shallow": {"depth": 0},
}
_ENDINGS = {
    "classification": "Classifier",
    "regression": "Regressor",
    "labelling": "Labeller",
}

_CHAINS = tuple(
    f"proteins.nets.{m}"
    for m in ("windows", "convolutions", "recurrence", "contact_maps", "torsions")
)
_GEOMETRIES = tuple(
    f"quantum.nets.{m}" for m in ("coulomb", "dtnn", "continuous_filter", "behler_parrinello")
)
# Modules whose nets learn one kind of dataset; the others learn classes and real numbers alike.
_ONLY = {
    **dict.fromkeys(_CHAINS, "labelling"),
    **dict.fromkeys(_GEOMETRIES, "regression"),
}

NETS = tuple(_NETS)


def kinds(name: str) -> tuple[str, ...]:
    """Return the kinds of dataset that a net can learn."""
    only = _ONLY.get(_NETS[name][0])
    return ("classification", "regression") if only is None else (only,)


def net(name: str, kind: str, **changes: Any) -> Any:
    """Return the net ``name`` for a dataset of this kind, with ``changes`` to its parameters.

    ===================== =================== ====================================================
    name                  reads               network
    ===================== =================== ====================================================
    multitask             ECFP4 bits          pyramid of two layers (Ramsundar et al. 2015)
    single_task           ECFP4 bits          the pyramid, one for each task
    multitask_ma          ECFP4 counts        four wide layers (Ma et al. 2015)
    multitask_ma_bn       ECFP4 counts        the same with batch normalisation
    sigmoid               ECFP4 bits          one small sigmoid layer
    fingerprint_net       ECFP counts         one hidden layer (as Duvenaud et al. 2015 compare)
    neural_fingerprint    molecular graph     neural fingerprint (Duvenaud et al. 2015)
    dmpnn                 molecular graph     directed-edge message passing (Yang et al. 2019)
    weave                 graph, atom pairs   weave modules (Kearnes et al. 2016)
    ugrnn                 graph               recursive nets, one for each root (Lusci et al. 2013)
    smiles_cnn            SMILES              convolutions over tokens
    smiles_gru            SMILES              recurrent net in both directions
    picture_cnn           2D drawing          convolutions over pixels (Goh et al. 2017)
    contact_net           docked complex      layers over ligand atoms (as Pereira et al. 2016)
    cnn3d                 docked complex      3D convolutions (as Wallach et al. 2015)
    ligand_net            complex's ligand    one hidden layer over ECFP4 bits
    properties_net        complex's ligand    one hidden layer over six properties
    window_net            residues            one hidden layer over a window (Qian, Sejnowski 1988)
    window_net_deep       residues            three hidden layers over a window
    window_net_pretrained residues            the same, pre-trained as autoencoders (as DNSS 2015)
    two_stage_net         residues            a window net on a window net (as PSIPRED, Jones 1999)
    deep_cnn              residues            five convolutions along the chain
    deepcnf               residues            the same under a chain field (Wang et al. 2016)
    gru                   residues            gated recurrence in both directions
    dilated_cnn           residues            residual blocks with dilation
    coulomb_net           Coulomb matrix      two layers, random orders (Montavon et al. 2012)
    dtnn                  geometry            deep tensor net (Schütt et al. 2017)
    continuous_filter     geometry            continuous filters (as Schütt et al. 2017)
    behler_parrinello     symmetry functions  a net for each element (Behler and Parrinello 2007)
    elemnet               shares of elements  seventeen layers (Jha et al. 2018)
    descriptor_net        their descriptors   three hidden layers
    attention             set of elements     attention (as Wang et al. 2021, Goodall and Lee 2020)
    crystal_net           crystal             graph convolutions (Xie and Grossman 2018)
    contact_net_deep      pairs of residues   residual 2D convolutions (as Wang et al. 2017)
    contact_net_shallow   pairs of residues   one hidden layer over two windows
    torsion_net           residues            residual blocks; φ, ψ as points of a circle
    ===================== =================== ====================================================

    Raises
    ------
    ValueError
        for an unknown name or kind, with the near misses.
    """
    if name not in _NETS:
        raise ValueError(unknown("net", name, _NETS))
    if kind not in kinds(name):
        raise ValueError(unknown(f"kind of dataset for {name}", kind, kinds(name)))
    module, stem, preset = _NETS[name]
    cls = getattr(import_module(f"chemdl.{module}"), stem + _ENDINGS[kind])
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
