"""What the nets over geometries share: atoms and pairs of a batch, energies and forces.

The energy is a sum over atoms, E = Σ_i (a_Z(i) + s e_i): a number a_Z for each element, and a
network's output e_i for each atom. a_Z and the scale s are fitted to each replica's own train rows
before training: 93 % of an energy of atomisation is its composition, and a network need not learn
it. So the energy of two distant molecules is the sum of theirs; it depends on positions through
distances alone, and not on the order of the atoms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from chemdl.learn.estimator import Feature, NeuralEstimator
from chemdl.learn.losses import LOSSES, Loss, masked_mean
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch, Padded, column
from chemdl.quantum.geometries import composition, elements, geometries

# Atomic numbers from 1 to this have a place in an embedding.
MOST_ELEMENTS = 100


# In the targets' own unit, unscaled: the networks fit composition and scale themselves.
ABSOLUTE_ERROR = replace(LOSSES["mae"], scaled=False, any_unit=True)


def energy_and_forces(share: float) -> Loss:
    """Return the loss ``|E - Ê| + share · mean |F - F̂|`` of outputs (…, 1 + forces)."""

    def total(output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        error = (output - target).abs()
        energy = masked_mean(error[..., :1], weight[..., :1])
        return energy + share * masked_mean(error[..., 1:], weight[..., 1:])

    return Loss(total, any_unit=True)


class PaddedAtoms(NamedTuple):
    """The atoms of B molecules, padded to L.

    Attributes
    ----------
    numbers
        Atomic numbers, (B, L); 0 for padding.
    real
        1 for atoms and 0 for padding, (B, L).
    xyz
        Positions in Å, (B, L, 3).
    """

    numbers: Tensor
    real: Tensor
    xyz: Tensor

    @classmethod
    def read(cls, batch: Batch) -> PaddedAtoms:
        """Take the atoms from a batch of padded rows."""
        numbers, xyz = (column(batch, name, Padded) for name in ("numbers", "xyz"))
        return cls(numbers.values.long(), numbers.mask.to(xyz.values.dtype), xyz.values)


class Pairs(NamedTuple):
    """Distances between the atoms of B molecules.

    Attributes
    ----------
    distance
        Distances in Å, (B, L, L); undefined for padding.
    near
        Smooth cutoff, (B, L, L): (cos(π d / cutoff) + 1) / 2 for two different atoms that are
        nearer than the cutoff, else 0.
    """

    distance: Tensor
    near: Tensor

    @classmethod
    def of(cls, atoms: PaddedAtoms, cutoff: float) -> Pairs:
        """Compute the pairs from positions; ``cutoff`` in Å."""
        between = atoms.xyz[:, :, None] - atoms.xyz[:, None]
        itself = torch.eye(atoms.xyz.shape[1], device=between.device)
        pair = atoms.real[:, :, None] * atoms.real[:, None] * (1.0 - itself)
        # An atom and itself, and all padding, lie at one place, where a root has no gradient.
        distance = (between.square().sum(-1) + (1.0 - pair)).sqrt()
        within = (distance < cutoff).to(distance.dtype) * pair
        return cls(distance, 0.5 * (torch.cos(math.pi / cutoff * distance) + 1.0) * within)


class Gaussians(nn.Module):
    """exp(-(d - μ_k)² / 2δ²), K centres μ evenly from ``first`` to ``last`` Å, δ their spacing.

    d (…) → (…, K).
    """

    def __init__(self, count: int, first: float, last: float) -> None:
        super().__init__()
        self.centres = nn.Buffer(torch.linspace(first, last, count))
        self.width = (last - first) / (count - 1)

    def forward(self, distance: Tensor) -> Tensor:
        return torch.exp(-0.5 * ((distance[..., None] - self.centres) / self.width).square())


class AtomicSum(nn.Module):
    """E = Σ_i (a_Z(i) + s e_i): e (B, L, tasks) → (B, tasks); see the module."""

    def __init__(self, n_tasks: int) -> None:
        super().__init__()
        self.atomic = nn.Buffer(torch.zeros(MOST_ELEMENTS + 1, n_tasks))
        self.seen = nn.Buffer(torch.zeros(MOST_ELEMENTS + 1))
        self.scale = nn.Buffer(torch.ones(n_tasks))

    def fit(self, numbers: Tensor, targets: Tensor) -> None:
        """Fit a and s to train rows: numbers (B, L), targets (B, tasks).

        The scale is the residual's standard deviation over the root of the mean number of atoms:
        so large is one atom's part where the parts are independent.
        """
        atoms = numbers.cpu().numpy().astype(np.int64)
        counts = np.zeros((len(atoms), MOST_ELEMENTS + 1))
        np.add.at(counts, (np.arange(len(atoms))[:, None], atoms), 1.0)
        counts[:, 0] = 0.0
        values = targets.cpu().numpy().astype(np.float64)
        present = counts.any(axis=0)
        atomic = np.zeros((MOST_ELEMENTS + 1, values.shape[1]))
        for task, target in enumerate(values.T):
            known = np.isfinite(target)
            fitted = np.linalg.lstsq(counts[np.ix_(known, present)], target[known], rcond=None)
            atomic[present, task] = fitted[0]
        residual = np.nanstd(values - counts @ atomic, axis=0)
        scale = residual / math.sqrt(counts.sum(axis=1).mean())
        self.atomic.copy_(torch.as_tensor(atomic))
        self.scale.copy_(torch.as_tensor(np.where(scale > 0, scale, 1.0)))
        self.seen.copy_(torch.as_tensor(present, dtype=torch.float32))

    def forward(self, each: Tensor, atoms: PaddedAtoms) -> Tensor:
        whole = self.atomic[atoms.numbers] + self.scale * each
        return (whole * atoms.real[..., None]).sum(1)


class EnergyNetwork(nn.Module):
    """Composition, energies as sums over atoms, forces as their gradient.

    A subclass gives :meth:`atomic_energies`. Forward returns (B, tasks); with ``n_forces`` it
    returns (B, 1 + n_forces): energy, then -∂E/∂R by atom and axis.
    """

    needs_targets = True

    def __init__(self, n_tasks: int, n_forces: int = 0) -> None:
        super().__init__()
        self.n_forces = n_forces
        self.total = AtomicSum(n_tasks)

    def fit_scaling(self, batch: Batch, targets: Tensor) -> None:
        """Fit composition and scale to the train rows of a replica."""
        numbers = column(batch, "numbers", Padded).values
        self.total.fit(numbers, targets[:, : len(self.total.scale)])

    def atomic_energies(self, atoms: PaddedAtoms, batch: Batch) -> Tensor:
        """Return each atom's part, scaled: (B, L, tasks)."""
        raise NotImplementedError

    def forward(self, batch: Batch, noise: Noise | None, weight: Tensor) -> Tensor:
        """Return energies (B, tasks), or energy and forces (B, 1 + n_forces)."""
        atoms = PaddedAtoms.read(batch)

        def summed(xyz: Tensor) -> tuple[Tensor, Tensor]:
            moved = atoms._replace(xyz=xyz)
            energies = self.total(self.atomic_energies(moved, batch), moved)
            return energies[:, 0].sum(), energies

        if not self.n_forces:
            return summed(atoms.xyz)[1]
        # Molecules do not act on each other, so that one gradient of the sum has all forces.
        gradient, energies = torch.func.grad(summed, has_aux=True)(atoms.xyz)
        return torch.cat([energies, -gradient.flatten(1)[:, : self.n_forces]], dim=1)


@dataclass(kw_only=True, eq=False, repr=False)
class GeometryNet(NeuralEstimator):
    """What the nets over geometries share; a subclass gives ``build``.

    Raises
    ------
    ValueError
        In ``predict``, for a molecule with an element that does not occur in the train rows.
    """

    _loss: ClassVar[Any] = ABSOLUTE_ERROR

    epochs: int = 100
    warmup: float = 1.0
    decay: float = 0.01
    # As good as never: the rate falls over all epochs, and the best of them is kept.
    patience: int = 1000
    # Batches of molecules of similar size, since atoms are padded.
    bucketed: bool = True

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return atomic numbers and positions, padded."""
        return {**geometries(inputs, "padded")}

    def outputs(self, X: Sequence[Any]) -> np.ndarray:
        """Return the network's predictions (n, tasks) in target units."""
        if hasattr(self, "members_"):
            in_training = self.members_[0].state["total.seen"]
            seen = [int(number) for number in torch.nonzero(in_training)]
            if not set(elements(X)) <= set(seen):
                composition(X, seen)
        return super().outputs(X)
