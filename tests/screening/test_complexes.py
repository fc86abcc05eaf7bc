"""Docked complexes as a data set and as a compact file."""

from __future__ import annotations

import numpy as np
import pytest

from chemdl.evidence import splits
from chemdl.screening import complexes, docking
from chemdl.screening.receptors import DockingError

SAMPLE = {"actives": 4, "decoys": 8, "seed": 0}


def test_docked_ligands_are_a_data_set_and_a_compact_file(vina_by_hand, rows, tmp_path) -> None:
    for target in ("left", "right"):
        list(docking.dock(target, rows, **SAMPLE, engine=vina_by_hand()))
    data = complexes.docked_set({"left": rows, "right": rows}, **SAMPLE)
    assert data.targets[:, 0].tolist() == ([1.0] * 4 + [0.0] * 8) * 2
    assert data.columns["target"].tolist() == ["left"] * 12 + ["right"] * 12
    assert data.card["cleaning"]["kept"] == 24
    molecules = [text.split()[1] for text in data.inputs]
    np.testing.assert_allclose(data.columns["vina"], [-4.0 - len(text) for text in molecules])
    # The same molecules stand in both, which a protocol counts.
    assert splits.random(data, repeats=1, folds=2).duplicates["inchikey"] > 0

    path = complexes.write_summary(
        complexes.docked_sample("left", rows, **SAMPLE), tmp_path / "left.npz"
    )
    with np.load(path) as stored:
        assert stored["label"].tolist() == [1] * 4 + [0] * 8
        assert stored["shells"].shape == (12, 36, len(stored["edges"]) - 1)
        np.testing.assert_array_equal(stored["shells"].sum(2), stored["contacts"])
        np.testing.assert_array_equal(stored["inchikey"], data.columns["inchikey"][:12])
        # No structure is kept.
        assert not {"smiles", "xyz"} & set(stored.files)
    assert path.stat().st_size < 10_000


def test_no_targets_are_no_data_set() -> None:
    with pytest.raises(DockingError, match="no targets"):
        complexes.docked_set({})
