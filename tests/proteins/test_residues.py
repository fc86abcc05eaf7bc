"""Residues as numbers, and windows of them."""

from __future__ import annotations

import numpy as np
import pytest

from chemdl.proteins.profiles import AMINO_ACIDS, profile, profile_text
from chemdl.proteins.residues import (
    KINDS,
    UNKNOWN,
    chain_residues,
    one_hot_windows,
    residue_places,
    window_places,
    window_profiles,
)


def test_what_is_not_among_the_twenty_is_unknown() -> None:
    assert residue_places(AMINO_ACIDS).tolist() == list(range(20))
    assert residue_places("XBZUO*Ω").tolist() == [UNKNOWN] * 7
    assert residue_places("ac").tolist() == residue_places("AC").tolist()


def test_chains_are_padded_rows_of_residues() -> None:
    rows = chain_residues(["ACD", "M"])
    assert rows.layout == "padded" and rows.values.dtype == np.uint8
    assert rows.values.shape == (4, 1) and rows.offsets.tolist() == [0, 3, 4]


def test_a_profile_stands_beside_the_residue() -> None:
    text = profile_text(profile(["ACD", "ACE"]))
    with_profile = chain_residues([f"ACD {text}"], profile=True)
    assert with_profile.values.shape == (3, 21)
    np.testing.assert_array_equal(
        with_profile.values[:, :1], chain_residues([f"ACD {text}"]).values
    )
    with pytest.raises(ValueError, match="row 1, MK…, has no profile"):
        chain_residues([f"ACD {text}", "MK"], profile=True)
    with pytest.raises(ValueError, match="row 0 is a chain without residues"):
        chain_residues([""])


def test_windows_end_where_the_chain_ends() -> None:
    a, c, m = (AMINO_ACIDS.index(letter) for letter in "ACM")
    windows = window_places(["AC", "M"], 3)
    assert windows.tolist() == [[KINDS, a, c], [a, c, KINDS], [KINDS, m, KINDS]]
    hot = one_hot_windows(["AC", "M"], 3).toarray().reshape(3, 3, KINDS + 1)
    np.testing.assert_array_equal(hot.argmax(axis=2), windows)
    assert (hot.sum(axis=2) == 1).all()


def test_windows_of_profiles_keep_places_together() -> None:
    values = profile(["ACD", "ACE"])
    chain = f"ACD {profile_text(values)}"
    windows = window_profiles([chain], 3).reshape(3, 3, 20)
    levels = chain_residues([chain], profile=True).values[:, 1:]
    np.testing.assert_array_equal(windows[1], levels)
    assert (windows[0, 0] == 0).all() and (windows[2, 2] == 0).all()
