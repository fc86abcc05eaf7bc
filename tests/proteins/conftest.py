"""Chains with states, pairs that touch and angles that their letters decide, and a small study."""

from __future__ import annotations

import numpy as np
import pytest

from chemdl.data import Dataset
from chemdl.evidence import judging, splits
from chemdl.evidence.conditions import Condition
from chemdl.evidence.result import Result
from chemdl.evidence.study import Study
from chemdl.learn.ragged import Ragged
from chemdl.proteins.baselines import baseline
from chemdl.proteins.data import three_states
from chemdl.proteins.profiles import profile, profile_text
from chemdl.proteins.residues import sequence_of
from chemdl.proteins.structures import long_range_pairs
from chemdl.settings import Settings

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


@pytest.fixture(scope="package")
def chains_with_states() -> Dataset:
    """Forty chains whose letters tell seven states in ten, some residues not measured."""
    rng = np.random.default_rng(0)
    inputs = ["".join(rng.choice(list("AVGL"), size=rng.integers(30, 60))) for _ in range(40)]
    of_letter = {"A": 0.0, "V": 3.0, "G": 7.0, "L": 5.0}
    eight = np.array([of_letter[letter] for text in inputs for letter in text])
    eight = np.where(rng.random(len(eight)) < 0.3, rng.integers(0, 8, len(eight)), eight)
    eight[::17] = np.nan
    return Dataset(
        "small", np.array(inputs, object), np.column_stack([three_states(eight), eight]),
        ("q3", "q8"), "labelling", "number of the state",
        {"cleaning": {"raw": 40}, "input": "sequence"},
        {"id": np.array([f"chain-{i}" for i in range(40)]),
         "set": np.array(["train"] * 28 + ["test"] * 12)},
        np.array([len(text) for text in inputs]),
    )  # fmt: skip


@pytest.fixture(scope="package")
def result_of_states(
    chains_with_states: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> Result:
    """Three classical models of the states, from all train chains and from ten of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "for_study", lambda _: [])
        return Study(
            "small", chapter="tiny", dataset=chains_with_states,
            models={name: baseline(name) for name in ("gor", "residue_majority", "trivial")},
            protocol=splits.published(chains_with_states, seed=0), metrics=["q3", "q8", "sov"],
            settings=Settings("quick", 0, "cpu", tmp_path_factory.mktemp("run")),
            conditions=[Condition(), Condition("10", train_size=10)], reference="trivial",
            unit="chain",
        ).run()  # fmt: skip
