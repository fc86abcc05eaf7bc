"""Residues of protein chains: numbers for letters, profiles, and windows along the sequence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from chemdl.learn.ragged import Ragged
from chemdl.proteins.profiles import AMINO_ACIDS, profile_levels

# The twenty, then one place for whatever else a sequence holds (X, B, Z, U, …).
UNKNOWN = len(AMINO_ACIDS)
KINDS = UNKNOWN + 1
_PLACES = np.full(256, UNKNOWN, dtype=np.uint8)
for _place, _letter in enumerate(AMINO_ACIDS):
    _PLACES[[ord(_letter), ord(_letter.lower())]] = _place


def sequence_of(chain: str) -> str:
    """Return the sequence of an input, which is ``"SEQUENCE"`` or ``"SEQUENCE PROFILE"``."""
    return chain.partition(" ")[0]


def chain_lengths(chains: Sequence[str]) -> np.ndarray:
    """Return the number of residues of each of n chains: (n,)."""
    return np.array([len(sequence_of(chain)) for chain in chains], dtype=np.int64)


def residue_places(sequence: str) -> np.ndarray:
    """Return the place of each residue in ``AMINO_ACIDS``, ``UNKNOWN`` for others: uint8 (L,)."""
    return _PLACES[np.frombuffer(sequence.encode("latin-1", "replace"), dtype=np.uint8)]


def chain_residues(chains: Sequence[str], *, profile: bool = False) -> Ragged:
    """Return the residues of n chains, as padded rows of uint8 (total, 1) or (total, 21).

    The first number is the residue's place; with ``profile`` the other twenty are its column of
    the profile, 255 for one.

    Raises
    ------
    ValueError
        For a chain without residues, or without a profile if ``profile`` is set.
    """
    rows = []
    for number, chain in enumerate(chains):
        sequence, _, text = chain.partition(" ")
        if not sequence:
            raise ValueError(f"row {number} is a chain without residues; leave it out")
        places = residue_places(sequence)[:, None]
        if profile and not text:
            raise ValueError(
                f"row {number}, {sequence[:20]}…, has no profile; use a set with alignments, "
                "or a model that reads sequences alone"
            )
        if profile:
            places = np.hstack([places, profile_levels(text, len(sequence))])
        rows.append(places)
    return Ragged.of(rows, layout="padded")


def window_places(chains: Sequence[str], width: int) -> np.ndarray:
    """Return the places of the residues around each residue: uint8 (total, width).

    Beyond an end of the chain stands ``KINDS``. Width is odd: the residue itself is the middle.
    """
    windows = []
    for chain in chains:
        padded = np.pad(residue_places(sequence_of(chain)), width // 2, constant_values=KINDS)
        windows.append(np.lib.stride_tricks.sliding_window_view(padded, width))
    return np.concatenate(windows)


def window_profiles(chains: Sequence[str], width: int) -> np.ndarray:
    """Return the profile columns around each residue: uint8 (total, width × 20), 0 past an end."""
    levels = chain_residues(chains, profile=True)
    half, windows = width // 2, []
    for start, stop in zip(levels.offsets[:-1], levels.offsets[1:], strict=True):
        padded = np.pad(levels.values[start:stop, 1:], ((half, half), (0, 0)))
        view = np.lib.stride_tricks.sliding_window_view(padded, width, axis=0)
        windows.append(view.transpose(0, 2, 1).reshape(stop - start, -1))
    return np.concatenate(windows)


def one_hot_windows(chains: Sequence[str], width: int) -> sparse.csr_matrix:
    """Return windows as one-hot rows: float32 (total, width × 22), one 1 for each place."""
    places = window_places(chains, width)
    total, size = len(places), KINDS + 1
    columns = places.astype(np.int32) + np.arange(width, dtype=np.int32) * size
    ones = np.ones(total * width, dtype=np.float32)
    starts = np.arange(0, total * width + 1, width)
    return sparse.csr_matrix((ones, columns.ravel(), starts), shape=(total, width * size))
