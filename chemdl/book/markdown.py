"""Markdown that Jupyter Book shows as it is meant, also inside tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def escape(text: str) -> str:
    """Return plain text that Markdown leaves as it is, also inside a table."""
    return re.sub(r"([\\`*_\[\]<>|$#{}])", r"\\\1", " ".join(text.split()))


def table(header: Sequence[str], body: Iterable[Sequence[str]], kind: str = "") -> str:
    """Return a Markdown table; ``kind`` is the class that styles it."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *body)]
    options = f":class: {kind}\n" if kind else ""
    return "```{table}\n" + options + ":align: left\n\n" + "\n".join(lines) + "\n```\n"


def verdict_mark(verdict: str) -> str:
    """Return a verdict as the book shows it."""
    return f"[{verdict}]{{.verdict .{verdict.replace(' ', '-')}}}"
