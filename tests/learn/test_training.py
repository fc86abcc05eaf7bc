"""A replica's result hangs on its own rows, seed and tasks, and on nothing else."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from chemdl.learn import stacking
from chemdl.learn.noise import Noise
from chemdl.learn.training import FittedReplica, Recipe, ReplicaRows, predict, train
from chemdl.molecules.nets.multitask import FullyConnected

ROWS, BITS, TASKS = 100, 128, 3


@pytest.fixture
def features() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"fingerprint": (rng.random((ROWS, BITS)) < 0.2).astype(np.uint8)}


@pytest.fixture
def labels(features: dict[str, np.ndarray]) -> np.ndarray:
    """Three classes that the bits tell, a third of them not measured."""
    rng = np.random.default_rng(1)
    score = (features["fingerprint"] - 0.2) @ rng.normal(size=(BITS, TASKS))
    y = (score + 0.3 * rng.normal(size=score.shape) > 0).astype(float)
    y[rng.random(y.shape) < 0.33] = np.nan
    return y


@pytest.fixture
def values(features: dict[str, np.ndarray]) -> np.ndarray:
    """Three linear targets in units far from zero and one."""
    rng = np.random.default_rng(2)
    y = (features["fingerprint"] - 0.2) @ rng.normal(size=(BITS, TASKS)) * [1.0, 50.0, 0.01]
    y += [300.0, -20.0, 0.0]
    y[rng.random(y.shape) < 0.2] = np.nan
    return y


def small_net(**changes: Any) -> Callable[[], nn.Module]:
    arguments = {"hidden": (24, 12), "dropout": (0.1, 0.25, 0.25), **changes}
    return lambda: FullyConnected(BITS, TASKS, **arguments)


def rows_of(seed: int, train_rows: Sequence[int], valid_rows: Sequence[int], tasks=None):
    return ReplicaRows(np.array(train_rows), np.array(valid_rows, dtype=int), seed, tasks)


# Index sets of different sizes that all take three batches of 32 an epoch, so that they stack.
UNEQUAL = [
    rows_of(11, range(0, 65), range(80, 100)),
    rows_of(12, range(10, 90), range(0, 7)),
    rows_of(11, range(20, 96), range(0, 15), tasks=(1,)),
    rows_of(13, range(34, 100), range(0, 30), tasks=(0, 2)),
]


def fit(
    build: Callable[[], nn.Module],
    features: dict[str, np.ndarray],
    targets: np.ndarray,
    replicas: Sequence[ReplicaRows],
    loss: str = "bce",
    stack: bool | None = None,
    **recipe: Any,
) -> list[FittedReplica]:
    settings = Recipe(**{"epochs": 4, "batch_size": 32, "patience": 10, **recipe})
    found: dict[int, FittedReplica] = {}
    for finished in train(
        build, features, targets, replicas, loss=loss, recipe=settings, stack=stack
    ):
        found.update(finished)
    return [found[i] for i in range(len(replicas))]


def outputs(build, fitted: Sequence[FittedReplica], features) -> list[np.ndarray]:
    return [predict(build(), one, features) for one in fitted]


def assert_same(found: Sequence[FittedReplica], expected: Sequence[FittedReplica]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.best_epoch == other.best_epoch
        np.testing.assert_allclose(one.valid_losses, other.valid_losses, rtol=1e-4, atol=1e-5)
        for name, value in other.state.items():
            np.testing.assert_allclose(one.state[name], value, rtol=1e-3, atol=1e-4, err_msg=name)


# --- a stack equals its members -------------------------------------------------------------------

KINDS = {
    "dropout": ({}, {}),
    "batch norm": ({"batch_norm": True}, {}),
    "clipping": ({}, {"clip": 0.05}),
    "sgd": ({}, {"optimizer": "sgd", "learning_rate": 0.1}),
    "weight decay": ({"activation": "sigmoid"}, {"weight_decay": 0.01}),
    "all at once": ({"batch_norm": True}, {"clip": 0.5, "optimizer": "sgd"}),
}


@pytest.mark.parametrize("loss", ["bce", "mse"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_stack_equals_its_members_alone(features, labels, values, loss: str, kind: str) -> None:
    net, recipe = KINDS[kind]
    build, targets = small_net(**net), labels if loss == "bce" else values
    stacked = fit(build, features, targets, UNEQUAL, loss, True, **recipe)
    assert {one.stack_size for one in stacked} == {4}
    alone = [fit(build, features, targets, [r], loss, False, **recipe)[0] for r in UNEQUAL]
    assert {one.stack_size for one in alone} == {1}
    assert_same(stacked, alone)


def test_order_and_size_of_a_stack_change_nothing(features, labels) -> None:
    build = small_net(batch_norm=True)
    four = fit(build, features, labels, UNEQUAL, stack=True, clip=0.5)
    assert_same(fit(build, features, labels, UNEQUAL[::-1], stack=True, clip=0.5)[::-1], four)
    assert_same(fit(build, features, labels, UNEQUAL[1:3], stack=True, clip=0.5), four[1:3])
    assert_same(fit(build, features, labels, UNEQUAL, stack=False, clip=0.5), four)


def test_replicas_with_another_number_of_steps_make_another_stack(features, labels) -> None:
    few = rows_of(5, range(0, 20), range(90, 100))
    build = small_net()
    mixed = fit(build, features, labels, [UNEQUAL[0], few, UNEQUAL[1]], stack=True)
    assert [one.stack_size for one in mixed] == [2, 1, 2]
    assert_same(mixed[1:2], fit(build, features, labels, [few], stack=False))


def test_stacks_keep_to_the_memory_budget(features, labels, monkeypatch) -> None:
    expected = fit(small_net(), features, labels, UNEQUAL, stack=True)
    monkeypatch.setattr(stacking, "_stack_limit", lambda *_: 3)
    found = fit(small_net(), features, labels, UNEQUAL, stack=True)
    assert [one.stack_size for one in found] == [3, 3, 3, 1]
    assert_same(found, expected)


def test_on_a_cpu_only_small_nets_stack(features, labels) -> None:
    wide = small_net(hidden=(512,), dropout=(0.0, 0.0))
    assert fit(small_net(), features, labels, UNEQUAL[:2], epochs=1)[0].stack_size == 2
    assert fit(wide, features, labels, UNEQUAL[:2], epochs=1)[0].stack_size == 1


# --- what a result hangs on -----------------------------------------------------------------------


def test_equal_seeds_give_equal_results_and_others_differ(features, labels) -> None:
    split = (range(0, 70), range(70, 100))
    first, again, other = (
        fit(small_net(), features, labels, [rows_of(seed, *split)])[0] for seed in (1, 1, 2)
    )
    assert all(torch.equal(value, again.state[name]) for name, value in first.state.items())
    assert not torch.allclose(first.state["output.weight"], other.state["output.weight"])


def test_global_random_states_are_left_alone(features, labels) -> None:
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002  # the state of others that must not move
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    fit(small_net(), features, labels, UNEQUAL[:2])
    assert torch.equal(torch.random.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_global_random_states_are_not_read(features, labels) -> None:
    results = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002  # the state of others that must not matter
        results.append(fit(small_net(), features, labels, UNEQUAL[:1])[0])
    assert torch.equal(results[0].state["output.weight"], results[1].state["output.weight"])


class Listening(FullyConnected):
    """Writes down what each training step is given: the noise's key, and the rows."""

    told: ClassVar[list[tuple[int, list[int]]]] = []

    def forward(self, batch, noise, weight):
        if noise is not None:
            self.told.append((int(noise.key), batch["row"][weight > 0].tolist()))
        return super().forward(batch, noise, weight)


