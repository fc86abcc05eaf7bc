"""The fully connected net over fingerprints: multitask, single-task, and ensembles of it.

One hidden representation serves all tasks (Dahl et al. 2014; Ma et al. 2015; Ramsundar et al.
2015): h_0 = x, h_l = f(W_l h_{l-1} + b_l) with dropout, and one output unit per task.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from chemdl.learn.estimator import Feature, NeuralEstimator
from chemdl.learn.layers import BatchNorm, ColumnScale, Dropout, deviation_or_one
from chemdl.learn.models import net
from chemdl.learn.noise import Noise
from chemdl.learn.training import ReplicaRows
from chemdl.molecules.fingerprints import ECFP
from chemdl.molecules.tabulated import read_tabulated
from chemdl.registry import UnknownNameError
from chemdl.settings import spawn

# Log counts, 4000-2000-1000-1000 ReLU, dropout 0/25/25/25/10 %, batches of 128, 30 epochs of
# stochastic gradient descent at 0.05 with momentum 0.9 and a weight cost of 1e-4 (Ma et al. 2015).
# The authors' code (Merck's DeepNeuralNet-QSAR) takes a tenth (1 - momentum) of each gradient of
# half the squared error: with whole squares and gradients 0.05 is 0.0025.
MA_2015: dict[str, Any] = {
    "family": "net on vectors",
    "reads": "ECFP4 counts",
    "paper": "Ma et al. 2015, doi:10.1021/ci500747n",
    "inputs": ("smiles", "descriptors"),
    "hidden": (4000, 2000, 1000, 1000),
    "dropout": (0.0, 0.25, 0.25, 0.25, 0.1),
    "counts": True,
    "optimizer": "sgd",
    "learning_rate": 0.0025,
    "weight_decay": 2e-4,
    "epochs": 30,
}
# Hidden biases start at 1, as in the authors' own library, DeepChem.
PYRAMID: dict[str, Any] = {
    "family": "net on vectors",
    "reads": "ECFP4 bits",
    "paper": "Ramsundar et al. 2015, arXiv:1502.02072",
    "inputs": ("smiles", "descriptors"),
    "initial_bias": 1.0,
}
Activation = Literal["relu", "sigmoid"]
_ACTIVATIONS = {"relu": torch.relu, "sigmoid": torch.sigmoid}


class FullyConnected(nn.Module):
    """Dense layers over fingerprints: x (batch, features) → (batch, tasks).

    With ``packed`` x holds eight features in a byte, (batch, features / 8), and is unpacked here,
    so that a large set takes an eighth of the memory on the device.

    ``dropout`` has one rate for the input and one after each hidden layer. Counts enter as log(1 +
    x), as Ma et al. 2015 have it; bits pass unchanged but for the factor log 2. Hidden weights
    start as He et al. 2015 have them for ReLU and Glorot and Bengio 2010 for sigmoid, hidden biases
    at ``initial_bias``. A bias of 1 keeps every ReLU at work at the start: a fingerprint has some
    fifty bits of 2,048, too few to move a unit far from its bias. With ``standardised``, each input
    is centred and scaled by the train rows instead of taking its logarithm. This is for a few dense
    columns of unequal size; rare bits or counts would become very large.
    """

    def __init__(
        self,
        n_features: int,
        n_tasks: int,
        hidden: Sequence[int],
        dropout: Sequence[float],
        activation: str = "relu",
        batch_norm: bool = False,
        log_counts: bool = False,
        initial_bias: float = 0.0,
        packed: bool = False,
        standardised: bool = False,
    ) -> None:
        super().__init__()
        self.packed = packed
        self.scale = ColumnScale(n_features, deviation_or_one()) if standardised else None
        if len(dropout) != len(hidden) + 1:
            raise ValueError(
                f"dropout needs a rate for the input and for each of {len(hidden)} hidden layers: "
                f"{len(hidden) + 1} numbers, not {len(dropout)}"
            )
        if activation not in _ACTIVATIONS:
            raise UnknownNameError("activation", activation, _ACTIVATIONS)
        self.log_counts = log_counts
        self.activation = _ACTIVATIONS[activation]
        sizes = [n_features, *hidden]
        # A bias before batch normalisation has no gradient but rounding, which Adam would follow.
        layers = [nn.Linear(a, b, bias=not batch_norm) for a, b in pairwise(sizes)]
        _initialise(layers, activation, initial_bias)
        self.hidden = nn.ModuleList(layers)
        self.norms = nn.ModuleList(BatchNorm(size) for size in hidden) if batch_norm else None
        self.dropouts = nn.ModuleList(Dropout(rate, layer) for layer, rate in enumerate(dropout))
        self.output = nn.Linear(sizes[-1], n_tasks)

    def fit_scaling(self, batch: dict[str, Tensor]) -> None:
        """Take centre and spread of each input from the train rows; constant inputs stay."""
        if self.scale is not None:
            self.scale.fit(self._inputs(batch))

    def _inputs(self, batch: dict[str, Tensor]) -> Tensor:
        x = batch["fingerprint"]
        x = (_unpacked(x) if self.packed else x).float()
        return torch.log1p(x) if self.log_counts else x

    def scaled(self, x: Tensor) -> Tensor:
        """Return the inputs (batch, features) as the first layer reads them."""
        return x if self.scale is None else self.scale(x)

    def forward(self, batch: dict[str, Tensor], noise: Noise | None, weight: Tensor) -> Tensor:
        """Return the tasks' logits or values: (batch, tasks)."""
        h = self.dropouts[0](self.scaled(self._inputs(batch)), noise)
        for i, layer in enumerate(self.hidden):
            h = layer(h)
            if self.norms is not None:
                h = self.norms[i](h, weight)
            h = self.dropouts[i + 1](self.activation(h), noise)
        return self.output(h)


