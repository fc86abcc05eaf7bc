"""Depictions of molecules: what is seen of them, and on what it does not depend."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

import chemdl
from chemdl.data.feature_cache import forget
from chemdl.molecules.depictions import CHANNELS, EMPTY, RESOLUTION, SIZE, depictions

NUMBER, ORDER, CHARGE, HYBRIDS = range(4)
DRUG = "CC(=O)Nc1ccc(OCC(F)(F)F)cc1S(=O)(=O)N1CCOCC1"
ODD = [
    "C",
    "[Na+]",
    "[H][H]",
    "[H+]",
    "CC(=O)[O-].[Na+]",
    "CCO.c1ccccc1.O",
    "[Fe+3]",
    "[13CH4]",
    "[2H]O[2H]",
    "[U]",
    "C[Se]C",
    "[Lr]",
    "C[Hg]C",
    "*CC*",
    "[NH3]->[Pt](Cl)Cl",
    "F[Xe]F",
    "FS(F)(F)(F)(F)F",
    "C" * 250,
    "C1" + "C" * 120 + "1",
]


def above_empty(depiction: np.ndarray) -> np.ndarray:
    return depiction.astype(int) - np.array(EMPTY)[:, None, None]


def extent(depiction: np.ndarray) -> int:
    """Count the pixels from the first to the last that is not empty, along the longer side."""
    seen = np.nonzero(above_empty(depiction).any(0))
    return int(max(np.ptp(axis) for axis in seen)) + 1


def test_shape_and_levels() -> None:
    found = depictions(["CCO", "c1ccccc1", DRUG])
    assert found.shape == (3, len(CHANNELS), SIZE, SIZE)
    assert found.dtype == np.uint8
    # The corners are empty.
    assert (found[:, :, 0, 0] == EMPTY).all()
    assert depictions(["CCO"], size=20, resolution=1.0).shape == (1, 4, 20, 20)


def test_any_spelling_gives_the_same_depiction() -> None:
    sets = [chemdl.load(name).sample(30, seed=0).inputs for name in ("esol", "bbbp")]
    for smiles in [DRUG, *np.concatenate(sets)]:
        molecule = Chem.MolFromSmiles(smiles)
        texts = Chem.MolToRandomSmilesVect(molecule, 4, randomSeed=3)
        found = depictions([smiles, *texts])
        assert (found == found[0]).all(), smiles


@pytest.mark.parametrize("smiles", ODD)
def test_odd_molecules_are_seen(smiles: str) -> None:
    (found,) = depictions([smiles])
    # Neither the molecule nor its place is lost; "*" has the atomic number 0, its bonds are seen.
    assert above_empty(found).any()
    assert extent(found) <= SIZE


def test_channels_show_what_they_are_named_after() -> None:
    (ethane,), (ethene,), (ethyne,) = (depictions([s]) for s in ("CC", "C=C", "C#C"))
    middle = slice(SIZE // 2 - 1, SIZE // 2 + 1)
    orders = [p[ORDER, middle, middle].max() for p in (ethane, ethene, ethyne)]
    np.testing.assert_allclose(orders, orders[0] * np.arange(1, 4), atol=3)
    hybrids = [p[HYBRIDS].sum(dtype=float) for p in (ethane, ethene, ethyne)]
    np.testing.assert_allclose(np.array(hybrids) / hybrids[0], [1, 3 / 4, 2 / 4], rtol=0.1)
    numbers = depictions(["C", "N", "O", "F", "Cl", "Br"])[:, NUMBER].sum((1, 2), dtype=float)
    np.testing.assert_allclose(numbers / numbers[0], np.array([6, 7, 8, 9, 17, 35]) / 6, rtol=0.08)
    assert not depictions(["[Na+].[Cl-]"])[0, ORDER].any()


def test_charges_have_two_signs() -> None:
    sodium, chloride, neon = above_empty_of("[Na+]", "[Cl-]", "[Ne]")[:, CHARGE]
    assert sodium.max() > 60 and sodium.min() == 0
    np.testing.assert_array_equal(chloride, -sodium)
    assert not neon.any()
    (acetate,) = above_empty_of("CC(=O)[O-]")[:, CHARGE]
    assert acetate.min() < -10 and acetate.max() > 0


def above_empty_of(*smiles: str) -> np.ndarray:
    return np.stack([above_empty(depiction) for depiction in depictions(smiles)])


@pytest.mark.parametrize("smiles", ["C[Se]C", "C[Hg]C", "[Lr]", "[U]"])
def test_charges_that_nobody_knows_are_formal_ones(smiles: str) -> None:
    """Gasteiger's method has no parameters for these elements, and RDKit then says NaN."""
    assert (depictions([smiles])[0, CHARGE] == EMPTY[CHARGE]).all()
    selenonium = above_empty_of("C[Se+](C)C")[0, CHARGE]
    assert selenonium.max() > 60 and selenonium.min() == 0


def test_the_scale_is_fixed_and_large_molecules_are_scaled_down() -> None:
    # A zigzag chain grows by 2.6 Å with every two carbons.
    small, longer = (extent(depictions(["C" * n])[0]) for n in (6, 14))
    assert longer - small == pytest.approx(4 * 2.6 / RESOLUTION, abs=2)
    for n in (19, 40, 250):
        (large,) = depictions(["C" * n])
        assert SIZE - 4 <= extent(large) <= SIZE
        # Nothing is cut off: both ends are equally far from the border.
        columns = np.nonzero(large[NUMBER].any(0))[0]
        assert abs(columns[0] - (SIZE - 1 - columns[-1])) <= 1
    (coarse,) = depictions(["C" * 14], resolution=2 * RESOLUTION)
    assert extent(coarse) == pytest.approx(longer / 2, abs=3)


def test_atoms_are_where_the_bonds_end() -> None:
    (found,) = depictions([DRUG])
    seen = above_empty(found)
    # Pixels in full view of an atom have a line of their own or next to them.
    rows, columns = np.nonzero(found[HYBRIDS] > 110)
    assert len(rows) > 15
    for row, column in zip(rows, columns, strict=True):
        assert seen[ORDER, row - 1 : row + 2, column - 1 : column + 2].any()


def test_rows_do_not_depend_on_each_other_and_are_cached(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CHEMDL_CACHE", str(tmp_path))
    smiles = [*chemdl.load("esol").inputs[:70], *ODD]
    forget()
    together = depictions(smiles)
    forget()
    alone = np.concatenate([depictions([text]) for text in smiles])
    np.testing.assert_array_equal(together, alone)
    assert list((tmp_path / "features").glob("picture-*.npz"))
    kept = together.copy()
    together[:] = 0
    np.testing.assert_array_equal(depictions(smiles), kept)


def test_what_cannot_be_drawn_is_named() -> None:
    with pytest.raises(ValueError, match=r"row 1: .*'C1CC'"):
        depictions(["CC", "C1CC"])
    with pytest.raises(ValueError, match="at least 8 pixels"):
        depictions(["CC"], size=7)
    with pytest.raises(ValueError, match="more than 0 Å"):
        depictions(["CC"], resolution=0.0)
