"""A convolutional net over 2D drawings of molecules, after Chemception (Goh et al. 2017)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from chemdl.features.pictures import EMPTY, RESOLUTION, SIZE, pictures
from chemdl.models.estimator import Feature, NeuralClassifier, NeuralEstimator, NeuralRegressor
from chemdl.models.layers import Dropout
from chemdl.noise import Noise
from chemdl.ragged import Batch

# Streams of random numbers: how a picture is turned, and which units of its vector are kept.
_TURN, _DROPOUT = range(2)


class PictureConvolution(nn.Module):
    def __init__(self, n_tasks, channels, width, blocks, dropout, turn="free", pool="mean", kind="inc"):
        super().__init__()
        self.turn, self.pool = turn, pool
        self.register_buffer("empty", torch.tensor(EMPTY, dtype=torch.float32).reshape(-1, 1, 1))
        self.stem = nn.Conv2d(channels, width, 5, stride=2, padding=2)
        nn.init.kaiming_normal_(self.stem.weight, nonlinearity="relu")
        B = Inc if kind == "inc" else Res
        self.first = nn.ModuleList(B(width) for _ in range(blocks))
        self.reduction = nn.Conv2d(width, 2*width, 3, stride=2, padding=1)
        nn.init.kaiming_normal_(self.reduction.weight, nonlinearity="relu")
        self.second = nn.ModuleList(B(2*width) for _ in range(blocks))
        self.dropout = Dropout(dropout, _DROPOUT)
        self.output = nn.Linear(2*width * (2 if pool == "both" else 1), n_tasks)

    def forward(self, batch: Batch, noise: Noise | None, weight: Tensor) -> Tensor:
        x = (batch["picture"].float() - self.empty) / 64.0
        if noise is not None:
            t = _turned(x, noise) if self.turn == "free" else _pick(x, noise) if self.turn == "eight" else x
            return self._read(t, noise)
        return torch.stack([self._read(one, None) for one in symmetries(x)]).mean(0)

    def _read(self, x, noise):
        h = torch.relu(self.stem(x))
        for b in self.first:
            h = b(h)
        h = torch.relu(self.reduction(h))
        for b in self.second:
            h = b(h)
        if self.pool == "both":
            h = torch.cat([h.mean((2, 3)) * 4, h.amax((2, 3))], 1)
        else:
            h = h.mean((2, 3)) * 4
        return self.output(self.dropout(h, noise))


class Res(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.a, self.b = nn.Conv2d(w, w, 3, padding=1), nn.Conv2d(w, w, 3, padding=1)
        nn.init.kaiming_normal_(self.a.weight, nonlinearity="relu")
        nn.init.zeros_(self.b.weight); nn.init.zeros_(self.b.bias)
    def forward(self, x):
        return torch.relu(x + self.b(torch.relu(self.a(x))))


class Inc(nn.Module):
    def __init__(self, w):
        super().__init__()
        s = w // 2
        self.enter = nn.Conv2d(w, 3*s, 1)
        self.b2 = nn.Conv2d(s, s, 3, padding=1)
        self.b3 = nn.Conv2d(s, s, 3, padding=1)
        self.c3 = nn.Conv2d(s, s, 3, padding=1)
        self.join = nn.Conv2d(3*s, w, 1)
        for c in (self.enter, self.b2, self.b3, self.c3):
            nn.init.kaiming_normal_(c.weight, nonlinearity="relu")
        nn.init.zeros_(self.join.weight); nn.init.zeros_(self.join.bias)
    def forward(self, x):
        a, b, c = torch.relu(self.enter(x)).chunk(3, 1)
        b = torch.relu(self.b2(b))
        c = torch.relu(self.c3(torch.relu(self.b3(c))))
        return torch.relu(x + self.join(torch.cat([a, b, c], 1)))


def symmetries(x):
    for y in (x, x.transpose(2, 3)):
        for d in ((), (2,), (3,), (2, 3)):
            yield y.flip(d) if d else y


def _pick(x, noise):
    u = noise.uniform(_TURN, (3, x.shape[0], 1, 1, 1)) < 0.5
    x = torch.where(u[0], x, x.transpose(2, 3))
    x = torch.where(u[1], x, x.flip(2))
    return torch.where(u[2], x, x.flip(3))


def _turned(x: Tensor, noise: Noise) -> Tensor:
    u = noise.uniform(_TURN, (2, x.shape[0]))
    a = u[0] * (2 * torch.pi)
    m = torch.where(u[1] < 0.5, -1.0, 1.0)
    z = torch.zeros_like(a)
    th = torch.stack([torch.stack([a.cos(), -a.sin() * m, z], 1), torch.stack([a.sin(), a.cos() * m, z], 1)], 1)
    grid = nn.functional.affine_grid(th, list(x.shape), align_corners=False)
    return nn.functional.grid_sample(x, grid, align_corners=False)


class PictureRegressor(NeuralRegressor):
    def __init__(self, width=16, blocks=1, dropout=0.1, turn="free", pool="mean", kind="inc", epochs=80, batch_size=32, optimizer="adam", learning_rate=1e-3, decay=0.1, clip=None, weight_decay=0.0, patience=15, seed=0, device="auto"):
        self.width, self.blocks, self.dropout, self.turn, self.pool, self.kind = width, blocks, dropout, turn, pool, kind
        self.epochs, self.batch_size, self.optimizer, self.learning_rate, self.decay = epochs, batch_size, optimizer, learning_rate, decay
        self.clip, self.weight_decay = clip, weight_decay
        self.patience, self.seed, self.device = patience, seed, device
    def featurize(self, inputs):
        return {"picture": pictures(inputs)}
    def build(self, features, n_tasks):
        return PictureConvolution(n_tasks, 4, self.width, self.blocks, self.dropout, self.turn, self.pool, self.kind)
