"""The folder that a chapter's run writes to: one run at a time, no card lost to a failed one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chemdl.evidence.card import CardError
from chemdl.evidence.result import read_result
from chemdl.files import sweep


class BusyFolderError(RuntimeError):
    """A folder in which another run of the same chapter is at work."""


def chapter_cards(output: Path, chapter: str) -> dict[str, Path]:
    """Return the chapter's cards in ``output`` by study.

    Hidden files, which a killed run left half-written, do not count, nor do damaged cards: a new
    run writes them anew.
    """
    found = {}
    for path in sorted((output / "cards").glob("[!.]*.json")):
        with suppress(CardError):
            if (result := read_result(path)).chapter == chapter:
                found[result.study] = path
    return found


@contextmanager
def fresh_output(output: Path, chapter: str) -> Iterator[None]:
    """Hold the folder for one run of a chapter, without the cards of an earlier run of it.

    Earlier cards are set aside, and deleted when the run has written its own. A run that ends in an
    error before it wrote any gives them back; after a kill the next run does. The record of the
    earlier run goes, and replicas stay: they are stored under keys of their own.

    Raises
    ------
    BusyFolderError
        If another run of the chapter is at work there.
    """
    from filelock import FileLock, Timeout

    output.mkdir(parents=True, exist_ok=True)
    lock = FileLock(output / f".{chapter}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise BusyFolderError(
            f"another run of chapter {chapter!r} is at work in {output}; wait for its end, or name "
            "another folder: --output"
        ) from None
    with lock:
        sweep(output)
        aside = output / f".{chapter}.before"
        _set_aside(output, chapter, aside)
        try:
            yield
        finally:
            if not chapter_cards(output, chapter) and aside.is_dir():
                _move(aside, output / "cards")
            shutil.rmtree(aside, ignore_errors=True)


def _set_aside(output: Path, chapter: str, aside: Path) -> None:
    (output / f"{chapter}.run.json").unlink(missing_ok=True)
    cards = chapter_cards(output, chapter).values()
    if aside.is_dir() and any(aside.iterdir()):
        # A run was killed: what it wrote is no whole run, and what it had set aside is.
        for card in cards:
            card.unlink()
            card.with_suffix(".npz").unlink(missing_ok=True)
        return
    aside.mkdir(exist_ok=True)
    for card in cards:
        for file in (card.with_suffix(".npz"), card):
            if file.is_file():
                file.replace(aside / file.name)


def _move(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    # Predictions before the card that names them.
    for file in sorted(source.iterdir(), key=lambda path: path.suffix, reverse=True):
        file.replace(target / file.name)
