"""An example table: measured solubilities with the mistakes that tables have."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from chemdl.data import load
from chemdl.files import write_atomically


def write_example(path: Path, rows: int = 500) -> Path:
    """Write a table of solubilities (log mol/L) with a few mistakes put in, and return its path.

    Every fifteenth molecule is measured once more, with a standard deviation of .3; one SMILES is
    cut off and one value is a bound. The same for each call.
    """
    data = load("esol").sample(rows, seed=0)
    noise = np.random.default_rng(0).normal(0, 0.3, len(data))
    lines = ["smiles,logS"]
    lines += [f"{s},{y:.2f}" for s, y in zip(data.inputs, data.targets[:, 0], strict=True)]
    lines += [
        f"{data.inputs[row]},{data.targets[row, 0] + noise[row]:.2f}"
        for row in range(0, len(data), 15)
    ]
    lines += ["c1ccccc1C(=O,-1.20", "CCCCCCCCCCCCCCCCCCO,<-8.00"]
    with write_atomically(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", "utf-8")
    return path
