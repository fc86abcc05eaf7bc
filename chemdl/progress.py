"""How far long work is: a bar for who looks on, and a side file for who runs the notebook."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from tqdm import tqdm


class Progress:
    """A bar on stderr, and one JSON line an event in the file that CHEMDL_PROGRESS names.

    ``study`` names the work, ``unit`` what is counted; ``done`` of ``total`` were there before.
    """

    def __init__(self, study: str, total: int, done: int, unit: str = "replica") -> None:
        self.study, self.total, self.done, self.fresh = study, total, done, 0
        self.unit = unit
        self.file = os.environ.get("CHEMDL_PROGRESS")
        self.begun = time.perf_counter()
        self.bar = tqdm(
            total=total, initial=done, desc=study, unit=unit, file=sys.stderr, mininterval=1.0
        )

    def __enter__(self) -> Progress:
        self._tell("")
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def advance(self, model: str, count: int = 1) -> None:
        """Count what was computed: one replica of a model, or ``count`` of the unit."""
        self.done += count
        self.fresh += count
        self.bar.set_postfix_str(model, refresh=False)
        self.bar.update(count)
        self._tell(model)

    def _tell(self, model: str) -> None:
        if not self.file:
            return
        elapsed = time.perf_counter() - self.begun
        left = elapsed / self.fresh * (self.total - self.done) if self.fresh else None
        event = {
            "time": time.time(),
            "study": self.study,
            "done": self.done,
            "total": self.total,
            "unit": self.unit,
            "model": model,
            "seconds_left": left,
        }
        with Path(self.file).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(event) + "\n")
