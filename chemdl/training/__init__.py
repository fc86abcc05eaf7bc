"""The one training loop, and what it takes: batches, losses, random numbers, stacks of replicas."""

from chemdl.training.loop import (
    DivergedError,
    FittedReplica,
    Recipe,
    ReplicaRows,
    initialised,
    predict,
    train,
)

__all__ = [
    "DivergedError",
    "FittedReplica",
    "Recipe",
    "ReplicaRows",
    "initialised",
    "predict",
    "train",
]
