"""Progress of long work: a bar on standard error, which a chapter's run passes to the terminal."""

from __future__ import annotations

import sys

from tqdm import tqdm


class Progress:
    """A bar with the time that is left.

    Parameters
    ----------
    title
        Name of the work, such as a study.
    total, done
        Number of units of the whole work, and number already done.
    unit
        Name of the unit that is counted.
    """

    def __init__(self, title: str, total: int, done: int, unit: str = "replica") -> None:
        self.bar = tqdm(
            total=total, initial=done, desc=title, unit=unit, file=sys.stderr, mininterval=1.0
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def advance(self, model: str = "", count: int = 1) -> None:
        """Count what was computed: one replica of a model, or ``count`` of the unit."""
        self.bar.set_postfix_str(model, refresh=False)
        self.bar.update(count)
