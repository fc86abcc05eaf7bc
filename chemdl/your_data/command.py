"""The commands ``chemdl check``, ``compare`` and ``predict``: your own table of molecules."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from chemdl.cli import COMMANDS, add_command


@COMMANDS.register("check")
def add_check(commands: Any) -> None:
    """Add ``check`` and its options to the parser's commands."""
    parser = add_command(commands, "check", _check, "say what is wrong with a table of molecules")
    _add_table(parser)
    parser.add_argument("--for", dest="new", type=Path, metavar="NEW", help="molecules to predict")


def _add_table(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", type=Path, help="csv, tsv, xlsx, parquet or sdf, also in gzip")
    parser.add_argument("--smiles", metavar="COL", help="column with the SMILES; guessed without")
    parser.add_argument("--target", nargs="+", default=(), metavar="COL", help="columns to learn")
    parser.add_argument("--time", metavar="COL", help="column with dates")
    parser.add_argument("--delimiter", metavar="SIGN", help="';' for example; found without")
    parser.add_argument("--encoding", metavar="NAME", help="latin-1 for example; UTF-8 without")
    parser.add_argument("--decimal", choices=(".", ","), help="decimal sign; found without")


def _table_options(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "smiles": options.smiles,
        "targets": options.target,
        "date": options.time,
        "delimiter": options.delimiter,
        "encoding": options.encoding,
        "decimal": options.decimal,
    }


def _check(options: argparse.Namespace) -> int:
    from chemdl.your_data.check import check

    found = check(options.table, new=options.new, **_table_options(options))
    print(found)
    return 0 if found.is_clean else 1
