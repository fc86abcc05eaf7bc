"""The estimator around a network: scikit-learn's interface over raw inputs."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted
from torch import nn

from chemdl.data.rows import row_numbers
from chemdl.learn.classification import BinaryClassifier, logistic
from chemdl.learn.contract import by_task, check_labels, check_lengths, check_parameters
from chemdl.learn.ragged import Ragged
from chemdl.learn.training import FittedReplica, Recipe, ReplicaRows, initialised, predict, train
from chemdl.settings import resolve_device, spawn

Feature = np.ndarray | Ragged


@dataclass(frozen=True)
class Trained:
    """Estimators that one stack trained: for each its position, wall seconds and stack size."""

    position: int
    estimator: NeuralEstimator
    seconds: float
    stack_size: int


@dataclass(kw_only=True, eq=False, repr=False)
class NeuralEstimator(Recipe, BaseEstimator):
    """What every net shares; a net is a subclass with :meth:`featurize` and :attr:`network`.

    Parameters are fields; those of the training recipe are among them, and a net gives them
    defaults of its own. ``fit`` takes raw inputs (n,) and targets (n,) or (n, tasks) with NaN where
    nothing was measured; ``valid`` names the rows that stop the training (10 % drawn by seed when
    left out).
    """

    kind: ClassVar[str] = "deep"
    stackable: ClassVar[bool] = True
    search_space: ClassVar[dict[str, list[Any]]] = {}
    # Made by the decorator that registers a net, as far as it learns such targets.
    Classifier: ClassVar[Any]
    Regressor: ClassVar[Any]
    Labeller: ClassVar[Any]
    # The class of the network, of a net that leaves :meth:`build` as it is.
    network: ClassVar[type[nn.Module]]

    refit: bool = False
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Turn n raw inputs into arrays of n rows each, or ragged rows."""
        raise NotImplementedError

    def sizes(self, features: dict[str, Feature], n_tasks: int) -> dict[str, Any]:
        """Return the network's arguments that are no parameters of the net, by name."""
        return {"n_tasks": n_tasks}

    def build(self, features: dict[str, Feature], n_tasks: int) -> nn.Module:
        """Make the network for features of these shapes.

        Its arguments are :meth:`sizes` and the parameters of the net, each under its own name.
        """
        given = {**self.get_params(deep=False), **self.sizes(features, n_tasks)}
        wanted = inspect.signature(self.network).parameters
        return self.network(**{name: given[name] for name in wanted if name in given})

    def replica_rows(
        self,
        targets: Any,
        train_rows: np.ndarray,
        valid_rows: np.ndarray,
        seed: int,
    ) -> list[ReplicaRows]:
        """Return what the networks of one replica learn from.

        One network; or an ensemble, of a net whose parameter ``networks`` asks for several: each is
        trained from a seed of its own, and their outputs are averaged.
        """
        networks = getattr(self, "networks", 1)
        seeds = [seed] if networks == 1 else [spawn(seed, i) for i in range(networks)]
        return [ReplicaRows(train_rows, valid_rows, s) for s in seeds]

    def fit(
        self, X: Sequence[Any], y: np.ndarray | Ragged, valid: np.ndarray | None = None
    ) -> Self:
        """Train on the rows that are not in ``valid``; stop by those that are.

        ``valid`` is row numbers or a boolean mask over all rows.

        Raises
        ------
        ValueError
            For a parameter, rows or targets that the net cannot take; nothing is trained then.
        """
        targets = y if isinstance(y, Ragged) else by_task(y)
        rows = np.arange(len(targets))
        if valid is None:
            order = np.random.default_rng(spawn(self.seed, "valid")).permutation(rows)
            valid = np.sort(order[: len(rows) // 10])
        valid = row_numbers(valid, len(rows), "valid", distinct=True)
        train_rows = np.setdiff1d(rows, valid)
        for stack in self.fit_replicas(X, targets, [(train_rows, valid)], [self.seed]):
            for trained in stack:
                self.__dict__.update(trained.estimator.__dict__)
        return self

    def fit_replicas(
        self,
        X: Sequence[Any],
        y: np.ndarray | Ragged,
        rows: Sequence[tuple[np.ndarray, np.ndarray]],
        seeds: Sequence[int],
        stack: bool | None = None,
    ) -> Iterator[list[Trained]]:
        """Train one clone per (train rows, valid rows) and seed; yield replicas as they end."""
        targets = y if isinstance(y, Ragged) else by_task(y)
        check_parameters(self)
        check_lengths(X, targets)
        self.check_targets(targets)
        count = len(targets)
        rows = [
            (row_numbers(train_rows, count, "train", distinct=True),
             row_numbers(valid_rows, count, "valid", distinct=True))
            for train_rows, valid_rows in rows
        ]  # fmt: skip
        # A clone, so that what an earlier fit has seen sets no bounds for this one.
        features = clone(self).featurize(X)
        members = [
            (position, member)
            for position, ((train_rows, valid_rows), seed) in enumerate(
                zip(rows, seeds, strict=True)
            )
            for member in self.replica_rows(targets, train_rows, valid_rows, seed)
        ]
        # The members of each replica that has not ended, and what of them is fitted.
        waiting: dict[int, list[int]] = {}
        for i, (position, _) in enumerate(members):
            waiting.setdefault(position, []).append(i)
        fitted: dict[int, FittedReplica] = {}
        own = [member for _, member in members]
        for stopped in self._trained_stacks(features, targets, own, stack):
            again = self._refitted(features, targets, own, stopped) if self.refit else stopped
            fitted.update(again)
            done = [p for p, parts in waiting.items() if fitted.keys() >= set(parts)]
            yield [
                self._trained(
                    p, [fitted.pop(i) for i in waiting.pop(p)], features, targets, seeds[p]
                )
                for p in done
            ]

    def _trained_stacks(
        self,
        features: dict[str, Feature],
        targets: np.ndarray | Ragged,
        members: Sequence[ReplicaRows],
        stack: bool | None,
    ) -> Iterator[list[tuple[int, FittedReplica]]]:
        return train(
            lambda: self.build(features, targets.shape[1]),
            features,
            targets,
            members,
            loss=self._loss,
            recipe=self,
            device=resolve_device(self.device),
            stack=stack,
        )

    def _refitted(
        self,
        features: dict[str, Feature],
        targets: np.ndarray | Ragged,
        members: Sequence[ReplicaRows],
        stopped: Sequence[tuple[int, FittedReplica]],
    ) -> list[tuple[int, FittedReplica]]:
        """Train networks that early stopping has ended anew, on train and valid rows together.

        Each takes as many epochs as were best for it, from the same seed.
        """
        again = []
        for i, fitted in stopped:
            rows = np.union1d(members[i].train, members[i].valid)
            again.append(replace(members[i], train=rows, valid=rows[:1], epochs=fitted.best_epoch))
        done = []
        for finished in self._trained_stacks(features, targets, again, None):
            for place, fitted in finished:
                i, first = stopped[place]
                fitted.valid_losses = first.valid_losses
                fitted.seconds += first.seconds
                done.append((i, fitted))
        return done

    def _trained(
        self,
        position: int,
        members: list[FittedReplica],
        features: dict[str, Feature],
        targets: np.ndarray | Ragged,
        seed: int,
    ) -> Trained:
        estimator = clone(self).set_params(seed=seed)
        estimator.members_ = members
        estimator.n_tasks_ = targets.shape[1]
        estimator.feature_shapes_ = {k: v[slice(1)] for k, v in features.items()}
        estimator._after_fit()
        seconds = sum(member.seconds for member in members)
        return Trained(position, estimator, seconds, members[0].stack_size)

    def outputs(self, X: Sequence[Any]) -> np.ndarray:
        """Return the networks' outputs (n, tasks): logits, or predictions in target units."""
        check_is_fitted(self, "members_")
        features = self.featurize(X)
        network, device = self._network(), resolve_device(self.device)
        return self.combine([predict(network, m, features, device=device) for m in self.members_])

    def combine(self, outputs: list[np.ndarray]) -> np.ndarray:
        """Join the outputs of the replica's networks: their mean unless overridden."""
        return np.mean(outputs, axis=0)

    @property
    def n_parameters_(self) -> int:
        """Trainable parameters of all networks of this replica."""
        check_is_fitted(self, "members_")
        return len(self.members_) * sum(p.numel() for p in self._network().parameters())

    def _network(self) -> nn.Module:
        """Return the network without its fitted state, which a prediction brings."""
        return initialised(lambda: self.build(self.feature_shapes_, self.n_tasks_), 0)

    _loss: ClassVar[Any] = "mse"

    def check_targets(self, targets: np.ndarray | Ragged) -> None:
        """Refuse targets that the loss cannot take, before hours of training."""
        values = targets.values if isinstance(targets, Ragged) else targets
        check_labels(values, classes=False)

    def _after_fit(self) -> None:
        """Set what scikit-learn's mixins expect."""


class NeuralClassifier(BinaryClassifier, NeuralEstimator):
    """Binary classification of one or several tasks from logits."""

    _loss: ClassVar[Any] = "bce"

    def check_targets(self, targets: np.ndarray | Ragged) -> None:
        assert not isinstance(targets, Ragged), "one line of targets a molecule"
        check_labels(targets, classes=True)

    def _after_fit(self) -> None:
        self.classes_ = np.array([0, 1])

    def probabilities(self, X: Sequence[Any]) -> np.ndarray:
        """Return the probability of the positive class: (n, tasks)."""
        return logistic(self.outputs(X))


class NeuralRegressor(RegressorMixin, NeuralEstimator):
    """Regression of one or several tasks in the targets' own units."""

    def predict(self, X: Sequence[Any]) -> np.ndarray:
        """Return values: (n,) for one task, (n, tasks) else."""
        values = self.outputs(X)
        return values[:, 0] if self.n_tasks_ == 1 else values
