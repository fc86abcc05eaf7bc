"""Rows of unequal length, such as the atoms of molecules, and how a batch of them is laid out.

A molecule has five atoms or fifty. Padding every molecule to the largest of its set multiplies
the work (4.2 times for ESOL, 4.3 for lipophilicity), so a batch is *packed*: the values of its
rows stand back to back, and only the end is padded. Sequences, whose networks want a time axis,
are *padded*, to the longest row of the batch at hand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

Layout = Literal["packed", "padded"]

# Batches end on a multiple of this, so that few shapes occur and memory is used again.
_PACKED_MULTIPLE = 64
_PADDED_MULTIPLE = 8
# Values that one block holds where nothing is learned. Small blocks stay in a processor's cache:
# 128 molecules of lipophilicity at a time are predicted twice as fast as 1,024.
CPU_BLOCK_VALUES = 2**12
BLOCK_VALUES = 2**17
BLOCK_ROWS = 1024
_NO_ROWS = "no rows to join; give one or more arrays"


@dataclass(frozen=True, eq=False)
class Ragged:
    """n rows of unequal length, back to back.

    Attributes
    ----------
    values
        Values of all rows, (total, …); row i is ``values[offsets[i]:offsets[i + 1]]``.
    offsets
        Index at which each row begins, (n + 1,) whole numbers from 0 to total.
    layout
        How a batch reaches the network: ``packed`` (:class:`Packed`) or ``padded``
        (:class:`Padded`).

    Raises
    ------
    ValueError
        If the offsets do not begin with 0 or do not end with the number of values.
    """

    values: np.ndarray
    offsets: np.ndarray
    layout: Layout = "packed"

    def __post_init__(self) -> None:
        if self.offsets[0] != 0 or self.offsets[-1] != len(self.values):
            raise ValueError(
                f"offsets run from {self.offsets[0]} to {self.offsets[-1]}, "
                f"the values from 0 to {len(self.values)}"
            )

    @classmethod
    def of(cls, rows: Sequence[np.ndarray], layout: Layout = "packed") -> Self:
        """Join arrays (length, …) that differ in their first axis only."""
        if not len(rows):
            raise ValueError(_NO_ROWS)
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        return cls(np.concatenate(rows), offsets, layout)

    @classmethod
    def columns(cls, records: Sequence[Any]) -> dict[str, Self]:
        """Join named tuples of arrays field by field, each under its name; see :meth:`of`."""
        if not len(records):
            raise ValueError(_NO_ROWS)
        names = records[0]._fields
        return {name: cls.of([getattr(one, name) for one in records]) for name in names}

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, and the axes of one value; the length of a row is not among them."""
        return (len(self), *self.values.shape[1:])

    def __getitem__(self, rows: slice | np.ndarray) -> Ragged:
        """Return these rows as a ragged array of their own."""
        chosen = np.arange(len(self))[rows]
        lengths = np.diff(self.offsets)[chosen]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        places = np.repeat(self.offsets[chosen] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Ragged(self.values[places], offsets, self.layout)


class Packed(NamedTuple):
    """A batch of B ragged rows back to back, then padding.

    Attributes
    ----------
    values
        Values of all rows, (P, …); padding is zero.
    row
        Row in the batch that each value belongs to, (P,); B for padding.
    start
        Index at which each row begins, (B + 1,). The last entry is the index of the first padding
        value; there is always one.
    """

    values: Tensor
    row: Tensor
    start: Tensor


class Padded(NamedTuple):
    """A batch of B ragged rows side by side.

    Attributes
    ----------
    values
        Values, (B, L, …) with L the length of the longest row; padding is zero.
    mask
        Boolean, (B, L); true where a value is not padding.
    """

    values: Tensor
    mask: Tensor


Column = Tensor | Packed | Padded
Batch = dict[str, Column]
Features = Mapping[str, "np.ndarray | Ragged"]
Kind = TypeVar("Kind", Tensor, Packed, Padded)


def column(batch: Batch, name: str, kind: type[Kind]) -> Kind:
    """Return a feature of the batch, which is of this kind: a tensor, packed or padded rows."""
    found = batch[name]
    assert isinstance(found, kind)
    return found


class DeviceFeatures:
    """Features that lie on the device once and give batches of their rows.

    Raises
    ------
    ValueError
        For NaN or infinite features; the message says where.
    """

    def __init__(self, features: Features, device: str | torch.device) -> None:
        self.device = device
        self.count = len(next(iter(features.values())))
        self._plain: dict[str, Tensor] = {}
        self._ragged: dict[str, tuple[Tensor, Ragged]] = {}
        for name, feature in features.items():
            if isinstance(feature, Ragged):
                self._ragged[name] = (_with_padding_row(name, feature.values, device), feature)
            else:
                self._plain[name] = _to_device(name, feature, device)

    @property
    def lengths(self) -> np.ndarray | None:
        """How many values each row has in the first padded feature; ``None`` without one."""
        padded = (r for _, r in self._ragged.values() if r.layout == "padded")
        first = next(padded, None)
        return None if first is None else np.diff(first.offsets)

    @property
    def block_rows(self) -> int:
        """How many rows to take at once where nothing is learned."""
        widest = max((_block_width(ragged) for _, ragged in self._ragged.values()), default=1)
        values = CPU_BLOCK_VALUES if str(self.device) == "cpu" else BLOCK_VALUES
        return int(min(BLOCK_ROWS, max(1, values // widest)))

    def take(self, rows: np.ndarray) -> Batch:
        """Return the rows (replicas, B) of every feature, with a leading replica axis."""
        index = torch.tensor(rows).to(self.device)  # a copy: splits are read-only
        batch: Batch = {name: value[index] for name, value in self._plain.items()}
        for name, (values, ragged) in self._ragged.items():
            lay_out = _packed if ragged.layout == "packed" else _padded
            batch[name] = lay_out(values, ragged.offsets, rows)
        return batch


def first_replica(batch: Batch) -> Batch:
    """Return the batch of the first replica, without the replica axis."""
    return {
        name: value[0] if isinstance(value, Tensor) else type(value)(*(part[0] for part in value))
        for name, value in batch.items()
    }


def by_row(output: np.ndarray, batch: Batch, sites: str | None) -> list[np.ndarray]:
    """Cut a block's outputs into rows (1, outputs), or (length, outputs) without padding."""
    if sites is None:
        return list(output[:, None])
    lengths = column(batch, sites, Padded).mask.sum(1).cpu().numpy()
    return [own[:length] for own, length in zip(output, lengths, strict=True)]


def _block_width(ragged: Ragged) -> int:
    """Return the values that a row takes in a large batch: the mean, or the longest if padded."""
    if ragged.layout == "packed":
        return max(1, len(ragged.values) // len(ragged))
    return max(1, int(np.diff(ragged.offsets).max()))


def _packed(values: Tensor, offsets: np.ndarray, rows: np.ndarray) -> Packed:
    lengths = offsets[rows + 1] - offsets[rows]
    start = np.zeros((len(rows), rows.shape[1] + 1), dtype=np.int64)
    np.cumsum(lengths, axis=1, out=start[:, 1:])
    width = _rounded(int(start[:, -1].max()) + 1, _PACKED_MULTIPLE)
    place = np.full((len(rows), width), len(values) - 1, dtype=np.int64)
    row = np.full((len(rows), width), rows.shape[1], dtype=np.int64)
    for r, own in enumerate(lengths):
        total = start[r, -1]
        place[r, :total] = np.repeat(offsets[rows[r]] - start[r, :-1], own) + np.arange(total)
        row[r, :total] = np.repeat(np.arange(len(own)), own)
    device = values.device
    return Packed(
        values[torch.as_tensor(place).to(device)],
        torch.as_tensor(row).to(device),
        torch.as_tensor(start).to(device),
    )


def _padded(values: Tensor, offsets: np.ndarray, rows: np.ndarray) -> Padded:
    lengths = offsets[rows + 1] - offsets[rows]
    steps = np.arange(_rounded(max(1, int(lengths.max())), _PADDED_MULTIPLE))
    mask = steps < lengths[..., None]
    place = np.where(mask, offsets[rows][..., None] + steps, len(values) - 1)
    device = values.device
    return Padded(values[torch.as_tensor(place).to(device)], torch.as_tensor(mask).to(device))


def _rounded(count: int, multiple: int) -> int:
    return math.ceil(count / multiple) * multiple


def _with_padding_row(name: str, values: np.ndarray, device: str | torch.device) -> Tensor:
    """Append the row of zeros that padding points at."""
    padding = np.zeros((1, *values.shape[1:]), dtype=values.dtype)
    return _to_device(name, np.concatenate([values, padding]), device)


def _to_device(name: str, array: np.ndarray, device: str | torch.device) -> Tensor:
    """Move features to the device; bytes stay bytes there, the network turns them to floats."""
    if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
        row, *column = (int(axis[0]) for axis in np.nonzero(~np.isfinite(array)))
        raise ValueError(
            f"features {name!r} hold NaN or infinity, first in row {row}, column {column}; "
            "impute them or drop the column before training"
        )
    contiguous = np.ascontiguousarray(array)
    if contiguous.flags.writeable:
        # A copy, since what another may still write to must not change under the training.
        return torch.tensor(contiguous).to(device)
    return torch.from_numpy(np.asarray(_Shared(contiguous))).to(device)


class _Shared:
    """A read-only array in a form that PyTorch takes without a copy or a warning.

    On a CPU the tensor shares the array's memory; nothing here writes to features.
    """

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        address, _read_only = array.__array_interface__["data"]
        self.__array_interface__ = {**array.__array_interface__, "data": (address, False)}
