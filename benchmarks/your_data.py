"""The tool for your own data: seconds of ``check``, rate and peak memory of ``predict``.

A net on fingerprints and a graph net, small fits of 1,000 molecules, predict tables of generated
molecules through the same function as the command: reading, fingerprints, similarity to all that
was learned from, prediction and writing included. The peak is that of the whole process, so the
largest table comes last.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.molecules import random_smiles
from benchmarks.options import Options
from chemdl.learn.models import make_net
from chemdl.your_data.check import check
from chemdl.your_data.conformal import calibrate
from chemdl.your_data.model_folder import load_models, save_models
from chemdl.your_data.predict import predict_table

TRAINED, SIZES, QUICK_SIZES = 1_000, (5_000, 20_000), (100, 200)
NETS = ("any_input_net", "dmpnn")


def run(options: Options) -> list[dict[str, Any]]:
    """Return a row for ``check`` and for each net and size of table."""
    sizes = sorted(options.sizes or (QUICK_SIZES if options.quick else SIZES))
    trained = 100 if options.quick else TRAINED
    smiles, _ = random_smiles(trained + sizes[-1])
    values = np.random.default_rng(0).normal(size=len(smiles))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [_check(folder, smiles[: sizes[0]], values)]
        for net in NETS:
            _fit(folder / net, net, smiles[:trained], values[:trained], options.device)
            for size in sizes:
                rows.append(_predict(folder, net, smiles[trained : trained + size]))
    return rows


def _check(folder: Path, smiles: list[str], values: np.ndarray) -> dict[str, Any]:
    table = folder / "check.csv"
    lines = [f"{text},{value}" for text, value in zip(smiles, values, strict=False)]
    table.write_text("\n".join(["smiles,y", *lines]), "utf-8")
    begun = time.perf_counter()
    check(table)
    return {"what": "check", "molecules": len(smiles), "seconds": time.perf_counter() - begun}


def _fit(folder: Path, name: str, smiles: list[str], values: np.ndarray, device: str) -> None:
    net = make_net(name, "regression", epochs=2, device=device)
    net.fit(np.array(smiles, dtype=object), values)
    held = calibrate("regression", values, values + 1, np.ones(len(values)))
    save_models(folder / "model", {"deep": (name, net)}, {"deep": [held]}, smiles=smiles,
                canonical=smiles, kind="regression", tasks=["y"], domain_ends=0.2,
                better="deep")  # fmt: skip


def _predict(folder: Path, net: str, smiles: list[str]) -> dict[str, Any]:
    table = folder / "new.csv"
    table.write_text("\n".join(["smiles", *smiles]), "utf-8")
    models = load_models(folder / net)
    begun = time.perf_counter()
    predict_table(models, table, folder / "out.csv", overwrite=True)
    seconds = time.perf_counter() - begun
    return {
        "what": f"predict, {net}",
        "molecules": len(smiles),
        "molecules/s": len(smiles) / seconds,
        "peak GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }
