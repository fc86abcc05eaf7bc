"""The one training loop: all replicas of a network at once, or one after another.

A replica owns an index set, a seed and the tasks it learns. Everything random comes from
(replica seed, step, layer), so a replica's result is the same alone, in a stack, or in a stack of
another size, within floating-point error. A stack is one batched pass over parameters with a
leading replica axis (``torch.func.vmap``).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from chemdl.noise import GOLDEN, Noise, mix, signed
from chemdl.ragged import Batch, DeviceFeatures, Features, first_replica

Loss = Literal["bce", "mse"]
State = dict[str, Tensor]

# Below this many parameters a stack beats one-after-another on a CPU; above it the batched
# products only lose cache locality (benchmarks/stacking.py measures both sides).
CPU_STACK_PARAMETERS = 40_000
CPU_STACK_BYTES = 2 * 2**30


class DivergedError(ValueError):
    """Training ended in NaN: the learning rate is too high for this network and these targets."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    ``learning_rate``, ``momentum`` and ``weight_decay`` go to the optimiser (``adam``: Kingma and
    Ba 2015, or ``sgd``); ``clip`` bounds the norm of each replica's gradient; ``patience`` is the
    number of epochs without a better validation loss after which a replica stops. The learning
    rate rises from a tenth over ``warmup`` epochs, and then falls, each step by the same factor,
    to ``decay`` of its height in the last epoch.
    """

    epochs: int = 50
    batch_size: int = 128
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 0.0
    clip: float | None = None
    patience: int = 10
    warmup: float = 0.0
    decay: float = 1.0

    def rate(self, epochs_done: float) -> float:
        """Return the learning rate after this many epochs, parts of one included."""
        if epochs_done < self.warmup:
            return self.learning_rate * (0.1 + 0.9 * epochs_done / self.warmup)
        falling = max(1.0, self.epochs - self.warmup)
        return self.learning_rate * self.decay ** ((epochs_done - self.warmup) / falling)


@dataclass(frozen=True)
class ReplicaRows:
    """What one replica learns from: train and valid rows, its seed, its tasks (``None``: all)."""

    train: np.ndarray
    valid: np.ndarray
    seed: int
    tasks: tuple[int, ...] | None = None


@dataclass
class FittedReplica:
    """The best state of one replica: parameters and buffers, and how it got there."""

    state: dict[str, Tensor]
    target_shift: np.ndarray
    target_scale: np.ndarray
    best_epoch: int
    valid_losses: list[float] = field(default_factory=list)
    seconds: float = 0.0
    stack_size: int = 1


def train(
    build: Callable[[], nn.Module],
    features: Features,
    targets: np.ndarray,
    replicas: Sequence[ReplicaRows],
    *,
    loss: Loss,
    recipe: Recipe,
    device: str = "cpu",
    stack: bool | None = None,
) -> Iterator[list[tuple[int, FittedReplica]]]:
    """Train a network on every replica's rows and yield each stack when it ends.

    Parameters
    ----------
    build : makes the network; called under each replica's seed. Its forward takes the features
        of (batch, …) rows, the :class:`Noise` (``None`` outside training) and the rows' weights
        (batch,), zero for padding, and returns (batch, tasks). If it has ``fit_scaling(batch)``
        that is called once with the replica's train rows.
    features : arrays with n rows each, or :class:`chemdl.ragged.Ragged` rows of unequal length;
        they lie on the device once, whatever the replicas.
    targets : (n, tasks), NaN = not measured and masked in the loss.
    loss : ``bce`` on logits, or ``mse`` on targets scaled by each replica's own train rows.
    stack : force stacks (or none); by default as the device makes it pay.

    Yields
    ------
    lists of (position in ``replicas``, fitted replica).

    Raises
    ------
    ValueError
        for a replica without train rows or without a measured train target, or NaN features.
    DivergedError
        for training that ends in NaN.
    """
    on_device = DeviceFeatures(features, device)
    y = torch.tensor(np.array(targets), dtype=torch.float32, device=device)
    for replica in replicas:
        _check_rows(replica, targets)
    probe = _Stack(build, on_device, y, [replicas[0]], loss, recipe)
    for positions in _stacks(replicas, probe, device, stack):
        members = [replicas[i] for i in positions]
        begun = time.perf_counter()
        run = _Stack(build, on_device, y, members, loss, recipe)
        fitted = run.fit()
        seconds = (time.perf_counter() - begun) / len(members)
        for result in fitted:
            result.seconds, result.stack_size = seconds, len(members)
        yield list(zip(positions, fitted, strict=True))


@torch.no_grad()
def predict(
    network: nn.Module,
    fitted: FittedReplica,
    features: Features,
    *,
    device: str = "cpu",
    batch_size: int | None = None,
) -> np.ndarray:
    """Return the network's outputs (n, tasks) under a fitted replica: logits, or target units."""
    network = network.eval().to(device)
    state = {name: value.to(device) for name, value in fitted.state.items()}
    on_device = DeviceFeatures(features, device)
    size = batch_size or on_device.block_rows
    outputs = []
    for start in range(0, on_device.count, size):
        rows = np.arange(start, min(start + size, on_device.count))
        batch = first_replica(on_device.take(rows[None]))
        weight = torch.ones(len(rows), device=device)
        outputs.append(functional_call(network, state, (batch, None, weight)).cpu().numpy())
    raw = np.concatenate(outputs).astype(np.float64)
    return raw * fitted.target_scale + fitted.target_shift


