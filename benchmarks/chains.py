"""Nets over protein chains: residues a second, bucketed or not, beside a packed GRU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

import chemdl
from benchmarks.options import Options
from benchmarks.timing import medians
from chemdl.evidence.fitting import by_row
from chemdl.learn.models import make_net
from chemdl.proteins.residues import KINDS, chain_residues

NETS = ("window_net", "two_stage_net", "deep_cnn", "deepcnf", "gru", "dilated_cnn")
CHAINS = 128


def run(options: Options) -> list[dict[str, Any]]:
    """Return residues per second of each net, in training and in prediction."""
    data = chemdl.load("proteinnet").subsample(train=CHAINS, test=1)
    targets, residues = by_row(data), len(data.targets)
    rows = []
    for name in NETS:
        seconds = medians(_runs(name, data.inputs, targets, options), rounds=3)
        speeds = {f"{what}, residues/s": residues / value for what, value in seconds.items()}
        rows.append({"net": name, "device": options.device, **speeds})
    return [*rows, _packed(data.inputs, residues, options)]


def _runs(
    name: str, inputs: np.ndarray, targets: Any, options: Options
) -> dict[str, Callable[[], Any]]:
    """Return what is timed: an epoch in buckets, one without, a prediction of all chains."""
    nets = {
        bucketed: make_net(
            name, "labelling", epochs=1, batch_size=16, bucketed=bucketed, device=options.device
        )
        for bucketed in (True, False)
    }
    valid = np.arange(2)
    fitted = nets[True].fit(inputs, targets, valid=valid)
    return {
        "bucketed": lambda: nets[True].fit(inputs, targets, valid=valid),
        "as they come": lambda: nets[False].fit(inputs, targets, valid=valid),
        "prediction": lambda: fitted.predict(inputs),
    }


def _packed(inputs: np.ndarray, residues: int, options: Options) -> dict[str, Any]:
    """Measure PyTorch's own recurrence of the same size over packed rows, the peer of ``gru``."""
    width, chains = 64, chain_residues(inputs)
    rows = [
        torch.nn.functional.one_hot(
            torch.tensor(chains[slice(i, i + 1)].values[:, 0].astype(np.int64)), KINDS
        ).float()
        for i in np.argsort(-np.diff(chains.offsets))
    ]
    net = nn.GRU(KINDS, width, num_layers=2, bidirectional=True, batch_first=True)
    net = net.to(options.device)

    def batches() -> Iterator[Any]:
        for start in range(0, len(rows), 16):
            part = [row.to(options.device) for row in rows[start : start + 16]]
            yield nn.utils.rnn.pack_sequence(part)

    def train() -> None:
        for part in batches():
            net(part)[0].data.square().mean().backward()

    @torch.no_grad()
    def predict() -> None:
        for part in batches():
            net(part)

    seconds = medians({"bucketed": train, "prediction": predict}, rounds=3)
    speeds = {f"{what}, residues/s": residues / value for what, value in seconds.items()}
    return {"net": "torch.nn.GRU, packed", "device": options.device, **speeds}
