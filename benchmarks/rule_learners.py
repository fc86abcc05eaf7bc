"""Four small learners, each fitted to many train sets of one benchmark at a time.

Every function takes bits (n, d), targets (n,), the train rows of F fits, and new rows (m, d); it
returns F predictions of the benchmark's own rows, (F, n), and of the new rows, (F, m).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bits = NDArray[np.float32]
Trains = Sequence[NDArray[np.int64]]
Learner = Callable[[Bits, Floats, Trains, Bits, int], tuple[Floats, Floats]]

PENALTY = 10.0
NEIGHBOURS = 5
# So many of the most similar rows hold five train rows in all but a few of 10,000 cases.
_NEAREST = 30
TREES = 50
HIDDEN, EPOCHS, BATCH, RATE = 32, 20, 120, 3e-3


def ridge(x: Bits, y: Floats, trains: Trains, new: Bits, seed: int) -> tuple[Floats, Floats]:
    """Ridge regression; on classes 0 and 1 the least-squares classifier."""
    from scipy.linalg import solve

    weights = np.empty((x.shape[1], len(trains)), np.float32)
    base = np.empty(len(trains))
    for fit, train in enumerate(trains):
        mean, level = x[train].mean(axis=0), y[train].mean()
        centred, rest = x[train] - mean, (y[train] - level).astype(np.float32)
        is_wide = x.shape[1] > len(train)
        inner = centred @ centred.T if is_wide else centred.T @ centred
        inner[np.diag_indices_from(inner)] += PENALTY
        solved = solve(inner, rest if is_wide else centred.T @ rest, assume_a="pos")
        weights[:, fit] = centred.T @ solved if is_wide else solved
        base[fit] = level - mean @ weights[:, fit]
    return (x @ weights + base).T, (new @ weights + base).T


def neighbours(x: Bits, y: Floats, trains: Trains, new: Bits, seed: int) -> tuple[Floats, Floats]:
    """Mean of the five most similar train rows, by Tanimoto."""
    return _nearest(x, y, trains, x), _nearest(x, y, trains, new)


def _nearest(x: Bits, y: Floats, trains: Trains, queries: Bits) -> Floats:
    common = queries @ x.T
    similar = common / np.maximum(x.sum(axis=1) + queries.sum(axis=1)[:, None] - common, 1)
    some = np.argpartition(-similar, _NEAREST, axis=1)[:, :_NEAREST]
    order = np.argsort(-np.take_along_axis(similar, some, axis=1), axis=1, kind="stable")
    nearest = np.take_along_axis(some, order, axis=1)
    out = np.empty((len(trains), len(queries)))
    for fit, train in enumerate(trains):
        known = np.zeros(len(x), dtype=bool)
        known[train] = True
        usable = known[nearest]
        usable &= np.cumsum(usable, axis=1) <= NEIGHBOURS
        out[fit] = (usable * y[nearest]).sum(axis=1) / np.maximum(usable.sum(axis=1), 1)
    return out


def forest(x: Bits, y: Floats, trains: Trains, new: Bits, seed: int) -> tuple[Floats, Floats]:
    """Random forest of fifty trees; every fit has its own seed."""
    from scipy.sparse import csc_matrix, csr_matrix
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    classes = bool(np.isin(y, (0, 1)).all())
    kind = RandomForestClassifier if classes else RandomForestRegressor
    queries = csr_matrix(np.concatenate([x, new]))
    out = np.empty((len(trains), queries.shape[0]))
    for fit, train in enumerate(trains):
        # Whole numbers below 2**32, as scikit-learn asks for.
        model = kind(TREES, max_features="sqrt", random_state=(seed + fit) % 2**32)
        model.fit(csc_matrix(x[train]), y[train])
        out[fit] = model.predict_proba(queries)[:, 1] if classes else model.predict(queries)
    return out[:, : len(x)], out[:, len(x) :]


def net(x: Bits, y: Floats, trains: Trains, new: Bits, seed: int) -> tuple[Floats, Floats]:
    """One hidden layer, Adam on the squared error, all fits in one stack; each has its own seed."""
    import torch

    draw = np.random.default_rng(seed)
    fits, width = len(trains), x.shape[1]
    size = min(len(train) for train in trains)
    level = np.array([y[train].mean() for train in trains])
    spread = np.array([y[train].std() for train in trains])
    features = torch.from_numpy(np.ascontiguousarray(x))
    targets = torch.from_numpy(((y[None] - level[:, None]) / spread[:, None]).astype(np.float32))

    def weights(*shape: int) -> torch.Tensor:
        scale = np.sqrt(2 / shape[1]) if shape[1] > 1 else 0.0
        start = (scale * draw.standard_normal(shape)).astype(np.float32)
        return torch.from_numpy(start).requires_grad_()

    layers = [weights(fits, width, HIDDEN), weights(fits, 1, HIDDEN),
              weights(fits, HIDDEN, 1), weights(fits, 1, 1)]  # fmt: skip

    def forward(rows: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(torch.baddbmm(layers[1], rows, layers[0]))
        return torch.baddbmm(layers[3], hidden, layers[2])[..., 0]

    optimiser = torch.optim.Adam(layers, RATE)
    which = torch.arange(fits)[:, None]
    for _ in range(EPOCHS):
        order = np.stack([draw.permutation(train)[:size] for train in trains])
        for start in range(0, size, BATCH):
            rows = torch.from_numpy(order[:, start : start + BATCH])
            optimiser.zero_grad()
            errors = forward(features[rows]) - targets[which, rows]
            (errors**2).mean(dim=1).sum().backward()
            optimiser.step()
    found = []
    with torch.no_grad():
        for queries in (features, torch.from_numpy(np.ascontiguousarray(new))):
            values = forward(queries.expand(fits, *queries.shape)).numpy().astype(np.float64)
            found.append(values * spread[:, None] + level[:, None])
    return found[0], found[1]


LEARNERS: dict[str, Learner] = {
    "ridge": ridge,
    "neighbours": neighbours,
    "forest": forest,
    "net": net,
}
