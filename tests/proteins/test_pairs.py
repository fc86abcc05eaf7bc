"""Pairs of residues, as models of contacts read them."""

from __future__ import annotations

from chemdl.proteins.pairs import SEPARATIONS, chain_pairs, separation_classes


def test_pairs_are_those_of_the_targets() -> None:
    pairs = chain_pairs(["A" * 25, "A" * 27])
    assert pairs.values.tolist() == [[0, 24], [0, 24], [0, 25], [0, 26], [1, 25], [1, 26], [2, 26]]


def test_separations_have_classes() -> None:
    classes = separation_classes(["A" * 25, "A" * 29])
    assert classes.tolist() == [1, *[1] * 4, 2, *[1] * 10]  # 28 apart is the second
    assert separation_classes(["A" * 200]).max() == len(SEPARATIONS)
