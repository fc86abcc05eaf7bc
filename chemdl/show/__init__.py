"""Figures, tables and sentences of results, each a function of ``(result, models, …)``."""

from __future__ import annotations

from typing import Any

__all__ = ["finding"]


def __getattr__(name: str) -> Any:
    """Import :func:`chemdl.show.findings.finding` when it is first used."""
    if name == "finding":
        from chemdl.show.findings import finding

        return finding
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
