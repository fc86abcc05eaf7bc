"""The command ``chemdl dock``: dock ligands and store their poses."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from chemdl.cli import COMMANDS, add_command, names_asked, whole_number


@COMMANDS.register("dock")
def add_dock(commands: Any) -> None:
    """Add ``dock`` and its options to the parser's commands."""
    text = "dock ligands into receptors and store their poses; a stopped run goes on"
    parser = add_command(commands, "dock", _dock, text)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="akt1; all of DUD-E without")
    for option, default, meaning in (
        ("--actives", 40, "so many (40)"),
        ("--decoys", 200, "so many (200)"),
        ("--seed", 0, "draws the sample (0)"),
    ):
        parser.add_argument(option, type=whole_number, default=default, metavar="N", help=meaning)
    parser.add_argument(
        "--ligands", type=Path, metavar="DIR", help="the ligand set's folder, without a mirror"
    )


def _dock(options: argparse.Namespace) -> None:
    from tqdm.auto import tqdm

    from chemdl.screening import complexes, docking, ligands, receptors

    names = names_asked("target", options.targets, receptors.targets())
    size = {"actives": options.actives, "decoys": options.decoys, "seed": options.seed}
    for target in names if options.targets else receptors.targets("dude"):
        rows = ligands.read_ligands(target, options.ligands)
        with tqdm(total=options.actives + options.decoys, desc=target, unit="ligand") as bar:
            for _, failure in docking.dock(target, rows, **size):
                bar.update(not failure)
        done = complexes.docked_sample(target, rows, **size)
        failed = f"{done.failed[1]} actives and {done.failed[0]} decoys failed on the way"
        summary = complexes.write_summary(done)
        print(f"{target}: {len(done.ligands)} poses, {failed}; {summary}")
