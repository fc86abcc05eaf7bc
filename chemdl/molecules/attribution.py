"""What each atom adds to a prediction: integrated gradients (Sundararajan et al. 2017).

arXiv:1703.01365. Let F be a fitted graph net, x_v the features of atom v, and a·x the molecule with
all atom features multiplied by a and unchanged bonds. The contribution of atom v is::

    A_v = x_v · integral over a from 0 to 1 of dF/dx_v (a·x),

and the contributions sum to F(x) - F(0), where F(0) is the prediction for the same bonds with all
atom features zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn
from torch.func import functional_call

from chemdl.learn.estimator import NeuralEstimator
from chemdl.learn.ragged import Batch, DeviceFeatures, Packed, Ragged, first_replica
from chemdl.learn.training import FittedReplica
from chemdl.molecules.smiles import as_smiles
from chemdl.settings import resolve_device

# What describes an atom in the batch of a graph net.
_OF_ATOMS = ("atoms", "mass")
# Molecules that are differentiated at once: 64 drugs keep some 50 MB for the backward pass.
_BLOCK = 64


def attributions(
    model: Any, smiles: Sequence[str], *, steps: int = 32, task: int = 0
) -> list[np.ndarray]:
    """Return what each atom of each molecule adds to the prediction; see the module.

    Parameters
    ----------
    model
        Fitted net over molecular graphs; an ensemble is averaged.
    smiles
        SMILES of n molecules; their bonds are not changed.
    steps
        Number of points at which the gradient is taken (midpoints of equal parts of 0 to 1).
    task
        Number of the task, if there are several.

    Returns
    -------
    list of numpy.ndarray
        n arrays (atoms,), in RDKit's order of the atoms of that SMILES without hydrogens: in the
        targets' units for a regressor, in logits for a classifier.

    Raises
    ------
    TypeError
        If the model does not read molecular graphs.
    ValueError
        For SMILES that RDKit cannot read, a task that the model does not have, or fewer than one
        step.
    sklearn.exceptions.NotFittedError
        If the model was not fitted.
    """
    _check(model, steps, task)
    features = model.featurize(as_smiles(smiles))
    device = resolve_device(model.device)
    network = model._network().eval().to(device)
    on_device = DeviceFeatures(features, device)
    parts = []
    for start in range(0, on_device.count, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, on_device.count))
        batch = first_replica(on_device.take(rows[None]))
        each = [_integrated(network, m, batch, steps, task)[:, None] for m in model.members_]
        parts.append(model.combine(each)[:, 0])
    return np.split(np.concatenate(parts), features["atoms"].offsets[1:-1])


def _integrated(
    network: nn.Module, fitted: FittedReplica, batch: Batch, steps: int, task: int
) -> np.ndarray:
    """Return A_v of one network for the atoms of a batch, padding left out: (atoms,)."""
    columns = {name: batch[name] for name in _OF_ATOMS}
    packed = {name: column for name, column in columns.items() if isinstance(column, Packed)}
    whole = {name: column.values.float() for name, column in packed.items()}
    start = packed["atoms"].start
    state = {name: value.to(start.device) for name, value in fitted.state.items()}
    weight = torch.ones(len(start) - 1, device=start.device)
    total = {name: torch.zeros_like(values) for name, values in whole.items()}
    for step in range(steps):
        share = (step + 0.5) / steps
        inputs = {name: (share * values).requires_grad_() for name, values in whole.items()}
        scaled = {name: packed[name]._replace(values=inputs[name]) for name in inputs}
        output = functional_call(network, state, ({**batch, **scaled}, None, weight))
        # One molecule's output hangs on its own atoms alone, so the sum has all their gradients.
        for name, gradient in zip(
            inputs, torch.autograd.grad(output[:, task].sum(), list(inputs.values())), strict=True
        ):
            total[name] += gradient / steps
    of_atoms = sum((whole[name] * total[name]).sum(dim=1) for name in _OF_ATOMS)
    assert isinstance(of_atoms, torch.Tensor)
    added = of_atoms[: int(start[-1])].cpu().numpy().astype(np.float64)
    return added * fitted.target_scale[task]


def _check(model: Any, steps: int, task: int) -> None:
    name = type(model).__name__
    if not isinstance(model, NeuralEstimator):
        raise TypeError(f"{name} is no net, and reads no molecular graphs; give a fitted graph net")
    check_is_fitted(model, "members_")
    columns = (model.feature_shapes_.get(column) for column in _OF_ATOMS)
    if not all(isinstance(c, Ragged) and c.layout == "packed" for c in columns):
        raise TypeError(
            f"{name} reads {', '.join(model.feature_shapes_)}, no molecular graphs; its atoms have "
            "no features to attribute a prediction to"
        )
    if not 0 <= task < model.n_tasks_:
        raise ValueError(f"task {task} is none of the model's {model.n_tasks_}, counted from 0")
    if steps < 1:
        raise ValueError(f"steps={steps}: the gradient is taken at one point at least")
