"""The input of a training step: rows of every replica, padded to one width, and their targets."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from chemdl.learn.losses import Loss
from chemdl.learn.precision import origin_and_unit
from chemdl.learn.ragged import DeviceFeatures, Padded, Ragged

_NOT_HELD = "these targets are too small or too large for float32: give them in another unit"
# Batches' worth of rows that are sorted by length together.
_BUCKET = 32


class Targets:
    """Targets on the device, zero where not measured, and which were.

    They are in units of ``unit`` (tasks,) from ``origin`` (tasks,): 1 and 0 unless float32 could
    not hold them so.

    Raises
    ------
    ValueError
        For targets that float32 cannot hold, and a loss that knows them in their own unit alone.
    """

    def __init__(
        self, targets: np.ndarray | Ragged, device: str | torch.device, loss: Loss
    ) -> None:
        values = targets.values if isinstance(targets, Ragged) else np.array(targets)
        self.n_tasks = values.shape[1]
        self.origin, self.unit = origin_and_unit(values, moves=loss.scaled)
        if (self.unit != 1).any() or (self.origin != 0).any():
            if not (loss.scaled or loss.any_unit):
                raise ValueError(_NOT_HELD)
            values = (values - self.origin) / self.unit
        self.host = Ragged(values, targets.offsets) if isinstance(targets, Ragged) else values
        parts = {"target": np.nan_to_num(values), "measured": np.isfinite(values)}
        self.parts = DeviceFeatures(
            {name: self._like(part.astype(np.float32)) for name, part in parts.items()}, device
        )

    def _like(self, values: np.ndarray) -> np.ndarray | Ragged:
        if isinstance(self.host, Ragged):
            return Ragged(values, self.host.offsets, "padded")
        return values

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """Return the targets (lines, tasks) of these rows as float32, NaN = not measured."""
        own = self.host[rows]
        return (own.values if isinstance(own, Ragged) else own).astype(np.float32)

    def take(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return targets and whether they were measured: (replicas, batch, …, tasks) each."""
        batch = self.parts.take(rows)
        target, measured = (batch[name] for name in ("target", "measured"))
        if isinstance(target, Padded) and isinstance(measured, Padded):
            return target.values, measured.values
        assert isinstance(target, Tensor) and isinstance(measured, Tensor)
        return target, measured


@dataclass(frozen=True)
class Rows:
    """Rows of every replica, padded to one width: their numbers on host and device, weights."""

    host: np.ndarray
    index: Tensor
    weight: Tensor

    def __len__(self) -> int:
        return self.host.shape[1]

    def part(self, start: int, stop: int) -> Rows:
        """Return the columns ``start`` to ``stop``."""
        here = slice(start, stop)
        return Rows(self.host[:, here], self.index[:, here], self.weight[:, here])


def padded_rows(rows: list[np.ndarray], device: str | torch.device, multiple: int = 1) -> Rows:
    """Pad index sets to one length; padding points at row 0 with weight zero."""
    longest = max(len(r) for r in rows)
    width = max(1, math.ceil(longest / multiple)) * multiple
    index = np.zeros((len(rows), width), dtype=np.int64)
    weight = np.zeros((len(rows), width), dtype=np.float32)
    for r, own in enumerate(rows):
        index[r, : len(own)] = own
        weight[r, : len(own)] = 1.0
    return Rows(index, torch.as_tensor(index).to(device), torch.as_tensor(weight).to(device))


def shuffled(rows: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Return the rows in the order of this seed and epoch."""
    return np.random.default_rng([seed, epoch]).permutation(rows)


def bucketed(
    order: np.ndarray, lengths: np.ndarray, size: int, rng: np.random.Generator
) -> np.ndarray:
    """Sort rows by length within every _BUCKET batches' worth; shuffle the batches.

    The last batch, which padding fills, stays the last.
    """
    step = size * _BUCKET
    parts = [order[start : start + step] for start in range(0, len(order), step)]
    by_length = np.concatenate([part[np.argsort(lengths[part], kind="stable")] for part in parts])
    whole = len(order) // size
    batches = by_length[: whole * size].reshape(whole, size)
    return np.concatenate([batches[rng.permutation(whole)].ravel(), by_length[whole * size :]])


def by_column(statistic: Callable[..., np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Apply a NaN-ignoring statistic to each task, NaN where nothing is measured."""
    measured = np.isfinite(rows).any(axis=0)
    out = np.full(rows.shape[1], np.nan)
    out[measured] = statistic(rows[:, measured], axis=0)
    return out
