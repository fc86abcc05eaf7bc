"""The one training loop: all replicas of a network at once, or one after another.

A replica owns an index set, a seed and the tasks it learns. All random numbers depend on (replica
seed, step, layer) only, so a replica's result is the same alone or in a stack of any size, within
floating-point error. A stack is one batched pass over parameters with a leading replica axis
(``torch.func.vmap``).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from chemdl.learn.batches import Rows, Targets, bucketed, by_column, padded_rows, shuffled
from chemdl.learn.losses import LOSSES, Loss
from chemdl.learn.noise import GOLDEN, Noise, mix, signed
from chemdl.learn.ragged import Batch, DeviceFeatures, Features, Ragged, by_row, first_replica
from chemdl.learn.stacking import stacks

State = dict[str, Tensor]


class DivergedError(ValueError):
    """Training ended in NaN: the learning rate is too high for this network and these targets."""


@dataclass(kw_only=True, eq=False, repr=False)
class Recipe:
    """How a network is trained; every net is one (:class:`chemdl.learn.estimator.NeuralEstimator`).

    ``learning_rate``, ``momentum`` and ``weight_decay`` go to the optimiser (``adam``: Kingma and
    Ba 2015, or ``sgd``); ``clip`` bounds the norm of each replica's gradient; ``patience`` is the
    number of epochs without a better validation loss after which a replica stops. The learning
    rate rises from a tenth over ``warmup`` epochs, and then falls, each step by the same factor,
    to ``decay`` of its height in the last epoch. ``bucketed`` fills batches with rows of similar
    length where features are padded: the rows are shuffled, sorted by length within some batches'
    worth of them, and the batches shuffled again.
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
    bucketed: bool = False

    def rate(self, epochs_done: float) -> float:
        """Return the learning rate after this many epochs, parts of one included."""
        if epochs_done < self.warmup:
            return self.learning_rate * (0.1 + 0.9 * epochs_done / self.warmup)
        falling = max(1.0, self.epochs - self.warmup)
        return self.learning_rate * self.decay ** ((epochs_done - self.warmup) / falling)


@dataclass(frozen=True)
class ReplicaRows:
    """What one replica learns from: train and valid rows, its seed, its tasks (``None``: all).

    With ``epochs`` it trains exactly so long, and its valid rows stop nothing.
    """

    train: np.ndarray
    valid: np.ndarray
    seed: int
    tasks: tuple[int, ...] | None = None
    epochs: int | None = None


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
    targets: np.ndarray | Ragged,
    replicas: Sequence[ReplicaRows],
    *,
    loss: Literal["bce", "mse"] | Loss,
    recipe: Recipe,
    device: str = "cpu",
    stack: bool | None = None,
) -> Iterator[list[tuple[int, FittedReplica]]]:
    """Train a network on every replica's rows and yield each stack when it ends.

    Parameters
    ----------
    build
        Function that makes the network; it is called under each replica's seed. The network's
        ``forward`` takes the features (batch, …), the :class:`Noise` (``None`` outside training)
        and the rows' weights (batch,), zero for padding, and returns (batch, tasks). A network
        whose attribute ``sites`` names a padded feature returns (batch, longest, tasks), one line
        for each of its values. A method ``fit_scaling(batch)`` is called once with the replica's
        train rows, and with their targets too if the network has ``needs_targets``.
    features
        Arrays or :class:`~chemdl.learn.ragged.Ragged` of n rows, shared by all replicas.
    targets
        Targets, (n, tasks), or padded ragged rows (sites, tasks) for a network with sites. NaN
        means not measured and is masked in the loss.
    loss
        ``bce`` of logits, ``mse`` of targets scaled by each replica's rows, or a :class:`Loss`.
    stack
        Whether to train replicas in stacks; by default this is so on devices where it is faster.

    Yields
    ------
    list of tuple
        Pairs of position in ``replicas`` and fitted replica, for the members of one stack.

    Raises
    ------
    ValueError
        For NaN features, or a replica without train rows or without a measured train target.
    DivergedError
        If the training ends in NaN.
    """
    on_device = DeviceFeatures(features, device)
    chosen = LOSSES[loss] if isinstance(loss, str) else loss
    y = Targets(targets, device, chosen)
    for replica in replicas:
        _check_rows(replica, y)
    probe = _Stack(build, on_device, y, [replicas[0]], chosen, recipe)
    sizes = [len(replica.train) for replica in replicas]
    for positions in stacks(sizes, recipe.batch_size, probe, device, stack):
        members = [replicas[i] for i in positions]
        begun = time.perf_counter()
        run = _Stack(build, on_device, y, members, chosen, recipe)
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
    sites = getattr(network, "sites", None)
    # Rows of similar length side by side waste no padding.
    lengths = on_device.lengths if sites is not None else None
    order = np.arange(on_device.count) if lengths is None else np.argsort(lengths, kind="stable")
    outputs: list[np.ndarray] = []
    for start in range(0, on_device.count, size):
        rows = order[start : start + size]
        batch = first_replica(on_device.take(rows[None]))
        weight = torch.ones(len(rows), device=device)
        output = functional_call(network, state, (batch, None, weight)).cpu().numpy()
        outputs += by_row(output, batch, sites)
    raw = np.concatenate([outputs[i] for i in np.argsort(order, kind="stable")])
    return raw.astype(np.float64) * fitted.target_scale + fitted.target_shift


