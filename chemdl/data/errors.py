"""What can go wrong with a dataset; every message names the clashing values and the remedy."""

from __future__ import annotations


class DatasetError(ValueError):
    """A dataset that cannot be had, or whose contents are not what they must be."""


class UnknownDatasetError(DatasetError, LookupError):
    """A name that the registry does not hold."""


class RegistryError(DatasetError):
    """An entry of datasets.yml that does not say what it must."""


class UnavailableError(DatasetError):
    """A source that is not there or cannot be reached; the next source may be asked.

    ``passing`` says that the error is temporary, so that another attempt may succeed.
    """

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


class HashMismatchError(DatasetError):
    """A file without the registered SHA-256; no other source is asked."""


class UnsafeArchiveError(DatasetError):
    """An archive member whose path leads out of the archive, or that is not a plain file."""
