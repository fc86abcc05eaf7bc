"""Profiles of alignments."""

from __future__ import annotations

import numpy as np
import pytest

from chemdl.data import DatasetError
from chemdl.proteins.profiles import (
    AMINO_ACIDS,
    BACKGROUND,
    LAMBDA,
    PSEUDOCOUNT,
    blosum62,
    profile,
    profile_levels,
    profile_text,
)


def test_matrix_background_and_scale_belong_together() -> None:
    scores = blosum62()
    np.testing.assert_array_equal(scores, scores.T)
    # λ is defined by this sum: a slip in matrix or background would show.
    pairs = BACKGROUND[:, None] * BACKGROUND * np.exp(LAMBDA * scores)
    assert pairs.sum() == pytest.approx(1.0, abs=1e-4)


def test_one_sequence_has_the_pseudocounts_of_its_residues() -> None:
    found = profile(["AW"])
    estimate = np.exp(LAMBDA * blosum62()[AMINO_ACIDS.index("A")]) * BACKGROUND
    estimate /= estimate.sum()
    np.testing.assert_allclose(found[0], estimate / (estimate + BACKGROUND))


def test_copies_share_one_vote() -> None:
    # Five copies of one sequence beside another: Henikoff's weights give each kind half a vote.
    found = profile(["AC"] * 5 + ["DE"])
    estimate = found / (1 - found) * BACKGROUND
    alpha = 1.0  # two kinds in each column
    share = np.zeros(20)
    share[[AMINO_ACIDS.index("A"), AMINO_ACIDS.index("D")]] = 0.5
    expected = share / BACKGROUND @ (BACKGROUND[:, None] * BACKGROUND * np.exp(LAMBDA * blosum62()))
    expected /= expected.sum()
    mixed = (alpha * share + PSEUDOCOUNT * expected) / (alpha + PSEUDOCOUNT)
    np.testing.assert_allclose(estimate[0], mixed)


def test_gaps_and_strange_letters_count_for_nothing() -> None:
    np.testing.assert_allclose(profile(["A.", "AX", "AZ"])[0], profile(["A", "A", "A"])[0])
    np.testing.assert_allclose(profile(["A.", "A-"])[1], 0.5, atol=0.05)


def test_text_gives_the_numbers_back() -> None:
    values = profile(["ACDW", "ACDY", "AC.W"])
    text = profile_text(values)
    assert " " not in text and "\n" not in text
    np.testing.assert_allclose(profile_levels(text, 4) / 255, values, atol=0.5 / 255 + 1e-9)


def test_what_is_no_alignment_or_profile_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"one length, not of \[1, 2\]"):
        profile(["A", "AC"])
    with pytest.raises(DatasetError, match="40 numbers, not 20"):
        profile_levels(profile_text(profile(["A"])), 2)
    with pytest.raises(DatasetError, match="is no profile"):
        profile_levels("***", 1)
