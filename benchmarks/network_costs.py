"""What each network over molecules costs at three sizes of data set, each in a process of its own.

The molecules are those of lipophilicity, each written as random SMILES, so that hardly two rows are
the same text and nothing is found in a cache. What a network does not end within the limit is said
to be over it; nothing is extrapolated.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.apart import PeakMemory, measured_apart
from benchmarks.molecules import random_smiles
from benchmarks.options import Options
from chemdl.learn.models import make_net
from chemdl.learn.training import FittedReplica, ReplicaRows, predict, train

NETS = (
    "neural_fingerprint", "dmpnn", "weave", "ugrnn", "smiles_cnn", "smiles_gru", "picture_cnn"
)  # fmt: skip
SIZES, QUICK_SIZES = (1_000, 10_000, 100_000), (100,)
# What is measured, in this order.
MEASURED = ("featurisation s", "epoch s", "prediction s", "peak MB")
OVER = "over the limit"


def run(options: Options) -> list[dict[str, Any]]:
    """Return for each network and size the seconds of each part and the peak memory."""
    sizes = sorted(options.sizes or (QUICK_SIZES if options.quick else SIZES))
    smiles, targets = random_smiles(sizes[-1])
    rows = []
    names = options.nets or NETS
    for name in names:
        # A misspelt one is told at once, not after an hour.
        make_net(name, "regression")
    for name in names:
        within = True
        for size in sizes:
            costs: dict[str, Any] = {}
            # What a smaller set does not end in time a larger one does not either.
            if within:
                costs, within = _cost(name, smiles[:size], targets[:size], options)
            cells = {key: costs.get(key, OVER) for key in MEASURED}
            rows.append({"net": name, "molecules": size, "device": options.device, **cells})
    return rows


def _cost(
    name: str, smiles: Sequence[str], targets: np.ndarray, options: Options
) -> tuple[dict[str, float], bool]:
    # Features that another run has left on disk would cost nothing.
    with tempfile.TemporaryDirectory() as cache:
        return measured_apart(
            _parts, name, smiles, targets, options.device, cache, limit=options.limit
        )


def _parts(
    name: str, smiles: Sequence[str], targets: np.ndarray, device: str, cache: str
) -> Iterator[dict[str, float]]:
    """Yield when ready, then the cost of each part as it ends."""
    os.environ["CHEMDL_CACHE"] = cache
    model = make_net(name, "regression", epochs=1, device=device)
    warm_up = [*"CNOF", "c1ccccc1"] * 10
    _epoch(model, model.featurize(warm_up), np.arange(len(warm_up), dtype=float)[:, None])
    memory = PeakMemory(device)
    yield {}
    begun = time.perf_counter()
    features = model.featurize(smiles)
    yield {"featurisation s": time.perf_counter() - begun}
    begun = time.perf_counter()
    fitted = _epoch(model, features, targets)
    yield {"epoch s": time.perf_counter() - begun}
    begun = time.perf_counter()
    predict(model.build(features, 1), fitted, features, device=device)
    yield {"prediction s": time.perf_counter() - begun}
    yield {"peak MB": memory.megabytes()}


def _epoch(model: Any, features: dict[str, Any], targets: np.ndarray) -> FittedReplica:
    """Train one epoch on all rows; a single one to stop by leaves the time to training."""
    rows = np.arange(len(targets))
    ((trained,),) = train(
        lambda: model.build(features, 1),
        features,
        targets,
        [ReplicaRows(rows, rows[:1], seed=0)],
        loss="mse",
        recipe=model,
        device=model.device,
    )
    return trained[1]