@dataclass(frozen=True)
class _Rows:
    """Rows of every replica, padded to one width: their numbers on host and device, weights."""

    host: np.ndarray
    index: Tensor
    weight: Tensor

    def __len__(self) -> int:
        return self.host.shape[1]

    def part(self, start: int, stop: int) -> _Rows:
        """Return the columns ``start`` to ``stop``."""
        here = slice(start, stop)
        return _Rows(self.host[:, here], self.index[:, here], self.weight[:, here])


class _Stack:
    """One stack of replicas with equally many steps an epoch, trained side by side."""

    def __init__(
        self,
        build: Callable[[], nn.Module],
        features: DeviceFeatures,
        targets: Tensor,
        members: list[ReplicaRows],
        loss: Loss,
        recipe: Recipe,
    ) -> None:
        self.features, self.members, self.loss, self.recipe = features, members, loss, recipe
        self.device = targets.device
        networks = [initialised(build, m.seed).to(self.device) for m in members]
        for network, member in zip(networks, members, strict=True):
            if callable(fit_scaling := getattr(network, "fit_scaling", None)):
                fit_scaling(first_replica(features.take(member.train[None])))
        self.network = networks[0]
        self.parameters = _stacked([dict(n.named_parameters()) for n in networks])
        for value in self.parameters.values():
            value.requires_grad_(True)
        self.buffers = _stacked([dict(n.named_buffers()) for n in networks])
        self.seeds = torch.tensor([signed(m.seed) for m in members], dtype=torch.int32)
        self.seeds = self.seeds.to(self.device)
        self._prepare_targets(targets)

    def _prepare_targets(self, targets: Tensor) -> None:
        """Mask what is not measured or not learned; scale by each replica's train rows."""
        n_tasks = targets.shape[1]
        learned = torch.zeros(len(self.members), n_tasks, device=self.device)
        shift = torch.zeros_like(learned)
        scale = torch.ones_like(learned)
        for r, member in enumerate(self.members):
            learned[r, list(range(n_tasks) if member.tasks is None else member.tasks)] = 1.0
            if self.loss == "mse":
                own = targets.cpu().numpy()[member.train]
                shift[r] = torch.as_tensor(np.nan_to_num(_column(np.nanmean, own)))
                spread = np.nan_to_num(_column(np.nanstd, own))
                scale[r] = torch.as_tensor(np.where(spread > 0, spread, 1.0))
        self.measured = torch.isfinite(targets)
        self.targets = torch.nan_to_num(targets)
        self.learned, self.shift, self.scale = learned, shift, scale

    def fit(self) -> list[FittedReplica]:
        """Run the epochs; keep each replica's best state by validation loss."""
        optimizer = self._optimizer()
        count = len(self.members)
        best = torch.full((count,), math.inf, device=self.device)
        best_epoch = torch.zeros(count, dtype=torch.long, device=self.device)
        stopped = torch.zeros(count, dtype=torch.bool, device=self.device)
        kept = self._snapshot()
        curve: list[Tensor] = []
        valid = self._padded([m.valid for m in self.members])
        # Without a measured valid target there is nothing to stop by: the last epoch counts.
        blind = self._measured_targets(valid).sum((1, 2)) == 0
        for epoch in range(1, self.recipe.epochs + 1):
            self._train_epoch(optimizer, epoch)
            losses = self._evaluate(valid)
            curve.append(losses)
            better = ((losses < best) | blind) & ~stopped
            best = torch.where(better, losses, best)
            best_epoch = torch.where(better, epoch, best_epoch)
            self._keep(kept, better)
            stopped |= epoch - best_epoch >= self.recipe.patience
            if bool(stopped.all()):
                break
        return self._results(kept, best_epoch, torch.stack(curve, dim=1))

    def _train_epoch(self, optimizer: torch.optim.Optimizer, epoch: int) -> None:
        """Take one pass over every replica's own shuffled train rows."""
        self.network.train()
        orders = [_shuffled(m, epoch) for m in self.members]
        epoch_rows = self._padded(orders, multiple=self.recipe.batch_size)
        per_epoch = len(epoch_rows) // self.recipe.batch_size
        for i in range(per_epoch):
            rows = epoch_rows.part(i * self.recipe.batch_size, (i + 1) * self.recipe.batch_size)
            keys = mix(self.seeds ^ signed(((epoch - 1) * per_epoch + i + 1) * GOLDEN))
            for group in optimizer.param_groups:
                group["lr"] = self.recipe.rate(epoch - 1 + i / per_epoch)
            optimizer.zero_grad(set_to_none=True)
            self._losses(rows, keys).sum().backward()
            if self.recipe.clip is not None:
                self._clip_gradients(self.recipe.clip)
            optimizer.step()

    def _losses(self, rows: _Rows, keys: Tensor | None) -> Tensor:
        """Return each replica's masked mean loss over its rows: (replicas,)."""
        batch = self.features.take(rows.host)
        mask = self._measured_targets(rows)
        target = (self.targets[rows.index] - self.shift[:, None, :]) / self.scale[:, None, :]
        output = self._forward(batch, keys, rows.weight)
        if self.loss == "bce":
            each = nn.functional.binary_cross_entropy_with_logits(output, target, reduction="none")
        else:
            each = (output - target).square()
        return (each * mask).sum((1, 2)) / mask.sum((1, 2)).clamp(min=1.0)

    def _measured_targets(self, rows: _Rows) -> Tensor:
        """Return the weight of each target in the loss: (replicas, batch, tasks)."""
        return self.measured[rows.index] * self.learned[:, None, :] * rows.weight[:, :, None]

    def _forward(self, batch: Batch, keys: Tensor | None, weight: Tensor) -> Tensor:
        """Return (replicas, batch, tasks); a stack of one is spared the batched products."""

        def one(state: State, rows: Batch, key: Tensor | None, row_weight: Tensor) -> Tensor:
            noise = None if key is None else Noise(key)
            return functional_call(self.network, state, (rows, noise, row_weight))

        state = {**self.parameters, **self.buffers}
        if len(self.members) > 1:
            in_dims = (0, 0, None if keys is None else 0, 0)
            return vmap(one, in_dims=in_dims)(state, batch, keys, weight)
        first = {name: value[0] for name, value in state.items()}
        own_key = None if keys is None else keys[0]
        return one(first, first_replica(batch), own_key, weight[0])[None]

    @torch.no_grad()
    def _evaluate(self, rows: _Rows) -> Tensor:
        """Return each replica's loss over its valid rows, averaged over measured targets."""
        self.network.eval()
        total = torch.zeros(len(self.members), device=self.device)
        counted = torch.zeros_like(total)
        block = self.features.block_rows
        for start in range(0, len(rows), block):
            part = rows.part(start, start + block)
            size = self._measured_targets(part).sum((1, 2))
            total += self._losses(part, None) * size
            counted += size
        return total / counted.clamp(min=1.0)

    def _padded(self, rows: list[np.ndarray], multiple: int = 1) -> _Rows:
        """Pad index sets to one length; padding points at row 0 with weight zero."""
        longest = max(len(r) for r in rows)
        width = max(1, math.ceil(longest / multiple)) * multiple
        index = np.zeros((len(rows), width), dtype=np.int64)
        weight = np.zeros((len(rows), width), dtype=np.float32)
        for r, own in enumerate(rows):
            index[r, : len(own)] = own
            weight[r, : len(own)] = 1.0
        return _Rows(
            index, torch.as_tensor(index).to(self.device), torch.as_tensor(weight).to(self.device)
        )

    def activation_bytes(self) -> int:
        """Measure what one training step of these replicas keeps for its backward pass."""
        kept: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        rows = self._padded([_shuffled(m, 1)[: self.recipe.batch_size] for m in self.members])
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            self._losses(rows, self.seeds)
        return sum(kept.values())

    def _clip_gradients(self, limit: float) -> None:
        grads = [p.grad for p in self.parameters.values() if p.grad is not None]
        norms = torch.stack([g.flatten(1).norm(dim=1) for g in grads]).norm(dim=0)
        factor = (limit / norms.clamp(min=1e-12)).clamp(max=1.0)
        for grad in grads:
            grad.mul_(factor.reshape(-1, *[1] * (grad.dim() - 1)))

    def _optimizer(self) -> torch.optim.Optimizer:
        recipe, parameters = self.recipe, list(self.parameters.values())
        # Fused steps are ten times faster on a CPU, where the update costs more than the products.
        if recipe.optimizer == "adam":
            return torch.optim.Adam(
                parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
            )
        return torch.optim.SGD(
            parameters,
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            fused=True,
        )

    def _snapshot(self) -> State:
        state = {**self.parameters, **self.buffers}
        return {name: value.detach().clone() for name, value in state.items()}

    @torch.no_grad()
    def _keep(self, kept: State, better: Tensor) -> None:
        """Copy the present state of the replicas that got better."""
        if not bool(better.any()):
            return
        for name, value in {**self.parameters, **self.buffers}.items():
            chosen = better.reshape(-1, *[1] * (value.dim() - 1))
            torch.where(chosen, value, kept[name], out=kept[name])

    def _results(self, kept: State, best_epoch: Tensor, curve: Tensor) -> list[FittedReplica]:
        results = []
        for r, member in enumerate(self.members):
            finite = all(bool(torch.isfinite(value[r]).all()) for value in kept.values())
            if not finite or int(best_epoch[r]) == 0:
                raise DivergedError(
                    f"training of the replica with seed {member.seed} ended in NaN; "
                    "lower the learning rate or set Recipe.clip"
                )
            results.append(
                FittedReplica(
                    state={name: value[r].cpu().clone() for name, value in kept.items()},
                    target_shift=self.shift[r].cpu().numpy().astype(np.float64),
                    target_scale=self.scale[r].cpu().numpy().astype(np.float64),
                    best_epoch=int(best_epoch[r]),
                    valid_losses=curve[r].cpu().tolist(),
                )
            )
        return results


