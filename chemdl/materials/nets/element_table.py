"""What nets know of an element at the start: the table of the elements, and a learned vector."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from chemdl.materials.compositions import elements


class ElementTable(nn.Module):
    """Atomic numbers (…) → (…, width): properties of the element, and a learned vector."""

    def __init__(self, width: int) -> None:
        super().__init__()
        values = elements().values
        scaled = (values - values.mean(0)) / values.std(0)
        # Number 0 is an empty place, without properties.
        padded = np.vstack([np.zeros((1, scaled.shape[1])), scaled]).astype(np.float32)
        self.properties = nn.Buffer(torch.tensor(padded))
        self.read = nn.Linear(padded.shape[1], width)
        self.learned = nn.Parameter(0.1 * torch.randn(len(padded), width))

    def forward(self, numbers: Tensor) -> Tensor:
        # A product with zeros and ones: the gradient of indexing is far slower on a CPU.
        places = torch.arange(len(self.properties), device=numbers.device)
        chosen = (numbers[..., None] == places).to(self.learned.dtype)
        return chosen @ (self.read(self.properties) + self.learned)
