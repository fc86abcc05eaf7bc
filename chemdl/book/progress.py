"""Show in the terminal how far a chapter's studies are, read from the side file they write."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

_INTERVAL = 0.25  # seconds between two looks at the side file


@contextmanager
def follow(path: Path, chapter: str, stream: TextIO | None = None) -> Iterator[None]:
    """Draw a bar for each study that reports to ``path`` while the block runs.

    Each line of the side file is one event: ``{"time", "study", "done", "total", "unit", "model",
    "seconds_left"}``. Where the stream is no terminal, a study's end is one line.
    """
    stream = sys.stderr if stream is None else stream
    stop = threading.Event()
    reader = threading.Thread(target=_watch, args=(path, chapter, stream, stop), daemon=True)
    reader.start()
    try:
        yield
    finally:
        stop.set()
        reader.join()


def _watch(path: Path, chapter: str, stream: TextIO, stop: threading.Event) -> None:
    bars = _Bars(chapter, stream)
    offset = 0
    ended = False
    while not ended:
        ended = stop.wait(_INTERVAL)
        events, offset = read_events(path, offset)
        for event in events:
            bars.show(event)
    bars.close()


def read_events(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Return the events written after byte ``offset``, and the offset to go on from.

    A last line that is only half written is left for the next look.
    """
    if not path.is_file():
        return [], offset
    with path.open("rb") as file:
        file.seek(offset)
        text = file.read()
    whole = text[: text.rfind(b"\n") + 1]
    events = [json.loads(line) for line in whole.splitlines() if line.strip()]
    return events, offset + len(whole)


def time_left(seconds: float | None) -> str:
    """Write seconds as a reader says them: ``40 s left``, ``3 min left``, ``2.5 h left``."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"{seconds:.0f} s left"
    return f"{seconds / 60:.0f} min left" if seconds < 5400 else f"{seconds / 3600:.1f} h left"


class _Bars:
    """One bar at a time: the study that reported last."""

    def __init__(self, chapter: str, stream: TextIO) -> None:
        self.chapter = chapter
        self.stream = stream
        self.study = ""
        self.bar: Any = None

    def show(self, event: dict[str, Any]) -> None:
        if event["study"] != self.study:
            self._start(event["study"], event["total"])
        if self.stream.isatty():
            self.bar.total = event["total"]
            self.bar.n = event["done"]
            notes = [event.get("model") or "", time_left(event.get("seconds_left"))]
            self.bar.set_postfix_str(", ".join(note for note in notes if note))
        elif event["done"] == event["total"]:
            counted = f"{event['done']} {event.get('unit', 'replica')}s"
            print(f"{self.chapter}: {self.study} {counted}", file=self.stream)

    def _start(self, study: str, total: int) -> None:
        self.close()
        self.study = study
        if self.stream.isatty():
            from tqdm import tqdm

            self.bar = tqdm(
                total=total,
                desc=f"{self.chapter}: {study}",
                file=self.stream,
                bar_format="{desc} |{bar:24}| {n_fmt}/{total_fmt}{postfix}",
            )

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None