class _Stack:
    """One stack of replicas with equally many steps an epoch, trained side by side."""

    def __init__(
        self,
        build: Callable[[], nn.Module],
        features: DeviceFeatures,
        targets: Targets,
        members: list[ReplicaRows],
        loss: Loss,
        recipe: Recipe,
    ) -> None:
        self.features, self.members, self.loss, self.recipe = features, members, loss, recipe
        self.device, self.targets = features.device, targets
        networks = [initialised(build, m.seed).to(self.device) for m in members]
        for network, member in zip(networks, members, strict=True):
            if callable(fit_scaling := getattr(network, "fit_scaling", None)):
                given: list[Any] = [first_replica(features.take(member.train[None]))]
                if getattr(network, "needs_targets", False):
                    given.append(torch.tensor(targets.rows(member.train), device=self.device))
                fit_scaling(*given)
        self.network = networks[0]
        self.parameters = _stacked([dict(n.named_parameters()) for n in networks])
        for value in self.parameters.values():
            value.requires_grad_(True)
        self.buffers = _stacked([dict(n.named_buffers()) for n in networks])
        self.seeds = torch.tensor([signed(m.seed) for m in members], dtype=torch.int32)
        self.seeds = self.seeds.to(self.device)
        self._prepare_targets()

    def _prepare_targets(self) -> None:
        """Mask what is not learned; scale by each replica's train rows."""
        n_tasks = self.targets.n_tasks
        learned = torch.zeros(len(self.members), n_tasks, device=self.device)
        shift = torch.zeros_like(learned)
        scale = torch.ones_like(learned)
        for r, member in enumerate(self.members):
            learned[r, list(range(n_tasks) if member.tasks is None else member.tasks)] = 1.0
            if self.loss.scaled:
                own = self.targets.rows(member.train)
                shift[r] = torch.as_tensor(np.nan_to_num(by_column(np.nanmean, own)))
                spread = np.nan_to_num(by_column(np.nanstd, own))
                scale[r] = torch.as_tensor(np.where(spread > 0, spread, 1.0))
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
        valid = padded_rows([m.valid for m in self.members], self.device)
        # Without a measured valid target there is nothing to stop by: the last epoch counts.
        blind = self._measured_targets(valid).flatten(1).sum(1) == 0
        blind |= torch.tensor([m.epochs is not None for m in self.members], device=self.device)
        last = torch.tensor([m.epochs or self.recipe.epochs for m in self.members])
        last = last.to(self.device)
        for epoch in range(1, self.recipe.epochs + 1):
            self._train_epoch(optimizer, epoch)
            losses = self._evaluate(valid)
            curve.append(losses)
            better = ((losses < best) | blind) & ~stopped
            best = torch.where(better, losses, best)
            best_epoch = torch.where(better, epoch, best_epoch)
            self._keep(kept, better)
            stopped |= (epoch - best_epoch >= self.recipe.patience) | (epoch >= last)
            if bool(stopped.all()):
                break
        return self._results(kept, best_epoch, torch.stack(curve, dim=1))

    def _train_epoch(self, optimizer: torch.optim.Optimizer, epoch: int) -> None:
        """Take one pass over every replica's own shuffled train rows."""
        self.network.train()
        orders = [self._order(m, epoch) for m in self.members]
        epoch_rows = padded_rows(orders, self.device, multiple=self.recipe.batch_size)
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

    def _losses(self, rows: Rows, keys: Tensor | None) -> Tensor:
        """Return each replica's masked mean loss over its rows: (replicas,)."""
        batch = self.features.take(rows.host)
        target, measured = self.targets.take(rows.host)
        target = (target - _spread(self.shift, target)) / _spread(self.scale, target)
        output = self._forward(batch, keys, rows.weight)
        return self.loss.total(output, target, self._weights(measured, rows))

    def _weights(self, measured: Tensor, rows: Rows) -> Tensor:
        weight = rows.weight.reshape(*rows.weight.shape, *[1] * (measured.dim() - 2))
        return measured * _spread(self.learned, measured) * weight

    def _measured_targets(self, rows: Rows) -> Tensor:
        """Return the weight of each target in the loss: (replicas, batch, …, tasks)."""
        return self._weights(self.targets.take(rows.host)[1], rows)

    def _order(self, member: ReplicaRows, epoch: int) -> np.ndarray:
        """Return the order in which an epoch takes a replica's train rows."""
        order = shuffled(member.train, member.seed, epoch)
        lengths = self.features.lengths
        if not self.recipe.bucketed or lengths is None:
            return order
        rng = np.random.default_rng([member.seed, epoch, 1])
        return bucketed(order, lengths, self.recipe.batch_size, rng)

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
    def _evaluate(self, rows: Rows) -> Tensor:
        """Return each replica's loss over its valid rows, averaged over measured targets."""
        self.network.eval()
        total = torch.zeros(len(self.members), device=self.device)
        counted = torch.zeros_like(total)
        block = self.features.block_rows
        for start in range(0, len(rows), block):
            part = rows.part(start, start + block)
            size = self._measured_targets(part).flatten(1).sum(1)
            total += self._losses(part, None) * size
            counted += size
        return total / counted.clamp(min=1.0)

    @property
    def n_parameters(self) -> int:
        """Parameters of one replica."""
        return sum(p.numel() for p in self.network.parameters())

    def activation_bytes(self) -> int:
        """Measure what one training step of these replicas keeps for its backward pass."""
        kept: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        orders = [shuffled(m.train, m.seed, 1)[: self.recipe.batch_size] for m in self.members]
        rows = padded_rows(orders, self.device)
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
            shift, scale = self._to_targets(r)
            results.append(
                FittedReplica(
                    state={name: value[r].cpu().clone() for name, value in kept.items()},
                    target_shift=shift,
                    target_scale=scale,
                    best_epoch=int(best_epoch[r]),
                    valid_losses=curve[r].cpu().tolist(),
                )
            )
        return results

    def _to_targets(self, r: int) -> tuple[np.ndarray, np.ndarray]:
        """Return what to add to a replica's outputs after a multiplication, and by what, (tasks,).

        One number each where the loss takes targets as they are.
        """
        y = self.targets
        if not self.loss.scaled:
            return np.zeros(1), y.unit[:1]
        shift, scale = (part[r].cpu().numpy() for part in (self.shift, self.scale))
        return y.origin + y.unit * shift, y.unit * scale


def initialised(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Build a network whose initial weights depend on the seed alone.

    The global random state is the same afterwards.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def _stacked(states: list[State]) -> State:
    return {name: torch.stack([s[name].detach() for s in states]) for name in states[0]}


def _spread(by_task: Tensor, like: Tensor) -> Tensor:
    """Give (replicas, tasks) the axes of ``like`` (replicas, …, tasks)."""
    return by_task.reshape(len(by_task), *[1] * (like.dim() - 2), by_task.shape[-1])


def _check_rows(replica: ReplicaRows, targets: Targets) -> None:
    if len(replica.train) == 0:
        raise ValueError("a replica has no train rows; check the split")
    tasks = list(range(targets.n_tasks) if replica.tasks is None else replica.tasks)
    if not np.isfinite(targets.rows(replica.train)[:, tasks]).any():
        raise ValueError(
            f"no target of tasks {tasks} is measured in the {len(replica.train)} train rows; "
            "drop the task or change the split"
        )
