"""Ragged rows come out of a batch as they went in, whatever stands beside them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from chemdl.learn.ragged import (
    CPU_BLOCK_VALUES,
    DeviceFeatures,
    Packed,
    Padded,
    Ragged,
    first_replica,
)

LENGTHS = [3, 1, 0, 5, 2]


@pytest.fixture
def rows() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(length, 4)).astype(np.float32) for length in LENGTHS]


def taken(ragged: Ragged, rows: list[list[int]]):
    return DeviceFeatures({"x": ragged}, "cpu").take(np.array(rows))["x"]


def test_rows_can_be_chosen(rows) -> None:
    ragged = Ragged.of(rows)
    assert len(ragged) == 5 and ragged.shape == (5, 4)
    chosen = ragged[np.array([3, 2, 0])]
    np.testing.assert_array_equal(chosen.values, np.concatenate([rows[3], rows[2], rows[0]]))
    np.testing.assert_array_equal(chosen.offsets, [0, 5, 5, 8])
    np.testing.assert_array_equal(ragged[slice(1, 2)].values, rows[1])


def test_offsets_must_cover_the_values(rows) -> None:
    with pytest.raises(ValueError, match="offsets run from 0 to 4, the values from 0 to 3"):
        Ragged(rows[0], np.array([0, 4]))
    with pytest.raises(ValueError, match="no rows"):
        Ragged.of([])


def test_a_packed_batch_holds_its_rows_back_to_back(rows) -> None:
    batch = taken(Ragged.of(rows), [[3, 0], [2, 1]])
    assert isinstance(batch, Packed)
    for replica, pair in enumerate([(3, 0), (2, 1)]):
        values, row, start = (part[replica] for part in batch)
        for place, source in enumerate(pair):
            np.testing.assert_array_equal(values[row == place], rows[source])
            here = slice(start[place], start[place] + len(rows[source]))
            np.testing.assert_array_equal(values[here], rows[source])
        assert (values[row == 2] == 0).all()
        # Edges of padding rows point at the first padding value: there is always one.
        assert row[start[2]] == 2


def test_a_padded_batch_marks_its_padding(rows) -> None:
    batch = taken(Ragged.of(rows, "padded"), [[3, 2]])
    assert isinstance(batch, Padded)
    values, mask = first_replica({"x": batch})["x"]
    assert mask.sum(1).tolist() == [5, 0]
    np.testing.assert_array_equal(values[0][mask[0]], rows[3])
    assert (values[~mask] == 0).all()


@pytest.mark.parametrize("layout", ["packed", "padded"])
def test_width_hangs_on_the_batch_and_not_on_the_set(rows, layout) -> None:
    long = np.ones((1000, 4), dtype=np.float32)
    ragged = Ragged.of([*rows, long], layout)
    short, both = taken(ragged, [[0, 1]]), taken(ragged, [[0, 5]])
    assert short.values.numel() <= 64 * 4 < both.values.numel()


def test_values_that_are_all_absent_still_make_a_batch() -> None:
    nothing = Ragged.of([np.zeros((0, 2), dtype=np.uint8)] * 3)
    batch = taken(nothing, [[0, 1, 2]])
    assert (batch.row == 3).all() and (batch.values == 0).all()


def test_plain_features_ride_along(rows) -> None:
    features = DeviceFeatures({"x": Ragged.of(rows), "y": np.arange(5)}, "cpu")
    assert torch.equal(features.take(np.array([[4, 1]]))["y"], torch.tensor([[4, 1]]))


def test_nan_is_named(rows) -> None:
    rows[3][2, 1] = np.nan
    with pytest.raises(ValueError, match=r"'x' hold NaN or infinity, first in row 6, column \[1\]"):
        DeviceFeatures({"x": Ragged.of(rows)}, "cpu")


@pytest.mark.parametrize("layout", ["packed", "padded"])
def test_blocks_shrink_as_rows_grow(layout) -> None:
    sizes = {}
    for length in (2, 64, 4096, 100_000):
        features = DeviceFeatures({"x": Ragged.of([np.zeros((length, 1))] * 3, layout)}, "cpu")
        sizes[length] = features.block_rows
    assert sizes[2] == 1024 and sizes[64] * 64 == CPU_BLOCK_VALUES and sizes[100_000] == 1


def test_one_long_row_counts_in_full_only_where_all_are_padded() -> None:
    rows = [np.zeros((1, 1))] * 99 + [np.zeros((1000, 1))]
    packed, padded = (
        DeviceFeatures({"x": Ragged.of(rows, of)}, "cpu") for of in ("packed", "padded")
    )
    assert packed.block_rows > 50 * padded.block_rows


def test_features_that_nobody_can_change_are_shared_and_others_are_copied() -> None:
    bits = np.arange(12, dtype=np.uint8).reshape(4, 3)
    copied = DeviceFeatures({"bits": bits}, "cpu")
    fixed = bits.copy()
    fixed.flags.writeable = False
    # A view, as a cache hands it out.
    shared = DeviceFeatures({"bits": fixed[1:]}, "cpu")
    assert shared._plain["bits"].data_ptr() == fixed[1:].ctypes.data
    np.testing.assert_array_equal(shared.take(np.array([[2, 0]]))["bits"], fixed[None, [3, 1]])
    bits[:] = 0
    np.testing.assert_array_equal(copied.take(np.array([[1]]))["bits"], [[[3, 4, 5]]])
    with pytest.raises(ValueError, match="read-only"):
        fixed[0] = 1


def test_shared_features_outlive_the_callers_name() -> None:
    fixed = np.full((1000, 1000), 7, dtype=np.uint8)
    fixed.flags.writeable = False
    features = DeviceFeatures({"bits": fixed}, "cpu")
    del fixed
    np.zeros((1000, 1000), dtype=np.uint8)[:] = 1
    assert int(features.take(np.array([[500]]))["bits"].min()) == 7


def test_rows_of_a_split_may_be_read_only(rows) -> None:
    """Splits freeze their rows; PyTorch warns of such arrays, and warnings are errors here."""
    index = np.array([[2, 0]])
    index.setflags(write=False)
    features = {"plain": np.arange(5.0), "x": Ragged.of(rows)}
    assert DeviceFeatures(features, "cpu").take(index)["plain"].tolist() == [[2.0, 0.0]]
