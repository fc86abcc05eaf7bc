"""Classical models of contacts and of angles."""

from __future__ import annotations

import numpy as np
import pytest

from chemdl.learn.models import BASELINES
from chemdl.proteins.pairs import chain_pairs


def test_contacts_are_told_by_separation_or_by_both_residues(long_chains, touching) -> None:
    boosted = BASELINES["sequence/pair_boosting"].estimator("labelling", rounds=40)
    predicted = boosted.fit(long_chains, touching).predict(long_chains)
    assert ((predicted > 0.5) == touching.values).mean() > 0.97
    only = BASELINES["sequence/separation_only"].estimator("labelling")
    predicted = only.fit(long_chains, touching).predict(long_chains)
    pairs = chain_pairs(long_chains).values
    near = pairs[:, 1] - pairs[:, 0] < 28
    assert len(np.unique(predicted[near])) == 1
    assert predicted[near][0, 0] == pytest.approx(touching.values[near].mean())
    assert (boosted.kind, only.kind) == ("classical", "trivial")


def test_mean_angles_are_taken_across_the_seam(long_chains, angles) -> None:
    of_kind, of_all = (
        BASELINES[f"sequence/{name}"].estimator("labelling").fit(long_chains, angles)
        for name in ("residue_angles", "mean_angles")
    )
    away = np.abs((of_kind.predict(long_chains) - angles.values + 180) % 360 - 180)
    assert np.nanmean(away) < 10
    assert len(np.unique(of_all.predict(long_chains)[:, 0])) == 1
    assert (of_kind.kind, of_all.kind) == ("classical", "trivial")
