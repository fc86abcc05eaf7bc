"""What can go wrong in docking; every message says what to do."""

from __future__ import annotations


class DockingError(ValueError):
    """A target, ligand or file that cannot be docked or read."""


class MissingPoseError(DockingError, LookupError):
    """A complex without a stored pose; the message holds the command that computes it."""


class MissingExtraError(ImportError):
    """The optional packages of the extra ``dock`` are not installed."""
