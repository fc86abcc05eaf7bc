"""Training rates of nets over materials, beside the same layers in PyTorch Geometric and PyTorch.

One epoch over the same crystals, in batches of one size, graphs built before: our crystal net
beside PyTorch Geometric's ``CGConv`` of equal width and depth under its own loader; our attention
over elements beside PyTorch's ``TransformerEncoder`` of equal width, heads and blocks over padded
sets. From the rate follows what 100,000 materials cost an epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import chemdl
from benchmarks.options import Options
from benchmarks.timing import medians, peer
from chemdl.materials.compositions import element_sets
from chemdl.materials.crystals import crystal_graphs
from chemdl.materials.nets.attention import AttentionNet
from chemdl.materials.nets.crystal_net import CrystalNet

ROWS, QUICK_ROWS, LARGE = 1500, 64, 100_000
WIDTH, DEPTH, HEADS, BATCH, RATE = 64, 3, 4, 64, 1e-3
_GAUSSIANS = 21


def run(options: Options) -> list[dict[str, Any]]:
    """Return materials per second of an epoch for each side, and the time of 100,000."""
    data = chemdl.load("flla")
    rows = np.arange(QUICK_ROWS if options.quick else ROWS)
    inputs, y = data.inputs[rows], data.targets[rows]
    attention = AttentionNet.Regressor(width=WIDTH, blocks=DEPTH, heads=HEADS, **_ours(options))
    sides: dict[str, Callable[[], Any]] = {
        "crystal net, chemdl": lambda: _epoch(
            CrystalNet.Regressor(width=WIDTH, depth=DEPTH, **_ours(options)), inputs, y
        ),
        "attention, chemdl": lambda: _epoch(attention, inputs, y),
        "attention, PyTorch": _transformer(inputs, y, options.device),
    }
    if peer("torch_geometric"):
        sides["crystal net, PyTorch Geometric"] = _geometric(inputs, y, options.device)
    seconds = medians(sides, rounds=3)
    return [
        {
            "net": side.partition(", ")[0],
            "side": side.partition(", ")[2],
            "materials/s": len(rows) / taken,
            "minutes for 100,000": LARGE * taken / len(rows) / 60,
            "of ours": taken / seconds[f"{side.partition(', ')[0]}, chemdl"],
        }
        for side, taken in seconds.items()
    ]


def _ours(options: Options) -> dict[str, Any]:
    return {"epochs": 1, "batch_size": BATCH, "dropout": 0.0, "device": options.device}


def _epoch(net: Any, inputs: np.ndarray, y: np.ndarray) -> None:
    rows = np.arange(len(inputs))
    # A few valid rows, as the sides beside it have none.
    list(net.fit_replicas(inputs, y, [(rows, rows[:8])], [0]))


def _transformer(inputs: np.ndarray, y: np.ndarray, device: str) -> Callable[[], None]:
    numbers, shares = (torch.as_tensor(part).to(device) for part in element_sets(inputs.tolist()))
    target = torch.as_tensor(y, dtype=torch.float32).to(device)
    block = nn.TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, 0.0, batch_first=True)
    parts = nn.ModuleList(
        [
            nn.Embedding(104, WIDTH),
            nn.TransformerEncoder(block, DEPTH, enable_nested_tensor=False),
            nn.Linear(WIDTH, 1),
        ]
    ).to(device)

    def predicted(rows: Tensor) -> Tensor:
        h = parts[0](numbers[rows]) * shares[rows][..., None]
        h = parts[1](h, src_key_padding_mask=numbers[rows] == 0)
        return parts[2]((h * shares[rows][..., None]).sum(1))

    def epoch() -> None:
        optimizer = torch.optim.Adam(parts.parameters(), lr=RATE)
        for rows in torch.randperm(len(target)).split(BATCH):
            optimizer.zero_grad()
            nn.functional.l1_loss(predicted(rows), target[rows]).backward()
            optimizer.step()

    return epoch


def _geometric(inputs: np.ndarray, y: np.ndarray, device: str) -> Callable[[], None]:
    from torch_geometric.data import Data
    from torch_geometric.loader import DataLoader

    graphs = crystal_graphs(inputs.tolist())
    items = []
    for row, target in enumerate(y[:, 0]):
        own = slice(row, row + 1)
        edges = torch.tensor(graphs["edges"][own].values)
        distances = edges[:, :1] - torch.linspace(0, 8, _GAUSSIANS)
        items.append(
            Data(
                x=torch.tensor(graphs["sites"][own].values.astype(np.int64)),
                edge_index=edges[:, [2, 1]].long().T.contiguous(),
                edge_attr=torch.exp(-((distances / 0.4) ** 2)),
                y=torch.tensor([[target]], dtype=torch.float32),
            )
        )
    loader = DataLoader(items, batch_size=BATCH, shuffle=True)
    network = _CGNet().to(device)

    def epoch() -> None:
        optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
        for batch in loader:
            optimizer.zero_grad()
            batch = batch.to(device)
            nn.functional.l1_loss(network(batch), batch.y).backward()
            optimizer.step()

    return epoch


class _CGNet(nn.Module):
    """Three ``CGConv`` with batch normalisation, the mean over sites, one hidden layer."""

    def __init__(self) -> None:
        super().__init__()
        from torch_geometric.nn import CGConv

        self.own = nn.Embedding(104, WIDTH)
        self.convolutions = nn.ModuleList(
            CGConv(WIDTH, _GAUSSIANS, batch_norm=True) for _ in range(DEPTH)
        )
        self.hidden, self.output = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, 1)

    def forward(self, batch: Any) -> Tensor:
        from torch_geometric.nn import global_mean_pool

        h = self.own(batch.x)
        for convolution in self.convolutions:
            h = nn.functional.softplus(convolution(h, batch.edge_index, batch.edge_attr))
        return self.output(torch.relu(self.hidden(global_mean_pool(h, batch.batch))))
