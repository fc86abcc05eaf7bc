"""SMILES cut into tokens of a fixed vocabulary, in one order of atoms or several."""

from __future__ import annotations

import numpy as np
import pytest
from rdkit import Chem

import chemdl
from chemdl.molecules.tokens import (
    PADDING,
    UNKNOWN,
    VOCABULARY,
    smiles_tokens,
    spellings,
    token_places,
    tokens,
)

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


@pytest.fixture(scope="module")
def real() -> list[str]:
    """A few hundred drugs, pollutants and salts, spelled as their authors have them."""
    sets = [chemdl.load(name).sample(150, seed=0) for name in ("esol", "bbbp")]
    return [smiles for data in sets for smiles in data.inputs]


def variants_of(ragged, row: int) -> list[str]:
    """Spell the variants of one row out again."""
    places = ragged.values[ragged.offsets[row] : ragged.offsets[row + 1]]
    return ["".join(VOCABULARY[place] for place in column) for column in places.T]


def reordered(smiles: str, seed: int) -> str:
    molecule = Chem.MolFromSmiles(smiles)
    order = np.random.default_rng(seed).permutation(molecule.GetNumAtoms()).tolist()
    return Chem.MolToSmiles(Chem.RenumberAtoms(molecule, order), canonical=False)


# --- tokens ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("ClCBr", "Cl C Br"),
        ("CSc1ccccc1", "C S c 1 c c c c c 1"),
        ("[Sc+3]", "[ Sc + 3 ]"),
        ("C[Se]C", "C [ Se ] C"),
        ("[13CH4]", "[ 1 3 C H 4 ]"),
        ("[nH]1cccc1", "[ n H ] 1 c c c c 1"),
        ("c1cc[se]c1", "c 1 c c [ se ] c 1"),
        ("N[C@@H](C)C(=O)[O-]", "N [ C @@ H ] ( C ) C ( = O ) [ O - ]"),
        ("F[Pt@SP1](F)(Cl)Cl", "F [ Pt @SP 1 ] ( F ) ( Cl ) Cl"),
        ("C%12CC%12", "C %12 C C %12"),
        ("[Na+].[Cl-]", "[ Na + ] . [ Cl - ]"),
        (r"F/C=C\C#C", r"F / C = C \ C # C"),
        ("[NH3]->[Fe]", "[ N H 3 ] -> [ Fe ]"),
        ("C%(123)CC%(123)", "C %(123) C C %(123)"),
    ],
)
def test_a_token_carries_one_meaning(smiles: str, expected: str) -> None:
    assert tokens(smiles) == expected.split()


@pytest.mark.parametrize("text", ["", "C[N", "not SMILES ∆\n", "]%1[[Cl", "Clc1Br"])
def test_whatever_comes_in_is_cut_without_loss(text: str) -> None:
    assert "".join(tokens(text)) == text


def test_real_molecules_join_again_and_need_nothing_unknown(real) -> None:
    for smiles in real:
        for text in (smiles, *spellings(smiles, 3)):
            found = tokens(text)
            assert "".join(found) == text
            assert set(found) <= set(VOCABULARY)


def test_every_element_is_one_known_token() -> None:
    table = Chem.GetPeriodicTable()
    for number in range(1, 119):
        symbol = table.GetElementSymbol(number)
        assert tokens(f"[{symbol}]") == ["[", symbol, "]"]
        assert UNKNOWN not in token_places(f"[{symbol}]")


def test_the_vocabulary_is_fixed_and_fits_a_byte() -> None:
    assert len(VOCABULARY) == len(set(VOCABULARY)) < 256
    assert VOCABULARY[PADDING] == ""
    # Fitted nets hold vectors by place: a token that moves would make them read another.
    assert token_places("C(=O)[O-]Clc%99").tolist() == [
        *(51, 2, 20, 53, 3, 5, 53, 19, 6, 62, 37, 253),
    ]


def test_tokens_without_a_place_are_unknown() -> None:
    assert token_places("C%(123)C").tolist() == [*token_places("C"), UNKNOWN, *token_places("C")]


# --- variants -------------------------------------------------------------------------------------


def test_the_first_variant_is_the_canonical_smiles(real) -> None:
    ragged = smiles_tokens(real, variants=1)
    assert (ragged.layout, ragged.values.dtype, ragged.shape) == (
        "padded",
        np.uint8,
        (len(real), 1),
    )
    for row, smiles in enumerate(real):
        assert variants_of(ragged, row) == [Chem.CanonSmiles(smiles)]


def test_variants_are_the_same_molecule_in_other_orders(real) -> None:
    for smiles in real:
        found = spellings(smiles, 5)
        assert {Chem.CanonSmiles(text) for text in found} == {Chem.CanonSmiles(smiles)}
    assert len(set(spellings(ASPIRIN, 20))) > 15


def test_variants_are_padded_to_the_longest_of_their_molecule() -> None:
    smiles = [ASPIRIN, "C", "CC(C)(C)c1ccc(O)cc1.[Na+].[Cl-]"]
    ragged = smiles_tokens(smiles, variants=6)
    assert ragged.shape == (3, 6)
    for row, text in enumerate(smiles):
        expected = spellings(text, 6)
        assert variants_of(ragged, row) == expected
        assert np.diff(ragged.offsets)[row] == max(len(tokens(t)) for t in expected)
    # Padding stands at the end alone.
    padded = ragged.values[ragged.offsets[0] : ragged.offsets[1]] == PADDING
    assert (np.diff(padded.astype(int), axis=0) >= 0).all()


def test_variants_depend_on_molecule_and_seed_alone(real) -> None:
    together = smiles_tokens(real[:40], variants=4, seed=3)
    alone = smiles_tokens([real[7]], variants=4, seed=3)
    assert variants_of(together, 7) == variants_of(alone, 0)
    assert spellings(ASPIRIN, 9, seed=3)[:4] == spellings(ASPIRIN, 4, seed=3)
    assert spellings(ASPIRIN, 9, seed=3)[0] == spellings(ASPIRIN, 9, seed=4)[0]
    assert spellings(ASPIRIN, 9, seed=3)[1:] != spellings(ASPIRIN, 9, seed=4)[1:]


def test_variants_do_not_depend_on_the_spelling_that_came_in(real) -> None:
    for smiles in ["CC(=O)[O-].[Na+].O", *real[::6]]:
        canonical = Chem.CanonSmiles(smiles)
        expected = spellings(canonical, 4)
        assert all(spellings(reordered(canonical, i), 4) == expected for i in range(3))


def test_rows_can_be_changed_without_harm() -> None:
    first = smiles_tokens([ASPIRIN], variants=2)
    first.values[:] = 0
    assert variants_of(smiles_tokens([ASPIRIN], variants=2), 0)[0] == ASPIRIN


def test_what_cannot_be_read_is_named() -> None:
    with pytest.raises(ValueError, match=r"row 2: .*'C1CC'"):
        smiles_tokens(["C", "CC", "C1CC"], variants=3)
    with pytest.raises(ValueError, match="one variant or more, not 0"):
        smiles_tokens(["C"], variants=0)
    with pytest.raises(ValueError, match="empty"):
        smiles_tokens([])
