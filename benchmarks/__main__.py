"""Run the benchmarks, print a table and write JSON: ``python -m benchmarks [NAME…] [--output F]``.

Times on a shared machine are noisy, so the sides of a comparison take turns within one run, and
what is quoted is the ratio of their medians.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import featurisation, multitask, stacking
from chemdl.profiles import unknown, write_atomically
from chemdl.replicas import environment

BENCHMARKS: dict[str, Callable[[str], list[dict[str, Any]]]] = {
    "featurisation": featurisation.run,
    "multitask": multitask.run,
    "stacking": stacking.run,
}


def main() -> None:
    """Run what was asked for, print it and write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--output", type=Path, default=Path("_build/benchmarks.json"))
    chosen = parser.parse_args()
    for name in chosen.names:
        if name not in BENCHMARKS:
            parser.error(unknown("benchmark", name, BENCHMARKS))
    rows = [
        {"benchmark": name, **row}
        for name in chosen.names or BENCHMARKS
        for row in BENCHMARKS[name](chosen.device)
    ]
    for row in rows:
        print("  ".join(f"{key}: {_text(value)}" for key, value in row.items()))
    report = {"environment": environment(chosen.device), "rows": rows}
    with write_atomically(chosen.output) as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n")
    print(f"written: {chosen.output}")


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
