"""Hidden layers over a window along the chain, the form of structure prediction since 1988."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from chemdl.learn.models import net
from chemdl.learn.noise import Noise
from chemdl.learn.ragged import Batch, Padded, column
from chemdl.proteins.nets.chain_net import (
    RESIDUES,
    ChainLabeller,
    ChainNetwork,
    ResidueDropout,
    residue_inputs,
)

# Pre-training uses at most so many residues, in batches of so many, for so many steps a layer.
_PRETRAINING_RESIDUES, _PRETRAINING_BATCH, _PRETRAINING_STEPS = 100_000, 256, 1500
# The share of inputs that pre-training sets to zero.
_CORRUPTION = 0.1
DEEP: dict[str, Any] = {"depth": 3, "width": 150, "window": 17}


class WindowNetwork(ChainNetwork):
    """One hidden layer over a window (Qian and Sejnowski 1988).

    With x_t the inputs of residue t and w the odd width of the window::

        h_t = σ(W [x_(t - (w - 1) / 2), …, x_(t + (w - 1) / 2)] + b),    y_t = V h_t + c.

    ``depth`` adds hidden layers that see residue t alone. Shapes: (B, L, inputs) → (B, L, k).
    """

    def __init__(
        self, n_scores: int, window: int, width: int, depth: int, dropout: float, profile: bool
    ) -> None:
        super().__init__(n_scores, width, profile)
        if window % 2 == 0:
            raise ValueError(f"a window has an odd width, so that it has a middle, not {window}")
        self.window = window
        first = nn.Conv1d(self.n_inputs, width, window, padding=window // 2)
        others = [nn.Conv1d(width, width, 1) for _ in range(depth - 1)]
        self.layers = nn.ModuleList([first, *others])
        self.dropout = ResidueDropout(dropout, layer=1)

    def encode(self, x: Tensor, mask: Tensor, noise: Noise | None) -> Tensor:
        """Return the last hidden layer: (B, width, L)."""
        for layer in self.layers:
            x = torch.sigmoid(layer(x))
        return self.dropout(x, noise)


class PretrainedWindowNetwork(WindowNetwork):
    """The window net with layers pre-trained as stacked autoencoders (Bengio et al. 2007).

    Before training proper, each layer in turn learns to give back its own input from its hidden
    units, h' = σ(W x̃ + b), x' = W'ᵀ h' + c, with a tenth of the inputs x̃ set to zero (Vincent et
    al. 2010), on windows of the replica's train chains; no label is seen. DNSS (Spencer et al.
    2015) and SPIDER2 (Heffernan et al. 2015) began so.
    """

    @functools.wraps(WindowNetwork.__init__)  # type: ignore[misc]
    def __init__(self, *sizes: Any, **more: Any) -> None:
        super().__init__(*sizes, **more)
        # Drawn under the replica's seed, so that pre-training depends on nothing else.
        self.pretraining_seed = int(torch.randint(2**31 - 1, (1,)))

    @torch.enable_grad()
    def fit_scaling(self, batch: Batch) -> None:
        """Pre-train every layer on the train chains."""
        residues = column(batch, "residues", Padded)
        generator = torch.Generator().manual_seed(self.pretraining_seed)
        x = self._windows(Padded(*(part.cpu() for part in residues)), generator)
        for layer in self.layers:
            assert isinstance(layer, nn.Conv1d) and layer.bias is not None
            # A convolution's weights are (width, inputs, window), as the windows are cut.
            start = layer.weight.detach().flatten(1).cpu()
            weight, bias = _autoencoder(x, start, layer.bias.detach().cpu(), generator)
            layer.weight.data.copy_(weight.reshape(layer.weight.shape))
            layer.bias.data.copy_(bias)
            x = torch.sigmoid(x @ weight.mT + bias)

    def _windows(self, residues: Padded, generator: torch.Generator) -> Tensor:
        """Return windows around residues chosen at random: (residues, inputs × window)."""
        rows, places = torch.nonzero(residues.mask, as_tuple=True)
        chosen = torch.randperm(len(rows), generator=generator)[:_PRETRAINING_RESIDUES]
        last, parts = residues.mask.shape[1] - 1, []
        for part in chosen.split(50_000):
            at = places[part][:, None] + torch.arange(self.window) - self.window // 2
            inside = (at >= 0) & (at <= last)
            where = rows[part][:, None], at.clamp(0, last)
            windows = Padded(residues.values[where], residues.mask[where] & inside)
            inputs = residue_inputs(windows, self.profile) * windows.mask[:, None, :]
            parts.append(inputs.flatten(1))
        return torch.cat(parts)


def _autoencoder(
    x: Tensor, weight: Tensor, bias: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Fit one denoising autoencoder to rows x, from these weights and biases of its encoder.

    Returns the encoder's weights and biases, (width, inputs) and (width,), after training.
    """
    weight, bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
    decoder = nn.Parameter(torch.zeros(weight.shape[1], weight.shape[0]))
    mean = nn.Parameter(x.mean(0))
    optimizer = torch.optim.Adam([weight, bias, decoder, mean], lr=1e-3)
    for _ in range(_PRETRAINING_STEPS):
        rows = x[torch.randint(len(x), (_PRETRAINING_BATCH,), generator=generator)]
        kept = torch.rand(rows.shape, generator=generator) >= _CORRUPTION
        hidden = torch.sigmoid(nn.functional.linear(rows * kept, weight, bias))
        loss = (nn.functional.linear(hidden, decoder, mean) - rows).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return weight.detach(), bias.detach()


@net(
    "window_net",
    **RESIDUES,
    method="one hidden layer over a window",
    paper="Qian and Sejnowski 1988, doi:10.1016/0022-2836(88)90564-5",
)
@net(
    "window_net_deep",
    **RESIDUES,
    method="three hidden layers over a window",
    **DEEP,
)
@net(
    "window_net_pretrained",
    **RESIDUES,
    method="three hidden layers over a window, pre-trained as autoencoders",
    paper="as Spencer et al. 2015, doi:10.1109/TCBB.2014.2343960",
    **DEEP,
    pretrained=True,
)
class WindowNet(ChainLabeller):
    """One or more hidden layers over a window; see :class:`WindowNetwork`.

    Parameters
    ----------
    window
        Number of residues in the window, odd.
    width, depth, dropout
        Width, number and dropout rate of the hidden layers.
    pretrained
        Whether to start from layers that were trained as autoencoders
        (:class:`PretrainedWindowNetwork`).
    """

    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [1e-3, 3e-3, 1e-2],
        "window": [13, 17, 21],
        "width": [40, 75, 150],
    }

    window: int = 13
    width: int = 40
    depth: int = 1
    dropout: float = 0.0
    pretrained: bool = False
    learning_rate: float = 1e-2
    decay: float = 0.05

    @property
    def network(self) -> type[WindowNetwork]:  # type: ignore[override]
        """The class of the network, with layers that are trained beforehand or without."""
        return PretrainedWindowNetwork if self.pretrained else WindowNetwork