def _unpacked(rows: Tensor) -> Tensor:
    """Unpack bytes (batch, bytes) into their bits, the lowest first: (batch, 8 bytes)."""
    places = torch.arange(8, dtype=torch.uint8, device=rows.device)
    return ((rows.unsqueeze(-1) >> places) & 1).flatten(-2)


def _initialise(layers: Sequence[nn.Linear], activation: str, initial_bias: float) -> None:
    for layer in layers:
        if activation == "relu":
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        else:
            nn.init.xavier_uniform_(layer.weight)
        if layer.bias is not None:
            nn.init.constant_(layer.bias, initial_bias)


@net("multitask", method="pyramid of two layers, one output for each task", **PYRAMID)
@net("single_task", method="the pyramid, a net for each task", **PYRAMID, shared=False)
@net("ensemble", method="the mean of five pyramids from seeds of their own", **PYRAMID, networks=5)
@net("multitask_ma", method="four wide layers", **MA_2015)
@net(
    "multitask_ma_bn",
    method="four wide layers with batch normalisation",
    **MA_2015,
    batch_norm=True,
)
@net(
    "fingerprint_net",
    family="net on vectors",
    reads="ECFP counts",
    method="one hidden layer, the baseline beside the neural fingerprint",
    paper="Duvenaud et al. 2015, arXiv:1509.09292",
    # 100 ReLU units, normalised; Adam, batches of 100.
    hidden=(100,),
    dropout=(0.0, 0.0),
    batch_norm=True,
    counts=True,
    batch_size=100,
    weight_decay=1e-4,
    epochs=100,
    patience=20,
)
@net(
    "sigmoid",
    family="net on vectors",
    reads="ECFP4 bits",
    method="one small sigmoid layer without dropout, as nets were before 2012",
    hidden=(32,),
    dropout=(0.0, 0.0),
    activation="sigmoid",
    learning_rate=0.01,
)
class Multitask(NeuralEstimator):
    """Fully connected net over fingerprints of SMILES; see :class:`FullyConnected`.

    Parameters
    ----------
    hidden, dropout, activation, batch_norm, initial_bias
        As in :class:`FullyConnected`; two dropout rates are for the input and for every hidden
        layer.
    counts, radius, size
        As in :class:`~chemdl.molecules.fingerprints.ECFP`.
    tabulated, standardised
        Whether to read the data set's own descriptors instead of fingerprints, and whether to
        centre and scale them by the train rows.
    shared
        Whether one network learns all tasks; ``False`` trains one network for each task.
    networks
        Number of networks to average, each trained from its own seed.
    """

    network = FullyConnected
    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [3e-4, 1e-3, 3e-3],
        "hidden": [(512,), (1024,), (2000, 100), (1024, 512)],
        "dropout": [(0.0, 0.1), (0.0, 0.25), (0.0, 0.5), (0.1, 0.5)],
        "weight_decay": [0.0, 1e-5, 1e-4],
        "batch_size": [64, 128, 256],
    }

    hidden: Sequence[int] = (2000, 100)
    dropout: Sequence[float] = (0.0, 0.25, 0.25)
    activation: Activation = "relu"
    batch_norm: bool = False
    initial_bias: float = 0.0
    counts: bool = False
    radius: int = 2
    size: int = 2048
    tabulated: bool = False
    standardised: bool = False
    shared: bool = True
    networks: int = 1

    def featurize(self, inputs: Sequence[Any]) -> dict[str, Feature]:
        """Return the fingerprints of SMILES: packed bits (n, size / 8) or counts (n, size), uint8.

        With ``tabulated`` the inputs are rows of counts, float32 (n, width); see
        :func:`chemdl.molecules.tabulated.read_tabulated`.
        """
        if self.tabulated:
            return {"fingerprint": read_tabulated(inputs)}
        ecfp = ECFP(self.radius, self.size, counts=self.counts, packed=not self.counts)
        return {"fingerprint": ecfp.transform(inputs)}

    def sizes(self, features: dict[str, Feature], n_tasks: int) -> dict[str, Any]:
        """Return width and kind of the input, and a dropout rate for it and each hidden layer."""
        is_packed = not (self.counts or self.tabulated)
        return {
            "n_features": features["fingerprint"].shape[1] * (8 if is_packed else 1),
            "n_tasks": n_tasks,
            "dropout": self._dropout_rates(),
            "log_counts": not (is_packed or self.standardised),
            "packed": is_packed,
        }

    def _dropout_rates(self) -> tuple[float, ...]:
        """Spread a pair (input, hidden) over all hidden layers; take a full list as it is."""
        if len(self.dropout) == 2:
            return (self.dropout[0], *[self.dropout[1]] * len(self.hidden))
        return tuple(self.dropout)

    def replica_rows(
        self, targets: np.ndarray, train_rows: np.ndarray, valid_rows: np.ndarray, seed: int
    ) -> list[ReplicaRows]:
        """One network for all tasks; or, unshared, one per task on the rows measured for it."""
        members = super().replica_rows(targets, train_rows, valid_rows, seed)
        if self.shared:
            return members
        return [
            ReplicaRows(
                train_rows[np.isfinite(targets[train_rows, task])],
                valid_rows[np.isfinite(targets[valid_rows, task])],
                spawn(member.seed, task),
                tasks=(task,),
            )
            for member in members
            for task in range(targets.shape[1])
        ]

    def combine(self, outputs: list[np.ndarray]) -> np.ndarray:
        """Average an ensemble's outputs; take each task from the network that learned it."""
        if self.shared:
            return super().combine(outputs)
        n_tasks = outputs[0].shape[1]
        columns = [output[:, i % n_tasks] for i, output in enumerate(outputs)]
        by_network = np.reshape(columns, (self.networks, n_tasks, -1))
        return by_network.mean(axis=0).T
