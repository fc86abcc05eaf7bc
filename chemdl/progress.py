"""How far long work is: a bar on standard error, which a chapter's run hands on to the terminal."""

from __future__ import annotations

import sys

from tqdm import tqdm


class Progress:
    """A bar with the time that is left.

    Parameters
    ----------
    title
        Names the work, such as a study.
    total, done
        What there is to do, and how much of it was done before.
    unit
        What is counted.
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