def test_every_step_of_every_seed_has_noise_and_order_of_its_own(features, labels) -> None:
    Listening.told.clear()
    replicas = [rows_of(seed, range(65), range(80, 100)) for seed in (1, 2, 1)]
    numbered = {**features, "row": np.arange(ROWS)}
    build = functools.partial(Listening, BITS, TASKS, hidden=(8,), dropout=(0.1, 0.25))
    fit(build, numbered, labels, replicas, stack=False)
    # Four epochs of three steps each.
    first, second, again = (Listening.told[i : i + 12] for i in (0, 12, 24))
    assert first == again
    assert len({key for key, _ in first + second}) == 24
    epochs = [run[i : i + 3] for run in (first, second) for i in (0, 3, 6, 9)]
    orders = [[row for _, rows in epoch for row in rows] for epoch in epochs]
    assert all(sorted(order) == list(range(65)) for order in orders)
    assert len({tuple(order) for order in orders}) == 8


def test_inputs_are_unchanged(features, labels) -> None:
    bits, y = features["fingerprint"].copy(), labels.copy()
    own = [replica.train.copy() for replica in UNEQUAL]
    fit(small_net(), features, labels, UNEQUAL, stack=True)
    np.testing.assert_array_equal(features["fingerprint"], bits)
    np.testing.assert_array_equal(labels, y)
    for replica, rows in zip(UNEQUAL, own, strict=True):
        np.testing.assert_array_equal(replica.train, rows)


