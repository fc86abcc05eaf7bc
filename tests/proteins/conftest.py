"""Chains with pairs that touch and with angles that their letters decide."""

from __future__ import annotations

import numpy as np
import pytest

from chemdl.learn.ragged import Ragged
from chemdl.proteins.profiles import profile, profile_text
from chemdl.proteins.residues import sequence_of
from chemdl.proteins.structures import long_range_pairs

LETTERS = "ACDEFGHIKLMNPQRSTVWY"


@pytest.fixture(scope="package")
def long_chains() -> list[str]:
    """Twenty chains of 30 to 44 residues, with profiles."""
    rng = np.random.default_rng(0)
    chains = []
    for _ in range(20):
        text = "".join(rng.choice(list(LETTERS), size=rng.integers(30, 45)))
        chains.append(f"{text} {profile_text(profile([text]))}")
    return chains


@pytest.fixture(scope="package")
def touching(long_chains: list[str]) -> Ragged:
    """Contacts of pairs where both residues are of the first half of the alphabet."""
    rows = []
    for chain in long_chains:
        early = np.array([letter < "L" for letter in sequence_of(chain)])
        first, second = long_range_pairs(len(early))
        rows.append((early[first] & early[second]).astype(float)[:, None])
    return Ragged.of(rows, layout="padded")


@pytest.fixture(scope="package")
def angles(long_chains: list[str]) -> Ragged:
    """Two angles of each letter, some near ±180°, with noise that crosses the seam."""
    rng = np.random.default_rng(0)
    of_letter = dict(zip(LETTERS, np.linspace(-180, 170, 20), strict=True))
    rows = []
    for chain in long_chains:
        angle = np.array([of_letter[letter] for letter in sequence_of(chain)])
        angle = (angle + rng.normal(0, 5, len(angle)) + 180) % 360 - 180
        rows.append(np.column_stack([angle, -angle]))
        rows[-1][0, 0] = np.nan
    return Ragged.of(rows, layout="padded")