def _stacks(
    replicas: Sequence[ReplicaRows], probe: _Stack, device: str, stack: bool | None
) -> list[list[int]]:
    """Group replicas that take equally many steps an epoch, within the memory budget.

    Equal steps keep every replica active in every step, so an optimiser's moments never move on
    an empty batch and a stack stays equal to its members alone.
    """
    n_parameters = sum(p.numel() for p in probe.network.parameters())
    if stack is None:
        stack = device != "cpu" or n_parameters <= CPU_STACK_PARAMETERS
    if not stack or len(replicas) == 1:
        return [[i] for i in range(len(replicas))]
    limit = _stack_limit(n_parameters, probe.activation_bytes(), device)
    groups: dict[int, list[int]] = {}
    for i, replica in enumerate(replicas):
        steps = math.ceil(len(replica.train) / probe.recipe.batch_size)
        groups.setdefault(steps, []).append(i)
    return [g[s : s + limit] for g in groups.values() for s in range(0, len(g), limit)]


def _stack_limit(n_parameters: int, activation_bytes: int, device: str) -> int:
    """Return how many replicas fit.

    Each holds weights, gradients, two moments and its best state, and what a step keeps for its
    backward pass, twice: batches differ, and gradients pass through.
    """
    free = CPU_STACK_BYTES if device == "cpu" else torch.cuda.mem_get_info()[0] // 2
    return max(1, int(free // (5 * 4 * n_parameters + 2 * activation_bytes + 1)))


def initialised(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Build a network whose initial weights depend on the seed alone.

    The global random state is the same afterwards.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def _stacked(states: list[State]) -> State:
    return {name: torch.stack([s[name].detach() for s in states]) for name in states[0]}


def _shuffled(member: ReplicaRows, epoch: int) -> np.ndarray:
    return np.random.default_rng([member.seed, epoch]).permutation(member.train)


def _column(statistic: Callable[..., np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Apply a NaN-ignoring statistic to each task, NaN where nothing is measured."""
    measured = np.isfinite(rows).any(axis=0)
    out = np.full(rows.shape[1], np.nan)
    out[measured] = statistic(rows[:, measured], axis=0)
    return out


def _check_rows(replica: ReplicaRows, targets: np.ndarray) -> None:
    if len(replica.train) == 0:
        raise ValueError("a replica has no train rows; check the split")
    tasks = list(range(targets.shape[1]) if replica.tasks is None else replica.tasks)
    if not np.isfinite(targets[replica.train][:, tasks]).any():
        raise ValueError(
            f"no target of tasks {tasks} is measured in the {len(replica.train)} train rows; "
            "drop the task or change the split"
        )
