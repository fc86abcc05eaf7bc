"""The dataset's own contract: aligned, read-only, hashed, sampled by seed."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from chemdl.data import Dataset, DatasetError


def make(n: int = 40, kind: str = "classification", **changes: object) -> Dataset:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, size=(n, 2)).astype(float)
    targets[::5, 1] = np.nan
    fields = {
        "name": "small",
        "inputs": np.array(["C" * (i + 1) for i in range(n)], dtype=object),
        "targets": targets,
        "tasks": ("a", "b"),
        "kind": kind,
        "unit": "",
        "card": {"title": "Small", "cleaning": {"kept": n}},
        "columns": {"id": np.arange(n).astype(str)},
    }
    return Dataset(**{**fields, **changes})


def test_parts_that_do_not_fit_are_refused_by_their_sizes() -> None:
    with pytest.raises(DatasetError, match=r"shape \(40, 3\), not \(40, 2\)"):
        make(tasks=("a", "b", "c"))
    with pytest.raises(DatasetError, match="'id' has 3 rows, the inputs 40"):
        make(columns={"id": np.arange(3)})
    with pytest.raises(DatasetError, match="empty"):
        make(inputs=np.array([], dtype=object), targets=np.empty((0, 2)), columns={})
    with pytest.raises(DatasetError, match="classification, regression"):
        make(kind="ranking")


def test_nothing_in_it_can_be_changed() -> None:
    dataset = make()
    for array in (dataset.inputs, dataset.targets, dataset.columns["id"]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[1]
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset.name = "other"  # type: ignore[misc]


def test_content_hash_moves_with_any_input_target_or_task_and_with_nothing_else() -> None:
    dataset = make()
    same = make(card={"title": "Other"}, unit="mol/L", columns={}, name="other")
    assert same.card["content_sha256"] == dataset.card["content_sha256"]
    inputs, targets = dataset.inputs.copy(), dataset.targets.copy()
    inputs[3] = "N"
    targets[0, 1] = 1.0
    changed = [make(inputs=inputs), make(targets=targets), make(tasks=("a", "c"))]
    changed.append(dataset.subset(np.arange(40)[::-1]))
    hashes = {d.card["content_sha256"] for d in [dataset, *changed]}
    assert len(hashes) == 5


def test_content_hash_is_one_for_all_nans_and_both_zeros() -> None:
    targets = make().targets.copy()
    negative = np.where(targets == 0, -0.0, targets)
    other_nan = np.frombuffer(b"\x01\x00\x00\x00\x00\x00\xf8\x7f", dtype="<f8")[0]
    negative[np.isnan(negative)] = other_nan
    assert make(targets=negative).card["content_sha256"] == make().card["content_sha256"]


def test_subset_keeps_rows_aligned_and_names_its_parent() -> None:
    dataset = make()
    by_index, by_mask = dataset.subset([7, 2]), dataset.subset(np.arange(40) < 3)
    assert list(by_index.inputs) == [dataset.inputs[7], dataset.inputs[2]]
    assert list(by_index.columns["id"]) == ["7", "2"]
    np.testing.assert_array_equal(by_index.targets, dataset.targets[[7, 2]])
    assert by_index.card["n"] == 2 and len(by_mask) == 3
    assert by_index.card["parent"] == dataset.card["content_sha256"]
    assert by_index.card["content_sha256"] != dataset.card["content_sha256"]


def test_rows_that_are_not_there_are_refused() -> None:
    dataset = make()
    with pytest.raises(DatasetError, match="row 40 does not exist; rows are 0 to 39"):
        dataset.subset([0, 40])
    with pytest.raises(DatasetError, match="row -1 does not exist"):
        dataset.subset([-1])
    with pytest.raises(DatasetError, match="at least one"):
        dataset.subset([])
    with pytest.raises(DatasetError, match="mask of 3 rows for 40"):
        dataset.subset(np.array([True, False, True]))


@pytest.mark.parametrize(
    ("kind", "value", "allowed"),
    [
        ("classification", -1.0, "0, 1 or NaN"),
        ("classification", 0.5, "0, 1 or NaN"),
        ("classification", np.inf, "0, 1 or NaN"),
        ("regression", np.inf, "a finite number or NaN"),
        ("regression", -np.inf, "a finite number or NaN"),
    ],
)
def test_a_target_that_cannot_be_is_named(kind: str, value: float, allowed: str) -> None:
    targets = make().targets.copy()
    targets[7, 1] = value
    with pytest.raises(DatasetError, match=rf"target {value} of task .* in line 7; give {allowed}"):
        make(kind=kind, targets=targets)


def test_tasks_have_names_of_their_own() -> None:
    with pytest.raises(DatasetError, match="tasks need names of their own, not a, a"):
        make(tasks=("a", "a"))


def test_sites_of_rows_that_are_not_there_are_refused() -> None:
    lengths = np.full(40, 2)
    chains = make(kind="labelling", targets=np.zeros((80, 2)), lengths=lengths)
    assert chains.sites(np.arange(40) < 2).tolist() == [0, 1, 2, 3]
    with pytest.raises(DatasetError, match="row -1 does not exist"):
        chains.sites(np.array([-1]))


def test_sample_is_fixed_by_its_seed_and_in_the_sets_order() -> None:
    dataset = make()
    first, again, other = dataset.sample(15, 1), dataset.sample(15, 1), dataset.sample(15, 2)
    assert list(first.inputs) == list(again.inputs) != list(other.inputs)
    assert len(set(first.inputs)) == 15
    rows = [int(i) for i in first.columns["id"]]
    assert rows == sorted(rows)
    assert dataset.sample(40, 0) is dataset
    with pytest.raises(DatasetError, match="at least one row, not 0"):
        dataset.sample(0)


@pytest.mark.parametrize("seed", range(20))
def test_sample_keeps_the_positives_of_a_sparse_task(seed: int) -> None:
    targets = np.zeros((1000, 2))
    targets[:500, 0] = 1  # a dense task hides the sparse one unless it is drawn for itself
    targets[490:510, 1] = 1
    inputs = np.array([f"[{i + 1}CH4]" for i in range(1000)], dtype=object)
    sampled = make(inputs=inputs, targets=targets, columns={}).sample(100, seed)
    assert len(sampled) == 100
    assert 2 <= sampled.targets[:, 1].sum() <= 3
    assert 47 <= sampled.targets[:, 0].sum() <= 53


def test_a_regression_sample_has_exactly_the_rows_asked_for() -> None:
    assert len(make(kind="regression").sample(13, 5)) == 13


def test_a_subsample_thins_each_subset_of_a_published_split() -> None:
    subsets = np.repeat(["train", "valid", "test"], [20, 10, 10])
    dataset = make(columns={"set": subsets, "id": np.arange(40)})

    def counts(part: Dataset) -> list[int]:
        return [int((part.columns["set"] == name).sum()) for name in ("train", "valid", "test")]

    part = dataset.subsample(train=8, valid=2, test=4)
    assert counts(part) == [8, 2, 4]
    assert (np.diff(part.columns["id"]) > 0).all()
    assert counts(dataset.subsample(train=8)) == [8, 4, 10]
    # A subset's rows do not depend on the others' numbers, unless one generator draws them all.
    more, fewer = dataset.subsample(train=20, test=4), dataset.subsample(train=2, test=4)
    assert set(more.columns["id"][-4:]) == set(fewer.columns["id"][-4:])
    joint = dataset.subsample(train=8, valid=2, test=4, seed=np.random.default_rng(0))
    assert counts(joint) == [8, 2, 4] and list(joint.inputs) != list(part.inputs)
    with pytest.raises(DatasetError, match="no published split"):
        make().subsample(train=8)


def test_a_column_is_added_or_replaced() -> None:
    dataset = make()
    grouped = dataset.with_column("group", np.arange(40) // 10)
    assert list(grouped.columns) == ["id", "group"] and list(dataset.columns) == ["id"]
    assert grouped.with_column("group", np.zeros(40)).columns["group"].max() == 0
    with pytest.raises(DatasetError, match="'group' has 3 rows, the inputs 40"):
        dataset.with_column("group", np.arange(3))


def test_it_survives_a_process_boundary() -> None:
    dataset = make()
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy.card == dataset.card
    np.testing.assert_array_equal(copy.targets, dataset.targets)


# --- rows with several sites ----------------------------------------------------------------------


def chains(
    lengths: Sequence[int], values: Iterable[float], inputs: Sequence[str] | None = None
) -> Dataset:
    """Chains of these lengths, with one target for each residue."""
    return Dataset(
        name="chains",
        inputs=np.array(list("ABCDE")[: len(lengths)] if inputs is None else inputs, object),
        targets=np.array([[value] for value in values], float),
        tasks=("t",),
        kind="labelling",
        unit="",
        card={},
        lengths=np.array(lengths),
    )


def test_sites_of_rows_are_their_lines_of_targets() -> None:
    data = chains([3, 1, 4, 2], range(10))
    rows = np.array([2, 0])
    expected = [[4], [5], [6], [7], [0], [1], [2]]
    assert data.targets[data.sites(rows)].tolist() == expected
    assert data.offsets.tolist() == [0, 3, 4, 8, 10]
    part = data.subset(rows)
    assert part.targets.tolist() == expected
    assert part.lengths.tolist() == [4, 3]
    assert part.row_of_site().tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_without_lengths_a_row_is_its_own_site() -> None:
    plain = make(n=2)
    assert plain.sites(np.array([1, 0])).tolist() == [1, 0]
    assert plain.row_of_site().tolist() == [0, 1]
    assert plain.offsets.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([2, 2], r"of 4 sites .* shape \(4, 1\), not \(5, 1\)"),
        ([5, 0], "row 1 has 0 sites"),
        ([5], r"lengths of shape \(1,\) for 2 inputs"),
    ],
)
def test_lengths_must_fit(lengths: list[int], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        chains(lengths, range(5), inputs=["AB", "ABC"])


def test_the_hash_knows_where_rows_end() -> None:
    one, other = (chains(lengths, range(4)) for lengths in ([1, 3], [2, 2]))
    assert one.card["content_sha256"] != other.card["content_sha256"]
