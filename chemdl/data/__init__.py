"""Real data sets: where each comes from, what cleaning took out of it, and under what licence.

``load`` returns a :class:`~chemdl.data.dataset.Dataset`; the command ``chemdl data`` uses
``names``, ``describe``, ``fetch``, ``verify`` and ``embed``. A registered set is a few lines in
data/datasets.yml.
"""

from chemdl.data.dataset import Dataset
from chemdl.data.errors import (
    DatasetError,
    HashMismatchError,
    RegistryError,
    UnavailableError,
    UnknownDatasetError,
    UnsafeArchiveError,
)
from chemdl.data.loading import describe, embed, embedded_sha256, fetch, load, verify
from chemdl.data.registry import names

__all__ = [
    "Dataset",
    "DatasetError",
    "HashMismatchError",
    "RegistryError",
    "UnavailableError",
    "UnknownDatasetError",
    "UnsafeArchiveError",
    "describe",
    "embed",
    "embedded_sha256",
    "fetch",
    "load",
    "names",
    "verify",
]
