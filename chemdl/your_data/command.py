"""The commands ``chemdl check``, ``compare`` and ``predict``: your own table of molecules."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from chemdl.cli import COMMANDS, add_command, whole_number
from chemdl.settings import DEVICES, Settings, resolve_device


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


@COMMANDS.register("compare")
def add_compare(commands: Any) -> None:
    """Add ``compare`` and its options to the parser's commands."""
    text = "say whether a deep net is worth it on your table, in the minutes that you give it"
    parser = add_command(commands, "compare", _compare, text)
    _add_table(parser)
    parser.add_argument("--for", dest="new", type=Path, metavar="NEW", help="molecules to predict")
    parser.add_argument("--group", default="", metavar="COL", help="its groups stay together")
    parser.add_argument("--random", action="store_true", help="folds at random")
    parser.add_argument("--minutes", type=_positive, default=10.0, metavar="N", help="budget (10)")
    parser.add_argument("--families", nargs="+", default=(), metavar="NAME", help="all without")
    text = "leave out replicates that differ by more; the mean without"
    parser.add_argument("--tolerance", type=_positive, metavar="X", help=text)
    parser.add_argument("--assay-error", type=_positive, metavar="SD", help="of one measurement")
    parser.add_argument("--output", type=Path, default=Path("report"), metavar="DIR", help="report")
    parser.add_argument("--overwrite", action="store_true", help="replace a folder that exists")
    parser.add_argument("--seed", type=whole_number, default=0, metavar="N", help="root seed (0)")
    parser.add_argument("--device", choices=DEVICES, default="auto", help="auto takes a GPU if any")


@COMMANDS.register("predict")
def add_predict(commands: Any) -> None:
    """Add ``predict`` and its options to the parser's commands."""
    text = "predict the molecules of a table with the models of a report"
    parser = add_command(commands, "predict", _predict, text)
    parser.add_argument("report", type=Path, help="folder that `chemdl compare` wrote")
    parser.add_argument("table", type=Path, help="molecules: csv, tsv, xlsx, parquet or sdf")
    parser.add_argument("--output", type=Path, metavar="FILE", help=".csv, .csv.gz or .parquet")
    parser.add_argument("--model", choices=("simple", "deep"), default="", help="better without")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    for option in ("smiles", "delimiter", "encoding"):
        parser.add_argument(f"--{option}", help="as for check")


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def _compare(options: argparse.Namespace) -> None:
    import shlex
    import sys

    from chemdl.your_data.answer import answer

    names = ("new", "group", "random", "minutes", "families", "tolerance", "assay_error",
             "overwrite")  # fmt: skip
    settings = Settings(
        profile="full", seed=options.seed, device=resolve_device(options.device), output=Path()
    )
    found = answer(
        options.table,
        options.output,
        settings,
        command=f"python -m chemdl {shlex.join(sys.argv[1:])}",
        **{name: getattr(options, name) for name in names},
        **_table_options(options),
    )
    print(f"{found.comparison.answer}{found.beware}")
    for line in found.comparison.budget.cuts:
        print(f"  {line}")
    print(options.output / "report.html")


def _predict(options: argparse.Namespace) -> None:
    from chemdl.your_data.model_folder import load_models
    from chemdl.your_data.predict import predict_table

    output = options.output or Path(f"{options.table.name.split('.')[0]}-predicted.csv")
    counts = predict_table(
        load_models(options.report),
        options.table,
        output,
        side=options.model,
        smiles=options.smiles,
        delimiter=options.delimiter,
        encoding=options.encoding,
        overwrite=options.overwrite,
    )
    print(
        f"{output}: {counts.rows:,} rows, {counts.unparsable:,} unparsable, {counts.outside:,} "
        f"outside the domain, {counts.known:,} learned from"
    )


def _check(options: argparse.Namespace) -> int:
    from chemdl.your_data.check import check

    found = check(options.table, new=options.new, **_table_options(options))
    print(found)
    return 0 if found.is_clean else 1
