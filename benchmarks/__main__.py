"""Run the benchmarks, print a table and write JSON: ``python -m benchmarks [NAME…] [--output F]``.

Times on a shared machine are noisy, so the sides of a comparison take turns within one run, and
what is quoted is the ratio of their medians. ``rule`` times nothing: it counts how often the rule's
intervals err, and is run by name alone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from benchmarks import (
    chains,
    featurisation,
    featurisation_rate,
    geometries,
    materials_rate,
    message_passing,
    multitask,
    network_costs,
    rule,
    screening_rate,
    stacking,
    your_data,
)
from benchmarks.options import Options
from chemdl.evidence.fitting import environment
from chemdl.files import write_atomically
from chemdl.registry import UnknownNameError

BENCHMARKS: dict[str, Callable[[Options], list[dict[str, Any]]]] = {
    "chains": chains.run,
    "featurisation": featurisation.run,
    "featurisation_rate": featurisation_rate.run,
    "geometries": geometries.run,
    "materials_rate": materials_rate.run,
    "message_passing": message_passing.run,
    "multitask": multitask.run,
    "network_costs": network_costs.run,
    "rule": rule.run,
    "screening_rate": screening_rate.run,
    "stacking": stacking.run,
    "your_data": your_data.run,
}


def main() -> None:
    """Run what was asked for, print it and write it."""
    parser = _parser()
    chosen = parser.parse_args()
    for name in chosen.names:
        if name not in BENCHMARKS:
            parser.error(str(UnknownNameError("benchmark", name, BENCHMARKS)))
    if chosen.folds is not None and not 2 <= chosen.folds <= 25:
        parser.error(f"--folds is 2 to 25, not {chosen.folds}: an interval needs two")
    given: dict[str, Any] = {f.name: getattr(chosen, f.name) for f in fields(Options)}
    options = Options(**given)
    rows = [
        {"benchmark": name, **row}
        for name in chosen.names or [name for name in BENCHMARKS if name != "rule"]
        for row in BENCHMARKS[name](options)
    ]
    for row in rows:
        print("  ".join(f"{key}: {_text(value)}" for key, value in row.items()))
    report = {"environment": environment(chosen.device), "rows": rows}
    with write_atomically(chosen.output) as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n")
    print(f"written: {chosen.output}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", help=f"of {', '.join(BENCHMARKS)}; all but rule by default"
    )
    parser.add_argument("--device", default=Options.device, choices=("cpu", "cuda"))
    parser.add_argument("--output", type=Path, default=Path("_build/benchmarks.json"))
    nets = parser.add_argument_group("message_passing and network_costs")
    nets.add_argument("--quick", action="store_true", help="only see that they run")
    nets.add_argument("--epochs", type=int, help="of message_passing")
    nets.add_argument("--folds", type=int, help="of message_passing: 2 to 25")
    nets.add_argument("--sets", nargs="+", help="of message_passing and rule")
    nets.add_argument("--nets", nargs="+", help="of network_costs")
    nets.add_argument(
        "--sizes",
        nargs="+",
        type=int,
        help="molecules in network_costs, featurisation_rate, your_data and geometries' kernels",
    )
    nets.add_argument("--limit", type=float, default=Options.limit,
                      help="seconds for each thing measured in network_costs")  # fmt: skip
    proof = parser.add_argument_group("rule")
    proof.add_argument("--store", type=Path, default=Options.store, help="folder of the fits")
    proof.add_argument("--minutes", type=float, help="stop fitting after so long, and sum up")
    return parser


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
