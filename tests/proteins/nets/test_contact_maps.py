"""Nets over pairs of residues and over angles, and what they are compared with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chemdl.learn import catalogue
from chemdl.learn.ragged import Ragged
from chemdl.proteins.nets.contact_maps import PairBoosting, SeparationOnly, chain_pairs
from chemdl.proteins.nets.torsions import ResidueAngles
from chemdl.proteins.profiles import profile, profile_text
from chemdl.proteins.structures import long_range_pairs

LETTERS = "ACDEFGHIKLMNPQRSTVWY"


def chains(count: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        text = "".join(rng.choice(list(LETTERS), size=rng.integers(30, 45)))
        found.append(f"{text} {profile_text(profile([text]))}")
    return found


def touching(inputs: list[str]) -> Ragged:
    """Pairs touch where both residues are among the first half of the alphabet."""
    rows = []
    for text in inputs:
        first, second = long_range_pairs(len(text.split()[0]))
        early = np.array([letter < "L" for letter in text.split()[0]])
        rows.append((early[first] & early[second]).astype(float)[:, None])
    return Ragged.of(rows, layout="padded")


def test_pairs_are_those_of_the_targets() -> None:
    pairs = chain_pairs(["A" * 25, "A" * 27])
    assert pairs.values.tolist() == [[0, 24], [0, 24], [0, 25], [0, 26], [1, 25], [1, 26], [2, 26]]


@pytest.mark.parametrize("name", ["contact_net_deep", "contact_net_shallow"])
def test_contact_nets_learn_and_ignore_padding(name: str) -> None:
    inputs = chains(12)
    y = touching(inputs)
    net = catalogue.net(name, "labelling", width=12, epochs=60, learning_rate=0.02, dropout=0.0,
                        decay=0.5, device="cpu")  # fmt: skip
    net.fit(inputs, y, valid=np.arange(0))
    predicted = net.predict(inputs)
    assert ((predicted > 0.5) == y.values).mean() > 0.95
    alone = np.concatenate([net.outputs([chain]) for chain in inputs])
    np.testing.assert_allclose(net.outputs(inputs), alone, atol=1e-3)


def test_rivals_know_separation_or_both_residues() -> None:
    inputs, y = chains(20), touching(chains(20))
    boosted = PairBoosting(rounds=40).fit(inputs, y)
    assert ((boosted.predict(inputs) > 0.5) == y.values).mean() > 0.97
    only = SeparationOnly().fit(inputs, y).predict(inputs)
    pairs = chain_pairs(inputs).values
    near = pairs[:, 1] - pairs[:, 0] < 28
    assert len(np.unique(only[near])) == 1
    assert only[near][0, 0] == pytest.approx(y.values[near].mean())


def test_angles_are_learned_across_the_seam() -> None:
    inputs = [text.split()[0] for text in chains(12)]
    rng = np.random.default_rng(0)
    # Every letter has an angle of its own, some near ±180°, with noise that crosses the seam.
    own = {letter: angle for letter, angle in zip(LETTERS, np.linspace(-180, 170, 20), strict=True)}
    rows = []
    for text in inputs:
        angle = np.array([own[letter] for letter in text]) + rng.normal(0, 5, len(text))
        angle = (angle + 180) % 360 - 180
        rows.append(np.column_stack([angle, -angle]))
        rows[-1][0, 0] = np.nan
    y = Ragged.of(rows, layout="padded")
    more: dict[str, Any] = {"width": 16, "epochs": 60, "learning_rate": 0.01, "dropout": 0.0,
                            "batch_size": 4, "device": "cpu"}  # fmt: skip
    net = catalogue.net("torsion_net", "labelling", **more).fit(inputs, y, valid=np.arange(0))
    for model in (net, ResidueAngles().fit(inputs, y)):
        away = np.abs((model.predict(inputs) - y.values + 180) % 360 - 180)
        assert np.nanmean(away) < 10
    anyone = ResidueAngles(by_residue=False, kind="trivial").fit(inputs, y)
    assert len(np.unique(anyone.predict(inputs)[:, 0])) == 1
