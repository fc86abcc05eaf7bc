"""Ten replicas stacked against ten in turn, small nets and the pyramid."""

from __future__ import annotations

from typing import Any

import numpy as np

import chemdl
from benchmarks.options import Options
from benchmarks.timing import medians
from chemdl.learn.training import Recipe, ReplicaRows, train
from chemdl.molecules.fingerprints import ECFP
from chemdl.molecules.nets.multitask import FullyConnected

SHAPES: dict[str, tuple[int, ...]] = {
    "16": (16,),
    "64": (64,),
    "256": (256,),
    "2000-100": (2000, 100),
}
REPLICAS = 10


def run(options: Options) -> list[dict[str, Any]]:
    """Return seconds per replica and epoch, in turn and stacked, for nets of several sizes."""
    data = chemdl.load("tox21").sample(2000, seed=0)
    features = {"fingerprint": ECFP().transform(data.inputs)}
    rows = np.arange(len(data))
    replicas = [ReplicaRows(rows[:1600], rows[1600:], seed) for seed in range(REPLICAS)]
    found = []
    for name, hidden in SHAPES.items():
        epochs = 1 if len(hidden) > 1 else 5

        def work(stack: bool, hidden: tuple[int, ...] = hidden, epochs: int = epochs) -> None:
            stacks = train(
                lambda: FullyConnected(2048, 12, hidden, [0.25] * (len(hidden) + 1)),
                features,
                data.targets,
                replicas,
                loss="bce",
                recipe=Recipe(epochs=epochs, patience=epochs),
                device=options.device,
                stack=stack,
            )
            for _ in stacks:
                pass

        sides = {"in turn": lambda: work(False), "stacked": lambda: work(True)}
        seconds = medians(sides, rounds=3)
        each = {side: value / REPLICAS / epochs for side, value in seconds.items()}
        gain = each["in turn"] / each["stacked"]
        found.append({"hidden": name, "device": options.device, **each, "gain by stacking": gain})
    return found