def test_masked_labels_do_not_matter(features, labels) -> None:
    """Whatever a row holds in a task that the replica does not learn, its result is the same."""
    build, replica = small_net(), UNEQUAL[2]
    assert replica.tasks == (1,)
    changed = labels.copy()
    changed[:, [0, 2]] = 1 - np.nan_to_num(changed[:, [0, 2]])
    assert_same(fit(build, features, changed, [replica]), fit(build, features, labels, [replica]))


def test_test_rows_do_not_matter(features, values) -> None:
    """Rows that are neither train nor valid change nothing, whatever they hold."""
    replica = rows_of(4, range(0, 60), range(60, 80))
    build = small_net()
    expected = fit(build, features, values, [replica], "mse")
    moved, bits = values.copy(), features["fingerprint"].copy()
    moved[80:] = 1e6
    bits[80:] = 1 - bits[80:]
    found = fit(build, {"fingerprint": bits}, moved, [replica], "mse")
    assert_same(found, expected)
    np.testing.assert_array_equal(found[0].target_shift, expected[0].target_shift)


class ScaledNet(nn.Module):
    """A linear model over standardised columns; the scale is fitted on the rows it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("spread", torch.ones(4))
        self.output = nn.Linear(4, TASKS)

    def fit_scaling(self, batch: dict[str, Tensor]) -> None:
        self.mean.copy_(batch["x"].mean(0))
        self.spread.copy_(batch["x"].std(0))

    def forward(self, batch: dict[str, Tensor], noise: Noise | None, weight: Tensor) -> Tensor:
        return self.output((batch["x"] - self.mean) / self.spread)


def test_scaling_is_fitted_on_each_replicas_own_train_rows(labels) -> None:
    x = np.random.default_rng(5).normal(7.0, 30.0, (ROWS, 4)).astype(np.float32)
    fitted = fit(ScaledNet, {"x": x}, labels, UNEQUAL, stack=True)
    for one, replica in zip(fitted, UNEQUAL, strict=True):
        np.testing.assert_allclose(one.state["mean"], x[replica.train].mean(0), rtol=1e-4)
    moved = x.copy()
    moved[99] = 1e5  # in the train rows of the last replica alone, in the valid rows of the first
    again = fit(ScaledNet, {"x": moved}, labels, UNEQUAL, stack=True)
    seen = slice(0, 99)
    for place in (1, 2):
        before, after = (
            predict(ScaledNet(), run[place], {"x": x[seen]}) for run in (fitted, again)
        )
        np.testing.assert_array_equal(after, before)
    assert not np.allclose(again[3].state["mean"], fitted[3].state["mean"])


def test_targets_are_scaled_by_own_train_rows(features, values) -> None:
    fitted = fit(small_net(), features, values, UNEQUAL, "mse", stack=True)
    for one, replica in zip(fitted, UNEQUAL, strict=True):
        own = values[replica.train]
        np.testing.assert_allclose(one.target_shift, np.nanmean(own, 0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(one.target_scale, np.nanstd(own, 0), rtol=1e-5)


def test_a_constant_target_is_learned_as_it_is(features) -> None:
    y = np.full((ROWS, TASKS), 5.0)
    fitted = fit(small_net(), features, y, UNEQUAL[:1], "mse", epochs=30)
    np.testing.assert_allclose(outputs(small_net(), fitted, features)[0], 5.0, atol=0.7)


# --- stopping -------------------------------------------------------------------------------------


def test_the_best_epoch_by_validation_is_kept(features, labels) -> None:
    build, replica = small_net(dropout=(0.0, 0.0, 0.0)), UNEQUAL[0]
    long = fit(build, features, labels, [replica], epochs=25, patience=25, learning_rate=0.01)[0]
    best = int(np.argmin(long.valid_losses)) + 1
    assert long.best_epoch == best
    assert best < 25, "the net must overfit for this test to say something"
    short = fit(build, features, labels, [replica], epochs=best, patience=25, learning_rate=0.01)
    assert_same([long], [FittedReplica(short[0].state, *[None] * 2, best, long.valid_losses)])
    # The state kept is the one whose validation loss stands in the curve.
    measured = np.isfinite(labels[replica.valid])
    p = predict(build(), long, features)[replica.valid]
    y = np.nan_to_num(labels[replica.valid])
    loss = np.logaddexp(0, p) - y * p
    assert loss[measured].mean() == pytest.approx(min(long.valid_losses), rel=1e-4)


def test_each_replica_stops_by_its_own_patience(features, labels) -> None:
    build = small_net(dropout=(0.0, 0.0, 0.0))
    recipe = {"epochs": 40, "patience": 3, "learning_rate": 0.01}
    stacked = fit(build, features, labels, UNEQUAL, stack=True, **recipe)
    alone = [fit(build, features, labels, [r], stack=False, **recipe)[0] for r in UNEQUAL]
    assert len({one.best_epoch for one in alone}) > 1
    for one, other in zip(stacked, alone, strict=True):
        assert one.best_epoch == other.best_epoch
        assert len(other.valid_losses) == other.best_epoch + 3 < 40
        np.testing.assert_allclose(
            one.state["output.weight"], other.state["output.weight"], rtol=1e-3, atol=1e-4
        )


def test_the_learning_rate_rises_and_falls() -> None:
    recipe = Recipe(epochs=12, learning_rate=0.5, warmup=2.0, decay=0.01)
    assert recipe.rate(0.0) == pytest.approx(0.05)
    assert recipe.rate(1.0) == pytest.approx(0.275)
    assert recipe.rate(2.0) == pytest.approx(0.5)
    assert recipe.rate(7.0) == pytest.approx(0.05)
    assert recipe.rate(12.0) == pytest.approx(0.005)
    assert {Recipe(learning_rate=0.5).rate(t) for t in (0.0, 0.3, 9.0)} == {0.5}


def test_training_follows_its_learning_rate(features, labels) -> None:
    """With rates that vanish after the first epoch, later epochs change nothing."""
    replica = rows_of(1, range(0, 64), range(80, 100))
    recipe = {"batch_size": 32, "decay": 1e-30, "learning_rate": 0.01}
    short, long = (
        fit(small_net(), features, labels, [replica], epochs=n, **recipe)[0] for n in (40, 400)
    )
    assert np.ptp(short.valid_losses[15:]) < 1e-6 < np.ptp(long.valid_losses[:16])


def test_what_a_step_keeps_bounds_the_stack(features, labels, monkeypatch) -> None:
    """Small budgets give small stacks, and the same replicas."""
    sizes = {}
    for budget in (2**31, 200_000):
        monkeypatch.setattr(stacking, "CPU_STACK_BYTES", budget)
        sizes[budget] = [one.stack_size for one in fit(small_net(), features, labels, UNEQUAL)]
    assert sizes[2**31] == [len(UNEQUAL)] * len(UNEQUAL)
    assert max(sizes[200_000]) < len(UNEQUAL)


def test_without_a_measured_valid_label_the_last_epoch_counts(features, labels) -> None:
    labels[90:] = np.nan
    for valid in (range(90, 100), []):
        replica = rows_of(1, range(0, 80), valid)
        assert fit(small_net(), features, labels, [replica], epochs=6)[0].best_epoch == 6


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_features_are_named_by_row_and_column(labels, bad: float) -> None:
    x = np.zeros((ROWS, 4), dtype=np.float32)
    x[17, 2] = bad
    with pytest.raises(ValueError, match="features 'x' hold NaN or infinity, first in row 17, col"):
        fit(ScaledNet, {"x": x}, labels, UNEQUAL[:1])


def test_train_rows_without_a_measured_target_are_an_error(features, labels) -> None:
    labels[:65] = np.nan
    with pytest.raises(ValueError, match=r"no target of tasks \[0, 1, 2\] is measured in the 65"):
        fit(small_net(), features, labels, UNEQUAL[:1])


def test_a_task_without_a_measured_target_is_named(features, labels) -> None:
    labels[:, 1] = np.nan
    fit(small_net(), features, labels, UNEQUAL[:1], epochs=1)
    with pytest.raises(ValueError, match=r"no target of tasks \[1\] is measured"):
        fit(small_net(), features, labels, UNEQUAL[2:3])


def test_no_train_rows_are_an_error(features, labels) -> None:
    with pytest.raises(ValueError, match="no train rows"):
        fit(small_net(), features, labels, [rows_of(1, np.array([], dtype=int), [1])])


@pytest.mark.parametrize("stack", [True, False])
def test_training_that_diverges_is_an_error(features, values, stack: bool) -> None:
    with pytest.raises(ValueError, match="seed 11 ended in NaN; lower the learning rate"):
        fit(
            small_net(), features, values, UNEQUAL[:2], "mse", stack,
            optimizer="sgd", learning_rate=1e20,
        )  # fmt: skip


# --- learning -------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["bce", "mse"])
@pytest.mark.parametrize("stack", [True, False])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_every_net_overfits_32_molecules(
    features, labels, values, loss: str, stack: bool, batch_norm: bool
) -> None:
    y = labels if loss == "bce" else values
    build = small_net(dropout=(0.0, 0.0, 0.0), batch_norm=batch_norm)
    # Stopped by its own train rows, the net may learn them by heart.
    replicas = [rows_of(seed, range(32), range(32)) for seed in (1, 2)]
    recipe = {"epochs": 100, "patience": 100, "learning_rate": 0.015}
    for one in fit(build, features, y, replicas, loss, stack, **recipe):
        p = predict(build(), one, features)[:32]
        known = np.isfinite(y[:32])
        if loss == "bce":
            assert ((p > 0) == (y[:32] == 1))[known].all()
        else:
            error = np.abs(p - y[:32]) / np.nanstd(y[:32], axis=0)
            assert error[known].max() < 0.1


def test_predictions_in_blocks_are_those_of_one_block(features, labels) -> None:
    one = fit(small_net(batch_norm=True), features, labels, UNEQUAL[:1])[0]
    build = small_net(batch_norm=True)
    np.testing.assert_allclose(
        predict(build(), one, features, batch_size=7), predict(build(), one, features), atol=1e-6
    )
