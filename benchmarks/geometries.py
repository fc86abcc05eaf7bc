"""Nets and kernels over geometries: molecules a second, and the cost of a growing kernel.

The continuous-filter net beside torch_geometric's SchNet at equal width, layers, Gaussians and
cutoff: one pass over the molecules forward, and one forward and back, in batches of 32, the
peer's pairs found before and not timed. Then energies with forces a second, and kernel ridge
regression at growing numbers of molecules, with its distances.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import chemdl
from benchmarks.options import Options
from benchmarks.timing import medians, peer
from chemdl.data import Dataset
from chemdl.learn.ragged import DeviceFeatures, first_replica
from chemdl.quantum.baselines import KernelRidge
from chemdl.quantum.geometries import Geometry, geometries, geometry, neighbour_distances
from chemdl.quantum.nets.continuous_filter import ContinuousFilter, ContinuousFilterNetwork

WIDTH, LAYERS, GAUSSIANS, CUTOFF, BATCH = 64, 3, 24, 5.0, 32
SIZES, QUICK_SIZES = (1000, 2000, 5000), (200,)


def run(options: Options) -> list[dict[str, Any]]:
    """Return one row for each side and each size of a kernel."""
    data = chemdl.load("qm7", tasks=["pbe0"])
    sample = data.sample(64 if options.quick else 1024, seed=0)
    # Molecules of similar size side by side, as both train.
    texts = sorted(sample.inputs, key=lambda text: len(geometry(text).numbers))
    molecules = [geometry(text) for text in texts]
    sides = {"chemdl": _ours(texts, options.device)}
    if peer("torch_geometric"):
        sides["torch_geometric"] = _schnet(molecules, options.device)
    works = {
        f"{side}, {what}": (lambda step=step, learn=learn: step(learn))
        for side, step in sides.items()
        for what, learn in (("predicted", False), ("trained", True))
    }
    seconds = medians(works, rounds=3)
    rows: list[dict[str, Any]] = [
        {"side": name, "molecules per second": len(texts) / taken}
        for name, taken in seconds.items()
    ]
    return [*rows, _forces(sample, options.device), *_kernels(data, options)]


def _ours(texts: list[str], device: str) -> Callable[[bool], None]:
    net = ContinuousFilterNetwork(1, WIDTH, 16, GAUSSIANS, LAYERS, CUTOFF).to(device)
    features = DeviceFeatures(geometries(texts, "padded"), device)

    def step(learn: bool) -> None:
        for start in range(0, len(texts), BATCH):
            rows = np.arange(start, min(start + BATCH, len(texts)))[None]
            batch = first_replica(features.take(rows))
            with torch.set_grad_enabled(learn):
                energy = net(batch, None, torch.ones(rows.shape[1], device=device))
            if learn:
                energy.sum().backward()

    return step


def _schnet(molecules: list[Geometry], device: str) -> Callable[[bool], None]:
    from torch_geometric.nn import SchNet

    batches = [_packed(molecules[i : i + BATCH], device) for i in range(0, len(molecules), BATCH)]
    pairs: dict[str, Any] = {}

    def prepared(_xyz: torch.Tensor, _batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return pairs["index"], pairs["distance"]

    net = SchNet(
        hidden_channels=WIDTH, num_filters=WIDTH, num_interactions=LAYERS,
        num_gaussians=GAUSSIANS, cutoff=CUTOFF, interaction_graph=prepared,
    ).to(device)  # fmt: skip

    def step(learn: bool) -> None:
        for numbers, xyz, batch, index, distance in batches:
            pairs.update(index=index, distance=distance)
            with torch.set_grad_enabled(learn):
                energy = net(numbers, xyz, batch)
            if learn:
                energy.sum().backward()

    return step


def _packed(molecules: list[Geometry], device: str) -> tuple[torch.Tensor, ...]:
    """Return atomic numbers, positions, molecule of each atom, pairs and their distances."""
    counts = [len(molecule.numbers) for molecule in molecules]
    index, lengths = [], []
    for molecule, start in zip(molecules, np.cumsum([0, *counts]), strict=False):
        apart = neighbour_distances(molecule.xyz)
        ends = np.argwhere((apart < CUTOFF) & (apart > 0))
        index.append(ends + start)
        lengths.append(apart[tuple(ends.T)])
    arrays = (
        np.concatenate([molecule.numbers for molecule in molecules]).astype(np.int64),
        np.concatenate([molecule.xyz for molecule in molecules]).astype(np.float32),
        np.repeat(np.arange(len(counts)), counts),
        np.concatenate(index).T.copy(),
        np.concatenate(lengths).astype(np.float32),
    )
    return tuple(torch.as_tensor(array).to(device) for array in arrays)


def _forces(sample: Dataset, device: str) -> dict[str, Any]:
    """Time energies with forces, by a net that was trained for one epoch."""
    net = ContinuousFilter.Regressor(epochs=1, device=device)
    net.fit(sample.inputs, sample.targets[:, 0])
    texts = sample.inputs[:256]
    seconds = medians({"forces": lambda: net.energies_and_forces(texts)}, rounds=3)["forces"]
    return {"side": "chemdl, energies with forces", "molecules per second": len(texts) / seconds}


def _kernels(data: Dataset, options: Options) -> list[dict[str, Any]]:
    """Fit a Laplacian kernel on bags of bonds at growing sizes, settings given.

    Sizes beyond the set's 7,101 molecules need another set: QM9, where it was fetched.
    """
    rows = []
    for size in options.sizes or (QUICK_SIZES if options.quick else SIZES):
        source = data if size <= len(data) else chemdl.load("qm9")
        part = source.sample(size, seed=0)
        model = KernelRidge("bonds", scale=8.0, ridge=1e-7)
        begun = time.perf_counter()
        model.fit(part.inputs, part.targets[:, 0])
        row = {"side": "kernel ridge, bags of bonds", "molecules": size, "set": source.name}
        rows.append({**row, "seconds": time.perf_counter() - begun})
    return rows
