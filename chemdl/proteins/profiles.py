"""Profiles of protein families: how often each amino acid stands in each column of an alignment."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

import numpy as np

from chemdl.data.errors import DatasetError

# The order of the published substitution matrix.
AMINO_ACIDS = "ARNDCQEGHILKMFPSTWYV"
_PLACES = {letter: place for place, letter in enumerate(AMINO_ACIDS)}
# How often each stands in proteins (Robinson and Robinson 1991).
BACKGROUND = np.array(
    [
        *(0.07805, 0.05129, 0.04487, 0.05364, 0.01925, 0.04264, 0.06295, 0.07377, 0.02199, 0.05142),
        *(0.09019, 0.05744, 0.02243, 0.03856, 0.05203, 0.07120, 0.05841, 0.01330, 0.03216, 0.06441),
    ]
)
# BLOSUM62 (Henikoff and Henikoff 1992), the lower triangle.
_BLOSUM62 = """
 4
-1  5
-2  0  6
-2 -2  1  6
 0 -3 -3 -3  9
-1  1  0  0 -3  5
-1  0  0  2 -4  2  5
 0 -2  0 -1 -3 -2 -2  6
-2  0  1 -1 -3  0  0 -2  8
-1 -3 -3 -3 -1 -3 -3 -4 -3  4
-1 -2 -3 -4 -1 -2 -3 -4 -3  2  4
-1  2  0 -1 -3  1  1 -2 -1 -3 -2  5
-1 -1 -2 -3 -1  0 -2 -3 -2  1  2 -1  5
-2 -3 -3 -3 -2 -3 -3 -3 -1  0  0 -3  0  6
-1 -2 -2 -1 -3 -1 -1 -2 -2 -3 -3 -1 -2 -4  7
 1 -1  1  0 -1  0  0  0 -1 -2 -2  0 -1 -2 -1  4
 0 -1  0 -1 -1 -1 -1 -2 -2 -1 -1 -1 -1 -2 -1  1  5
-3 -3 -4 -4 -2 -2 -3 -2 -2 -3 -2 -3 -1  1 -4 -3 -2 11
-2 -2 -2 -3 -2 -1 -2 -3  2 -1 -1 -2 -1  3 -3 -2 -2  2  7
 0 -3 -3 -3 -1 -2 -2 -3 -3  3  1 -2  1 -1 -2 -2  0 -3 -1  4
"""
# Scale of the matrix's scores, for alignments without gaps: q_ij = p_i p_j exp(λ s_ij).
LAMBDA = 0.3176
# Weight of the pseudocounts against the observed ones (Altschul et al. 1997).
PSEUDOCOUNT = 10.0


def blosum62() -> np.ndarray:
    """Return the scores (20, 20) in the order of ``AMINO_ACIDS``."""
    scores = np.zeros((20, 20))
    for row, line in enumerate(_BLOSUM62.strip("\n").splitlines()):
        values = [float(text) for text in line.split()]
        scores[row, : row + 1] = scores[: row + 1, row] = values
    return scores


def profile(alignment: Sequence[str]) -> np.ndarray:
    """Return the profile (columns, 20) of aligned sequences, numbers between 0 and 1.

    Sequences are weighted by position (Henikoff and Henikoff 1994): a column shares one vote
    among the kinds of residues in it, each kind's part among its sequences. With f_a the weighted
    share of residue a in a column, the estimate mixes in pseudocounts as PSI-BLAST does (Altschul
    et al. 1997)::

        g_a = Σ_b f_b q_ab / p_b,    Q_a = (α f_a + β g_a) / (α + β),

    with p the background, q the pair frequencies behind BLOSUM62, α + 1 the mean number of kinds
    in a column and β = 10. What is returned is Q_a / (Q_a + p_a), the logistic function of the
    log odds: 0.5 where a residue is as frequent as in the background. Gaps and letters outside the
    twenty are ignored; a column of nothing else is close to the background.

    Raises
    ------
    DatasetError
        If there is no sequence, or if the sequences differ in length.
    """
    if not alignment or len({len(row) for row in alignment}) != 1:
        lengths = sorted({len(row) for row in alignment})
        raise DatasetError(f"an alignment needs sequences of one length, not of {lengths}")
    places = np.array([[_PLACES.get(letter, 20) for letter in row] for row in alignment])
    present = places[:, :, None] == np.arange(20)
    count = present.sum(axis=0)
    kinds = (count > 0).sum(axis=1)
    votes = np.where(present, 1.0 / np.maximum(kinds[:, None] * count, 1), 0.0)
    weight = votes.sum(axis=(1, 2))
    observed = np.einsum("s,sca->ca", weight, present)
    total = observed.sum(axis=1, keepdims=True)
    share = np.where(total > 0, observed / np.where(total > 0, total, 1.0), BACKGROUND)
    pairs = BACKGROUND[:, None] * BACKGROUND * np.exp(LAMBDA * blosum62())
    expected = share / BACKGROUND @ pairs
    expected /= expected.sum(axis=1, keepdims=True)
    filled = kinds[kinds > 0]
    alpha = float(filled.mean()) - 1.0 if len(filled) else 0.0
    estimate = (alpha * share + PSEUDOCOUNT * expected) / (alpha + PSEUDOCOUNT)
    return estimate / (estimate + BACKGROUND)


def profile_text(values: np.ndarray) -> str:
    """Write a profile (length, 20) as text without blanks: a byte for each number, in base64."""
    levels = np.rint(np.clip(values, 0.0, 1.0) * 255).astype(np.uint8)
    return base64.b64encode(levels.tobytes()).decode("ascii")


def profile_levels(text: str, length: int) -> np.ndarray:
    """Read a profile that :func:`profile_text` wrote: uint8 (length, 20), 255 for one.

    Raises
    ------
    DatasetError
        For text that is not a profile of this number of residues.
    """
    try:
        levels = np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8)
    except binascii.Error as error:
        raise DatasetError(f"{text[:20]!r}… is no profile: {error}") from error
    if len(levels) != 20 * length:
        raise DatasetError(
            f"a profile of {length} residues holds {20 * length} numbers, not {len(levels)}"
        )
    return levels.reshape(length, 20)
